//! The same hub and cache with Python's `huggingface_hub`. By hand, where it is installed:
//! `HUB_PYTHON=VENV/bin/python cargo test -p hub --test it peer -- --ignored` (last run with 2.4.0).

use std::process::Command;

use hub::Wanted;

use crate::server::{COMMIT, Server};
use crate::{Scene, bytes, read};

/// Runs lines of Python with the scene's hub and cache, and gives what they print.
fn python(scene: &Scene, offline: bool, lines: &str) -> String {
    let mut command = Command::new(std::env::var("HUB_PYTHON").unwrap());
    command.env("HF_HOME", scene.dir.path()).env("HF_ENDPOINT", scene.server.url()).env("NO_PROXY", "127.0.0.1");
    command.env("HF_HUB_OFFLINE", if offline { "1" } else { "0" }).env("HF_HUB_DISABLE_XET", "1");
    let output = command.args(["-c", &format!("from huggingface_hub import *\n{lines}")]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_string()
}

#[test]
#[ignore = "needs Python with huggingface_hub, in HUB_PYTHON"]
fn python_finds_what_was_fetched_and_its_own_downloads_are_found() {
    let mut scene = Scene::new();
    let elsewhere = Server::start();
    scene.server.large("o/n", "onnx/model.onnx", &bytes(100_000));
    scene.server.small("o/n", "config.json", b"{}");
    scene.server.small("o/py", "config.json", b"{\"a\": 1}");
    scene.server.large("o/py", "model.onnx", &bytes(5000));
    scene.server.large_files_at(&elsewhere);
    let ours = scene.fetch("hf://o/n", Wanted::ALL).unwrap();
    for file in ["onnx/model.onnx", "config.json"] {
        let path = python(&scene, true, &format!("print(hf_hub_download('o/n', '{file}'))"));
        assert_eq!(path, ours.path.join(file).to_str().unwrap());
    }
    let scanned = python(
        &scene,
        true,
        "s = scan_cache_dir()\nprint(s.warnings, [(r.repo_id, r.nb_files, sorted(x.commit_hash for x in r.revisions)) for r in s.repos])",
    );
    assert_eq!(scanned, format!("[] [('o/n', 2, ['{COMMIT}'])]"));

    python(&scene, false, "hf_hub_download('o/py', 'config.json'); hf_hub_download('o/py', 'model.onnx')");
    scene.environment.offline = true;
    assert_eq!(read(&scene.fetch("hf://o/py/config.json", Wanted::FILE).unwrap().path), b"{\"a\": 1}");
    assert_eq!(read(&scene.fetch("hf://o/py/model.onnx", Wanted::FILE).unwrap().path), bytes(5000));
}
