//! `classify`: what `classifier.onnx` says of pictures, in an artifact and on stdout.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type};
use artifact::{Artifact, ExamplePart, ExamplesFacts, Kind, PredictionPart, PredictionsFacts};
use serde_json::Value;

use crate::program::{Dir, Run, demo_backbone, table};

const SIDE: u32 = 32;

/// A head on raw pixels of the shapes, which is quick to make.
pub(crate) fn head_on_pixels(dir: &Dir, train: usize, test: usize) {
    dir.shapes("r", train, test);
    dir.feature_extract().args(["--backbone", "pixels", "--run", "r"]).code(0);
    dir.head_train().args(["--epochs", "2", "--run", "r"]).code(0);
}

fn of_run(dir: &Dir) -> Run<'_> {
    dir.classify().args(["--run", "r"])
}

/// A classifier given as a file, so that nothing depends on a run.
pub(crate) fn of_pictures<'a>(dir: &'a Dir, inputs: &[&str]) -> Run<'a> {
    let inputs = inputs.iter().flat_map(|input| ["--input", input]);
    dir.classify().args(["--classifier", "r/head/classifier.onnx"]).args(inputs.collect::<Vec<_>>())
}

/// Predictions by id: class, its probability, and those of all.
pub(crate) fn predictions(folder: &Path) -> BTreeMap<String, (i32, f32, Vec<f32>)> {
    let artifact = Artifact::open(folder, Kind::Predictions).unwrap();
    artifact.verify().unwrap();
    let facts: PredictionsFacts = artifact.manifest().facts_as(folder).unwrap();
    let mut rows = BTreeMap::new();
    for index in 0..artifact.manifest().parts.len() {
        let batches = artifact.read_part(index).unwrap();
        let part = PredictionPart::from_batches(&batches, &facts, &artifact.part_path(index)).unwrap();
        for (row, id) in part.ids.into_iter().enumerate() {
            let all = part.probabilities.row(row).to_vec();
            rows.insert(id, (part.predicted[row], part.probability[row], all));
        }
    }
    rows
}

/// The pictures of the test split as PNG files in `pictures/`, by their names, which stand for their ids.
fn test_pictures(dir: &Dir) -> BTreeMap<String, String> {
    let folder = dir.path("r/examples");
    let examples = Artifact::open(&folder, Kind::Examples).unwrap();
    let facts: ExamplesFacts = examples.manifest().facts_as(&folder).unwrap();
    let mut names = BTreeMap::new();
    for (index, part) in examples.manifest().parts.iter().enumerate().filter(|(_, p)| p.file.starts_with("test")) {
        let rows =
            ExamplePart::from_batches(&examples.read_part(index).unwrap(), &facts, Path::new(&part.file)).unwrap();
        for (id, pixels) in rows.ids.iter().zip(rows.pixels.chunks((SIDE * SIDE * 3) as usize)) {
            let name = format!("{}.png", id.replace('/', "_"));
            let picture = image::RgbImage::from_raw(SIDE, SIDE, pixels.to_vec()).unwrap();
            let mut bytes = std::io::Cursor::new(Vec::new());
            picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
            dir.write(&format!("pictures/{name}"), bytes.into_inner());
            names.insert(name, id.clone());
        }
    }
    names
}

