//! Beam search against `generate(num_beams=…)` on a model that is a table: a row's logits depend on its
//! last two tokens, so that a wrong parent shows, and on its length, so that few sequences tie.

use decoding::{Advance, BeamSearch, Beams, Ending, Error, Hypothesis, Parameters, Strategy};
use serde_json::Value;

use crate::expected::{beams, cases, ends_at, parameters, scores, tokens};

fn table() -> Vec<Vec<f32>> {
    cases("table").iter().map(scores).collect()
}

/// The logits after a row: `Table` of the script.
fn logits_after(table: &[Vec<f32>], row: &[u32]) -> Vec<f32> {
    let last = &table[row[row.len() - 1] as usize];
    let before = &table[row[row.len().saturating_sub(2)] as usize];
    let length = &table[row.len() % table.len()];
    let parts = last.iter().zip(before).zip(length);
    parts.map(|((last, before), length)| last + 0.5 * before + 0.25 * length).collect()
}

/// Runs a search to its end; gives its results and the number of times the model ran.
fn search(table: &[Vec<f32>], given: &Value, prompt: &[u32]) -> (Vec<Hypothesis>, usize) {
    let eos = tokens(&given["eos"]);
    let settings = beams(given);
    let decoding = parameters(given, Strategy::Beams(settings)).check(table.len(), &eos).unwrap();
    let max_new = given["max_new_tokens"].as_u64().unwrap() as usize;
    let is_finished = ends_at(given);
    let mut search = BeamSearch::new(&decoding, prompt, max_new).unwrap();
    // What the caller's cache would hold: every live row's tokens, reordered by `parents` alone.
    let mut rows = vec![prompt.to_vec()];
    for n_steps in 1.. {
        let logits: Vec<f32> = rows.iter().flat_map(|row| logits_after(table, row)).collect();
        match search.advance(&logits, &is_finished).unwrap() {
            Advance::Continue { parents, tokens } => {
                assert_eq!(parents.len(), search.n_live());
                rows =
                    parents.iter().zip(tokens).map(|(parent, token)| [&rows[*parent][..], &[token]].concat()).collect();
            }
            Advance::Done => {
                assert_eq!(search.n_live(), 0);
                return (search.finish(settings.n_beams), n_steps);
            }
        }
    }
    unreachable!()
}

#[test]
fn tokens_scores_and_steps_equal_transformers() {
    let table = table();
    for case in cases("beams") {
        let (found, n_steps) = search(&table, &case["settings"], &tokens(&case["prompt"]));
        let name = format!("{} after {}", case["settings"], case["prompt"]);
        let expected = case["best"].as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found.tokens, tokens(&expected["tokens"]), "{name}");
            let score = expected["score"].as_f64().unwrap();
            let close = (f64::from(found.score) - score).abs() <= 1e-6 * score.abs().max(1.0);
            assert!(close, "{name}: score {}, expected {score}", found.score);
        }
        assert_eq!(n_steps as u64, case["steps"].as_u64().unwrap(), "{name}");
    }
}

#[test]
fn every_result_says_how_it_ended_and_what_the_model_thought_of_it() {
    let table = table();
    let mut seen = [0; 3];
    for case in cases("beams") {
        let given = &case["settings"];
        let prompt = tokens(&case["prompt"]);
        let (eos, is_finished) = (tokens(&given["eos"]), ends_at(given));
        for hypothesis in search(&table, given, &prompt).0 {
            let all = [&prompt[..], &hypothesis.tokens].concat();
            let expected = if eos.contains(&all[all.len() - 1]) {
                Ending::Eos
            } else if is_finished(&all) {
                Ending::Stopped
            } else {
                assert_eq!(hypothesis.tokens.len() as u64, given["max_new_tokens"].as_u64().unwrap());
                Ending::Length
            };
            assert_eq!(hypothesis.ending, expected, "{given}");
            seen[expected as usize] += 1;
            let thought = (prompt.len()..all.len())
                .map(|end| decoding::log_probability(&logits_after(&table, &all[..end]), all[end]));
            assert_eq!(hypothesis.logprobs, thought.collect::<Vec<_>>(), "{given}");
        }
    }
    assert!(seen.iter().all(|n| *n > 20), "{seen:?}");
}

fn with_beams(n_beams: usize, rest: Parameters) -> Parameters {
    Parameters { strategy: Strategy::Beams(Beams { n_beams, ..Beams::default() }), ..rest }
}

#[test]
fn fewer_continuations_than_beams_give_fewer_rows() {
    let bad_words = (0..4).filter(|token| *token != 2).map(|token| vec![token]).collect();
    let decoding = with_beams(3, Parameters { bad_words, ..Parameters::default() }).check(4, &[]).unwrap();
    let mut search = BeamSearch::new(&decoding, &[1], 2).unwrap();
    let step = search.advance(&[0.0, 1.0, 2.0, 3.0], |_| false).unwrap();
    assert_eq!(step, Advance::Continue { parents: vec![0], tokens: vec![2] });
    assert_eq!(search.advance(&[0.0; 4], |_| false).unwrap(), Advance::Done);
    let found = search.finish(3);
    assert_eq!(found.iter().map(|h| h.tokens.clone()).collect::<Vec<_>>(), [[2, 2]]);
}

#[test]
fn everything_banned_ends_the_search_without_results() {
    let bad_words = (0..4).map(|token| vec![token]).collect();
    let decoding = with_beams(2, Parameters { bad_words, ..Parameters::default() }).check(4, &[]).unwrap();
    let mut search = BeamSearch::new(&decoding, &[1], 2).unwrap();
    assert_eq!(search.advance(&[0.0; 4], |_| false).unwrap(), Advance::Done);
    assert!(search.finish(2).is_empty());
}

#[test]
fn what_does_not_fit_is_refused() {
    let decoding = with_beams(2, Parameters::default()).check(4, &[]).unwrap();
    assert!(matches!(BeamSearch::new(&decoding, &[1], 0), Err(Error::Setting { name: "max_new", .. })));
    let greedy = Parameters::default().check(4, &[]).unwrap();
    assert!(matches!(BeamSearch::new(&greedy, &[1], 5), Err(Error::Setting { name: "strategy", .. })));
    let mut search = BeamSearch::new(&decoding, &[1], 5).unwrap();
    let wrong = search.advance(&[0.0; 8], |_| false);
    assert!(matches!(wrong, Err(Error::Dimension { expected: 4, found: 8, .. })), "{wrong:?}");
    let broken = search.advance(&[0.0, f32::NAN, 0.0, 0.0], |_| false);
    assert!(matches!(broken, Err(Error::NotFinite { token: 1, .. })), "{broken:?}");
}
