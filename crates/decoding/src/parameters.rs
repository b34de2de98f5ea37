//! What is asked of a decoding: [`Parameters`] as given, a [`Decoding`] once every value is known to be usable.

use crate::{Decoding, Error, Result};

/// How tokens are chosen, as asked for; [`Parameters::check`] makes it usable. The defaults are those of
/// transformers' `GenerationConfig`: none of the processors does anything, and the strategy is greedy.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Above 1 makes tokens of prompt and output less likely, below 1 more likely; above 0. 1 is off.
    pub repetition_penalty: f64,
    /// No sequence of this many tokens comes twice in prompt and output. 0 is off.
    pub no_repeat_ngram_size: usize,
    /// Token sequences that are never completed. One that is a lone end token is passed over.
    pub bad_words: Vec<Vec<u32>>,
    /// No end token before prompt and output together have this many tokens.
    pub min_length: usize,
    /// No end token before the output has this many tokens.
    pub min_new_tokens: usize,
    /// How one of the remaining tokens is taken.
    pub strategy: Strategy,
}

/// How one of the tokens that the processors left is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Strategy {
    /// The likeliest.
    Greedy,
    /// One drawn at random.
    Sample(Sampling),
    /// The likeliest sequences of several kept side by side.
    Beams(Beams),
}

/// What is drawn from. The warpers run in the order of the fields.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Scores are divided by it; above 0. 1 is off.
    pub temperature: f64,
    /// The k likeliest stay, and all that tie with the last of them. 0 is off.
    pub top_k: usize,
    /// The fewest likeliest that together hold this share of the probability stay, 0 to 1. 1 is off.
    pub top_p: f64,
    /// Tokens with at least this share of the likeliest one's probability stay, 0 to 1. 0 is off.
    pub min_p: f64,
    /// The fewest tokens whose surprise is closest to the entropy and that together hold this share of the
    /// probability stay, above 0 and up to 1 (Meister et al. 2022). 1 is off.
    pub typical_p: f64,
    /// Keys every draw.
    pub seed: u64,
}

/// A beam search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beams {
    /// Sequences kept side by side, at least 1. (transformers takes 1 for greedy; [`crate::BeamSearch`] does not.)
    pub n_beams: usize,
    /// A finished sequence scores Σ log p / (its generated tokens)^length_penalty.
    pub length_penalty: f64,
    /// When it is over.
    pub early_stopping: EarlyStopping,
}

/// When a beam search is over, other than by length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyStopping {
    /// When no live beam can still better the worst finished one, were it as long as allowed where the length
    /// penalty favours length. transformers' `"never"`.
    Never,
    /// When the best live beam, scored at its present length, does not better the worst finished one.
    /// transformers' `False`.
    Heuristic,
    /// As soon as there are `n_beams` finished ones. transformers' `True`.
    AtFirst,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            repetition_penalty: 1.0,
            no_repeat_ngram_size: 0,
            bad_words: Vec::new(),
            min_length: 0,
            min_new_tokens: 0,
            strategy: Strategy::Greedy,
        }
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 50, top_p: 1.0, min_p: 0.0, typical_p: 1.0, seed: 0 }
    }
}

impl Default for Beams {
    fn default() -> Self {
        Self { n_beams: 1, length_penalty: 1.0, early_stopping: EarlyStopping::Heuristic }
    }
}

impl Parameters {
    /// Checks every value for a model of `vocab` tokens and the end tokens `eos`, of which there may be none.
    ///
    /// # Errors
    /// [`Error::Setting`] with name, value and range; [`Error::TokenOutOfRange`] and [`Error::Empty`] for end
    /// tokens and bad words.
    pub fn check(mut self, vocab: usize, eos: &[u32]) -> Result<Decoding> {
        require((1..=u32::MAX as usize).contains(&vocab), "vocab", vocab, "1 to 4294967295")?;
        let known = |what, token: u32| match (token as usize) < vocab {
            true => Ok(()),
            false => Err(Error::TokenOutOfRange { what, token, vocab }),
        };
        eos.iter().try_for_each(|token| known("an end token", *token))?;
        positive("repetition_penalty", self.repetition_penalty)?;
        for (position, word) in self.bad_words.iter().enumerate() {
            if word.is_empty() {
                return Err(Error::Empty { what: "bad word", position, unit: "token" });
            }
            word.iter().try_for_each(|token| known("a bad word", *token))?;
        }
        self.bad_words.retain(|word| !matches!(word[..], [only] if eos.contains(&only)));
        match self.strategy {
            Strategy::Greedy => {}
            Strategy::Sample(sampling) => sampling.check()?,
            Strategy::Beams(beams) => beams.check(vocab)?,
        }
        let mut distinct = eos.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        Ok(Decoding::new(self, vocab, distinct))
    }
}

