//! `headstart verify`: whether the bytes on disk are those that were written.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use artifact::{Artifact, Digest, Error};
use onnx_graph::{Model, Problem};
use serde_json::{Value, json};
use stage::{Exit, path_as_text, printable, special_file};

use crate::Shown;
use crate::args::Verify;
use crate::layout::{Screen, Tint, columns, counted, padded, size, wrapped};
use crate::status::artifacts;

/// What became of one artifact or file.
#[derive(Debug)]
struct Checked {
    path: PathBuf,
    verdict: Verdict,
    /// What lies in an artifact's folder and is not in its manifest, ascending. No damage: no stage reads it.
    strays: Vec<String>,
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
            into.push(artifact(path)?);
            return Ok(());
        }
        let inside = artifacts(path);
        for artifact_path in &inside {
            into.push(artifact(artifact_path)?);
        }
        if inside.is_empty() {
            let verdict = begun_or(path, "neither an artifact nor a run: there is no manifest.json in it")?;
            into.push(Checked::new(path, verdict));
        }
        return Ok(());
    }
    let verdict = if path.exists() { file(path)? } else { begun_or(path, "not there")? };
    into.push(Checked::new(path, verdict));
    Ok(())
}

/// An artifact that is being made, or `why` there is none.
fn begun_or(path: &Path, why: &str) -> anyhow::Result<Verdict> {
    Ok(Verdict::Missing(match Artifact::unfinished(path)? {
        Some(n) => format!("incomplete: {} finished", counted(n as u64, "part", "parts")),
        None => why.to_string(),
    }))
}

fn artifact(path: &Path) -> anyhow::Result<Checked> {
    let checked = |verdict| Ok(Checked::new(path, verdict));
    let artifact = match Artifact::find(path) {
        Ok(Some(artifact)) => artifact,
        Ok(None) => return checked(begun_or(path, "not there")?),
        Err(Error::Malformed { reason, .. }) => {
            let damages = vec![format!("{}: {reason}", path.join("manifest.json").display())];
            return checked(Verdict::Damaged { damages, remedy: "run its stage again with --overwrite".into() });
        }
        Err(error @ Error::Damaged { .. }) => {
            let damages = vec![sentence(&error)];
            return checked(Verdict::Damaged { damages, remedy: "run its stage again with --rehash".into() });
        }
        Err(error) => return Err(error.into()),
    };
    let manifest = artifact.manifest();
    let damages: Vec<_> = artifact.damages()?.iter().map(sentence).collect();
    let bytes = manifest.parts.iter().map(|p| p.bytes).chain(manifest.files.iter().map(|f| f.bytes)).sum();
    let n = (manifest.parts.len() + manifest.files.len()) as u64;
    let verdict = match damages.is_empty() {
        true => Verdict::Whole(format!("{}, {}", counted(n, "file", "files"), size(bytes))),
        false => Verdict::Damaged { damages, remedy: format!("run {} again with --rehash", manifest.stage) },
    };
    Ok(Checked { strays: strays(&artifact)?, ..Checked::new(path, verdict) })
}

/// Names in an artifact's folder that its manifest does not have, but for the files that belong there.
fn strays(artifact: &Artifact) -> anyhow::Result<Vec<String>> {
    const COMPANIONS: [&str; 2] = ["manifest.json", ".digests.json"];
    let (folder, manifest) = (artifact.folder(), artifact.manifest());
    let named = manifest.parts.iter().map(|p| &p.file).chain(manifest.files.iter().map(|f| &f.file));
    let known: HashSet<&str> = named.map(String::as_str).chain(COMPANIONS).collect();
    let failed = |e| Exit::Io.wrap(e).context(format!("cannot list {}", folder.display()));
    let mut strays = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = path_as_text(Path::new(&entry.file_name()));
        if !known.contains(name.as_str()) {
            let is_folder = entry.file_type().is_ok_and(|t| t.is_dir());
            strays.push(if is_folder { format!("{name}/") } else { name });
        }
    }
    strays.sort();
    Ok(strays)
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
    if let Some(found) = special_file(path) {
        return Ok(foreign(found));
    }
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
            return Ok(self::artifact(folder)?.verdict);
        }
    }
    model(path)
}

fn foreign(found: &str) -> Verdict {
    let expected = "an artifact, a run, a file that is named by the manifest beside it, or an ONNX file";
    Verdict::Foreign(format!("expected {expected}; found {found}"))
}

/// An ONNX file has no digest beside it; that it parses and is consistent is what can be said.
fn model(path: &Path) -> anyhow::Result<Verdict> {
    let damaged = |why: String| Verdict::Damaged { damages: vec![why], remedy: "export or copy it again".into() };
    let model = match Model::read_with_external_data(path) {
        Ok(model) => model,
        Err(error) => {
            if let Problem::NotOnnx { found } = &*error.problem {
                return Ok(foreign(found));
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
    fn new(path: &Path, verdict: Verdict) -> Self {
        Self { path: path.to_path_buf(), verdict, strays: Vec::new() }
    }

    /// The strays in words, the first ones by name.
    fn stray_line(&self) -> Option<String> {
        const MOST: usize = 5;
        let shown = self.strays.iter().take(MOST).map(|name| printable(name)).collect::<Vec<_>>().join(", ");
        let more = self.strays.len().saturating_sub(MOST);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!self.strays.is_empty()).then(|| format!("note: not named by the manifest, and not checked: {shown}{more}"))
    }

    fn json(&self) -> Value {
        let (state, problems) = match &self.verdict {
            Verdict::Whole(_) => ("whole", Vec::new()),
            Verdict::Damaged { damages, .. } => ("damaged", damages.clone()),
            Verdict::Missing(why) => ("missing", vec![why.clone()]),
            Verdict::Foreign(why) => ("foreign", vec![why.clone()]),
        };
        let path = self.path.display().to_string();
        json!({ "path": path, "state": state, "problems": problems, "strays": self.strays })
    }
}

fn text(checked: &[Checked]) -> String {
    /// Paths beyond this stand in a line of their own.
    const WIDEST: usize = 48;
    let screen = Screen::of_stdout();
    let width = checked.iter().map(|c| columns(&c.path.display().to_string())).max().unwrap_or(0).min(WIDEST);
    let mut text = String::new();
    for entry in checked {
        let Checked { path, verdict, .. } = entry;
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
        let under = under.into_iter().filter(|note| !note.is_empty()).chain(below).chain(entry.stray_line());
        for line in under.flat_map(|note| wrapped(&note, screen.width.saturating_sub(9))) {
            text += &format!("         {line}\n");
        }
    }
    text
}
