//! `--verify-batch N`: is a row the same when it runs alone?
//!
//! Rows run again one by one, through the model's graph as it is in the file, so that the edits made for speed are
//! checked too. A difference is rounding where the two best tokens are all but equal, so the margin between them is
//! said; in a greedy float32 run a larger one is a mistake.

use artifact::{Artifact, CompletionPart, FinishReason, PromptPart};
use decoding::Strategy;
use onnx_graph::ElementType;
use serde_json::{Value, json};
use stage::{Exit, Report};

use crate::complete::make_room;
use crate::generator::{Generator, Prompt, as_input};
use crate::network::Edits;
use crate::settings::Settings;
use crate::{backbone_error, decoding_error};

/// Beyond this margin (in units of the logits) no rounding of float32 explains another choice.
const ROUNDING: f32 = 1e-2;

/// A row whose tokens differ when it runs alone.
struct Divergence {
    id: String,
    sequence: u32,
    /// Tokens that were equal before.
    at: usize,
    batched: Option<u32>,
    alone: Option<u32>,
    /// Between the two best tokens there.
    margin: f32,
}

/// Runs `n` rows spread over the artifact again and adds what came out to the report.
pub(crate) fn run(
    mut report: Report,
    n: usize,
    prompts: &Artifact,
    completions: &Artifact,
    settings: &Settings,
) -> anyhow::Result<Report> {
    let n_rows = completions.manifest().rows() as usize;
    let n = n.min(n_rows);
    let mut generator = Generator::load(settings, Edits::None)?;
    // Row k of n: the middle of the k-th of n equal stretches.
    let mut wanted = (0..n).map(|k| (2 * k + 1) * n_rows / (2 * n)).peekable();
    let (mut first_row, mut divergences) = (0, Vec::new());
    for index in 0..completions.manifest().parts.len() {
        let rows = completions.manifest().parts[index].rows as usize;
        if wanted.peek().is_none_or(|row| *row >= first_row + rows) {
            first_row += rows;
            continue;
        }
        let done = CompletionPart::from_batches(&completions.read_part(index)?, &completions.part_path(index))?;
        let part = PromptPart::from_batches(&prompts.read_part(index)?, &prompts.part_path(index))?;
        while let Some(row) = wanted.next_if(|row| *row < first_row + rows) {
            divergences.extend(compare(&mut generator, &part, &done, row - first_row)?);
        }
        first_row += rows;
    }
    let worst = divergences.iter().map(|d| d.margin).fold(0.0, f32::max);
    report = report.line(format!(
        "verify: {} of {n} rows are the same when run alone, through the graph as it is in the file",
        n - divergences.len()
    ));
    for d in &divergences {
        let name = |token: Option<u32>| token.map_or("the end".to_string(), |id| shown(settings, id));
        report = report.line(format!(
            "verify: {} sequence {}: differs from token {} on, {} in the batch and {} alone; margin between the two best {:.2e}",
            d.id, d.sequence, d.at, name(d.batched), name(d.alone), d.margin
        ));
    }
    let list: Vec<Value> = divergences
        .iter()
        .map(|d| json!({ "id": d.id, "sequence": d.sequence, "token": d.at, "batched": d.batched, "alone": d.alone, "margin": d.margin }))
        .collect();
    report.fields.insert("verify".into(), json!({ "rows": n, "divergences": list }));
    // A draw may flip at any margin, and beams compete across rows; float16 rounds more coarsely than this.
    let is_decisive = settings.parameters.strategy == Strategy::Greedy
        && generator.network.contract.logits_element == ElementType::F32;
    if is_decisive && worst > ROUNDING {
        report =
            report.line(format!("verify: a margin above {ROUNDING} is more than rounding explains; please report it"));
        report.exit = Exit::GateFailed;
    }
    Ok(report)
}

fn shown(settings: &Settings, id: u32) -> String {
    settings.tokenizer.token_of(id).map_or(id.to_string(), |text| format!("{id} {text:?}"))
}

fn compare(
    generator: &mut Generator<'_>,
    part: &PromptPart,
    done: &CompletionPart,
    row: usize,
) -> anyhow::Result<Option<Divergence>> {
    let settings = generator.settings;
    let (id, sequence) = (&done.ids[row], done.sequences[row]);
    let lost = || {
        Exit::BadData.error(format!("the prompt {id} is not in the part of prompts that its completion was made from"))
    };
    let of_prompt = part.ids.iter().position(|i| i == id).ok_or_else(lost)?;
    let mut tokens = part.input_ids[of_prompt].clone();
    if done.finish_reasons[row] == FinishReason::Skipped || make_room(id, &mut tokens, settings, &mut 0)? {
        return Ok(None);
    }
    let prompt = Prompt { id, tokens: &tokens, room: settings.lengths.room(tokens.len()) };
    let alone = generator.complete(&[prompt], &mut |_| Ok(true))?;
    // Beam search may find fewer sequences than were asked for.
    let alone = alone.first().and_then(|all| all.get(sequence as usize)).map_or(&[][..], |c| &c.tokens);
    let batched = &done.token_ids[row];
    if alone == batched {
        return Ok(None);
    }
    let at = alone.iter().zip(batched).take_while(|(a, b)| a == b).count();
    let before = [&tokens, &alone[..at]].concat();
    let margin = margin(generator, &before, tokens.len())?;
    let (batched, alone) = (batched.get(at).copied(), alone.get(at).copied());
    Ok(Some(Divergence { id: id.clone(), sequence, at, batched, alone, margin }))
}

/// Difference between the two best scores behind these tokens, as the processors leave them.
fn margin(generator: &mut Generator<'_>, tokens: &[u32], prompt_len: usize) -> anyhow::Result<f32> {
    generator.network.decoder.start(&[&as_input(tokens)], 1).map_err(backbone_error)?;
    let mut scores = generator.network.decoder.logits(0).map_err(backbone_error)?.to_vec();
    generator.decoding.process(&mut scores, tokens, prompt_len);
    let best = generator.decoding.greedy(&scores).map_err(decoding_error)? as usize;
    let first = std::mem::replace(&mut scores[best], f32::NEG_INFINITY);
    let second = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    Ok(first - second)
}
