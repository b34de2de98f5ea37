//! Bit rot: whatever changes in a file of an artifact, a reader says which file, what it expected and what it found.
//!
//! `HEADSTART_MUTATIONS=20000` asks for more than the 2,000 of the ordinary tests.

use std::fs;
use std::path::Path;

use artifact::{Artifact, Error};

use super::jobs::{JOBS, inputs};
use crate::program::{Dir, Run};

const MUTATIONS: usize = 2000;

/// Numbers that look random and are the same every time (SplitMix64).
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

/// Flips one to four bits, or cuts: never the same bytes again.
fn damaged(good: &[u8], draws: &mut Draws) -> Vec<u8> {
    let mut bad = good.to_vec();
    if draws.below(4) == 0 {
        bad.truncate(draws.below(good.len()));
        return bad;
    }
    for bit in 0..=draws.below(4) {
        // One bit of each quarter, so that no flip undoes another.
        let quarter = good.len().div_ceil(4);
        let at = (bit * quarter + draws.below(quarter)).min(good.len() - 1);
        bad[at] ^= 1 << draws.below(8);
    }
    bad
}

/// Reads everything there is, as a stage would.
fn read(folder: &Path) -> Result<(), Error> {
    let artifact = Artifact::find(folder)?.expect("there is a manifest");
    (0..artifact.manifest().parts.len()).try_for_each(|index| artifact.read_part(index).map(drop))?;
    artifact.manifest().files.iter().try_for_each(|entry| artifact.read_file(&entry.file).map(drop))
}

#[test]
fn fault_08_09_10_every_flipped_bit_and_every_cut_is_found_by_a_reader() {
    let dir = inputs();
    let mut draws = Draws(1);
    let wanted = std::env::var("HEADSTART_MUTATIONS").map_or(MUTATIONS, |n| n.parse().unwrap());
    let folders = JOBS.map(|job| dir.path("r").join(job.makes));
    let names = |folder: &Path| fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    let files: Vec<_> = folders.iter().flat_map(|folder| names(folder).into_iter().map(move |f| (folder, f))).collect();
    assert!(files.len() > 25, "{files:?}");
    for (folder, path) in &files {
        let good = fs::read(path).unwrap();
        read(folder).unwrap();
        for _ in 0..wanted.div_ceil(files.len()) {
            fs::write(path, damaged(&good, &mut draws)).unwrap();
            let error = read(folder).expect_err(&format!("damage in {} was not noticed", path.display()));
            let name = path.file_name().unwrap().to_str().unwrap();
            match &error {
                Error::Damaged { path, expected, found, .. } => {
                    assert!(path.ends_with(name), "{error}");
                    assert!(expected != found && error.to_string().contains(found), "{error}");
                }
                // A manifest that is no JSON any more, or has lost its own digest.
                Error::Malformed { path, .. } => {
                    assert!(path.ends_with("manifest.json") && name == "manifest.json", "{error}");
                }
                other => panic!("{name}: {other}"),
            }
        }
        fs::write(path, good).unwrap();
    }
}

/// The stage that reads an artifact, writing elsewhere.
fn reader<'a>(dir: &'a Dir, makes: &str) -> Option<Run<'a>> {
    let job = match makes {
        "examples" => JOBS[1],
        "features" => JOBS[2],
        "head" => JOBS[3],
        "prompts" => JOBS[5],
        _ => return None,
    };
    Some(job.to(dir, "elsewhere"))
}

#[test]
fn fault_09_bit_flip_ends_every_program_that_reads_the_file_with_65() {
    let dir = inputs();
    let mut draws = Draws(2);
    for job in JOBS {
        for path in fs::read_dir(dir.path("r").join(job.makes)).unwrap().map(|e| e.unwrap().path()) {
            let name = path.file_name().unwrap().to_str().unwrap().to_string();
            let good = fs::read(&path).unwrap();
            let mut bad = good.clone();
            let at = draws.below(bad.len());
            bad[at] ^= 1 << draws.below(8);
            fs::write(&path, bad).unwrap();
            let place = format!("r/{}", job.makes);
            let said = dir.headstart().args(["verify", &place]).code(65).stdout();
            assert!(said.contains(&name), "{said}");
            // Files for people, which no stage reads.
            let is_read = ![
                "report.html",
                "predictions.parquet",
                "history.parquet",
                "metrics.json",
                "head.safetensors",
                "rejects.parquet",
            ]
            .contains(&name.as_str());
            if name == "classifier.onnx" {
                let by_path = ["--classifier", "r/head/classifier.onnx", "--input", "picture.png"];
                dir.picture("picture.png", 1);
                dir.classify().args(by_path).code(65).says(&["r/head/classifier.onnx", "expected", "found"]);
            }
            if let Some(run) = reader(&dir, job.makes).filter(|_| is_read) {
                run.code(65).says(&[&name]);
                assert!(!dir.path("elsewhere").exists());
                // A part that was made of an undamaged one would not be made again.
                fs::remove_dir_all(dir.path("elsewhere.building")).ok();
            }
            fs::write(&path, good).unwrap();
        }
    }
}

#[test]
fn fault_08_a_damaged_artifact_is_made_again_with_rehash() {
    let dir = inputs();
    for (job, file) in [(JOBS[0], "train-00001.parquet"), (JOBS[1], "backbone.onnx"), (JOBS[2], "manifest.json")] {
        let path = dir.path("r").join(job.makes).join(file);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 4;
        fs::write(&path, bad).unwrap();
        job.to(&dir, &format!("r/{}", job.makes)).args(["--rehash"]).code(0);
        dir.headstart().args(["verify", "r"]).code(0);
        assert!(file == "manifest.json" || fs::read(&path).unwrap() == good, "{file}");
    }
}
