//! `headstart verify`: whether the bytes on disk are those that were written.

use std::path::{Path, PathBuf};

use artifact::{Artifact, Digest, Error};
use onnx_graph::{Model, Problem};
use serde_json::{Value, json};
use stage::Exit;

use crate::Shown;
use crate::args::Verify;
use crate::layout::{Screen, Tint, columns, counted, padded, size, wrapped};
use crate::status::artifacts;

/// What became of one artifact or file.
#[derive(Debug)]
struct Checked {
    path: PathBuf,
    verdict: Verdict,
}

#[derive(Debug)]
enum Verdict {
    /// All is as it was written; what was looked at, in words.
    Whole(String),
    /// What differs and how, one sentence each, and what to do.
    Damaged { damages: Vec<String>, remedy: String },
    /// There is nothing to check, or not yet; why.
    Missing(String),
    /// It is nothing that could be checked; what was expected.
    Foreign(String),
}

pub(crate) fn run(typed: &Verify) -> anyhow::Result<Shown> {
    let mut checked = Vec::new();
    for path in &typed.paths {
        check(path, &mut checked)?;
    }
    let n = |of: fn(&Verdict) -> bool| checked.iter().filter(|c| of(&c.verdict)).count();
    let damaged = n(|v| matches!(v, Verdict::Damaged { .. } | Verdict::Foreign(_)));
    let missing = n(|v| matches!(v, Verdict::Missing(_)));
    // What is damaged is worse than what is not there yet: running again mends only the latter.
    let exit = match (damaged, missing) {
        (0, 0) => Exit::Done,
        (0, _) => Exit::MissingInput,
        _ => Exit::BadData,
    };
    let json = json!({
        "whole": exit == Exit::Done,
        "checked": checked.iter().map(Checked::json).collect::<Vec<_>>(),
    });
    Ok(Shown { text: text(&checked), json, exit })
}

fn check(path: &Path, into: &mut Vec<Checked>) -> anyhow::Result<()> {
    if path.is_dir() {
        if path.join("manifest.json").is_file() {
            return push(path, artifact(path)?, into);
        }
        let inside = artifacts(path);
        for artifact_path in &inside {
            push(artifact_path, artifact(artifact_path)?, into)?;
        }
        return match inside.is_empty() {
            false => Ok(()),
            true => push(path, begun_or(path, "neither an artifact nor a run: there is no manifest.json in it")?, into),
        };
    }
    if !path.exists() {
        return push(path, begun_or(path, "not there")?, into);
    }
    push(path, file(path)?, into)
}

fn push(path: &Path, verdict: Verdict, into: &mut Vec<Checked>) -> anyhow::Result<()> {
    into.push(Checked { path: path.to_path_buf(), verdict });
    Ok(())
}

/// An artifact that is being made, or `why` there is none.
fn begun_or(path: &Path, why: &str) -> anyhow::Result<Verdict> {
    Ok(Verdict::Missing(match Artifact::unfinished(path)? {
        Some(n) => format!("incomplete: {} finished", counted(n as u64, "part", "parts")),
        None => why.to_string(),
    }))
}

fn artifact(path: &Path) -> anyhow::Result<Verdict> {
    let artifact = match Artifact::find(path) {
        Ok(Some(artifact)) => artifact,
        Ok(None) => return begun_or(path, "not there"),
        Err(Error::Malformed { reason, .. }) => {
            let damages = vec![format!("{}: {reason}", path.join("manifest.json").display())];
            return Ok(Verdict::Damaged { damages, remedy: "run its stage again with --overwrite".into() });
        }
        Err(error) => return Err(error.into()),
    };
    let manifest = artifact.manifest();
    let damages: Vec<_> = artifact.damages()?.iter().map(sentence).collect();
    let bytes = manifest.parts.iter().map(|p| p.bytes).chain(manifest.files.iter().map(|f| f.bytes)).sum();
    let n = (manifest.parts.len() + manifest.files.len()) as u64;
    Ok(match damages.is_empty() {
        true => Verdict::Whole(format!("{}, {}", counted(n, "file", "files"), size(bytes))),
        false => Verdict::Damaged { damages, remedy: format!("run {} again with --rehash", manifest.stage) },
    })
}

fn sentence(error: &Error) -> String {
    match error {
        Error::Damaged { path, what, expected, found, .. } => {
            format!("{}: {what}: expected {expected}, found {found}", path.display())
        }
        other => other.to_string(),
    }
}

