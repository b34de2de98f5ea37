//! Reads `transformers.json`.

use std::sync::LazyLock;

use decoding::{Beams, EarlyStopping, Parameters, Sampling, Strategy};
use serde_json::Value;

pub(crate) static EXPECTED: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("transformers.json")).unwrap());

pub(crate) fn cases(group: &str) -> &'static [Value] {
    let cases = EXPECTED[group].as_array().unwrap();
    assert!(!cases.is_empty());
    cases
}

/// A number, or −∞ for null.
pub(crate) fn score(value: &Value) -> f32 {
    if value.is_null() { f32::NEG_INFINITY } else { value.as_f64().unwrap() as f32 }
}

pub(crate) fn scores(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(score).collect()
}

pub(crate) fn vocabulary(name: &Value) -> Vec<f32> {
    scores(&EXPECTED["vocabularies"][name.as_str().unwrap()])
}

pub(crate) fn tokens(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|token| u32::try_from(token.as_u64().unwrap()).unwrap()).collect()
}

fn token_lists(value: &Value) -> Vec<Vec<u32>> {
    value.as_array().map(|lists| lists.iter().map(tokens).collect()).unwrap_or_default()
}

fn size(value: &Value) -> usize {
    value.as_u64().unwrap_or_default() as usize
}

/// The processors' part of a case, under transformers' names.
pub(crate) fn parameters(given: &Value, strategy: Strategy) -> Parameters {
    Parameters {
        repetition_penalty: given["repetition_penalty"].as_f64().unwrap_or(1.0),
        no_repeat_ngram_size: size(&given["no_repeat_ngram_size"]),
        bad_words: token_lists(&given["bad_words_ids"]),
        min_length: size(&given["min_length"]),
        min_new_tokens: size(&given["min_new_tokens"]),
        strategy,
    }
}

pub(crate) fn sampling(given: &Value) -> Sampling {
    let number = |name: &str, off: f64| given[name].as_f64().unwrap_or(off);
    Sampling {
        temperature: number("temperature", 1.0),
        top_k: size(&given["top_k"]),
        top_p: number("top_p", 1.0),
        min_p: number("min_p", 0.0),
        typical_p: number("typical_p", 1.0),
        seed: 0,
    }
}

pub(crate) fn beams(given: &Value) -> Beams {
    let early_stopping = match &given["early_stopping"] {
        Value::Bool(true) => EarlyStopping::AtFirst,
        Value::Bool(false) => EarlyStopping::Heuristic,
        Value::String(word) if word == "never" => EarlyStopping::Never,
        other => panic!("{other}"),
    };
    Beams {
        n_beams: size(&given["num_beams"]),
        length_penalty: given["length_penalty"].as_f64().unwrap(),
        early_stopping,
    }
}

/// Whether the row ends with one of the case's tails: its stand-in for stop strings.
pub(crate) fn ends_at(given: &Value) -> impl Fn(&[u32]) -> bool {
    let tails = token_lists(&given["stop_tails"]);
    move |row| tails.iter().any(|tail| row.ends_with(tail))
}
