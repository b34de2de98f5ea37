//! Bad input gets a clear error or a reject row, and what is good is kept.

use std::fs;

use artifact::{Artifact, ExamplePart, ExamplesFacts, Kind};
use prost::Message;

use crate::program::{Dir, demo_backbone, demo_lm};

/// Two classes of good pictures, eight by eight.
fn good_folder(dir: &Dir) {
    for i in 0..10 {
        dir.picture(&format!("pictures/cat/{i:02}.png"), 10 + i);
        dir.picture(&format!("pictures/dog/{i:02}.png"), 200 + i);
    }
}

/// Prepares the folder and returns ids with the first pixel's red, which is the picture's number.
fn prepare(dir: &Dir, args: &[&str]) -> Vec<(String, u8)> {
    dir.data_prep().args(["--input", "pictures", "--run", "r"]).args(args).code(0);
    let artifact = Artifact::open(&dir.path("r/examples"), Kind::Examples).unwrap();
    let facts: ExamplesFacts = artifact.manifest().facts_as(artifact.folder()).unwrap();
    let mut rows = Vec::new();
    for index in 0..artifact.manifest().parts.len() {
        let part =
            ExamplePart::from_batches(&artifact.read_part(index).unwrap(), &facts, &artifact.part_path(index)).unwrap();
        let size = (facts.height * facts.width * 3) as usize;
        rows.extend(part.ids.into_iter().zip(part.pixels.chunks(size).map(|p| p[0])));
    }
    rows
}

#[test]
fn fault_17_unusable_pictures_become_reject_rows_and_shift_nothing() {
    let dir = Dir::new();
    good_folder(&dir);
    let whole = fs::read(dir.path("pictures/cat/00.png")).unwrap();
    dir.write("pictures/cat/empty.png", "");
    dir.write("pictures/cat/text.png", "this is no picture");
    dir.write("pictures/dog/cut.png", &whole[..whole.len() / 2]);
    // A header that promises 30000 × 30000 pixels, the check sum of its chunk made right.
    let mut bomb = whole.clone();
    bomb[16..20].copy_from_slice(&30_000u32.to_be_bytes());
    bomb[20..24].copy_from_slice(&30_000u32.to_be_bytes());
    let crc = crc32(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.to_be_bytes());
    dir.write("pictures/dog/bomb.png", bomb);
    let rows = prepare(&dir, &["--max-bad", "4"]);
    assert_eq!(rows.len(), 20);
    for (id, red) in &rows {
        let number: u8 = id.rsplit('/').next().unwrap()[..2].parse().unwrap();
        assert_eq!(*red, number + if id.contains("cat") { 10 } else { 200 }, "{id}");
    }
    let artifact = Artifact::open(&dir.path("r/examples"), Kind::Examples).unwrap();
    let batches =
        artifact::decode_parquet(artifact.read_file("rejects.parquet").unwrap(), &dir.path("rejects.parquet")).unwrap();
    let column = |name: &str| -> Vec<String> {
        let strings = |b: &arrow_array::RecordBatch| {
            let column =
                b.column_by_name(name).unwrap().as_any().downcast_ref::<arrow_array::StringArray>().unwrap().clone();
            column.iter().map(|s| s.unwrap().to_string()).collect::<Vec<_>>()
        };
        batches.iter().flat_map(strings).collect()
    };
    let mut reasons: Vec<_> = column("id").into_iter().zip(column("reason")).collect();
    reasons.sort();
    let reason = |name: &str| reasons.iter().find(|(id, _)| id.contains(name)).map(|(_, reason)| reason.as_str());
    assert_eq!(reasons.len(), 4);
    assert_eq!(reason("empty"), Some("empty"));
    assert_eq!(reason("text"), Some("not-a-picture"));
    assert_eq!(reason("bomb"), Some("too-large"));
    assert!(matches!(reason("cut"), Some("truncated" | "corrupt")), "{reasons:?}");
    assert!(column("detail").iter().any(|d| d.contains("30000")), "{:?}", column("detail"));
}

#[test]
fn too_many_bad_pictures_are_65_with_the_first_of_them() {
    let dir = Dir::new();
    good_folder(&dir);
    dir.write("pictures/cat/a-text.png", "this is no picture");
    dir.data_prep().args(["--input", "pictures", "--run", "r"]).code(65).says(&["cat/a-text.png", "--max-bad"]);
    assert!(!dir.path("r/examples").exists());
}

#[test]
fn fault_21_nothing_to_learn_from_and_one_class_are_65_with_counts() {
    let dir = Dir::new();
    fs::create_dir_all(dir.path("pictures")).unwrap();
    let prep = |input: &str| dir.data_prep().args(["--input", input, "--run", "r"]);
    prep("pictures").code(65).says(&["pictures"]);
    prep("absent").code(66).says(&["absent"]);
    prep("data/local/cifar10/train.parquet").code(66).says(&["just data FOLDER"]);
    dir.picture("pictures/cat/1.png", 1);
    dir.picture("pictures/cat/2.png", 2);
    prep("pictures").code(65).says(&["one class only: 2 of 2 rows are \"cat\""]);
    dir.picture("pictures/dog/1.png", 1);
    dir.write("list.csv", "path,label\npictures/cat/1.png,cat\npictures/dog/1.png,dog\npictures/cat/2.png,\n");
    prep("list.csv").code(65).says(&["bears 0 of 3", "no-label 1", "pictures/cat/2.png"]);
    assert!(!dir.path("r/examples").exists());
}

