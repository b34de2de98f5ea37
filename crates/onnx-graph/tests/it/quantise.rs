//! Int8. That the rewritten graphs become integer arithmetic in ONNX Runtime 1.31 (QLinearConv, QLinearAdd, no float
//! product left) was seen on ResNet-18, ResNet-56 and MobileNetV2; `tests/e2e` runs one.

use std::collections::HashMap;

use onnx_graph::proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use onnx_graph::{ElementType, Model, Problem, RANGES, Range};

use crate::build::{assert_sound, checked, counting, elements, floats, graph, int, ints, network, node, proto, value};

/// Input → Relu → Conv+BatchNormalization+Relu → MaxPool → Conv, its sum with the pooled, Relu → average → Gemm.
fn residual() -> ModelProto {
    let same = || [ints("pads", &[1, 1, 1, 1]), ints("kernel_shape", &[3, 3])];
    let nodes = vec![
        node("Relu", &["image"], "start", &[]),
        node("Conv", &["start", "w1"], "c1", &same()),
        node("BatchNormalization", &["c1", "gamma", "beta", "mean", "variance"], "n1", &[]),
        node("Relu", &["n1"], "r1", &[]),
        node("MaxPool", &["r1"], "p1", &same()),
        node("Conv", &["p1", "w2", "b2"], "c2", &same()),
        node("Add", &["c2", "p1"], "sum", &[]),
        node("Relu", &["sum"], "r2", &[]),
        node("GlobalAveragePool", &["r2"], "pooled", &[]),
        node("Flatten", &["pooled"], "flat", &[]),
        node("Gemm", &["flat", "w3", "b3"], "y", &[int("transB", 1)]),
    ];
    let constants = vec![
        counting("w1", &[4, 3, 3, 3]),
        floats("gamma", &[4], &[1.0, 2.0, 1.0, 1.0]),
        floats("beta", &[4], &[0.0, 0.0, 0.5, 0.0]),
        floats("mean", &[4], &[0.0, 3.0, 0.0, 0.0]),
        floats("variance", &[4], &[1.0, 4.0, 0.25, 1.0]),
        counting("w2", &[4, 4, 3, 3]),
        counting("b2", &[4]),
        counting("w3", &[2, 4]),
        counting("b3", &[2]),
    ];
    let (input, output) = (value("image", ElementType::F32, &[0, 3, 8, 8]), value("y", ElementType::F32, &[0, 2]));
    proto(nodes, constants, input, output)
}

fn quantised(proto: ModelProto) -> Model {
    let mut model = checked(proto);
    let tensors = model.prepare_quantisation().unwrap();
    model.quantise(&vec![Range { low: 0.0, high: 2.55 }; tensors.len()]).unwrap();
    assert_sound(&model);
    model
}

fn makers(graph: &GraphProto) -> HashMap<&str, &NodeProto> {
    graph.node.iter().flat_map(|node| node.output.iter().map(move |name| (name.as_str(), node))).collect()
}

#[test]
fn everything_between_the_first_convolution_and_the_average_is_in_8_bits() {
    let mut model = checked(residual());
    // The pooled map has the range of what it is pooled from.
    assert_eq!(model.prepare_quantisation().unwrap(), ["start", "r1", "c2", "r2", "flat", "y"]);
    let mut named = residual();
    named.graph.as_mut().unwrap().node.iter_mut().for_each(|node| node.name = node.output.first().cloned());
    let model = quantised(named);
    let made = makers(graph(&model));
    let names: std::collections::HashSet<_> = graph(&model).node.iter().map(NodeProto::name).collect();
    assert_eq!(names.len(), graph(&model).node.len(), "the runtime wants names of nodes to be unique");
    let op = |name: &str| made[name].op_type();
    let products: Vec<_> = graph(&model).node.iter().filter(|n| ["Conv", "Gemm"].contains(&n.op_type())).collect();
    assert_eq!(products.len(), 3);
    for input in products.iter().flat_map(|n| &n.input) {
        assert_eq!(op(input), "DequantizeLinear", "{input}");
    }
    for name in ["start", "r1", "p1", "c2", "r2", "flat", "y"] {
        assert_eq!(op(name), "DequantizeLinear", "{name}");
        assert_eq!(op(&made[name].input[0]), "QuantizeLinear", "{name}");
    }
    // Relu stays between the product and the pair, where the runtime knows what to do with it.
    assert_eq!(op(&made[made["r1"].input[0].as_str()].input[0]), "Relu");
    // MaxPool passes bytes on as they are only if the scales around it are equal.
    assert_eq!(elements(&model, &made["r1"].input[1]), elements(&model, &made["p1"].input[1]));
    assert_eq!(graph(&model).output[0].name(), "y");
}

