//! The files of a head artifact: `classifier.onnx`, `head.safetensors`, `metrics.json`, `history.parquet`,
//! `predictions.parquet`, `learning_curve.parquet`. Only `report.html` is made elsewhere.
//!
//! All but the durations in `metrics.json` are the same bytes for the same seed and features.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int32Array, RecordBatch, StringArray,
};
use arrow_schema::{DataType, Field, Schema};
use artifact::{Build, FeaturesFacts, encode_parquet};
use linear_head::{Calibration, Head, Outcome, Scores, expected_calibration_error, softmax_in_place};
use ndarray::{Array2, ArrayView2};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use stage::Exit;

use crate::curve_outputs;
use crate::data::{Data, Rows};
use crate::export::{CLASSIFIER, Exported};
use crate::head_error;
use crate::plan::Settings;
use crate::report::Sources;
use crate::train::{Scored, Trained};

/// Which head a row was scored by, in `metrics.json` and `predictions.parquet`.
const EXPORTED: &str = "exported";
const BEFORE_REFIT: &str = "before refit";

/// The scores of a head.
pub(crate) const METRICS: &str = "metrics.json";

/// Wall time of the steps, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seconds {
    pub(crate) read: f64,
    pub(crate) train: f64,
}

/// Writes all files of the artifact.
pub(crate) fn write(
    build: &mut Build,
    from: &Sources<'_>,
    seconds: &Seconds,
    exported: Option<&Exported>,
) -> anyhow::Result<()> {
    let Sources { facts, settings, data, trained, .. } = *from;
    if let Some(exported) = exported {
        build.write_file(CLASSIFIER, &exported.bytes)?;
    }
    build.write_file("head.safetensors", &safetensors(&trained.head, temperature(trained), facts)?)?;
    let mut metrics = metrics(data, trained, facts, settings, seconds)?;
    metrics["classifier"] = exported.map_or(Value::Null, |exported| exported.check.clone());
    if let Some(curve) = from.curve {
        metrics["learning_curve"] = curve_outputs::json(curve);
        build.write_file(curve_outputs::FILE, &encode_parquet(&curve_outputs::parquet(curve)?, &[])?)?;
    }
    let mut text = serde_json::to_vec_pretty(&metrics).context("cannot express the metrics")?;
    text.push(b'\n');
    build.write_file(METRICS, &text)?;
    build.write_file("history.parquet", &encode_parquet(&history(trained)?, &[])?)?;
    build.write_file("predictions.parquet", &encode_parquet(&predictions(data, trained, facts)?, &[])?)?;
    Ok(())
}

/// Facts for the manifest.
pub(crate) fn facts(trained: &Trained, facts: &FeaturesFacts) -> anyhow::Result<Value> {
    let best = &trained.sweep.points[trained.sweep.best];
    Ok(json!({
        "classes": facts.classes,
        "feature_dim": facts.feature_dim,
        "backbone": facts.backbone,
        "backbone_digest": facts.backbone_digest,
        "tensor": facts.tensor,
        "preprocessing": facts.preprocessing,
        "chosen": { "raw_lr": best.learning_rate, "weight_decay": best.weight_decay, "epoch": best.best_epoch },
        "temperature": temperature(trained),
        "test_accuracy": trained.test.as_ref().map(|t| t.scores.accuracy),
    }))
}

pub(crate) fn temperature(trained: &Trained) -> f64 {
    trained.temperature.map_or(1.0, |t| t.temperature)
}

/// `weight` float32 `[n_classes, feature_dim]` and `bias` float32 `[n_classes]`, for features as they are.
pub(crate) fn safetensors(head: &Head, temperature: f64, facts: &FeaturesFacts) -> anyhow::Result<Vec<u8>> {
    let bytes = |values: &mut dyn Iterator<Item = f32>| values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
    let (weight, bias) = (head.weight(), head.bias());
    let (w, b) = (bytes(&mut weight.iter().copied()), bytes(&mut bias.iter().copied()));
    // One key only: the crate writes the map in the order of its hashing, which changes from run to run.
    let about = json!({
        "classes": facts.classes,
        "temperature": temperature,
        "backbone": facts.backbone,
        "backbone_digest": facts.backbone_digest,
        "tensor": facts.tensor,
        "preprocessing": facts.preprocessing,
    });
    let metadata = HashMap::from([("headstart".to_string(), about.to_string())]);
    let tensors = [
        ("weight", TensorView::new(Dtype::F32, vec![weight.nrows(), weight.ncols()], &w)),
        ("bias", TensorView::new(Dtype::F32, vec![bias.len()], &b)),
    ];
    let tensors: Vec<_> =
        tensors.into_iter().map(|(n, t)| t.map(|t| (n, t))).collect::<Result<_, _>>().map_err(|e| Exit::Bug.wrap(e))?;
    safetensors::serialize(tensors, Some(metadata)).map_err(|e| Exit::Bug.wrap(e))
}

