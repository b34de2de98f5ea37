//! What stands at an output's path when a build begins: a committed artifact, parts of an interrupted build, or what is not
//! ours to replace.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::build::{Plan, Redo};
use crate::journal::{BuildFolder, Line};
use crate::manifest::{FILE_NAME, Manifest};
use crate::{Artifact, Digest, Error, Fingerprint, Kind, Result};

/// The committed artifact at `out`, nothing, or a refusal to write there.
pub(crate) fn current(out: &Path, kind: Kind, redo: Redo) -> Result<Option<Artifact>> {
    let occupied = |found: String| Err(Error::Occupied { path: out.to_path_buf(), found });
    if out.file_name().is_none() {
        return occupied("no folder name".into());
    }
    match fs::read_dir(out) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => return occupied("a file".into()),
        Err(e) => return Err(Error::io("open", out)(e)),
        Ok(mut entries) => {
            if entries.next().is_none() {
                return Ok(None);
            }
        }
    }
    if !out.join(FILE_NAME).is_file() {
        return occupied(format!("a folder with files and without {FILE_NAME}"));
    }
    match Artifact::open(out, kind) {
        Ok(artifact) => Ok(Some(artifact)),
        Err(Error::WrongKind { found, .. }) => occupied(format!("an artifact of another kind ({found})")),
        Err(Error::Malformed { .. }) if !Manifest::is_ours(out)? => {
            occupied(format!("a folder with a {FILE_NAME} that headstart did not write"))
        }
        Err(Error::Malformed { .. }) if redo == Redo::Everything => Ok(None),
        Err(Error::Damaged { .. }) if redo != Redo::Missing => Ok(None),
        Err(e) => Err(e),
    }
}

/// Why a committed artifact does not do: settings and inputs that differ, or files that do.
pub(crate) fn reasons(artifact: &Artifact, plan: &Plan, redo: Redo) -> Vec<String> {
    let mut reasons = artifact.manifest().differences(&plan.config, &plan.inputs);
    if reasons.is_empty() {
        let why = match redo {
            Redo::Missing => "files are missing or have another size",
            Redo::Damaged => "files are missing or damaged",
            Redo::Everything => "--overwrite",
        };
        reasons.push(why.into());
    }
    reasons
}

/// The parts of an interrupted build that belong to this plan and still have their bytes.
pub(crate) fn finished_parts(
    folder: &BuildFolder,
    plan: &Plan,
    fingerprint: &Fingerprint,
) -> Result<BTreeMap<String, Line>> {
    let mut done = BTreeMap::new();
    for line in folder.journal().read()? {
        let is_planned = plan.parts.iter().any(|p| p.file == line.part.file);
        if line.fingerprint == *fingerprint && is_planned && is_intact(&folder.artifact(), &line) {
            done.insert(line.part.file.clone(), line);
        }
    }
    Ok(done)
}

/// Whether an artifact was made to the plan of this fingerprint and has all its files, as far as `redo` asks.
pub(crate) fn is_whole(artifact: &Artifact, fingerprint: &Fingerprint, redo: Redo) -> bool {
    let manifest = artifact.manifest();
    if redo == Redo::Everything || (redo == Redo::Damaged && artifact.verify().is_err()) {
        return false;
    }
    let mut sizes =
        manifest.parts.iter().map(|p| (&p.file, p.bytes)).chain(manifest.files.iter().map(|f| (&f.file, f.bytes)));
    manifest.fingerprint == *fingerprint
        && sizes.all(|(file, bytes)| fs::metadata(artifact.folder().join(file)).is_ok_and(|m| m.len() == bytes))
}

fn is_intact(folder: &Path, line: &Line) -> bool {
    Digest::of_file(&folder.join(&line.part.file)).is_ok_and(|d| d == line.part.blake3)
}
