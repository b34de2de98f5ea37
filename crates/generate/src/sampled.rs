//! Greedy decoding and sampling: one row a completion, all rows one token further at each step.

use artifact::FinishReason;
use decoding::{DrawKey, Strategy, log_probability};
use rayon::prelude::*;
use stage::check_stop;

use crate::generator::{Completion, Generator, Listener, Prompt, as_input, reason, stopped_by};
use crate::{backbone_error, decoding_error};

/// One completion in the making.
struct Sequence {
    prompt: usize,
    /// Which of the prompt's completions.
    number: u32,
    /// Prompt and completion.
    tokens: Vec<u32>,
    prompt_len: usize,
    logprobs: Vec<f32>,
    room: usize,
    finished: Option<FinishReason>,
}

/// Runs the prompts as one batch, and of each the sequences of these numbers.
pub(crate) fn complete(
    generator: &mut Generator<'_>,
    prompts: &[Prompt<'_>],
    numbers: std::ops::Range<u32>,
    listener: Listener<'_>,
) -> anyhow::Result<Vec<Vec<Completion>>> {
    let n = numbers.len();
    let mut sequences: Vec<Sequence> = (0..prompts.len())
        .flat_map(|p| numbers.clone().map(move |s| (p, s)))
        .map(|(p, s)| Sequence::new(p, s, &prompts[p]))
        .collect();
    let inputs: Vec<Vec<i64>> = prompts.iter().map(|p| as_input(p.tokens)).collect();
    let inputs: Vec<&[i64]> = inputs.iter().map(Vec::as_slice).collect();
    let room = prompts.iter().map(|p| p.room).max().unwrap_or(0);
    let mut cache = generator.network.decoder.start(&inputs, room).map_err(backbone_error)?;

    // The prompt runs once, whatever the number of its completions: each chooses from the same logits.
    let mut rows: Vec<usize> = sequences.iter().map(|s| s.prompt).collect();
    let mut live: Vec<usize> = (0..sequences.len()).collect();
    let mut is_fresh = true;
    // All rows are one token further at each step, also those that are finished and have not left yet.
    let mut n_steps = 0;
    loop {
        check_stop()?;
        n_steps += 1;
        let first_is_new = live[0] == 0 && sequences[0].finished.is_none();
        choose(generator, prompts, &mut sequences, &live, &rows)?;
        if let Some(&token) = sequences[0].tokens.last().filter(|_| first_is_new)
            && !listener(token)?
        {
            break;
        }
        let is_live = |sequence: &usize| sequences[*sequence].finished.is_none();
        let n_finished = live.iter().filter(|s| !is_live(s)).count();
        if n_finished == live.len() {
            break;
        }
        // Finished rows leave when there is enough of them to pay for moving the others' cache; those whose own room
        // is used up leave at once, since the model has no position for one more token.
        let is_full = live.iter().any(|s| sequences[*s].finished.is_some() && n_steps >= sequences[*s].room);
        let leave = is_full || 4 * n_finished >= live.len();
        if is_fresh || (leave && n_finished > 0) {
            let stay: Vec<usize> = (0..live.len()).filter(|at| !leave || is_live(&live[*at])).collect();
            let kept: Vec<usize> = stay.iter().map(|at| rows[*at]).collect();
            generator.network.decoder.select(&mut cache, &kept).map_err(backbone_error)?;
            live = stay.iter().map(|at| live[*at]).collect();
            rows = (0..live.len()).collect();
            is_fresh = false;
        }
        let last = |s: &usize| sequences[*s].tokens.last().map_or(0, |t| i64::from(*t));
        let tokens: Vec<i64> = live.iter().map(last).collect();
        generator.network.decoder.step(&mut cache, &tokens).map_err(backbone_error)?;
    }
    let mut completions: Vec<Vec<Completion>> = prompts.iter().map(|_| Vec::with_capacity(n)).collect();
    for sequence in sequences {
        completions[sequence.prompt].push(sequence.into_completion());
    }
    Ok(completions)
}

/// Appends one token to every live sequence that is not finished. `rows` are their rows among the logits.
fn choose(
    generator: &Generator<'_>,
    prompts: &[Prompt<'_>],
    sequences: &mut [Sequence],
    live: &[usize],
    rows: &[usize],
) -> anyhow::Result<()> {
    let Generator { decoding, settings, network } = generator;
    let mut work: Vec<(&mut Sequence, &[f32])> = Vec::with_capacity(live.len());
    let mut rows = live.iter().zip(rows);
    let mut next = rows.next();
    for (i, sequence) in sequences.iter_mut().enumerate() {
        if let Some((_, row)) = next.filter(|(at, _)| **at == i) {
            if sequence.finished.is_none() {
                work.push((sequence, network.decoder.logits(*row).map_err(backbone_error)?));
            }
            next = rows.next();
        }
    }
    let one = |scratch: &mut Vec<f32>, (sequence, logits): (&mut Sequence, &[f32])| -> anyhow::Result<()> {
        scratch.clear();
        scratch.extend_from_slice(logits);
        decoding.process(scratch, &sequence.tokens, sequence.prompt_len);
        let token = match decoding.strategy() {
            Strategy::Sample(_) => {
                let step = (sequence.tokens.len() - sequence.prompt_len) as u32;
                let key = DrawKey { id: prompts[sequence.prompt].id, sequence: sequence.number, step };
                decoding.sample(scratch, &key)
            }
            Strategy::Greedy | Strategy::Beams(_) => decoding.greedy(scratch),
        };
        let token = token.map_err(decoding_error)?;
        sequence.tokens.push(token);
        sequence.logprobs.push(log_probability(logits, token));
        let stop = stopped_by(&settings.stop, &settings.tokenizer, &sequence.tokens)?;
        let ending = decoding.ended(&sequence.tokens[sequence.prompt_len..], sequence.room, || stop.is_some());
        sequence.finished = ending.map(|ending| reason(ending, stop));
        Ok(())
    };
    work.into_par_iter().map_init(Vec::new, one).collect()
}

impl Sequence {
    fn new(prompt: usize, number: u32, of: &Prompt<'_>) -> Self {
        Self {
            prompt,
            number,
            tokens: of.tokens.to_vec(),
            prompt_len: of.tokens.len(),
            logprobs: Vec::new(),
            room: of.room,
            finished: None,
        }
    }

    fn into_completion(mut self) -> Completion {
        let tokens = self.tokens.split_off(self.prompt_len);
        // Unfinished only where nobody listens any more.
        Completion { tokens, logprobs: self.logprobs, reason: self.finished.unwrap_or(FinishReason::Length) }
    }
}
