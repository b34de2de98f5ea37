//! The artifacts that lie in a run's folder, without the pipeline that made them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use artifact::{Artifact, Input};
use serde_json::json;
use stage::Exit;

use super::{AT_REST, Line, Listing, tally};
use crate::layout::counted;

/// Where runs lie if nothing else is said.
const RUNS: &str = "runs";

/// The listing of one run, or of all below `runs/`.
pub(super) fn listings(run: Option<&Path>) -> anyhow::Result<Vec<Listing>> {
    let folders = match run {
        Some(run) => {
            if !run.is_dir() {
                return Err(Exit::MissingInput.error(format!(
                    "no run at {}; give --run the folder that holds examples/, features/ and so on",
                    run.display()
                )));
            }
            vec![run.to_path_buf()]
        }
        None => subfolders(Path::new(RUNS)),
    };
    let mut listings = Vec::new();
    for folder in folders {
        let listing = listing(&folder)?;
        if !listing.lines.is_empty() || run.is_some() {
            listings.push(listing);
        }
    }
    Ok(listings)
}

fn listing(run: &Path) -> anyhow::Result<Listing> {
    let mut lines = Vec::new();
    let paths = artifacts(run);
    for path in &paths {
        lines.push(line(run, path, &paths)?);
    }
    let advice = match (lines.is_empty(), lines.iter().all(|line| AT_REST.contains(&line.state))) {
        (true, _) => "there are no artifacts here".to_string(),
        (false, true) => String::new(),
        (false, false) => format!("{}; run the pipeline again, it makes what is missing or stale", tally(&lines)),
    };
    Ok(Listing { heading: run.display().to_string(), lines, advice, command: None })
}

/// Paths of all artifacts of a run that are there or begun, its baselines behind it.
pub(crate) fn artifacts(run: &Path) -> Vec<PathBuf> {
    let baselines = subfolders(&run.join("baseline"));
    std::iter::once(run.to_path_buf()).chain(baselines).flat_map(|folder| artifacts_of(&folder)).collect()
}

fn artifacts_of(folder: &Path) -> Vec<PathBuf> {
    let mut found: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let order = ["examples", "prompts", "features", "head", "predictions", "completions"];
    for path in subfolders(folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (name, begun) = name.strip_suffix(".building").map_or((name.as_str(), false), |n| (n, true));
        let path = folder.join(name);
        if begun || path.join("manifest.json").is_file() {
            found.insert(path, order.iter().position(|o| *o == name).unwrap_or(order.len()));
        }
    }
    let mut paths: Vec<_> = found.into_iter().collect();
    paths.sort_by(|(a, i), (b, j)| (i, a).cmp(&(j, b)));
    paths.into_iter().map(|(path, _)| path).collect()
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    let mut folders: Vec<_> = entries
        .filter(|p| p.is_dir() && !p.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.')))
        .collect();
    folders.sort();
    folders
}

fn line(run: &Path, path: &Path, paths: &[PathBuf]) -> anyhow::Result<Line> {
    let unfinished = Artifact::unfinished(path)?;
    let begun = unfinished.map(|n| format!("{} of a new one finished", counted(n as u64, "part", "parts")));
    let (state, because, manifest) = match Artifact::find(path) {
        Err(error) => ("unreadable", vec![error.to_string()], None),
        Ok(None) => {
            let n = unfinished.unwrap_or(0);
            ("incomplete", vec![format!("{} finished", counted(n as u64, "part", "parts"))], None)
        }
        Ok(Some(artifact)) => {
            let sizes = misfits(&artifact);
            let changed: Vec<_> = artifact.manifest().inputs.iter().filter_map(|i| changed(i, run, paths)).collect();
            let state = match (sizes.is_empty(), changed.is_empty()) {
                (false, _) => "damaged",
                (true, false) => "stale",
                (true, true) => "complete",
            };
            (state, sizes.into_iter().chain(changed).chain(begun).collect(), Some(artifact.manifest().clone()))
        }
    };
    let rows = manifest.as_ref().filter(|m| !m.parts.is_empty()).map(artifact::Manifest::rows);
    let name = path.strip_prefix(run).unwrap_or(path).display().to_string();
    let json = json!({
        "run": run.display().to_string(),
        "path": path.display().to_string(),
        "kind": manifest.as_ref().map(|m| m.kind.name()),
        "stage": manifest.as_ref().map(|m| m.stage.clone()),
        "fingerprint": manifest.as_ref().map(|m| m.fingerprint.to_string()),
        "state": state,
        "rows": rows,
        "parts_done": unfinished,
        "because": because,
    });
    Ok(Line { name, state, rows, because, json })
}

/// Files that are not there or have another size, which is seen without reading them.
fn misfits(artifact: &Artifact) -> Vec<String> {
    let manifest = artifact.manifest();
    let files =
        manifest.parts.iter().map(|p| (&p.file, p.bytes)).chain(manifest.files.iter().map(|f| (&f.file, f.bytes)));
    let misfit = |(file, bytes): (&String, u64)| match fs::metadata(artifact.folder().join(file)) {
        Ok(metadata) if metadata.len() == bytes => None,
        Ok(metadata) => Some(format!("{file}: expected {bytes} bytes, found {}", metadata.len())),
        Err(_) => Some(format!("{file}: not there")),
    };
    files.filter_map(misfit).collect()
}

/// What is wrong with an input that is an artifact: made again since. Files are not looked at.
///
/// A recorded path is relative to the folder that the stage was started from; from elsewhere, the artifact at the same
/// place in this run is taken for it.
fn changed(input: &Input, run: &Path, paths: &[PathBuf]) -> Option<String> {
    let named = Path::new(&input.name);
    let find = |path: &Path| Artifact::find(path).ok().flatten();
    let in_run = || {
        let below = paths.iter().filter_map(|p| p.strip_prefix(run).ok()).filter(|below| named.ends_with(below));
        find(&run.join(below.max_by_key(|below| below.components().count())?))
    };
    let now = find(named).or_else(in_run)?;
    let is_same = now.manifest().fingerprint.as_str() == input.digest;
    (!is_same).then(|| format!("{} was made again since", now.folder().display()))
}