#[test]
fn the_file_says_of_test_pictures_what_the_head_said() {
    let dir = Dir::new();
    dir.shapes("r", 300, 100);
    let backbone = demo_backbone().display().to_string();
    dir.feature_extract().args(["--backbone", &backbone, "--run", "r"]).code(0);
    dir.head_train().args(["--epochs", "5", "--run", "r"]).code(0);
    let first = of_run(&dir).code(0);
    let found = predictions(&dir.path("r/predictions"));
    assert_eq!(found.len(), 400);

    let mut compared = 0;
    for batch in table(&dir.path("r/head"), "predictions.parquet") {
        let (ids, predicted) = (batch["id"].as_string::<i32>(), batch["predicted"].as_primitive::<Int32Type>());
        let all = batch["probabilities"].as_fixed_size_list();
        for row in 0..batch.num_rows() {
            let (class, probability, probabilities) = &found[ids.value(row)];
            let expected = all.value(row);
            let expected = expected.as_primitive::<Float32Type>().values();
            for (found, expected) in probabilities.iter().zip(expected) {
                assert!((found - expected).abs() <= 1e-4, "{}: {found}, expected {expected}", ids.value(row));
            }
            // Where two classes are as good as equal, rounding may decide.
            let of_the_heads_choice = probabilities[predicted.value(row) as usize];
            assert!(*class == predicted.value(row) || probability - of_the_heads_choice < 1e-4, "{}", ids.value(row));
            compared += 1;
        }
    }
    assert!(compared >= 100, "only {compared} rows of the head were found");

    let metrics: Value = serde_json::from_slice(&fs::read(dir.path("r/head/metrics.json")).unwrap()).unwrap();
    let json = of_run(&dir).args(["--json"]).code(0).says(&["up to date"]).json();
    assert_eq!(json["accuracy"]["test"], metrics["test"]["accuracy"]);
    assert_eq!((&json["rows"], &json["state"]), (&400.into(), &"up to date".into()));
    let (said, again) = (first.stdout(), of_run(&dir).code(0).says(&["up to date"]).stdout());
    assert!(said.contains("accuracy train ") && said.contains(" of 100"), "{said}");
    assert_eq!(said.split(" → ").nth(1), again.split(" → ").nth(1));
    assert!(again.contains("accuracy train "), "{again}");
    of_run(&dir).args(["--batch", "7"]).code(0).says(&["made again, because batch: 32 → 7"]);
}

#[test]
fn many_pictures_run_through_convolutions_of_ours() {
    let dir = Dir::new();
    dir.shapes("r", 80, 21);
    dir.shapes("few", 80, 20);
    let backbone = demo_backbone().display().to_string();
    dir.feature_extract().args(["--backbone", &backbone, "--run", "r"]).code(0);
    dir.head_train().args(["--epochs", "2", "--run", "r"]).code(0);
    let on_the_cpu = |out: &str| of_run(&dir).args(["--device", "cpu", "--out", out]);
    let config = |folder: &str| {
        let artifact = Artifact::open(&dir.path(folder), Kind::Predictions).unwrap();
        artifact.manifest().config["convolution"].clone()
    };
    on_the_cpu("many").code(0);
    on_the_cpu("runtime").args(["--convolution", "runtime"]).code(0);
    on_the_cpu("few-pictures").args(["--examples", "few/examples"]).code(0);
    assert_eq!(
        (config("many"), config("runtime"), config("few-pictures")),
        ("winograd".into(), Value::Null, Value::Null)
    );
    on_the_cpu("many").args(["--convolution", "winograd"]).code(0).says(&["up to date"]);
    on_the_cpu("few-pictures")
        .args(["--examples", "few/examples", "--convolution", "winograd", "--dry-run"])
        .code(0)
        .does_not_say("up to date");

    let (ours, expected) = (predictions(&dir.path("many")), predictions(&dir.path("runtime")));
    let mut worst = 0_f32;
    for (id, (.., probabilities)) in &ours {
        for (found, expected) in probabilities.iter().zip(&expected[id].2) {
            worst = worst.max((found - expected).abs());
        }
    }
    assert!(worst <= 1e-4, "probabilities differ by {worst}");
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        assert!(worst > 0.0);
    }

    // `--check` knows that without running anything.
    let on_cuda = of_run(&dir).args(["--convolution", "winograd", "--device", "cuda", "--check"]);
    on_cuda.code(2).says(&["runs on the CPU only", "give --convolution runtime"]);
    // Nor are they left to the runtime in silence where this machine has no room: the artifact would be another.
    on_the_cpu("none").under(&["bash", "-c", r#"ulimit -f 100; exec "$0" "$@""#]).code(74).says(&[
        "cannot be kept in memory",
        "ulimit -f",
        "--convolution runtime",
    ]);
}

