//! Every warper and chains of them: which tokens stay, with which probabilities.

use decoding::{Decoding, DrawKey, Error, Parameters, Sampling, Strategy};
use proptest::prelude::*;
use proptest::strategy::Strategy as Generated;

use crate::expected::{cases, sampling, tokens, vocabulary};

fn decoding(sampling: Sampling, vocab: usize) -> Decoding {
    Parameters { strategy: Strategy::Sample(sampling), ..Parameters::default() }.check(vocab, &[]).unwrap()
}

#[test]
fn warpers_equal_transformers() {
    for case in cases("warpers") {
        let before = vocabulary(&case["scores"]);
        let decoding = decoding(sampling(&case["sampling"]), before.len());
        let mut found = decoding.distribution(&mut before.clone()).unwrap();
        found.retain(|(_, p)| *p > 1e-36);
        let name = format!("{} {}", case["scores"], case["sampling"]);
        let largest = found.iter().map(|(_, p)| *p).fold(0.0, f64::max);
        let expected = case["largest"].as_f64().unwrap();
        assert!((largest - expected).abs() < 1e-6, "{name}: largest {largest}, expected {expected}");
        let Some(probabilities) = case["probabilities"].as_array() else {
            assert_eq!(Some(found.len() as u64), case["kept"].as_u64(), "{name}");
            continue;
        };
        // Where equal scores meet the edge of top-p, an unstable sort decides there: compare the scores that stay.
        let mut kept = tokens(&case["kept"]);
        let mut ours: Vec<u32> = found.iter().map(|(token, _)| *token).collect();
        if ours != kept {
            let by_score = |token: &u32| ordered(before[*token as usize]);
            ours.sort_by_key(by_score);
            kept.sort_by_key(by_score);
            let values = |list: &[u32]| list.iter().map(|token| before[*token as usize]).collect::<Vec<_>>();
            assert!(case["sampling"]["top_p"].is_number(), "{name}: {ours:?}, expected {kept:?}");
            assert_eq!(values(&ours), values(&kept), "{name}");
        }
        let mut found: Vec<f64> = found.into_iter().map(|(_, p)| p).collect();
        let mut expected: Vec<f64> = probabilities.iter().map(|p| p.as_f64().unwrap()).collect();
        found.sort_by(f64::total_cmp);
        expected.sort_by(f64::total_cmp);
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-6 * (1.0 + expected), "{name}: {found}, expected {expected}");
        }
    }
}

fn ordered(score: f32) -> i64 {
    (f64::from(score) * 1e3) as i64
}

#[test]
fn of_equal_scores_at_the_edge_of_top_p_the_lower_tokens_stay() {
    let decoding = decoding(Sampling { top_p: 0.5, top_k: 0, ..Sampling::default() }, 8);
    let kept = decoding.distribution(&mut [0.0; 8]).unwrap();
    assert_eq!(kept, [(0, 0.25), (1, 0.25), (2, 0.25), (3, 0.25)]);
}

#[test]
fn nothing_to_draw_from_is_an_error() {
    let decoding = decoding(Sampling::default(), 3);
    let key = DrawKey { id: "row", sequence: 0, step: 0 };
    let nothing = [f32::NEG_INFINITY; 3];
    assert_eq!(decoding.sample(&mut nothing.clone(), &key), Err(Error::NothingLeft { n_tokens: 3 }));
    assert_eq!(decoding.greedy(&nothing), Err(Error::NothingLeft { n_tokens: 3 }));
    for broken in [f32::NAN, f32::INFINITY] {
        let scores = [0.0, broken, f32::NEG_INFINITY];
        assert!(matches!(decoding.sample(&mut scores.clone(), &key), Err(Error::NotFinite { token: 1, .. })));
        assert!(matches!(decoding.greedy(&scores), Err(Error::NotFinite { token: 1, .. })));
    }
}

#[test]
fn greedy_takes_the_first_of_equal_scores() {
    let decoding = Parameters::default().check(5, &[]).unwrap();
    // torch 2.15.0: torch.argmax(torch.tensor([-1, 2, 0, 2, 2.0])) is 1.
    let scores = [-1.0, 2.0, 0.0, 2.0, 2.0];
    assert_eq!(decoding.greedy(&scores), Ok(1));
    assert_eq!(decoding.distribution(&mut scores.clone()), Ok(vec![(1, 1.0)]));
    assert_eq!(decoding.sample(&mut scores.clone(), &DrawKey { id: "", sequence: 0, step: 0 }), Ok(1));
}

fn any_scores() -> impl Generated<Value = Vec<f32>> {
    let score = prop_oneof![
        4 => -30.0_f32..30.0,
        4 => (-5_i8..5).prop_map(f32::from),
        1 => Just(f32::NEG_INFINITY),
        1 => Just(-1e30_f32),
    ];
    prop::collection::vec(score, 1..400)
}

fn any_sampling() -> impl Generated<Value = Sampling> {
    let top_p = prop_oneof![Just(1.0), Just(0.0), 0.0..1.0];
    let min_p = prop_oneof![Just(0.0), Just(1.0), 0.0..1.0];
    let typical_p = prop_oneof![Just(1.0), 1e-6..1.0];
    (0.05..20.0, 0_usize..60, top_p, min_p, typical_p, any::<u64>()).prop_map(
        |(temperature, top_k, top_p, min_p, typical_p, seed)| Sampling {
            temperature,
            top_k,
            top_p,
            min_p,
            typical_p,
            seed,
        },
    )
}

proptest! {
    #[test]
    fn what_stays_is_never_empty_and_sums_to_one(scores in any_scores(), sampling in any_sampling(), step: u32) {
        prop_assume!(scores.iter().any(|s| s.is_finite()));
        let decoding = decoding(sampling, scores.len());
        let kept = decoding.distribution(&mut scores.clone()).unwrap();
        prop_assert!(!kept.is_empty());
        prop_assert!((kept.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-9);
        prop_assert!(kept.windows(2).all(|pair| pair[0].0 < pair[1].0));
        prop_assert!(kept.iter().all(|(token, p)| *p > 0.0 && scores[*token as usize].is_finite()));
        // Of two tokens the likelier has the higher score; the likeliest stays unless typical-p says otherwise.
        for pair in kept.windows(2) {
            let (a, b) = (scores[pair[0].0 as usize], scores[pair[1].0 as usize]);
            prop_assert!(a < b || pair[0].1 >= pair[1].1);
            prop_assert!(a > b || pair[0].1 <= pair[1].1);
        }
        if sampling.typical_p == 1.0 {
            let best = decoding.greedy(&scores).unwrap();
            prop_assert!(kept.iter().any(|(token, _)| scores[*token as usize] == scores[best as usize]));
        }
        let drawn = decoding.sample(&mut scores.clone(), &DrawKey { id: "row", sequence: 3, step }).unwrap();
        prop_assert!(kept.iter().any(|(token, _)| *token == drawn));
    }
}
