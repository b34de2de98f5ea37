//! An ONNX file: what it says about itself, where its last layer is, and for a classifier of ours what it was made of.

use std::path::Path;

use onnx_graph::{ClassifierKind, ImageInput, Model, Port, Problem};
use serde_json::{Value, json};
use stage::{Exit, count, percent};

use super::{EXPECTED, Sections, in_words};
use crate::layout::{clipped, size};

/// What keys of our classifiers begin with.
const OURS: &str = "headstart.";

/// More candidates than this are for `feature-extract --list`.
const MAX_CANDIDATES: usize = 8;

pub(super) fn describe(path: &Path, shown: &mut Sections) -> anyhow::Result<Value> {
    let model = Model::read_with_external_data(path).map_err(|error| model_error(path, error))?;
    let bytes = std::fs::metadata(path).map_err(|e| Exit::Io.wrap(e))?.len();
    let about = model.metadata();
    let (ours, others): (Vec<_>, Vec<_>) =
        about.metadata_props.iter().cloned().partition(|(key, _)| key.starts_with(OURS));
    let what = if ours.is_empty() { "ONNX model" } else { "ONNX model, a classifier of headstart" };
    shown.title(&format!("{}: {what}", path.display()));

    let external = model.external_files();
    let mut first = vec![
        ("size".to_string(), size(bytes)),
        ("producer".to_string(), if about.producer.is_empty() { "not stated".into() } else { about.producer.clone() }),
        ("opset".to_string(), format!("{} (file format {})", about.opset, about.ir_version)),
        ("nodes".to_string(), count(about.n_nodes as u64)),
        ("parameters".to_string(), count(about.n_parameters)),
    ];
    if !external.is_empty() {
        first.push(("external data".to_string(), external.join(", ")));
    }
    shown.pairs("", &first);
    let ports = |ports: &[Port]| ports.iter().map(|p| (p.name.clone(), p.tensor.to_string())).collect::<Vec<_>>();
    shown.pairs("inputs", &ports(&about.inputs));
    shown.pairs("outputs", &ports(&about.outputs));
    if !ours.is_empty() {
        shown.pairs("classifier", &classifier(&ours));
    }
    let others: Vec<_> = others.into_iter().map(|(key, value)| (key, clipped(&value, 200))).collect();
    shown.pairs("metadata", &others);
    // What takes no pictures has no features for us, and of our own classifiers the last layer is the trained head.
    let image = model.image_input().ok().filter(|_| ours.is_empty());
    let (layer, candidates) = match &image {
        Some(image) => features(&model, image, shown),
        None => (Value::Null, Value::Null),
    };

    let port = |p: &Port| json!({ "name": p.name, "type": p.tensor.to_string() });
    Ok(json!({
        "path": path.display().to_string(),
        "what": "onnx",
        "bytes": bytes,
        "producer": about.producer,
        "opset": about.opset,
        "ir_version": about.ir_version,
        "nodes": about.n_nodes,
        "parameters": about.n_parameters,
        "external_data": external,
        "inputs": about.inputs.iter().map(port).collect::<Vec<_>>(),
        "outputs": about.outputs.iter().map(port).collect::<Vec<_>>(),
        "metadata": about.metadata_props.iter().map(|(k, v)| (k.clone(), json!(v))).collect::<serde_json::Map<_, _>>(),
        "last_layer": layer,
        "candidates": candidates,
    }))
}

/// An error of the reader with its exit code; a file that is no model is told what could have been shown.
pub(crate) fn model_error(path: &Path, error: onnx_graph::Error) -> anyhow::Error {
    match &*error.problem {
        Problem::Read(e) if e.kind() == std::io::ErrorKind::NotFound => Exit::MissingInput.wrap(error),
        Problem::ExternalMissing { .. } => Exit::MissingInput.wrap(error),
        Problem::Read(_) => Exit::Io.wrap(error),
        Problem::NotOnnx { found } => {
            Exit::BadData.error(format!("{}: expected {EXPECTED}; found {found}", path.display()))
        }
        Problem::Damaged(_) if path.extension().is_none_or(|x| x != "onnx") => {
            Exit::BadData.error(format!("{}: expected {EXPECTED}; found none of them", path.display()))
        }
        _ => Exit::BadData.wrap(error),
    }
}

/// What `headstart.KEY` entries say, in the order of the file.
fn classifier(ours: &[(String, String)]) -> Vec<(String, String)> {
    let entry = |(key, text): &(String, String)| {
        let key = key.trim_start_matches(OURS);
        let parsed = || serde_json::from_str::<Value>(text).ok();
        let value = match key {
            "classes" => parsed().map(|classes| {
                let n = classes.as_array().map_or(0, Vec::len);
                format!("{n}: {}", in_words(&classes))
            }),
            "resize" => parsed().map(|policy| in_words(&policy)),
            "test_accuracy" => text.parse().ok().map(percent),
            _ => None,
        };
        (key.replace('_', " "), value.unwrap_or_else(|| text.clone()))
    };
    ours.iter().map(entry).collect()
}

/// The last layer and the tensors that can be features, shown and for programs.
fn features(model: &Model, image: &ImageInput, shown: &mut Sections) -> (Value, Value) {
    let side = |side: Option<u64>| side.map_or("any number of".to_string(), |n| n.to_string());
    let colour = if image.channels == 3 { "RGB" } else { "grey" };
    shown.heading("as a backbone");
    shown.line(&format!("takes {colour} pictures of {} rows and {} columns", side(image.height), side(image.width)));
    let last = match model.find_classifier() {
        Ok(found) => {
            let kind = match found.kind {
                ClassifierKind::Gemm => "Gemm",
                ClassifierKind::MatMul => "MatMul",
                ClassifierKind::Convolution => "1×1 convolution with average pooling",
                ClassifierKind::RectifiedConvolution => "1×1 convolution with an activation and average pooling",
            };
            shown.line(&format!(
                "last layer: {kind}, {} numbers to {} classes; it reads {} and gives {}",
                count(found.feature_dim),
                count(found.n_classes),
                found.feature,
                found.logits
            ));
            json!({
                "kind": kind, "feature": found.feature, "logits": found.logits,
                "feature_dim": found.feature_dim, "classes": found.n_classes,
            })
        }
        Err(error) => {
            shown.line(&format!("no last layer was found: {}", error.problem));
            Value::Null
        }
    };
    let candidates = model.candidates();
    if !candidates.is_empty() {
        shown.heading("tensors for feature-extract --feature (* is taken by itself)");
        let heading = ["tensor", "operator", "shape", "numbers"].map(str::to_string);
        let rows: Vec<_> = candidates
            .iter()
            .take(MAX_CANDIDATES)
            .map(|c| {
                let mark = if c.automatic { "*" } else { " " };
                let shape = c.tensor.shape_text();
                vec![format!("{mark} {}", c.name), c.op.clone(), shape, count(c.feature_dim)]
            })
            .collect();
        if !shown.table(&heading, &rows) {
            rows.iter().for_each(|row| shown.line(&row.join("  ")));
        }
        if candidates.len() > MAX_CANDIDATES {
            let more = candidates.len() - MAX_CANDIDATES;
            shown.line(&format!("… and {more} more: feature-extract --list --backbone {}", model.name()));
        }
    }
    let rows = candidates.iter().map(|c| {
        json!({ "tensor": c.name, "operator": c.op, "shape": c.tensor.shape_text(), "feature_dim": c.feature_dim, "automatic": c.automatic })
    });
    (last, rows.collect())
}
