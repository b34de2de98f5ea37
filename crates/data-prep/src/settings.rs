//! Settings with every value resolved, as far as that goes without looking at the data.

use artifact::Split;
use picture::Limits;
use stage::{Exit, MaxBad};

use crate::args::{Args, Filter, Fit, Format, InputPath, PerSplit, Size};
use crate::inputs;
use crate::leaks::OnLeak;

/// What the stage was asked to do.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) inputs: Vec<InputPath>,
    pub(crate) format: Format,
    pub(crate) columns: Columns,
    pub(crate) target: Target,
    pub(crate) take: BySplit<u64>,
    pub(crate) shares: BySplit<f64>,
    pub(crate) shape_rows: BySplit<u64>,
    pub(crate) part_rows: PartRows,
    pub(crate) max_bad: MaxBad,
    pub(crate) on_leak: OnLeak,
    pub(crate) limits: Limits,
    pub(crate) seed: u64,
    pub(crate) n_threads: usize,
}

/// A value for train, validation and test, in this order.
pub(crate) type BySplit<T> = [T; 3];

/// The size in which pictures are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// That of the first picture; the others must have it too.
    AsTheyAre,
    /// This one.
    Resized { size: Size, fit: Fit, filter: Filter, enlarge: bool },
}

/// How many rows a part has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartRows {
    /// As many as the size of a picture allows.
    BySize,
    /// So many.
    Fixed(usize),
}

/// Names of Parquet columns, those to try in order.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    pub(crate) image: Vec<String>,
    pub(crate) label: Vec<String>,
    /// Whether the picture column was named.
    pub(crate) image_is_named: bool,
    /// Whether the label column was named, so that its absence is an error.
    pub(crate) label_is_named: bool,
}

impl Settings {
    /// Resolves defaults and refuses combinations that mean nothing.
    pub(crate) fn resolve(args: &Args) -> anyhow::Result<Self> {
        refuse_options_of_texts(args)?;
        let is_shapes = args.format == Format::Shapes;
        if is_shapes && !args.input.is_empty() {
            return Err(Exit::Usage.error("--format shapes makes its own pictures: leave --input out"));
        }
        if !is_shapes && !args.rows.is_empty() {
            return Err(Exit::Usage.error("--rows is for --format shapes; --take limits the rows of other sources"));
        }
        if !is_shapes && args.input.is_empty() {
            return Err(Exit::Usage.error("no --input: give a path, or --format shapes for built-in pictures"));
        }
        let shape_rows = match args.rows.is_empty() {
            true => [4000, 0, 1000],
            false => by_split("--rows", &args.rows, 0)?,
        };
        let target = args.size.map_or(Target::AsTheyAre, |size| Target::Resized {
            size,
            fit: args.fit.unwrap_or(Fit::Squash),
            filter: args.filter.unwrap_or(Filter::Bilinear),
            enlarge: args.enlarge,
        });
        if args.size.is_none() {
            let given =
                [("--fit", args.fit.is_some()), ("--filter", args.filter.is_some()), ("--enlarge", args.enlarge)];
            if let Some((option, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
                return Err(Exit::Usage.error(format!(
                    "{option} says how pictures are brought to --size: give a --size, or leave {option} out"
                )));
            }
        }
        Ok(Self {
            inputs: inputs::local(args)?,
            format: args.format,
            columns: Columns {
                image: named_or(&args.image_column, &["image", "img"]),
                label: named_or(&args.label_column, &["label", "labels", "fine_label"]),
                image_is_named: args.image_column.is_some(),
                label_is_named: args.label_column.is_some(),
            },
            target,
            take: by_split("--take", &args.take, u64::MAX)?,
            shares: shares(&args.split)?,
            shape_rows,
            part_rows: args.part_rows.map_or(PartRows::BySize, |n| PartRows::Fixed(n as usize)),
            max_bad: args.max_bad,
            on_leak: args.on_leak.unwrap_or(OnLeak::Report),
            limits: Limits { max_pixels: args.max_pixels, ..Limits::default() },
            seed: args.common.seed,
            n_threads: args.common.thread_count(),
        })
    }
}

/// Options that would be ignored without a tokenizer.
fn refuse_options_of_texts(args: &Args) -> anyhow::Result<()> {
    let given = [
        ("--text-field", args.text_field.is_some()),
        ("--id-field", args.id_field.is_some()),
        ("--max-text-bytes", args.max_text_bytes.is_some()),
        ("--format lines", args.format == Format::Lines),
        ("--format jsonl", args.format == Format::Jsonl),
        ("--input -", args.input.iter().any(|i| i.typed == "-")),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => {
            Err(Exit::Usage.error(format!("{option} is for texts: give a --tokenizer, or leave {option} out")))
        }
        None => Ok(()),
    }
}

fn named_or(name: &Option<String>, known: &[&str]) -> Vec<String> {
    name.as_ref().map_or_else(|| known.iter().map(ToString::to_string).collect(), |name| vec![name.clone()])
}

fn by_split<T: Copy>(option: &str, typed: &[PerSplit<T>], default: T) -> anyhow::Result<BySplit<T>> {
    let mut values = [default; 3];
    for (i, PerSplit { split, value }) in typed.iter().enumerate() {
        if typed[..i].iter().any(|earlier| earlier.split == *split) {
            return Err(Exit::Usage.error(format!("{option}: {split} is given twice")));
        }
        values[*split as usize] = *value;
    }
    Ok(values)
}

fn shares(typed: &[PerSplit<f64>]) -> anyhow::Result<BySplit<f64>> {
    let shares = by_split("--split", typed, 0.0)?;
    let sum: f64 = shares.iter().sum();
    if (sum - 1.0).abs() > 1e-6 {
        let found: Vec<_> = Split::ALL.iter().map(|s| format!("{s} {}", shares[*s as usize])).collect();
        return Err(
            Exit::Usage.error(format!("--split: expected shares that add up to 1, found {sum} ({})", found.join(", ")))
        );
    }
    Ok(shares)
}
