//! `headstart inspect`: what an artifact or a file holds. What a file is shows in its first bytes, not in its name.
//! What it says about itself comes from anywhere, and is made printable before it is shown.

mod artifact;
mod head;
mod onnx;
mod parquet;
mod rows;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use ::artifact::Artifact;
use hub::Location;
use serde_json::Value;
use stage::{Exit, find_in_cache, parse_location, printable, refuse_special_file};

use crate::Shown;
use crate::args::Inspect;
use crate::layout::{Screen, Tint, quoted};

pub(crate) use onnx::model_error;

/// What can be shown, for messages.
const EXPECTED: &str = "an artifact's folder, a Parquet file, an ONNX file or a head.safetensors";

/// A text that is put together section by section.
#[derive(Debug)]
struct Sections {
    screen: Screen,
    text: String,
}

pub(crate) fn run(typed: &Inspect) -> anyhow::Result<Shown> {
    let path = local(&typed.path)?;
    let mut shown = Sections { screen: Screen::of_stdout(), text: String::new() };
    let json = describe(&path, typed.rows, &mut shown)?;
    Ok(Shown { text: shown.text, json, exit: Exit::Done })
}

/// The path itself, or where in the cache a place on a hub is. Nothing is downloaded to be looked at.
fn local(typed: &Path) -> anyhow::Result<PathBuf> {
    // A folder may be called `hf:`, and what is there is what is meant.
    if typed.exists() {
        return Ok(typed.to_path_buf());
    }
    match parse_location(typed.as_os_str()).map_err(|e| Exit::Usage.error(e))? {
        Location::Path(path) => Ok(path),
        Location::Hub(reference) => find_in_cache(&reference),
    }
}

fn describe(path: &Path, n_rows: usize, shown: &mut Sections) -> anyhow::Result<Value> {
    if path.is_dir() {
        return match Artifact::find(path)? {
            Some(artifact) => artifact::describe(&artifact, n_rows, shown),
            None => Err(no_artifact(path)?),
        };
    }
    // The files that make an artifact one stand for it.
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.file_name().is_some_and(|name| name == "manifest.json" || name == "metrics.json")
        && let Some(artifact) = Artifact::find(folder)?
    {
        return artifact::describe(&artifact, n_rows, shown);
    }
    refuse_special_file(path.display(), path)?;
    match start_of(path)? {
        start if start.starts_with(b"PAR1") => parquet::describe(path, n_rows, shown),
        start if head::is_safetensors(&start) => head::describe(path, shown),
        start if is_text(&start) => {
            let found = "a text file";
            Err(Exit::BadData.error(format!("{}: expected {EXPECTED}; found {found}", path.display())))
        }
        _ => onnx::describe(path, shown),
    }
}

/// Why a folder cannot be shown: an artifact that is not finished, or something else.
fn no_artifact(path: &Path) -> anyhow::Result<anyhow::Error> {
    if let Some(n) = Artifact::unfinished(path)? {
        let message = format!("{} is incomplete: {n} parts are finished; run its stage again", path.display());
        return Ok(Exit::MissingInput.error(message));
    }
    let artifacts = crate::status::artifacts(path);
    let mut models = std::fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path());
    let model = models.find(|p| p.extension().is_some_and(|x| x == "onnx"));
    let found = match (artifacts.first(), model) {
        (Some(first), _) => format!(
            "the folder of a run: headstart status --run {}, or headstart inspect {}",
            as_typed(path),
            as_typed(first)
        ),
        (None, Some(model)) => format!("a folder with a model: headstart inspect {}", as_typed(&model)),
        (None, None) => "a folder without manifest.json".to_string(),
    };
    Ok(Exit::BadData.error(format!("{}: expected {EXPECTED}; found {found}", path.display())))
}

/// A path in a command that is to be typed.
fn as_typed(path: &Path) -> String {
    quoted(&path.display().to_string()).into_owned()
}

