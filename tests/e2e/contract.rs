//! The artifact contract: what readers refuse, what writers protect, what parts are made from.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeBinaryArray, Int64Array, RecordBatch};
use artifact::{Artifact, Digest, FeaturesFacts, Kind};
use serde_json::Value;

use crate::program::{Dir, demo_backbone, sealed};

/// Shapes and their raw pixels as features, which need no runtime.
fn pixels(dir: &Dir) {
    dir.shapes("r", 200, 60);
    dir.feature_extract().args(["--backbone", "pixels", "--run", "r"]).code(0);
}

#[test]
fn part_k_of_the_features_is_made_from_part_k_of_the_examples() {
    let dir = Dir::new();
    pixels(&dir);
    let examples = Artifact::open(&dir.path("r/examples"), Kind::Examples).unwrap();
    let features = Artifact::open(&dir.path("r/features"), Kind::Features).unwrap();
    let facts: FeaturesFacts = features.manifest().facts_as(features.folder()).unwrap();
    assert_eq!(examples.manifest().parts.len(), 5, "200 and 60 rows in parts of 64");
    for (index, (a, b)) in examples.manifest().parts.iter().zip(&features.manifest().parts).enumerate() {
        assert_eq!((&a.file, a.split, a.rows), (&b.file, b.split, b.rows));
        let facts_of = |folder: &Artifact| folder.manifest().facts_as(folder.folder()).unwrap();
        let part = artifact::ExamplePart::from_batches(
            &examples.read_part(index).unwrap(),
            &facts_of(&examples),
            Path::new(&a.file),
        )
        .unwrap();
        let mut values = vec![0.0; part.pixels.len()];
        let keys = features.read_features(index, &facts, &mut Vec::new(), &mut values).unwrap();
        assert_eq!((keys.ids, keys.labels), (part.ids, part.labels));
        assert!(values.iter().zip(&part.pixels).all(|(v, p)| *v == f32::from(*p) / 255.0));
    }
}

#[test]
fn a_flipped_bit_and_a_cut_are_65_with_both_values() {
    let dir = Dir::new();
    pixels(&dir);
    let part = dir.path("r/features/train-00001.parquet");
    let good = fs::read(&part).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 4;
    fs::write(&part, &bad).unwrap();
    dir.head_train().args(["--run", "r"]).code(65).says(&[
        "train-00001.parquet",
        "BLAKE3",
        "expected",
        "found",
        "feature-extract again with --rehash",
    ]);
    fs::write(&part, &good[..good.len() - 100]).unwrap();
    dir.head_train().args(["--run", "r"]).code(65).says(&["train-00001.parquet", "size"]);
    fs::remove_file(&part).unwrap();
    dir.head_train().args(["--run", "r"]).code(65).says(&["train-00001.parquet", "nothing"]);
    // The stage that made it notices what a look at sizes shows, and repairs it.
    dir.feature_extract().args(["--backbone", "pixels", "--run", "r"]).code(0).says(&["made again"]);
    assert_eq!(fs::read(&part).unwrap(), good);
    // A flipped bit takes the second look that the reader's message asks for.
    fs::write(&part, &bad).unwrap();
    dir.feature_extract().args(["--backbone", "pixels", "--run", "r", "--rehash"]).code(0).says(&["damaged"]);
    assert_eq!(fs::read(&part).unwrap(), good);
    dir.head_train().args(["--epochs", "1", "--run", "r"]).code(0);
}

#[test]
fn fault_11_a_manifest_from_another_version_or_with_a_path_in_it_is_refused() {
    let dir = Dir::new();
    pixels(&dir);
    let path = dir.path("r/features/manifest.json");
    let good = fs::read_to_string(&path).unwrap();
    let forged = |old: &str, new: &str| sealed(serde_json::from_str(&good.replace(old, new)).unwrap());
    fs::write(&path, forged("\"format_version\": 3", "\"format_version\": 99")).unwrap();
    dir.head_train().args(["--run", "r"]).code(65).says(&["format version: expected 3, found 99"]);
    fs::write(&path, forged("train-00000.parquet", "../examples/train-00000.parquet")).unwrap();
    dir.head_train().args(["--run", "r"]).code(65).says(&["not a plain name"]);
    fs::write(&path, good.replace("\"rows\": ", "\"rows\": 1")).unwrap();
    dir.head_train().args(["--run", "r"]).code(65).says(&["manifest.json is damaged: BLAKE3: expected", "--rehash"]);
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    dir.head_train().args(["--run", "r"]).code(65).says(&["manifest.json is malformed"]);
}

