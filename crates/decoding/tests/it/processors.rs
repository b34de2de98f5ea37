//! Every logits processor and chains of them, bit for bit.

use decoding::Strategy;

use crate::expected::{cases, parameters, score, tokens, vocabulary};

#[test]
fn processors_equal_transformers_bit_for_bit() {
    for case in cases("processors") {
        let before = vocabulary(&case["scores"]);
        let decoding = parameters(&case["parameters"], Strategy::Greedy);
        let decoding = decoding.check(before.len(), &tokens(&case["eos"])).unwrap();
        let mut found = before.clone();
        decoding.process(&mut found, &tokens(&case["tokens"]), case["prompt_len"].as_u64().unwrap() as usize);
        let mut expected = before;
        for (token, after) in case["changed"].as_object().unwrap() {
            expected[token.parse::<usize>().unwrap()] = score(after);
        }
        assert_eq!(found, expected, "{}", case["name"]);
    }
}

#[test]
fn log_probabilities_equal_torch() {
    for case in cases("log_softmax") {
        let logits = vocabulary(&case["scores"]);
        for (token, expected) in tokens(&case["tokens"]).into_iter().zip(case["expected"].as_array().unwrap()) {
            let (found, expected) = (decoding::log_probability(&logits, token), score(expected));
            let close = found == expected || (found - expected).abs() <= 4e-7 * expected.abs().max(1.0);
            assert!(close, "{} at {token}: {found}, expected {expected}", case["scores"]);
        }
    }
}
