//! Pipes, sockets and devices where a file is expected: nobody waits for them, and it is said what they are.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::classify::{head_on_pixels, of_pictures, predictions};
use crate::program::{Dir, Ran, Run, demo_lm};

/// Longer than any of these runs takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs it where it might never end, then once more for what it says.
fn ends<'a>(run: impl Fn() -> Run<'a>, code: i32) -> Ran {
    let mut child = run().spawn();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it waits for a pipe that nobody writes to");
        }
        sleep(Duration::from_millis(5));
    }
    run().code(code)
}

/// Someone who waits for a reader of a pipe; goes with the test, however that ends.
struct Writer(Child);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A pipe, a link to one, and a socket in a folder of good pictures.
fn among_pictures(dir: &Dir) -> UnixListener {
    for class in ["cat", "dog"] {
        (0..3).for_each(|i| drop(dir.picture(&format!("pictures/{class}/{i}.png"), i)));
    }
    dir.pipe("pictures/cat/pipe.png");
    symlink("../cat/pipe.png", dir.path("pictures/dog/to-pipe.png")).unwrap();
    let listener = UnixListener::bind(dir.path("pictures/dog/socket.png")).unwrap();
    dir.pipe("pictures/notes");
    listener
}

/// Name, reason and detail of every reject.
fn rejects(json: &Value) -> Vec<[&str; 3]> {
    let rejects = json["rejects"].as_array().unwrap();
    rejects.iter().map(|r| ["id", "reason", "detail"].map(|key| r[key].as_str().unwrap())).collect()
}

#[test]
fn among_pictures_to_classify_they_are_rejects() {
    let dir = Dir::new();
    head_on_pixels(&dir, 60, 20);
    let _listener = among_pictures(&dir);
    let enlarged = ["--fit", "squash", "--enlarge"];
    let by_name = || of_pictures(&dir, &["pictures", "pictures/cat/pipe.png", "/dev/zero"]).args(enlarged);
    let said = ends(|| by_name().args(["--json"]), 0).says(&["passed over 1 file that is no picture"]).json();
    assert_eq!(said["rows"].as_array().unwrap().len(), 6);
    let found = rejects(&said);
    let names = ["cat/pipe.png", "dog/socket.png", "dog/to-pipe.png", "pictures/cat/pipe.png", "/dev/zero"];
    assert_eq!(found.iter().map(|r| r[0]).collect::<Vec<_>>(), names);
    for ([_, reason, detail], what) in found.iter().zip(["a pipe", "a socket", "a pipe", "a pipe", "a device"]) {
        assert_eq!(*reason, "unreadable");
        assert!(detail.ends_with(&format!(": it is {what}, not a file")), "{detail}");
    }

    // In an artifact they are part of the input, as the files are that cannot be read.
    let artifact = || by_name().args(["--out", "p", "--max-bad", "5"]);
    ends(artifact, 0).says(&["up to date"]);
    assert_eq!(predictions(&dir.path("p")).len(), 6);
    fs::remove_file(dir.path("pictures/cat/pipe.png")).unwrap();
    dir.picture("pictures/cat/pipe.png", 9);
    artifact().code(0).says(&["changed input: pictures"]);
    assert_eq!(predictions(&dir.path("p")).len(), 9);

    dir.pipe("lonely.png");
    ends(|| of_pictures(&dir, &["lonely.png"]), 65).says(&["no picture could be classified, of 1", "it is a pipe"]);
}

#[test]
fn among_pictures_to_prepare_they_are_rejects() {
    let dir = Dir::new();
    let _listener = among_pictures(&dir);
    dir.write(
        "list.csv",
        "path,label\npictures/cat/0.png,a\npictures/cat/pipe.png,a\npictures/dog/0.png,b\n/dev/zero,b\nitself.png,b\n",
    );
    symlink("itself.png", dir.path("itself.png")).unwrap();
    // Whoever waits for a reader of the pipe is not woken for nothing: with no reader left, writing would end it.
    let write = ["-c", "exec cat list.csv > pictures/cat/pipe.png"];
    let mut writer = Writer(Command::new("sh").args(write).current_dir(dir.path(".")).spawn().unwrap());
    for (input, run) in [("pictures", "of-folder"), ("list.csv", "of-list")] {
        let prepare = || dir.data_prep().args(["--input", input, "--run", run, "--json"]);
        ends(prepare, 65).says(&["By reason: unreadable", "it is a pipe, not a file"]);
        let all = || prepare().args(["--max-bad", "3"]);
        let said = ends(all, 0).says(&["up to date"]).json();
        assert_eq!(said["rejects"], 3);
    }
    assert_eq!(writer.0.try_wait().unwrap(), None, "the pipe was opened");
}

