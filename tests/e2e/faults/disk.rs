//! Disks that are full or closed, and limits on files: exit 74 with what was needed, what was there stays, nothing is
//! left behind.

use std::fs;
use std::path::Path;

use artifact::FAILPOINTS;

use super::jobs::{JOBS, bytes, inputs};
use crate::program::Dir;

const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

/// Temporary files anywhere below a folder.
fn temporary(folder: &Path, into: &mut Vec<String>) {
    for path in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if path.is_dir() {
            temporary(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "tmp") {
            into.push(path.display().to_string());
        }
    }
}

fn assert_nothing_is_left(dir: &Dir) {
    let mut found = Vec::new();
    temporary(&dir.path("."), &mut found);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn fault_04_disk_full_at_any_write_is_74_and_loses_nothing() {
    let dir = inputs();
    for job in JOBS {
        let out = format!("r/{}", job.makes);
        let before = bytes(&dir.path(&out));
        for name in FAILPOINTS {
            let ran = job.to(&dir, &out).args(["--overwrite"]).env("FAILPOINTS", format!("{name}=1*return({ENOSPC})"));
            if name.starts_with("journal") && job.makes == "head" {
                ran.code(0);
                continue;
            }
            let ran = ran.code(74).says(&["No space left on device"]);
            if ["half-written", "written", "synced"].contains(&name) {
                ran.says(&["bytes were needed", "more were free"]);
            }
            assert_eq!(bytes(&dir.path(&out)), before, "{} at {name}", job.makes);
            assert_nothing_is_left(&dir);
        }
        job.to(&dir, &out).args(["--overwrite"]).code(0);
        assert_eq!(bytes(&dir.path(&out)), before);
    }
}

#[test]
fn fault_04_a_small_file_system_that_fills_is_74_with_what_was_needed() {
    let dir = inputs();
    fs::create_dir(dir.path("small")).unwrap();
    // Where it was mounted is seen inside only, so what is left is copied out.
    let script = r#"mount -t tmpfs -o size=256k none small && "$0" "$@"; code=$?; cp -a small left; exit $code"#;
    let shapes = ["--format", "shapes", "--rows", "train=400,test=16", "--part-rows", "32", "--out", "small/examples"];
    let ran =
        dir.data_prep().args(shapes).under(&["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", script]);
    ran.code(74).says(&["No space left on device", "bytes were needed"]);
    let finished = fs::read_dir(dir.path("left/examples.building/artifact")).unwrap().count();
    assert!((1..14).contains(&finished), "{finished} parts");
    assert!(!dir.path("left/examples").exists());
    assert_nothing_is_left(&dir);
}

#[test]
fn fault_04_a_limit_on_the_size_of_files_is_74_and_no_signal() {
    let dir = inputs();
    let before = bytes(&dir.path("r/features"));
    let ran = JOBS[1].to(&dir, "r/features").args(["--overwrite", "--convolution", "runtime"]).under(&[
        "bash",
        "-c",
        r#"ulimit -f 2; exec "$0" "$@""#,
    ]);
    ran.code(74).says(&["File too large", "bytes were needed", "ulimit -f"]);
    assert_eq!(bytes(&dir.path("r/features")), before);
    assert_nothing_is_left(&dir);
}

#[test]
fn fault_04_a_read_only_folder_is_74_and_names_it() {
    let dir = inputs();
    fs::create_dir(dir.path("closed")).unwrap();
    let script = r#"mount -t tmpfs -o ro none closed && exec "$0" "$@""#;
    for job in JOBS {
        let ran = job.to(&dir, "closed/out").under(&[
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "bash",
            "-c",
            script,
        ]);
        ran.code(74).says(&["closed", "Read-only file system"]);
    }
    let at = format!("begun=1*return({EROFS})");
    JOBS[0].to(&dir, "x").env("FAILPOINTS", at).code(74).says(&["Read-only file system"]);
}
