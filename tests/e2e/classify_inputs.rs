//! `classify` where the input is not as one would wish: killed half-way, without labels, empty.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use artifact::{Artifact, Begin, Build, ExamplePart, ExamplesFacts, Kind, PartPlan, Plan, Redo, Split};
use serde_json::json;

use crate::classify::{head_on_pixels, of_pictures, predictions};
use crate::program::{Dir, Run, table};

/// Pictures of one part where they do not come in parts.
const PART_ROWS: usize = 2048;

/// So many files in a folder, all the same picture but for the empty ones among them.
fn files(dir: &Dir, folder: &str, n: usize, is_empty: impl Fn(usize) -> bool) {
    let whole = fs::read(dir.picture("any.png", 7)).unwrap();
    (0..n).for_each(|i| drop(dir.write(&format!("{folder}/{i:05}.png"), if is_empty(i) { &[][..] } else { &whole })));
}

fn enlarged<'a>(dir: &'a Dir, inputs: &[&str]) -> Run<'a> {
    of_pictures(dir, inputs).args(["--fit", "squash", "--enlarge"])
}

#[test]
fn killed_part_way_through_a_folder_it_ends_in_the_same_bytes() {
    let dir = Dir::new();
    head_on_pixels(&dir, 60, 20);
    // The first part has a few rejects, the second has nothing else, the third is short.
    let n = 2 * PART_ROWS + 300;
    let is_empty = |i: usize| [5, 2000].contains(&i) || (PART_ROWS..2 * PART_ROWS).contains(&i);
    files(&dir, "pictures", n, is_empty);
    let classify = |out: &str, threads: &str| {
        let args = ["--max-bad", "50%", "--batch", "5", "--threads", threads, "--quiet", "--out", out];
        enlarged(&dir, &["pictures"]).args(args)
    };
    classify("undisturbed", "2").code(0);
    let found = predictions(&dir.path("undisturbed"));
    let good = (0..n).filter(|i| !is_empty(*i)).map(|i| format!("{i:05}.png"));
    assert_eq!(found.into_keys().collect::<Vec<_>>(), good.collect::<Vec<_>>());
    let n_rejects: usize =
        table(&dir.path("undisturbed"), "rejects.parquet").iter().map(arrow_array::RecordBatch::num_rows).sum();
    assert_eq!(n_rejects, PART_ROWS + 2);

    let mut resumed = 0;
    for n_parts in [1, 2] {
        let out = format!("killed-after-{n_parts}");
        let journal = dir.path(&format!("{out}.building/journal.jsonl"));
        let finished = || fs::read_to_string(&journal).unwrap_or_default().lines().count();
        let mut child = classify(&out, "1").spawn();
        let start = Instant::now();
        while finished() < n_parts && child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(120));
            sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        resumed += u32::from(!child.wait().unwrap().success());
        // It goes on with other threads, and says the same as one that was not stopped.
        let json = classify(&out, "2").args(["--json"]).code(0).json();
        assert_eq!((&json["rows"], &json["rejects"]), (&(n - n_rejects).into(), &n_rejects.into()));
        assert_eq!(dir.contents("undisturbed"), dir.contents(&out), "killed after {n_parts} parts");
    }
    assert!(resumed > 0, "no kill left a part behind");
}

/// Examples as no stage of ours makes them: some have a label, some have none.
fn partly_labelled(folder: &Path, facts: &ExamplesFacts, splits: &[(Split, &[Option<i32>])]) {
    let parts = splits.iter().map(|(split, _)| PartPlan::new(*split, 0)).collect();
    let plan = Plan { kind: Kind::Examples, config: json!({}), inputs: Vec::new(), parts };
    let Begin::Build(mut build) = Build::begin(folder, plan, Redo::Missing).unwrap() else { panic!("it is there") };
    for (index, (split, labels)) in splits.iter().enumerate() {
        let bytes = (facts.height * facts.width * 3) as usize;
        let part = ExamplePart {
            ids: (0..labels.len()).map(|i| format!("{split}-{i}")).collect(),
            labels: labels.to_vec(),
            pixels: (0..labels.len() * bytes).map(|i| (i % 251) as u8).collect(),
        };
        build.write_part(index, &part.to_batch(facts).unwrap(), Vec::new()).unwrap();
    }
    build.commit(serde_json::to_value(facts).unwrap()).unwrap();
}

