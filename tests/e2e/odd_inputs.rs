//! Inputs that are honest and odd: names, lines and streams such as few people have, and paths to what is no file.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Dir, demo_backbone, demo_lm, table};

/// A space, an end of line, a quote, a sign for the shell, and a byte that is no UTF-8.
const ODD: &[u8] = b"o dd\n'$(x)\xff";

fn odd(before: &str) -> OsString {
    OsStr::from_bytes(&[before.as_bytes(), ODD].concat()).to_os_string()
}

#[test]
fn fault_29_odd_paths_are_paths_like_any_other() {
    let dir = Dir::new();
    for n in 0..6 {
        let from = dir.picture("any.png", n);
        let folder = dir.path("").join(odd("pictures")).join(odd(["cat", "dog"][n as usize % 2]));
        fs::create_dir_all(&folder).unwrap();
        let mut name = odd(&n.to_string());
        name.push(".png");
        fs::copy(from, folder.join(name)).unwrap();
    }
    let model = dir.path("").join(odd("model"));
    fs::copy(demo_backbone(), &model).unwrap();
    let (input, run) = (odd("pictures"), odd("run"));
    let with = |word: &str, value: &OsStr| [OsStr::new(word), value].map(OsStr::to_os_string);
    let run = || with("--run", &run);
    let sized = ["--split", "train=0.7,test=0.3", "--size", "32", "--enlarge"];
    dir.data_prep().args(with("--input", &input)).args(run()).args(sized).code(0);
    dir.feature_extract()
        .args(with("--backbone", model.as_os_str()))
        .args(["--mean", "0", "--std", "1"])
        .args(run())
        .code(0);
    dir.head_train().args(["--epochs", "1"]).args(run()).code(0);
    dir.classify().args(run()).code(0);
    let prompts = dir.path("").join(odd("prompts"));
    fs::write(&prompts, "O\nROMEO:\n").unwrap();
    let lm = demo_lm();
    dir.data_prep()
        .args(with("--input", prompts.as_os_str()))
        .args(with("--tokenizer", lm.as_os_str()))
        .args(run())
        .code(0);
    dir.generate().args(with("--model", lm.as_os_str())).args(["--max-new-tokens", "2"]).args(run()).code(0);
    let folder = dir.path("").join(odd("run"));
    for name in ["examples", "features", "head", "predictions", "prompts", "completions"] {
        assert!(folder.join(name).join("manifest.json").is_file(), "{name}");
    }
    dir.headstart().args(with("verify", folder.as_os_str())).code(0);
}

#[test]
fn fault_29_outputs_that_differ_in_a_byte_that_is_no_utf8_are_built_apart() {
    let dir = Dir::new();
    let prep = |out: &[u8], seed: &str| {
        let shapes =
            ["--format", "shapes", "--rows", "train=40,test=8", "--part-rows", "8", "--run", "r", "--seed", seed];
        dir.data_prep().args(shapes).args([OsStr::new("--out"), OsStr::from_bytes(out)])
    };
    assert!(prep(b"a\xff", "1").env("FAILPOINTS", "journal-synced=2*off->return").killed());
    prep(b"a\xfe", "2").code(0);
    prep(b"a\xff", "1").code(0).says(&["going on after an interrupted run, 3 of 6"]);
}

#[test]
fn fault_29_short_reads_of_stdin_are_the_same_text() {
    let dir = Dir::new();
    let text = "ROMEO:\r\n今天天气不错,\n\nlast, without an end";
    dir.write("stdin.txt", text);
    let lm = demo_lm().display().to_string();
    let prep = |input: &str, run: &str| {
        dir.data_prep().args(["--input", input, "--run", run, "--max-bad", "1", "--tokenizer", &lm])
    };
    prep("stdin.txt", "whole").code(0);
    let mut child = prep("-", "pieces").fed();
    let mut stdin = child.stdin.take().unwrap();
    for byte in text.as_bytes() {
        stdin.write_all(&[*byte]).unwrap();
        sleep(Duration::from_millis(2));
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    let rows = |run: &str| table(&dir.path(run).join("prompts"), "part-00000.parquet");
    assert_eq!(rows("pieces"), rows("whole"));
}

#[test]
fn fault_03_waiting_for_stdin_ends_with_a_signal() {
    let dir = Dir::new();
    let lm = demo_lm().display().to_string();
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut child = dir.data_prep().args(["--input", "-", "--run", "r", "--tokenizer", &lm]).fed();
        // What was written before does not end the waiting.
        child.stdin.as_mut().unwrap().write_all(b"ROMEO:\n").unwrap();
        sleep(Duration::from_millis(500));
        kill_process(Pid::from_child(&child), signal).unwrap();
        let sent = Instant::now();
        while child.try_wait().unwrap().is_none() && sent.elapsed() < Duration::from_secs(10) {
            sleep(Duration::from_millis(10));
        }
        child.kill().ok();
        assert_eq!(child.wait().unwrap().code(), Some(code));
    }
}

#[test]
fn fault_27_a_line_of_100_mb_is_a_reject_in_little_memory() {
    let dir = Dir::new();
    let mut file = fs::File::create(dir.path("p.txt")).unwrap();
    file.write_all(b"ROMEO:\n").unwrap();
    (0..100).for_each(|_| file.write_all(&vec![b'x'; 1 << 20]).unwrap());
    file.write_all(b"\nJULIET:\n").unwrap();
    let lm = demo_lm().display().to_string();
    let prep = |max_bad: &str| {
        // Less than the line has; a run without it needs about half of that.
        let limited = r#"ulimit -v 90000; exec "$0" "$@""#;
        let args = ["--input", "p.txt", "--run", "r", "--threads", "2", "--max-bad", max_bad, "--tokenizer", &lm];
        dir.data_prep().args(args).under(&["bash", "-c", limited])
    };
    prep("0").code(65).says(&["too-long 1", "p/0000001"]);
    assert!(!dir.path("r/prompts").exists());
    let json = prep("1").args(["--json"]).code(0).json();
    assert_eq!((&json["rows"], &json["rejects"]), (&2.into(), &1.into()));
}

#[test]
fn a_folder_where_a_file_is_needed_is_said_to_be_one() {
    let dir = Dir::new();
    dir.shapes("r", 20, 8);
    fs::create_dir(dir.path("folder")).unwrap();
    for run in [dir.data_prep(), dir.head_train(), dir.generate()] {
        run.args(["--pipeline", "folder"]).code(2).says(&["--pipeline folder is a folder; give the TOML file"]);
    }
    dir.feature_extract()
        .args(["--run", "r", "--backbone", "folder"])
        .code(66)
        .says(&["no network at folder; give --backbone the path of an ONNX file"]);
}

#[test]
fn a_link_to_itself_among_pictures_is_passed_over() {
    let dir = Dir::new();
    (0..6).for_each(|n| drop(dir.picture(&format!("pictures/{}/{n}.png", n % 2), n)));
    symlink("itself.png", dir.path("pictures/0/itself.png")).unwrap();
    let json =
        dir.data_prep().args(["--input", "pictures", "--run", "r", "--split", "train=1", "--json"]).code(0).json();
    assert_eq!((&json["rows"], &json["rejects"]), (&6.into(), &0.into()));
}