impl Sampling {
    fn check(&self) -> Result<()> {
        positive("temperature", self.temperature)?;
        require((0.0..=1.0).contains(&self.top_p), "top_p", self.top_p, "0 to 1")?;
        require((0.0..=1.0).contains(&self.min_p), "min_p", self.min_p, "0 to 1")?;
        let typical = self.typical_p > 0.0 && self.typical_p <= 1.0;
        require(typical, "typical_p", self.typical_p, "above 0 and at most 1")
    }
}

impl Beams {
    fn check(&self, vocab: usize) -> Result<()> {
        let allowed = format!("1 to the {vocab} tokens of the vocabulary");
        require((1..=vocab).contains(&self.n_beams), "n_beams", self.n_beams, allowed)?;
        require(self.length_penalty.is_finite(), "length_penalty", self.length_penalty, "a finite number")
    }
}

/// Scores are `f32`, so what `f32` cannot hold is out of range.
fn positive(name: &'static str, value: f64) -> Result<()> {
    let held = value as f32;
    require(held.is_finite() && held > 0.0, name, value, "finite and above 0, in f32")
}

pub(crate) fn require(holds: bool, name: &'static str, value: impl ToString, allowed: impl Into<String>) -> Result<()> {
    match holds {
        true => Ok(()),
        false => Err(Error::Setting { name, value: value.to_string(), allowed: allowed.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(parameters: Parameters) -> &'static str {
        match parameters.check(10, &[9]) {
            Err(Error::Setting { name, .. }) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_bad_value_is_named() {
        let plain = Parameters::default;
        let sample = |sampling| Parameters { strategy: Strategy::Sample(sampling), ..plain() };
        let beams = |beams| Parameters { strategy: Strategy::Beams(beams), ..plain() };
        assert!(plain().check(10, &[9]).is_ok());
        assert!(sample(Sampling::default()).check(10, &[]).is_ok());
        assert!(beams(Beams { n_beams: 10, ..Beams::default() }).check(10, &[]).is_ok());
        for penalty in [0.0, -1.0, 1e-60, f64::NAN, f64::INFINITY] {
            assert_eq!(name(Parameters { repetition_penalty: penalty, ..plain() }), "repetition_penalty");
            assert_eq!(name(sample(Sampling { temperature: penalty, ..Sampling::default() })), "temperature");
        }
        for share in [-0.1, 1.1, f64::NAN] {
            assert_eq!(name(sample(Sampling { top_p: share, ..Sampling::default() })), "top_p");
            assert_eq!(name(sample(Sampling { min_p: share, ..Sampling::default() })), "min_p");
            assert_eq!(name(sample(Sampling { typical_p: share, ..Sampling::default() })), "typical_p");
        }
        assert_eq!(name(sample(Sampling { typical_p: 0.0, ..Sampling::default() })), "typical_p");
        assert_eq!(name(beams(Beams { n_beams: 0, ..Beams::default() })), "n_beams");
        assert_eq!(name(beams(Beams { n_beams: 11, ..Beams::default() })), "n_beams");
        assert_eq!(name(beams(Beams { length_penalty: f64::NAN, ..Beams::default() })), "length_penalty");
        assert!(matches!(plain().check(0, &[]), Err(Error::Setting { name: "vocab", .. })));
    }

    #[test]
    fn tokens_must_exist_and_words_must_not_be_empty() {
        let words = |bad_words| Parameters { bad_words, ..Parameters::default() }.check(10, &[9, 9, 2]);
        let message = |checked: Result<Decoding>| checked.unwrap_err().to_string();
        assert_eq!(words(vec![vec![9], vec![1, 9], vec![3]]).unwrap().parameters().bad_words, [vec![1, 9], vec![3]]);
        assert_eq!(words(vec![]).unwrap().eos(), [2, 9]);
        assert!(message(words(vec![vec![1], vec![]])).starts_with("bad word 1 is empty"));
        assert!(message(words(vec![vec![1, 10]])).starts_with("a bad word names token 10, expected below 10"));
        assert!(message(Parameters::default().check(10, &[10])).starts_with("an end token names token 10"));
    }
}
