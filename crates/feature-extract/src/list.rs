//! `--list`: the tensors that can serve as feature.

use onnx_graph::Model;
use serde_json::json;
use stage::{Exit, Report};

use crate::model_error;
use crate::plan::{Network, Settings};

pub(crate) fn run(settings: &Settings) -> anyhow::Result<Report> {
    let Network::Onnx(onnx) = &settings.network else {
        return Err(Exit::Usage.error("--list: raw pixels have no tensors; give --backbone an ONNX file"));
    };
    let model = Model::read(&onnx.path).map_err(model_error)?;
    let input = model.image_input().map_err(model_error)?;
    let candidates = model.candidates();
    let width = candidates.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
    let rows: Vec<_> = candidates
        .iter()
        .map(|c| json!({ "tensor": c.name, "operator": c.op, "shape": c.tensor.shape_text(), "feature_dim": c.feature_dim, "automatic": c.automatic }))
        .collect();
    let side = |s: Option<u64>| s.map_or("any".to_string(), |n| n.to_string());
    let mut report = Report::new(json!({ "model": onnx.path, "candidates": rows })).line(format!(
        "{}: takes {} pictures of {}x{}; tensors that can be features, nearest to the output first:",
        onnx.path.display(),
        if input.channels == 3 { "RGB" } else { "grey" },
        side(input.height),
        side(input.width),
    ));
    for c in &candidates {
        let mark = if c.automatic { "*" } else { " " };
        let pad = " ".repeat(width - c.name.chars().count());
        report = report.line(format!(
            "{mark} {}{pad}  {} {}, {} numbers",
            c.name,
            c.op,
            c.tensor.shape_text(),
            c.feature_dim
        ));
    }
    Ok(report.line("* is taken when --feature is not given"))
}
