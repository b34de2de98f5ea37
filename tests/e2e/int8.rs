//! `feature-extract --precision int8`: the same heads from integer arithmetic, or a refusal where the processor cannot.

use artifact::{Artifact, Kind};
use onnx_graph::Model;
use onnx_graph::proto::{AttributeProto, DimensionValue, NodeProto, TypeValue};
use prost::Message;
use serde_json::Value;

use crate::program::{Dir, demo_backbone};

const NORMALISED: [&str; 4] = ["--mean", "0.4914,0.4822,0.4465", "--std", "0.2470,0.2435,0.2616"];

fn extract(dir: &Dir, out: &str, more: &[&str]) -> crate::program::Ran {
    let run = dir.feature_extract().args(["--run", "r", "--out", out]).args(NORMALISED).args(more);
    run.args(["--backbone".as_ref(), demo_backbone().as_os_str()]).code(if has_vnni() { 0 } else { 69 })
}

fn has_vnni() -> bool {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    !cfg!(target_arch = "x86_64") || processor.contains("avx512_vnni") || processor.contains("avx_vnni")
}

/// Whether convolutions in 8 bits are headstart's.
fn multiplies_bytes() -> bool {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    cfg!(target_arch = "x86_64") && processor.contains("avx512_vnni") && processor.contains("avx512bw")
}

/// What is said with `-v` where it is.
const OURS: &str = "operators of headstart's run";
const OUR_PREPROCESSING: &str = "preprocessing is one operator of headstart's";

/// What is said where it is tried and given up.
const LEFT: &str = "left to the runtime";

fn test_accuracy(dir: &Dir, head: &str) -> f64 {
    let metrics = std::fs::read(dir.path(head).join("metrics.json")).unwrap();
    let metrics: Value = serde_json::from_slice(&metrics).unwrap();
    assert!(metrics["classifier"]["max_abs_difference"].as_f64() <= Some(1e-4), "{}", metrics["classifier"]);
    metrics["test"]["accuracy"].as_f64().unwrap()
}

#[test]
fn int8_features_are_near_those_of_float32_and_make_the_same_head() {
    let dir = Dir::new();
    dir.shapes("r", 300, 120);
    // A dry run checks, and computes nothing.
    extract(&dir, "int8", &["--precision", "int8", "--dry-run"]).does_not_say("measured");
    let ran = extract(&dir, "int8", &["--precision", "int8"]);
    if !has_vnni() {
        ran.says(&["this processor has no VNNI", "leave it out"]);
        return;
    }
    let ran = ran.says(&["int8, ranges of", "measured on 16 pictures; on 16 of them off from float32 by"]);
    // Of the same pictures: those of others would be off by most of what they are.
    let said = ran.stderr();
    let share = said.split("off from float32 by ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!((0.1..10.0).contains(&share.parse::<f64>().unwrap()), "{said}");
    // The ranges are measured, not drawn: the same bytes again, with other threads too, and by whomever they are computed.
    let again = ["--precision", "int8", "--overwrite", "-v"];
    let ours = extract(&dir, "again", &[&again[..], &["--threads", "1"]].concat());
    if multiplies_bytes() {
        ours.says(&[OURS, OUR_PREPROCESSING]);
    }
    assert!(dir.contents("int8") == dir.contents("again"));
    extract(&dir, "again", &[&again[..], &["--convolution", "runtime"]].concat()).does_not_say(OURS);
    assert!(dir.contents("int8") == dir.contents("again"));
    extract(&dir, "int8", &["--precision", "int8"]).says(&["up to date"]);
    extract(&dir, "float32", &[]);

    let [exact, rounded] = ["float32", "int8"].map(|folder| features(&dir, folder, "test-00000.parquet"));
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let apart = norm(&mut exact.iter().zip(&rounded).map(|(a, b)| a - b)) / norm(&mut exact.iter().copied());
    assert!(apart > 0.0 && apart < 0.1, "features differ by {apart} of their norm");

    for folder in ["float32", "int8"] {
        let head = format!("head-{folder}");
        dir.head_train().args(["--run", "r", "--features", folder, "--out", &head]).code(0);
    }
    for (folder, precision) in [("float32", None), ("int8", Some("int8"))] {
        let file = dir.path(&format!("head-{folder}")).join("classifier.onnx");
        let said = Model::read(&file).unwrap().metadata().metadata_props;
        let said = said.iter().find(|(key, _)| key == "headstart.precision").map(|(_, value)| value.as_str());
        assert_eq!(said, precision);
    }
    // The same bytes by whomever, and nothing of it in the fingerprint.
    let of_int8 = |args: &[&str]| {
        let head = ["--run", "r", "--out", "of-int8", "--classifier", "head-int8/classifier.onnx"];
        dir.classify().args(head).args(args).code(0)
    };
    of_int8(&[]);
    of_int8(&["--convolution", "winograd"]).says(&["up to date"]);
    let said = of_int8(&["--convolution", "winograd", "--overwrite", "-v"]);
    if multiplies_bytes() {
        said.says(&[OURS, OUR_PREPROCESSING]);
    }
    let predictions_of_ours = dir.contents("of-int8");
    of_int8(&["--convolution", "runtime", "--overwrite", "-v"]).does_not_say(OURS);
    assert!(dir.contents("of-int8") == predictions_of_ours);
    let predictions = Artifact::open(&dir.path("of-int8"), Kind::Predictions).unwrap();
    assert_eq!(predictions.manifest().config["convolution"], Value::Null);
    let (exact, rounded) = (test_accuracy(&dir, "head-float32"), test_accuracy(&dir, "head-int8"));
    assert!((exact - rounded).abs() <= 0.05, "{exact} and {rounded}");
}

/// The demo's network for pictures of any size, with a pooling behind its first convolution.
fn pooled() -> Vec<u8> {
    let mut model = Model::read(demo_backbone()).unwrap().proto().clone();
    let graph = model.graph.as_mut().unwrap();
    let relu = graph.node.iter().position(|node| node.op_type() == "Relu").unwrap();
    let name = graph.node[relu].output[0].clone();
    graph.node[relu].output[0] = "before-pooling".to_owned();
    let ints = |name: &str, ints: &[i64]| AttributeProto {
        name: Some(name.into()),
        r#type: Some(7),
        ints: ints.to_vec(),
        ..AttributeProto::default()
    };
    let pooling = NodeProto {
        op_type: Some("MaxPool".into()),
        input: vec!["before-pooling".into()],
        output: vec![name],
        attribute: vec![ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), ints("pads", &[1, 1, 1, 1])],
        ..NodeProto::default()
    };
    graph.node.insert(relu + 1, pooling);
    graph.value_info.clear();
    let Some(TypeValue::Tensor(pictures)) = &mut graph.input[0].r#type.as_mut().unwrap().value else {
        panic!("the input is no tensor")
    };
    for (side, name) in pictures.shape.as_mut().unwrap().dim[2..].iter_mut().zip(["height", "width"]) {
        side.value = Some(DimensionValue::DimParam(name.into()));
    }
    model.encode_to_vec()
}

