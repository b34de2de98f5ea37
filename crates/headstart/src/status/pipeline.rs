//! The artifacts of a pipeline, as its stages judge them.
//!
//! What the stages cannot see is added here: an artifact whose own settings agree is `blocked` all the same, if what
//! it is made from will be made again.

use std::path::{Path, PathBuf};

use artifact::{Artifact, Kind};
use serde_json::json;
use stage::{Exit, Outlook, Previewed, State};

use super::{AT_REST, Line, Listing, tally};
use crate::args::Status;
use crate::layout::{counted, quoted};
use crate::programs::{Asked, STAGES};

/// What stages make, in their order.
const KINDS: [Kind; 6] =
    [Kind::Examples, Kind::Prompts, Kind::Features, Kind::Head, Kind::Predictions, Kind::Completions];

/// What is known of the artifacts that other stages read.
struct Upstream {
    path: PathBuf,
    name: String,
    state: &'static str,
    because: Vec<String>,
}

pub(super) fn listing(file: &Path, typed: &Status) -> anyhow::Result<Listing> {
    let asked = Asked { pipeline: file.to_path_buf(), run: typed.run.clone(), sets: typed.set.clone() };
    let mut previews = Vec::new();
    for stage in &STAGES {
        let name = (stage.command)().get_name().to_string();
        previews.extend((stage.preview)(&asked)?.into_iter().flatten().map(|p| (name.clone(), p)));
    }
    let run = previews.first().map(|(_, p)| p.run.clone()).unwrap_or_default();
    // Prompts and examples are of one stage; which it would make shows in who reads them.
    let is_text = !previews.iter().any(|(stage, _)| stage == Kind::Features.stage());
    let kinds: Vec<Kind> = KINDS.into_iter().filter(|k| *k != Kind::Examples || !is_text).collect();
    let mut upstream: Vec<Upstream> = Vec::new();
    let mut lines = Vec::new();
    for (stage, preview) in &previews {
        let (line, path) = line(stage, preview, &kinds, &upstream);
        let because = line.because.clone();
        upstream.push(Upstream { path: absolute(&path), name: line.name.clone(), state: line.state, because });
        lines.push((preview.baseline.clone(), line));
    }
    // The pipeline itself first, then one baseline after the other; within each the order of the stages.
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    let lines: Vec<Line> = lines.into_iter().map(|(_, line)| line).collect();
    let heading = format!("{} → {}", file.display(), run.display());
    if lines.iter().all(|line| AT_REST.contains(&line.state)) {
        return Ok(Listing { heading, lines, advice: "everything is fresh".to_string(), command: None });
    }
    let advice = format!("{}; this makes what is not fresh:", tally(&lines));
    Ok(Listing { heading, lines, advice, command: Some(command(file, typed)) })
}

/// What makes the pipeline's artifacts with the same arguments, for a shell.
fn command(file: &Path, typed: &Status) -> String {
    let mut words = vec!["just".to_string(), "pipeline".to_string(), file.display().to_string()];
    words.extend(typed.run.iter().flat_map(|run| ["--run".to_string(), run.display().to_string()]));
    words.extend(typed.set.iter().flat_map(|set| ["--set".to_string(), set.clone()]));
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn line(stage: &str, preview: &Previewed, kinds: &[Kind], upstream: &[Upstream]) -> (Line, PathBuf) {
    let (state, because, path, rows, parts) = match &preview.outlook {
        Ok(outlook) => {
            let (state, because) = judged(outlook, upstream);
            (state, because, outlook.out.clone(), outlook.rows, Some((outlook.n_parts, parts_done(&outlook.state))))
        }
        Err(error) => {
            let (state, because) = refused(error, upstream);
            let (path, rows) = place(stage, preview, kinds);
            (state, because, path, rows, None)
        }
    };
    let name = path.strip_prefix(&preview.run).unwrap_or(&path).display().to_string();
    let kind = preview.outlook.as_ref().ok().map(|o| o.kind.name());
    let json = json!({
        "stage": stage,
        "baseline": preview.baseline,
        "kind": kind,
        "path": path.display().to_string(),
        "state": state,
        "rows": rows,
        "parts": parts.map(|(n, _)| n),
        "parts_done": parts.map(|(_, done)| done),
        "because": because,
    });
    (Line { name, state, rows, because, json }, path)
}

fn judged(outlook: &Outlook, upstream: &[Upstream]) -> (&'static str, Vec<String>) {
    let waits: Vec<String> = outlook
        .inputs
        .iter()
        // An input is an artifact or, as the classifier in a head, a file of one.
        .filter_map(|input| upstream.iter().find(|u| absolute(Path::new(&input.name)).starts_with(&u.path)))
        .filter(|u| !AT_REST.contains(&u.state))
        .map(|u| format!("{} is {}", u.name, u.state))
        .collect();
    let progress = |done: usize| format!("{done} of {} finished", counted(outlook.n_parts as u64, "part", "parts"));
    match &outlook.state {
        State::Stale { because, parts_done } => {
            let progress = (*parts_done > 0).then(|| progress(*parts_done));
            ("stale", because.iter().cloned().chain(progress).chain(waits).collect())
        }
        State::Incomplete { parts_done } => {
            ("incomplete", std::iter::once(progress(*parts_done)).chain(waits).collect())
        }
        _ if !waits.is_empty() => ("blocked", waits),
        state => (state.name(), Vec::new()),
    }
}

/// A stage whose input is not there cannot say more than that.
fn refused(error: &anyhow::Error, upstream: &[Upstream]) -> (&'static str, Vec<String>) {
    use artifact::Error as E;
    let input = error.chain().find_map(|link| match link.downcast_ref::<E>() {
        Some(E::Missing { path, .. } | E::Incomplete { path, .. }) => Some(absolute(path)),
        _ => None,
    });
    if let Some(u) = upstream.iter().find(|u| input.as_ref().is_some_and(|input| input.starts_with(&u.path))) {
        return ("blocked", vec![format!("{} is {}", u.name, u.state)]);
    }
    let is_absent = [Exit::MissingInput, Exit::Unavailable].contains(&Exit::of(error));
    let state = if is_absent { "blocked" } else { "error" };
    // What keeps several from being made is said once.
    let why = vec![format!("{error:#}")];
    match upstream.iter().find(|u| u.state == state && u.because == why) {
        Some(u) => (state, vec![format!("as {}", u.name)]),
        None => (state, why),
    }
}

fn parts_done(state: &State) -> usize {
    match state {
        State::Fresh | State::Missing => 0,
        State::Stale { parts_done, .. } | State::Incomplete { parts_done } => *parts_done,
    }
}

/// Where a stage that could not make its plan puts its artifact, and the rows of what is there.
fn place(stage: &str, preview: &Previewed, kinds: &[Kind]) -> (PathBuf, Option<u64>) {
    let folder = match &preview.baseline {
        Some(baseline) => preview.run.join("baseline").join(baseline),
        None => preview.run.clone(),
    };
    let path = folder.join(kinds.iter().find(|kind| kind.stage() == stage).map_or(stage, |kind| kind.name()));
    let artifact = Artifact::find(&path).ok().flatten();
    let rows = artifact.filter(|a| !a.manifest().parts.is_empty()).map(|a| a.manifest().rows());
    (path, rows)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
