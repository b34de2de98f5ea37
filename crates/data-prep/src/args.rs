//! What can be typed: the command line of `data-prep`, parsed and not yet resolved.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;

use artifact::Split;
use clap::ValueEnum;
use clap::builder::{OsStringValueParser, TypedValueParser};
use hub::{Location, Wanted};
use stage::{Common, MaxBad, StageArgs, count, location_parser, name_as_text, parse_fraction, parse_location};

use crate::leaks::OnLeak;

/// What `--split` is where it is not given.
pub(crate) const DEFAULT_SPLIT: &str = "train=0.8,validation=0.1,test=0.1";

/// Turn raw pictures into an examples artifact: decoded, of one size, labelled, in splits. With
/// --tokenizer, turn texts into a prompts artifact instead: as token ids, for generate.
///
/// Rows that cannot be used are listed with their reason in rejects.parquet. A run that was
/// stopped goes on where it stopped; one that is up to date ends at once.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "data-prep", version, max_term_width = 100)]
pub struct Args {
    /// Where the pictures are: a folder, a Parquet file or a folder of them, CIFAR binary batches,
    /// a listing (.csv, .tsv, .jsonl) or tar files. May be given several times; `train=PATH` puts
    /// all of PATH into one split. Texts: a file of lines, of JSON lines, Parquet, or - for stdin.
    /// hf://datasets/OWNER/NAME[@REVISION]/PATH is fetched from a hub
    #[arg(long, value_name = "PATH", value_parser = OsStringValueParser::new().try_map(|t| TypedInput::parse(&t)))]
    pub input: Vec<TypedInput>,

    /// How the pictures or texts are stored; `auto` tells it from the names of the files
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    pub format: Format,

    /// Size in which pictures are stored, in pixels: N for a square, or HEIGHTxWIDTH [default: the
    /// size of the first picture; pictures of another size are rejected]
    #[arg(long, value_name = "N|HxW")]
    pub size: Option<Size>,

    /// How a picture is brought to --size: `squash` scales both sides apart, `crop` keeps the
    /// shape and cuts the centre [default: squash]
    #[arg(long, value_enum)]
    pub fit: Option<Fit>,

    /// Interpolation on the way to --size, antialiased as in Pillow [default: bilinear]
    #[arg(long, value_enum)]
    pub filter: Option<Filter>,

    /// Enlarge pictures that are smaller than --size instead of rejecting them; seldom wanted,
    /// since feature-extract enlarges by itself, on the device
    #[arg(long)]
    pub enlarge: bool,

    /// Use only so many rows of a split, such as train=5000,test=1000: the first ones in the order
    /// of the source, from picture folders equally many of each class. Splits not named are kept whole
    #[arg(long, value_name = "SPLIT=N", value_delimiter = ',')]
    pub take: Vec<PerSplit<u64>>,

