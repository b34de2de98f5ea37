//! Several processes at one path: one works, the others say who does, and a reader sees a whole artifact all along.

use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use artifact::{Artifact, Error};

use super::jobs::{JOBS, bytes, inputs};

#[test]
fn fault_14_of_sixteen_writers_one_works_and_the_others_name_it() {
    let dir = inputs();
    let expected = bytes(&dir.path("r/features"));
    // Whoever gets the lock holds it for longer than all others take to find it held.
    let race = || JOBS[1].to(&dir, "x").env("FAILPOINTS", "begun=1*sleep(8000)").start();
    let racers: Vec<_> = (0..16).map(|_| race()).collect();
    let pids: Vec<_> = racers.iter().map(Child::id).collect();
    let ended: Vec<_> = racers.into_iter().map(|racer| racer.wait_with_output().unwrap()).collect();
    let winners: Vec<_> = ended.iter().zip(&pids).filter(|(output, _)| output.status.success()).collect();
    assert_eq!(winners.len(), 1);
    let holder = format!("process {} on ", winners[0].1);
    for (output, _) in ended.iter().zip(&pids).filter(|(output, _)| !output.status.success()) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(75), "{said}");
        assert!(said.contains(&holder), "{holder}: {said}");
    }
    assert_eq!(bytes(&dir.path("x")), expected);
}

#[test]
fn fault_14_a_dead_writer_blocks_nobody() {
    let dir = inputs();
    assert!(JOBS[1].to(&dir, "x").env("FAILPOINTS", "written=1*off->return").killed());
    JOBS[1].to(&dir, "x").code(0);
}

#[test]
fn fault_15_a_reader_during_rewrites_sees_the_old_artifact_or_the_new_one() {
    let dir = inputs();
    let out = dir.path("x");
    let write = |dtype: &str| drop(JOBS[1].to(&dir, "x").args(["--dtype", dtype]).code(0));
    write("float32");
    let (is_over, mut reads, mut overtaken) = (AtomicBool::new(false), 0, 0);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let artifact = Artifact::find(&out).unwrap().expect("there is one all along");
                match (0..artifact.manifest().parts.len()).try_for_each(|i| artifact.read_part(i).map(drop)) {
                    Ok(()) => reads += 1,
                    // It says so, and the next look finds the new one.
                    Err(Error::Replaced { .. }) => overtaken += 1,
                    Err(error) => panic!("{error}"),
                }
            }
        });
        for round in 0..20 {
            write(if round % 2 == 0 { "float16" } else { "float32" });
        }
        is_over.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    assert!(reads > 20, "{reads} reads, overtaken in {overtaken}");
}
