//! The stages one after another, as `just pipeline` runs them.

use crate::program::{Dir, demo_backbone};

/// The demo in small: a pipeline file with both baselines.
fn demo(dir: &Dir) {
    let text = format!(
        "run = \"out\"\n[data-prep]\nformat = \"shapes\"\nrows = \"train=600,test=200\"\n\
         [feature-extract]\nbackbone = \"{}\"\n\
         [head-train]\nepochs = 8\nlr = [0.1, 0.3]\nweight-decay = [0.0, 0.001]\n\
         [baseline.random.feature-extract]\nweights = \"random\"\n\
         [baseline.pixels.feature-extract]\nbackbone = \"pixels\"\n",
        demo_backbone().display()
    );
    dir.write("demo.toml", text);
}

fn run_all(dir: &Dir) -> [String; 3] {
    let pipeline = ["--pipeline", "demo.toml"];
    [
        dir.data_prep().args(pipeline).code(0).stdout(),
        dir.feature_extract().args(pipeline).code(0).stdout(),
        dir.head_train().args(pipeline).code(0).stdout(),
    ]
}

#[test]
fn pictures_become_a_head_and_pretraining_is_seen_to_pay() {
    let dir = Dir::new();
    demo(&dir);
    let [_, _, head] = run_all(&dir);
    for row in ["this pipeline", "pixels", "random", "test accuracy"] {
        assert!(head.contains(row), "no {row} in the table:\n{head}");
    }
    let accuracy = |folder: &str| {
        let bytes = std::fs::read(dir.path(folder).join("metrics.json")).unwrap();
        let metrics: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        metrics["test"]["accuracy"].as_f64().unwrap()
    };
    let (pretrained, random, pixels) =
        (accuracy("out/head"), accuracy("out/baseline/random/head"), accuracy("out/baseline/pixels/head"));
    assert!(pretrained > random + 0.1, "pretrained {pretrained}, random {random}");
    assert!(pretrained > pixels + 0.2, "pretrained {pretrained}, pixels {pixels}");
    assert!(pixels < 0.6, "raw pixels reach {pixels}: the shapes have become too easy");
}

#[test]
fn a_second_run_does_nothing_and_says_so() {
    let dir = Dir::new();
    demo(&dir);
    let first = run_all(&dir);
    let before = dir.contents("out/features");
    for run in [dir.data_prep(), dir.feature_extract(), dir.head_train()] {
        run.args(["--pipeline", "demo.toml"]).code(0).says(&["up to date"]);
    }
    assert_eq!(before, dir.contents("out/features"));
    assert_eq!(first[2], run_all(&dir)[2], "the scores are shown again");
}

#[test]
fn a_changed_setting_is_named_and_only_what_depends_on_it_is_made_again() {
    let dir = Dir::new();
    demo(&dir);
    run_all(&dir);
    let set = ["--pipeline", "demo.toml", "--set", "head-train.epochs=3"];
    dir.data_prep().args(set).code(0).says(&["examples: up to date"]);
    dir.feature_extract().args(set).code(0).says(&["features: up to date"]);
    dir.head_train().args(set).code(0).says(&["made again, because epochs: 8 → 3"]);
    dir.data_prep().args(["--pipeline", "demo.toml", "--set", "rows=train=610,test=200"]).code(0).says(&["made again"]);
    dir.feature_extract().args(["--pipeline", "demo.toml"]).code(0).says(&["changed input: out/examples"]);
}

#[test]
fn the_same_seed_gives_the_same_bytes_with_any_number_of_threads() {
    let dir = Dir::new();
    let backbone = demo_backbone().display().to_string();
    let mut heads = Vec::new();
    for threads in ["1", "2", "8"] {
        let run = format!("t{threads}");
        let rows = ["--format", "shapes", "--rows", "train=300,test=100", "--part-rows", "64"];
        dir.data_prep().args(rows).args(["--run", &run, "--threads", threads]).code(0);
        dir.feature_extract().args(["--backbone", &backbone, "--run", &run, "--threads", threads]).code(0);
        dir.head_train().args(["--epochs", "3", "--run", &run, "--threads", threads]).code(0);
        assert_eq!(dir.contents("t1/examples"), dir.contents(&format!("{run}/examples")), "{threads} threads");
        let features = |run: &str| {
            dir.contents(&format!("{run}/features"))
                .into_iter()
                .filter(|(n, _)| n != "manifest.json")
                .collect::<Vec<_>>()
        };
        assert_eq!(features("t1"), features(&run), "{threads} threads");
        heads.push(dir.contents(&format!("{run}/head")));
    }
    for file in ["head.safetensors", "history.parquet", "predictions.parquet"] {
        let of = |i: usize| heads[i].iter().find(|(n, _)| n == file).map(|(_, bytes)| bytes).unwrap();
        assert!(of(0) == of(1) && of(0) == of(2), "{file} depends on the number of threads");
    }
}