#[test]
fn fault_22_duplicate_ids_are_65_with_the_first_five() {
    let dir = Dir::new();
    let mut list = String::from("path,label\n");
    for n in 0..8 {
        dir.picture(&format!("{n}.png"), n);
        list += &format!("{n}.png,{0}\n", n % 2);
    }
    let twice = list.lines().skip(2).map(|line| line.to_string() + "\n").collect::<String>();
    dir.write("list.csv", list + &twice);
    let first = r#"7 ids occur more than once, first ["1.png", "2.png", "3.png", "4.png", "5.png"]"#;
    dir.data_prep().args(["--input", "list.csv", "--run", "r"]).code(65).says(&[first, "is an --input given twice"]);
    let lm = demo_lm().display().to_string();
    let line = |id: usize| format!("{{\"id\": \"p{id}\", \"text\": \"O\"}}\n");
    dir.write("p.jsonl", (0..8).chain(2..8).map(line).collect::<String>());
    let prompts = dir.data_prep().args(["--input", "p.jsonl", "--id-field", "id", "--run", "r", "--tokenizer", &lm]);
    prompts.code(65).says(&["p2", "p6"]);
    assert!(!dir.path("r/examples").exists() && !dir.path("r/prompts").exists());
}

#[test]
fn a_parquet_file_with_the_wrong_columns_names_both() {
    let dir = Dir::new();
    dir.shapes("r", 64, 8);
    // One of our own parts is a Parquet file, but no data set.
    dir.data_prep()
        .args(["--input", "r/examples/train-00000.parquet", "--run", "s"])
        .code(65)
        .says(&["image", "pixels"]);
    dir.write("broken.parquet", "PAR1 and then nothing");
    dir.data_prep().args(["--input", "broken.parquet", "--run", "s"]).code(65).says(&["broken.parquet"]);
}

#[test]
fn models_that_do_not_fit_are_65_with_the_reason() {
    let dir = Dir::new();
    dir.shapes("r", 64, 8);
    let extract =
        |model: &str| dir.feature_extract().args(["--run", "r", "--mean", "0", "--std", "1", "--backbone", model]);
    extract("absent.onnx").code(66).says(&["no network at absent.onnx"]);
    dir.write("text.onnx", "hello");
    extract("text.onnx").code(65).says(&["text.onnx", "expected an ONNX model"]);
    let whole = fs::read(demo_backbone()).unwrap();
    dir.write("cut.onnx", &whole[..whole.len() / 2]);
    extract("cut.onnx").code(65).says(&["cut.onnx", "cut short"]);

    let mut tokens = onnx_graph::Model::read(demo_backbone()).unwrap().proto().clone();
    let input = &mut tokens.graph.as_mut().unwrap().input[0];
    let Some(onnx_graph::proto::TypeValue::Tensor(tensor)) = input.r#type.as_mut().unwrap().value.as_mut() else {
        panic!("a tensor")
    };
    tensor.elem_type = Some(7);
    dir.write("tokens.onnx", tokens.encode_to_vec());
    extract("tokens.onnx").code(65).says(&["tokens.onnx", "int64"]);
    dir.feature_extract()
        .args(["--run", "r", "--feature", "featrues", "--backbone"])
        .args([demo_backbone()])
        .code(65)
        .says(&["featrues"]);
}

#[test]
fn an_unknown_preprocessing_is_asked_for() {
    let dir = Dir::new();
    dir.shapes("r", 64, 8);
    fs::copy(demo_backbone(), dir.path("alone.onnx")).unwrap();
    dir.feature_extract().args(["--run", "r", "--backbone", "alone.onnx"]).code(2).says(&["give --mean and --std"]);
}

#[test]
fn fault_19_features_that_are_not_finite_are_65_with_the_ids() {
    let dir = Dir::new();
    dir.shapes("r", 64, 8);
    dir.feature_extract()
        .args(["--run", "r", "--rescale", "1e36", "--backbone"])
        .args([demo_backbone()])
        .code(65)
        .says(&["not finite", "train/"]);
    assert!(!dir.path("r/features").exists());
}

#[test]
fn fault_20_a_loss_that_leaves_the_finite_is_65_with_epoch_and_step() {
    let dir = Dir::new();
    dir.shapes("r", 200, 40);
    dir.feature_extract().args(["--backbone", "pixels", "--run", "r"]).code(0);
    let train = |args: &[&str]| dir.head_train().args(["--run", "r", "--epochs", "3"]).args(args);
    train(&["--raw-lr", "1e30", "--weight-decay", "1"]).code(65).says(&["epoch", "step", "smaller learning rates"]);
    assert!(!dir.path("r/head").exists());
    train(&["--raw-lr", "1e30", "--weight-decay", "1"]).code(65).says(&["last finite head is in r/head.building"]);
    let kept = fs::read(dir.path("r/head.building/artifact/last-finite-head.safetensors")).unwrap();
    let kept = safetensors::SafeTensors::deserialize(&kept).unwrap();
    let floats = |name: &str| {
        let bytes = kept.tensor(name).unwrap().data().chunks_exact(4);
        bytes.map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect::<Vec<_>>()
    };
    assert!(floats("weight").iter().chain(&floats("bias")).all(|weight| weight.is_finite()));
    train(&["--epochs", "0"]).code(2);
    train(&[]).code(0);
    assert!(!dir.path("r/head.building").exists() && !dir.path("r/head/last-finite-head.safetensors").exists());
}

/// CRC-32 of PNG chunks (ISO 3309), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 })
    })
}
