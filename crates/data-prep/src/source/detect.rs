//! `--format auto`: which kind of source the inputs are, told from names alone.

use std::path::Path;

use stage::Exit;
use walkdir::WalkDir;

use super::files::extension;
use crate::args::{Format, InputPath};

/// The one format that all inputs have.
pub(super) fn format(inputs: &[InputPath]) -> anyhow::Result<Format> {
    let mut known: Option<(Format, &str)> = None;
    for input in inputs {
        let format = if input.path.is_dir() { of_folder(&input.path) } else { of_file(&input.path)? };
        match known {
            Some((first, typed)) if first != format => {
                let message = format!(
                    "inputs of different kinds: {typed} looks like {first:?} and {} like {format:?}; prepare them apart, or name one --format",
                    input.typed
                );
                return Err(Exit::Usage.error(message));
            }
            _ => known = Some((format, &input.typed)),
        }
    }
    Ok(known.map_or(Format::Folder, |(format, _)| format))
}

fn of_file(path: &Path) -> anyhow::Result<Format> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    by_name(&name).ok_or_else(|| {
        Exit::Usage.error(format!(
            "--input {}: the name shows no kind of source; expected a folder, .parquet, .csv, .tsv, .jsonl, .tar or a CIFAR .bin, or name the --format; of texts, prompts are made with --tokenizer PATH",
            path.display()
        ))
    })
}

/// What lies in the folder or one level below decides; anything else is a folder of pictures.
fn of_folder(path: &Path) -> Format {
    let entries = WalkDir::new(path).max_depth(2).follow_links(true).into_iter().flatten();
    let mut of_depth: [Option<Format>; 3] = [None; 3];
    for entry in entries.filter(|e| e.file_type().is_file()) {
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let format = match by_name(&name) {
            // A listing inside is one only if it has the name that Hugging Face gave to it.
            Some(Format::Listing) if !is_metadata(&name, entry.depth()) => None,
            format => format,
        };
        let slot = &mut of_depth[entry.depth()];
        // Parquet beats what stands beside it, such as a README in .csv.
        if slot.is_none() || format == Some(Format::Parquet) {
            *slot = format.or(*slot);
        }
    }
    of_depth.into_iter().flatten().next().unwrap_or(Format::Folder)
}

/// Names of the listing that Hugging Face's `imagefolder` looks for.
pub(super) fn is_metadata(name: &str, depth: usize) -> bool {
    depth == 1 && matches!(name, "metadata.csv" | "metadata.jsonl")
}

fn by_name(name: &str) -> Option<Format> {
    if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        return Some(Format::Webdataset);
    }
    match extension(Path::new(name)).as_str() {
        "parquet" => Some(Format::Parquet),
        "tar" => Some(Format::Webdataset),
        "csv" | "tsv" | "jsonl" => Some(Format::Listing),
        "bin" if name.starts_with("data_batch") || name.starts_with("test_batch") => Some(Format::Cifar10),
        "bin" if name == "train.bin" || name == "test.bin" => Some(Format::Cifar100),
        _ => None,
    }
}
