//! The learning curve as `learning_curve.parquet`, as JSON within `metrics.json`, and as a table for people.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray};
use serde_json::{Value, json};
use stage::Exit;

use crate::learning_curve::{Draw, Line};

/// The name of the file.
pub(crate) const FILE: &str = "learning_curve.parquet";

/// One row a head that was trained. `examples_per_class` is null for all rows.
pub(crate) fn parquet(lines: &[Line]) -> anyhow::Result<RecordBatch> {
    let rows: Vec<(&str, Option<i32>, i32, Draw)> = lines
        .iter()
        .flat_map(|line| line.points.iter().map(move |point| (line, point)))
        .flat_map(|(line, point)| {
            let size = point.per_class.map(|n| n as i32);
            point.draws.iter().enumerate().map(move |(nth, draw)| (line.name.as_str(), size, nth as i32, *draw))
        })
        .collect();
    let int =
        |of: fn(&Draw) -> usize| -> ArrayRef { Arc::new(rows.iter().map(|r| of(&r.3) as i32).collect::<Int32Array>()) };
    let float =
        |of: fn(&Draw) -> f64| -> ArrayRef { Arc::new(rows.iter().map(|r| of(&r.3)).collect::<Float64Array>()) };
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("features", Arc::new(rows.iter().map(|r| Some(r.0)).collect::<StringArray>()), false),
        ("examples_per_class", Arc::new(rows.iter().map(|r| r.1).collect::<Int32Array>()), true),
        ("draw", Arc::new(rows.iter().map(|r| r.2).collect::<Int32Array>()), false),
        ("train_rows", int(|d| d.train_rows), false),
        ("validation_rows", int(|d| d.validation_rows), false),
        ("raw_lr", float(|d| d.learning_rate), false),
        ("weight_decay", float(|d| d.weight_decay), false),
        ("epoch", int(|d| d.epoch), false),
        ("test_accuracy", float(|d| d.test_accuracy), false),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(|e| Exit::Bug.wrap(e))
}

/// For `metrics.json`.
pub(crate) fn json(lines: &[Line]) -> Value {
    let line = |line: &Line| {
        let points: Vec<_> = line
            .points
            .iter()
            .map(|point| {
                let (mean, lowest, highest) = point.spread();
                json!({
                    "examples_per_class": point.per_class,
                    "train_rows": point.train_rows(),
                    "draws": point.draws.len(),
                    "test_accuracy": { "mean": mean, "min": lowest, "max": highest },
                })
            })
            .collect();
        json!({ "features": line.name, "points": points })
    };
    Value::Array(lines.iter().map(line).collect())
}

/// A table for people from what [`json`] made: a row a size, a column a kind of features. Nothing without a curve.
pub(crate) fn table(curve: &Value) -> Vec<String> {
    let lines: Vec<&Value> = curve.as_array().into_iter().flatten().collect();
    let Some(first) = lines.first() else { return Vec::new() };
    let names: Vec<&str> = lines.iter().filter_map(|l| l["features"].as_str()).collect();
    // Wide enough for `100.0 % (100.0–100.0)`.
    let widths: Vec<usize> = names.iter().map(|n| n.chars().count().max(20)).collect();
    let mut row = format!("{:<24}", "labelled rows a class");
    for (name, width) in names.iter().zip(&widths) {
        row += &format!("  {name:>width$}");
    }
    let mut table = vec!["test accuracy by labels: mean (lowest–highest draw)".to_string(), row];
    for (nth, point) in first["points"].as_array().into_iter().flatten().enumerate() {
        let size = point["examples_per_class"]
            .as_u64()
            .map_or_else(|| format!("all ({} rows)", point["train_rows"]), |n| n.to_string());
        let mut row = format!("{size:<24}");
        for (line, width) in lines.iter().zip(&widths) {
            let point = &line["points"][nth];
            let share = |key: &str| point["test_accuracy"][key].as_f64().unwrap_or(0.0) * 100.0;
            let mut cell = format!("{:.1} %", share("mean"));
            if point["draws"].as_u64() > Some(1) {
                cell += &format!(" ({:.1}–{:.1})", share("min"), share("max"));
            }
            row += &format!("  {cell:>width$}");
        }
        table.push(row);
    }
    table
}
