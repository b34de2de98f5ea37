//! Which files of a repository go with the one that was named, or are wanted of the folder that was.

use crate::Reference;

/// What is wanted of a location.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Of a file: those that go with it where they exist, relative to its folder. A `*` in front stands for the file's
    /// own name, and then the rest only has to be how the name goes on: `*_data` is `model.onnx_data_1` too.
    pub beside: &'static [&'static str],
    /// Of a folder.
    pub of_folder: OfFolder,
}

/// What is wanted of a folder.
#[derive(Debug, Clone, Copy)]
pub enum OfFolder {
    /// A file is needed, a folder is an error.
    Nothing,
    /// All that is in it.
    Everything,
    /// Certain files, relative to it.
    Named {
        /// The first of these of which all files exist.
        one_of: &'static [&'static [&'static str]],
        /// Those of these that exist. A `*` in front stands for each name that `one_of` gave.
        also: &'static [&'static str],
    },
}

impl Wanted {
    /// One file and nothing else.
    pub const FILE: Self = Self { beside: &[], of_folder: OfFolder::Nothing };
    /// A file, or all of a folder.
    pub const ALL: Self = Self { beside: &[], of_folder: OfFolder::Everything };
    /// A file, or the tokenizer.json of a folder or of the one above it.
    pub const TOKENIZER: Self = Self {
        beside: &[],
        of_folder: OfFolder::Named { one_of: &[&["tokenizer.json"], &["../tokenizer.json"]], also: &[] },
    };
}

/// What comes of it, given a list of files.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// These, by their paths in the repository; whether they are whatever the list has.
    Files { paths: Vec<String>, is_all_there_is: bool },
    /// Nothing; what there is instead.
    None { near: Vec<String> },
    /// A folder where a file is wanted.
    FolderNotFile { near: Vec<String> },
}

/// Names that are given as a hint.
const MAX_NEAR: usize = 8;

impl Selection {
    pub(crate) fn new(reference: &Reference, wanted: &Wanted, files: &[String]) -> Self {
        let path = reference.path();
        let has = |file: &String| files.contains(file);
        if has(&path.to_string()) {
            let beside = expanded(wanted.beside, &[path.to_string()], folder_of(path), files);
            let paths = std::iter::once(path.to_string()).chain(beside.into_iter().filter(|f| f != path)).collect();
            return Self::Files { paths, is_all_there_is: false };
        }
        let front = if path.is_empty() { String::new() } else { format!("{path}/") };
        let inside: Vec<String> = files.iter().filter(|f| f.starts_with(&front)).cloned().collect();
        if inside.is_empty() {
            return Self::None { near: near(path, files) };
        }
        match wanted.of_folder {
            OfFolder::Nothing => Self::FolderNotFile { near: near(path, &inside) },
            OfFolder::Everything => Self::Files { paths: inside, is_all_there_is: true },
            OfFolder::Named { one_of, also } => {
                let of_each = |names: &&[&str]| names.iter().map(|n| below(path, n)).collect::<Option<Vec<String>>>();
                let chosen = one_of.iter().filter_map(of_each).find(|paths| paths.iter().all(has));
                let Some(mut paths) = chosen else { return Self::None { near: near(path, &inside) } };
                let others = expanded(also, &paths, path, files);
                paths.extend(others);
                Self::Files { paths, is_all_there_is: false }
            }
        }
    }

    /// Whether a list that lacks files would have given something else without anyone noticing.
    pub(crate) fn needs_the_whole_list(&self) -> bool {
        matches!(self, Self::Files { is_all_there_is: true, .. })
    }
}