#[test]
fn files_get_what_the_same_pixels_get_in_an_artifact() {
    let dir = Dir::new();
    head_on_pixels(&dir, 120, 80);
    of_run(&dir).code(0);
    let names = test_pictures(&dir);
    let expected = predictions(&dir.path("r/predictions"));

    // Read from a folder, and not a row more or less.
    let lines = of_pictures(&dir, &["pictures"]).args(["--jsonl", "--batch", "9"]).code(0).stdout();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<_> = lines.iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(ids, names.keys().map(String::as_str).collect::<Vec<_>>());
    let examples = Artifact::open(&dir.path("r/examples"), Kind::Examples).unwrap();
    let facts: ExamplesFacts = examples.manifest().facts_as(examples.folder()).unwrap();
    for line in &lines {
        let (class, probability, _) = &expected[&names[line["id"].as_str().unwrap()]];
        assert_eq!(line["class"], facts.classes[*class as usize]);
        assert!((line["probability"].as_f64().unwrap() - f64::from(*probability)).abs() < 1e-5, "{line}");
    }

    assert!(!dir.path("runs").exists(), "what is printed leaves nothing behind");

    // As an artifact of their own, without splits and labels.
    of_pictures(&dir, &["pictures"]).args(["--out", "p"]).code(0);
    let own = predictions(&dir.path("p"));
    assert_eq!(own.keys().collect::<Vec<_>>(), names.keys().collect::<Vec<_>>());
    for (name, (class, ..)) in &own {
        assert_eq!(*class, expected[&names[name]].0, "{name}");
    }
    of_pictures(&dir, &["pictures"]).args(["--out", "p"]).code(0).says(&["up to date"]);
    fs::remove_file(dir.path("pictures").join(names.keys().next().unwrap())).unwrap();
    of_pictures(&dir, &["pictures"]).args(["--out", "p"]).code(0).says(&["changed input: pictures"]);
    assert_eq!(predictions(&dir.path("p")).len(), names.len() - 1);

    // A single file is called as it was typed, in a table as in an object.
    let one = format!("pictures/{}", names.keys().last().unwrap());
    let shown = of_pictures(&dir, &[&one]).args(["--top", "3"]).code(0).stdout();
    let rows: Vec<&str> = shown.lines().collect();
    assert_eq!(rows.len(), 3, "{shown}");
    assert!(rows[0].starts_with("id ") && rows[2].starts_with(&one), "{shown}");
    assert_eq!(rows[2].split_whitespace().count(), 7, "{shown}");
    let json = of_pictures(&dir, &[&one]).args(["--top", "3", "--json"]).code(0).json();
    let row = &json["rows"][0];
    assert_eq!((&row["id"], &row["top"][0]["class"]), (&one.clone().into(), &row["class"]));
    assert_eq!((row["top"].as_array().unwrap().len(), &json["rejects"]), (3, &Value::Array(Vec::new())));
}

