//! `head-train --memory-limit`: features in files, and the same head.

use crate::program::Dir;

const LEAST: [&str; 2] = ["--memory-limit", "1KB"];

fn features(dir: &Dir) {
    dir.shapes("r", 200, 60);
    dir.feature_extract().args(["--run", "r", "--backbone", "pixels"]).code(0);
}

/// All files of a head but the one that says how long it took.
fn made(dir: &Dir, out: &str) -> Vec<(String, Vec<u8>)> {
    dir.contents(out).into_iter().filter(|(name, _)| name != "metrics.json" && name != "manifest.json").collect()
}

#[test]
fn a_head_has_the_same_bytes_wherever_its_features_are_kept() {
    let dir = Dir::new();
    features(&dir);
    // Standardised or not, and again on training and validation rows together.
    for (name, more) in
        [("plain", &[][..]), ("refit", &["--refit"]), ("raw", &["--no-standardise"]), ("curve", &["--learning-curve"])]
    {
        let train = |out: &str, limit: &[&str]| {
            dir.head_train().args(["--run", "r", "--epochs", "2", "--out", out]).args(more).args(limit).code(0)
        };
        let within = format!("{name}-within");
        train(&within, &["--memory-limit", "1GiB"]);
        train(name, &LEAST).says(&["go into files in"]);
        assert!(made(&dir, name) == made(&dir, &within), "{name}");
        assert!(made(&dir, name).len() > 3, "{name}");
    }
}

#[test]
fn no_room_for_the_files_is_74_and_says_what_was_needed() {
    let dir = Dir::new();
    features(&dir);
    let train = dir.head_train().args(["--run", "r", "--out", "h"]).args(LEAST);
    train.under(&["prlimit", "--fsize=65536"]).code(74).says(&["into a file of", "MiB in", "--memory-limit"]);
    assert!(!dir.path("h").exists());
    for wrong in ["none", "-1", "4 fish"] {
        dir.head_train().args(["--run", "r", "--memory-limit", wrong]).code(2);
    }
}