    /// Shares by which rows without a split are given one, drawn by a hash of their id, so that
    /// adding pictures moves none; splits of the source are kept
    #[arg(
        long,
        value_name = "SPLIT=SHARE",
        value_delimiter = ',',
        default_value = DEFAULT_SPLIT
    )]
    pub split: Vec<PerSplit<f64>>,

    /// Most rows that may be unusable, as a number or a share of all; more are an error
    #[arg(long, value_name = "N|N%", default_value = "1%")]
    pub max_bad: MaxBad,

    /// Try rejects again where nothing else has changed: parts without rejects are taken over as they are
    #[arg(long, conflicts_with_all = ["overwrite", "tokenizer", "resume"])]
    pub retry_rejects: bool,

    /// What to do when the same picture, by its stored pixels, is in two splits [default: report]
    #[arg(long, value_name = "HOW", value_enum)]
    pub on_leak: Option<OnLeak>,

    /// Rows of one part (one Parquet file), the unit of work and of resume [default: 2048, fewer
    /// for large pictures so that a part stays under 16 MiB; 128 of texts]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub part_rows: Option<u32>,

    /// Rows that the built-in generator `shapes` makes [default: train=4000,test=1000]
    #[arg(long, value_name = "SPLIT=N", value_delimiter = ',', value_parser = rows_to_make)]
    pub rows: Vec<PerSplit<u64>>,

    /// Largest picture that is decoded, in pixels (height times width)
    #[arg(
        long, value_name = "N", default_value_t = picture::Limits::default().max_pixels,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub max_pixels: u64,

    /// Parquet column of the pictures [default: image or img]
    #[arg(long, value_name = "NAME")]
    pub image_column: Option<String>,

    /// Parquet column of the labels [default: label, labels or fine_label]
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,

    /// Make prompts of texts, with this tokenizer: a tokenizer.json, or a model folder that has one, also on a
    /// hub (hf://OWNER/NAME)
    #[arg(long, value_name = "PATH", value_parser = location_parser(), help_heading = "Texts")]
    pub tokenizer: Option<Location>,

    /// Key of the JSON lines, or Parquet column, that holds the text [default: text or prompt]
    #[arg(long, value_name = "NAME", help_heading = "Texts")]
    pub text_field: Option<String>,

    /// Key or column that holds the row's id, as text or a whole number, each once [default: ids are
    /// made of the file's name and the row's number]
    #[arg(long, value_name = "NAME", help_heading = "Texts")]
    pub id_field: Option<String>,

    /// Longest text (of JSON lines, longest line) that is taken, in bytes [default: 1048576]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 30), help_heading = "Texts")]
    pub max_text_bytes: Option<u32>,

    /// Options of all stages
    #[command(flatten)]
    pub common: Common,
}

impl StageArgs for Args {
    fn common(&self) -> &Common {
        &self.common
    }

    fn sources(&self) -> Vec<(&Location, Wanted)> {
        let inputs = self.input.iter().map(|input| (&input.location, Wanted::ALL));
        inputs.chain(self.tokenizer.iter().map(|tokenizer| (tokenizer, Wanted::TOKENIZER))).collect()
    }
}

/// How the pictures or texts are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Told from the names of the files
    Auto,
    /// CLASS/… or SPLIT/CLASS/…, any depth below
    Folder,
    /// Parquet as Hugging Face datasets writes it, or with plain binary pictures; texts in a column
    Parquet,
    /// CIFAR-10 binary batches: data_batch_1.bin … test_batch.bin
    Cifar10,
    /// CIFAR-100 binary batches: train.bin, test.bin; fine labels
    Cifar100,
    /// CSV, TSV or JSON lines with path, label and perhaps split
    Listing,
    /// Uncompressed tar files of KEY.jpg and KEY.cls or KEY.json
    Webdataset,
    /// Built-in generator of labelled pictures; needs no input
    Shapes,
    /// Texts: every line is one
    Lines,
    /// Texts: every line is a JSON object, a key of which holds it
    Jsonl,
}

/// What happens to the aspect ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fit {
    /// Both sides scaled apart: everything stays, shapes distort
    Squash,
    /// Shortest edge to size, then the centre cut out
    Crop,
}

/// The interpolation kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Filter {
    /// Triangle
    Bilinear,
    /// Cubic, a = −0.5
    Bicubic,
}

/// A path or a place on a hub, with the split that all of it belongs to when it was given as `train=PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedInput {
    /// As it was typed.
    pub typed: String,
    /// Where it is.
    pub location: Location,
    /// The split in front of it.
    pub split: Option<Split>,
}

/// An input on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InputPath {
    /// What to call it: as it was typed, or on a hub with its commit.
    pub(crate) typed: String,
    pub(crate) path: PathBuf,
    pub(crate) split: Option<Split>,
}

