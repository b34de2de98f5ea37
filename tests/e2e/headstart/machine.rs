//! `headstart doctor`, `completions` and `man`, and how results meet terminals and pipes.

use std::fs;
use std::process::{Command, Stdio};

use super::made;
use crate::program::Dir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_e2e-headstart");

#[test]
fn doctor_finds_the_runtime_and_shows_no_secret() {
    let dir = Dir::new();
    let token = "hf_not_for_anybodys_eyes";
    let ran = dir.headstart().args(["doctor", "--json"]).env("HF_TOKEN", token).code(0).json();
    let found = |about: &str| {
        let all = ran["findings"].as_array().unwrap();
        all.iter().find(|f| f["about"] == about).unwrap_or_else(|| panic!("nothing about {about} in {ran}")).clone()
    };
    let runtime = found("ONNX Runtime");
    assert_eq!(runtime["verdict"], "ok");
    assert!(runtime["found"].as_str().unwrap().starts_with("1."), "{runtime}");
    assert!(found("providers")["found"].as_str().unwrap().starts_with("cpu"));
    assert!(found("cores")["found"].as_str().unwrap().contains("by default"));
    assert!(found("memory")["found"].as_str().unwrap().contains(" available"));
    assert!(found("disk of runs")["found"].as_str().unwrap().contains(" free at runs"));
    assert!(found("hub")["found"].as_str().unwrap().contains("with a token"));
    assert!(!ran.to_string().contains(token));
    let bad = dir.headstart().args(["doctor", "--cuda-libs", "no/such/folder"]).code(0).stdout();
    assert!(bad.contains("no/such/folder: not a folder"), "{bad}");
}

#[test]
fn doctor_says_where_the_runtime_was_looked_for() {
    let dir = Dir::new();
    let text = dir.headstart().args(["doctor"]).env("ORT_DYLIB_PATH", "/nowhere").code(69).stdout();
    for part in ["problem  ONNX Runtime", "/nowhere", "just setup", "1 problem"] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    // A file that is no library is as good as none; what is no file is not opened.
    let fake = dir.write("libonnxruntime.so", "not a library");
    dir.headstart().args(["doctor"]).env("ORT_DYLIB_PATH", fake).code(69);
    for pipe in [dir.pipe("pipe"), dir.pipe("folder/libonnxruntime.so").parent().unwrap().to_path_buf()] {
        dir.headstart().args(["doctor"]).env("ORT_DYLIB_PATH", pipe).code(69);
    }
}

#[test]
fn completions_are_scripts_that_shells_can_read() {
    let dir = Dir::new();
    for (shell, program) in [("bash", "bash"), ("zsh", "zsh"), ("fish", "fish"), ("elvish", ""), ("powershell", "")] {
        let script = dir.headstart().args(["completions", shell]).code(0).stdout();
        for word in ["headstart", "data-prep", "head-train", "generate", "min-accuracy"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        let path = dir.write(&format!("script.{shell}"), script);
        if program.is_empty() {
            continue;
        }
        match Command::new(program).arg("-n").arg(&path).output() {
            Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
            // `just` itself needs bash; the others may not be here.
            Err(e) => assert!(shell != "bash" && e.kind() == std::io::ErrorKind::NotFound, "{shell}: {e}"),
        }
    }
    let one = dir.headstart().args(["completions", "bash", "head-train"]).code(0).stdout();
    assert!(one.contains("head-train") && !one.contains("data-prep"));
    dir.headstart().args(["completions", "bash", "tail-train"]).code(2).says(&["tail-train", "head-train"]);
}

#[test]
fn bash_completes_with_the_script() {
    let dir = Dir::new();
    let script = dir.headstart().args(["completions", "bash"]).code(0).stdout();
    let path = dir.write("completions.bash", script);
    let ask = "source \"$1\"; COMP_WORDS=(data-prep --part); COMP_CWORD=1; \
               function=$(complete -p data-prep | sed 's/.*-F \\([^ ]*\\).*/\\1/'); \
               $function data-prep --part data-prep; echo \"${COMPREPLY[@]}\"";
    let output = Command::new("bash").args(["-c", ask, "bash"]).arg(path).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "--part-rows", "{output:?}");
}

