//! The rules of the house that a machine can hold: who may depend on whom, and what files look like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::repository;

/// The crates of the workspace and which of each other they may use, as in ARCHITECTURE.md.
const MAY_USE: [(&str, &[&str]); 17] = [
    ("artifact", &[]),
    ("onnx-graph", &[]),
    ("convolution", &[]),
    ("backbone", &["convolution"]),
    ("linear-head", &[]),
    ("picture", &[]),
    ("text", &[]),
    ("decoding", &[]),
    ("hub", &[]),
    ("head-report", &[]),
    ("stage", &["artifact", "hub"]),
    ("data-prep", &["artifact", "hub", "picture", "stage", "text"]),
    ("feature-extract", &["artifact", "backbone", "hub", "onnx-graph", "stage"]),
    ("head-train", &["artifact", "backbone", "head-report", "linear-head", "onnx-graph", "stage"]),
    ("generate", &["artifact", "backbone", "decoding", "hub", "onnx-graph", "stage", "text"]),
    ("classify", &["artifact", "backbone", "hub", "onnx-graph", "picture", "stage"]),
    (
        "headstart",
        &[
            "artifact",
            "backbone",
            "classify",
            "data-prep",
            "feature-extract",
            "generate",
            "head-train",
            "hub",
            "onnx-graph",
            "stage",
        ],
    ),
];

/// Those that parse a command line and say what went wrong.
const PROGRAMS: &[&str] = &["stage", "data-prep", "feature-extract", "head-train", "generate", "classify", "headstart"];

/// Libraries that only some crates may use.
const ONLY_IN: [(&str, &[&str]); 10] = [
    ("ort", &["backbone"]),
    ("parquet", &["artifact"]),
    ("prost", &["onnx-graph"]),
    ("image", &["picture", "head-report"]),
    ("fast_image_resize", &["picture"]),
    ("tokenizers", &["text"]),
    ("clap", PROGRAMS),
    ("anyhow", PROGRAMS),
    ("hf-hub", &["hub"]),
    ("indicatif", &["stage"]),
];

#[test]
fn crates_depend_as_the_architecture_says() {
    let uses = dependencies();
    let allowed: BTreeMap<_, _> = MAY_USE.into_iter().collect();
    let names: Vec<_> = uses.keys().map(String::as_str).filter(|n| *n != "headstart-tests").collect();
    let mut listed: Vec<_> = allowed.keys().copied().collect();
    listed.sort_unstable();
    assert_eq!(names, listed, "a crate was added or removed: change MAY_USE here and ARCHITECTURE.md");
    for (name, used) in uses.iter().filter(|(n, _)| *n != "headstart-tests") {
        for other in used {
            if allowed.contains_key(other.as_str()) {
                assert!(allowed[name.as_str()].contains(&other.as_str()), "{name} must not use {other}");
            }
            if let Some((_, only)) = ONLY_IN.iter().find(|(library, _)| library == other) {
                assert!(only.contains(&name.as_str()), "{name} must not use {other}, which belongs to {only:?}");
            }
        }
    }
}