#[test]
fn a_bad_picture_among_good_ones_costs_only_itself() {
    let dir = Dir::new();
    head_on_pixels(&dir, 120, 40);
    let n = test_pictures(&dir).len();
    dir.write("pictures/zz.png", "no picture at all");
    dir.picture("pictures/yy.png", 7);
    dir.write("pictures/notes.txt", "passed over by the name");
    let good = of_pictures(&dir, &["pictures"]).args(["--json"]).code(0);
    let good = good.says(&["zz.png (not-a-picture)", "yy.png (other-size): 8×8", "--fit", "passed over 1 file"]).json();
    assert_eq!((good["rows"].as_array().unwrap().len(), good["rejects"].as_array().unwrap().len()), (n, 2));
    // What the person says goes before the rule in the file.
    let squash = ["--fit", "squash", "--enlarge", "--json"];
    let enlarged = of_pictures(&dir, &["pictures"]).args(squash).code(0).json();
    assert_eq!(enlarged["rows"].as_array().unwrap().len(), n + 1);
    of_pictures(&dir, &["pictures/yy.png"]).args(["--fit", "squash"]).code(65).says(&["--enlarge"]);

    let shown = of_pictures(&dir, &["pictures/zz.png"]).code(65).says(&["no picture could be classified, of 1"]);
    assert!(!shown.stdout().contains("zz.png"));
    of_pictures(&dir, &["pictures"]).args(["--max-bad", "1"]).code(65).says(&["2 of", "--max-bad 1 bears 1"]);

    let to_artifact = |more: &[&str]| of_pictures(&dir, &["pictures"]).args(["--out", "p"]).args(more);
    to_artifact(&[]).code(65).says(&["--max-bad 1%"]);
    assert!(!dir.path("p").exists());
    to_artifact(&["--max-bad", "2"]).code(0);
    assert_eq!(predictions(&dir.path("p")).len(), n);
    let rejects = table(&dir.path("p"), "rejects.parquet");
    let reasons: Vec<_> = rejects.iter().flat_map(|b| b["reason"].as_string::<i32>().iter().flatten()).collect();
    assert_eq!(reasons, ["other-size", "not-a-picture"]);
    // An artifact that is there is held to a bound that is lower now.
    to_artifact(&["--max-bad", "1"]).code(65).says(&["up to date", "--max-bad 1 bears 1"]);
    to_artifact(&["--max-bad", "2", "--fit", "squash"]).code(0).says(&["made again, because resize"]);
}

#[test]
fn a_classifier_that_is_missing_or_none_is_said() {
    let dir = Dir::new();
    dir.shapes("r", 60, 20);
    dir.picture("x.png", 1);
    let absent = of_run(&dir).code(66).says(&["run head-train to make it", "no --classifier"]);
    assert!(absent.stdout().is_empty());
    let by = |file: &str| dir.classify().args(["--input", "x.png", "--classifier", file]);
    by("absent.onnx").code(66).says(&["there is no classifier at absent.onnx; run head-train"]);
    let network = demo_backbone().display().to_string();
    by(&network).code(65).says(&["its metadata has no `headstart.classes`", "head-train"]);
    dir.write("text.onnx", "not a model");
    by("text.onnx").code(65).says(&["text.onnx"]);
    by(".").code(2).says(&["is a folder"]);

    dir.feature_extract().args(["--backbone", "pixels", "--run", "r"]).code(0);
    dir.head_train().args(["--epochs", "1", "--no-classifier", "--run", "r"]).code(0);
    of_run(&dir).code(66).says(&["has no classifier.onnx", "without --no-classifier"]);
    dir.head_train().args(["--epochs", "1", "--run", "r"]).code(0);
    of_run(&dir).code(0);
    of_pictures(&dir, &["absent.png"]).code(66).says(&["--input absent.png: there is no such file or folder"]);
    of_pictures(&dir, &["x.png", "x.png"]).code(65).says(&["\"x.png\""]);
    dir.classify().args(["--run", "q", "--classifier", "r/head/classifier.onnx"]).code(66).says(&["no --input"]);
    // The classifier in an artifact is what the manifest says it is.
    let file = dir.path("r/head/classifier.onnx");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    of_run(&dir).args(["--overwrite"]).code(65).says(&["classifier.onnx", "BLAKE3"]);
}

