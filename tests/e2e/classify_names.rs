//! `classify` and names: such as no UTF-8 can spell, such as a terminal would obey, and one that comes twice.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;

use crate::classify::{head_on_pixels, of_pictures, predictions};
use crate::program::{Dir, Run};

/// Turns red, ends the line, turns the text behind it, and turns red again by one sign of C1.
const HOSTILE: &str = "e\u{1b}[31m\n\r\tx\u{202e}y\u{9b}32m.png";

/// The same as people see it.
const SHOWN: &str = "e\\u{1b}[31m\\n\\r\\tx\\u{202e}y\\u{9b}32m.png";

/// A picture under a name of any bytes.
fn picture(dir: &Dir, name: &[u8]) {
    let from = dir.picture("any.png", 7);
    let to = dir.path("").join(OsStr::from_bytes(name));
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}

/// Enlarged, since the classifier takes larger ones than a test writes.
fn of<'a>(dir: &'a Dir, inputs: &[&str]) -> Run<'a> {
    of_pictures(dir, inputs).args(["--fit", "squash", "--enlarge"])
}

fn ids(lines: &str) -> Vec<String> {
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_string();
    lines.lines().map(id).collect()
}

#[test]
fn names_that_are_no_utf8_stay_apart() {
    let dir = Dir::new();
    head_on_pixels(&dir, 60, 20);
    for name in [&b"a\xff.png"[..], b"a\xfe.png", b"a%FF.png", b"a%20b.png"] {
        picture(&dir, &[b"pictures/", name].concat());
    }
    picture(&dir, b"deep/\xe9t\xe9/x.png");
    let expected = ["a%20b.png", "a%25FF.png", "a%FE.png", "a%FF.png"];
    assert_eq!(ids(&of(&dir, &["deep"]).args(["--jsonl"]).code(0).stdout()), ["%E9t%E9/x.png"]);
    assert_eq!(ids(&of(&dir, &["pictures"]).args(["--jsonl"]).code(0).stdout()), expected);
    of(&dir, &["pictures"]).args(["--out", "p"]).code(0);
    assert_eq!(predictions(&dir.path("p")).into_keys().collect::<Vec<_>>(), expected);
    // One by one, as a shell gives them for `*`.
    let (first, second) = (OsStr::from_bytes(b"pictures/a\xff.png"), OsStr::from_bytes(b"pictures/a\xfe.png"));
    let lines = of(&dir, &["pictures/a%20b.png"]).args([OsStr::new("--input"), first, second]).args(["--jsonl"]);
    assert_eq!(ids(&lines.code(0).stdout()), ["pictures/a%20b.png", "pictures/a%FF.png", "pictures/a%FE.png"]);
    // What really comes twice is an error.
    of(&dir, &["pictures"]).args([OsStr::new("--input"), first, first]).code(65).says(&["\"pictures/a%FF.png\""]);

    // data-prep calls them the same, and takes such a path behind the name of a split.
    let enlarge = ["--split", "train=1", "--size", "32", "--enlarge"];
    dir.data_prep().args(["--input", "pictures", "--run", "q"]).args(enlarge).code(0);
    let classify = dir.classify().args(["--classifier", "r/head/classifier.onnx", "--examples", "q/examples"]);
    classify.args(["--out", "q/p"]).code(0);
    assert_eq!(predictions(&dir.path("q/p")).into_keys().collect::<Vec<_>>(), expected);
    let input = [OsStr::new("--input"), OsStr::from_bytes(b"train=deep/\xe9t\xe9")];
    let said = dir.data_prep().args(input).args(["--run", "s", "--json"]).code(0).json();
    assert_eq!((&said["rows"], &said["splits"]["train"]), (&1.into(), &1.into()));
}

/// What is said beside the result, in which there is nothing that a terminal would obey.
fn stderr(run: Run<'_>, code: i32) -> String {
    let output = run.start().wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(is_harmless(&said), "{said:?}");
    said
}

/// Whether a terminal would obey any of it, but for line ends.
fn is_harmless(text: &str) -> bool {
    !text.chars().any(|c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c))
}

#[test]
fn names_are_shown_and_not_obeyed() {
    let dir = Dir::new();
    head_on_pixels(&dir, 60, 20);
    picture(&dir, format!("pictures/{HOSTILE}").as_bytes());
    picture(&dir, b"pictures/plain.png");
    let table = of(&dir, &["pictures"]).code(0).stdout();
    assert!(is_harmless(&table), "{table:?}");
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 4, "{table}");
    assert!(rows[2].starts_with(&format!("{SHOWN}   ")), "{table}");
    let columns = |row: &str| row.find("   ").map(|_| row.chars().count());
    assert_eq!(columns(rows[2]), columns(rows[3]), "{table}");

    // Programs get the name as it is.
    assert_eq!(ids(&of(&dir, &["pictures"]).args(["--jsonl"]).code(0).stdout()), [HOSTILE, "plain.png"]);
    let object = of(&dir, &["pictures"]).args(["--json"]).code(0).json();
    assert_eq!(object["rows"][0]["id"], HOSTILE);
    of(&dir, &["pictures"]).args(["--out", "p"]).code(0);
    assert!(predictions(&dir.path("p")).contains_key(HOSTILE));

    // In warnings and errors as in the table: the picture is none now.
    dir.write(&format!("pictures/{HOSTILE}"), "no picture");
    let said = stderr(of(&dir, &["pictures"]), 0);
    assert!(said.contains(&format!("not classified: {SHOWN} (not-a-picture)")), "{said:?}");
    stderr(of(&dir, &[&format!("pictures/{HOSTILE}")]), 65);
    stderr(of(&dir, &[&format!("absent{HOSTILE}")]), 66);
    let prepare = || dir.data_prep().args(["--input", "pictures", "--run", "q", "--max-bad", "0"]);
    for run in [prepare(), prepare().args(["-v"])] {
        let said = stderr(run, 65);
        assert!(said.contains(&format!("\n  {SHOWN} (")), "{said:?}");
    }
}

#[test]
fn names_of_classes_are_shown_and_not_obeyed() {
    let dir = Dir::new();
    for class in [HOSTILE, "dog"] {
        (0..6).for_each(|i| drop(dir.picture(&format!("train/{class}/{i}.png"), i * 30)));
    }
    dir.data_prep().args(["--input", "train", "--run", "r"]).code(0);
    dir.feature_extract().args(["--backbone", "pixels", "--run", "r"]).code(0);
    dir.head_train().args(["--epochs", "1", "--run", "r"]).code(0);
    let table = of_pictures(&dir, &["train/dog/0.png"]).args(["--top", "2"]).code(0).stdout();
    assert!(is_harmless(&table) && table.contains(SHOWN), "{table:?}");
    let object = of_pictures(&dir, &["train/dog/0.png"]).args(["--top", "2", "--json"]).code(0).json();
    let top: Vec<_> =
        object["rows"][0]["top"].as_array().unwrap().iter().map(|t| t["class"].as_str().unwrap()).collect();
    assert!(top.contains(&HOSTILE), "{top:?}");
    for path in ["r/examples", "r/head/classifier.onnx", "r/head/head.safetensors"] {
        let shown = dir.headstart().args(["inspect", path]).code(0).stdout();
        assert!(is_harmless(&shown) && shown.contains("u{202e}"), "{path}: {shown:?}");
    }
}
