//! An artifact from its plan to its readers: resume, staleness, commit, refusal.

#![allow(clippy::unwrap_used, clippy::panic)] // In a test they are how it fails.

use std::fs;
use std::path::Path;

use artifact::{
    Artifact, Begin, Build, Error, ExamplePart, ExamplesFacts, FeaturePart, FeatureType, FeaturesFacts, Input, Kind,
    PartPlan, Plan, PredictionPart, PredictionsFacts, Preview, Redo, Reject, ResizePolicy, Split, Vectors,
};
use half::f16;
use ndarray::Array2;
use proptest::prelude::*;
use serde_json::json;

fn facts() -> ExamplesFacts {
    ExamplesFacts {
        height: 2,
        width: 1,
        classes: vec!["a".into(), "b".into()],
        resize: "stored as they are".into(),
        resize_policy: ResizePolicy::AsTheyAre,
    }
}

fn plan(setting: u32) -> Plan {
    Plan {
        kind: Kind::Examples,
        config: json!({ "setting": setting }),
        inputs: vec![Input { name: "pictures".into(), digest: "d".into() }],
        parts: vec![PartPlan::new(Split::Train, 0), PartPlan::new(Split::Train, 1), PartPlan::new(Split::Test, 0)],
    }
}

fn rows(part: usize) -> ExamplePart {
    let ids = (0..3).map(|i| format!("{part}/{i}")).collect();
    ExamplePart { ids, labels: vec![Some(0), None, Some(1)], pixels: vec![part as u8; 18] }
}

fn reject(part: usize) -> Reject {
    Reject { id: format!("bad/{part}"), source: "f".into(), reason: "empty".into(), detail: "zero bytes".into() }
}

fn begin(out: &Path, plan: Plan) -> Build {
    match Build::begin(out, plan, Redo::Missing).unwrap() {
        Begin::Build(build) => build,
        Begin::UpToDate(_) => panic!("expected something to make"),
    }
}

fn write(build: &mut Build, part: usize) {
    build.write_part(part, &rows(part).to_batch(&facts()).unwrap(), vec![reject(part)]).unwrap();
}

fn make(out: &Path, plan: Plan) -> Artifact {
    let mut build = begin(out, plan);
    for part in build.missing() {
        write(&mut build, part);
    }
    build.commit(serde_json::to_value(facts()).unwrap()).unwrap()
}

fn bytes(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<_> =
        entries.map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&p).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn what_is_written_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("examples");
    make(&out, plan(1));
    let artifact = Artifact::open(&out, Kind::Examples).unwrap();
    assert_eq!(artifact.manifest().rows_of(Split::Train), 6);
    for part in 0..3 {
        let read =
            ExamplePart::from_batches(&artifact.read_part(part).unwrap(), &facts(), &artifact.part_path(part)).unwrap();
        assert_eq!(read, rows(part));
    }
    assert_eq!(
        artifact::decode_parquet(artifact.read_file("rejects.parquet").unwrap(), &out).unwrap()[0].num_rows(),
        3
    );
    assert!(matches!(Build::begin(&out, plan(1), Redo::Missing).unwrap(), Begin::UpToDate(_)));
    let names: Vec<_> = bytes(dir.path().join("examples").as_path()).into_iter().map(|(n, _)| n).collect();
    assert_eq!(
        names,
        ["manifest.json", "rejects.parquet", "test-00000.parquet", "train-00000.parquet", "train-00001.parquet"]
    );
    assert!(!dir.path().join("examples.building").exists());
}

