//! Prompts and completions come back as they were written, and what is not theirs is refused.

#![allow(clippy::unwrap_used, clippy::panic)] // In a test they are how it fails.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, StringViewArray};
use arrow_schema::{DataType, Field, Schema};
use artifact::{
    Artifact, Begin, Build, CompletionPart, CompletionsFacts, Error, FinishCounts, FinishReason, Input, Kind, PartPlan,
    Plan, PromptPart, PromptsFacts, Redo, decode_parquet, encode_parquet, no_columns, take_rows,
};
use proptest::prelude::*;
use serde_json::json;

fn other(keys: &[Option<i64>]) -> RecordBatch {
    let key: ArrayRef = Arc::new(Int64Array::from(keys.to_vec()));
    let good: ArrayRef = Arc::new(BooleanArray::from(keys.iter().map(|k| k.map(|k| k > 0)).collect::<Vec<_>>()));
    let note: ArrayRef = Arc::new(StringViewArray::from_iter(keys.iter().map(|k| k.map(|k| format!("note {k}")))));
    let field = |name: &str, column: &ArrayRef| Field::new(name, column.data_type().clone(), true);
    let schema = Schema::new(vec![field("key", &key), field("good", &good), field("note", &note)]);
    RecordBatch::try_new(Arc::new(schema), vec![key, good, note]).unwrap()
}

fn prompts() -> PromptPart {
    PromptPart {
        ids: vec!["a/0".into(), "a/1".into(), "a/2".into()],
        texts: vec!["Once".into(), "今天".into(), "x".into()],
        input_ids: vec![vec![1, 2], vec![u32::try_from(i32::MAX).unwrap()], vec![3]],
        other: other(&[Some(1), None, Some(-3)]),
    }
}

fn completions(other: RecordBatch) -> CompletionPart {
    CompletionPart {
        ids: vec!["a/0".into(), "a/0".into(), "a/1".into(), "a/1".into()],
        prompts: vec!["Once".into(), "Once".into(), "今天".into(), "今天".into()],
        sequences: vec![0, 1, 0, 1],
        completions: vec![" upon".into(), "".into(), "\n".into(), "".into()],
        token_ids: vec![vec![5, 6], vec![], vec![7], vec![]],
        logprobs: vec![vec![-0.5, -1e-30], vec![], vec![f32::NEG_INFINITY], vec![]],
        finish_reasons: vec![
            FinishReason::Length,
            FinishReason::Eos,
            FinishReason::Stop("\n".into()),
            FinishReason::Skipped,
        ],
        prompt_tokens: vec![2, 2, 1, 1],
        other,
    }
}

fn there_and_back(batch: &RecordBatch) -> Vec<RecordBatch> {
    decode_parquet(encode_parquet(batch, &[("k", "v")]).unwrap(), Path::new("part")).unwrap()
}

/// The batch with one column replaced by another of the same length.
fn with(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let index = batch.schema().index_of(name).unwrap();
    let (schema, mut columns, _) = batch.clone().into_parts();
    let mut fields: Vec<_> = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
    fields[index] = Field::new(name, column.data_type().clone(), true);
    columns[index] = column;
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

#[test]
fn parts_without_splits_are_written_read_and_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("prompts");
    let facts = PromptsFacts {
        tokenizer: "models/gpt2".into(),
        tokenizer_digest: "d".into(),
        n_tokens: 4,
        longest: 2,
        rejects: 0,
    };
    let plan = Plan {
        kind: Kind::Prompts,
        config: json!({}),
        inputs: vec![Input { name: "lines".into(), digest: "d".into() }],
        parts: vec![PartPlan::unsplit(0), PartPlan::unsplit(1)],
    };
    let begin = || match Build::begin(&out, plan.clone(), Redo::Missing).unwrap() {
        Begin::Build(build) => build,
        Begin::UpToDate(_) => panic!("expected something to make"),
    };
    begin().write_part(1, &prompts().to_batch().unwrap(), vec![]).unwrap();
    let mut build = begin();
    assert_eq!(build.missing(), [0]);
    // What the facts count is in the finished parts.
    assert_eq!(PromptPart::from_batches(&build.read_part(1).unwrap(), &out).unwrap(), prompts());
    assert!(matches!(build.read_part(0), Err(Error::Bug(_))));
    let empty = PromptPart { ids: vec![], texts: vec![], input_ids: vec![], other: prompts().other.slice(0, 0) };
    build.write_part(0, &empty.clone().to_batch().unwrap(), vec![]).unwrap();
    build.commit(serde_json::to_value(&facts).unwrap()).unwrap();

    let artifact = Artifact::open(&out, Kind::Prompts).unwrap();
    assert_eq!(artifact.manifest().facts_as::<PromptsFacts>(&out).unwrap(), facts);
    assert_eq!(artifact.manifest().parts[0].file, "part-00000.parquet");
    let manifest = fs::read_to_string(out.join("manifest.json")).unwrap();
    assert!(manifest.contains("\"stage\": \"data-prep\"") && !manifest.contains("split"), "{manifest}");
    // A part without rows still has all columns.
    assert_eq!(PromptPart::from_batches(&artifact.read_part(0).unwrap(), &out).unwrap(), empty);
}

