//! WebDataset: tar files in which members of one key make one row, such as `a/17.jpg` and `a/17.cls`.
//!
//! Only headers and labels are read here; where a picture lies in its tar is kept. The id is the
//! tar's stem and the key, since keys often start again in every tar.

use std::collections::HashMap;
use std::io::Read;
use std::os::unix::fs::FileExt;

use anyhow::Context;
use picture::is_extension;
use serde_json::Value;
use stage::{Exit, check_stop, name_as_text};

use super::files::{SourceFile, extension, find, identity, materials};
use super::{Index, Names, Opened, Place, Row, Storage, set_labels};
use crate::args::InputPath;
use crate::classes::{Label, RawLabel, by_name_or_number};

/// Largest label member that is read. A label is a word; more is some other kind of file.
const LABEL_BYTES: u64 = 1 << 20;

/// Bytes of a tar's block: a member ends at a multiple of it, and a block of zeros ends the tar.
const BLOCK: u64 = 512;

/// One key of one tar.
struct Sample {
    key: String,
    picture: Option<(u64, u64)>,
    label: RawLabel,
}

/// Reads the headers of all tars.
pub(super) fn index(inputs: &[InputPath]) -> anyhow::Result<Index> {
    let files =
        find(inputs, |name| matches!(extension(name.as_ref()).as_str(), "tar" | "tgz") || name.ends_with(".tar.gz"))?;
    let (mut opened, mut raw, mut rows, mut ids) = (Vec::new(), Vec::new(), Vec::new(), Names::default());
    for source in &files {
        check_stop()?;
        let tar = Opened::open(&source.path)?;
        for sample in samples(&tar, source)? {
            let Some((offset, bytes)) = sample.picture else { continue };
            let place = Place::Stretch { file: opened.len() as u32, offset, bytes };
            rows.push(Row { id: ids.len() as u32, label: Label::Unlabelled, split: source.split, place });
            ids.push(format_args!("{}/{}", source.name, sample.key));
            raw.push(sample.label);
        }
        opened.push(tar);
    }
    let (classes, labels) = by_name_or_number(&raw);
    set_labels(&mut rows, labels);
    Ok(Index {
        rows,
        ids: ids.into(),
        classes,
        storage: Storage::Tar(opened),
        materials: materials(inputs, &files),
        is_sorted_by_class: false,
        identity: identity(&files),
    })
}

fn samples(tar: &Opened, source: &SourceFile) -> anyhow::Result<Vec<Sample>> {
    let path = tar.path.display();
    let mut magic = [0; 2];
    let n = (&tar.file).read(&mut magic).with_context(|| format!("cannot read {path}"))?;
    if n == 2 && magic == [0x1f, 0x8b] {
        return Err(Exit::BadData.error(format!(
            "{path}: it is compressed, and members of a compressed tar cannot be read one by one; decompress it first: gunzip {path}"
        )));
    }
    std::io::Seek::rewind(&mut &tar.file).with_context(|| format!("cannot read {path}"))?;
    let file_bytes = tar.file.metadata().with_context(|| format!("cannot read {path}"))?.len();
    let mut samples: Vec<Sample> = Vec::new();
    let mut by_key: HashMap<String, usize> = HashMap::new();
    let (mut last, mut end) = ("the start".to_string(), 0);
    let mut archive = tar::Archive::new(&tar.file);
    let damaged = |last: &str, e: &dyn std::fmt::Display| {
        Exit::BadData.error(format!("{path}: the tar is damaged after {last}: {e}; fetch it again"))
    };
    for entry in archive.entries_with_seek().map_err(|e| damaged(&last, &e))? {
        let mut entry = entry.map_err(|e| damaged(&last, &e))?;
        let name = name_as_text(&entry.path_bytes());
        let (offset, bytes) = (entry.raw_file_position(), entry.size());
        if offset.saturating_add(bytes) > file_bytes {
            let found =
                format!("{name} should end at byte {}, and the file has {file_bytes}", offset.saturating_add(bytes));
            return Err(damaged(&last, &found));
        }
        last = format!("{name} at byte {offset}");
        // A sparse member takes less room than it has bytes.
        let is_sparse = entry.header().entry_type().is_gnu_sparse();
        let stored = if is_sparse { entry.header().entry_size().map_err(|e| damaged(&last, &e))? } else { bytes };
        end = offset + stored.next_multiple_of(BLOCK);
        let Some((key, kind)) =
            split_name(name.trim_start_matches("./")).filter(|_| entry.header().entry_type().is_file())
        else {
            continue;
        };
        let at = *by_key.entry(key.to_string()).or_insert_with(|| {
            samples.push(Sample { key: key.to_string(), picture: None, label: RawLabel::Missing });
            samples.len() - 1
        });
        let sample = &mut samples[at];
        match kind.as_str() {
            "cls" | "json" if sample.label == RawLabel::Missing => {
                let mut content = Vec::new();
                (&mut entry).take(LABEL_BYTES).read_to_end(&mut content).map_err(|e| damaged(&last, &e))?;
                sample.label =
                    label(&kind, &content).with_context(|| format!("{}, member {name}", source.path.display()))?;
            }
            kind if is_extension(kind) && sample.picture.is_none() => sample.picture = Some((offset, bytes)),
            // The same picture twice under one key: `a.jpg` and again `a.jpg`, or `a.png`.
            kind if is_extension(kind) => {
                samples.push(Sample { key: key.into(), picture: Some((offset, bytes)), label: RawLabel::Missing });
            }
            _ => {}
        }
    }
    // A tar that was cut between two members looks whole in all but this.
    let mut mark = [1; BLOCK as usize];
    match tar.file.read_exact_at(&mut mark, end) {
        Ok(()) if mark.iter().all(|byte| *byte == 0) => Ok(samples),
        Err(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => {
            Err(e).with_context(|| format!("cannot read {path}"))
        }
        _ => {
            let found = format!("expected the end-of-archive mark at byte {end}, and the file has {file_bytes} bytes");
            Err(damaged(&last, &found))
        }
    }
}

/// Key and kind of a member: the base name is cut at its first dot, as WebDataset does it.
fn split_name(name: &str) -> Option<(&str, String)> {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = base + name[base..].find('.').filter(|dot| *dot > 0)?;
    Some((&name[..dot], name[dot + 1..].to_ascii_lowercase()))
}

fn label(kind: &str, content: &[u8]) -> anyhow::Result<RawLabel> {
    if kind == "cls" {
        return Ok(RawLabel::from_text(&String::from_utf8_lossy(content)));
    }
    let object: Value =
        serde_json::from_slice(content).map_err(|e| Exit::BadData.error(format!("expected JSON: {e}")))?;
    RawLabel::from_json(object.get("label"))
        .ok_or_else(|| Exit::BadData.error(format!("expected text or a whole number as \"label\", found {object}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_ends_at_the_first_dot_of_the_base_name() {
        assert_eq!(split_name("a.b/17.left.JPG"), Some(("a.b/17", "left.jpg".into())));
        assert_eq!(split_name("a/.hidden"), None);
        assert_eq!(split_name("a/none"), None);
    }
}
