//! `headstart verify`: every byte that differs is found and named.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::{STAGES, made, with_metadata};
use crate::program::demo_backbone;

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn verify_names_every_file_that_differs() {
    let dir = made();
    let whole = dir.headstart().args(["verify", "run", "--json"]).code(0).json();
    assert_eq!((whole["whole"].clone(), whole["checked"].as_array().unwrap().len()), (json!(true), 4));

    flip(&dir.path("run/examples/train-00001.parquet"), 500);
    flip(&dir.path("run/examples/test-00000.parquet"), 700);
    fs::remove_file(dir.path("run/features/train-00000.parquet")).unwrap();
    let ran = dir.headstart().args(["verify", "run", "--json"]).code(65).json();
    let problems = |i: usize| -> Vec<String> {
        let problems = ran["checked"][i]["problems"].as_array().unwrap();
        problems.iter().map(|p| p.as_str().unwrap().to_string()).collect()
    };
    assert_eq!(problems(0).len(), 2, "{ran}");
    for (problem, file) in problems(0).iter().zip(["train-00001.parquet", "test-00000.parquet"]) {
        assert!(problem.starts_with(&format!("run/examples/{file}: BLAKE3: expected ")), "{problem}");
        assert!(problem.contains(", found "), "{problem}");
    }
    assert!(problems(1)[0].contains("train-00000.parquet: file: expected"), "{ran}");
    assert_eq!((problems(2).len(), problems(3).len()), (0, 0));
    let text = dir.headstart().args(["verify", "run/examples"]).code(65).stdout();
    assert!(text.contains("damaged") && text.contains("run data-prep again with --rehash"), "{text}");

    // What was said to do does it.
    for stage in STAGES {
        stage(&dir).args(["--pipeline", "p.toml", "--rehash"]).code(0);
    }
    dir.headstart().args(["verify", "run"]).code(0);
}

#[test]
fn verify_takes_single_files_and_models() {
    let dir = made();
    let text = dir.headstart().args(["verify", "run/head/head.safetensors"]).code(0).stdout();
    assert!(text.contains("as head-train recorded it"), "{text}");
    flip(&dir.path("run/head/head.safetensors"), 40);
    dir.headstart().args(["verify", "run/head/head.safetensors"]).code(65);

    let model = demo_backbone();
    let text = dir.headstart().args(["verify"]).args([&model]).code(0).stdout();
    assert!(text.contains("structure is sound"), "{text}");
    let cut = fs::read(&model).unwrap();
    dir.write("cut.onnx", &cut[..cut.len() / 2]);
    dir.headstart().args(["verify", "cut.onnx"]).code(65);
    // A classifier has its own inputs and outputs.
    dir.write("classifier.onnx", with_metadata(&model, &[("headstart.classes", "[\"a\"]")]));
    let text = dir.headstart().args(["verify", "classifier.onnx"]).code(65).stdout();
    assert!(text.contains("expected pixels to probabilities, logits, features"), "{text}");

    dir.write("note.txt", "hello");
    assert!(dir.headstart().args(["verify", "note.txt"]).code(65).stdout().contains("found a text file"));
    assert!(dir.headstart().args(["verify", "nothing"]).code(66).stdout().contains("not there"));
}

#[test]
fn verify_names_what_lies_in_an_artifact_and_does_not_belong() {
    let dir = made();
    let strays = |ran: &serde_json::Value| ran["checked"][0]["strays"].clone();
    let verify = |path: &str, code| dir.headstart().args(["verify", path, "--json"]).code(code).json();
    // The cache of digests may lie there: no stage made it a part.
    dir.write("run/examples/.digests.json", "{}");
    assert_eq!(strays(&verify("run/examples", 0)), json!([]));
    dir.write("run/examples/train-00099.parquet", "not ours");
    dir.write("run/examples/notes\u{1b}[31m.txt", "mine");
    dir.write("run/examples/sub/x", "x");
    let all = json!(["notes\u{1b}[31m.txt", "sub/", "train-00099.parquet"]);
    let ran = verify("run", 0);
    assert_eq!(
        (strays(&ran), &ran["whole"], &ran["checked"][0]["state"]),
        (all.clone(), &json!(true), &json!("whole"))
    );
    assert_eq!(ran["checked"][1]["strays"], json!([]));
    let text = dir.headstart().args(["verify", "run/examples"]).env("COLUMNS", "120").code(0).stdout();
    assert!(text.starts_with("whole "), "{text}");
    let note = "note: not named by the manifest, and not checked: notes\\u{1b}[31m.txt, sub/, train-00099.parquet\n";
    assert!(text.contains(note), "{text}");
    // It is said of a damaged one too, and of many not all are.
    flip(&dir.path("run/examples/train-00001.parquet"), 500);
    assert_eq!(strays(&verify("run/examples", 65)), all);
    (0..9).for_each(|i| drop(dir.write(&format!("run/examples/a{i}"), "")));
    let text = dir.headstart().args(["verify", "run/examples"]).code(65).stdout();
    assert!(text.contains("not checked: a0, a1, a2, a3, a4 and 7 more"), "{text}");
    // No stage minds.
    dir.data_prep().args(["--pipeline", "p.toml", "--rehash"]).code(0);
}

#[test]
fn verify_opens_nothing_but_files() {
    let dir = made();
    dir.pipe("pipe.onnx");
    fs::remove_file(dir.path("run/head/head.safetensors")).unwrap();
    dir.pipe("run/head/head.safetensors");
    for path in ["pipe.onnx", "run/head/head.safetensors"] {
        let text = dir.headstart().args(["verify", path]).code(65).stdout();
        assert!(text.contains("found a pipe"), "{text}");
    }
    dir.headstart().args(["verify", "run/head"]).code(65);
}
