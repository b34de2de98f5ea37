//! What makes an artifact stale: other settings and other bytes of an input, never a file's time.

use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

use super::jobs::{JOBS, bytes, inputs};

/// Gives every file below a folder the time of now.
fn touch(folder: &Path) {
    for path in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if path.is_dir() {
            touch(&path);
        } else {
            File::options().append(true).open(&path).unwrap().set_modified(SystemTime::now()).unwrap();
        }
    }
}

#[test]
fn fault_12_a_touch_makes_nothing_again_and_an_edit_says_what_changed() {
    let dir = inputs();
    touch(&dir.path("."));
    let place = |makes: &str| format!("r/{makes}");
    for job in JOBS {
        job.to(&dir, &place(job.makes)).code(0).says(&["up to date"]);
    }
    for job in JOBS {
        let before = bytes(&dir.path(&place(job.makes)));
        let because = format!("made again, because {}: ", job.other.1);
        job.other_to(&dir, &place(job.makes)).code(0).says(&[&because]);
        assert_ne!(bytes(&dir.path(&place(job.makes))), before, "{}", job.makes);
        job.to(&dir, &place(job.makes)).code(0).says(&[&because]);
        assert_eq!(bytes(&dir.path(&place(job.makes))), before, "{}", job.makes);
    }
    // Other bytes at the source go down the whole chain.
    JOBS[0].other_to(&dir, "r/examples").code(0);
    fs::write(dir.path("prompts.txt"), "ROMEO:\nJULIET:").unwrap();
    let changed = ["r/examples", "r/features", "r/head/classifier.onnx, r/examples", "prompts.txt", "r/prompts"];
    for (job, changed) in JOBS[1..].iter().zip(changed) {
        job.to(&dir, &place(job.makes)).code(0).says(&[&format!("because changed input: {changed}")]);
    }
}

/// A size and a time that are as they were spare hashing; `--rehash` believes neither.
#[test]
fn fault_12_an_edit_that_hides_behind_its_time_is_found_with_rehash() {
    let dir = inputs();
    let file = dir.path("prompts.txt");
    let modified = fs::metadata(&file).unwrap().modified().unwrap();
    let edited = fs::read_to_string(&file).unwrap().replace("ROMEO", "ROMAN");
    fs::write(&file, edited).unwrap();
    File::options().append(true).open(&file).unwrap().set_modified(modified).unwrap();
    JOBS[4].to(&dir, "r/prompts").code(0).says(&["up to date"]);
    JOBS[4].to(&dir, "r/prompts").args(["--rehash"]).code(0).says(&["changed input: prompts.txt"]);
    JOBS[5].to(&dir, "r/completions").code(0).says(&["changed input: r/prompts"]);
}