/// The first bytes of a file.
fn start_of(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut start = Vec::new();
    match File::open(path).and_then(|file| file.take(64).read_to_end(&mut start)) {
        Ok(_) => Ok(start),
        Err(e) if e.kind() == ErrorKind::NotFound => match Artifact::unfinished(path)? {
            Some(_) => Err(no_artifact(path)?),
            None => {
                Err(Exit::MissingInput.error(format!("there is nothing at {}; expected {EXPECTED}", path.display())))
            }
        },
        Err(e) => Err(Exit::Io.wrap(e).context(format!("cannot read {}", path.display()))),
    }
}

/// No format that is known begins with so much text.
fn is_text(start: &[u8]) -> bool {
    start.len() >= 2 && start.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace())
}

impl Sections {
    /// The first line: what it is.
    fn title(&mut self, text: &str) {
        self.text += &format!("{}\n", self.screen.paint(Tint::Heading, &printable(text)));
    }

    /// Names and values under a heading, or under none.
    fn pairs(&mut self, heading: &str, pairs: &[(String, String)]) {
        if pairs.is_empty() {
            return;
        }
        self.heading(heading);
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (printable(name), printable(value))).collect();
        self.text += &self.screen.pairs(2, &pairs);
    }

    /// Rows under a heading as a table, if it fits the width. Says whether it does.
    fn table(&mut self, heading: &[String], rows: &[Vec<String>]) -> bool {
        let heading: Vec<_> = heading.iter().map(|cell| printable(cell)).collect();
        let rows: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
        let table = self.screen.table(2, &heading, &rows);
        self.text += table.as_deref().unwrap_or_default();
        table.is_some()
    }

    fn heading(&mut self, heading: &str) {
        self.text.push('\n');
        if !heading.is_empty() {
            self.text += &format!("{}\n", self.screen.paint(Tint::Heading, heading));
        }
    }

    fn line(&mut self, line: &str) {
        for line in crate::layout::wrapped(&printable(line), self.screen.width.saturating_sub(2)) {
            self.text += &format!("  {line}\n");
        }
    }
}

/// A JSON value in one line, for people.
fn in_words(value: &Value) -> String {
    match value {
        Value::Null => "none".to_string(),
        Value::Array(items) if items.is_empty() => "none".to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|i| !i.is_object() && !i.is_array()) => {
            const MOST: usize = 20;
            let shown: Vec<_> = items.iter().take(MOST).map(in_words).collect();
            let more = if items.len() > MOST { format!(", … ({} in all)", items.len()) } else { String::new() };
            format!("{}{more}", shown.join(", "))
        }
        Value::Object(map) => {
            map.iter().map(|(key, value)| format!("{key} {}", in_words(value))).collect::<Vec<_>>().join(", ")
        }
        // A float32 that went through JSON's float64 has a tail of digits that nobody wrote.
        Value::Number(number) => match number.as_f64().filter(|n| number.is_f64() && f64::from(*n as f32) == *n) {
            Some(n) => (n as f32).to_string(),
            None => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// The entries of a JSON object as names and values.
fn entries(value: &Value) -> Vec<(String, String)> {
    let map = value.as_object().into_iter().flatten();
    map.map(|(key, value)| (key.replace('_', " "), in_words(value))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_said_in_words() {
        assert_eq!(in_words(&json!([1, 2.5, "x"])), "1, 2.5, x");
        assert_eq!(in_words(&json!((0..30).collect::<Vec<_>>())).split(", ").count(), 21);
        assert_eq!(in_words(&json!({ "epoch": 3, "raw_lr": 0.1 })), "epoch 3, raw_lr 0.1");
        assert_eq!([in_words(&Value::Null), in_words(&json!([]))], ["none", "none"]);
        assert_eq!(in_words(&json!([f64::from(0.4913_f32), 0.1])), "0.4913, 0.1");
    }

    #[test]
    fn text_is_not_taken_for_a_model() {
        assert!(is_text(b"# a heading\n"));
        assert!(!is_text(b"\x08\x07\x12\x07pytorch"));
        assert!(!is_text(b""));
    }
}
