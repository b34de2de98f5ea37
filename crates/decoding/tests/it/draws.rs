//! Keyed draws: their frequencies, and that nothing but the key decides them.

use decoding::{Decoding, DrawKey, Parameters, Sampling, Strategy};

use serde_json::Value;

use crate::expected::{cases, sampling, tokens, vocabulary};

/// Id, sequence and step of the n-th draw.
type KeyOf = fn(u32) -> (String, u32, u32);

const N_DRAWS: u32 = 20_000;

fn decoding(sampling: Sampling, vocab: usize) -> Decoding {
    Parameters { strategy: Strategy::Sample(sampling), ..Parameters::default() }.check(vocab, &[]).unwrap()
}

/// Σ (seen − expected)² / expected over tokens, those expected fewer than 5 times taken together, and the
/// degrees of freedom.
fn chi_square(decoding: &Decoding, scores: &[f32], key_of: KeyOf) -> (f64, usize) {
    let mut seen = vec![0_u32; scores.len()];
    for n in 0..N_DRAWS {
        let (id, sequence, step) = key_of(n);
        seen[decoding.sample(&mut scores.to_vec(), &DrawKey { id: &id, sequence, step }).unwrap() as usize] += 1;
    }
    let (mut sum, mut n_cells, mut rare) = (0.0, 0, (0.0, 0.0));
    let mut n_allowed = 0;
    for (token, p) in decoding.distribution(&mut scores.to_vec()).unwrap() {
        let (expected, found) = (p * f64::from(N_DRAWS), f64::from(seen[token as usize]));
        n_allowed += seen[token as usize];
        if expected < 5.0 {
            rare = (rare.0 + expected, rare.1 + found);
        } else {
            sum += (found - expected).powi(2) / expected;
            n_cells += 1;
        }
    }
    assert_eq!(n_allowed, N_DRAWS, "a token outside the distribution was drawn");
    if rare.0 >= 5.0 {
        sum += (rare.1 - rare.0).powi(2) / rare.0;
        n_cells += 1;
    }
    (sum, n_cells - 1)
}

/// The 0.9999 quantile of chi-square by Wilson and Hilferty (1931), within 1 % of the exact one from 5 degrees
/// on (scipy 1.17: chi2.ppf(0.9999, [5, 20, 40]) is 25.74, 52.39, 82.06). z is the normal's 0.9999 quantile.
fn critical(degrees: usize) -> f64 {
    let (k, z) = (degrees as f64, 3.719_016_485);
    k * (1.0 - 2.0 / (9.0 * k) + z * (2.0 / (9.0 * k)).sqrt()).powi(3)
}

#[test]
fn frequencies_follow_the_exact_distribution() {
    let off = Sampling { top_k: 0, seed: 11, ..Sampling::default() };
    let settings = [
        off,
        Sampling { temperature: 1.7, ..off },
        Sampling { top_k: 10, ..off },
        Sampling { top_p: 0.9, ..off },
        Sampling { temperature: 1.5, top_k: 30, top_p: 0.95, min_p: 0.01, typical_p: 0.95, ..off },
    ];
    for (name, sampling) in ["normal", "coarse", "equal"].into_iter().flat_map(|n| settings.map(|s| (n, s))) {
        let scores = vocabulary(&name.into());
        let decoding = decoding(sampling, scores.len());
        // Along the steps of one row, along the sequences of one prompt, and along prompts.
        let keys: [KeyOf; 3] = [|n| ("row".into(), 0, n), |n| ("row".into(), n, 4), |n| (format!("row {n}"), 0, 0)];
        for key_of in keys {
            let (found, degrees) = chi_square(&decoding, &scores, key_of);
            assert!(degrees >= 5, "{name} {sampling:?}: {degrees} degrees of freedom say little");
            let limit = critical(degrees);
            assert!(found < limit, "{name} {sampling:?}: {found} with {degrees} degrees of freedom, limit {limit}");
        }
    }
}

#[test]
fn a_draw_depends_on_its_key_alone() {
    let scores = vocabulary(&"normal".into());
    let decoding = decoding(Sampling { temperature: 2.0, seed: 3, ..Sampling::default() }, scores.len());
    let draw = |n: u32| {
        let key = DrawKey { id: ["a", "b", "c"][n as usize % 3], sequence: n / 3 % 4, step: n / 12 };
        decoding.sample(&mut scores.clone(), &key).unwrap()
    };
    let forward: Vec<u32> = (0..600).map(draw).collect();
    let mut backward: Vec<u32> = (0..600).rev().map(draw).collect();
    backward.reverse();
    assert_eq!(forward, backward);
    let threads: Vec<u32> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..4)
            .map(|part| scope.spawn(move || (part * 150..part * 150 + 150).map(draw).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    assert_eq!(forward, threads);
}

#[test]
fn draws_equal_a_second_implementation() {
    for case in cases("draws") {
        let scores = vocabulary(&case["scores"]);
        let sampling = Sampling { seed: case["seed"].as_u64().unwrap(), ..sampling(&case["sampling"]) };
        let decoding = decoding(sampling, scores.len());
        let draw = |key: &Value| {
            let number = |place: usize| u32::try_from(key[place].as_u64().unwrap()).unwrap();
            let key = DrawKey { id: key[0].as_str().unwrap(), sequence: number(1), step: number(2) };
            decoding.sample(&mut scores.clone(), &key).unwrap()
        };
        let drawn: Vec<u32> = case["keys"].as_array().unwrap().iter().map(draw).collect();
        assert_eq!(drawn, tokens(&case["drawn"]), "{} {}", case["seed"], case["sampling"]);
    }
}
