//! What the artifact is made from: where it is, its digests, and that it is not the artifact itself.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use artifact::{Digest, DigestCache, Input};
use hub::Wanted;
use stage::{Content, Exit, Job, check_stop, content, path_as_text};

use crate::args::{Args, InputPath, TypedInput};
use crate::source::{FileList, Material};

/// The inputs on this machine: those on a hub are fetched.
pub(crate) fn local(args: &Args) -> anyhow::Result<Vec<InputPath>> {
    let local = |input: &TypedInput| {
        let found = stage::fetch(&input.location, &Wanted::ALL, &args.common)?;
        let split = input.split.filter(|_| input.location.is_on_hub());
        let typed = match split {
            Some(split) => format!("{split}={}", found.name),
            None if input.location.is_on_hub() => found.name,
            None => input.typed.clone(),
        };
        Ok(InputPath { typed, path: found.path, split: input.split })
    };
    args.input.iter().map(local).collect()
}

/// Refuses an output inside a folder that is read: it would be part of its own input.
pub(crate) fn check_apart(inputs: &[InputPath], out: &Path) -> anyhow::Result<()> {
    let out_resolved = resolved(out);
    for input in inputs.iter().filter(|i| i.path.is_dir()) {
        if out_resolved.starts_with(resolved(&input.path)) {
            return Err(Exit::Usage.error(format!(
                "the output {} would lie inside --input {}, and be part of its own input; give another --out or --run",
                out.display(),
                input.typed
            )));
        }
    }
    Ok(())
}

/// The path without links, as far as it is there.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let there = absolute.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    match there {
        Some((above, canonical)) => canonical.join(absolute.strip_prefix(above).unwrap_or(Path::new(""))),
        None => absolute,
    }
}

/// What an artifact is made from, by digests.
#[derive(Debug)]
pub(crate) struct Digested {
    /// One for every `--input`: of the file, or of the sorted list of names and file digests.
    pub(crate) inputs: Vec<Input>,
    files: Vec<Known>,
}

/// The files of an input and, in their order, what they hold.
#[derive(Debug)]
struct Known {
    files: Arc<FileList>,
    contents: Vec<Content>,
}

impl Digested {
    /// One digest over all files but those at `sources`, which are paths as rejects have them.
    pub(crate) fn without(&self, sources: &HashSet<&str>) -> Digest {
        let is_kept = |path: &Path| sources.is_empty() || !sources.contains(path_as_text(path).as_str());
        let files = self.files.iter().flat_map(|known| (0..known.contents.len()).map(move |file| (known, file)));
        let kept = files.filter(|(known, file)| is_kept(&known.files.path(*file)));
        Digest::of_all(kept.map(|(known, file)| known.line(file)))
    }
}

/// Digests of all inputs. Files whose size and time of change are as they were last time are not read again.
pub(crate) fn digests(materials: Vec<Material>, mut cache: DigestCache, job: &Job<Args>) -> anyhow::Result<Digested> {
    let mut digested = Digested { inputs: Vec::new(), files: Vec::new() };
    for material in materials {
        let input = match material {
            Material::BuiltIn { name, version } => Input { name: name.into(), digest: version.into() },
            Material::Stdin { digest } => Input { name: "-".into(), digest: digest.to_string() },
            Material::Files { typed, files } => {
                let known = Known::of(files, &mut cache)?;
                let digest = known.digest();
                digested.files.push(known);
                Input { name: typed, digest }
            }
        };
        digested.inputs.push(input);
    }
    // A dry run touches nothing, not even the cache.
    if !job.args.common.dry_run {
        cache.save()?;
    }
    Ok(digested)
}

impl Known {
    fn of(files: Arc<FileList>, cache: &mut DigestCache) -> anyhow::Result<Self> {
        if is_itself(&files) {
            // No row could be made of it, so that it cannot be read ends the stage.
            return Ok(Self { contents: vec![Content::Read(cache.hash(&files.path(0))?)], files });
        }
        let n_files = files.names().len();
        let mut contents = Vec::with_capacity(n_files);
        for file in 0..n_files {
            check_stop()?;
            contents.push(content(&files.path(file), cache)?);
        }
        Ok(Self { files, contents })
    }

    /// Of the file, or of the lines of all files in byte order.
    fn digest(&self) -> String {
        if is_itself(&self.files) {
            return self.contents[0].to_string();
        }
        // Lines are sorted as names are: the byte behind a name is below all that may be in one.
        let lines = self.files.names().order().into_iter().map(|file| self.line(file as usize));
        Digest::of_all(lines).to_string()
    }

    /// A file's name and what it holds.
    fn line(&self, file: usize) -> String {
        let content = &self.contents[file];
        if is_itself(&self.files) {
            return format!("{content}\n");
        }
        format!("{}\0{content}\n", self.files.names().get(file))
    }
}

/// Whether the input is no folder but a file.
fn is_itself(files: &FileList) -> bool {
    files.names().len() == 1 && files.names().get(0).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_of_sorted_lines_and_go_without_what_was_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        // As bytes: `a`, then `a b`, then `a/b`.
        let names = ["a/b", "a", "absent", "a b"];
        let mut files = FileList::below(dir.path());
        for name in names {
            files.add(name, path(&name.replace('/', "-")));
            if name != "absent" {
                std::fs::write(path(&name.replace('/', "-")), name).unwrap();
            }
        }
        let mut cache = DigestCache::empty(&path("digests.json"));
        let known = Known::of(files.into(), &mut cache).unwrap();
        let line = |name: &str| match name {
            "absent" => format!("{name}\0{}\n", std::io::ErrorKind::NotFound),
            _ => format!("{name}\0{}\n", Digest::of(name.as_bytes())),
        };
        assert_eq!(known.digest(), Digest::of_all(["a", "a b", "a/b", "absent"].map(line)).to_string());

        let itself = Known::of(FileList::of_one(&path("a")).into(), &mut cache).unwrap();
        assert_eq!(itself.digest(), Digest::of(b"a").to_string());
        let digested = Digested { inputs: Vec::new(), files: vec![known, itself] };
        let of_itself = format!("{}\n", Digest::of(b"a"));
        let without = |sources: &[PathBuf]| {
            let sources: Vec<_> = sources.iter().map(|source| path_as_text(source)).collect();
            digested.without(&sources.iter().map(String::as_str).collect())
        };
        // In the order in which they are listed.
        assert_eq!(without(&[]), Digest::of_all([names.map(line).concat(), of_itself.clone()]));
        assert_eq!(without(&[path("absent"), path("a-b")]), Digest::of_all([line("a"), line("a b"), of_itself]));
    }
}