#[test]
fn rows_without_a_label_are_classified_and_not_scored() {
    let dir = Dir::new();
    head_on_pixels(&dir, 60, 20);
    let examples = Artifact::open(&dir.path("r/examples"), Kind::Examples).unwrap();
    let facts: ExamplesFacts = examples.manifest().facts_as(examples.folder()).unwrap();
    let none: &[Option<i32>] = &[None, None];
    partly_labelled(&dir.path("mixed"), &facts, &[(Split::Train, &[Some(0), None, Some(1)]), (Split::Test, none)]);
    let by = |examples: &str| dir.classify().args(["--classifier", "r/head/classifier.onnx", "--examples", examples]);
    let json = by("mixed").args(["--out", "p", "--json"]).code(0).json();
    assert_eq!(json["rows"], 5);
    let found = predictions(&dir.path("p"));
    let labels = [("train-0", 0), ("train-2", 1)];
    let n_right = labels.iter().filter(|(id, label)| found[*id].0 == *label).count();
    // Of two rows and not of five, and nothing of a split without labels.
    assert_eq!(json["accuracy"], json!({ "train": n_right as f64 / 2.0 }));
    let shown = by("mixed").args(["--out", "p"]).code(0).stdout();
    assert!(shown.contains(" of 2 ") && !shown.contains("accuracy test"), "{shown}");

    let unlabelled = ExamplesFacts { classes: Vec::new(), ..facts };
    partly_labelled(&dir.path("unlabelled"), &unlabelled, &[(Split::Test, none)]);
    let shown = by("unlabelled").args(["--out", "q"]).code(0).stdout();
    assert!(!shown.contains("accuracy"), "{shown}");
    let larger = ExamplesFacts { height: 33, ..unlabelled.clone() };
    partly_labelled(&dir.path("larger"), &larger, &[(Split::Test, none)]);
    by("larger").args(["--out", "s"]).code(65).says(&["are 33×32", "takes 32×32", "--size 32x32"]);
    assert!(!dir.path("s").exists() && !dir.path("s.building").exists());
    // No rows at all are no predictions, and no error.
    partly_labelled(&dir.path("none"), &unlabelled, &[(Split::Test, &[])]);
    assert_eq!(by("none").args(["--out", "t", "--json"]).code(0).json()["rows"], 0);
}

#[test]
fn nothing_to_classify_is_said() {
    let dir = Dir::new();
    head_on_pixels(&dir, 60, 20);
    fs::create_dir_all(dir.path("empty/below")).unwrap();
    for out in [&[][..], &["--out", "p"], &["--json"], &["--dry-run"]] {
        let refused = enlarged(&dir, &["empty"]).args(out).code(65);
        refused.says(&["--input empty: no pictures below this folder", ".png"]);
    }
    dir.write("other/notes.txt", "x");
    enlarged(&dir, &["other"]).code(65).says(&["--input other: no pictures below this folder"]);

    files(&dir, "zero", 3, |_| true);
    let shown = enlarged(&dir, &["zero"]).code(65).says(&["no picture could be classified, of 3", "00000.png (empty)"]);
    assert_eq!(shown.stdout(), "");
    enlarged(&dir, &["zero"])
        .args(["--out", "p", "--max-bad", "100%"])
        .code(65)
        .says(&["of 3; the first is 00000.png"]);
    assert!(!dir.path("p").exists());
    files(&dir, "mixed", 3, |i| i != 1);
    let json = enlarged(&dir, &["mixed"]).args(["--json"]).code(0).json();
    let ids = |key: &str| json[key].as_array().unwrap().iter().map(|r| r["id"].clone()).collect::<Vec<_>>();
    assert_eq!((ids("rows"), ids("rejects")), (vec![json!("00001.png")], vec![json!("00000.png"), json!("00002.png")]));
    let shown = enlarged(&dir, &["mixed"]).code(0).stdout();
    assert_eq!(shown.lines().count(), 3, "{shown}");
}
