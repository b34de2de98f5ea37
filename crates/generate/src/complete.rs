//! The verb: completes every part that is missing.
//!
//! Part k of the completions is made from part k of the prompts, in batches that never cross a part, so the
//! result does not depend on where a run was interrupted or how parts were spread. One part of prompts is in
//! memory at a time.

use anyhow::Context;
use artifact::{
    Artifact, Build, CompletionPart, FinishCounts, FinishReason, Input, Kind, PartPlan, Plan, PromptPart, take_rows,
};
use stage::{Exit, Progress, say};

use crate::args::OnLong;
use crate::batches::group;
use crate::generator::{Completion, Generator, Prompt};
use crate::settings::Settings;
use crate::text_error;

/// Sums over all completions, for the facts and the report.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) n_tokens: u64,
    pub(crate) finished: FinishCounts,
}

/// The parts of the completions: those of the prompts, one for one.
pub(crate) fn plan(settings: &Settings, prompts: &Artifact, inputs: Vec<Input>, provider: &str) -> Plan {
    let parts = prompts.manifest().parts.iter().map(|p| PartPlan { file: p.file.clone(), split: p.split }).collect();
    Plan { kind: Kind::Completions, config: settings.config(provider), inputs, parts }
}

/// Makes the missing parts. Gives the sums over all parts and the rate, in new tokens a second.
pub(crate) fn run(
    build: &mut Build,
    prompts: &Artifact,
    generator: &mut Generator<'_>,
) -> anyhow::Result<(Totals, f64)> {
    let settings = generator.settings;
    let mut totals = Totals::default();
    let missing = build.missing();
    for index in (0..prompts.manifest().parts.len()).filter(|i| !missing.contains(i)) {
        totals.add(&CompletionPart::from_batches(&build.read_part(index)?, &prompts.part_path(index))?);
    }
    let finished = build.finished().0 / settings.n_sequences as u64;
    let mut progress = Progress::start("prompts", prompts.manifest().rows(), finished);
    let started = std::time::Instant::now();
    let mut made = Totals::default();
    let mut n_cut = 0;
    for index in missing {
        let file = &prompts.manifest().parts[index].file;
        let part = PromptPart::from_batches(&prompts.read_part(index)?, &prompts.part_path(index))?;
        let completed = complete_part(generator, part, &mut progress, &mut n_cut);
        let completed = completed.with_context(|| format!("part {file}"))?;
        made.add(&completed);
        build.write_part(index, &completed.to_batch()?, Vec::new())?;
    }
    if n_cut > 0 {
        say(format!("completions: {n_cut} prompts were cut on the left, to leave room for new tokens"));
    }
    let rate = made.n_tokens as f64 / started.elapsed().as_secs_f64().max(1e-9);
    totals.merge(&made);
    Ok((totals, rate))
}

fn complete_part(
    generator: &mut Generator<'_>,
    part: PromptPart,
    progress: &mut Progress,
    n_cut: &mut u64,
) -> anyhow::Result<CompletionPart> {
    let settings = generator.settings;
    let PromptPart { ids, texts, mut input_ids, other } = part;
    let mut is_skipped = vec![false; ids.len()];
    for (row, tokens) in input_ids.iter_mut().enumerate() {
        is_skipped[row] = make_room(&ids[row], tokens, settings, n_cut)?;
    }
    let runnable: Vec<usize> = (0..ids.len()).filter(|row| !is_skipped[*row]).collect();
    let all: Vec<Prompt<'_>> = runnable
        .iter()
        .map(|&row| Prompt {
            id: &ids[row],
            tokens: &input_ids[row],
            room: settings.lengths.room(input_ids[row].len()),
        })
        .collect();
    progress.add(is_skipped.iter().filter(|s| **s).count() as u64);
    let lengths: Vec<_> = all.iter().map(|p| (p.tokens.len(), p.room)).collect();
    let equal = generator.network.decoder.needs_equal_lengths();
    let groups = group(&lengths, settings.rows_per_prompt(), settings.batch, settings.batch_tokens, equal);
    let mut completions: Vec<Vec<Completion>> = ids.iter().map(|_| Vec::new()).collect();
    for batch in groups {
        let prompts: Vec<Prompt<'_>> = batch.iter().map(|i| all[*i].clone()).collect();
        let done = generator.complete(&prompts, &mut |_| Ok(true))?;
        for (i, done) in batch.iter().zip(done) {
            completions[runnable[*i]] = done;
        }
        progress.add(batch.len() as u64);
    }
    let n = settings.n_sequences;
    let rows: Vec<usize> = (0..ids.len()).flat_map(|row| std::iter::repeat_n(row, n)).collect();
    let mut result = CompletionPart::empty(take_rows(&other, &rows)?);
    for (row, of_prompt) in completions.into_iter().enumerate() {
        let mut of_prompt = of_prompt.into_iter();
        for sequence in 0..n {
            let skipped = || Completion { tokens: Vec::new(), logprobs: Vec::new(), reason: FinishReason::Skipped };
            let Completion { tokens, logprobs, reason } = of_prompt.next().unwrap_or_else(skipped);
            let text = settings.tokenizer.continuation(&input_ids[row], &tokens).map_err(text_error)?;
            result.ids.push(ids[row].clone());
            result.prompts.push(texts[row].clone());
            result.sequences.push(sequence as u32);
            result.completions.push(text);
            result.token_ids.push(tokens);
            result.logprobs.push(logprobs);
            result.finish_reasons.push(reason);
            result.prompt_tokens.push(input_ids[row].len() as u32);
        }
    }
    Ok(result)
}

/// Sees to it that a prompt leaves room for a token; says whether it is passed over.
pub(crate) fn make_room(id: &str, tokens: &mut Vec<u32>, settings: &Settings, n_cut: &mut u64) -> anyhow::Result<bool> {
    let n = tokens.len();
    if n == 0 {
        return Err(Exit::BadData.error(format!("prompt {id} has no tokens; the model needs one to begin with")));
    }
    if settings.lengths.room(n) > 0 {
        return Ok(false);
    }
    match settings.on_long {
        OnLong::Skip => return Ok(true),
        OnLong::TruncateLeft if settings.lengths.kept() < n => {
            tokens.drain(..n - settings.lengths.kept());
            *n_cut += 1;
            if settings.lengths.room(tokens.len()) > 0 {
                return Ok(false);
            }
        }
        OnLong::TruncateLeft | OnLong::Error => {}
    }
    let total = settings.lengths.max_total.unwrap_or(0);
    let why = match settings.model.context() {
        Some(context) if context <= total => format!("the model sees {context} at once"),
        _ => format!("--max-length {total} includes the prompt"),
    };
    Err(Exit::BadData.error(format!(
        "prompt {id} has {n} tokens and leaves no room for another: {why}; cut such prompts with --on-long truncate-left, or \
         pass over them with --on-long skip"
    )))
}

impl Totals {
    fn add(&mut self, part: &CompletionPart) {
        self.n_tokens += part.token_ids.iter().map(|t| t.len() as u64).sum::<u64>();
        part.finish_reasons.iter().for_each(|reason| self.finished.add(reason));
    }

    fn merge(&mut self, other: &Self) {
        self.n_tokens += other.n_tokens;
        let (mine, theirs) = (&mut self.finished, &other.finished);
        mine.length += theirs.length;
        mine.eos += theirs.eos;
        mine.stop += theirs.stop;
        mine.skipped += theirs.skipped;
    }
}