fn metrics(
    data: &Data,
    trained: &Trained,
    facts: &FeaturesFacts,
    settings: &Settings,
    seconds: &Seconds,
) -> anyhow::Result<Value> {
    let t = temperature(trained);
    let split = |scored: Option<&Scored>, rows: &Rows, head: &str, calibrated: bool| -> anyhow::Result<Value> {
        let Some(scored) = scored else { return Ok(Value::Null) };
        let mut value = scores(&scored.scores, &facts.classes);
        value["head"] = json!(head);
        if calibrated {
            let at = |t| expected_calibration_error(scored.logits.view(), &rows.labels, t).map_err(head_error);
            value["calibration"] = json!({ "before": calibration(&at(1.0)?), "after": calibration(&at(t)?) });
        }
        Ok(value)
    };
    let grid: Vec<_> = trained
        .sweep
        .points
        .iter()
        .map(|p| {
            let best = p.best_epoch.checked_sub(1).and_then(|e| p.history.get(e));
            json!({
                "raw_lr": p.learning_rate,
                "lr": p.learning_rate * 256.0 / settings.sweep.batch_size as f64,
                "weight_decay": p.weight_decay,
                "best_epoch": p.best_epoch,
                "train_loss": best.map(|s| s.train_loss),
                "validation_loss": best.and_then(|s| s.validation_loss),
                "validation_accuracy": best.and_then(|s| s.validation_accuracy),
                "outcome": match p.outcome {
                    Outcome::Finished => json!("finished"),
                    Outcome::Diverged { epoch, step } => json!({ "diverged": { "epoch": epoch, "step": step } }),
                },
            })
        })
        .collect();
    let best = &trained.sweep.points[trained.sweep.best];
    Ok(json!({
        "classes": facts.classes,
        "feature_dim": facts.feature_dim,
        "rows": { "train": data.train.ids.len(), "validation": data.validation.ids.len(), "test": data.test.ids.len(), "unlabelled": data.unlabelled },
        "validation_rows": if data.drawn { "drawn from train by a hash of id" } else { "the features' own split" },
        "chosen": {
            "raw_lr": best.learning_rate,
            "lr": best.learning_rate * 256.0 / settings.sweep.batch_size as f64,
            "weight_decay": best.weight_decay,
            "epoch": best.best_epoch,
        },
        "refit": trained.is_refit,
        "seed": settings.sweep.seed,
        "temperature": t,
        "calibrated": trained.temperature.is_some(),
        "train": split(Some(&trained.train), &data.train, chosen_head(trained), false)?,
        "validation": split(trained.validation.as_ref(), &data.validation, chosen_head(trained), true)?,
        "test": split(trained.test.as_ref(), &data.test, EXPORTED, true)?,
        "grid": grid,
        "settings": settings.config(),
        "durations": { "read_s": seconds.read, "train_s": seconds.train },
    }))
}

/// What the head is called that was chosen, and that training and validation rows are scored by.
fn chosen_head(trained: &Trained) -> &'static str {
    if trained.is_refit { BEFORE_REFIT } else { EXPORTED }
}

fn scores(scores: &Scores, classes: &[String]) -> Value {
    let per_class: Vec<_> = classes.iter().zip(&scores.per_class).map(|(name, s)| {
        json!({ "class": name, "precision": s.precision, "recall": s.recall, "f1": s.f1, "support": s.support })
    }).collect();
    let confusion: Vec<Vec<u64>> = scores.confusion.outer_iter().map(|row| row.to_vec()).collect();
    json!({
        "loss": scores.loss,
        "accuracy": scores.accuracy,
        "balanced_accuracy": scores.balanced_accuracy,
        "macro_f1": scores.macro_f1,
        "per_class": per_class,
        "confusion": confusion,
    })
}

