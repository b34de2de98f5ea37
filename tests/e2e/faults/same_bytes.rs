//! What comes out bit for bit the same with other threads, seeds and clocks: the middle column of the table in README.md.

use super::jobs::{JOBS, bytes, inputs};

#[test]
fn fault_28_the_same_run_gives_the_same_bytes_with_any_number_of_threads() {
    let dir = inputs();
    for job in JOBS {
        let expected = bytes(&dir.path("r").join(job.makes));
        for threads in ["1", "2", "8"] {
            let out = format!("{}-{threads}", job.makes);
            job.to(&dir, &out).args(["--threads", threads]).code(0);
            assert_eq!(bytes(&dir.path(&out)), expected, "{} with {threads} threads", job.makes);
        }
    }
}

#[test]
fn fault_28_another_seed_gives_other_bytes_where_something_is_drawn() {
    let dir = inputs();
    for job in JOBS.iter().filter(|job| ["examples", "head", "completions"].contains(&job.makes)) {
        let out = format!("{}-seed", job.makes);
        job.to(&dir, &out).args(["--seed", "7"]).code(0);
        assert_ne!(bytes(&dir.path(&out)), bytes(&dir.path("r").join(job.makes)), "{}", job.makes);
    }
}

#[test]
fn fault_29_no_clock_takes_part_in_a_decision() {
    let dir = inputs();
    for job in JOBS {
        let expected = bytes(&dir.path("r").join(job.makes));
        // A file that was changed "tomorrow", and one from before there were files.
        for path in std::fs::read_dir(dir.path("r").join(job.makes)).unwrap().map(|e| e.unwrap().path()) {
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            let (now, day) = (std::time::SystemTime::now(), std::time::Duration::from_secs(86_400));
            file.set_modified(if path.extension().is_some_and(|e| e == "json") {
                now + day
            } else {
                std::time::UNIX_EPOCH
            })
            .unwrap();
        }
        job.to(&dir, &format!("r/{}", job.makes)).code(0).says(&["up to date"]);
        let out = format!("{}-again", job.makes);
        job.to(&dir, &out).code(0);
        assert_eq!(bytes(&dir.path(&out)), expected, "{}", job.makes);
    }
}