#[test]
fn batch_normalization_goes_into_the_convolution() {
    let mut model = checked(residual());
    model.prepare_quantisation().unwrap();
    assert_sound(&model);
    let graph = graph(&model);
    assert!(graph.node.iter().all(|node| node.op_type() != "BatchNormalization"));
    let conv = makers(graph)["n1"];
    assert_eq!(conv.op_type(), "Conv");
    let (weight, bias) = (elements(&model, &conv.input[1]), elements(&model, &conv.input[2]));
    // Channel 1: γ/√(σ² + ε) = 2/√4.00001, b = (0 − 3) · that; channel 2: 1/√0.25001, b = 0.5.
    let close =
        |found: f32, expected: f64| assert!((f64::from(found) - expected).abs() < 1e-5 * expected.abs().max(1.0));
    close(weight[27], 27.0 * 2.0 / 4.000_01_f64.sqrt());
    close(weight[54], 54.0 / 0.250_01_f64.sqrt());
    close(bias[1], -3.0 * 2.0 / 4.000_01_f64.sqrt());
    close(bias[2], 0.5);
}

#[test]
fn a_normalisation_that_others_read_past_stays() {
    let mut proto = residual();
    let graph_of = proto.graph.as_mut().unwrap();
    graph_of.node.push(node("GlobalMaxPool", &["c1"], "aside", &[]));
    graph_of.output.push(value("aside", ElementType::F32, &[0, 4, 1, 1]));
    let mut model = checked(proto);
    let tensors = model.prepare_quantisation().unwrap();
    assert!(graph(&model).node.iter().any(|node| node.op_type() == "BatchNormalization"));
    assert!(tensors.contains(&"c1".to_string()), "{tensors:?}");
}

#[test]
fn a_convolution_in_float16_keeps_its_normalisation() {
    let mut proto = residual();
    let nodes = &mut proto.graph.as_mut().unwrap().node;
    // The first convolution between two casts, its weights cast as well.
    nodes[1].input = vec!["half".into(), "w1_half".into()];
    nodes[2].input = ["c1", "gamma", "beta", "mean", "variance"].map(String::from).to_vec();
    nodes.insert(1, node("Cast", &["start"], "half", &[int("to", 10)]));
    nodes.insert(1, node("Cast", &["w1"], "w1_half", &[int("to", 10)]));
    nodes[4].output = vec!["n1_half".into()];
    nodes.insert(5, node("Cast", &["n1_half"], "n1", &[int("to", 1)]));
    let mut model = checked(proto);
    model.prepare_quantisation().unwrap();
    assert!(graph(&model).node.iter().any(|node| node.op_type() == "BatchNormalization"));
}

#[test]
fn a_bias_of_one_number_a_row_is_none_of_the_columns() {
    let mut proto = residual();
    let graph_of = proto.graph.as_mut().unwrap();
    graph_of.initializer.iter_mut().find(|c| c.name() == "b3").unwrap().dims = vec![2, 1];
    let model = quantised(proto);
    let gemm = graph(&model).node.iter().find(|node| node.op_type() == "Gemm").unwrap();
    assert_eq!((gemm.input[1].as_str(), gemm.input[2].as_str()), ("w3", "b3"), "left as it is");
}

#[test]
fn the_ranges_are_one_row_a_picture() {
    for opset in [13, 18] {
        let mut proto = residual();
        proto.opset_import = vec![OperatorSetIdProto { domain: None, version: Some(opset) }];
        let mut model = checked(proto);
        let tensors = model.prepare_quantisation().unwrap();
        model.observe_ranges(&tensors, "y", 2);
        assert_sound(&model);
        let output = &model.metadata().outputs[0];
        assert_eq!((output.name.as_str(), output.tensor.to_string()), (RANGES, "float32 [batch, 14]".to_string()));
        let reduced = graph(&model).node.iter().filter(|n| n.op_type().starts_with("Reduce"));
        assert!(reduced.clone().count() == 12);
        assert!(reduced.clone().all(|n| n.input.len() == if opset < 18 { 1 } else { 2 }), "operator set {opset}");
    }
}

#[test]
fn what_cannot_be_quantised_is_refused_with_the_reason() {
    let problem = |change: fn(&mut ModelProto)| {
        let mut proto = network();
        change(&mut proto);
        checked(proto).prepare_quantisation().map_err(|error| *error.problem)
    };
    let old = problem(|proto| proto.opset_import[0].version = Some(12));
    assert!(matches!(old, Err(Problem::QuantisingNeedsOpset13 { found: 12 })), "{old:?}");
    // A Gemm with factors of its own, and a convolution of what is fed, which is bytes in every graph of ours.
    let none = problem(|proto| {
        let gemm = proto.graph.as_mut().unwrap().node.iter_mut().find(|n| n.op_type() == "Gemm").unwrap();
        gemm.attribute.push(crate::build::float("alpha", 0.5));
    });
    assert!(matches!(none, Err(Problem::NothingToQuantise)), "{none:?}");
    let mut model = checked(residual());
    let tensors = model.prepare_quantisation().unwrap();
    let mut ranges = vec![Range { low: 0.0, high: 1.0 }; tensors.len()];
    ranges[2].high = f32::NAN;
    let error = model.quantise(&ranges).unwrap_err();
    assert!(matches!(&*error.problem, Problem::RangeUnknown { tensor, .. } if tensor == "c2"), "{error}");
}
