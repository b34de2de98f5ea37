//! `--resume`: what is finished goes on or stays, and never gives way to a run with other settings.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::jobs::{JOBS, bytes, inputs};

/// Every file below a folder.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for path in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if path.is_dir() {
            files.append(&mut snapshot(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn fault_13_resume_with_another_setting_is_2_with_the_difference_and_touches_nothing() {
    let dir = inputs();
    for job in JOBS {
        let expected = bytes(&dir.path("r").join(job.makes));
        let (out, building) = (format!("of-{}", job.makes), format!("of-{}.building", job.makes));
        let difference = format!("{}: ", job.other.1);
        assert!(job.to(&dir, &out).args(["--resume"]).env("FAILPOINTS", job.midway()).killed(), "{}", job.makes);
        let before = snapshot(&dir.path(&building));
        for way in [&["--resume"][..], &["--resume", "--dry-run"]] {
            job.other_to(&dir, &out).args(way).code(2).says(&[&building, &difference, " → ", "leave --resume out"]);
            assert!(snapshot(&dir.path(&building)) == before && !dir.path(&out).exists(), "{}", job.makes);
        }
        let ran = job.to(&dir, &out).args(["--resume"]).code(0);
        if job.makes != "head" {
            ran.says(&["going on after an interrupted run, 2 of"]);
        }
        assert_eq!(bytes(&dir.path(&out)), expected, "{}", job.makes);

        // What is whole stays as well, and is up to date.
        job.other_to(&dir, &out).args(["--resume"]).code(2).says(&[&out, &difference]);
        assert!(bytes(&dir.path(&out)) == expected && !dir.path(&building).exists(), "{}", job.makes);
        job.to(&dir, &out).args(["--resume"]).code(0).says(&["up to date"]);

        // A run that was begun to replace it goes on.
        assert!(job.other_to(&dir, &out).env("FAILPOINTS", job.midway()).killed());
        job.other_to(&dir, &out).args(["--resume"]).code(0);
        assert_ne!(bytes(&dir.path(&out)), expected, "{}", job.makes);
        job.to(&dir, &out).args(["--resume", "--overwrite"]).code(2).says(&["--overwrite"]);
    }
}

#[test]
fn fault_13_an_input_that_changed_is_a_difference() {
    let dir = inputs();
    assert!(JOBS[4].to(&dir, "x").env("FAILPOINTS", JOBS[4].midway()).killed());
    let good = fs::read(dir.path("prompts.txt")).unwrap();
    fs::write(dir.path("prompts.txt"), [&good[..], b"\nEnter"].concat()).unwrap();
    JOBS[4].to(&dir, "x").args(["--resume"]).code(2).says(&["x.building", "changed input: prompts.txt"]);
    fs::write(dir.path("prompts.txt"), good).unwrap();
    // A record that is damaged or lost says nothing of what differs; parts say that something does.
    for record in [Some("{}"), None] {
        match record {
            Some(text) => fs::write(dir.path("x.building/begun.json"), text).unwrap(),
            None => fs::remove_file(dir.path("x.building/begun.json")).unwrap(),
        }
        JOBS[4].other_to(&dir, "x").args(["--resume"]).code(2).says(&["fingerprint: ", "its settings are lost"]);
    }
    JOBS[4].to(&dir, "x").args(["--resume"]).code(0).says(&["going on after an interrupted run, 2 of"]);
}
