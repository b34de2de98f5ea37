//! Shape inference, seen through what `cut` declares. Expected shapes were worked out by the
//! formulas of the ONNX operator reference (operator set 13).

use onnx_graph::ElementType;
use onnx_graph::proto::{AttributeProto, NodeProto, TensorProto};

use crate::build::{checked, counting, int, integers, ints, node, proto, value};

/// The shape of `y`, made from `x` of shape `dims`, when nothing is declared.
fn shape(dims: &[i64], mut nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> String {
    nodes.push(node("Relu", &["y"], "end", &[]));
    let (input, output) = (value("x", ElementType::F32, dims), value("end", ElementType::F32, &[]));
    let mut model = checked(proto(nodes, constants, input, output));
    model.cut("y").expect("y is made by a node");
    let text = model.metadata().outputs[0].tensor.to_string();
    text.strip_prefix("float32 ").expect("the type follows").to_owned()
}

fn one(op: &str, inputs: &[&str], attributes: &[AttributeProto], dims: &[i64], constants: Vec<TensorProto>) -> String {
    shape(dims, vec![node(op, inputs, "y", attributes)], constants)
}

#[test]
fn windows_slide() {
    let conv = |attributes: &[AttributeProto]| {
        one("Conv", &["x", "w"], attributes, &[0, 3, 224, 224], vec![counting("w", &[8, 3, 7, 7])])
    };
    assert_eq!(conv(&[ints("strides", &[2, 2]), ints("pads", &[3, 3, 3, 3])]), "[batch, 8, 112, 112]");
    assert_eq!(conv(&[ints("dilations", &[2, 2])]), "[batch, 8, 212, 212]");
    let same = AttributeProto { name: Some("auto_pad".into()), s: Some("SAME_UPPER".into()), ..Default::default() };
    assert_eq!(conv(&[ints("strides", &[3, 3]), same]), "[batch, 8, 75, 75]");
    let pool = |ceil| {
        one(
            "MaxPool",
            &["x"],
            &[ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), int("ceil_mode", ceil)],
            &[0, 8, 112, 112],
            vec![],
        )
    };
    assert_eq!((pool(0), pool(1)), ("[batch, 8, 55, 55]".to_owned(), "[batch, 8, 56, 56]".to_owned()));
    assert_eq!(one("GlobalAveragePool", &["x"], &[], &[0, 8, 0, 0], vec![]), "[batch, 8, 1, 1]");
}

#[test]
fn products_and_broadcasts() {
    assert_eq!(one("MatMul", &["x", "w"], &[], &[0, 197, 32], vec![counting("w", &[32, 5])]), "[batch, 197, 5]");
    assert_eq!(one("Gemm", &["x", "w"], &[int("transB", 1)], &[0, 32], vec![counting("w", &[5, 32])]), "[batch, 5]");
    assert_eq!(one("Add", &["x", "w"], &[], &[0, 1, 4], vec![counting("w", &[6, 1])]), "[batch, 6, 4]");
    assert_eq!(one("ReduceMean", &["x"], &[ints("axes", &[-1]), int("keepdims", 0)], &[0, 6, 4], vec![]), "[batch, 6]");
}

#[test]
fn axes_move_and_join() {
    let target = |list: &[i64]| vec![integers("t", list)];
    assert_eq!(one("Reshape", &["x", "t"], &[], &[0, 8, 7, 7], target(&[0, -1])), "[batch, 392]");
    assert_eq!(one("Reshape", &["x", "t"], &[], &[0, 8, 1, 1], target(&[-1, 8])), "[batch, 8]");
    assert_eq!(one("Transpose", &["x"], &[ints("perm", &[0, 2, 1])], &[0, 8, 49], vec![]), "[batch, 49, 8]");
    assert_eq!(one("Concat", &["x", "x"], &[int("axis", 1)], &[0, 8, 5], vec![]), "[batch, 16, 5]");
    assert_eq!(one("Squeeze", &["x", "t"], &[], &[0, 8, 1, 1], target(&[2, 3])), "[batch, 8]");
    assert_eq!(one("Unsqueeze", &["x", "t"], &[], &[0, 8], target(&[1])), "[batch, 1, 8]");
    let slice = vec![integers("s", &[1]), integers("e", &[i64::MAX]), integers("a", &[1])];
    assert_eq!(one("Slice", &["x", "s", "e", "a"], &[], &[0, 197, 8], slice), "[batch, 196, 8]");
}

#[test]
fn splits_have_the_stated_sizes_or_equal_ones() {
    let second = |inputs: &[&str], attributes: &[AttributeProto], n: usize, constants: Vec<TensorProto>| {
        let mut split = node("Split", inputs, "first", attributes);
        split.output.extend(["y", "third"].iter().take(n - 1).map(ToString::to_string));
        shape(&[0, 6, 24], vec![split], constants)
    };
    let sizes = || vec![integers("sizes", &[16, 6, 2])];
    assert_eq!(second(&["x", "sizes"], &[int("axis", 2)], 3, sizes()), "[batch, 6, 6]");
    assert_eq!(second(&["x", "sizes"], &[int("axis", -1)], 3, sizes()), "[batch, 6, 6]");
    // Up to operator set 12 the sizes are an attribute.
    assert_eq!(second(&["x"], &[int("axis", 1), ints("split", &[1, 5])], 2, vec![]), "[batch, 5, 24]");
    assert_eq!(second(&["x"], &[int("axis", 2)], 3, vec![]), "[batch, 6, 8]");
    // What does not divide is not told.
    assert_eq!(second(&["x"], &[int("axis", 0)], 2, vec![]), "[?, 6, 24]");
}

/// `x.view(x.size(0), -1)` as PyTorch's older exporter writes it.
#[test]
fn computed_targets_are_followed() {
    let nodes = vec![
        node("Shape", &["x"], "shape", &[]),
        node("Gather", &["shape", "first"], "n", &[int("axis", 0)]),
        node("Concat", &["n", "rest"], "target", &[int("axis", 0)]),
        node("Reshape", &["x", "target"], "y", &[]),
    ];
    let constants = vec![integers("first", &[0]), integers("rest", &[-1])];
    assert_eq!(shape(&[0, 8, 7, 7], nodes, constants), "[batch, 392]");
}

#[test]
fn what_no_rule_knows_stays_unknown_or_as_declared() {
    assert_eq!(one("Einsum", &["x"], &[], &[0, 8], vec![]), "unknown");
    let mut model = proto(
        vec![node("Einsum", &["x"], "y", &[]), node("Relu", &["y"], "end", &[])],
        vec![],
        value("x", ElementType::F32, &[0, 8]),
        value("end", ElementType::F32, &[]),
    );
    model.graph.as_mut().expect("a graph").value_info.push(value("y", ElementType::F32, &[0, 5]));
    let mut model = checked(model);
    model.cut("y").expect("y is made by a node");
    assert_eq!(model.metadata().outputs[0].tensor.to_string(), "float32 [batch, 5]");
}
