//! Which files an `--input` stands for, what they are called in ids, and in which split they are.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use artifact::Split;
use picture::Rejected;
use serde_json::{Value, json};
use stage::{Found, name_as_text, refuse_special_file, walk};

use super::{FileList, Material, Place, Row};
use crate::args::InputPath;
use crate::classes::Label;

/// A file that holds many rows.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    /// What the ids of its rows begin with: its stem, or folder and stem where stems repeat.
    pub(crate) name: String,
    /// By `train=PATH`, else by its own name, else by its folder's.
    pub(super) split: Option<Split>,
    /// Counts in the list of inputs.
    input: usize,
    /// Its path below the input, empty if it is the input.
    relative: String,
}

impl SourceFile {
    /// A file in the same folder that says more of all files; for the fingerprint it is one of the first input.
    pub(super) fn beside(&self, name: &str) -> Self {
        Self { path: self.path.with_file_name(name), relative: name.to_string(), input: 0, ..self.clone() }
    }
}

/// The files of the wanted extension: the inputs themselves and whatever lies in those that are
/// folders, in byte order.
///
/// # Errors
/// Exit 65 for a pipe, a socket or a device in a folder, 74 for a folder that cannot be listed.
pub(crate) fn find(inputs: &[InputPath], is_wanted: impl Fn(&str) -> bool) -> anyhow::Result<Vec<SourceFile>> {
    let mut found = Vec::new();
    for (i, input) in inputs.iter().enumerate() {
        let mut paths = Vec::new();
        if input.path.is_dir() {
            for file in walk(&input.path) {
                let Found { path, name: relative, .. } = file?;
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if is_wanted(&name) {
                    refuse_special_file(path.display(), &path)?;
                    paths.push((relative, path));
                }
            }
            paths.sort();
        } else {
            paths.push((String::new(), input.path.clone()));
        }
        for (relative, path) in paths {
            let split = input.split.or_else(|| split_of(&path));
            found.push(SourceFile { name: stem(&path), path, split, input: i, relative });
        }
    }
    let stems: HashSet<_> = found.iter().map(|f| f.name.clone()).collect();
    if stems.len() < found.len() {
        for file in &mut found {
            let folder = file.path.parent().and_then(Path::file_name).unwrap_or_default();
            file.name = format!("{}/{}", as_text(folder), file.name);
        }
    }
    Ok(found)
}

/// Makes rejects of the rows whose picture would be one of `special`: nothing but files is opened.
pub(super) fn refuse_special(rows: &mut [Row], lists: &[Arc<FileList>], special: &HashMap<PathBuf, &'static str>) {
    if special.is_empty() {
        return;
    }
    for row in rows {
        let Place::File { list, file } = row.place else { continue };
        let path = lists[list as usize].path(file as usize);
        if let Some(what) = special.get(&path) {
            row.label = Label::Bad(Box::new(Rejected::not_a_file(&path, what).into()));
        }
    }
}

/// What the fingerprint depends on: for every input, its files.
pub(crate) fn materials<'a>(inputs: &[InputPath], files: impl IntoIterator<Item = &'a SourceFile>) -> Vec<Material> {
    let mut lists: Vec<_> = inputs.iter().map(|input| FileList::below(&input.path)).collect();
    files.into_iter().for_each(|file| lists[file.input].add(&file.relative, file.path.clone()));
    materials_of(inputs, lists.into_iter().map(Arc::new))
}

/// As [`materials`], of lists of files, one for every input.
pub(super) fn materials_of(inputs: &[InputPath], lists: impl IntoIterator<Item = Arc<FileList>>) -> Vec<Material> {
    let material = |(input, files): (&InputPath, _)| Material::Files { typed: input.typed.clone(), files };
    inputs.iter().zip(lists).map(material).collect()
}

/// Names and splits, which ids and parts depend on and the files' content does not show.
pub(super) fn identity(files: &[SourceFile]) -> Value {
    files.iter().map(|f| json!({ "name": f.name, "split": f.split })).collect()
}

/// The file's extension in lower case, empty if it has none.
pub(crate) fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

fn stem(path: &Path) -> String {
    as_text(path.file_stem().unwrap_or_default())
}

fn as_text(name: &OsStr) -> String {
    name_as_text(name.as_encoded_bytes())
}

/// The split that a file's name shows (`train-00000-of-00014`, `data_test`), else its folder's name.
fn split_of(path: &Path) -> Option<Split> {
    let named = |name: &str| name.split(['-', '_', '.', ' ']).find_map(Split::parse);
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    named(&stem(path)).or_else(|| Split::parse(&folder.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_told_by_name_then_by_folder() {
        assert_eq!(split_of(Path::new("d/train-00000-of-00014.parquet")), Some(Split::Train));
        assert_eq!(split_of(Path::new("train/x_valid.parquet")), Some(Split::Validation));
        assert_eq!(split_of(Path::new("test/0000.parquet")), Some(Split::Test));
        assert_eq!(split_of(Path::new("d/latest.parquet")), None);
    }
}
