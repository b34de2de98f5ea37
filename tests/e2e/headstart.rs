//! `headstart`, beside real runs: what it says of them, and that it changes nothing.

mod inspect;
mod machine;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::program::Dir;

/// Shapes, their pixels, a head, and a second head to compare with.
const PIPELINE: &str = r#"
run = "run"
[data-prep]
format = "shapes"
rows = "train=60,test=20"
part-rows = 16
[feature-extract]
backbone = "pixels"
[head-train]
epochs = 1
[baseline.longer.head-train]
epochs = 2
"#;

const STAGES: [fn(&Dir) -> crate::program::Run<'_>; 3] = [Dir::data_prep, Dir::feature_extract, Dir::head_train];

fn with_pipeline() -> Dir {
    let dir = Dir::new();
    dir.write("p.toml", PIPELINE);
    dir
}

fn made() -> Dir {
    let dir = with_pipeline();
    for stage in STAGES {
        stage(&dir).args(["--pipeline", "p.toml"]).code(0);
    }
    dir
}

/// Path and state of every artifact, in the order in which they are shown.
fn states(dir: &Dir, args: &[&str]) -> Vec<(String, String)> {
    let json = dir.headstart().args(["status", "--pipeline", "p.toml", "--json"]).args(args).code(0).json();
    let text = |value: &Value| value.as_str().unwrap().to_string();
    let artifacts = json["artifacts"].as_array().unwrap();
    artifacts.iter().map(|a| (text(&a["path"]).replace("run/", ""), text(&a["state"]))).collect()
}

fn pairs(states: &[(String, String)]) -> Vec<(&str, &str)> {
    states.iter().map(|(path, state)| (path.as_str(), state.as_str())).collect()
}

#[test]
fn status_follows_a_pipeline_from_nothing_to_fresh() {
    let dir = with_pipeline();
    let all = ["examples", "features", "head", "baseline/longer/head"];
    let expected = |of: [&'static str; 4]| all.into_iter().zip(of).collect::<Vec<_>>();
    assert_eq!(pairs(&states(&dir, &[])), expected(["missing", "blocked", "blocked", "blocked"]));
    assert!(!dir.path("run").exists(), "a look has made something");

    dir.data_prep().args(["--pipeline", "p.toml"]).code(0);
    assert_eq!(pairs(&states(&dir, &[])), expected(["fresh", "missing", "blocked", "blocked"]));
    dir.feature_extract().args(["--pipeline", "p.toml"]).code(0);
    assert_eq!(pairs(&states(&dir, &[])), expected(["fresh", "fresh", "missing", "missing"]));
    dir.head_train().args(["--pipeline", "p.toml"]).code(0);
    assert_eq!(pairs(&states(&dir, &[])), expected(["fresh"; 4]));
    let text = dir.headstart().args(["status", "--pipeline", "p.toml", "--exit-code"]).code(0).stdout();
    assert!(text.contains("examples") && text.contains("80 rows") && text.contains("everything is fresh"), "{text}");
}

#[test]
fn status_gives_a_command_that_a_shell_understands() {
    let dir = Dir::new();
    dir.write("my 'own' p.toml", PIPELINE);
    let sets = ["feature-extract.mean=[0.5, 0.4, 0.3]", "data-prep.rows=\"train=60,test=20\"", "head-train.epochs=2"];
    let mut args = vec!["my 'own' p.toml", "--run", "a $HOME b"];
    args.extend(sets.iter().flat_map(|set| ["--set", set]));
    let status = dir.headstart().args(["status", "--pipeline"]).args(&args).env("COLUMNS", "40");
    let text = status.code(0).stdout();
    assert!(text.contains("; this makes what is\nnot fresh:\n\n  just pipeline "), "{text}");
    // The last line is all of it, and a shell makes of it what was typed here.
    let command = text.lines().last().unwrap();
    let script = format!("just() {{ printf '%s\\n' \"$@\"; }}; {command}");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let words = String::from_utf8(output.stdout).unwrap();
    assert_eq!(words.lines().collect::<Vec<_>>(), [vec!["pipeline"], args].concat(), "{command}");
}

#[test]
fn status_says_what_it_did_not_read() {
    let how = "of finished files only the sizes were checked; headstart verify reads every byte\n";
    let dir = with_pipeline();
    let status = |args: &[&str]| dir.headstart().args(["status"]).args(args).code(0).stdout();
    // As long as nothing is finished there is nothing to say it of.
    assert!(!status(&["--pipeline", "p.toml"]).contains("sizes"));
    assert!(!status(&[]).contains("sizes"));
    let dir = made();
    let status = |args: &[&str]| dir.headstart().args(["status"]).args(args).code(0).stdout();
    for args in [&["--pipeline", "p.toml"][..], &["--run", "run"]] {
        assert!(status(args).ends_with(how), "{}", status(args));
    }
    assert!(status(&["--help"]).contains("no bytes are read"), "{}", status(&["--help"]));
    // Which is so: damage of the same length is none to it, of another length it is.
    let part = dir.path("run/examples/train-00001.parquet");
    let bytes = fs::read(&part).unwrap();
    fs::write(&part, vec![0; bytes.len()]).unwrap();
    assert!(status(&["--run", "run", "--exit-code"]).contains("complete"));
    fs::write(&part, &bytes[1..]).unwrap();
    assert!(status(&["--run", "run"]).contains("damaged"));
}

#[test]
fn status_says_which_setting_makes_what_stale_and_what_follows() {
    let dir = made();
    let batch = ["--set", "feature-extract.batch=7"];
    let expected =
        [("examples", "fresh"), ("features", "stale"), ("head", "blocked"), ("baseline/longer/head", "blocked")];
    assert_eq!(pairs(&states(&dir, &batch)), expected);
    let ran = dir.headstart().args(["status", "--pipeline", "p.toml", "--exit-code"]).args(batch).code(1);
    let text = ran.stdout();
    assert!(text.contains("batch: 32 → 7") && text.contains("features is stale"), "{text}");
    // The stage itself gives the same reason.
    let stage = dir.feature_extract().args(["--pipeline", "p.toml", "--dry-run"]).args(batch).code(0).stdout();
    assert!(stage.contains("batch: 32 → 7"), "{stage}");

    // Of the baseline only its own head.
    let longer = ["--set", "baseline.longer.head-train.epochs=3"];
    assert_eq!(pairs(&states(&dir, &longer))[2..], [("head", "fresh"), ("baseline/longer/head", "stale")]);
}

#[test]
fn status_knows_that_predictions_follow_the_head() {
    let dir = made();
    let stages = "stages = [\"data-prep\", \"feature-extract\", \"head-train\", \"classify\"]";
    dir.write("p.toml", format!("{stages}\n{PIPELINE}"));
    let predictions = |args: &[&str]| states(&dir, args)[3].clone();
    assert_eq!(predictions(&[]), ("predictions".to_string(), "missing".to_string()));
    dir.classify().args(["--pipeline", "p.toml"]).code(0);
    assert_eq!(predictions(&[]).1, "fresh");
    assert_eq!(predictions(&["--set", "head-train.epochs=3"]).1, "blocked");
    let shown = dir.headstart().args(["inspect", "run/predictions"]).code(0).stdout();
    assert!(shown.contains("predictions by classify") && shown.contains("probabilities"), "{shown}");
}

#[test]
fn status_says_once_what_is_not_to_be_had_and_downloads_nothing() {
    let dir = Dir::new();
    let text = "stages = [\"data-prep\", \"generate\"]\n[data-prep]\ninput = \"p.txt\"\ntokenizer = \"hf://o/m/onnx\"\n\
                [generate]\nmodel = \"hf://o/m/onnx\"\n";
    dir.write("p.txt", "To be\n");
    dir.write("p.toml", text);
    let json = dir.headstart().args(["status", "--pipeline", "p.toml", "--json"]).code(0).json();
    let (first, second) = (&json["artifacts"][0], &json["artifacts"][1]);
    assert_eq!((&first["state"], &first["path"]), (&json!("blocked"), &json!("runs/p/prompts")), "{json}");
    assert!(first["because"][0].as_str().unwrap().contains("not in the cache"), "{json}");
    assert_eq!((&second["state"], &second["because"]), (&json!("blocked"), &json!(["as prompts"])), "{json}");
    assert!(!dir.path("hf").exists() && !dir.path("runs").exists());
}

#[test]
fn looking_leaves_what_is_damaged_in_the_cache_of_a_hub() {
    let dir = made();
    // As any Hugging Face program leaves it behind, but for one byte.
    let (commit, name) = ("0".repeat(40), "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f");
    dir.write(&format!("hf/hub/models--o--net/blobs/{name}"), "abd");
    dir.write("hf/hub/models--o--net/refs/main", &commit);
    let snapshot = dir.path(&format!("hf/hub/models--o--net/snapshots/{commit}"));
    fs::create_dir_all(&snapshot).unwrap();
    std::os::unix::fs::symlink(format!("../../blobs/{name}"), snapshot.join("model.onnx")).unwrap();
    let before = everything(&dir);
    let set = ["--set", "feature-extract.backbone=hf://o/net/model.onnx"];
    let sets = [&set[..], &["--set", "feature-extract.mean=0.5", "--set", "feature-extract.std=0.5"]].concat();
    let json = dir.headstart().args(["status", "--pipeline", "p.toml", "--json"]).args(&sets).code(0).json();
    let features = &json["artifacts"][1];
    let because = features["because"][0].as_str().unwrap();
    assert_eq!(features["state"], "blocked", "{json}");
    for part in ["hf://o/net", "wrong content", "expected SHA-1 f2ba8f84", "fetched again"] {
        assert!(because.contains(part), "{part:?} is not in {because}");
    }
    let run = dir.feature_extract().args(["--pipeline", "p.toml", "--dry-run"]).args(&sets);
    run.code(69).says(&["wrong content", "fetched again"]);
    assert_eq!(everything(&dir), before);
}

#[test]
fn status_loads_no_model_to_say_that_features_are_stale() {
    let dir = made();
    let broken = dir.write("broken.onnx", b"no model");
    let set = format!("feature-extract.backbone={}", broken.display());
    let sets = ["--set", &set, "--set", "feature-extract.mean=0.5", "--set", "feature-extract.std=0.5"];
    assert_eq!(pairs(&states(&dir, &sets))[1], ("features", "stale"));
    // Whereas the stage, which would load it, does find out.
    dir.feature_extract().args(["--pipeline", "p.toml", "--dry-run"]).args(sets).code(65);
}

#[test]
fn status_counts_the_parts_of_an_interrupted_run() {
    let dir = made();
    fs::remove_dir_all(dir.path("run/examples")).unwrap();
    assert!(dir.data_prep().args(["--pipeline", "p.toml"]).env("FAILPOINTS", "journal-synced=2*off->return").killed());

    let ran = dir.headstart().args(["status", "--pipeline", "p.toml", "--json"]).code(0).json();
    let first = &ran["artifacts"][0];
    assert_eq!((&first["state"], &first["parts_done"], &first["parts"]), (&json!("incomplete"), &json!(3), &json!(6)));
    assert_eq!(ran["artifacts"][1]["because"], json!(["examples is incomplete"]));
    let alone = dir.headstart().args(["status", "--run", "run"]).code(0).stdout();
    assert!(alone.contains("incomplete") && alone.contains("3 parts finished"), "{alone}");
    dir.headstart().args(["inspect", "run/examples"]).code(66).says(&["3 parts are finished"]);
    let verified = dir.headstart().args(["verify", "run"]).code(66).stdout();
    assert!(verified.contains("incomplete: 3 parts finished"), "{verified}");
    // The stage goes on from there.
    dir.data_prep().args(["--pipeline", "p.toml"]).code(0).says(&["3 of 6 parts are finished"]);
}

#[test]
fn status_without_a_pipeline_compares_what_lies_there() {
    let dir = made();
    let status = |args: &[&str]| dir.headstart().args(["status"]).args(args).code(0).json();
    let states = |json: &Value| -> Vec<String> {
        json["artifacts"].as_array().unwrap().iter().map(|a| a["state"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(states(&status(&["--run", "run", "--json"])), ["complete"; 4]);
    // Examples that were made again under features that were not.
    dir.data_prep().args(["--pipeline", "p.toml", "--seed", "5"]).code(0);
    let json = status(&["--run", "run", "--json"]);
    assert_eq!(states(&json), ["complete", "stale", "complete", "complete"]);
    assert_eq!(json["artifacts"][1]["because"], json!(["run/examples was made again since"]));
    dir.headstart().args(["status", "--run", "run", "--exit-code"]).code(1);
    // All runs are found where pipelines put them.
    fs::create_dir(dir.path("runs")).unwrap();
    fs::rename(dir.path("run"), dir.path("runs/mine")).unwrap();
    let text = dir.headstart().args(["status"]).code(0).stdout();
    assert!(text.contains("runs/mine") && text.contains("examples was made again since"), "{text}");
    dir.headstart().args(["status", "--run", "nowhere"]).code(66).says(&["no run at nowhere"]);
}

#[test]
fn status_reads_a_pipeline_file_as_strictly_as_the_stages() {
    let dir = with_pipeline();
    let status = |args: &[&str], code| dir.headstart().args(["status", "--pipeline", "p.toml"]).args(args).code(code);
    status(&["--set", "head-train.epoch=1"], 2).says(&["unknown key `epoch`; did you mean `epochs`?"]);
    status(&["--set", "head-train.epochs=many"], 2).says(&["p.toml, [head-train]", "many"]);
    dir.headstart().args(["status", "--pipeline", "none.toml"]).code(66).says(&["none.toml"]);
    let json = status(&["--set", "head-train.epoch=1", "--json"], 2).json();
    assert_eq!(json["exit"], 2);
}

fn with_metadata(model: &Path, entries: &[(&str, &str)]) -> Vec<u8> {
    let mut model = onnx_graph::Model::read(model).unwrap();
    entries.iter().for_each(|(key, value)| model.set_metadata_prop(key, value));
    model.encode().unwrap()
}

#[test]
fn looking_changes_nothing() {
    let dir = made();
    let before = everything(&dir);
    for args in [
        &["status", "--pipeline", "p.toml", "--set", "feature-extract.batch=7"][..],
        &["status"],
        &["inspect", "run/features"],
        &["verify", "run"],
        &["doctor"],
    ] {
        dir.headstart().args(args).code(0);
    }
    assert_eq!(everything(&dir), before);
}

/// Every path below the folder, hidden ones too, with its bytes' length and time of change.
fn everything(dir: &Dir) -> Vec<(PathBuf, u64, std::time::SystemTime)> {
    let (mut found, mut folders) = (Vec::new(), vec![dir.path("")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::metadata(&path).unwrap();
            found.push((path.clone(), metadata.len(), metadata.modified().unwrap()));
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}
