//! Models and data sets on a hub: the real programs against one on loopback.

use std::fs;
use std::path::Path;

use crate::program::{Dir, Run, demo_backbone, demo_lm, repository};

#[path = "../../crates/hub/tests/it/server.rs"]
#[allow(dead_code)] // The crate's own tests use more of it.
mod server;

use server::{COMMIT, Fault, Server};

/// A program that asks this hub.
fn at<'a>(run: Run<'a>, server: &Server) -> Run<'a> {
    run.env("HF_ENDPOINT", server.url())
}

/// Serves a folder; what is larger than a text is in large file storage.
fn serve(server: &Server, repository: &str, folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let (name, bytes) = (path.file_name().unwrap().to_str().unwrap(), fs::read(&path).unwrap());
        if path.extension().is_some_and(|e| e == "json" || e == "txt") {
            server.small(repository, name, &bytes);
        } else {
            server.large(repository, name, &bytes);
        }
    }
}

/// A hub with pictures: CIFAR's own layout, `n` of them in each of two files.
fn pictures(n: usize) -> Server {
    let server = Server::start();
    for (file, first) in [("bin/data_batch_1.bin", 0), ("bin/test_batch.bin", 100)] {
        let record =
            |i: usize| std::iter::once((i % 10) as u8).chain((0..3072).map(move |j| (i * 7 + j + first) as u8));
        server.large("datasets/o/pictures", file, &(0..n).flat_map(record).collect::<Vec<u8>>());
    }
    server
}

