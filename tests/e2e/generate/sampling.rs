//! Draws: keyed by seed, id, sequence and step, and by nothing else.

use std::fs;

use super::{Row, generate, prepare, rows, tokens};
use crate::program::{Dir, demo_lm};

const TEXTS: [&str; 5] = ["O", "ROMEO:", "JULIET: My lord,", "First Citizen: We are", "The king is dead, and all his"];

/// Samples `n` completions of each prompt from the demo model into `out`.
fn sample_n(dir: &Dir, run: &str, out: &str, n: &str, options: &[&str]) -> Vec<Row> {
    let sample = ["--strategy", "sample", "--max-new-tokens", "24", "--num-return-sequences", n, "--out", out];
    generate(dir, run, &demo_lm()).args(sample).args(options).code(0);
    rows(dir, out)
}

fn sample(dir: &Dir, run: &str, out: &str, options: &[&str]) -> Vec<Row> {
    sample_n(dir, run, out, "3", options)
}

#[test]
fn more_sequences_than_a_batch_holds_are_the_same_ones() {
    let dir = Dir::new();
    prepare(&dir, "r", &demo_lm(), &["ROMEO:", "JULIET: My lord,"]);
    let run = |batch: &str| {
        let sample = ["--strategy", "sample", "--num-return-sequences", "7", "--max-new-tokens", "8", "--batch", batch];
        generate(&dir, "r", &demo_lm()).args(sample).code(0);
        rows(&dir, "r/completions")
    };
    let (whole, in_turns) = (run("16"), run("3"));
    assert_eq!(whole.len(), 14);
    assert_eq!(tokens(&whole), tokens(&in_turns));
}

#[test]
fn threads_change_no_byte() {
    let dir = Dir::new();
    prepare(&dir, "r", &demo_lm(), &TEXTS);
    for threads in ["1", "2", "3"] {
        sample(&dir, "r", threads, &["--threads", threads]);
    }
    assert_eq!(dir.contents("1"), dir.contents("2"));
    assert_eq!(dir.contents("1"), dir.contents("3"));
}

#[test]
fn batch_and_order_change_no_draw() {
    let dir = Dir::new();
    prepare(&dir, "r", &demo_lm(), &TEXTS);
    let alone = sample(&dir, "r", "alone", &["--batch", "1"]);
    assert_eq!(alone.len(), 15);
    // Mixed batches: two prompts with three draws each, and all at once; and few tokens at once.
    for options in [["--batch", "8"], ["--batch", "64"], ["--batch-tokens", "100"]] {
        assert_eq!(tokens(&sample(&dir, "r", "batched", &options)), tokens(&alone), "{options:?}");
    }
    // The prompts the other way round, under their own ids, in parts of two.
    let lines: Vec<_> = fs::read_to_string(dir.path("r.jsonl")).unwrap().lines().map(str::to_string).rev().collect();
    dir.write("s.jsonl", lines.join("\n"));
    dir.data_prep()
        .args(["--input", "s.jsonl", "--id-field", "id", "--part-rows", "2", "--run", "s", "--tokenizer"])
        .args([demo_lm()])
        .code(0);
    let mut reversed = sample(&dir, "s", "reversed", &["--batch", "8"]);
    assert_eq!(reversed[0].id, "p4");
    reversed.sort_by(|a, b| (&a.id, a.sequence).cmp(&(&b.id, b.sequence)));
    assert_eq!(tokens(&reversed), tokens(&alone));
}

#[test]
fn seed_sequence_and_id_make_the_draws() {
    let dir = Dir::new();
    prepare(&dir, "r", &demo_lm(), &["ROMEO:", "ROMEO:"]);
    let rows = sample(&dir, "r", "zero", &[]);
    let mut different: Vec<_> = rows.iter().map(|row| &row.token_ids).collect();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 6, "three sequences of two prompts of the same text: {rows:?}");
    let others = sample(&dir, "r", "one", &["--seed", "1"]);
    assert!(rows.iter().zip(&others).all(|(a, b)| a.token_ids != b.token_ids));
    assert_eq!(sample(&dir, "r", "again", &["--seed", "0"]), rows);
    // One sequence is the first of three.
    let single = sample_n(&dir, "r", "single", "1", &[]);
    let first: Vec<_> = rows.iter().filter(|row| row.sequence == 0).cloned().collect();
    assert_eq!(tokens(&single), tokens(&first));
}

#[test]
fn what_is_drawn_obeys_the_restrictions() {
    let dir = Dir::new();
    prepare(&dir, "r", &demo_lm(), &TEXTS);
    generate(&dir, "r", &demo_lm()).args(["--max-new-tokens", "24", "--out", "greedy"]).code(0);
    let greedy = rows(&dir, "greedy");
    // Each of these leaves the likeliest token alone.
    for only in [["--top-k", "1"], ["--top-p", "1e-6"], ["--min-p", "1"], ["--temperature", "1e-4"]] {
        let drawn = sample_n(&dir, "r", "drawn", "1", &only);
        assert_eq!(tokens(&drawn), tokens(&greedy), "{only:?}");
    }
}

#[test]
fn several_sequences_need_draws_or_beams() {
    let dir = Dir::new();
    prepare(&dir, "r", &demo_lm(), &["O"]);
    let run = |options: &[&str]| generate(&dir, "r", &demo_lm()).args(options);
    run(&["--num-return-sequences", "2"]).code(2).says(&["greedy gives 2 times the same"]);
    run(&["--num-return-sequences", "3", "--num-beams", "2"]).code(2).says(&["more than the 2 beams"]);
    run(&["--num-return-sequences", "2", "--num-beams", "2", "--max-new-tokens", "4"]).code(0);
}
