//! Settings for texts with every value resolved, as far as that goes without looking at the data.

use stage::{Exit, MaxBad};

use crate::args::{Args, DEFAULT_SPLIT, Format, InputPath, PerSplit, TypedInput};
use crate::inputs;

/// Rows of a part by default: what a language model completes in minutes.
const PART_ROWS: usize = 128;

/// Longest text by default, in bytes. No model of today takes as much.
const MAX_TEXT_BYTES: u32 = 1 << 20;

/// What the stage was asked to do.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) inputs: Vec<InputPath>,
    pub(crate) form: Form,
    /// Names that the text may have, in the order in which they are looked for.
    pub(crate) text_names: Vec<String>,
    /// Whether that is one that was typed.
    pub(crate) text_is_named: bool,
    pub(crate) id_name: Option<String>,
    pub(crate) max_text_bytes: usize,
    pub(crate) part_rows: usize,
    pub(crate) max_bad: MaxBad,
    pub(crate) n_threads: usize,
}

/// What the texts stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Files, told apart by their names.
    ByName,
    /// All of this kind.
    Known(Kind),
    /// Whatever comes on stdin, of this kind.
    Stdin(Kind),
}

/// A kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Lines,
    Jsonl,
    Parquet,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

impl Settings {
    /// Resolves defaults and refuses what means nothing for texts.
    pub(crate) fn resolve(args: &Args) -> anyhow::Result<Self> {
        refuse_options_of_pictures(args)?;
        let known = match args.format {
            Format::Auto => None,
            Format::Lines => Some(Kind::Lines),
            Format::Jsonl => Some(Kind::Jsonl),
            Format::Parquet => Some(Kind::Parquet),
            other => {
                return Err(Exit::Usage.error(format!(
                    "--format {other:?} is for pictures, and --tokenizer for texts: expected auto, lines, jsonl or parquet"
                )));
            }
        };
        if args.input.is_empty() {
            return Err(Exit::Usage.error("no --input: give a file of texts, or - for stdin"));
        }
        let form = match (is_stdin(&args.input)?, known) {
            (true, Some(Kind::Parquet)) => {
                return Err(Exit::Usage.error("--input -: Parquet is not read from stdin; give the path of a file"));
            }
            (true, known) => Form::Stdin(known.unwrap_or(Kind::Lines)),
            (false, Some(kind)) => Form::Known(kind),
            (false, None) => Form::ByName,
        };
        Ok(Self {
            inputs: inputs::local(args)?,
            form,
            text_names: args.text_field.clone().map_or_else(|| vec!["text".into(), "prompt".into()], |name| vec![name]),
            text_is_named: args.text_field.is_some(),
            id_name: args.id_field.clone(),
            max_text_bytes: args.max_text_bytes.unwrap_or(MAX_TEXT_BYTES) as usize,
            part_rows: args.part_rows.map_or(PART_ROWS, |n| n as usize),
            max_bad: args.max_bad,
            n_threads: args.common.thread_count(),
        })
    }

    /// Refuses the name of a field where rows have none.
    pub(crate) fn check_fields(&self, kind: Kind) -> anyhow::Result<()> {
        let named = [("--text-field", self.text_is_named), ("--id-field", self.id_name.is_some())];
        match named.into_iter().find(|(_, is_named)| *is_named && kind == Kind::Lines) {
            Some((option, _)) => Err(Exit::Usage.error(format!(
                "{option} names a key of JSON lines or a column of Parquet, and the source is plain lines: leave {option} out, or give --format jsonl"
            ))),
            None => Ok(()),
        }
    }
}

fn is_stdin(inputs: &[TypedInput]) -> anyhow::Result<bool> {
    if !inputs.iter().any(|i| i.typed == "-") {
        return Ok(false);
    }
    if inputs.len() > 1 {
        return Err(Exit::Usage.error("--input - is stdin, and stands alone: leave the other --input out"));
    }
    Ok(true)
}

/// Options that would be ignored with a tokenizer.
fn refuse_options_of_pictures(args: &Args) -> anyhow::Result<()> {
    let default_split: Vec<PerSplit<f64>> = DEFAULT_SPLIT.split(',').filter_map(|s| s.parse().ok()).collect();
    let given = [
        ("--size", args.size.is_some()),
        ("--fit", args.fit.is_some()),
        ("--filter", args.filter.is_some()),
        ("--enlarge", args.enlarge),
        ("--rows", !args.rows.is_empty()),
        ("--on-leak", args.on_leak.is_some()),
        ("--max-pixels", args.max_pixels != picture::Limits::default().max_pixels),
        ("--image-column", args.image_column.is_some()),
        ("--label-column", args.label_column.is_some()),
    ];
    if let Some((option, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
        return Err(
            Exit::Usage.error(format!("{option} is for pictures, and --tokenizer for texts: leave one of them out"))
        );
    }
    let of_splits = [("--take", !args.take.is_empty()), ("--split", args.split != default_split)];
    if let Some((option, _)) = of_splits.into_iter().find(|(_, is_given)| *is_given) {
        return Err(Exit::Usage.error(format!("{option}: prompts have no splits; leave {option} out")));
    }
    match args.input.iter().find(|i| i.split.is_some()) {
        Some(input) => Err(Exit::Usage.error(format!(
            "--input {}: prompts have no splits; give the path alone (./{0} if it is the name of a file)",
            input.typed
        ))),
        None => Ok(()),
    }
}
