//! Prompts in, completions out: the model and the choice of tokens together.
//!
//! `sampled` runs one row a completion, `beams` several rows a prompt; this file is what both share.

use artifact::FinishReason;
use decoding::{Decoding, Ending, StopStrings, Strategy};
use stage::Exit;
use text::Tokenizer;

use crate::network::{Edits, Network};
use crate::settings::Settings;
use crate::{beams, decoding_error, sampled, text_error};

/// A prompt that can be run.
#[derive(Debug, Clone)]
pub(crate) struct Prompt<'a> {
    /// Keys the random draws.
    pub(crate) id: &'a str,
    /// One token at least.
    pub(crate) tokens: &'a [u32],
    /// Tokens that may follow, one at least.
    pub(crate) room: usize,
}

/// What was written behind a prompt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Completion {
    pub(crate) tokens: Vec<u32>,
    /// Natural logarithm of each token's probability in the model's own distribution.
    pub(crate) logprobs: Vec<f32>,
    pub(crate) reason: FinishReason,
}

/// Told every new token of the first sequence; says whether anybody still listens.
pub(crate) type Listener<'l> = &'l mut dyn FnMut(u32) -> anyhow::Result<bool>;

/// A loaded model and the rules by which its tokens are chosen.
#[derive(Debug)]
pub(crate) struct Generator<'s> {
    pub(crate) network: Network,
    pub(crate) decoding: Decoding,
    pub(crate) settings: &'s Settings,
}

impl<'s> Generator<'s> {
    pub(crate) fn load(settings: &'s Settings, edits: Edits) -> anyhow::Result<Self> {
        let network = Network::load(settings, edits)?;
        let vocab = network.vocab(settings);
        let decoding = settings.parameters.clone().check(vocab, &settings.eos).map_err(decoding_error)?;
        Ok(Self { network, decoding, settings })
    }

    /// The completions of each prompt, run as one batch.
    pub(crate) fn complete(
        &mut self,
        prompts: &[Prompt<'_>],
        listener: Listener<'_>,
    ) -> anyhow::Result<Vec<Vec<Completion>>> {
        for prompt in prompts {
            if let Some(token) = prompt.tokens.iter().find(|t| **t as usize >= self.decoding.vocab()) {
                return Err(Exit::BadData.error(format!(
                    "prompt {} has token {token}, and the model knows {}; the tokenizer and the model do not belong together",
                    prompt.id,
                    self.decoding.vocab()
                )));
            }
        }
        match self.decoding.strategy() {
            Strategy::Beams(_) => beams::complete(self, prompts),
            Strategy::Greedy | Strategy::Sample(_) => self.complete_in_turns(prompts, listener),
        }
    }

    /// Sequences are independent of each other, so more of one prompt than fit into a batch run one batch after the
    /// other.
    fn complete_in_turns(
        &mut self,
        prompts: &[Prompt<'_>],
        listener: Listener<'_>,
    ) -> anyhow::Result<Vec<Vec<Completion>>> {
        let n = self.settings.n_sequences;
        let at_once = match prompts {
            [only] => {
                let tokens = only.tokens.len().saturating_add(only.room);
                self.settings.batch.min(self.settings.batch_tokens / tokens).max(1)
            }
            _ => n,
        };
        let mut completions: Vec<Vec<Completion>> = prompts.iter().map(|_| Vec::with_capacity(n)).collect();
        for first in (0..n).step_by(at_once) {
            let numbers = first as u32..n.min(first + at_once) as u32;
            let done = sampled::complete(self, prompts, numbers, listener)?;
            completions.iter_mut().zip(done).for_each(|(all, more)| all.extend(more));
        }
        Ok(completions)
    }
}

/// The stop string that the last of these tokens (prompt and completion) completes.
pub(crate) fn stopped_by(stop: &StopStrings, tokenizer: &Tokenizer, tokens: &[u32]) -> anyhow::Result<Option<String>> {
    if stop.is_empty() {
        return Ok(None);
    }
    let tail = tokenizer.tail(tokens, stop.reach() + 1).map_err(text_error)?;
    Ok(stop.matched(tail.before.as_bytes(), tail.added.as_bytes()).map(str::to_string))
}

/// Why a row ended, with the stop string where one ended it.
pub(crate) fn reason(ending: Ending, stop: Option<String>) -> FinishReason {
    match (ending, stop) {
        (Ending::Eos, _) => FinishReason::Eos,
        (Ending::Stopped, Some(string)) => FinishReason::Stop(string),
        // Nothing but a stop string says "stopped".
        (Ending::Stopped, None) | (Ending::Length, _) => FinishReason::Length,
    }
}

/// Token ids as the model takes them.
pub(crate) fn as_input(tokens: &[u32]) -> Vec<i64> {
    tokens.iter().map(|t| i64::from(*t)).collect()
}
