//! Finding the last linear layer, in every way that exporters write it.

use onnx_graph::proto::ModelProto;
use onnx_graph::{ClassifierKind, ElementType, Problem};

use crate::build::{checked, counting, float, floats, int, ints, network, node, proto, value};

/// A model whose nodes read `x` [N, 3] and make `y` [N, 2].
fn dense(nodes: Vec<onnx_graph::proto::NodeProto>, constants: Vec<onnx_graph::proto::TensorProto>) -> ModelProto {
    proto(nodes, constants, value("x", ElementType::F32, &[0, 3]), value("y", ElementType::F32, &[0, 2]))
}

#[test]
fn gemm_behind_dropout_and_softmax() {
    let model = checked(network());
    let found = model.find_classifier().unwrap();
    assert_eq!(found.kind, ClassifierKind::Gemm);
    assert_eq!((found.feature.as_str(), found.logits.as_str()), ("flat", "scores"));
    assert_eq!((found.n_classes, found.feature_dim), (2, 4));
    let layer = model.last_layer(&found).unwrap();
    assert_eq!(layer.weight, [0., 1., 2., 3., 4., 5., 6., 7.]);
    assert_eq!(layer.bias, [0.5, -0.5]);
}

#[test]
fn gemm_with_alpha_beta_and_untransposed_weight() {
    let gemm = node("Gemm", &["x", "w", "b"], "y", &[float("alpha", 2.0), float("beta", 3.0)]);
    let model = checked(dense(vec![gemm], vec![counting("w", &[3, 2]), floats("b", &[1], &[5.0])]));
    let found = model.find_classifier().unwrap();
    assert_eq!((found.n_classes, found.feature_dim), (2, 3));
    let layer = model.last_layer(&found).unwrap();
    // w = [[0, 1], [2, 3], [4, 5]], transposed and doubled; the single bias is for all classes.
    assert_eq!(layer.weight, [0., 4., 8., 2., 6., 10.]);
    assert_eq!(layer.bias, [15., 15.]);
}

#[test]
fn matmul_with_a_bias_on_either_side_or_none() {
    for operands in [["product", "b"], ["b", "product"]] {
        let nodes = vec![node("MatMul", &["x", "w"], "product", &[]), node("Add", &operands, "y", &[])];
        let model = checked(dense(nodes, vec![counting("w", &[3, 2]), floats("b", &[2], &[1., 2.])]));
        let found = model.find_classifier().unwrap();
        assert_eq!((found.kind, found.feature.as_str()), (ClassifierKind::MatMul, "x"));
        let layer = model.last_layer(&found).unwrap();
        assert_eq!(layer.weight, [0., 2., 4., 1., 3., 5.]);
        assert_eq!(layer.bias, [1., 2.]);
    }
    let model = checked(dense(vec![node("MatMul", &["x", "w"], "y", &[])], vec![counting("w", &[3, 2])]));
    let found = model.find_classifier().unwrap();
    assert_eq!(model.last_layer(&found).unwrap().bias, [0., 0.]);
}

#[test]
fn a_weight_behind_transpose_and_cast_in_float16() {
    let half: Vec<u8> = [0x3c00u16, 0x4000, 0x4200, 0xbc00, 0x3800, 0].iter().flat_map(|h| h.to_le_bytes()).collect();
    let mut weight = counting("w", &[2, 3]);
    weight.data_type = Some(ElementType::F16.code());
    weight.raw_data = Some(half.into());
    let nodes = vec![
        node("Transpose", &["w"], "wt", &[ints("perm", &[1, 0])]),
        node("Cast", &["wt"], "wf", &[int("to", 1)]),
        node("MatMul", &["x", "wf"], "y", &[]),
    ];
    let model = checked(dense(nodes, vec![weight]));
    let found = model.find_classifier().unwrap();
    assert_eq!((found.n_classes, found.feature_dim), (2, 3));
    assert_eq!(model.last_layer(&found).unwrap().weight, [1., 2., 3., -1., 0.5, 0.]);
}

/// SqueezeNet's ending: map → 1x1 Conv → (Relu) → average → Flatten.
fn squeezed(rectified: bool) -> ModelProto {
    let mut nodes = vec![
        node("Relu", &["x"], "map", &[]),
        node("Conv", &["map", "w", "b"], "class_maps", &[]),
        node("GlobalAveragePool", &[if rectified { "rectified" } else { "class_maps" }], "means", &[]),
        node("Flatten", &["means"], "y", &[]),
    ];
    if rectified {
        nodes.insert(2, node("Relu", &["class_maps"], "rectified", &[]));
    }
    let constants = vec![counting("w", &[2, 3, 1, 1]), counting("b", &[2])];
    proto(nodes, constants, value("x", ElementType::F32, &[0, 3, 5, 5]), value("y", ElementType::F32, &[0, 2]))
}

#[test]
fn a_convolution_before_the_average() {
    for (rectified, kind) in [(false, ClassifierKind::Convolution), (true, ClassifierKind::RectifiedConvolution)] {
        let model = checked(squeezed(rectified));
        let found = model.find_classifier().unwrap();
        assert_eq!((found.kind, found.feature.as_str(), found.logits.as_str()), (kind, "map", "y"));
        let layer = model.last_layer(&found).unwrap();
        assert_eq!((layer.weight, layer.bias), (vec![0., 1., 2., 3., 4., 5.], vec![0., 1.]));
    }
}

#[test]
fn a_convolution_after_the_average() {
    let nodes = vec![
        node("GlobalAveragePool", &["x"], "means", &[]),
        node("Conv", &["means", "w"], "class_maps", &[]),
        node("Flatten", &["class_maps"], "y", &[]),
    ];
    let (input, output) = (value("x", ElementType::F32, &[0, 3, 5, 5]), value("y", ElementType::F32, &[0, 2]));
    let model = checked(proto(nodes, vec![counting("w", &[2, 3, 1, 1])], input, output));
    let found = model.find_classifier().unwrap();
    assert_eq!((found.kind, found.feature.as_str()), (ClassifierKind::Convolution, "means"));
}

#[test]
fn other_endings_are_refused_with_the_output_and_the_way_out() {
    let endings = [
        vec![node("Relu", &["x"], "y", &[])],
        vec![node("MatMul", &["x", "x"], "y", &[])],
        vec![node("Add", &["x", "x"], "y", &[])],
        vec![node("Gemm", &["x", "w"], "y", &[int("transA", 1)])],
    ];
    for nodes in endings {
        let error = checked(dense(nodes, vec![counting("w", &[3, 2])])).find_classifier().unwrap_err();
        let text = error.to_string();
        assert!(matches!(*error.problem, Problem::NoClassifier { .. }));
        assert!(text.contains("\"y\"") && text.contains("--feature") && text.contains("--list"), "{text}");
    }
}

#[test]
fn the_list_marks_the_automatic_choice() {
    let candidates = checked(network()).candidates();
    let names: Vec<&str> = candidates.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["probs", "scores", "dropped", "flat", "pooled", "positive", "map"]);
    let automatic: Vec<_> = candidates.iter().filter(|c| c.automatic).collect();
    assert_eq!(automatic.len(), 1);
    assert_eq!(
        (automatic[0].name.as_str(), automatic[0].op.as_str(), automatic[0].feature_dim),
        ("flat", "Flatten", 4)
    );
    assert_eq!(candidates[6].tensor.to_string(), "float32 [batch, 4, 8, 8]");
}
