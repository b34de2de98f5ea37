//! What must hold for any scores and settings: each rule said once more in the plainest way, by brute force over the
//! vocabulary.

use decoding::{Decoding, DrawKey, Parameters, Sampling, Strategy};
use proptest::prelude::*;
use proptest::strategy::Strategy as Generated;

const OFF: Sampling = Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, typical_p: 1.0, seed: 0 };
/// Shares of probability are sums of `f32` weights here and there, in another order.
const ROUNDING: f64 = 1e-5;

/// Scores that are all apart, or of which many are equal and matter, and some banned; never so far apart that a probability
/// is 0 in `f32`.
fn any_scores() -> impl Generated<Value = Vec<f32>> {
    let apart = prop_oneof![9 => -30.0_f32..30.0, 1 => Just(f32::NEG_INFINITY)];
    let equal = prop_oneof![9 => (-1_i8..2).prop_map(f32::from), 1 => Just(f32::NEG_INFINITY)];
    prop_oneof![prop::collection::vec(apart, 1..200), prop::collection::vec(equal, 1..60)]
        .prop_filter("nothing to draw", |scores| scores.iter().any(|score| score.is_finite()))
}

fn any_tokens(vocab: u32) -> impl Generated<Value = Vec<u32>> {
    prop::collection::vec(0..vocab, 0..40)
}

/// The tokens that can be drawn, with their probabilities.
fn kept(sampling: Sampling, scores: &[f32]) -> Vec<(u32, f64)> {
    let asked = Parameters { strategy: Strategy::Sample(sampling), ..Parameters::default() };
    asked.check(scores.len(), &[]).unwrap().distribution(&mut scores.to_vec()).unwrap()
}

