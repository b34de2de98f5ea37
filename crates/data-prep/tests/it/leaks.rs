//! The same picture in two splits.

use serde_json::json;

use crate::program::{Dir, png};

/// Three pictures of the test split are in train too, one of them twice; one of validation is in train and test.
fn leaky() -> Dir {
    let dir = Dir::new();
    for n in 0..20_u8 {
        dir.file(&format!("in/train/{}/{n}.png", n % 2), png(n, 4, 4));
        dir.file(&format!("in/test/{}/{n}.png", n % 2), png(100 + n, 4, 4));
        dir.file(&format!("in/validation/{}/{n}.png", n % 2), png(200 + n, 4, 4));
    }
    dir.file("in/test/0/twin-a.png", png(4, 4, 4));
    dir.file("in/test/0/twin-b.png", png(4, 4, 4));
    dir.file("in/test/1/twin-c.png", png(7, 4, 4));
    dir.file("in/validation/1/twin-d.png", png(7, 4, 4));
    dir
}

const PREPARE: [&str; 4] = ["--input", "in", "--part-rows", "6"];

#[test]
fn fault_23_leakage_between_splits_is_counted_and_named() {
    let dir = leaky();
    let output = dir.run(&PREPARE);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("3 of test are in train too") && said.contains("test/0/twin-a.png = train/0/4.png"),
        "{said}"
    );
    let expected = json!([
        { "split": "validation", "also_in": "train", "rows": 1, "first": [["validation/1/twin-d.png", "train/1/7.png"]] },
        { "split": "test", "also_in": "train", "rows": 3, "first": [
            ["test/0/twin-a.png", "train/0/4.png"], ["test/0/twin-b.png", "train/0/4.png"], ["test/1/twin-c.png", "train/1/7.png"],
        ] },
        { "split": "test", "also_in": "validation", "rows": 1, "first": [["test/1/twin-c.png", "validation/1/twin-d.png"]] },
    ]);
    assert_eq!(dir.artifact().manifest().facts["leaks"], expected);
    // Also of what is there already.
    assert_eq!(dir.ok(&PREPARE)["leaks"], expected);
    assert!(String::from_utf8_lossy(&dir.run(&PREPARE).stderr).contains("3 of test are in train too"));
    let output = dir.run(&[&PREPARE[..], &["--on-leak", "fail"]].concat());
    assert_eq!(output.status.code(), Some(65));
    assert_eq!(dir.artifact().manifest().facts["leaks"], expected, "what was there stays");
}

#[test]
fn fault_23_leakage_between_splits_is_65_when_asked_and_costs_no_part() {
    let dir = leaky();
    let fail = [&PREPARE[..], &["--on-leak", "fail"]].concat();
    let said = dir.fails(65, &fail);
    assert!(said.contains("3 of test are in train too") && said.contains("--on-leak report"), "{said}");
    // The parts are there, and leaks are found in parts of an earlier run too.
    assert!(dir.fails(65, &fail).contains("3 of test are in train too"));
    let output = dir.run(&PREPARE);
    assert!(String::from_utf8_lossy(&output.stderr).contains("going on after an interrupted run, 12 of 12 parts"));
    for twin in ["test/0/twin-a", "test/0/twin-b", "test/1/twin-c", "validation/1/twin-d"] {
        std::fs::remove_file(dir.path().join(format!("in/{twin}.png"))).unwrap();
    }
    assert_eq!(dir.ok(&fail)["leaks"], json!([]));
}
