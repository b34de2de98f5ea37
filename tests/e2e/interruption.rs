//! Signals and changed settings: what is finished stays. That a run goes on to the same bytes is in `faults`.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Dir, Run, demo_backbone};

fn extract<'a>(dir: &'a Dir, run: &str) -> Run<'a> {
    let backbone = demo_backbone().display().to_string();
    dir.feature_extract().args(["--backbone", &backbone, "--examples", "r/examples", "--run", run, "--batch", "8"])
}

/// Waits until the first part of the features of a run is recorded.
fn wait_for_a_part(dir: &Dir, run: &str) {
    let journal = dir.path(run).join("features.building/journal.jsonl");
    let start = Instant::now();
    while !std::fs::read(&journal).is_ok_and(|lines| lines.ends_with(b"\n")) {
        assert!(start.elapsed() < Duration::from_secs(60), "no part was finished in a minute");
        sleep(Duration::from_millis(2));
    }
}

#[test]
fn sigterm_and_sigint_end_soon_with_143_and_130_and_keep_finished_parts() {
    let dir = Dir::new();
    dir.shapes("r", 1280, 320);
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let run = format!("signal-{code}");
        let mut child = extract(&dir, &run).spawn();
        wait_for_a_part(&dir, &run);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let sent = Instant::now();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(sent.elapsed() < Duration::from_secs(10), "{:?}", sent.elapsed());
        assert!(!dir.path(&run).join("features").exists());
        extract(&dir, &run).code(0).says(&["going on after an interrupted run"]);
    }
    let files = |run: &str| dir.contents(&format!("{run}/features"));
    assert_eq!(files("signal-143"), files("signal-130"));
}

#[test]
fn the_previous_artifact_stays_readable_until_the_new_one_is_whole() {
    let dir = Dir::new();
    dir.shapes("r", 640, 64);
    extract(&dir, "x").code(0);
    let before = dir.contents("x/features");
    let mut child = extract(&dir, "x").args(["--dtype", "float16"]).spawn();
    wait_for_a_part(&dir, "x");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(before, dir.contents("x/features"));
    dir.head_train().args(["--epochs", "1", "--run", "x"]).code(0);
    extract(&dir, "x").args(["--dtype", "float16"]).code(0).says(&["going on"]);
    assert_ne!(before, dir.contents("x/features"));
}

#[test]
fn a_wrong_setting_costs_no_finished_part() {
    let dir = Dir::new();
    dir.shapes("r", 1280, 64);
    let mut child = extract(&dir, "x").spawn();
    wait_for_a_part(&dir, "x");
    child.kill().unwrap();
    child.wait().unwrap();
    extract(&dir, "x").args(["--feature", "nonsense"]).code(65).says(&["nonsense"]);
    extract(&dir, "x").args(["--feature", "nonsense", "--dry-run"]).code(65);
    extract(&dir, "x").code(0).says(&["going on after an interrupted run"]);
}