/// Puts other columns into the first part of an artifact, and vouches for them: digests, sizes and the manifest's seal.
fn drifted(folder: &Path, change: impl Fn(&RecordBatch) -> Vec<(&'static str, ArrayRef)>) {
    let path = folder.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let entry = &mut manifest["parts"][0];
    let part = folder.join(entry["file"].as_str().unwrap());
    let before = artifact::decode_parquet(fs::read(&part).unwrap(), &part).unwrap().remove(0);
    let bytes = artifact::encode_parquet(&RecordBatch::try_from_iter(change(&before)).unwrap(), &[]).unwrap();
    (entry["bytes"], entry["blake3"]) = (bytes.len().into(), Digest::of(&bytes).as_str().into());
    fs::write(part, bytes).unwrap();
    fs::write(path, sealed(manifest)).unwrap();
}

#[test]
fn fault_11_columns_that_are_not_the_contracts_are_65_with_both() {
    let dir = Dir::new();
    pixels(&dir);
    let column = |batch: &RecordBatch, name: &str| Arc::clone(batch.column_by_name(name).unwrap());
    let keys = |batch: &RecordBatch| [("id", column(batch, "id")), ("label", column(batch, "label"))];
    let good = ["examples", "features"].map(|name| (name, dir.contents(&format!("r/{name}"))));
    let restore = || {
        for (name, files) in &good {
            files.iter().for_each(|(file, bytes)| fs::write(dir.path(&format!("r/{name}/{file}")), bytes).unwrap());
        }
    };
    let train = || dir.head_train().args(["--run", "r", "--epochs", "1"]);
    drifted(&dir.path("r/features"), |batch| {
        let [id, label] = keys(batch);
        vec![id, label, ("vector", column(batch, "feature"))]
    });
    train().code(65).says(&[
        "train-00000.parquet",
        "column `feature`: expected",
        "found only columns id, label, vector",
    ]);
    restore();
    drifted(&dir.path("r/features"), |batch| {
        let [id, label] = keys(batch);
        vec![id, label, ("feature", column(batch, "label"))]
    });
    train().code(65).says(&["column `feature`: expected FixedSizeList", "found Int32"]);
    restore();
    drifted(&dir.path("r/features"), |batch| {
        let labels = Int64Array::from(vec![1; batch.num_rows()]);
        vec![("id", column(batch, "id")), ("label", Arc::new(labels)), ("feature", column(batch, "feature"))]
    });
    train().code(65).says(&["column `label`: expected Int32, found Int64"]);
    restore();
    drifted(&dir.path("r/examples"), |batch| {
        let [id, label] = keys(batch);
        let narrow = FixedSizeBinaryArray::try_from_iter((0..batch.num_rows()).map(|_| [0; 3])).unwrap();
        vec![id, label, ("pixels", Arc::new(narrow))]
    });
    let extract = || dir.feature_extract().args(["--backbone", "pixels", "--run", "r", "--out", "again"]);
    extract().code(65).says(&["column `pixels`: expected FixedSizeBinary(3072)", "found FixedSizeBinary(3)"]);
    restore();
    extract().code(0);
}

#[test]
fn what_is_not_ours_is_never_replaced() {
    let dir = Dir::new();
    pixels(&dir);
    let mine = dir.write("photos/cat.jpg", "precious");
    dir.feature_extract()
        .args(["--backbone", "pixels", "--run", "r", "--out", "photos"])
        .code(2)
        .says(&["photos exists", "choose another --out"]);
    assert_eq!(fs::read_to_string(mine).unwrap(), "precious");
    dir.feature_extract()
        .args(["--backbone", "pixels", "--run", "r", "--out", "r/examples"])
        .code(2)
        .says(&["another kind (examples)"]);
    dir.head_train().args(["--features", "r/examples", "--out", "h"]).code(2).says(&["holds examples, not features"]);
}

#[test]
fn missing_and_incomplete_inputs_are_66() {
    let dir = Dir::new();
    dir.feature_extract()
        .args(["--backbone", "pixels", "--run", "r"])
        .code(66)
        .says(&["no examples artifact at r/examples; run data-prep"]);
    fs::create_dir_all(dir.path("r/examples")).unwrap();
    dir.feature_extract().args(["--backbone", "pixels", "--run", "r"]).code(66).says(&["incomplete", "manifest.json"]);
}

#[test]
fn a_second_writer_is_75_and_names_the_first() {
    let dir = Dir::new();
    dir.shapes("r", 64, 64);
    let lock = dir.path("r/.features.lock");
    let file = fs::File::options().create(true).truncate(true).write(true).open(&lock).unwrap();
    file.lock().unwrap();
    fs::write(&lock, "feature-extract (process 4711 on node-3)").unwrap();
    let extract = || dir.feature_extract().args(["--backbone", "pixels", "--run", "r"]);
    extract().code(75).says(&["being written by feature-extract (process 4711 on node-3)"]);
    // A lock whose holder is gone holds nobody up.
    drop(file);
    extract().code(0);
}

#[test]
fn features_as_float16_are_the_same_to_three_digits() {
    let dir = Dir::new();
    dir.shapes("r", 64, 32);
    let backbone = demo_backbone().display().to_string();
    let extract = |dtype: &str| {
        dir.feature_extract().args(["--backbone", &backbone, "--run", "r", "--dtype", dtype, "--out", dtype]).code(0);
        let artifact = Artifact::open(&dir.path(dtype), Kind::Features).unwrap();
        let facts: FeaturesFacts = artifact.manifest().facts_as(artifact.folder()).unwrap();
        let mut values = vec![0.0; artifact.manifest().parts[0].rows as usize * facts.feature_dim];
        artifact.read_features(0, &facts, &mut Vec::new(), &mut values).unwrap();
        values
    };
    let (full, half) = (extract("float32"), extract("float16"));
    assert_eq!(full.len(), half.len());
    assert!(full.iter().zip(&half).all(|(a, b)| (a - b).abs() <= a.abs() * 2f32.powi(-11) + 1e-7));
    assert!(full != half);
    dir.head_train().args(["--features", "float16", "--epochs", "1", "--out", "h"]).code(0);
}
