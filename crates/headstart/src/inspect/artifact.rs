//! An artifact: its manifest, the columns of its parts, and the first rows.

use std::path::Path;

use ::artifact::{Artifact, Kind, ParquetFile, Split};
use serde_json::{Value, json};
use stage::count;

use super::rows::{Context, first_rows, schema};
use super::{Sections, entries, head};
use crate::layout::{counted, size};

/// More lines of files than this help nobody.
const MAX_FILES: usize = 10;

pub(super) fn describe(artifact: &Artifact, n_rows: usize, shown: &mut Sections) -> anyhow::Result<Value> {
    let manifest = artifact.manifest();
    let folder = artifact.folder();
    shown.title(&format!("{}: {} by {}", folder.display(), manifest.kind, manifest.stage));

    let bytes = manifest.parts.iter().map(|p| p.bytes).chain(manifest.files.iter().map(|f| f.bytes)).sum();
    let n_files = (manifest.parts.len() + manifest.files.len()) as u64;
    let splits: Vec<(Split, u64)> = [Split::Train, Split::Validation, Split::Test]
        .into_iter()
        .map(|split| (split, manifest.rows_of(split)))
        .filter(|(_, rows)| *rows > 0)
        .collect();
    let mut first = Vec::new();
    if !manifest.parts.is_empty() {
        let each = splits.iter().map(|(split, rows)| format!("{split} {}", count(*rows))).collect::<Vec<_>>();
        let each = if each.is_empty() { String::new() } else { format!(" ({})", each.join(", ")) };
        first.push(("rows".to_string(), format!("{}{each}", count(manifest.rows()))));
    }
    let rejects = rejects(artifact);
    first.extend(rejects.map(|n| ("rejects".to_string(), format!("{} in rejects.parquet", count(n)))));
    first.push(("size".to_string(), format!("{} in {}", size(bytes), counted(n_files, "file", "files"))));
    first.push(("fingerprint".to_string(), manifest.fingerprint.to_string()));
    shown.pairs("", &first);

    shown.pairs("facts", &entries(&manifest.facts));
    let mut json = json!({
        "path": folder.display().to_string(),
        "what": "artifact",
        "kind": manifest.kind.name(),
        "rows": manifest.rows(),
        "rows_by_split": splits.iter().map(|(s, n)| (s.to_string(), json!(n))).collect::<serde_json::Map<_, _>>(),
        "rejects": rejects,
        "bytes": bytes,
        "manifest": manifest,
    });
    if manifest.kind == Kind::Head {
        json["metrics"] = head::scores(artifact, shown)?;
    }
    shown.pairs("inputs", &manifest.inputs.iter().map(|i| (i.name.clone(), i.digest.clone())).collect::<Vec<_>>());
    shown.pairs("config", &entries(&manifest.config));
    shown.pairs("files", &files(artifact));

    if let Some(part) = manifest.parts.iter().position(|p| p.rows > 0).or((!manifest.parts.is_empty()).then_some(0)) {
        let file = ParquetFile::open(&artifact.part_path(part))?;
        shown.pairs("columns of the parts", &schema(&file.schema()));
        json["columns"] = columns(&file);
        let context = Context::of(&manifest.facts);
        json["first_rows"] = first_rows(&parts(artifact), n_rows, manifest.rows(), &context, shown)?;
    }
    Ok(json)
}

/// Name and type of every column, for programs.
pub(super) fn columns(file: &ParquetFile) -> Value {
    schema(&file.schema())
        .into_iter()
        .map(|(name, kind)| (name, Value::from(kind)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn parts(artifact: &Artifact) -> Vec<std::path::PathBuf> {
    (0..artifact.manifest().parts.len()).map(|i| artifact.part_path(i)).collect()
}

fn rejects(artifact: &Artifact) -> Option<u64> {
    let name = "rejects.parquet";
    artifact.manifest().files.iter().find(|f| f.file == name)?;
    ParquetFile::open(&artifact.folder().join(name)).ok().map(|file| file.rows() as u64)
}

/// Every file with its size; of many, the first and the last.
fn files(artifact: &Artifact) -> Vec<(String, String)> {
    let manifest = artifact.manifest();
    let note = |file: &str, bytes: u64| {
        let there = std::fs::metadata(artifact.folder().join(Path::new(file)));
        match there {
            Ok(metadata) if metadata.len() == bytes => "",
            Ok(_) => ", another size on disk: headstart verify",
            Err(_) => ", not there",
        }
    };
    let parts = manifest.parts.iter().map(|p| {
        let text = format!("{}, {}{}", size(p.bytes), counted(p.rows, "row", "rows"), note(&p.file, p.bytes));
        (p.file.clone(), text)
    });
    let others =
        manifest.files.iter().map(|f| (f.file.clone(), format!("{}{}", size(f.bytes), note(&f.file, f.bytes))));
    let mut parts: Vec<_> = parts.collect();
    if parts.len() > MAX_FILES {
        let left_out = parts.len() - MAX_FILES;
        parts.splice(MAX_FILES - 1..parts.len() - 1, [("…".to_string(), format!("{left_out} more"))]);
    }
    parts.into_iter().chain(others).collect()
}
