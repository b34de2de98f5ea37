//! Drawing weights again.

use onnx_graph::{ElementType, Problem};

use crate::build::{checked, counting, elements, graph, int, ints, network, node, proto, value};

/// 64 inputs → MatMul to 256 with bias → BatchNormalization → Gemm to 2.
fn wide() -> onnx_graph::proto::ModelProto {
    let nodes = vec![
        node("MatMul", &["x", "w"], "product", &[]),
        node("Add", &["product", "b"], "sum", &[]),
        node("BatchNormalization", &["sum", "scale", "shift", "mean", "var"], "normal", &[]),
        node("Transpose", &["v"], "vt", &[ints("perm", &[1, 0])]),
        node("Gemm", &["normal", "vt"], "y", &[]),
    ];
    let mut constants = vec![counting("w", &[64, 256]), counting("b", &[256]), counting("v", &[2, 256])];
    constants.extend(["scale", "shift", "mean", "var"].map(|name| counting(name, &[256])));
    let (input, output) = (value("x", ElementType::F32, &[0, 64]), value("y", ElementType::F32, &[0, 2]));
    proto(nodes, constants, input, output)
}

#[test]
fn weights_have_he_variance_and_biases_are_zero() {
    let mut model = checked(wide());
    assert_eq!(model.randomise_weights(7).unwrap(), 2);
    let w = elements(&model, "w");
    let mean = w.iter().map(|x| f64::from(*x)).sum::<f64>() / w.len() as f64;
    let variance = w.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / w.len() as f64;
    // 16384 draws: one standard error of the variance is 1.1 %, of the mean 0.0014.
    assert!((variance / (2.0 / 64.0) - 1.0).abs() < 0.05, "{variance}");
    assert!(mean.abs() < 0.007, "{mean}");
    let v = elements(&model, "v");
    let variance = v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / v.len() as f64;
    assert!((variance / (2.0 / 256.0) - 1.0).abs() < 0.3, "the fan-in is that after transposing: {variance}");
    assert!(elements(&model, "b").iter().all(|b| *b == 0.0));
    let untouched: Vec<f32> = (0..256).map(|i| i as f32).collect();
    assert_eq!(elements(&model, "scale"), untouched);
}

#[test]
fn the_seed_decides_and_nothing_else() {
    let draw = |seed| {
        let mut model = checked(network());
        model.randomise_weights(seed).unwrap();
        model.encode().unwrap()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn each_tensor_has_a_stream_of_its_own() {
    let mut model = checked(network());
    model.randomise_weights(1).unwrap();
    let (conv, fc) = (elements(&model, "conv.weight"), elements(&model, "fc.weight"));
    let ratio = |i: usize| fc[i] / conv[i];
    assert!((ratio(0) - ratio(1)).abs() > 1e-3);
}

#[test]
fn half_floats_stay_half() {
    let mut half = wide();
    let w = &mut half.graph.as_mut().unwrap().initializer[0];
    w.data_type = Some(ElementType::F16.code());
    w.raw_data = Some(vec![0; 64 * 256 * 2].into());
    let mut model = checked(half);
    model.randomise_weights(7).unwrap();
    let w = &graph(&model).initializer[0];
    assert_eq!((w.data_type(), w.raw_data().len()), (ElementType::F16.code(), 64 * 256 * 2));
    assert!(w.raw_data().iter().any(|byte| *byte != 0));
}

#[test]
fn a_model_without_weights_is_refused() {
    let shape = [0, 4];
    let nodes = vec![node("Softmax", &["x"], "y", &[int("axis", 1)])];
    let mut model =
        checked(proto(nodes, vec![], value("x", ElementType::F32, &shape), value("y", ElementType::F32, &shape)));
    assert!(matches!(*model.randomise_weights(1).unwrap_err().problem, Problem::NothingToRandomise));
}