#[test]
fn prompts_and_completions_come_back_with_and_without_other_columns() {
    for other in [other(&[Some(1), None, Some(-3)]), no_columns(3)] {
        let part = PromptPart { other, ..prompts() };
        let read = PromptPart::from_batches(&there_and_back(&part.clone().to_batch().unwrap()), Path::new("part"));
        assert_eq!(read.unwrap(), part);
        let part = completions(take_rows(&part.other, &[0, 0, 1, 1]).unwrap());
        let read = CompletionPart::from_batches(&there_and_back(&part.clone().to_batch().unwrap()), Path::new("part"));
        assert_eq!(read.unwrap(), part);
    }
}

#[test]
fn a_column_named_as_one_of_ours_is_kept_under_another_name() {
    let text: ArrayRef = Arc::new(StringArray::from(vec![Some("label"), None, None]));
    let other =
        RecordBatch::try_from_iter_with_nullable([("text", text.clone(), true), ("prompt", text, true)]).unwrap();
    let part = PromptPart { other, ..prompts() };
    let read = PromptPart::from_batches(&[part.to_batch().unwrap()], Path::new("part")).unwrap();
    let names = |batch: &RecordBatch| batch.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    assert_eq!(names(&read.other), ["input_text", "prompt"]);
    // `prompt` is none of the prompts' own names, but one of the completions'.
    let part = completions(take_rows(&read.other, &[0, 0, 1, 1]).unwrap());
    let read = CompletionPart::from_batches(&[part.to_batch().unwrap()], Path::new("part")).unwrap();
    assert_eq!(names(&read.other), ["input_text", "input_prompt"]);
}

#[test]
fn wrong_columns_are_refused_with_what_was_expected_and_found() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let refused = |batch: RecordBatch| match PromptPart::from_batches(&there_and_back(&batch), Path::new("p/part")) {
        Err(Error::Malformed { path, reason }) if path == Path::new("p/part") => reason,
        other => panic!("{other:?}"),
    };
    let good = prompts().to_batch().unwrap();
    assert_eq!(refused(with(&good, "text", numbers.clone())), "column `text`: expected Utf8, found Int64");
    let reason = refused(with(&good, "input_ids", numbers.clone()));
    assert!(reason.starts_with("column `input_ids`: expected List(") && reason.ends_with("found Int64"), "{reason}");
    let nulls: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, None]));
    assert_eq!(refused(with(&good, "id", nulls)), "column `id` has 2 nulls");
    let reason = refused(good.project(&[0, 1, 3]).unwrap());
    let (expected, found) = ("column `input_ids`: expected List(", "found only columns id, text, key");
    assert!(reason.starts_with(expected) && reason.ends_with(found), "{reason}");

    let good = completions(no_columns(4)).to_batch().unwrap();
    let refused = |name, column| {
        let batch = with(&good, name, column);
        CompletionPart::from_batches(&there_and_back(&batch), Path::new("part")).unwrap_err().to_string()
    };
    let words: ArrayRef = Arc::new(StringArray::from(vec!["eos", "eos", "because", "eos"]));
    assert!(
        refused("finish_reason", words).ends_with("expected length, eos, stop:STRING or skipped, found \"because\"")
    );
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
    assert!(refused("prompt_tokens", numbers.clone()).ends_with("column `prompt_tokens`: expected Int32, found Int64"));
    assert!(refused("logprobs", numbers).contains("column `logprobs`: expected List("));
}

#[test]
fn what_cannot_be_stored_is_a_bug() {
    let part = PromptPart { input_ids: vec![vec![1 << 31], vec![], vec![]], ..prompts() };
    assert!(matches!(part.to_batch(), Err(Error::Bug(_))));
    let part = PromptPart { ids: vec!["a".into()], ..prompts() };
    assert!(matches!(part.to_batch(), Err(Error::Bug(_))));
    let part = CompletionPart { logprobs: vec![vec![-0.5], vec![], vec![0.0], vec![]], ..completions(no_columns(4)) };
    assert!(part.to_batch().unwrap_err().to_string().contains("row 0 has 2 tokens and 1 log-probabilities"));
}

