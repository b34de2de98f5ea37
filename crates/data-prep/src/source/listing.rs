//! Listings: CSV, TSV or JSON lines with a path, a label and perhaps a split for every picture.
//!
//! Paths are relative to the listing's folder; they may lead out of it, since the listing is the
//! user's own. The id is the path as it is written. A path that leads nowhere becomes a reject.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use artifact::Split;
use serde_json::Value;
use stage::{Exit, special_file};

use super::detect::is_metadata;
use super::files::{extension, materials_of, refuse_special};
use super::{FileList, Index, Names, Place, Row, Storage, nothing_found, set_labels};
use crate::args::InputPath;
use crate::classes::{Label, RawLabel, by_name_or_number};

const PATH: [&str; 5] = ["path", "file_name", "filepath", "file", "image"];
const LABEL: [&str; 2] = ["label", "class"];
const SPLIT: [&str; 1] = ["split"];

/// One line, parsed.
struct Entry {
    path: String,
    label: RawLabel,
    split: Option<Split>,
}

/// Reads all listings.
pub(super) fn index(inputs: &[InputPath]) -> anyhow::Result<Index> {
    let (mut rows, mut ids, mut raw) = (Vec::new(), Names::default(), Vec::new());
    let (mut lists, mut special) = (Vec::new(), HashMap::new());
    for input in inputs {
        let listing = file_of(input)?;
        let text = fs::read_to_string(&listing).map_err(|e| match e.kind() {
            std::io::ErrorKind::InvalidData => {
                Exit::BadData.error(format!("{}: expected UTF-8 text", listing.display()))
            }
            _ => Exit::Io.error(format!("cannot read {}: {e}", listing.display())),
        })?;
        let text = text.trim_start_matches('\u{feff}');
        let entries = match extension(&listing).as_str() {
            "jsonl" | "json" | "ndjson" => json_lines(text),
            "tsv" => table(text, b'\t'),
            _ => table(text, b','),
        };
        let entries = entries.with_context(|| format!("cannot use the listing {}", listing.display()))?;
        let folder = listing.parent().unwrap_or(Path::new("."));
        let mut files = FileList::below(folder);
        files.add("", listing.clone());
        for entry in entries {
            let path = folder.join(&entry.path);
            special.extend(special_file(&path).map(|what| (path.clone(), what)));
            let place = Place::File { list: lists.len() as u32, file: files.names().len() as u32 };
            files.add(&entry.path, path);
            let split = input.split.or(entry.split);
            rows.push(Row { id: ids.len() as u32, label: Label::Unlabelled, split, place });
            ids.push(entry.path);
            raw.push(entry.label);
        }
        lists.push(Arc::new(files));
    }
    let (classes, labels) = by_name_or_number(&raw);
    set_labels(&mut rows, labels);
    refuse_special(&mut rows, &lists, &special);
    let identity = inputs.iter().map(|i| i.split.map(Split::name)).collect();
    let materials = materials_of(inputs, lists.iter().map(Arc::clone));
    let ids = ids.into();
    Ok(Index { rows, ids, classes, storage: Storage::Files(lists), materials, is_sorted_by_class: false, identity })
}

/// The listing itself: the input, or the `metadata.csv` or `metadata.jsonl` in it.
fn file_of(input: &InputPath) -> anyhow::Result<PathBuf> {
    if !input.path.is_dir() {
        return Ok(input.path.clone());
    }
    let names = ["metadata.csv", "metadata.jsonl"].into_iter().filter(|n| is_metadata(n, 1));
    names.map(|n| input.path.join(n)).find(|p| p.is_file()).ok_or_else(|| {
        nothing_found(
            std::slice::from_ref(input),
            "metadata.csv or metadata.jsonl in the folder, or give the listing itself",
        )
    })
}

fn table(text: &str, delimiter: u8) -> anyhow::Result<Vec<Entry>> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(text.as_bytes());
    let bad = |e: csv::Error| Exit::BadData.error(e);
    let header = reader.headers().map_err(bad)?.clone();
    let column = |names: &[&str]| header.iter().position(|h| names.contains(&h.to_ascii_lowercase().as_str()));
    let Some(path) = column(&PATH) else {
        let found: Vec<_> = header.iter().collect();
        return Err(Exit::BadData.error(format!(
            "expected a first line with a column {}, found {}",
            PATH.join(" or "),
            found.join(", ")
        )));
    };
    let (label, split) = (column(&LABEL), column(&SPLIT));
    let mut entries = Vec::new();
    for record in reader.records() {
        let record = record.map_err(bad)?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |column: Option<usize>| column.and_then(|c| record.get(c)).unwrap_or_default();
        entries.push(entry(line, field(Some(path)), RawLabel::from_text(field(label)), field(split))?);
    }
    Ok(entries)
}

fn json_lines(text: &str) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let at = i as u64 + 1;
        let object: Value = serde_json::from_str(line).map_err(|e| Exit::BadData.error(format!("line {at}: {e}")))?;
        let value = |names: &[&str]| names.iter().find_map(|n| object.get(n));
        let text = |names: &[&str]| value(names).and_then(Value::as_str).unwrap_or_default();
        let label = RawLabel::from_json(value(&LABEL)).ok_or_else(|| {
            Exit::BadData.error(format!("line {at}: expected text or a whole number as label, found {object}"))
        })?;
        entries.push(entry(at, text(&PATH), label, text(&SPLIT))?);
    }
    Ok(entries)
}

fn entry(line: u64, path: &str, label: RawLabel, split: &str) -> anyhow::Result<Entry> {
    if path.is_empty() {
        return Err(Exit::BadData.error(format!("line {line}: expected a path ({}), found none", PATH.join(" or "))));
    }
    let known = Split::parse(split);
    if known.is_none() && !split.is_empty() {
        return Err(Exit::BadData
            .error(format!("line {line}: {split:?} is no split; expected train, validation, test or nothing")));
    }
    Ok(Entry { path: path.to_string(), label, split: known })
}
