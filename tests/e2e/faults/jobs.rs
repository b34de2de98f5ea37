//! Every program that makes an artifact, on a few rows in several parts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{Dir, Run, demo_backbone, demo_lm};

/// A program with its arguments; the output's folder is given each time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    /// What it makes.
    pub(super) makes: &'static str,
    /// A setting that makes another artifact of it, and what a run names as the difference.
    pub(super) other: ([&'static str; 2], &'static str),
    run: for<'a> fn(&'a Dir) -> Run<'a>,
}

pub(super) const JOBS: [Job; 6] = [
    Job {
        makes: "examples",
        other: (["--seed", "7"], "identity"),
        run: |dir| {
            dir.data_prep().args([
                "--format",
                "shapes",
                "--rows",
                "train=64,test=16",
                "--part-rows",
                "16",
                "--run",
                "logs",
            ])
        },
    },
    Job {
        makes: "features",
        other: (["--dtype", "float16"], "dtype"),
        run: |dir| {
            let backbone = demo_backbone();
            dir.feature_extract().args(["--run", "r", "--batch", "8", "--backbone"]).args([backbone])
        },
    },
    Job {
        makes: "head",
        other: (["--seed", "7"], "seed"),
        run: |dir| dir.head_train().args(["--run", "r", "--epochs", "3"]),
    },
    Job {
        makes: "predictions",
        other: (["--batch", "8"], "batch"),
        // As with more pictures.
        run: |dir| dir.classify().args(["--run", "r", "--convolution", "winograd"]),
    },
    Job {
        makes: "prompts",
        other: (["--max-text-bytes", "1000"], "max_text_bytes"),
        run: |dir| {
            let tokenizer = demo_lm();
            dir.data_prep()
                .args(["--input", "prompts.txt", "--part-rows", "2", "--max-bad", "1", "--run", "logs", "--tokenizer"])
                .args([tokenizer])
        },
    },
    Job {
        makes: "completions",
        other: (["--seed", "7"], "seed"),
        run: |dir| {
            let settings = ["--strategy", "sample", "--max-new-tokens", "8", "--batch", "2"];
            dir.generate().args(["--run", "r"]).args(settings).args(["--model".into(), demo_lm()])
        },
    },
];

impl Job {
    /// The program, about to write `out`.
    pub(super) fn to<'a>(&self, dir: &'a Dir, out: &str) -> Run<'a> {
        (self.run)(dir).args(["--out", out])
    }

    /// The same with another setting.
    pub(super) fn other_to<'a>(&self, dir: &'a Dir, out: &str) -> Run<'a> {
        self.to(dir, out).args(self.other.0)
    }

    /// Where it dies with something done: a second part recorded, or a second file in place.
    pub(super) fn midway(&self) -> &'static str {
        if self.makes == "head" { "renamed=2*off->return" } else { "journal-synced=1*off->return" }
    }
}

/// A folder with all that the jobs read, in `r/`.
pub(super) fn inputs() -> Dir {
    let dir = Dir::new();
    let lines = ["ROMEO:", "JULIET: My lord,", "First Citizen: We are", "The king is", "", "Away!", "O,", "Peace, ho"];
    dir.write("prompts.txt", lines.join("\n"));
    for job in JOBS {
        job.to(&dir, &format!("r/{}", job.makes)).code(0);
    }
    dir
}

/// An artifact's files, without the two places where one differs from another of the same settings: durations, and the
/// digest of the file that they are in.
pub(super) fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let files = files.map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        let bytes = fs::read(&path).unwrap();
        let bytes = match name.as_str() {
            "metrics.json" => without_durations(&bytes),
            "manifest.json" => without_digest_of_metrics(&bytes),
            _ => bytes,
        };
        (name, bytes)
    };
    files.map(read).collect()
}

fn without_durations(metrics: &[u8]) -> Vec<u8> {
    let mut metrics: Value = serde_json::from_slice(metrics).unwrap();
    metrics.as_object_mut().unwrap().remove("durations");
    serde_json::to_vec(&metrics).unwrap()
}

fn without_digest_of_metrics(manifest: &[u8]) -> Vec<u8> {
    let mut manifest: Value = serde_json::from_slice(manifest).unwrap();
    let files = manifest["files"].as_array_mut().unwrap();
    let n_files = files.len();
    files.retain(|file| file["file"] != "metrics.json");
    if files.len() < n_files {
        manifest.as_object_mut().unwrap().remove("blake3");
    }
    serde_json::to_vec(&manifest).unwrap()
}
