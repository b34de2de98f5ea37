//! The files behind one input: what each is called there, and where it is.
//!
//! There may be millions of them, and nearly all are at the input's path joined with their name. So names are kept, and
//! paths only of the others.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::names::Names;

/// Files by number.
#[derive(Debug)]
pub(crate) struct FileList {
    root: PathBuf,
    names: Arc<Names>,
    /// Of those whose path is not `root` joined with their name: the input itself, names that are no UTF-8.
    elsewhere: HashMap<Box<str>, PathBuf>,
}

impl FileList {
    /// None yet, of files below `root`.
    pub(crate) fn below(root: &Path) -> Self {
        Self { root: root.to_path_buf(), names: Arc::default(), elsewhere: HashMap::new() }
    }

    /// An input that is a file itself: its name is empty.
    pub(crate) fn of_one(path: &Path) -> Self {
        let mut list = Self::below(path);
        list.add("", path.to_path_buf());
        list
    }

    /// Adds a file. Two of one name are one file.
    pub(crate) fn add(&mut self, name: &str, path: PathBuf) {
        // Bytes are compared: `a/./b` is as good a path as `a/b`, and not the one that was asked for.
        if self.root.join(name).as_os_str() != path.as_os_str() {
            self.elsewhere.insert(name.into(), path);
        }
        Arc::make_mut(&mut self.names).push(name);
    }

    pub(crate) fn names(&self) -> &Arc<Names> {
        &self.names
    }

    pub(crate) fn path(&self, file: usize) -> PathBuf {
        let name = self.names.get(file);
        self.elsewhere.get(name).map_or_else(|| self.root.join(name), PathBuf::clone)
    }

    /// Puts the files in byte order of their names.
    pub(crate) fn sort(&mut self) {
        Arc::make_mut(&mut self.names).sort();
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn every_path_is_the_one_that_was_added() {
        let odd = Path::new("in").join(OsStr::from_bytes(b"a/\xff.png"));
        let files = [
            ("b/1.png", PathBuf::from("in/b/1.png")),
            ("b/./2.png", PathBuf::from("in/b/./2.png")),
            ("/else/where.png", PathBuf::from("/else/where.png")),
            ("a/%FF.png", odd),
            ("beside", PathBuf::from("in/b/beside")),
            ("", PathBuf::from("in")),
        ];
        let mut list = FileList::below(Path::new("in"));
        for (name, path) in &files {
            list.add(name, path.clone());
        }
        // As text, since `b/./2.png` and `b/2.png` are equal paths.
        let found = |list: &FileList| -> Vec<_> {
            (0..list.names().len()).map(|i| (list.names().get(i).to_string(), list.path(i).into_os_string())).collect()
        };
        let mut expected = files.map(|(name, path)| (name.to_string(), path.into_os_string())).to_vec();
        assert_eq!(found(&list), expected);
        list.sort();
        expected.sort();
        assert_eq!(found(&list), expected);
        assert_eq!(list.elsewhere.len(), 3, "the others take no room");
    }
}