#[test]
fn finish_reasons_are_counted_and_facts_come_back() {
    let mut finished = FinishCounts::default();
    completions(no_columns(4)).finish_reasons.iter().for_each(|reason| finished.add(reason));
    assert_eq!(finished, FinishCounts { length: 1, eos: 1, stop: 1, skipped: 1 });
    let facts = CompletionsFacts {
        model: "m".into(),
        model_digest: "d".into(),
        tokenizer_digest: "t".into(),
        provider: "cpu".into(),
        strategy: "greedy".into(),
        n_sequences: 2,
        n_tokens: 3,
        finished,
    };
    let value = serde_json::to_value(&facts).unwrap();
    assert_eq!(value["finished"], json!({ "length": 1, "eos": 1, "stop": 1, "skipped": 1 }));
    assert_eq!(serde_json::from_value::<CompletionsFacts>(value).unwrap(), facts);
    assert_eq!(DataType::Int32, completions(no_columns(4)).to_batch().unwrap().column(7).data_type().clone());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Any prompts survive Parquet, in parts longer than one decoded batch too.
    #[test]
    fn prompts_survive_a_round_trip(texts in prop::collection::vec(".{0,12}", 0..40), copies in 1usize..200) {
        let texts: Vec<String> = texts.iter().cycle().take(texts.len() * copies).cloned().collect();
        let keys: Vec<_> = (0..texts.len() as i64).map(|i| (i % 3 != 0).then_some(i)).collect();
        let part = PromptPart {
            ids: (0..texts.len()).map(|i| i.to_string()).collect(),
            input_ids: texts.iter().map(|t| t.chars().map(u32::from).collect()).collect(),
            texts,
            other: other(&keys),
        };
        let batches = there_and_back(&part.clone().to_batch().unwrap());
        prop_assert_eq!(PromptPart::from_batches(&batches, Path::new("part")).unwrap(), part);
    }

    /// Any completions survive Parquet: empty ones too, and any log-probability bit for bit.
    #[test]
    fn completions_survive_a_round_trip(
        rows in prop::collection::vec((".{0,12}", prop::collection::vec((0u32..1 << 31, any::<u32>()), 0..6), ".{0,3}"), 0..40),
        copies in 1usize..200,
    ) {
        let rows: Vec<_> = rows.iter().cycle().take(rows.len() * copies).collect();
        let of_rows = |i: usize| format!("a/{}", i / 2);
        let part = CompletionPart {
            ids: (0..rows.len()).map(of_rows).collect(),
            prompts: (0..rows.len()).map(of_rows).collect(),
            sequences: (0..rows.len() as u32).map(|i| i % 2).collect(),
            completions: rows.iter().map(|(text, ..)| text.clone()).collect(),
            token_ids: rows.iter().map(|(_, tokens, _)| tokens.iter().map(|(id, _)| *id).collect()).collect(),
            logprobs: rows.iter().map(|(_, tokens, _)| tokens.iter().map(|(_, p)| f32::from_bits(*p)).collect()).collect(),
            finish_reasons: rows.iter().map(|(.., stop)| FinishReason::Stop(stop.clone())).collect(),
            prompt_tokens: rows.iter().map(|(_, tokens, _)| tokens.len() as u32).collect(),
            other: other(&(0..rows.len() as i64).map(|i| (i % 3 != 0).then_some(i)).collect::<Vec<_>>()),
        };
        let bits = |part: &CompletionPart| -> Vec<Vec<u32>> {
            part.logprobs.iter().map(|row| row.iter().map(|p| p.to_bits()).collect()).collect()
        };
        let batches = there_and_back(&part.clone().to_batch().unwrap());
        let read = CompletionPart::from_batches(&batches, Path::new("part")).unwrap();
        prop_assert_eq!(bits(&read), bits(&part));
        // What is no number differs from itself.
        let without = |part: CompletionPart| CompletionPart { logprobs: vec![], ..part };
        prop_assert_eq!(without(read), without(part));
    }

    /// A stop string may be anything, the names of the other reasons included.
    #[test]
    fn finish_reasons_survive_as_text(stop in ".*|length|eos|skipped|stop:") {
        for reason in [FinishReason::Stop(stop), FinishReason::Length, FinishReason::Eos, FinishReason::Skipped] {
            prop_assert_eq!(reason.to_string().parse(), Ok(reason));
        }
    }
}