#[test]
fn an_interrupted_build_goes_on_and_ends_in_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, resumed) = (dir.path().join("whole"), dir.path().join("resumed"));
    make(&whole, plan(1));
    let mut build = begin(&resumed, plan(1));
    write(&mut build, 1);
    drop(build);
    assert!(matches!(Artifact::open(&resumed, Kind::Examples), Err(Error::Incomplete { .. })));
    // The traces of a kill: a temporary file, and a line that was cut short.
    fs::write(dir.path().join("resumed.building/artifact/.train-00000.parquet.1.tmp"), "half").unwrap();
    let journal = dir.path().join("resumed.building/journal.jsonl");
    fs::write(&journal, fs::read_to_string(&journal).unwrap() + "{\"fingerprint\":").unwrap();
    assert_eq!(Preview::of(&resumed, &plan(1), Redo::Missing).unwrap().parts_done, 1);
    let mut build = begin(&resumed, plan(1));
    assert_eq!(build.missing(), [0, 2]);
    assert_eq!(build.finished(), (3, 1));
    write(&mut build, 2);
    drop(build);
    let mut build = begin(&resumed, plan(1));
    assert_eq!(build.missing(), [0], "the line behind the torn one counts");
    write(&mut build, 0);
    build.commit(serde_json::to_value(facts()).unwrap()).unwrap();
    assert_eq!(bytes(&whole), bytes(&resumed));
}

#[test]
fn a_finished_part_whose_bytes_changed_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("x");
    let mut build = begin(&out, plan(1));
    write(&mut build, 0);
    write(&mut build, 1);
    drop(build);
    let part = dir.path().join("x.building/artifact/train-00001.parquet");
    let mut content = fs::read(&part).unwrap();
    content[40] ^= 1;
    fs::write(&part, content).unwrap();
    assert_eq!(begin(&out, plan(1)).missing(), [1, 2]);
}

#[test]
fn a_changed_an_added_and_a_dropped_input_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("x");
    let of = |names: &[&str]| {
        let inputs = names.iter().map(|n| Input { name: (*n).into(), digest: format!("digest of {n}") }).collect();
        Plan { inputs, ..plan(1) }
    };
    make(&out, of(&["a", "b"]));
    let reasons = |names: &[&str]| Preview::of(&out, &of(names), Redo::Missing).unwrap().reasons;
    assert_eq!(reasons(&["a", "c"]), ["changed input: c"]);
    assert_eq!(reasons(&["a"]), ["no longer an input: b"]);
    assert_eq!(reasons(&["b", "a"]), ["inputs in another order"]);
}

#[test]
fn another_plan_is_built_aside_and_the_old_artifact_stays_until_then() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("x");
    make(&out, plan(1));
    let before = bytes(&out);
    let mut build = begin(&out, plan(2));
    assert_eq!(build.reasons(), ["setting: 1 → 2"]);
    write(&mut build, 0);
    drop(build);
    assert_eq!(bytes(&out), before);
    // Parts of the second plan are none of the third's.
    assert_eq!(begin(&out, plan(3)).missing(), [0, 1, 2]);
    make(&out, plan(3));
    assert_ne!(bytes(&out), before);
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().filter(|e| e.as_ref().unwrap().file_name() == "x.building").count(),
        0
    );
}

#[test]
fn damage_is_found_when_asked_and_a_broken_manifest_can_be_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("x");
    let artifact = make(&out, plan(1));
    let part = out.join("train-00001.parquet");
    let good = fs::read(&part).unwrap();
    let mut bad = good.clone();
    bad[40] ^= 1;
    fs::write(&part, bad).unwrap();
    assert!(matches!(artifact.verify(), Err(Error::Damaged { .. })));
    assert!(matches!(Build::begin(&out, plan(1), Redo::Missing).unwrap(), Begin::UpToDate(_)));
    assert!(matches!(Build::begin(&out, plan(1), Redo::Damaged).unwrap(), Begin::Build(_)));
    fs::write(&part, good).unwrap();
    assert!(matches!(Build::begin(&out, plan(1), Redo::Damaged).unwrap(), Begin::UpToDate(_)));
    let manifest = fs::read(out.join("manifest.json")).unwrap();
    fs::write(out.join("manifest.json"), &manifest[..manifest.len() / 2]).unwrap();
    assert!(matches!(Build::begin(&out, plan(1), Redo::Damaged), Err(Error::Malformed { .. })));
    assert!(matches!(Build::begin(&out, plan(1), Redo::Everything).unwrap(), Begin::Build(_)));
    // A sealed one that has changed is known to be ours, so asking for damage is enough.
    let mut flipped = manifest;
    let at = flipped.iter().position(|byte| *byte == b'4').unwrap();
    flipped[at] = b'5';
    fs::write(out.join("manifest.json"), flipped).unwrap();
    assert!(matches!(Build::begin(&out, plan(1), Redo::Missing), Err(Error::Damaged { .. })));
    assert!(matches!(Build::begin(&out, plan(1), Redo::Damaged).unwrap(), Begin::Build(_)));
}