/// A single file: by the manifest beside it that names it, else as a model.
fn file(path: &Path) -> anyhow::Result<Verdict> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if let Ok(Some(artifact)) = Artifact::find(folder) {
        let manifest = artifact.manifest();
        let parts = manifest.parts.iter().map(|p| (&p.file, &p.blake3));
        let mut files = parts.chain(manifest.files.iter().map(|f| (&f.file, &f.blake3)));
        if let Some((_, expected)) = files.find(|(file, _)| **file == *name) {
            let found = Digest::of_file(path)?;
            return Ok(match found == *expected {
                true => Verdict::Whole(format!("as {} recorded it", manifest.stage)),
                false => Verdict::Damaged {
                    damages: vec![format!("{}: BLAKE3: expected {expected}, found {found}", path.display())],
                    remedy: format!("run {} again with --rehash", manifest.stage),
                },
            });
        }
        if name == "manifest.json" {
            return self::artifact(folder);
        }
    }
    model(path)
}

/// An ONNX file has no digest beside it; that it parses and is consistent is what can be said.
fn model(path: &Path) -> anyhow::Result<Verdict> {
    let damaged = |why: String| Verdict::Damaged { damages: vec![why], remedy: "export or copy it again".into() };
    let model = match Model::read_with_external_data(path) {
        Ok(model) => model,
        Err(error) => {
            if let Problem::NotOnnx { found } = &*error.problem {
                let expected = "an artifact, a run, a file that is named by the manifest beside it, or an ONNX file";
                return Ok(Verdict::Foreign(format!("expected {expected}; found {found}")));
            }
            let failure = crate::inspect::model_error(path, error);
            return match Exit::of(&failure) {
                Exit::BadData => Ok(damaged(format!("{failure:#}"))),
                Exit::MissingInput => Ok(Verdict::Missing(format!("{failure:#}"))),
                _ => Err(failure),
            };
        }
    };
    let about = model.metadata();
    if !about.metadata_props.iter().any(|(key, _)| key == "headstart.classes") {
        return Ok(Verdict::Whole(format!(
            "an ONNX model of {} nodes; its structure is sound, no digest is known",
            stage::count(about.n_nodes as u64)
        )));
    }
    let names = |ports: &[onnx_graph::Port]| ports.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
    let (inputs, outputs) = (names(&about.inputs), names(&about.outputs));
    let (takes, gives) = (["pixels"], ["probabilities", "logits", "features"]);
    Ok(match inputs == takes && outputs == gives {
        true => Verdict::Whole("a classifier of headstart; its structure is sound, no digest is known".to_string()),
        false => damaged(format!(
            "{}: inputs and outputs: expected {} to {}, found {} to {}",
            path.display(),
            takes.join(", "),
            gives.join(", "),
            inputs.join(", "),
            outputs.join(", ")
        )),
    })
}

impl Checked {
    fn json(&self) -> Value {
        let (state, problems) = match &self.verdict {
            Verdict::Whole(_) => ("whole", Vec::new()),
            Verdict::Damaged { damages, .. } => ("damaged", damages.clone()),
            Verdict::Missing(why) => ("missing", vec![why.clone()]),
            Verdict::Foreign(why) => ("foreign", vec![why.clone()]),
        };
        json!({ "path": self.path.display().to_string(), "state": state, "problems": problems })
    }
}

fn text(checked: &[Checked]) -> String {
    /// Paths beyond this stand in a line of their own.
    const WIDEST: usize = 48;
    let screen = Screen::of_stdout();
    let width = checked.iter().map(|c| columns(&c.path.display().to_string())).max().unwrap_or(0).min(WIDEST);
    let mut text = String::new();
    for Checked { path, verdict } in checked {
        let (tint, word, note, below) = match verdict {
            Verdict::Whole(what) => (Tint::Good, "whole", what.clone(), Vec::new()),
            Verdict::Missing(why) => (Tint::Doubtful, "missing", why.clone(), Vec::new()),
            Verdict::Foreign(why) => (Tint::Bad, "foreign", String::new(), vec![why.clone()]),
            Verdict::Damaged { damages, remedy } => {
                let n = counted(damages.len() as u64, "file differs", "files differ");
                (Tint::Bad, "damaged", format!("{n}; {remedy}"), damages.clone())
            }
        };
        let path = path.display().to_string();
        let fits = columns(&path) <= width && 7 + 2 + width + 2 + columns(&note) <= screen.width;
        let (beside, under) = if fits { (note, None) } else { (String::new(), Some(note)) };
        let line = format!("{}  {}  {beside}", screen.paint(tint, &padded(word, 7)), padded(&path, width));
        text += line.trim_end();
        text.push('\n');
        let under = under.into_iter().filter(|note| !note.is_empty()).chain(below);
        for line in under.flat_map(|note| wrapped(&note, screen.width.saturating_sub(9))) {
            text += &format!("         {line}\n");
        }
    }
    text
}