/// Softmax in `f64`.
fn probabilities(scores: &[f32]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = scores.iter().map(|score| f64::from(score - largest).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

fn processed(asked: Parameters, scores: &[f32], tokens: &[u32], prompt_len: usize, eos: &[u32]) -> Vec<f32> {
    let mut scores = scores.to_vec();
    asked.check(scores.len(), eos).unwrap().process(&mut scores, tokens, prompt_len);
    scores
}

proptest! {
    #[test]
    fn top_k_keeps_the_k_likeliest_and_what_ties_with_the_last(scores in any_scores(), top_k in 1_usize..60) {
        let mut descending = scores.clone();
        descending.sort_by(|a, b| b.total_cmp(a));
        let least = descending[top_k.min(scores.len()) - 1];
        let expected: Vec<u32> = (0..).zip(&scores).filter(|(_, s)| s.is_finite() && **s >= least).map(|(t, _)| t).collect();
        let found: Vec<u32> = kept(Sampling { top_k, ..OFF }, &scores).into_iter().map(|(token, _)| token).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn top_p_keeps_the_fewest_likeliest_that_hold_the_share(scores in any_scores(), top_p in 0.0..1.0_f64) {
        let found = kept(Sampling { top_p, ..OFF }, &scores);
        let p = probabilities(&scores);
        let mut order: Vec<u32> = found.iter().map(|(token, _)| *token).collect();
        // The likeliest first, of equal ones the lower token. 0 and −0 are equal.
        let by_rank = |a: &u32, b: &u32| {
            let [of_a, of_b] = [a, b].map(|token| scores[*token as usize] + 0.0);
            of_b.total_cmp(&of_a).then(a.cmp(b))
        };
        order.sort_by(by_rank);
        let last = *order.last().unwrap();
        for token in (0..scores.len() as u32).filter(|token| !order.contains(token) && scores[*token as usize].is_finite()) {
            prop_assert!(by_rank(&token, &last).is_gt(), "{token} went and {last} stayed");
        }
        let mass = |tokens: &[u32]| tokens.iter().map(|token| p[*token as usize]).sum::<f64>();
        prop_assert!(mass(&order) >= top_p - ROUNDING);
        prop_assert!(order.len() == 1 || mass(&order[..order.len() - 1]) < top_p + ROUNDING);
    }

    #[test]
    fn min_p_keeps_what_has_the_share_of_the_likeliest(scores in any_scores(), min_p in 1e-6..1.0_f64) {
        let found = kept(Sampling { min_p, ..OFF }, &scores);
        let p = probabilities(&scores);
        let largest = p.iter().copied().fold(0.0, f64::max);
        for (token, p) in (0..).zip(p) {
            let stays = found.iter().any(|(kept, _)| *kept == token);
            let share = p / largest;
            prop_assert!(if stays { share > min_p - ROUNDING } else { share < min_p + ROUNDING }, "{token}: {share}");
        }
    }

    #[test]
    fn what_stays_keeps_its_odds(scores in any_scores(), top_k in 0_usize..60, top_p in 0.01..1.0_f64, temperature in 0.5..4.0_f64) {
        let found = kept(Sampling { temperature, top_k, top_p, ..OFF }, &scores);
        prop_assert!((found.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-9);
        let (first, p_first) = found[0];
        for (token, p) in &found {
            let odds = (f64::from(scores[*token as usize] - scores[first as usize]) / temperature).exp();
            prop_assert!((p / p_first / odds - 1.0).abs() < 1e-4, "{token}: {} and {odds}", p / p_first);
        }
    }

    #[test]
    fn a_penalty_changes_what_was_seen_once_and_nothing_else(
        scores in prop::collection::vec(-30.0_f32..30.0, 40), tokens in any_tokens(40), penalty in 0.1..3.0_f64,
    ) {
        let found = processed(Parameters { repetition_penalty: penalty, ..Parameters::default() }, &scores, &tokens, 0, &[]);
        for (token, (before, after)) in (0..).zip(scores.iter().zip(found)) {
            let penalty = penalty as f32;
            let expected = match (tokens.contains(&token), *before < 0.0) {
                (false, _) => *before,
                (true, true) => before * penalty,
                (true, false) => before / penalty,
            };
            prop_assert_eq!(expected.to_bits(), after.to_bits(), "{}: {} became {}", token, before, after);
        }
    }

    #[test]
    fn a_token_is_banned_exactly_where_it_would_repeat_an_ngram(tokens in any_tokens(4), size in 1_usize..5) {
        let asked = Parameters { no_repeat_ngram_size: size, ..Parameters::default() };
        let found = processed(asked, &[1.0; 4], &tokens, 0, &[]);
        for token in 0..4 {
            let ngram = [&tokens[tokens.len().saturating_sub(size - 1)..], &[token]].concat();
            let repeats = ngram.len() == size && tokens.windows(size).any(|before| before == ngram);
            prop_assert_eq!(found[token as usize] == f32::NEG_INFINITY, repeats, "{} after {:?}", token, &tokens);
        }
    }

    #[test]
    fn no_end_comes_before_its_time_and_nothing_else_is_banned(
        tokens in any_tokens(40), prompt_len in 0_usize..40, min_length in 0_usize..40, min_new_tokens in 0_usize..40,
    ) {
        let prompt_len = prompt_len.min(tokens.len());
        let asked = Parameters { min_length, min_new_tokens, ..Parameters::default() };
        let found = processed(asked, &[1.0; 40], &tokens, prompt_len, &[3, 7]);
        let is_early = tokens.len() < min_length || tokens.len() - prompt_len < min_new_tokens;
        for (token, score) in (0..).zip(found) {
            let banned = is_early && [3, 7].contains(&token);
            prop_assert_eq!(score, if banned { f32::NEG_INFINITY } else { 1.0 });
        }
    }

    /// A row draws what it draws alone, whatever other rows are drawn between, and in whatever order.
    #[test]
    fn a_draw_knows_nothing_of_its_batch(
        rows in prop::collection::vec((prop::collection::vec(-5.0_f32..5.0, 50), 0_u32..3, 0_u32..9), 1..12), seed: u64,
    ) {
        let asked = Parameters { strategy: Strategy::Sample(Sampling { seed, ..OFF }), ..Parameters::default() };
        let shared = asked.clone().check(50, &[]).unwrap();
        let draw = |decoding: &Decoding, n: usize| {
            let (scores, sequence, step) = &rows[n];
            let key = DrawKey { id: &format!("row {n}"), sequence: *sequence, step: *step };
            decoding.sample(&mut scores.clone(), &key).unwrap()
        };
        let mut together: Vec<u32> = (0..rows.len()).rev().map(|n| draw(&shared, n)).collect();
        together.reverse();
        let alone: Vec<u32> = (0..rows.len()).map(|n| draw(&asked.clone().check(50, &[]).unwrap(), n)).collect();
        prop_assert_eq!(together, alone);
    }
}
