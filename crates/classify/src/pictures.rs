//! Which pictures an `--input` stands for, what they are called, and what their digest is.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use artifact::{Digest, Input};
use stage::{Exit, Found, Job, check_stop, content, printable, walk};

use crate::args::Args;
use crate::deployed::save;
use crate::report::counted;

/// A file to classify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) id: String,
    pub(crate) path: PathBuf,
}

/// All files to classify.
#[derive(Debug)]
pub(crate) struct Pictures {
    pub(crate) all: Vec<Picture>,
    /// Every input by name, and how many of the pictures are of it.
    inputs: Vec<(String, usize)>,
}

impl Pictures {
    /// Of paths and what to call them: files stand for themselves and are called so, folders for all that is below them and has
    /// the name of a picture, called by its path from there, in the order of these names.
    ///
    /// # Errors
    /// Exit 66 for a path that is not there, 65 for a folder without pictures and for a name that comes twice.
    pub(crate) fn list<'a>(inputs: impl IntoIterator<Item = (&'a Path, &'a str)>) -> anyhow::Result<Self> {
        let (mut all, mut counts) = (Vec::new(), Vec::new());
        let mut n_passed_over = 0;
        for (path, name) in inputs {
            let before = all.len();
            if path.is_dir() {
                let mut below = Vec::new();
                for file in walk(path) {
                    let Found { path, name: id, .. } = file?;
                    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
                    if picture::is_extension(&extension) {
                        below.push(Picture { id, path });
                    } else {
                        n_passed_over += 1;
                    }
                }
                if below.is_empty() {
                    return Err(Exit::BadData.error(format!(
                        "--input {}: no pictures below this folder (looked for .jpg, .jpeg, .png, .webp, .gif, .bmp, .tif, .tiff)",
                        printable(name)
                    )));
                }
                below.sort_by(|a, b| a.id.cmp(&b.id));
                all.extend(below);
            } else if path.exists() {
                all.push(Picture { id: name.to_string(), path: path.to_path_buf() });
            } else {
                return Err(
                    Exit::MissingInput.error(format!("--input {}: there is no such file or folder", printable(name)))
                );
            }
            counts.push((name.to_string(), all.len() - before));
        }
        if n_passed_over > 0 {
            let files = counted(n_passed_over, "file that is no picture", "files that are no pictures");
            stage::say(format!("passed over {files} by the name"));
        }
        let mut seen = HashSet::with_capacity(all.len());
        if let Some(twice) = all.iter().find(|p| !seen.insert(p.id.as_str())) {
            return Err(Exit::BadData.error(format!(
                "two pictures would be called {:?}; every one needs a name of its own: leave out an --input that is given twice, or give the folder above both",
                twice.id
            )));
        }
        Ok(Self { all, inputs: counts })
    }

    /// One digest for every `--input`, over names and contents. Files whose size and time of change are as they were
    /// last time are not read again.
    pub(crate) fn digests(&self, job: &Job<Args>) -> anyhow::Result<Vec<Input>> {
        let mut cache = job.digest_cache();
        let mut inputs = Vec::new();
        let mut rest = self.all.as_slice();
        for (name, n) in &self.inputs {
            let (own, others) = rest.split_at(*n);
            rest = others;
            let mut lines = String::new();
            for Picture { id, path } in own {
                check_stop()?;
                lines += &format!("{id}\0{}\n", content(path, &mut cache)?);
            }
            inputs.push(Input { name: name.clone(), digest: Digest::of(lines.as_bytes()).to_string() });
        }
        save(&cache, job)?;
        Ok(inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(paths: &[&Path]) -> anyhow::Result<Pictures> {
        Pictures::list(paths.iter().map(|path| (*path, path.to_str().unwrap())))
    }

    #[test]
    fn folders_give_their_pictures_by_name_and_files_stand_for_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["b/2.PNG", "b/1.jpg", "a.webp", ".hidden.png", ".git/x.png", "notes.txt"] {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        // Named by a person, so it is tried, whatever it is called.
        let notes = root.join("notes.txt");
        let pictures = list(&[root, &notes]).unwrap();
        let ids: Vec<_> = pictures.all.iter().map(|p| p.id.as_str()).collect();
        assert_eq!(ids, ["a.webp", "b/1.jpg", "b/2.PNG", notes.to_str().unwrap()]);
        assert_eq!(pictures.inputs.iter().map(|i| i.1).collect::<Vec<_>>(), [3, 1]);
    }

    #[test]
    fn what_is_not_there_empty_or_there_twice_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refusal = |inputs: &[&Path]| {
            let error = list(inputs).unwrap_err();
            (Exit::of(&error), error.to_string())
        };
        assert_eq!(refusal(&[&dir.path().join("absent")]).0, Exit::MissingInput);
        assert_eq!(refusal(&[dir.path()]).0, Exit::BadData);
        std::fs::write(dir.path().join("x.png"), "").unwrap();
        let (exit, message) = refusal(&[dir.path(), dir.path()]);
        assert_eq!(exit, Exit::BadData);
        assert!(message.contains("\"x.png\""), "{message}");
    }
}