/// The files that exist of some names: `*REST` beside each of `of`, others relative to `folder`.
fn expanded(names: &[&str], of: &[String], folder: &str, files: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for name in names {
        match name.strip_prefix('*') {
            Some(rest) => {
                let fronts: Vec<String> = of.iter().map(|one| format!("{one}{rest}")).collect();
                found.extend(files.iter().filter(|f| fronts.iter().any(|front| f.starts_with(front))).cloned());
            }
            None => found.extend(below(folder, name).filter(|f| files.contains(f))),
        }
    }
    let mut seen = Vec::new();
    found.retain(|f| {
        !of.contains(f) && !seen.contains(f) && {
            seen.push(f.clone());
            true
        }
    });
    found
}

/// A name relative to a folder; nothing if it leads out of the repository.
fn below(folder: &str, name: &str) -> Option<String> {
    let mut words: Vec<&str> = folder.split('/').filter(|w| !w.is_empty()).collect();
    for word in name.split('/') {
        if word == ".." { words.pop().map(|_| ())? } else { words.push(word) }
    }
    Some(words.join("/"))
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Files that may have been meant: of the same name or kind elsewhere, else the first ones.
fn near(path: &str, files: &[String]) -> Vec<String> {
    let name = |p: &str| p.rsplit('/').next().unwrap_or_default().to_string();
    let ending = name(path).rsplit_once('.').map_or(".onnx".to_string(), |(_, e)| format!(".{e}"));
    let alike = |f: &&String| name(f) == name(path) || f.ends_with(&ending);
    let mut found: Vec<String> = files.iter().filter(alike).take(MAX_NEAR).cloned().collect();
    if found.is_empty() {
        found = files.iter().take(MAX_NEAR).cloned().collect();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: Wanted = Wanted {
        beside: &["*_data", "config.json", "../config.json"],
        of_folder: OfFolder::Named {
            one_of: &[&["a.onnx"], &["b.onnx", "c.onnx"], &["onnx/a.onnx"]],
            also: &["*_data", "config.json", "../config.json", "onnx/config.json"],
        },
    };

    fn paths(location: &str, files: &[&str]) -> Vec<String> {
        let files: Vec<String> = files.iter().map(ToString::to_string).collect();
        match Selection::new(&location.parse().unwrap(), &MODEL, &files) {
            Selection::Files { paths, .. } => paths,
            other => vec![format!("{other:?}")],
        }
    }

    #[test]
    fn what_goes_with_a_file_comes_along_if_it_exists() {
        let files = ["config.json", "onnx/a.onnx", "onnx/a.onnx_data", "onnx/a.onnx_data_1", "onnx/b.onnx_data"];
        let expected = ["onnx/a.onnx", "onnx/a.onnx_data", "onnx/a.onnx_data_1", "config.json"];
        assert_eq!(paths("hf://o/n/onnx/a.onnx", &files), expected);
        // Nothing lies above the root.
        assert_eq!(paths("hf://o/n/a.onnx", &["a.onnx", "config.json"]), ["a.onnx", "config.json"]);
    }

    #[test]
    fn of_a_folder_the_first_whole_choice_is_taken() {
        assert_eq!(paths("hf://o/n", &["b.onnx", "c.onnx", "onnx/a.onnx"]), ["b.onnx", "c.onnx"]);
        assert_eq!(paths("hf://o/n", &["b.onnx", "onnx/a.onnx", "config.json"]), ["onnx/a.onnx", "config.json"]);
        assert_eq!(paths("hf://o/n/onnx", &["config.json", "onnx/a.onnx"]), ["onnx/a.onnx", "config.json"]);
    }

    #[test]
    fn what_is_not_there_is_answered_with_what_is() {
        assert!(paths("hf://o/n/model.onnx", &["onnx/model.onnx", "README.md"])[0].contains("onnx/model.onnx"));
        assert!(paths("hf://o/n", &["model_q4.onnx"])[0].contains("model_q4.onnx"));
        let files = ["onnx/a.onnx".to_string()];
        let folder = Selection::new(&"hf://o/n/onnx".parse().unwrap(), &Wanted::FILE, &files);
        assert_eq!(folder, Selection::FolderNotFile { near: files.to_vec() });
    }
}