impl TypedInput {
    /// Takes a path (of any bytes) or a place on a hub, with the name of a split and `=` in front or without.
    ///
    /// # Errors
    /// A sentence for one that is empty, or no location.
    pub fn parse(typed: &OsStr) -> Result<Self, String> {
        let bytes = typed.as_bytes();
        if bytes.is_empty() {
            return Err("expected a path, found nothing".into());
        }
        let named = |end: usize| Some((Split::parse(std::str::from_utf8(&bytes[..end]).ok()?)?, &bytes[end + 1..]));
        let prefixed = bytes.iter().position(|b| *b == b'=').and_then(named);
        let (split, path) = prefixed.map_or((None, bytes), |(split, path)| (Some(split), path));
        let location = parse_location(OsStr::from_bytes(path)).map_err(|e| e.to_string())?;
        Ok(Self { typed: name_as_text(bytes), location, split })
    }
}

/// Height and width in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// In pixels.
    pub height: u32,
    /// In pixels.
    pub width: u32,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| text.parse::<u32>().ok().filter(|n| (1..=16_384).contains(n));
        let (height, width) = text.split_once(['x', '×']).unwrap_or((text, text));
        match (side(height), side(width)) {
            (Some(height), Some(width)) => Ok(Self { height, width }),
            _ => Err(format!("expected N or HEIGHTxWIDTH in pixels, each 1 to 16384, found {text:?}")),
        }
    }
}

/// A value for one split, typed as `train=VALUE`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PerSplit<T> {
    /// The split.
    pub split: Split,
    /// Its value.
    pub value: T,
}

fn per_split<T>(text: &str, value: impl Fn(&str) -> Result<T, String>) -> Result<PerSplit<T>, String> {
    let (name, rest) = text.split_once('=').ok_or_else(|| format!("expected SPLIT=VALUE, found {text:?}"))?;
    let split =
        Split::parse(name).ok_or_else(|| format!("{name:?} is no split; there are train, validation and test"))?;
    Ok(PerSplit { split, value: value(rest)? })
}

impl FromStr for PerSplit<u64> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        per_split(text, |n| n.parse().map_err(|_| format!("expected a number of rows, found {n:?}")))
    }
}

impl FromStr for PerSplit<f64> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        per_split(text, parse_fraction)
    }
}

/// Most rows of one split that are made. The index of all rows is in memory, at some 100 bytes each.
const MAX_ROWS_TO_MAKE: u64 = 100_000_000;

fn rows_to_make(text: &str) -> Result<PerSplit<u64>, String> {
    let rows: PerSplit<u64> = text.parse()?;
    if rows.value > MAX_ROWS_TO_MAKE {
        return Err(format!("expected {} rows at most, found {}", count(MAX_ROWS_TO_MAKE), count(rows.value)));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn sizes_are_height_by_width() {
        assert_eq!("224".parse(), Ok(Size { height: 224, width: 224 }));
        assert_eq!("24x32".parse(), Ok(Size { height: 24, width: 32 }));
        for wrong in ["0", "-1", "x", "24x", "99999", "1x2x3"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn rows_to_make_are_bounded_and_rows_to_take_are_not() {
        assert!(rows_to_make("train=100000000").is_ok());
        assert!(rows_to_make("train=99999999999").unwrap_err().contains("100,000,000 rows at most"));
        assert!("train=99999999999".parse::<PerSplit<u64>>().is_ok());
    }

    #[test]
    fn only_a_split_name_is_a_prefix() {
        let parse = |typed: &[u8]| TypedInput::parse(OsStr::from_bytes(typed));
        let input = parse(b"val=a/b.parquet").unwrap();
        assert_eq!((input.split, input.location), (Some(Split::Validation), Location::Path("a/b.parquet".into())));
        let input = parse(b"runs/lr=1/x").unwrap();
        assert_eq!((input.split, input.location), (None, Location::Path("runs/lr=1/x".into())));
        let input = parse(b"train=hf://datasets/o/n/x.parquet").unwrap();
        assert_eq!((input.split, input.location.is_on_hub()), (Some(Split::Train), true));
        assert!(parse(b"train=hf://n").is_err() && parse(b"").is_err());
        let input = parse(b"test=a\xff").unwrap();
        assert_eq!((input.split, input.typed.as_str()), (Some(Split::Test), "test=a%FF"));
        assert_eq!(input.location, Location::Path(OsStr::from_bytes(b"a\xff").into()));
    }
}
