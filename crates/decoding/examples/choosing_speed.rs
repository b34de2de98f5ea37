//! How long one step's decisions take for one row: `cargo run --release -p decoding --example choosing_speed -- 50257`.
//! Prints microseconds per call, the median of many. Not a test: it checks nothing.
#![allow(clippy::print_stdout)] // A measuring program has no other way to tell.

use std::hint::black_box;
use std::time::Instant;

use decoding::{Advance, BeamSearch, Beams, Decoding, DrawKey, Parameters, Sampling, Strategy, log_probability};

/// Roughly normal logits of the given standard deviation: a sum of four uniform numbers each.
fn logits(vocab: usize, deviation: f32) -> Vec<f32> {
    let mut state = 1_u32;
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    (0..vocab).map(|_| ((0..4).map(|_| uniform()).sum::<f32>() - 2.0) * 1.732 * deviation).collect()
}

fn median_us(mut call: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..300)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn decoding(parameters: Parameters, vocab: usize) -> decoding::Result<Decoding> {
    parameters.check(vocab, &[vocab as u32 - 1])
}

fn main() -> decoding::Result<()> {
    let vocab = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(50_257);
    let tokens: Vec<u32> = (0..512).map(|n| n * 97 % 1000).collect();
    let key = DrawKey { id: "row 17", sequence: 0, step: 40 };
    let off = Sampling { top_k: 0, ..Sampling::default() };
    let settings = [
        ("usual: temperature 0.8, top-k 50, top-p 0.95", Sampling { temperature: 0.8, top_k: 50, top_p: 0.95, ..off }),
        ("top-k 50", Sampling { top_k: 50, ..off }),
        ("top-k 2000", Sampling { top_k: 2000, ..off }),
        ("temperature 0.8", Sampling { temperature: 0.8, ..off }),
        ("top-p 0.95", Sampling { top_p: 0.95, ..off }),
        ("min-p 0.05", Sampling { min_p: 0.05, ..off }),
        ("typical-p 0.95", Sampling { typical_p: 0.95, ..off }),
    ];
    for deviation in [1.0, 4.0] {
        println!("{vocab} logits of standard deviation {deviation}: microseconds a call");
        let logits = logits(vocab, deviation);
        let mut scores = logits.clone();
        println!("  {:8.1}  copy", median_us(|| black_box(&mut scores).copy_from_slice(black_box(&logits))));
        println!("  {:8.1}  log_probability", median_us(|| _ = black_box(log_probability(black_box(&logits), 5))));
        let plain = decoding(Parameters::default(), vocab)?;
        println!("  {:8.1}  greedy", median_us(|| _ = black_box(plain.greedy(black_box(&logits)))));
        let all = Parameters {
            repetition_penalty: 1.2,
            no_repeat_ngram_size: 3,
            bad_words: vec![vec![5, 6], vec![7]],
            min_length: 600,
            ..Parameters::default()
        };
        let all = decoding(all, vocab)?;
        println!(
            "  {:8.1}  process, all on, 512 tokens",
            median_us(|| all.process(black_box(&mut scores), &tokens, 8))
        );
        for (name, sampling) in settings {
            let strategy = Strategy::Sample(sampling);
            let sampler = decoding(Parameters { strategy, ..Parameters::default() }, vocab)?;
            let time = median_us(|| {
                scores.copy_from_slice(&logits);
                sampler.process(&mut scores, &tokens, 8);
                _ = black_box(sampler.sample(&mut scores, &key));
            });
            println!("  {time:8.1}  copy, process and sample, {name}");
        }
        let strategy = Strategy::Beams(Beams { n_beams: 4, ..Beams::default() });
        let beams = decoding(Parameters { strategy, ..Parameters::default() }, vocab)?;
        let four = [&logits[..]; 4].concat();
        let time = median_us(|| {
            let mut search = BeamSearch::new(&beams, &tokens, 100).ok();
            let mut step = |rows: &[f32]| search.as_mut().map(|search| search.advance(rows, |_| false));
            step(&logits);
            let second: Option<decoding::Result<Advance>> = step(&four);
            _ = black_box(second);
        });
        println!("  {:8.1}  beams, a row of 5 (two steps of 4 beams)", time / 5.0);
    }
    Ok(())
}
