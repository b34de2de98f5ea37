//! The index: every row of the source with its id, label, split and place, and nothing decoded.
//!
//! One file per kind of source makes an [`Index`]; how a row's bytes are fetched afterwards is the
//! business of `load`.

mod built_in;
mod cifar;
mod detect;
mod file_list;
pub(crate) mod files;
mod folder;
mod listing;
mod names;
mod parquet;
mod webdataset;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use artifact::{Digest, Split};
use stage::{Exit, printable};

pub(crate) use file_list::FileList;
pub(crate) use names::Names;
pub(crate) use parquet::Table;

use crate::args::{Format, InputPath};
use crate::classes::Label;
use crate::report::counted;
use crate::settings::Settings;

/// Everything that is known of the source before a picture is read.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) rows: Vec<Row>,
    /// The rows' ids, in their order.
    pub(crate) ids: Arc<Names>,
    /// Class names; a label is an index into them. Empty if nothing is labelled.
    pub(crate) classes: Vec<String>,
    pub(crate) storage: Storage,
    pub(crate) materials: Vec<Material>,
    /// Whether rows come class after class, so that the first N of them are all of one class.
    pub(crate) is_sorted_by_class: bool,
    /// Facts that the row ids depend on and that are not in the content of the files.
    pub(crate) identity: serde_json::Value,
}

/// One row of the source. There are millions of them, so they are kept small.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Counts in [`Index::ids`].
    pub(crate) id: u32,
    pub(crate) label: Label,
    pub(crate) split: Option<Split>,
    pub(crate) place: Place,
}

/// Where the picture of a row is. `list` and `file` count in [`Storage`].
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A file of its own.
    File { list: u32, file: u32 },
    /// A row of a Parquet file.
    Row { file: u32, row: u32 },
    /// A stretch of a file: a member of a tar, a record of a CIFAR batch.
    Stretch { file: u32, offset: u64, bytes: u64 },
    /// Picture `index` of the built-in generator.
    Drawn { index: u64 },
}

/// What the places of an index point into.
#[derive(Debug)]
pub(crate) enum Storage {
    /// Files of their own, a list for every input.
    Files(Vec<Arc<FileList>>),
    /// Parquet files.
    Parquet(Vec<Table>),
    /// Tar files, holding encoded pictures.
    Tar(Vec<Opened>),
    /// CIFAR batches, holding 32×32 pixels, first all red ones, then green, then blue.
    Cifar(Vec<Opened>),
    /// The built-in generator.
    Shapes { seed: u64 },
}

/// A file that stays open between index and load.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
}

/// Something that the fingerprint depends on.
#[derive(Debug)]
pub(crate) enum Material {
    /// The files behind one `--input`, under the names that they have there.
    Files { typed: String, files: Arc<FileList> },
    /// A generator of this program, in this version.
    BuiltIn { name: &'static str, version: &'static str },
    /// What came on stdin.
    Stdin { digest: Digest },
}

/// Reads the index of whatever the settings point at.
pub(crate) fn index(settings: &Settings) -> anyhow::Result<Index> {
    settings.inputs.iter().try_for_each(check_exists)?;
    let inputs = &settings.inputs;
    let format = match settings.format {
        Format::Auto => detect::format(inputs)?,
        format => format,
    };
    refuse_columns(settings, format)?;
    let index = match format {
        Format::Auto | Format::Folder => folder::index(inputs),
        Format::Parquet => parquet::index(inputs, &settings.columns),
        Format::Cifar10 => cifar::index(inputs, cifar::Flavour::Ten),
        Format::Cifar100 => cifar::index(inputs, cifar::Flavour::Hundred),
        Format::Listing => listing::index(inputs),
        Format::Webdataset => webdataset::index(inputs),
        Format::Shapes => Ok(built_in::index(&settings.shape_rows, settings.seed)),
        Format::Lines | Format::Jsonl => Err(Exit::Bug.error("texts are no pictures")),
    }?;
    if index.rows.is_empty() {
        return Err(nothing_found(inputs, looked_for(format)));
    }
    tracing::debug!(
        "read as {format:?}: {}, {}",
        counted(index.rows.len() as u64, "row", "rows"),
        counted(index.classes.len() as u64, "class", "classes")
    );
    Ok(index)
}

/// A column that was named, and that nothing would look for.
fn refuse_columns(settings: &Settings, format: Format) -> anyhow::Result<()> {
    let columns = &settings.columns;
    let named = [("--image-column", columns.image_is_named), ("--label-column", columns.label_is_named)];
    match named.into_iter().find(|(_, is_named)| *is_named && format != Format::Parquet) {
        Some((option, _)) => Err(Exit::Usage.error(format!(
            "{option} names a column of a Parquet file, and the source is of the kind {format:?}: leave {option} out"
        ))),
        None => Ok(()),
    }
}

/// Gives rows their labels, which may depend on those of all others.
fn set_labels(rows: &mut [Row], labels: Vec<Label>) {
    rows.iter_mut().zip(labels).for_each(|(row, label)| row.label = label);
}

impl Opened {
    fn open(path: &Path) -> anyhow::Result<Self> {
        use anyhow::Context;
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { path: path.to_path_buf(), file })
    }
}

fn looked_for(format: Format) -> &'static str {
    match format {
        Format::Auto | Format::Folder => folder::LOOKED_FOR,
        Format::Parquet => "rows of *.parquet",
        Format::Cifar10 => "data_batch_*.bin and test_batch.bin",
        Format::Cifar100 => "train.bin and test.bin",
        Format::Listing => "rows of a .csv, .tsv or .jsonl file",
        Format::Webdataset => "KEY.jpg, KEY.png or another picture in *.tar",
        Format::Shapes => "--rows with at least one row",
        Format::Lines | Format::Jsonl => "lines",
    }
}

/// The refusal of inputs that hold nothing of what was looked for.
fn nothing_found(inputs: &[InputPath], looked_for: &str) -> anyhow::Error {
    let typed: Vec<_> = inputs.iter().map(|i| printable(&i.typed)).collect();
    let place = if typed.is_empty() { "the built-in generator".to_string() } else { typed.join(", ") };
    Exit::BadData
        .error(format!("no pictures found in {place} (looked for {looked_for}); --format names another kind of source"))
}

/// Refuses an input that is not there, or that is neither a file nor a folder.
pub(crate) fn check_exists(input: &InputPath) -> anyhow::Result<()> {
    match std::fs::metadata(&input.path) {
        // Inputs are read more than once: for the index, for the digest, and for the rows.
        Ok(_) => stage::refuse_special_file(format_args!("--input {}", input.typed), &input.path),
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            let is_linked = input.path.components().collect::<PathBuf>().to_string_lossy().contains("data/local");
            let hint = if is_linked { "; link a folder that has it with: just data FOLDER" } else { "" };
            let typed = printable(&input.typed);
            Err(Exit::MissingInput.error(format!("--input {typed}: there is no such file or folder{hint}")))
        }
        Err(e) => Err(Exit::Io.error(format!("--input {}: {e}", printable(&input.typed)))),
    }
}