#[test]
fn examples_of_another_size_or_other_classes_are_not_scored() {
    let dir = Dir::new();
    head_on_pixels(&dir, 60, 20);
    for class in ["a", "b"] {
        (0..3).for_each(|i| drop(dir.picture(&format!("{class}-{i}/{class}/{i}.png"), i)));
        (0..3).for_each(|i| drop(dir.picture(&format!("small/{class}/{i}.png"), i)));
    }
    dir.data_prep().args(["--input", "small", "--run", "small-run"]).code(0);
    let by_r = |examples: &str| {
        dir.classify().args(["--classifier", "r/head/classifier.onnx", "--examples", examples, "--out", "p"])
    };
    by_r("small-run/examples").code(65).says(&["are 8×8", "takes 32×32", "--size 32x32"]);
    dir.data_prep().args(["--input", "small", "--size", "32", "--enlarge", "--run", "big"]).code(0);
    let json =
        by_r("big/examples").args(["--json"]).code(0).says(&["no accuracy: the classes", "resized in another way"]);
    assert_eq!(json.json()["accuracy"], serde_json::json!({}));
    by_r("big/examples").args(["--fit", "crop"]).code(2).says(&["--input"]);
    by_r("big/examples").args(["--top", "2"]).code(2).says(&["--top and --jsonl"]);
}

#[test]
fn a_pipeline_may_end_in_predictions_and_a_dry_run_makes_none() {
    let dir = Dir::new();
    let stages = "stages = [\"data-prep\", \"feature-extract\", \"head-train\", \"classify\"]\n";
    dir.write(
        "p.toml",
        format!(
            "run = \"r\"\n{stages}[data-prep]\nformat = \"shapes\"\nrows = \"train=90,test=30\"\n\
             [feature-extract]\nbackbone = \"pixels\"\n[head-train]\nepochs = 1\n[classify]\nbatch = 16\n\
             [baseline.longer.head-train]\nepochs = 3\n"
        ),
    );
    for program in [dir.data_prep(), dir.feature_extract(), dir.head_train()] {
        program.args(["--pipeline", "p.toml"]).code(0);
    }
    let classify = || dir.classify().args(["--pipeline", "p.toml"]);
    assert!(classify().args(["--dry-run"]).code(0).stdout().contains("would make"));
    assert!(!dir.path("r/predictions").exists());
    let shown = classify().code(0).stdout();
    assert!(shown.contains("longer") && shown.contains("this pipeline"), "{shown}");
    assert_eq!(predictions(&dir.path("r/baseline/longer/predictions")).len(), 120);
    let config = fs::read_to_string(dir.path("r/predictions/manifest.json")).unwrap();
    assert!(config.contains("\"batch\": 16"), "{config}");
    // Without the stage in the list there is nothing to do.
    dir.write("q.toml", "[head-train]\nepochs = 1\n");
    dir.classify().args(["--pipeline", "q.toml"]).code(0).says(&["classify: not a stage of q.toml"]);
}

#[test]
fn killed_at_any_moment_it_ends_in_the_same_bytes_and_scores() {
    let dir = Dir::new();
    head_on_pixels(&dir, 640, 320);
    let classify = |run: &str| dir.classify().args(["--run", "r", "--out", run, "--batch", "1", "--threads", "1"]);
    let start = Instant::now();
    classify("undisturbed").code(0);
    let whole = start.elapsed();
    let mut resumed = 0;
    for round in 0..8u32 {
        let out = format!("killed-{round}");
        let mut child = classify(&out).spawn();
        sleep(whole * round / 8);
        child.kill().unwrap();
        child.wait().unwrap();
        let journal = dir.path(&format!("{out}.building/journal.jsonl"));
        resumed += u32::from(journal.exists() && fs::metadata(&journal).unwrap().len() > 0);
        classify(&out).code(0);
        assert_eq!(dir.contents("undisturbed"), dir.contents(&out), "killed after {round}/8 of the run");
    }
    // Waited for, since a run this short may be over before a kill meets it.
    let mut child = classify("waited").spawn();
    let start = Instant::now();
    while !dir.path("waited.building/journal.jsonl").exists() && child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(60));
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    resumed += u32::from(!child.wait().unwrap().success());
    classify("waited").code(0);
    assert_eq!(dir.contents("undisturbed"), dir.contents("waited"));
    assert!(resumed > 0, "no kill left a part behind");
}