/// At 46 × 42, inner maps are 12 × 11 and 6 × 6 pixels: no multiples of what is made at once.
#[test]
fn pooling_and_maps_of_odd_sizes_are_the_same_bytes_by_whomever() {
    if !has_vnni() {
        return;
    }
    let dir = Dir::new();
    dir.shapes("r", 70, 10);
    dir.write("pooled.onnx", pooled());
    let extract = |out: &str, more: &[&str]| {
        let run = dir.feature_extract().args(["--run", "r", "--backbone", "pooled.onnx", "--size", "46x42", "-v"]);
        run.args(NORMALISED).args(["--precision", "int8", "--out", out]).args(more).code(0)
    };
    extract("runtime", &["--convolution", "runtime"]).does_not_say(OURS);
    // Of few pictures at once inner convolutions are left to the runtime.
    for (out, batch) in [("ours", "32"), ("few", "4")] {
        let said = extract(out, &["--batch", batch]);
        said.does_not_say(LEFT);
        if multiplies_bytes() {
            said.says(&[OURS, OUR_PREPROCESSING]);
        }
        for part in ["train-00000.parquet", "train-00001.parquet", "test-00000.parquet"] {
            assert!(features(&dir, out, part) == features(&dir, "runtime", part), "{out} {part}");
        }
    }
}

fn features(dir: &Dir, folder: &str, part: &str) -> Vec<f32> {
    let column = |batch: &arrow_array::RecordBatch| {
        let list = batch.column_by_name("feature").unwrap().clone();
        let list = list.as_any().downcast_ref::<arrow_array::FixedSizeListArray>().unwrap().clone();
        list.values().as_any().downcast_ref::<arrow_array::Float32Array>().unwrap().values().to_vec()
    };
    crate::program::table(&dir.path(folder), part).iter().flat_map(column).collect()
}

#[test]
fn int8_is_for_processors_and_for_networks_with_products() {
    let dir = Dir::new();
    dir.shapes("r", 20, 5);
    let run = |more: &[&str]| dir.feature_extract().args(["--run", "r", "--precision", "int8"]).args(more);
    let backbone = demo_backbone();
    let on_cuda = ["--device", "cuda", "--backbone", backbone.to_str().unwrap()];
    run(&on_cuda).args(NORMALISED).code(2).says(&["--precision int8 runs on the CPU only"]);
    // In 8 bits they would come out finite.
    if has_vnni() {
        let args = ["--device", "cpu", "--rescale", "1e36", "--backbone", backbone.to_str().unwrap()];
        run(&args).code(65).says(&["features are not finite on pictures that ranges are measured on"]);
    }
    // Raw pixels have nothing to compute: the option means nothing to them.
    run(&["--backbone", "pixels"]).code(0);
}