#[test]
fn no_flipped_bit_of_a_manifest_is_taken_for_another_value() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("x");
    make(&out, plan(1));
    let path = out.join("manifest.json");
    let good = fs::read(&path).unwrap();
    assert!(Artifact::open(&out, Kind::Examples).is_ok());
    for byte in 0..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 1 << (byte % 8);
        fs::write(&path, &bad).unwrap();
        let error = Artifact::open(&out, Kind::Examples).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. } | Error::Malformed { .. }), "byte {byte}: {error}");
        assert!(error.to_string().contains("manifest.json"), "{error}");
    }
}

#[test]
fn a_journal_line_whose_bytes_changed_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("x");
    let mut build = begin(&out, plan(1));
    write(&mut build, 0);
    write(&mut build, 1);
    drop(build);
    let path = dir.path().join("x.building/journal.jsonl");
    let mut journal = fs::read(&path).unwrap();
    let rows = journal.windows(7).position(|w| w == b"\"rows\":").unwrap();
    journal[rows + 7] ^= 1;
    fs::write(&path, &journal).unwrap();
    assert_eq!(begin(&out, plan(1)).missing(), [0, 2]);
    // No byte of it need be UTF-8.
    journal[rows] = 0xff;
    fs::write(&path, journal).unwrap();
    assert_eq!(begin(&out, plan(1)).missing(), [0, 2]);
}

#[test]
fn a_commit_without_all_parts_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("x");
    let mut build = begin(&out, plan(1));
    write(&mut build, 0);
    assert!(matches!(build.commit(json!({})), Err(Error::Bug(_))));
    assert!(!out.exists());
}

#[test]
fn a_reader_that_is_overtaken_says_so_instead_of_calling_it_damage() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("x");
    let old = make(&out, plan(1));
    make(&out, plan(2));
    assert!(matches!(old.read_part(0), Err(Error::Replaced { .. })));
}

#[test]
fn an_empty_folder_is_free_and_a_full_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("x");
    fs::create_dir(&out).unwrap();
    make(&out, plan(1));
    let foreign = dir.path().join("photos");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("cat.jpg"), "precious").unwrap();
    assert!(matches!(Build::begin(&foreign, plan(1), Redo::Everything), Err(Error::Occupied { .. })));
    // Other programs have files of that name too.
    fs::write(foreign.join("manifest.json"), "{\"name\": \"an extension\", \"manifest_version\": 3}").unwrap();
    assert!(matches!(Build::begin(&foreign, plan(1), Redo::Everything), Err(Error::Occupied { .. })));
    assert_eq!(fs::read_to_string(foreign.join("cat.jpg")).unwrap(), "precious");
    let mut features = plan(1);
    features.kind = Kind::Features;
    assert!(matches!(Build::begin(&out, features, Redo::Everything), Err(Error::Occupied { .. })));
}

