//! Up to date, resumed, on other threads: always the same bytes.

use std::fs;

use crate::program::{Dir, png};

fn folder(dir: &Dir) {
    for n in 0..30 {
        dir.file(&format!("data/{}/{n:02}.png", ["a", "b", "c"][n as usize % 3]), png(n, 8, 8));
    }
    dir.file("data/b/04.png", "text, not a picture");
}

const ARGS: [&str; 8] = ["--input", "data", "--part-rows", "4", "--max-bad", "2", "--size", "4"];

#[test]
fn fault_12_a_second_run_is_up_to_date_and_a_change_is_not() {
    let dir = Dir::new();
    folder(&dir);
    let first = dir.ok(&ARGS);
    assert_eq!(first["state"], "made");
    let second = dir.ok(&ARGS);
    assert_eq!(second["state"], "up to date");
    assert!(first["rows_per_second"].as_f64().unwrap() > 0.0 && second["rows_per_second"].is_null());
    assert_eq!((&first["splits"], &first["rejects"]), (&second["splits"], &second["rejects"]));
    let changes: [&[&str]; 5] = [
        &["--filter", "bicubic"],
        &["--fit", "crop"],
        &["--take", "train=9"],
        &["--split", "train=1"],
        &["--max-pixels", "100"],
    ];
    for change in changes {
        assert_eq!(dir.ok(&[&ARGS, change].concat())["state"], "made", "{change:?}");
        assert_eq!(dir.ok(&ARGS)["state"], "made", "back from {change:?}");
    }
    dir.file("data/a/00.png", png(77, 8, 8));
    assert_eq!(dir.ok(&ARGS)["state"], "made");
}

#[test]
fn the_line_for_people_counts_rejects_and_has_a_rate_when_made() {
    let dir = Dir::new();
    folder(&dir);
    let line = || String::from_utf8(dir.run(&[&ARGS[..], &["--split", "train=1"]].concat()).stdout).unwrap();
    let (made, found) = (line(), line());
    let start = "examples: 29 pictures of 4×4 in 3 classes (train 29), 1 reject";
    assert!(made.starts_with(&format!("{start}, ")) && made.trim_end().ends_with("/s → run/examples"), "{made}");
    assert_eq!(found.trim_end(), format!("{start} → run/examples"));
}

#[test]
fn an_interrupted_run_ends_in_the_same_bytes() {
    let dir = Dir::new();
    folder(&dir);
    dir.ok(&[&ARGS[..], &["--threads", "1"]].concat());
    let undisturbed = dir.bytes();
    fs::remove_dir_all(dir.path().join("run")).unwrap();

    // The reject in `b` stops the run after the parts before it.
    let stopped = dir.run(&["--input", "data", "--part-rows", "4", "--max-bad", "0", "--size", "4"]);
    assert_eq!(stopped.status.code(), Some(65));
    let journal = dir.path().join("run/examples.building/journal.jsonl");
    let lines = fs::read_to_string(&journal).unwrap().lines().filter(|l| !l.is_empty()).count();
    assert!(lines > 0, "no part was finished");
    let output = dir.run(&ARGS);
    assert!(String::from_utf8_lossy(&output.stderr).contains("going on after an interrupted run"));
    assert!(dir.bytes() == undisturbed);
}

#[test]
fn fault_17_rejects_are_tried_again_and_nothing_else() {
    let dir = Dir::new();
    for n in 0..40_u8 {
        dir.file(&format!("in/train/{}/{n:02}.png", n % 2), png(n, 4, 4));
    }
    let bad = dir.file("in/train/1/13.png", "not yet a picture");
    let args = ["--input", "in", "--part-rows", "4", "--max-bad", "5%"];
    assert_eq!(dir.ok(&args)["rejects"], 1);
    let retry = [&args[..], &["--retry-rejects"]].concat();
    // As it was: one part is tried again, in vain.
    let output = dir.run(&retry);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("1 of 10 parts have rejects and are made again"), "{said}");
    fs::write(&bad, png(13, 4, 4)).unwrap();
    let output = dir.run(&retry);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("1 of 10 parts have rejects and are made again"), "{said}");
    let retried = dir.bytes();
    assert_eq!(dir.rows().len(), 40);
    dir.run(&[&args[..], &["--overwrite"]].concat());
    assert_eq!(retried, dir.bytes(), "the same bytes as from nothing");
    assert!(dir.ok(&retry)["rejects"] == 0, "without rejects there is nothing to retry");
    // Where more has changed, all is made again.
    fs::write(&bad, "broken again").unwrap();
    dir.ok(&args);
    fs::write(dir.path().join("in/train/0/02.png"), png(99, 4, 4)).unwrap();
    let said = String::from_utf8_lossy(&dir.run(&retry).stderr).into_owned();
    assert!(said.contains("more than the rejects has changed"), "{said}");
    assert!(dir.rows().iter().any(|row| row.id == "train/0/02.png" && crate::program::is_png(99, &row.pixels)));
}

#[test]
fn a_retry_that_ended_early_goes_on() {
    let dir = Dir::new();
    for n in 0..40_u8 {
        dir.file(&format!("in/train/{}/{n:02}.png", n % 2), png(n, 4, 4));
    }
    dir.file("in/test/0/test.png", png(99, 4, 4));
    let bad = dir.file("in/train/1/13.png", "not yet a picture");
    let args = ["--input", "in", "--part-rows", "4", "--max-bad", "5%"];
    dir.ok(&args);
    // What is mended is in the other split too, which ends the retry when all of its parts are finished.
    fs::write(&bad, png(99, 4, 4)).unwrap();
    let retry = [&args[..], &["--retry-rejects"]].concat();
    assert_eq!(dir.run(&[&retry[..], &["--on-leak", "fail"]].concat()).status.code(), Some(65));
    let said = String::from_utf8_lossy(&dir.run(&retry).stderr).into_owned();
    assert!(said.contains("going on after an interrupted run, 11 of 11 parts are finished"), "{said}");
    assert_eq!(dir.rows().len(), 41);
}

#[test]
fn a_take_from_folders_has_every_class() {
    let dir = Dir::new();
    folder(&dir);
    dir.ok(&["--input", "data", "--split", "train=1", "--take", "train=6", "--max-bad", "1"]);
    assert_eq!(dir.ids(), ["a/00.png", "a/03.png", "b/01.png", "c/02.png", "c/05.png"]);
}

#[test]
fn a_run_ended_by_a_signal_goes_on_to_the_same_bytes() {
    let dir = Dir::new();
    let args = ["--format", "shapes", "--rows", "train=6000", "--part-rows", "100"];
    dir.ok(&[&args[..], &["--threads", "2"]].concat());
    let undisturbed = dir.bytes();
    fs::remove_dir_all(dir.path().join("run")).unwrap();

    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_data-prep"));
    let mut child =
        command.current_dir(dir.path()).args(args).args(["--run", "run", "--threads", "1", "--quiet"]).spawn().unwrap();
    while !dir.path().join("run/examples.building/journal.jsonl").exists() {
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be stopped");
    }
    std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(!dir.path().join("run/examples").exists());
    dir.ok(&args);
    assert!(dir.bytes() == undisturbed);
}
