//! Kills, signals and changed settings: what is finished stays, and what comes out in the end is the same bytes.

use std::thread::sleep;
use std::time::{Duration, Instant};

use artifact::{Artifact, CompletionsFacts, Kind};
use rustix::process::{Pid, Signal, kill_process};

use super::{generate, prepare_in_parts, rows};
use crate::program::{Dir, Run, demo_lm};

/// Prompts of 2 to 7 tokens in many small parts.
fn prompts(dir: &Dir, n: usize, part_rows: usize) {
    let words = ["ROMEO:", "JULIET: My lord,", "First Citizen: We are", "The king is"];
    let texts: Vec<_> = (0..n).map(|i| words[i % words.len()]).collect();
    prepare_in_parts(dir, "r", &demo_lm(), &texts, part_rows);
}

/// Draws, which a resumed run has to take up where they were left.
fn run<'a>(dir: &'a Dir, out: &str) -> Run<'a> {
    let sample = ["--strategy", "sample", "--num-return-sequences", "2", "--max-new-tokens", "48", "--batch", "4"];
    generate(dir, "r", &demo_lm()).args(sample).args(["--stop", "\n\n", "--out", out])
}

/// Waits until the first part of an artifact is recorded.
fn wait_for_a_part(dir: &Dir, out: &str) {
    let journal = dir.path(&format!("{out}.building/journal.jsonl"));
    let start = Instant::now();
    while !std::fs::read(&journal).is_ok_and(|lines| lines.ends_with(b"\n")) {
        assert!(start.elapsed() < Duration::from_secs(60), "no part was finished in a minute");
        sleep(Duration::from_millis(2));
    }
}

#[test]
fn sigterm_and_sigint_end_soon_with_143_and_130_and_keep_finished_parts() {
    let dir = Dir::new();
    prompts(&dir, 40, 2);
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let out = format!("signal-{code}");
        let mut child = run(&dir, &out).spawn();
        wait_for_a_part(&dir, &out);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let sent = Instant::now();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(sent.elapsed() < Duration::from_secs(5), "{:?}", sent.elapsed());
        assert!(!dir.path(&out).exists());
        run(&dir, &out).code(0).says(&["going on after an interrupted run"]);
    }
    assert_eq!(dir.contents("signal-143"), dir.contents("signal-130"));
}

#[test]
fn facts_of_a_resumed_run_count_what_was_finished_before() {
    let dir = Dir::new();
    prompts(&dir, 32, 2);
    let mut child = run(&dir, "resumed").spawn();
    wait_for_a_part(&dir, "resumed");
    child.kill().unwrap();
    child.wait().unwrap();
    run(&dir, "resumed").code(0).says(&["going on after an interrupted run"]);
    let artifact = Artifact::open(&dir.path("resumed"), Kind::Completions).unwrap();
    let facts: CompletionsFacts = artifact.manifest().facts_as(artifact.folder()).unwrap();
    let rows = rows(&dir, "resumed");
    assert_eq!(facts.n_tokens, rows.iter().map(|row| row.token_ids.len() as u64).sum::<u64>());
    let n = |reason: &str| rows.iter().filter(|row| row.finish_reason.starts_with(reason)).count() as u64;
    assert_eq!((facts.finished.stop, facts.finished.length), (n("stop:"), n("length")));
    assert_eq!((rows.len(), facts.n_sequences), (64, 2));
    assert!(facts.finished.stop > 0 && facts.finished.length > 0, "{:?}", facts.finished);
}

#[test]
fn a_second_run_is_up_to_date_and_a_changed_setting_is_made_again() {
    let dir = Dir::new();
    prompts(&dir, 4, 2);
    let run = |options: &[&str]| generate(&dir, "r", &demo_lm()).args(["--max-new-tokens", "8"]).args(options);
    run(&[]).code(0);
    let first = dir.contents("r/completions");
    run(&[]).code(0).says(&["up to date, 4 rows, nothing to do"]);
    // Neither changes a byte.
    run(&["--threads", "1", "--jsonl"]).code(0).says(&["up to date"]);
    let dry = generate(&dir, "r", &demo_lm()).args(["--max-new-tokens", "9", "--dry-run"]).code(0).stdout();
    assert!(dry.contains("would make 2 of 2 parts") && dry.contains("max_new_tokens: 8 → 9"), "{dry}");
    assert_eq!(first, dir.contents("r/completions"));
    let changes: [(&[&str], &str); 5] = [
        (&["--stop", "x"], "stop"),
        (&["--min-new-tokens", "2"], "min_new_tokens: 0 → 2"),
        (&["--repetition-penalty", "1.2"], "repetition_penalty: 1"),
        (&["--bad-word", "sir"], "bad_words"),
        (&["--strategy", "sample", "--seed", "7"], "strategy"),
    ];
    for (options, because) in changes {
        run(options).code(0).says(&["made again, because", because]);
        run(&[]).code(0).says(&["made again, because"]);
        assert_eq!(first, dir.contents("r/completions"), "{options:?} and back");
    }
    generate(&dir, "r", &demo_lm()).args(["--max-new-tokens", "9"]).code(0).says(&["max_new_tokens: 8 → 9"]);
    assert!(rows(&dir, "r/completions").iter().all(|row| row.token_ids.len() == 9));
    prompts(&dir, 5, 2);
    run(&[]).code(0).says(&["made again, because"]);
    assert_eq!(rows(&dir, "r/completions").len(), 5);
}

#[test]
fn a_wrong_setting_costs_no_finished_part() {
    let dir = Dir::new();
    prompts(&dir, 40, 2);
    let mut child = run(&dir, "x").spawn();
    wait_for_a_part(&dir, "x");
    child.kill().unwrap();
    child.wait().unwrap();
    run(&dir, "x").args(["--top-p", "1.5"]).code(2).says(&["top"]);
    run(&dir, "x").args(["--max-new-tokens", "0"]).code(2);
    run(&dir, "x").code(0).says(&["going on after an interrupted run"]);
}