#[test]
fn man_pages_are_written_and_replace_nothing_else() {
    let dir = Dir::new();
    let page = dir.headstart().args(["man", "head-train"]).code(0).stdout();
    assert!(page.contains(".TH HEAD-TRAIN 1") && page.contains("min\\-accuracy"), "{page}");
    assert!(dir.headstart().args(["man"]).code(0).stdout().contains(".TH HEADSTART 1"));
    dir.headstart().args(["man", "tail-train"]).code(2).says(&["no page \"tail-train\"", "headstart-status"]);

    dir.headstart().args(["man", "--out", "pages/man1"]).code(0);
    let pages = dir.contents("pages/man1");
    let names: Vec<_> = pages.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["headstart.1", "headstart-verify.1", "data-prep.1", "generate.1"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert!(pages.iter().all(|(_, text)| String::from_utf8_lossy(text).contains("\n.TH ")));
    // Its own pages are replaced, others never, and then none is.
    dir.write("pages/man1/data-prep.1", &pages[0].1);
    dir.headstart().args(["man", "--out", "pages/man1"]).code(0);
    assert_eq!(dir.contents("pages/man1"), pages);
    dir.write("pages/man1/generate.1", "mine");
    fs::remove_file(dir.path("pages/man1/headstart.1")).unwrap();
    dir.headstart().args(["man", "--out", "pages/man1"]).code(2).says(&["generate.1", "is not replaced"]);
    assert_eq!(fs::read(dir.path("pages/man1/generate.1")).unwrap(), b"mine");
    assert!(!dir.path("pages/man1/headstart.1").exists());
    // Nor is what is no file.
    fs::remove_file(dir.path("pages/man1/generate.1")).unwrap();
    dir.pipe("pages/man1/generate.1");
    dir.headstart().args(["man", "--out", "pages/man1"]).code(2).says(&["generate.1", "is not replaced"]);
}

#[test]
fn man_pages_want_a_folder() {
    let dir = Dir::new();
    dir.write("file", "mine");
    std::os::unix::fs::symlink("nowhere", dir.path("link")).unwrap();
    for (out, no_folder) in [
        ("file", "file"),
        ("file/", "file"),
        ("file/man1", "file"),
        ("./file", "./file"),
        ("link", "link"),
        ("link/x", "link"),
    ] {
        let ran = dir.headstart().args(["man", "--out", out]).code(2);
        ran.says(&[&format!("--out {out}: {no_folder} is no folder; give one")]);
    }
    assert_eq!(fs::read(dir.path("file")).unwrap(), b"mine");
    let text = dir.headstart().args(["man", "headstart", "--out", "a b"]).code(0).stdout();
    assert!(text.contains("to read one: man 'a b/headstart.1'"), "{text}");
}

#[test]
fn colours_are_for_terminals() {
    let dir = made();
    let args = ["status", "--pipeline", "p.toml"];
    assert!(!dir.headstart().args(args).code(0).stdout().contains('\u{1b}'));
    assert!(dir.headstart().args(args).env("TERM", "xterm").on_a_terminal().contains("\u{1b}[32mfresh"));
    assert!(!dir.headstart().args(args).env("NO_COLOR", "1").on_a_terminal().contains('\u{1b}'));
    // Narrow and wide, no line runs over where it could be broken, which a command could not.
    let set = ["--set", "data-prep.seed=1", "--set", "feature-extract.batch=7"];
    for width in ["60", "80", "120"] {
        let text = dir.headstart().args(args).args(set).env("COLUMNS", width).code(0).stdout();
        let lines = text.lines().filter(|line| !line.starts_with("  just "));
        let widest = lines.map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= width.parse().unwrap(), "{widest} columns of {width}\n{text}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = Dir::new();
    let script = "\"$1\" completions bash | head -n 1 >/dev/null; exit ${PIPESTATUS[0]}";
    let mut bash = Command::new("bash");
    let status = bash.args(["-c", script, "bash", PROGRAM]).current_dir(dir.path("")).stderr(Stdio::null()).status();
    assert_eq!(status.unwrap().code(), Some(0));
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let status = Command::new(PROGRAM).args(["completions", "bash"]).stdout(full).stderr(Stdio::null()).status();
    assert_eq!(status.unwrap().code(), Some(74));
}
