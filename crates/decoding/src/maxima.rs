//! The largest scores of a vocabulary: block by block in one vectorised pass, so that nothing sorts it all.

use crate::softmax::maximum;
use crate::{Error, Result};

/// Scores under one maximum. 64 gives 786 blocks for GPT-2's vocabulary: fewer to look at than scores by far,
/// and more of them than any usual k.
const BLOCK: usize = 64;

/// `f32 [vocab]` scores, known to be finite or −∞ with at least one finite, and the maximum of each block.
pub(crate) struct Maxima<'a> {
    scores: &'a [f32],
    blocks: Vec<f32>,
    largest: f32,
}

impl<'a> Maxima<'a> {
    /// # Errors
    /// [`Error::NotFinite`] for a NaN or +∞, [`Error::NothingLeft`] where every score is −∞.
    pub(crate) fn of(scores: &'a [f32]) -> Result<Self> {
        // As a number, for a maximum vectorises and a search that may stop early does not.
        let broken = |score: f32| if score < f32::INFINITY { 0.0 } else { 1.0 };
        if maximum(scores, broken) > 0.0 {
            let token = scores.iter().position(|score| broken(*score) > 0.0).unwrap_or_default();
            return Err(Error::NotFinite { token, value: scores[token] });
        }
        let blocks: Vec<f32> = scores.chunks(BLOCK).map(|block| maximum(block, |score| score)).collect();
        let largest = blocks.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        match largest == f32::NEG_INFINITY {
            true => Err(Error::NothingLeft { n_tokens: scores.len() }),
            false => Ok(Self { scores, blocks, largest }),
        }
    }

    /// The largest score.
    pub(crate) fn largest(&self) -> f32 {
        self.largest
    }

    /// The first token that has the largest score.
    pub(crate) fn first(&self) -> u32 {
        let is_largest = |s: &f32| *s == self.largest;
        let block = self.blocks.iter().position(is_largest).unwrap_or_default();
        let start = block * BLOCK;
        (start + self.scores[start..].iter().position(is_largest).unwrap_or_default()) as u32
    }

    /// Every token whose score is at least the k-th largest, ascending: k of them, more where some tie with
    /// the last, all where k ≥ vocab. k is at least 1.
    pub(crate) fn top(&self, k: usize) -> Vec<u32> {
        if k >= self.scores.len() {
            return (0..self.scores.len() as u32).collect();
        }
        // k blocks have a maximum of at least the k-th largest maximum, so at least k scores do.
        let bound = if k <= self.blocks.len() { kth_largest(self.blocks.clone(), k) } else { f32::NEG_INFINITY };
        let mut tokens = Vec::with_capacity(2 * k);
        for (block, _) in self.blocks.iter().enumerate().filter(|(_, maximum)| **maximum >= bound) {
            let start = block * BLOCK;
            let end = self.scores.len().min(start + BLOCK);
            tokens.extend((start..end).filter(|token| self.scores[*token] >= bound).map(|token| token as u32));
        }
        let threshold = kth_largest(tokens.iter().map(|token| self.scores[*token as usize]).collect(), k);
        tokens.retain(|token| self.scores[*token as usize] >= threshold);
        tokens
    }
}

/// The k-th largest of `values`, 1 ≤ k ≤ their number.
fn kth_largest(mut values: Vec<f32>, k: usize) -> f32 {
    *values.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn broken_scores_are_named() {
        let of = |scores: &[f32]| Maxima::of(scores).err().map(|error| error.to_string()).unwrap_or_default();
        let mut scores = vec![0.5; 200];
        assert_eq!(of(&scores), "");
        for position in [0, 70, 199] {
            for value in [f32::NAN, f32::INFINITY] {
                scores[position] = value;
                assert!(of(&scores).starts_with(&format!("token {position} has score {value},")), "{}", of(&scores));
                scores[position] = 0.5;
            }
        }
        assert!(of(&[f32::NEG_INFINITY; 3]).starts_with("all 3 tokens are banned"));
        assert!(of(&[]).starts_with("all 0 tokens"));
    }

    proptest! {
        #[test]
        fn top_and_first_are_those_of_a_full_sort(
            // Few distinct values, so that ties are the rule.
            whole in prop::collection::vec(
                prop_oneof![9 => (-20_i8..20).prop_map(f32::from), 1 => Just(f32::NEG_INFINITY)],
                1..700,
            ),
            k in 1_usize..40,
        ) {
            prop_assume!(whole.iter().any(|s| s.is_finite()));
            let maxima = Maxima::of(&whole).unwrap();
            let mut sorted = whole.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let threshold = sorted[k.min(whole.len()) - 1];
            let expected: Vec<u32> = (0..whole.len() as u32).filter(|t| whole[*t as usize] >= threshold).collect();
            prop_assert_eq!(maxima.top(k), expected);
            prop_assert_eq!(maxima.largest(), sorted[0]);
            prop_assert_eq!(maxima.first() as usize, whole.iter().position(|s| *s == sorted[0]).unwrap());
        }
    }
}