/// Ordinary (not development) dependencies by crate of the workspace.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(repository())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let crates = metadata["packages"].as_array().unwrap().iter().map(|package| {
        let used = package["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
        let names = used.map(|d| d["name"].as_str().unwrap().to_string()).collect();
        (package["name"].as_str().unwrap().to_string(), names)
    });
    crates.collect()
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn unsafe_code_is_where_it_is_said_to_be_and_what_is_no_release_is_pinned() {
    let root = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    assert!(root.contains("\nunsafe_code = \"deny\""), "the lint is gone");
    let crates = fs::read_dir(repository().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    for folder in crates.chain([repository().join("tests")]) {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{} has lints of its own", folder.display());
        let mut files = Vec::new();
        rust_files(&folder, &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let allows = ["allow", "expect", "warn"].iter().any(|level| text.contains(&format!("{level}(unsafe_code")));
            // The places that README.md and ARCHITECTURE.md name: a file is mapped, and an instruction is called.
            let is_named = ["crates/head-train/src/matrix.rs", "crates/convolution/src/bytes/vnni/mod.rs"]
                .iter()
                .any(|named| file.ends_with(named));
            assert_eq!(allows, is_named, "unsafe code in {}", file.display());
            let n_unsafe = text.matches(concat!("unsafe", " {")).count();
            assert_eq!(n_unsafe, usize::from(is_named), "unsafe code in {}", file.display());
        }
    }
    let pre_release = |line: &&str| {
        line.contains("version = \"") && line.contains("-rc.") || line.contains("-alpha") || line.contains("-beta")
    };
    for line in root.lines().filter(pre_release) {
        assert!(line.contains("version = \"="), "not pinned: {line}");
    }
    // Whoever is pinned may bring others along.
    let lock = fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    let packages = lock.split("[[package]]").filter(|package| package.lines().any(|line| pre_release(&line)));
    let names: Vec<_> = packages.map(|package| package.split('"').nth(1).unwrap()).collect();
    assert_eq!(names, ["ort", "ort-sys"], "a pre-release came or went: say so in README.md");
}

#[test]
fn every_file_opens_with_what_it_owns() {
    let mut files = Vec::new();
    rust_files(&repository().join("crates"), &mut files);
    rust_files(&repository().join("tests/e2e"), &mut files);
    assert!(files.len() > 50, "the walk found only {} files", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!"), "{} does not open with //!", file.display());
    }
}

#[test]
fn names_that_say_nothing_are_not_used() {
    let mut files = Vec::new();
    rust_files(&repository().join("crates"), &mut files);
    let banned = ["manager", "helper", "util", "utils", "handler"];
    for file in files {
        let stem = file.file_stem().unwrap().to_string_lossy().to_lowercase();
        assert!(!banned.contains(&stem.as_str()) && stem != "common" && stem != "info", "{}", file.display());
        for line in fs::read_to_string(&file).unwrap().lines() {
            let code = line.trim_start();
            let defines = ["fn ", "struct ", "enum ", "trait ", "mod "].iter().find_map(|k| code.split_once(k));
            if let Some((before, after)) = defines
                && before.chars().all(|c| c.is_ascii_alphabetic() || " ()".contains(c))
            {
                let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("").to_lowercase();
                assert!(!banned.iter().any(|b| name.split('_').any(|w| w == *b)), "{}: {line}", file.display());
            }
        }
    }
}

#[test]
fn tests_that_the_readme_names_are_there() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let is_test = |word: &&str| {
        word.matches('_').count() > 2 && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let named: Vec<_> = readme.split('`').filter(is_test).collect();
    assert!(named.len() > 5, "{named:?}");
    let mut files = Vec::new();
    rust_files(&repository().join("crates"), &mut files);
    rust_files(&repository().join("tests/e2e"), &mut files);
    let sources: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    for name in named {
        assert!(sources.contains(&format!("fn {name}(")), "README.md names {name}, which is no test");
    }
}

#[test]
fn every_fault_has_a_test_of_its_number() {
    let mut files = Vec::new();
    rust_files(&repository().join("crates"), &mut files);
    rust_files(&repository().join("tests/e2e"), &mut files);
    let sources: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    // `fault_08_09_10_…` is of three.
    let names: Vec<_> = sources.split("fn fault_").skip(1).filter_map(|rest| rest.split('(').next()).collect();
    let numbers: BTreeSet<u32> = names.iter().flat_map(|n| n.split('_').map_while(|word| word.parse().ok())).collect();
    assert!((1..=29).all(|number| numbers.contains(&number)), "{numbers:?}");
}

#[test]
fn ci_runs_the_command_that_the_readme_promises() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let ci = fs::read_to_string(repository().join(".ci/run")).unwrap();
    let command = ci.lines().find(|l| l.contains("just test")).unwrap();
    assert!(readme.contains(command), "README.md does not say: {command}");
}

#[test]
fn pipelines_say_how_to_run_them_and_name_no_path_outside() {
    let mut n = 0;
    for entry in fs::read_dir(repository().join("pipelines")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("#   just pipeline"), "{} has no command in its header", path.display());
        assert!(
            text.contains("Expected:") && text.contains("Duration:"),
            "{} has no expected result or duration",
            path.display()
        );
        assert!(!text.contains("../") && !text.contains("\"/"), "{} names a path outside", path.display());
        n += 1;
    }
    assert!(n >= 4, "only {n} pipelines");
}
