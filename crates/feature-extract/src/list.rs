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
    let candidates = model.candidates();
    let width = candidates.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
    let rows: Vec<_> = candidates
        .iter()
        .map(|c| json!({ "tensor": c.name, "operator": c.op, "shape": c.tensor.shape_text(), "feature_dim": c.feature_dim, "automatic": c.automatic }))
        .collect();
    let fields = json!({ "model": onnx.path.display().to_string(), "candidates": rows });
    let mut report = Report::new(fields).line(format!("{}: {}", onnx.path.display(), takes(&model)));
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
    let last = match (candidates.is_empty(), candidates.iter().any(|c| c.automatic)) {
        (true, _) => "no tensor of known shape can be a feature; name one all the same with --feature",
        (false, true) => "* is taken when --feature is not given; nearest to the output first",
        (false, false) => "no last layer was found: name a tensor with --feature; nearest to the output first",
    };
    Ok(report.line(last))
}

/// What the model takes, in words. A model that takes more than a picture may still do up to some tensor.
fn takes(model: &Model) -> String {
    let side = |s: Option<u64>| s.map_or("any".to_string(), |n| n.to_string());
    match model.image_input() {
        Ok(input) => {
            let colour = if input.channels == 3 { "RGB" } else { "grey" };
            format!("takes {colour} pictures of {} rows and {} columns", side(input.height), side(input.width))
        }
        Err(error) => error.problem.to_string(),
    }
}