fn manifest(dir: &Dir, artifact: &str) -> serde_json::Value {
    serde_json::from_slice(&fs::read(dir.path(artifact).join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn pictures_to_features_with_nothing_but_a_hub() {
    let (dir, server) = (Dir::new(), pictures(40));
    server.large("o/net", "onnx/model.onnx", &fs::read(demo_backbone()).unwrap());
    let config = demo_backbone().with_file_name("preprocessor_config.json");
    server.small("o/net", "preprocessor_config.json", &fs::read(config).unwrap());
    let data = ["train=hf://datasets/o/pictures/bin/data_batch_1.bin", "hf://datasets/o/pictures/bin/test_batch.bin"];
    let prepare = || at(dir.data_prep(), &server).args(["--input", data[0], "--input", data[1], "--run", "run"]);
    prepare().code(0);
    let examples = manifest(&dir, "run/examples");
    let name = format!("train=hf://datasets/o/pictures@{COMMIT}/bin/data_batch_1.bin");
    assert_eq!(examples["inputs"][0]["name"], name.as_str());

    let extract = |network: &str| at(dir.feature_extract(), &server).args(["--backbone", network, "--run", "run"]);
    extract("hf://o/net/onnx/model.onnx").code(0);
    let features = manifest(&dir, "run/features");
    let name = format!("hf://o/net@{COMMIT}/onnx/model.onnx");
    assert_eq!(features["inputs"][1]["name"], name.as_str());
    assert_eq!(features["facts"]["backbone"], name.as_str());

    // The same bytes from a path are the same features: names are no ingredients.
    let local = demo_backbone();
    extract(local.to_str().unwrap()).code(0).says(&["up to date"]);
    // Nothing is downloaded again, nor made again. A commit needs no question.
    server.requests();
    prepare().code(0).says(&["up to date"]);
    extract(&name).code(0).says(&["up to date"]);
    assert_eq!(server.gets(), []);
}

#[test]
fn prompts_to_completions_with_nothing_but_a_hub() {
    let (dir, server) = (Dir::new(), Server::start());
    serve(&server, "o/lm", &demo_lm());
    let (prompts, lm) = (demo_lm().join("prompts.txt"), demo_lm());
    let (prompts, lm) = (prompts.to_str().unwrap(), lm.to_str().unwrap());
    for (run, model) in [("hub", "hf://o/lm"), ("local", lm)] {
        at(dir.data_prep(), &server).args(["--input", prompts, "--tokenizer", model, "--run", run]).code(0);
        let args = ["--model", model, "--max-new-tokens", "8", "--run", run];
        at(dir.generate(), &server).args(args).code(0);
    }
    let (hub, local) = (manifest(&dir, "hub/completions"), manifest(&dir, "local/completions"));
    assert_eq!(hub["fingerprint"], local["fingerprint"]);
    assert_eq!(hub["parts"], local["parts"]);
    let names: Vec<_> = hub["inputs"].as_array().unwrap().iter().map(|i| i["name"].as_str().unwrap()).collect();
    assert!(names.contains(&format!("hf://o/lm@{COMMIT}/model.onnx").as_str()), "{names:?}");
    assert!(names.contains(&format!("hf://o/lm@{COMMIT}/tokenizer.json").as_str()), "{names:?}");
    assert_eq!(manifest(&dir, "hub/prompts")["facts"]["tokenizer"], format!("hf://o/lm@{COMMIT}").as_str());
    let fetched = server.gets();
    assert!(!fetched.iter().any(|(name, _)| name == "prompts.txt"), "more was fetched than is wanted: {fetched:?}");
}

#[test]
fn a_model_with_external_data_comes_with_it() {
    let (dir, server) = (Dir::new(), Server::start());
    serve(&server, "o/lm", &repository().join("tests/fixtures/generate/external"));
    for model in ["hf://o/lm", "hf://o/lm/model.onnx"] {
        let run = at(dir.generate(), &server).args(["--model", model, "--prompt", "a", "--max-new-tokens", "2"]);
        run.env("HF_HOME", dir.path(if model.ends_with("onnx") { "one" } else { "two" })).code(0);
    }
}

#[test]
fn fetched_once_it_runs_offline() {
    let (dir, server) = (Dir::new(), pictures(30));
    let toml = "[data-prep]\ninput = [\"hf://datasets/o/pictures/bin\", \"hf://datasets/o/pictures/bin\"]\n";
    dir.write("p.toml", toml);
    let run = || dir.data_prep().args(["--pipeline", "p.toml", "--json"]);
    // Checking asks nobody.
    at(run().args(["--check"]), &server).code(0);
    assert_eq!(server.requests(), []);
    let said = run().env("HF_HUB_OFFLINE", "1").code(69).json();
    let error = said["error"].as_str().unwrap();
    assert!(error.contains("HF_HUB_OFFLINE") && error.contains("just fetch PIPELINE"), "{error}");
    run().args(["--dry-run"]).code(69).says(&["nothing is downloaded now"]);

    let fetched = at(run().args(["--fetch"]), &server).code(0).json();
    assert_eq!((&fetched["state"], &fetched["fetched"][0]["downloaded"]), (&"fetched".into(), &2.into()));
    assert_eq!(fetched["fetched"].as_array().unwrap().len(), 1, "once, though it is named twice");
    assert!(!dir.path("runs").exists(), "--fetch makes no artifact");
    server.requests();
    let once = dir.data_prep().args(["--input", "hf://datasets/o/pictures/bin"]);
    at(once, &server).env("HF_HUB_OFFLINE", "1").code(0);
    assert_eq!(server.requests(), []);
    at(dir.feature_extract().args(["--backbone", "pixels", "--fetch"]), &server)
        .code(0)
        .says(&["nothing of its inputs"]);
}

#[test]
fn what_a_hub_does_wrong_has_its_exit_code() {
    let (dir, server) = (Dir::new(), pictures(30));
    let input = "hf://datasets/o/pictures/bin/test_batch.bin";
    let run = || at(dir.data_prep().args(["--input", input]), &server);
    // Nobody listens on the port that all tests have by default.
    dir.data_prep().args(["--input", input]).code(69).says(&["cannot reach http://127.0.0.1:9", "HF_ENDPOINT"]);
    server.fault("test_batch.bin", Fault::WrongBytes);
    run().code(65).says(&["wrong content: expected SHA-256", "/resolve/", "found"]);
    server.fault("test_batch.bin", Fault::Truncate { after: 5000, times: 99 });
    run().code(69).says(&["ended early: expected 92190 bytes, found 20000"]);
    for status in [401, 403, 404, 500] {
        server.fault("test_batch.bin", Fault::Status { status, times: 99 });
        server.fault("revision/main", Fault::Status { status, times: 99 });
        run().code(69).says(&[&status.to_string(), "test_batch.bin"]);
    }
    server.heal();
    run().code(0);
    // The branch cannot be asked for any more: what is here is used, and that is said.
    dir.data_prep().args(["--input", input]).code(0).says(&["using what is in the cache", COMMIT, "up to date"]);
    dir.data_prep().args(["--input", "hf://gpt2"]).code(2).says(&["whose repository"]);
    at(dir.feature_extract().args(["--backbone", "hf://datasets/o/pictures/bin"]), &server)
        .code(2)
        .says(&["is a folder, and a file is needed"]);
}