#[test]
fn the_memory_of_pixels_comes_back_unless_another_reads_them() {
    let part = rows(3);
    let (there, pixels) = (part.pixels.as_ptr(), part.pixels.clone());
    let batch = part.to_batch(&facts()).unwrap();
    let again = batch.clone();
    assert_eq!(ExamplePart::memory_of(batch), Vec::<u8>::new());
    let back = ExamplePart::memory_of(again);
    assert_eq!((back.as_ptr(), back), (there, pixels));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Any examples survive Parquet: odd ids, missing labels, any bytes.
    #[test]
    fn examples_survive_a_round_trip(ids in prop::collection::vec(".{0,12}", 0..40), seed in any::<u64>()) {
        let labels = ids.iter().enumerate().map(|(i, _)| ((seed >> (i % 60)) & 1 == 1).then_some((i % 2) as i32)).collect();
        let pixels = (0..ids.len() * 6).map(|i| (seed.rotate_left(i as u32 % 64) & 255) as u8).collect();
        let part = ExamplePart { ids, labels, pixels };
        let encoded = artifact::encode_parquet(&part.clone().to_batch(&facts()).unwrap(), &[("k", "v")]).unwrap();
        let batches = artifact::decode_parquet(encoded, Path::new("part")).unwrap();
        prop_assert_eq!(ExamplePart::from_batches(&batches, &facts(), Path::new("part")).unwrap(), part);
    }

    /// Any features come back bit for bit, those of 16 bits as the numbers they are, in parts longer than one decoded batch too.
    #[test]
    fn features_survive_a_round_trip(n in 0usize..9000, first in any::<u32>(), is_half in any::<bool>()) {
        let n = if n % 2 == 0 { n } else { n % 50 };
        let values: Vec<f32> = (0..n * 2).map(|i| f32::from_bits(first.wrapping_mul(i as u32 | 1))).collect();
        let halves: Vec<f16> = values.iter().map(|v| f16::from_bits(v.to_bits() as u16)).collect();
        let expected: Vec<f32> = if is_half { halves.iter().map(|v| v.to_f32()).collect() } else { values.clone() };
        let ids: Vec<String> = (0..n).map(|i| i.to_string()).collect();
        let (vectors, dtype) = if is_half {
            (Vectors::Float16(Array2::from_shape_vec((n, 2), halves).unwrap()), FeatureType::Float16)
        } else {
            (Vectors::Float32(Array2::from_shape_vec((n, 2), values).unwrap()), FeatureType::Float32)
        };
        let part = FeaturePart { ids: ids.clone(), labels: vec![None; n], vectors };
        let mut encoded = artifact::encode_parquet(&part.to_batch().unwrap(), &[]).unwrap();
        let facts = FeaturesFacts {
            feature_dim: 2, dtype, classes: vec![], backbone: String::new(), backbone_digest: String::new(),
            tensor: String::new(), preprocessing: String::new(), provider: "cpu".into(),
            height: 2, width: 1, resize_policy: ResizePolicy::AsTheyAre,
        };
        let mut read = vec![0.0; n * 2];
        let keys = artifact::feature_values(&mut encoded, &facts, Path::new("part"), &mut read).unwrap();
        prop_assert_eq!(keys.ids, ids);
        prop_assert_eq!(read.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), expected.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
    }

    /// Any predictions come back bit for bit.
    #[test]
    fn predictions_survive_a_round_trip(ids in prop::collection::vec(".{0,12}", 0..40), first in any::<u32>(), copies in 1usize..200) {
        let ids: Vec<String> = ids.iter().cycle().take(ids.len() * copies).cloned().collect();
        let facts = PredictionsFacts {
            classes: vec!["ant".into(), "bee".into(), "cat".into()], classifier: "c".into(), classifier_digest: String::new(),
            provider: "cpu".into(), height: 1, width: 1, rejects: 0, scores: vec![],
        };
        let value = |(row, class): (usize, usize)| f32::from_bits(first.wrapping_mul((row * 3 + class) as u32 | 1));
        let part = PredictionPart {
            predicted: (0..ids.len() as i32).map(|i| i % 3).collect(),
            probability: (0..ids.len()).map(|row| value((row, 0))).collect(),
            probabilities: Array2::from_shape_fn((ids.len(), 3), value),
            ids,
        };
        let encoded = artifact::encode_parquet(&part.clone().to_batch(&facts).unwrap(), &[]).unwrap();
        let batches = artifact::decode_parquet(encoded, Path::new("part")).unwrap();
        let read = PredictionPart::from_batches(&batches, &facts, Path::new("part")).unwrap();
        let bits = |part: &PredictionPart| -> Vec<u32> {
            part.probability.iter().chain(&part.probabilities).map(|p| p.to_bits()).collect()
        };
        prop_assert_eq!(bits(&read), bits(&part));
        prop_assert_eq!((read.ids, read.predicted), (part.ids, part.predicted));
    }
}
