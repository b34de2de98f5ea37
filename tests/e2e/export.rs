//! `classifier.onnx`: the head behind the backbone in one file, whatever the backbone ends in.

use std::fs;

use half::f16;
use onnx_graph::proto::{
    AttributeProto, DimensionValue, GraphProto, ModelProto, NodeProto, TensorProto, TypeValue, ValueInfoProto,
};
use onnx_graph::{ElementType, Model};
use prost::Message;
use serde_json::Value;

use crate::program::{Dir, demo_backbone, sealed};

/// The last layer of the demo's network, which every variant writes in another way.
const LAST: &str = "logits";

/// A change of the demo's network.
type Change = fn(&mut GraphProto);

#[test]
fn every_kind_of_last_layer_is_cut_extracted_and_exported() {
    let dir = Dir::new();
    dir.shapes("r", 90, 30);
    let variants: [(&str, Change); 6] = [
        ("gemm", |_| {}),
        ("matmul", matmul_and_add),
        ("softmax", softmax_behind),
        ("convolution", convolution_at_the_end),
        ("batch-of-1", fix_the_batch),
        ("float16", to_float16),
    ];
    let mut accuracies = Vec::new();
    for (name, change) in variants {
        let file = dir.write(&format!("{name}.onnx"), variant(change));
        let at = |artifact: &str| format!("{name}-{artifact}");
        dir.feature_extract()
            .args([
                "--run",
                "r",
                "--out",
                &at("features"),
                "--mean",
                "0.4914,0.4822,0.4465",
                "--std",
                "0.2470,0.2435,0.2616",
            ])
            .args(["--backbone".as_ref(), file.as_os_str()])
            .code(0);
        let head = at("head");
        dir.head_train().args(["--run", "r", "--features", &at("features"), "--out", &head, "--epochs", "3"]).code(0);
        let metrics = metrics(&dir, &head);
        assert!(metrics["classifier"]["rows_checked"].as_u64() > Some(3), "{name}: {}", metrics["classifier"]);
        assert!(metrics["classifier"]["max_abs_difference"].as_f64() <= Some(1e-4), "{name}");
        accuracies.push((name, metrics["test"]["accuracy"].as_f64()));
        let classifier = Model::read(dir.path(&head).join("classifier.onnx")).unwrap();
        let facts = classifier.metadata();
        let outputs: Vec<_> = facts.outputs.iter().map(|o| (o.name.as_str(), o.tensor.to_string())).collect();
        let batch = if name == "batch-of-1" { "1" } else { "batch" };
        let expected = [
            ("probabilities", format!("float32 [{batch}, 10]")),
            ("logits", format!("float32 [{batch}, 10]")),
            ("features", format!("float32 [{batch}, 128]")),
        ];
        assert_eq!(outputs, expected, "{name}");
        assert_eq!(facts.inputs[0].tensor.to_string(), format!("uint8 [{batch}, 32, 32, 3]"), "{name}");
        let about = |key: &str| facts.metadata_props.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        assert_eq!(about("headstart.resize"), Some(r#"{"policy":"as-they-are"}"#), "{name}");
        let classes: Vec<String> = serde_json::from_str(about("headstart.classes").unwrap()).unwrap();
        assert_eq!(classes.len(), 10);
        assert_eq!(
            (about("classes"), about("backbone.classes").is_some()),
            (None, true),
            "{name}: the old head's classes"
        );
    }
    // The layer is the same however it is written, and so are the features in front of it.
    for (name, accuracy) in &accuracies[..5] {
        assert_eq!(*accuracy, accuracies[0].1, "{name}");
    }
}

#[test]
fn raw_pixels_are_exported_too_and_an_export_can_be_left_out() {
    let dir = Dir::new();
    dir.shapes("r", 60, 20);
    dir.feature_extract().args(["--run", "r", "--backbone", "pixels"]).code(0);
    dir.head_train().args(["--run", "r", "--epochs", "2"]).code(0);
    assert!(dir.path("r/head/classifier.onnx").is_file());
    dir.head_train().args(["--run", "r", "--epochs", "2", "--no-classifier"]).code(0);
    assert!(!dir.path("r/head/classifier.onnx").exists());
    assert_eq!(metrics(&dir, "r/head")["classifier"], Value::Null);
}

#[test]
fn features_in_float16_are_exported_within_their_rounding() {
    let dir = Dir::new();
    dir.shapes("r", 60, 20);
    dir.feature_extract().args(["--run", "r", "--dtype", "float16", "--backbone"]).args([demo_backbone()]).code(0);
    dir.head_train().args(["--run", "r", "--epochs", "2"]).code(0);
    assert!(metrics(&dir, "r/head")["classifier"]["max_abs_difference"].as_f64() > Some(0.0));
}

#[test]
fn an_export_that_does_something_else_is_a_bug_and_leaves_nothing() {
    let dir = Dir::new();
    dir.shapes("r", 60, 20);
    dir.feature_extract().args(["--run", "r", "--backbone"]).args([demo_backbone()]).code(0);
    dir.feature_extract()
        .args(["--run", "r", "--weights", "random", "--out", "other", "--backbone"])
        .args([demo_backbone()])
        .code(0);
    // The graph of other features, and a manifest that vouches for it: no digest can notice, the comparison does.
    fs::copy(dir.path("other/backbone.onnx"), dir.path("r/features/backbone.onnx")).unwrap();
    let manifest = |folder: &str| -> Value {
        serde_json::from_slice(&fs::read(dir.path(folder).join("manifest.json")).unwrap()).unwrap()
    };
    let (mut forged, other) = (manifest("r/features"), manifest("other"));
    forged["files"] = other["files"].clone();
    dir.write("r/features/manifest.json", sealed(forged));
    dir.head_train().args(["--run", "r", "--epochs", "2"]).code(70).says(&["classifier.onnx", "expected", "row"]);
    assert!(!dir.path("r/head").exists());
}

#[test]
fn pictures_that_are_not_those_of_the_features_are_refused_with_the_way_out() {
    let dir = Dir::new();
    dir.shapes("r", 60, 20);
    dir.feature_extract().args(["--run", "r", "--backbone"]).args([demo_backbone()]).code(0);
    dir.shapes("r", 61, 20);
    let says = ["other examples", "run feature-extract again", "--no-classifier"];
    dir.head_train().args(["--run", "r", "--epochs", "2"]).code(66).says(&says);
    fs::remove_dir_all(dir.path("r/examples")).unwrap();
    dir.head_train().args(["--run", "r", "--epochs", "2"]).code(66).says(&["--examples FOLDER", "--no-classifier"]);
    dir.head_train().args(["--run", "r", "--epochs", "2", "--no-classifier"]).code(0);
}

fn metrics(dir: &Dir, head: &str) -> Value {
    serde_json::from_slice(&fs::read(dir.path(head).join("metrics.json")).unwrap()).unwrap()
}

fn variant(change: Change) -> Vec<u8> {
    let mut model: ModelProto = Model::read(demo_backbone()).unwrap().proto().clone();
    change(model.graph.as_mut().unwrap());
    model.encode_to_vec()
}

fn node(op: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(|i| (*i).into()).collect(),
        output: vec![output.into()],
        attribute: attributes,
        ..NodeProto::default()
    }
}

fn axis(n: i64) -> AttributeProto {
    AttributeProto { name: Some("axis".into()), r#type: Some(2), i: Some(n), ..AttributeProto::default() }
}

fn weight(graph: &mut GraphProto) -> &mut TensorProto {
    graph.initializer.iter_mut().find(|t| t.name() == "classifier.weight").unwrap()
}

fn floats(tensor: &TensorProto) -> Vec<f32> {
    let raw = tensor.raw_data.as_ref().filter(|raw| !raw.is_empty());
    raw.map_or_else(
        || tensor.float_data.clone(),
        |raw| raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
    )
}

fn matmul_and_add(graph: &mut GraphProto) {
    let tensor = weight(graph);
    let (rows, columns) = (tensor.dims[0] as usize, tensor.dims[1] as usize);
    let values = floats(tensor);
    let transposed: Vec<u8> =
        (0..rows * columns).flat_map(|i| values[(i % rows) * columns + i / rows].to_le_bytes()).collect();
    tensor.dims.swap(0, 1);
    tensor.float_data.clear();
    tensor.raw_data = Some(transposed.into());
    graph.node.pop();
    graph.node.push(node("MatMul", &["features", "classifier.weight"], "product", vec![]));
    graph.node.push(node("Add", &["product", "classifier.bias"], LAST, vec![]));
}

fn softmax_behind(graph: &mut GraphProto) {
    graph.node.push(node("Softmax", &[LAST], "softmax", vec![axis(1)]));
    graph.output[0].name = Some("softmax".into());
}

/// As in SqueezeNet: classes by a 1x1 convolution, averaged over positions afterwards.
fn convolution_at_the_end(graph: &mut GraphProto) {
    weight(graph).dims.extend([1, 1]);
    graph.node.truncate(graph.node.len() - 3);
    graph.node.push(node("Conv", &["block3.relu1", "classifier.weight", "classifier.bias"], "classes", vec![]));
    graph.node.push(node("GlobalAveragePool", &["classes"], "pooled", vec![]));
    graph.node.push(node("Flatten", &["pooled"], LAST, vec![axis(1)]));
}

fn tensor_type(value: &mut ValueInfoProto) -> &mut onnx_graph::proto::TensorType {
    match value.r#type.as_mut().unwrap().value.as_mut().unwrap() {
        TypeValue::Tensor(tensor) => tensor,
        _ => panic!("not a tensor"),
    }
}

fn fix_the_batch(graph: &mut GraphProto) {
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        tensor_type(value).shape.as_mut().unwrap().dim[0].value = Some(DimensionValue::DimValue(1));
    }
}

fn to_float16(graph: &mut GraphProto) {
    for tensor in &mut graph.initializer {
        let halves = floats(tensor).into_iter().flat_map(|v| f16::from_f32(v).to_le_bytes()).collect::<Vec<u8>>();
        tensor.float_data.clear();
        tensor.raw_data = Some(halves.into());
        tensor.data_type = Some(ElementType::F16.code());
    }
    for value in graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info) {
        tensor_type(value).elem_type = Some(ElementType::F16.code());
    }
}
