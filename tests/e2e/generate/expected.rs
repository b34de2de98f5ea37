//! What transformers generated (`tests/peers/expected_generation.py` says how), and the comparison with it.

use std::path::Path;

use serde_json::{Map, Value};

use super::Row;

/// The `expected.json` of a model.
pub(super) struct Expected(Value);

/// One run of all prompts under one set of arguments.
#[derive(Clone, Copy)]
pub(super) struct ExpectedRun<'a> {
    pub(super) name: &'a str,
    /// Those of transformers' `generate`, under its names.
    pub(super) arguments: &'a Map<String, Value>,
    records: &'a [Value],
}

impl Expected {
    pub(super) fn read(path: &Path) -> Self {
        Self(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    }

    pub(super) fn texts(&self) -> Vec<&str> {
        self.0["prompts"].as_array().unwrap().iter().map(|p| p["text"].as_str().unwrap()).collect()
    }

    pub(super) fn input_ids(&self) -> Vec<Vec<u32>> {
        self.0["prompts"].as_array().unwrap().iter().map(|p| ids(&p["input_ids"])).collect()
    }

    pub(super) fn runs(&self) -> Vec<ExpectedRun<'_>> {
        let runs = self.0["runs"].as_array().unwrap().iter();
        runs.map(ExpectedRun::of).collect()
    }
}

impl<'a> ExpectedRun<'a> {
    fn of(run: &'a Value) -> Self {
        Self {
            name: run["name"].as_str().unwrap(),
            arguments: run["generate"].as_object().unwrap(),
            records: run["records"].as_array().unwrap(),
        }
    }

    /// The arguments as options of the program. Token ids have none.
    pub(super) fn as_options(&self) -> Vec<String> {
        let has_option = |name: &str| !["do_sample", "pad_token_id", "eos_token_id", "bad_words_ids"].contains(&name);
        let mut options = Vec::new();
        for (name, value) in self.arguments.iter().filter(|(name, _)| has_option(name)) {
            options.push(format!("--{}", name.replace('_', "-")));
            options.push(value.as_str().map_or_else(|| value.to_string(), str::to_string));
        }
        if self.end().is_none() {
            options.push("--ignore-eos".into());
        }
        options
    }

    /// The arguments as a generation_config.json; `only` those that are token ids, or all.
    pub(super) fn as_config(&self, only_ids: bool) -> String {
        let mut arguments = self.arguments.clone();
        arguments.retain(|name, _| !only_ids || ["eos_token_id", "bad_words_ids"].contains(&name.as_str()));
        Value::Object(arguments).to_string()
    }

    pub(super) fn n_beams(&self) -> usize {
        self.arguments.get("num_beams").map_or(1, |n| n.as_u64().unwrap() as usize)
    }

    fn end(&self) -> Option<u32> {
        self.arguments.get("eos_token_id").map(|id| id.as_u64().unwrap() as u32)
    }

    fn number(&self, name: &str, default: f64) -> f64 {
        self.arguments.get(name).map_or(default, |value| value.as_f64().unwrap())
    }

    /// Whether the model's own scores are what tokens are chosen by.
    fn is_plain(&self) -> bool {
        let processors =
            ["repetition_penalty", "no_repeat_ngram_size", "bad_words_ids", "min_new_tokens", "min_length"];
        !processors.iter().any(|name| self.arguments.contains_key(*name))
    }

    /// Compares all that both sides know; log-probabilities may differ by `tolerance`.
    pub(super) fn check(&self, rows: &[Row], tolerance: f64, what: &str) {
        let n = self.number("num_return_sequences", 1.0) as usize;
        assert_eq!(rows.len(), self.records.len() * n, "{}: rows, {what}", self.name);
        for (at, (record, rows)) in self.records.iter().zip(rows.chunks(n)).enumerate() {
            let what = format!("{}, prompt {at}, {what}", self.name);
            for (sequence, row) in rows.iter().enumerate() {
                assert_eq!((row.id.as_str(), row.sequence as usize), (format!("p{at}").as_str(), sequence), "{what}");
                assert_eq!(row.token_ids, ids(&record["ids"][sequence]), "{what}, sequence {sequence}");
                let is_ended = self.end().is_some() && row.token_ids.last().copied() == self.end();
                assert_eq!(row.finish_reason, if is_ended { "eos" } else { "length" }, "{what}");
                assert_eq!(row.logprobs.len(), row.token_ids.len(), "{what}");
                if self.is_plain() {
                    self.check_probabilities(record, row, tolerance, &what);
                }
            }
        }
    }

    fn check_probabilities(&self, record: &Value, row: &Row, tolerance: f64, what: &str) {
        let near = |ours: f64, theirs: f64| (ours - theirs).abs() <= tolerance;
        if let Some(theirs) = record["logprobs"].as_array() {
            let pairs = row.logprobs.iter().zip(theirs);
            let all_near = pairs.clone().all(|(ours, theirs)| near(f64::from(*ours), theirs.as_f64().unwrap()));
            assert!(all_near && theirs.len() == row.logprobs.len(), "{what}: log-probabilities {pairs:?}");
        }
        if let Some(theirs) = record["scores"].as_array() {
            // A beam's score is its log-probability over its length to a power.
            let sum: f64 = row.logprobs.iter().map(|p| f64::from(*p)).sum();
            let ours = sum / (row.token_ids.len() as f64).powf(self.number("length_penalty", 1.0));
            let theirs = theirs[row.sequence as usize].as_f64().unwrap();
            assert!(near(ours, theirs), "{what}: score {ours}, expected {theirs}");
        }
    }
}

fn ids(list: &Value) -> Vec<u32> {
    list.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}
