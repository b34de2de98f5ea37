//! One row's next token. Batches are the caller's: rows know nothing of each other.

use crate::draw::{self, DrawKey};
use crate::maxima::Maxima;
use crate::parameters::{Parameters, Strategy};
use crate::warp::Candidates;
use crate::{Ending, Result, process};

/// Parameters that fit the model they were checked against. It holds no state: share it between threads.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoding {
    parameters: Parameters,
    vocab: usize,
    eos: Vec<u32>,
}

impl Decoding {
    pub(crate) fn new(parameters: Parameters, vocab: usize, eos: Vec<u32>) -> Self {
        Self { parameters, vocab, eos }
    }

    /// The parameters as they will be used: without bad words that are a lone end token.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// How tokens are taken.
    pub fn strategy(&self) -> Strategy {
        self.parameters.strategy
    }

    /// Tokens the model knows.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// The end tokens, each once, ascending.
    pub fn eos(&self) -> &[u32] {
        &self.eos
    }

    /// Applies the logits processors in place, in transformers' order: repetition penalty, no-repeat-n-gram, bad
    /// words, min length, min new tokens. `scores` are `f32 [vocab]` logits (in a beam search log-probabilities),
    /// `tokens` the row's prompt and output, of which the first `prompt_len` are prompt. Banned tokens become −∞.
    pub fn process(&self, scores: &mut [f32], tokens: &[u32], prompt_len: usize) {
        let asked = &self.parameters;
        process::penalise_repetition(scores, tokens, asked.repetition_penalty as f32);
        process::ban_repeated_ngrams(scores, tokens, asked.no_repeat_ngram_size);
        process::ban_words(scores, tokens, &asked.bad_words);
        process::ban_ends(scores, tokens.len(), asked.min_length, &self.eos);
        process::ban_ends(scores, tokens.len().saturating_sub(prompt_len), asked.min_new_tokens, &self.eos);
    }

    /// The first token with the largest of `f32 [vocab]` processed scores, as `torch.argmax` on a CPU.
    ///
    /// # Errors
    /// A score that is NaN or +∞, or no score above −∞; `torch.argmax` would pick some token.
    pub fn greedy(&self, scores: &[f32]) -> Result<u32> {
        Ok(Maxima::of(scores)?.first())
    }

    /// One token drawn from [`Self::distribution`] of `f32 [vocab]` processed scores, which are overwritten. The
    /// draw depends on the seed and `key` alone: the token is the first, by ascending id, at which the running
    /// sum of probabilities passes the key's uniform number. Where the strategy draws nothing it is the greedy one.
    ///
    /// # Errors
    /// As [`Self::distribution`].
    pub fn sample(&self, scores: &mut [f32], key: &DrawKey<'_>) -> Result<u32> {
        match self.strategy() {
            Strategy::Sample(sampling) => {
                Ok(Candidates::of(&sampling, scores)?.draw(draw::uniform(sampling.seed, key)))
            }
            Strategy::Greedy | Strategy::Beams(_) => self.greedy(scores),
        }
    }

    /// The tokens that [`Self::sample`] can give for `f32 [vocab]` processed scores, ascending, each with its
    /// probability, all above 0 and together 1. Applies the warpers in transformers' order: temperature, top-k,
    /// top-p, min-p, typical-p. The scores are overwritten. Where the strategy draws nothing it is the one greedy
    /// token.
    ///
    /// # Errors
    /// A score that is NaN or +∞ (after the temperature), or no score above −∞.
    pub fn distribution(&self, scores: &mut [f32]) -> Result<Vec<(u32, f64)>> {
        match self.strategy() {
            Strategy::Sample(sampling) => Ok(Candidates::of(&sampling, scores)?.distribution()),
            Strategy::Greedy | Strategy::Beams(_) => Ok(vec![(self.greedy(scores)?, 1.0)]),
        }
    }

    /// Why a sequence with these new tokens is over, or `None` while it is not. `stopped` is the caller's own
    /// reason, such as a stop string, and is asked only where no end token came.
    pub fn ended(&self, new_tokens: &[u32], max_new: usize, stopped: impl FnOnce() -> bool) -> Option<Ending> {
        Ending::of(new_tokens, &self.eos, max_new, stopped)
    }
}
