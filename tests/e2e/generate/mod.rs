//! `generate`: prompts to completions. What its themes share is here: the models of the repository,
//! prompts as an artifact, and completions as rows.

mod bad_input;
mod endings;
mod expected;
mod interruption;
mod layouts;
mod output;
mod parity;
mod sampling;

use std::fs;
use std::path::{Path, PathBuf};

use artifact::{Artifact, CompletionPart, Kind, PromptPart};
use serde_json::json;

use crate::program::{Dir, Run, repository};

/// The folder of a micro model in one layout of files.
fn fixture(layout: &str) -> PathBuf {
    repository().join("tests/fixtures/generate").join(layout)
}

/// A copy of a model's folder, in which files can be changed.
fn copy(dir: &Dir, from: &Path, to: &str) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = format!("{to}/{}", entry.file_name().to_str().unwrap());
        match entry.path().is_dir() {
            true => copy(dir, &entry.path(), &name),
            false => drop(dir.write(&name, fs::read(entry.path()).unwrap())),
        }
    }
}

/// Makes the prompts artifact of a run from texts; their ids are `p0`, `p1`, …
fn prepare(dir: &Dir, run: &str, model: &Path, texts: &[&str]) {
    prepare_in_parts(dir, run, model, texts, 128);
}

fn prepare_in_parts(dir: &Dir, run: &str, model: &Path, texts: &[&str], part_rows: usize) {
    let line = |(i, text): (usize, &&str)| json!({ "id": format!("p{i}"), "text": text }).to_string() + "\n";
    let file = dir.write(&format!("{run}.jsonl"), texts.iter().enumerate().map(line).collect::<String>());
    dir.data_prep()
        .args(["--id-field", "id", "--run", run, "--part-rows", &part_rows.to_string()])
        .args([Path::new("--input"), &file, Path::new("--tokenizer"), model])
        .code(0);
}

/// `generate` over the prompts of a run.
fn generate<'a>(dir: &'a Dir, run: &str, model: &Path) -> Run<'a> {
    dir.generate().args(["--run", run]).args([Path::new("--model"), model])
}

/// One row of completions.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    id: String,
    prompt: String,
    sequence: u32,
    completion: String,
    token_ids: Vec<u32>,
    logprobs: Vec<f32>,
    finish_reason: String,
    prompt_tokens: u32,
}

/// All rows of the completions in a folder.
fn rows(dir: &Dir, folder: &str) -> Vec<Row> {
    let artifact = Artifact::open(&dir.path(folder), Kind::Completions).unwrap();
    let mut rows = Vec::new();
    for index in 0..artifact.manifest().parts.len() {
        let batches = artifact.read_part(index).unwrap();
        let part = CompletionPart::from_batches(&batches, &artifact.part_path(index)).unwrap();
        rows.extend((0..part.ids.len()).map(|i| Row {
            id: part.ids[i].clone(),
            prompt: part.prompts[i].clone(),
            sequence: part.sequences[i],
            completion: part.completions[i].clone(),
            token_ids: part.token_ids[i].clone(),
            logprobs: part.logprobs[i].clone(),
            finish_reason: part.finish_reasons[i].to_string(),
            prompt_tokens: part.prompt_tokens[i],
        }));
    }
    rows
}

/// The token ids of all prompts of a run.
fn input_ids(dir: &Dir, run: &str) -> Vec<Vec<u32>> {
    let artifact = Artifact::open(&dir.path(run).join("prompts"), Kind::Prompts).unwrap();
    let part = |index| {
        let batches = artifact.read_part(index).unwrap();
        PromptPart::from_batches(&batches, &artifact.part_path(index)).unwrap().input_ids
    };
    (0..artifact.manifest().parts.len()).flat_map(part).collect()
}

/// What the rows say, without the log-probabilities, whose last digits depend on the batch.
fn tokens(rows: &[Row]) -> Vec<(&str, u32, &[u32], &str)> {
    rows.iter().map(|r| (r.id.as_str(), r.sequence, r.token_ids.as_slice(), r.finish_reason.as_str())).collect()
}
