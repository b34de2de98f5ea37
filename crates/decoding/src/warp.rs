//! The warpers, which run when sampling, in transformers' order: temperature, top-k, top-p, min-p, typical-p.

use crate::maxima::Maxima;
use crate::parameters::Sampling;
use crate::{Result, mass, softmax};

/// The tokens that may be drawn, ascending. Ascending, and not likeliest first, so that two tokens which a
/// rounding error makes change places do not change what all the others are drawn for.
pub(crate) struct Candidates<'a> {
    tokens: Vec<u32>,
    /// The caller's memory, for the vocabulary is large. Those of `tokens` come first, then leftovers.
    scores: &'a mut [f32],
    /// exp(score − largest): probabilities up to a common factor. 0 for a banned token.
    weights: Vec<f32>,
    largest: f32,
}

impl<'a> Candidates<'a> {
    /// Applies all warpers to `f32 [vocab]` scores, which are overwritten.
    ///
    /// # Errors
    /// A score that is NaN or +∞ (after the temperature), or no score above −∞.
    pub(crate) fn of(sampling: &Sampling, scores: &'a mut [f32]) -> Result<Self> {
        let temperature = sampling.temperature as f32;
        if temperature != 1.0 {
            scores.iter_mut().for_each(|s| *s /= temperature);
        }
        let mut candidates = Self::top_k(scores, sampling.top_k)?;
        if sampling.top_p < 1.0 {
            candidates.top_p(sampling.top_p);
        }
        if sampling.min_p > 0.0 {
            let least = sampling.min_p as f32;
            candidates.keep(|_, weight| weight >= least);
        }
        if sampling.typical_p < 1.0 {
            candidates.typical_p(sampling.typical_p);
        }
        Ok(candidates)
    }

    /// TopKLogitsWarper: drops every score below the k-th largest, so ties with it stay.
    fn top_k(scores: &'a mut [f32], k: usize) -> Result<Self> {
        let maxima = Maxima::of(scores)?;
        let largest = maxima.largest();
        let tokens = maxima.top(if k == 0 { scores.len() } else { k });
        for (position, token) in tokens.iter().enumerate() {
            scores[position] = scores[*token as usize];
        }
        Ok(Self { weights: softmax::weights(&scores[..tokens.len()], largest), tokens, scores, largest })
    }

    /// TopPLogitsWarper: keeps the fewest likeliest tokens whose probabilities sum to at least `p`. Of equal scores
    /// at the edge the lower tokens stay (in transformers it is left to an unstable sort).
    fn top_p(&mut self, p: f64) {
        let distances: Vec<f32> = self.scores().iter().map(|score| self.largest - score).collect();
        let edge = mass::edge(&distances, &self.weights, p);
        self.keep(|i, _| distances[i] < edge.distance || (distances[i] == edge.distance && i <= edge.index));
    }

    /// TypicalLogitsWarper: with dᵢ = |−log pᵢ − H|, H the entropy, keeps the tokens of smallest d whose
    /// probabilities sum to at least `mass`, and all that tie with the last of them.
    fn typical_p(&mut self, mass: f64) {
        let total = softmax::sum(&self.weights);
        let log_total = total.ln() as f32;
        let log_p = |score: f32| (score - self.largest) - log_total;
        let surprise = |(score, weight): (&f32, &f32)| match *weight > 0.0 {
            true => f64::from(-log_p(*score)) * f64::from(*weight),
            false => 0.0,
        };
        let entropy = (self.scores().iter().zip(&self.weights).map(surprise).sum::<f64>() / total) as f32;
        let distances: Vec<f32> = self.scores().iter().map(|score| (-log_p(*score) - entropy).abs()).collect();
        let edge = mass::edge(&distances, &self.weights, mass);
        self.keep(|i, _| distances[i] <= edge.distance);
    }

    /// MinPLogitsWarper is this with w ≥ min_p, as the largest weight is 1.
    fn keep(&mut self, stays: impl Fn(usize, f32) -> bool) {
        let mut n_kept = 0;
        for i in 0..self.tokens.len() {
            let stays = stays(i, self.weights[i]);
            // Written either way: a branch that is as good as random costs more.
            self.tokens[n_kept] = self.tokens[i];
            self.scores[n_kept] = self.scores[i];
            self.weights[n_kept] = self.weights[i];
            n_kept += usize::from(stays);
        }
        self.tokens.truncate(n_kept);
        self.weights.truncate(n_kept);
    }

    fn scores(&self) -> &[f32] {
        &self.scores[..self.tokens.len()]
    }

    /// The tokens that can be drawn and their probabilities.
    pub(crate) fn distribution(&self) -> Vec<(u32, f64)> {
        let total = softmax::sum(&self.weights);
        let drawable = self.tokens.iter().zip(&self.weights).filter(|(_, weight)| **weight > 0.0);
        drawable.map(|(token, weight)| (*token, f64::from(*weight) / total)).collect()
    }

    /// The token at which the running sum of probabilities passes `uniform`, a number in (0, 1).
    pub(crate) fn draw(&self, uniform: f64) -> u32 {
        /// Weights summed at once to find about where it is.
        const STRETCH: usize = 256;
        let mut left = uniform * softmax::sum(&self.weights);
        for (tokens, weights) in self.tokens.chunks(STRETCH).zip(self.weights.chunks(STRETCH)) {
            let mass = softmax::sum(weights);
            if mass <= left {
                left -= mass;
                continue;
            }
            for (token, weight) in tokens.iter().zip(weights) {
                left -= f64::from(*weight);
                if left < 0.0 {
                    return *token;
                }
            }
        }
        // Rounding carried the number past the end.
        let last = self.weights.iter().rposition(|weight| *weight > 0.0).unwrap_or_default();
        self.tokens[last]
    }
}