#[test]
fn as_inputs_they_are_refused() {
    let dir = Dir::new();
    head_on_pixels(&dir, 60, 20);
    let file = ": save what it gives to a file first";
    for name in ["f.csv", "f.jsonl", "f.parquet", "f.tar", "f.png"] {
        dir.pipe(name);
        let said = format!("--input {name} is a pipe, not a file{file}");
        ends(|| dir.data_prep().args(["--input", name]), 65).says(&[&said]);
    }
    dir.pipe("data_batch_1.bin");
    ends(|| dir.data_prep().args(["--input", "data_batch_1.bin"]), 65).says(&["is a pipe, not a file"]);
    // What a folder holds is told by its names.
    for (format, name) in [("parquet", "x.parquet"), ("webdataset", "x.tar"), ("cifar10", "data_batch_1.bin")] {
        dir.pipe(&format!("{format}/{name}"));
        let run = || dir.data_prep().args(["--input", format, "--format", format]);
        ends(run, 65).says(&[&format!("{format}/{name} is a pipe, not a file{file}")]);
    }

    let lm = demo_lm().display().to_string();
    let prompts = |input: &str| dir.data_prep().args(["--tokenizer", &lm, "--input", input]);
    dir.pipe("f.txt");
    for name in ["f.txt", "f.jsonl", "f.parquet"] {
        ends(|| prompts(name), 65).says(&["is a pipe, not a file", "--input -"]);
    }
    ends(|| prompts("/dev/stdin"), 65).says(&["--input /dev/stdin is a device, not a file", "--input -"]);
    dir.pipe("texts/f.txt");
    ends(|| prompts("texts"), 65).says(&["texts/f.txt is a pipe, not a file"]);
    dir.write("good.txt", "one\n");
    ends(|| dir.data_prep().args(["--input", "good.txt", "--tokenizer", "f.txt"]), 66)
        .says(&["neither a file nor a folder"]);

    dir.picture("x.png", 1);
    dir.pipe("f.onnx");
    let classify = || dir.classify().args(["--input", "x.png", "--classifier", "f.onnx"]);
    ends(classify, 65).says(&["--classifier f.onnx is a pipe, not a file"]);
    dir.pipe("f.toml");
    ends(|| dir.classify().args(["--pipeline", "f.toml"]), 2).says(&["--pipeline f.toml is a pipe, not a file"]);
    ends(|| dir.headstart().args(["inspect", "f.onnx"]), 65).says(&["f.onnx is a pipe, not a file"]);
}

#[test]
fn a_pipe_in_an_artifact_or_a_model_folder_is_not_opened() {
    let dir = Dir::new();
    dir.shapes("r", 20, 8);
    fs::remove_file(dir.path("r/examples/test-00000.parquet")).unwrap();
    dir.pipe("r/examples/test-00000.parquet");
    dir.feature_extract().args(["--run", "r", "--backbone", "pixels"]).code(65).says(&["test-00000.parquet", "pipe"]);
    for entry in fs::read_dir(demo_lm()).unwrap().map(|e| e.unwrap()) {
        if entry.path().is_file() {
            dir.write(&format!("lm/{}", entry.file_name().to_str().unwrap()), fs::read(entry.path()).unwrap());
        }
    }
    for name in ["generation_config.json", "config.json"] {
        fs::remove_file(dir.path("lm").join(name)).ok();
        dir.pipe(&format!("lm/{name}"));
        dir.generate().args(["--model", "lm", "--prompt", "O"]).code(65).says(&[name, "a pipe"]);
        fs::remove_file(dir.path("lm").join(name)).unwrap();
    }
}
