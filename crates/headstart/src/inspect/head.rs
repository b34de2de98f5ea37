//! A trained head: the scores of its artifact, and the header of its `head.safetensors`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ::artifact::Artifact;
use safetensors::tensor::Metadata;
use serde_json::{Value, json};
use stage::{Exit, count, percent};

use super::{Sections, entries, in_words};
use crate::layout::{clipped, size};

/// A longer header is not read, as by the format's own reader.
const MAX_HEADER: u64 = 100_000_000;

/// Whether a file begins as safetensors do: the length of a JSON object, then the object.
pub(super) fn is_safetensors(start: &[u8]) -> bool {
    match start.first_chunk::<8>() {
        Some(length) => (2..MAX_HEADER).contains(&u64::from_le_bytes(*length)) && start.get(8) == Some(&b'{'),
        None => false,
    }
}

/// Shows the scores in `metrics.json`, and gives the whole file.
pub(super) fn scores(artifact: &Artifact, shown: &mut Sections) -> anyhow::Result<Value> {
    let name = "metrics.json";
    let path = artifact.folder().join(name);
    let metrics: Value = serde_json::from_slice(&artifact.read_file(name)?)
        .map_err(|e| Exit::BadData.error(format!("{}: {e}", path.display())))?;
    let show = |value: &Value, of: fn(f64) -> String| value.as_f64().map_or("–".to_string(), of);
    let three = |value: f64| format!("{value:.3}");
    let heading = ["", "rows", "accuracy", "balanced", "macro F1", "loss", "calibration error"].map(str::to_string);
    let row = |split: &str| {
        let scores = &metrics[split];
        scores.is_object().then(|| {
            vec![
                if scores["head"] == "before refit" { format!("{split}, before refit") } else { split.to_string() },
                metrics["rows"][split].as_u64().map_or("–".to_string(), count),
                show(&scores["accuracy"], percent),
                show(&scores["balanced_accuracy"], percent),
                show(&scores["macro_f1"], percent),
                show(&scores["loss"], three),
                show(&scores["calibration"]["after"]["ece"], percent),
            ]
        })
    };
    let rows: Vec<_> = ["train", "validation", "test"].into_iter().filter_map(row).collect();
    shown.heading("scores");
    shown.table(&heading, &rows);
    shown.pairs(
        "",
        &[
            ("chosen".to_string(), in_words(&metrics["chosen"])),
            ("temperature".to_string(), show(&metrics["temperature"], three)),
            ("refit on all rows".to_string(), in_words(&metrics["refit"])),
            ("seed".to_string(), in_words(&metrics["seed"])),
        ],
    );
    Ok(metrics)
}

/// Shows a safetensors file by its header.
pub(super) fn describe(path: &Path, shown: &mut Sections) -> anyhow::Result<Value> {
    let io = |e: std::io::Error| Exit::Io.wrap(e).context(format!("cannot read {}", path.display()));
    let bad = |why: String| Exit::BadData.error(format!("{}: {why}", path.display()));
    let mut file = File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(io)?;
    let length = u64::from_le_bytes(length);
    if length > bytes.saturating_sub(8).min(MAX_HEADER) {
        return Err(bad(format!("damaged: expected a header of {length} bytes, found a file of {bytes}")));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(io)?;
    let not_a_header = |e: serde_json::Error| bad(format!("damaged: the header is not what it should be: {e}"));
    let metadata: Metadata = serde_json::from_slice(&header).map_err(not_a_header)?;
    let header: Value = serde_json::from_slice(&header).map_err(not_a_header)?;
    // Types, shapes and places that fit together, without a hole.
    let mut tensors: Vec<_> = metadata.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    let metadata = Metadata::new(None, tensors).map_err(|e| bad(format!("damaged: {e}")))?;
    let expected = (length + 8).saturating_add(metadata.data_len() as u64);
    if expected != bytes {
        return Err(bad(format!("damaged: expected {expected} bytes by the header, found {bytes}")));
    }

    shown.title(&format!("{}: safetensors", path.display()));
    shown.pairs("", &[("size".to_string(), size(bytes))]);
    let tensors = header.as_object().into_iter().flatten().filter(|(name, _)| *name != "__metadata__");
    let tensors: Vec<_> = tensors
        .map(|(name, t)| {
            let kind = t["dtype"].as_str().unwrap_or("?").to_lowercase();
            (name.clone(), format!("{kind} [{}]", in_words(&t["shape"])))
        })
        .collect();
    shown.pairs("tensors", &tensors);
    let metadata = &header["__metadata__"];
    // A head's own facts are one JSON object in one key.
    let own: Option<Value> = metadata["headstart"].as_str().and_then(|text| serde_json::from_str(text).ok());
    match &own {
        Some(facts) => shown.pairs("a head of headstart", &entries(facts)),
        None => {
            let clip = |(key, value): (String, String)| (key, clipped(&value, 200));
            shown.pairs("metadata", &entries(metadata).into_iter().map(clip).collect::<Vec<_>>());
        }
    }
    Ok(json!({
        "path": path.display().to_string(),
        "what": "safetensors",
        "bytes": bytes,
        "header": header,
        "head": own,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_known_by_its_length_and_brace() {
        assert!(is_safetensors(b"\x10\0\0\0\0\0\0\0{\"weight\""));
        assert!(!is_safetensors(b"\x10\0\0\0\0\0\0\0PAR1"));
        assert!(!is_safetensors(b"\xff\xff\xff\xff\xff\xff\xff\x7f{"));
        assert!(!is_safetensors(b"{}"));
    }
}
