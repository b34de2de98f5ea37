//! `headstart inspect`: what is shown of each kind of artifact and file.

use std::fs;

use serde_json::json;

use super::{made, with_metadata};
use crate::program::{Dir, demo_backbone, demo_lm};

#[test]
fn inspect_shows_pictures_features_and_heads() {
    let dir = made();
    let inspect = |path: &str| dir.headstart().args(["inspect", path, "--rows", "2"]).code(0).stdout();
    let says = |text: &str, all: &[&str]| {
        all.iter().for_each(|part| assert!(text.contains(part), "{part:?} is not in\n{text}"));
        assert!(text.lines().all(|line| line.chars().count() <= 100), "a line is too long\n{text}");
    };
    let examples = inspect("run/examples");
    says(&examples, &["examples by data-prep", "80 (train 60, test 20)", "train-00003.parquet", "first 2 of 80 rows"]);
    says(&examples, &["train/000000", "32×32×3, mean (", "label   int32, may be null"]);
    says(&inspect("run/features"), &["3,072 × float32", "3,072 numbers, norm ", "run/examples", "backbone"]);
    says(&inspect("run/head"), &["scores", "test", "temperature", "classes", "head.safetensors", "epochs"]);
    says(&inspect("run/head/metrics.json"), &["head by head-train"]);
    says(&inspect("run/head/head.safetensors"), &["weight  f32 [10, 3072]", "a head of headstart", "circle, square"]);
    says(&inspect("run/examples/test-00000.parquet"), &["Parquet", "16", "pixels  3,072 bytes", "3.1 kB"]);

    let json = dir.headstart().args(["inspect", "run/examples", "--json"]).code(0).json();
    assert_eq!((&json["kind"], &json["rows_by_split"]["test"]), (&json!("examples"), &json!(20)));
    assert_eq!(json["first_rows"].as_array().unwrap().len(), 5);
    let json = dir.headstart().args(["inspect", "run/head", "--json"]).code(0).json();
    assert_eq!(json["metrics"]["feature_dim"], 3072);
}

#[test]
fn inspect_shows_prompts_and_completions() {
    let dir = Dir::new();
    dir.write("p.txt", "To be\nor not\u{1b}[31m\n");
    let lm = demo_lm();
    dir.data_prep().args(["--input", "p.txt", "--run", "run", "--tokenizer"]).args([&lm]).code(0);
    dir.generate().args(["--run", "run", "--max-new-tokens", "2", "--model"]).args([&lm]).code(0);
    let prompts = dir.headstart().args(["inspect", "run/prompts"]).code(0).stdout();
    assert!(prompts.contains("To be") && prompts.contains("list of int32"), "{prompts}");
    assert!(!prompts.contains('\u{1b}'), "a text of the data moves the terminal's colours");
    let completions = dir.headstart().args(["inspect", "run/completions"]).code(0).stdout();
    for part in ["completion ", "finish_reason", "2 numbers, [", "row 1"] {
        assert!(completions.contains(part), "{part:?} is not in\n{completions}");
    }
}

#[test]
fn inspect_shows_models() {
    let dir = Dir::new();
    let text = dir.headstart().args(["inspect"]).args([demo_backbone()]).code(0).stdout();
    for part in
        ["opset", "658,506", "input  float32 [batch, 3, 32, 32]", "Gemm, 128 numbers to 10 classes", "* features"]
    {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let facts = [
        ("headstart.classes", "[\"cat\",\"dog\"]"),
        ("headstart.resize", "{\"policy\":\"resized\",\"fit\":\"crop\",\"filter\":\"bilinear\",\"enlarge\":false}"),
        ("headstart.test_accuracy", "0.8372"),
    ];
    dir.write("c.onnx", with_metadata(&demo_backbone(), &facts));
    let text = dir.headstart().args(["inspect", "c.onnx"]).code(0).stdout();
    for part in ["a classifier of headstart", "2: cat, dog", "fit crop", "83.72 %"] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains("--feature"), "{text}");
    let json = dir.headstart().args(["inspect", "c.onnx", "--json"]).code(0).json();
    assert_eq!(json["metadata"]["headstart.test_accuracy"], "0.8372");
}

#[test]
fn inspect_says_what_it_expected() {
    let dir = made();
    dir.write("note.txt", "hello");
    dir.write("noise.bin", (0..200_u8).rev().collect::<Vec<_>>());
    for path in ["note.txt", "noise.bin"] {
        dir.headstart().args(["inspect", path]).code(65).says(&[path, "expected an artifact's folder, a Parquet file"]);
    }
    dir.headstart().args(["inspect", "run"]).code(65).says(&["the folder of a run: headstart status --run run"]);
    fs::rename(dir.path("run"), dir.path("my run's")).unwrap();
    dir.headstart().args(["inspect", "my run's"]).code(65).says(&[r#"headstart status --run "my run's""#]);
    fs::rename(dir.path("my run's"), dir.path("run")).unwrap();
    dir.headstart().args(["inspect", "nothing"]).code(66).says(&["there is nothing at nothing"]);
    // Damaged files of a known kind say so.
    let part = fs::read(dir.path("run/examples/test-00000.parquet")).unwrap();
    dir.write("cut.parquet", &part[..part.len() / 2]);
    dir.headstart().args(["inspect", "cut.parquet"]).code(65).says(&["not a readable Parquet file"]);
    let head = fs::read(dir.path("run/head/head.safetensors")).unwrap();
    dir.write("cut.safetensors", &head[..20]);
    dir.headstart().args(["inspect", "cut.safetensors"]).code(65).says(&["expected a header of"]);
}
