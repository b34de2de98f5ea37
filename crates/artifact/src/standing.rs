//! What stands at an output's path when a build begins: a committed artifact, parts of an interrupted build, or what is not
//! ours to replace.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::build::{Plan, Redo};
use crate::journal::{BuildFolder, Line};
use crate::manifest::{FILE_NAME, Manifest};
use crate::{Artifact, Digest, Error, Fingerprint, Input, Kind, Result};

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
    let manifest = artifact.manifest();
    let mut reasons = differences(&manifest.config, &manifest.inputs, plan);
    if reasons.is_empty() {
        let why = match redo {
            Redo::Missing => "files are missing or have another size",
            Redo::Damaged => "files are missing or damaged",
            Redo::OnceMore => "its rejects are tried again",
            Redo::Everything => "--overwrite",
        };
        reasons.push(why.into());
    }
    reasons
}

/// In which settings and inputs a plan differs from what something was made with, as `key: old → new`.
fn differences(config: &Value, inputs: &[Input], plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    let empty = serde_json::Map::new();
    let (old, new) = (config.as_object().unwrap_or(&empty), plan.config.as_object().unwrap_or(&empty));
    let mut keys: Vec<_> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let (a, b) = (old.get(key).unwrap_or(&Value::Null), new.get(key).unwrap_or(&Value::Null));
        if a != b {
            let shown = |value: &Value| if value.is_null() { "none".to_string() } else { value.to_string() };
            found.push(format!("{key}: {} → {}", shown(a), shown(b)));
        }
    }
    let digests = |inputs: &[Input]| inputs.iter().map(|i| i.digest.clone()).collect::<Vec<_>>();
    if digests(inputs) != digests(&plan.inputs) {
        let only_in = |these: &[Input], those: &[Input]| -> String {
            let these = these.iter().filter(|i| !those.iter().any(|o| o.digest == i.digest));
            these.map(|i| i.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let (now, before) = (only_in(&plan.inputs, inputs), only_in(inputs, &plan.inputs));
        found.push(match (now.is_empty(), before.is_empty()) {
            (false, _) => format!("changed input: {now}"),
            (true, false) => format!("no longer an input: {before}"),
            (true, true) => "inputs in another order".to_string(),
        });
    }
    found
}

/// Refuses a plan by which something finished would go: an interrupted build that was begun with other settings or, where
/// there is none, a committed artifact that was made with others.
pub(crate) fn refuse_others(current: Option<&Artifact>, folder: &BuildFolder, plan: &Plan) -> Result<()> {
    let fingerprint = plan.fingerprint();
    let refuse = |path: &Path, differences: Vec<String>| {
        Err(Error::OtherSettings { path: path.to_path_buf(), differences: differences.join("; ") })
    };
    match folder.begun()? {
        Some(begun) if begun.fingerprint == fingerprint => return Ok(()),
        Some(begun) => return refuse(&folder.root, differences(&begun.config, &begun.inputs, plan)),
        None => {}
    }
    let lines = folder.journal().read()?;
    if let Some(line) = lines.iter().find(|line| line.fingerprint != fingerprint) {
        let found = &line.fingerprint;
        return refuse(&folder.root, vec![format!("fingerprint: {found} → {fingerprint} (its settings are lost)")]);
    }
    match current.map(|artifact| (artifact, artifact.manifest())) {
        Some((artifact, manifest)) if lines.is_empty() && manifest.fingerprint != fingerprint => {
            refuse(artifact.folder(), differences(&manifest.config, &manifest.inputs, plan))
        }
        _ => Ok(()),
    }
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
    if matches!(redo, Redo::Everything | Redo::OnceMore) || (redo == Redo::Damaged && artifact.verify().is_err()) {
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
