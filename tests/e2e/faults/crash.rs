//! SIGKILL at any moment, and at every place that could matter: the run after it ends in the same bytes, and until then
//! the path holds a whole artifact or none.
//!
//! `HEADSTART_KILLS=500` asks for more kills a program than the 25 of the ordinary tests (`just crash-test 500`).

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Instant;

use artifact::{Artifact, FAILPOINTS};

use super::jobs::{JOBS, Job, bytes, inputs};
use crate::program::Dir;

const KILLS: u32 = 25;
/// Kills of one build, after which it is left to end: a moment that is always too early would never let it.
const MOST_IN_A_ROW: u32 = 6;

/// Whatever happened: what stands at the path is whole.
fn is_whole_or_absent(folder: &Path) {
    if let Some(artifact) = Artifact::find(folder).unwrap() {
        artifact.verify().unwrap();
    }
}

/// Removes what was made, so that the next kill meets a run from nothing.
fn remove(dir: &Dir, out: &str) {
    fs::remove_dir_all(dir.path(out)).unwrap();
    assert!(!dir.path(&format!("{out}.building")).exists(), "the building folder stays behind");
}

fn killed_at_any_moment(job: Job) {
    let dir = inputs();
    let expected = bytes(&dir.path("r").join(job.makes));
    let start = Instant::now();
    job.to(&dir, "killed").code(0);
    let whole = start.elapsed();
    remove(&dir, "killed");
    let wanted = std::env::var("HEADSTART_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let (mut kills, mut in_a_row, mut runs) = (0, 0, 0_u32);
    while kills < wanted {
        assert!(runs < 20 * wanted + 100, "only {kills} of {runs} kills met a running program");
        runs += 1;
        let mut child = job.to(&dir, "killed").spawn();
        if in_a_row < MOST_IN_A_ROW {
            // Moments spread over the run in an order that repeats none (multiples of the golden ratio).
            sleep(whole.mul_f64((f64::from(runs) * 0.618_033_988_75).fract()));
            child.kill().unwrap();
        }
        let is_done = child.wait().unwrap().success();
        is_whole_or_absent(&dir.path("killed"));
        if is_done {
            assert_eq!(bytes(&dir.path("killed")), expected, "run {runs}, {in_a_row} kills before it");
            remove(&dir, "killed");
            in_a_row = 0;
        } else {
            kills += 1;
            in_a_row += 1;
        }
    }
    job.to(&dir, "killed").code(0);
    assert_eq!(bytes(&dir.path("killed")), expected);
}

fn killed_at_every_failpoint(job: Job) {
    let dir = inputs();
    let expected = bytes(&dir.path("r").join(job.makes));
    for name in FAILPOINTS {
        for passage in 0.. {
            let at = format!("{name}={passage}*off->return");
            let is_killed = job.to(&dir, "killed").env("FAILPOINTS", &at).killed();
            is_whole_or_absent(&dir.path("killed"));
            if is_killed {
                job.to(&dir, "killed").code(0);
            }
            assert_eq!(bytes(&dir.path("killed")), expected, "{at}");
            remove(&dir, "killed");
            if !is_killed {
                let is_passed = passage > 0 || (name.starts_with("journal") && job.makes == "head");
                assert!(is_passed, "{name} was never passed");
                break;
            }
        }
    }
}

#[test]
fn fault_01_sigkill_anywhere_data_prep_examples() {
    killed_at_any_moment(JOBS[0]);
    killed_at_every_failpoint(JOBS[0]);
}

#[test]
fn fault_01_sigkill_anywhere_feature_extract() {
    killed_at_any_moment(JOBS[1]);
    killed_at_every_failpoint(JOBS[1]);
}

#[test]
fn fault_01_sigkill_anywhere_head_train() {
    killed_at_any_moment(JOBS[2]);
    killed_at_every_failpoint(JOBS[2]);
}

#[test]
fn fault_01_sigkill_anywhere_classify() {
    killed_at_any_moment(JOBS[3]);
    killed_at_every_failpoint(JOBS[3]);
}

#[test]
fn fault_01_sigkill_anywhere_data_prep_prompts() {
    killed_at_any_moment(JOBS[4]);
    killed_at_every_failpoint(JOBS[4]);
}

#[test]
fn fault_01_sigkill_anywhere_generate() {
    killed_at_any_moment(JOBS[5]);
    killed_at_every_failpoint(JOBS[5]);
}

/// Rewrites `x` to and fro between two settings, each time killed at one place first, and then not.
fn killed_over_another_output(job: Job, passages: usize) {
    let dir = inputs();
    job.other_to(&dir, "other").code(0);
    let (one, other) = (bytes(&dir.path("r").join(job.makes)), bytes(&dir.path("other")));
    job.to(&dir, "x").code(0);
    let mut is_other = false;
    for name in FAILPOINTS {
        for passage in 0..passages {
            let (old, new) = if is_other { (&other, &one) } else { (&one, &other) };
            let write = || if is_other { job.to(&dir, "x") } else { job.other_to(&dir, "x") };
            let is_killed = write().env("FAILPOINTS", format!("{name}={passage}*off->return")).killed();
            let found = bytes(&dir.path("x"));
            let at = format!("{} at {name}, passage {passage}", job.makes);
            assert!(found == *old || found == *new, "{at}: neither the old nor the new one");
            assert!(!["swapped", "committed"].contains(&name) || found == *new, "{at}, which is behind the exchange");
            write().code(0);
            assert_eq!(bytes(&dir.path("x")), *new, "{at}");
            is_other = !is_other;
            if !is_killed {
                break;
            }
        }
    }
}

#[test]
fn fault_16_over_another_output_a_kill_leaves_the_old_one_or_the_new_one() {
    killed_over_another_output(JOBS[1], usize::MAX);
}

#[test]
fn fault_16_over_another_output_every_program_is_killed_at_every_failpoint() {
    for job in JOBS {
        killed_over_another_output(job, 1);
    }
}

#[test]
fn fault_02_power_loss_the_order_of_writes_is_that_of_the_trace() {
    for job in JOBS {
        keeps_the_order_of_writes(job);
    }
}

/// The order without which a power cut could leave a name without its bytes: write, fsync, rename, fsync of the folder,
/// and only then the line in the journal; the manifest behind all files, and before the artifact's own rename.
fn keeps_the_order_of_writes(job: Job) {
    let dir = inputs();
    let calls = "trace=openat,write,fsync,fdatasync,rename,renameat,renameat2";
    let trace = dir.path("trace");
    job.to(&dir, "traced").under(&["strace", "-f", "-y", "-e", calls, "-o", trace.to_str().unwrap()]).code(0);
    let trace = fs::read_to_string(trace).unwrap();
    let mut steps: Vec<(&str, String)> = Vec::new();
    for line in trace.lines().filter(|line| line.contains("traced") && !line.contains("= -1")) {
        // `123 write(4</path/.x.tmp>, …) = 5`, `123 renameat2(AT_FDCWD</cwd>, "a", AT_FDCWD</cwd>, "b", …) = 0`
        let call = line.split_whitespace().nth(1).unwrap_or_default();
        let name = |text: &str| text.rsplit('/').next().unwrap_or_default().to_string();
        if call.starts_with("write(") {
            steps.push(("write", name(between(line, "<", ">"))));
        } else if call.starts_with("fsync(") {
            steps.push(("fsync", name(between(line, "<", ">"))));
        } else if call.starts_with("rename") {
            let quoted: Vec<_> = line.split('"').skip(1).step_by(2).collect();
            steps.push(("rename", format!("{} {}", name(quoted[0]), name(quoted[1]))));
        }
    }
    steps.dedup();
    let artifact = Artifact::find(&dir.path("traced")).unwrap().unwrap();
    let manifest = artifact.manifest();
    let parts: Vec<_> = manifest.parts.iter().map(|part| part.file.as_str()).collect();
    let others = manifest.files.iter().map(|file| file.file.as_str()).chain(["manifest.json"]);
    assert!(parts.len() > 1 || manifest.files.len() > 1);
    let nth = |what: &str, which: &dyn Fn(&str) -> bool, from: usize| {
        let at = steps[from..].iter().position(|(call, name)| *call == what && which(name));
        from + at.unwrap_or_else(|| panic!("no {what} behind step {from} of {steps:#?}"))
    };
    let mut last = 0;
    for file in parts.iter().copied().chain(others) {
        let is_temporary = |name: &str| name.starts_with(&format!(".{file}.")) && name.ends_with(".tmp");
        let is_rename = |name: &str| name.split_once(' ').is_some_and(|(from, to)| is_temporary(from) && to == file);
        let written = nth("write", &is_temporary, 0);
        let synced = nth("fsync", &is_temporary, written);
        let renamed = nth("rename", &is_rename, synced);
        assert!(
            !steps[synced..renamed].contains(&("write", steps[written].1.clone())),
            "{file} is written after its fsync"
        );
        assert!(file != "manifest.json" || last < written, "the manifest is written before what it vouches for");
        last = last.max(nth("fsync", &|name| name == "artifact", renamed));
        if parts.contains(&file) {
            let recorded = nth("write", &|name| name == "journal.jsonl", renamed);
            let durable = nth("fsync", &|name| name == "artifact", renamed);
            assert!(durable < recorded, "{file} is recorded before its name is durable");
            nth("fsync", &|name| name == "journal.jsonl", recorded);
        }
    }
    nth("rename", &|name| name == "artifact traced", last);
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> &'a str {
    let inside = text.split_once(open).map_or("", |(_, rest)| rest);
    inside.split_once(close).map_or("", |(inside, _)| inside)
}

#[test]
fn a_run_that_is_killed_is_resumed_and_not_begun_again() {
    let dir = inputs();
    assert!(JOBS[1].to(&dir, "killed").env("FAILPOINTS", "journal-synced=2*off->return").killed());
    JOBS[1].to(&dir, "killed").code(0).says(&["going on after an interrupted run, 3 of 5 parts are finished"]);
}

/// Too little memory ends a run in its own way, by an error or by the system: as a kill does, it loses nothing.
#[test]
fn fault_05_out_of_memory_is_as_a_kill() {
    let dir = inputs();
    let expected = bytes(&dir.path("r/features"));
    let mut failed = 0;
    for megabytes in [30, 45, 60, 70, 80, 90, 100, 120, 150, 200] {
        let limit = format!(r#"ulimit -v {}; exec "$0" "$@""#, megabytes * 1024);
        failed += u32::from(!JOBS[1].to(&dir, "x").under(&["bash", "-c", &limit]).ended().success());
        is_whole_or_absent(&dir.path("x"));
    }
    assert!(failed > 1, "only {failed} limits were too low");
    JOBS[1].to(&dir, "x").code(0);
    assert_eq!(bytes(&dir.path("x")), expected);
}