fn calibration(calibration: &Calibration) -> Value {
    let bins: Vec<_> = calibration.bins.iter().map(|b| {
        json!({ "lower": b.lower, "upper": b.upper, "count": b.count, "confidence": b.confidence, "accuracy": b.accuracy })
    }).collect();
    json!({ "ece": calibration.ece, "bins": bins })
}

/// One row a grid point and epoch.
fn history(trained: &Trained) -> anyhow::Result<RecordBatch> {
    let (best, points) = (trained.sweep.best, &trained.sweep.points);
    let rows = || {
        points.iter().enumerate().flat_map(|(nth, p)| p.history.iter().enumerate().map(move |(e, s)| (nth, p, e, s)))
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("point", Arc::new(rows().map(|(nth, ..)| nth as i32).collect::<Int32Array>())),
        ("chosen", Arc::new(rows().map(|(nth, ..)| Some(nth == best)).collect::<BooleanArray>())),
        ("raw_lr", Arc::new(rows().map(|(_, p, ..)| p.learning_rate).collect::<Float64Array>())),
        ("weight_decay", Arc::new(rows().map(|(_, p, ..)| p.weight_decay).collect::<Float64Array>())),
        ("epoch", Arc::new(rows().map(|(_, _, e, _)| e as i32 + 1).collect::<Int32Array>())),
        ("train_loss", Arc::new(rows().map(|(.., s)| s.train_loss).collect::<Float64Array>())),
        ("train_accuracy", Arc::new(rows().map(|(.., s)| s.train_accuracy).collect::<Float64Array>())),
        ("validation_loss", Arc::new(rows().map(|(.., s)| s.validation_loss).collect::<Float64Array>())),
        ("validation_accuracy", Arc::new(rows().map(|(.., s)| s.validation_accuracy).collect::<Float64Array>())),
    ];
    RecordBatch::try_from_iter(columns).map_err(|e| Exit::Bug.wrap(e))
}

/// One row a validation or test row, with probabilities after temperature scaling, and which head gave them: one that
/// was trained again has seen the validation rows, so they are scored by the one before.
fn predictions(data: &Data, trained: &Trained, facts: &FeaturesFacts) -> anyhow::Result<RecordBatch> {
    let n_classes = facts.classes.len();
    let (mut ids, mut splits, mut heads, mut labels) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut predicted, mut top, mut all) = (Vec::new(), Vec::new(), Vec::new());
    let splits_of = [
        ("validation", &data.validation, &trained.validation, chosen_head(trained)),
        ("test", &data.test, &trained.test, EXPORTED),
    ];
    for (name, rows, scored, head) in splits_of {
        let Some(scored) = scored else { continue };
        let probabilities = probabilities(scored.logits.view(), temperature(trained));
        for (i, row) in probabilities.outer_iter().enumerate() {
            // Of equal probabilities the first, as everywhere.
            let best = row.iter().enumerate().fold(0, |best, (k, p)| if *p > row[best] { k } else { best });
            ids.push(rows.ids[i].as_str());
            splits.push(name);
            heads.push(head);
            labels.push(rows.labels[i] as i32);
            predicted.push(best as i32);
            top.push(row[best]);
            all.extend(row.iter().copied());
        }
    }
    let bug = |e: arrow_schema::ArrowError| Exit::Bug.wrap(e);
    let item = Arc::new(Field::new("element", DataType::Float32, false));
    let list =
        FixedSizeListArray::try_new(item, n_classes as i32, Arc::new(Float32Array::from(all)), None).map_err(bug)?;
    let schema = Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("split", DataType::Utf8, false),
        Field::new("head", DataType::Utf8, false),
        Field::new("label", DataType::Int32, false),
        Field::new("predicted", DataType::Int32, false),
        Field::new("probability", DataType::Float32, false),
        Field::new("probabilities", list.data_type().clone(), false),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(ids)),
        Arc::new(StringArray::from(splits)),
        Arc::new(StringArray::from(heads)),
        Arc::new(Int32Array::from(labels)),
        Arc::new(Int32Array::from(predicted)),
        Arc::new(Float32Array::from(top)),
        Arc::new(list),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).map_err(bug)
}

/// softmax(logits / temperature), row by row.
pub(crate) fn probabilities(logits: ArrayView2<'_, f32>, temperature: f64) -> Array2<f32> {
    let mut probabilities = logits.mapv(|z| (f64::from(z) / temperature) as f32);
    for mut row in probabilities.outer_iter_mut() {
        softmax_in_place(row.as_slice_mut().expect("rows of a fresh array are contiguous"));
    }
    probabilities
}
