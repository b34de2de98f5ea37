//! What the artifact is made from: where it is, its digests, and that it is not the artifact itself.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use artifact::{Digest, DigestCache, Input};
use hub::Wanted;
use stage::{Exit, Job, check_stop, digest_or_reason, path_as_text};

use crate::args::{Args, InputPath, TypedInput};
use crate::source::Material;

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
    /// Of every file: where it is, and a line of its name and digest.
    files: Vec<(Arc<Path>, Box<str>)>,
}

impl Digested {
    /// One digest over all files but those at `sources`, which are paths as rejects have them.
    pub(crate) fn without(&self, sources: &HashSet<&str>) -> Digest {
        let kept = self.files.iter().filter(|(path, _)| !sources.contains(path_as_text(path).as_str()));
        Digest::of_all(kept.map(|(_, line)| line.as_bytes()))
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
                Input { name: typed, digest: of_files(files, &mut cache, &mut digested.files)? }
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

fn of_files(
    files: Vec<(String, Arc<Path>)>,
    cache: &mut DigestCache,
    all: &mut Vec<(Arc<Path>, Box<str>)>,
) -> anyhow::Result<String> {
    if let [(name, path)] = files.as_slice()
        && name.is_empty()
    {
        let digest = cache.digest(path)?.to_string();
        all.push((Arc::clone(path), format!("{digest}\n").into()));
        return Ok(digest);
    }
    let before = all.len();
    all.reserve_exact(files.len());
    for (name, path) in files {
        check_stop()?;
        let line = format!("{name}\0{}\n", digest_or_reason(&path, cache)?);
        all.push((path, line.into()));
    }
    let mut lines: Vec<_> = all[before..].iter().map(|(_, line)| line.as_bytes()).collect();
    lines.sort_unstable();
    Ok(Digest::of_all(lines).to_string())
}
