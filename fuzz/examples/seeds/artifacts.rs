//! Manifests, journals and parts of our own.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use artifact::{
    CompletionPart, Digest, ExamplePart, FORMAT_VERSION, FeaturePart, FeatureType, FinishReason, PredictionPart,
    PromptPart, Vectors, encode_parquet, no_columns,
};
use ndarray::Array2;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use targets::part::facts;

use crate::tables::parquet_of;
use crate::{write, write_with};

pub(crate) fn manifests() {
    let manifest = |kind: &str, facts: Value, parts: Value, files: Value| {
        json!({
            "format_version": FORMAT_VERSION, "kind": kind, "stage": "data-prep",
            "fingerprint": Digest::of(kind.as_bytes()).as_str(),
            "inputs": [{"name": "x", "digest": "d"}], "config": {"seed": 0, "share": 0.1, "list": [1, null]},
            "facts": facts, "parts": parts, "files": files,
        })
        .to_string()
    };
    let part = |file: &str, split: &str| json!({"file": file, "split": split, "rows": 3, "bytes": 9, "blake3": "00"});
    let file = json!([{"file": "rejects.parquet", "bytes": 0, "blake3": Digest::of(b"").as_str()}]);
    let policy = json!({"policy": "resized", "fit": "crop", "filter": "bilinear", "enlarge": false});
    let examples = json!({"height": 2, "width": 2, "classes": ["a"], "resize": "", "resize_policy": policy});
    let parts = json!([part("train-00000.parquet", "train"), part("test-00000.parquet", "test")]);
    write("manifest", "examples", manifest("examples", examples, parts, file));
    let (examples, features, predictions) = facts(0);
    let as_they_are = serde_json::to_value(examples).expect("facts are JSON");
    write("manifest", "as-they-are", manifest("examples", as_they_are, json!([]), json!([])));
    let plain = json!([{"file": "manifest.json", "rows": 1, "bytes": 1, "blake3": "00"}]);
    let to_value = |facts| serde_json::to_value(facts).expect("facts are JSON");
    let features = to_value(json!(features));
    write("manifest", "features", manifest("features", features, plain.clone(), json!([])));
    write("manifest", "predictions", manifest("predictions", to_value(json!(predictions)), plain.clone(), json!([])));
    let prompts = json!({"tokenizer": "t", "tokenizer_digest": "d", "n_tokens": 1, "longest": 1, "rejects": 0});
    write("manifest", "prompts", manifest("prompts", prompts, plain.clone(), json!([])));
    let completions = json!({
        "model": "m", "model_digest": "d", "tokenizer_digest": "d", "provider": "cpu", "strategy": "greedy",
        "n_sequences": 1, "n_tokens": 1, "finished": {"length": 1, "eos": 0, "stop": 0, "skipped": 0},
    });
    write("manifest", "completions", manifest("completions", completions, plain, json!([])));
    let line = json!({
        "fingerprint": "f", "part": {"file": "part-00000.parquet", "rows": 1, "bytes": 1, "blake3": "00"},
        "rejects": [{"id": "a", "source": "b", "reason": "empty", "detail": "the file is empty"}],
    });
    write("manifest", "journal", format!("\n{line}\n\n{line}\n{{\"torn"));
}

fn example_rows() -> ExamplePart {
    ExamplePart {
        ids: vec!["a".into(), "b/1".into(), "c".into()],
        labels: vec![Some(0), None, Some(2)],
        pixels: (0..36).collect(),
    }
}

pub(crate) fn parts() {
    let (examples, _, predictions) = facts(0);
    let ids = || example_rows().ids;
    let footer: &[(&str, &str)] = &[("headstart.fingerprint", "f")];
    let mut batches: Vec<(&str, u8, RecordBatch)> = Vec::new();
    batches.push(("examples", 0, example_rows().to_batch(&examples).expect("rows are sound")));
    let values = Array2::from_shape_fn((3, 4), |(i, j)| (i * 4 + j) as f32);
    for (name, option, dtype) in [("features", 0, FeatureType::Float32), ("halves", 1, FeatureType::Float16)] {
        let vectors = Vectors::from_f32(values.clone(), dtype);
        let part = FeaturePart { ids: ids(), labels: vec![Some(1), None, Some(0)], vectors };
        batches.push((name, option, part.to_batch().expect("rows are sound")));
    }
    let probabilities = Array2::from_shape_fn((3, 3), |(i, j)| if i == j { 0.5 } else { 0.25 });
    let part = PredictionPart::new(ids(), probabilities);
    batches.push(("predictions", 0, part.to_batch(&predictions).expect("rows are sound")));
    let texts = || vec!["a cat".to_string(), String::new(), "今天".to_string()];
    let other =
        RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])) as ArrayRef)])
            .expect("a column is a batch");
    let part = PromptPart { ids: ids(), texts: texts(), input_ids: vec![vec![1, 2], vec![], vec![7]], other };
    batches.push(("prompts", 0, part.to_batch().expect("rows are sound")));
    let part = CompletionPart {
        ids: ids(),
        prompts: texts(),
        sequences: vec![0, 1, 0],
        completions: texts(),
        token_ids: vec![vec![4, 5], vec![6], vec![]],
        logprobs: vec![vec![-0.5, -1.0], vec![-2.0], vec![]],
        finish_reasons: vec![FinishReason::Eos, FinishReason::Stop("x".into()), FinishReason::Length],
        prompt_tokens: vec![2, 0, 1],
        other: no_columns(3),
    };
    batches.push(("completions", 0, part.to_batch().expect("rows are sound")));
    for (name, option, batch) in batches {
        write_with("part", name, option, &encode_parquet(&batch, footer).expect("a batch can be encoded"));
        // As other programs may write it: nothing compressed, so that changed bytes are not refused by zstd.
        let plain = WriterProperties::builder().set_compression(Compression::UNCOMPRESSED);
        write_with("part", &format!("{name}-plain"), option, &parquet_of(&batch, plain.build()));
    }
}
