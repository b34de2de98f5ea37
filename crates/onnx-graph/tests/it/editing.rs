//! Cutting, pooling, and putting a head behind.

use onnx_graph::proto::{GraphProto, ModelProto, TensorProto};
use onnx_graph::{Dim, ElementType, FEATURE, FEATURES, LOGITS, Model, PROBABILITIES, Pooling, Problem};

use crate::build::{assert_sound, checked, counting, elements, graph, network, node, ops, proto, value};

#[test]
fn cutting_keeps_only_what_the_tensor_needs() {
    let mut model = checked(network());
    model.cut("flat").unwrap();
    assert_eq!(ops(&model), ["Conv", "Relu", "GlobalAveragePool", "Flatten"]);
    let constants: Vec<&str> = graph(&model).initializer.iter().map(TensorProto::name).collect();
    assert_eq!(constants, ["conv.weight", "conv.bias"]);
    let outputs = model.metadata().outputs;
    assert_eq!(outputs.len(), 1);
    assert_eq!(outputs[0].tensor.shape, Some(vec![Dim::Named("batch".into()), Dim::Fixed(4)]));
    assert_sound(&model);
}

#[test]
fn cutting_drops_inputs_that_nothing_needs() {
    let mut proto = network();
    let graph = proto.graph.as_mut().unwrap();
    graph.input.push(value("other", ElementType::F32, &[0, 4]));
    graph.node[6] = node("Sum", &["dropped", "other"], "scores", &[]);
    let mut model = checked(proto);
    model.cut("dropped").unwrap();
    assert_eq!(model.metadata().inputs.len(), 1);
    assert_sound(&model);
}

#[test]
fn what_a_subgraph_reads_from_outside_is_kept() {
    let branch = |output: &str| GraphProto {
        node: vec![node("Add", &["flat", "fc.bias2"], output, &[])],
        output: vec![value(output, ElementType::F32, &[0, 4])],
        ..Default::default()
    };
    let mut proto = network();
    let inner = proto.graph.as_mut().unwrap();
    inner.initializer.push(counting("fc.bias2", &[4]));
    inner.initializer.push(TensorProto {
        data_type: Some(ElementType::Bool.code()),
        raw_data: Some(vec![1].into()),
        ..counting("flag", &[])
    });
    let mut conditional = node("If", &["flag"], "chosen", &[]);
    for (name, output) in [("then_branch", "a"), ("else_branch", "b")] {
        let graph = Some(branch(output));
        let attribute = onnx_graph::proto::AttributeProto {
            name: Some(name.into()),
            g: graph,
            r#type: Some(5),
            ..Default::default()
        };
        conditional.attribute.push(attribute);
    }
    inner.node.push(conditional);
    let mut model = checked(proto);
    model.cut("chosen").unwrap();
    assert_eq!(ops(&model), ["Conv", "Relu", "GlobalAveragePool", "Flatten", "If"]);
    assert!(graph(&model).initializer.iter().any(|c| c.name() == "fc.bias2"));
    assert_sound(&model);
}

#[test]
fn a_misspelt_tensor_gets_suggestions_and_others_a_reason() {
    let mut model = checked(network());
    let error = model.cut("pool").unwrap_err();
    assert!(error.to_string().contains("did you mean \"pooled\""), "{error}");
    for name in ["image", "fc.weight"] {
        assert!(matches!(*model.cut(name).unwrap_err().problem, Problem::NotCuttable { .. }));
    }
    assert_eq!(model.proto(), &network(), "a refused cut changes nothing");
}

/// An identity network with an output of the given type.
fn giving(element: ElementType, dims: &[i64]) -> ModelProto {
    proto(vec![node("Relu", &["x"], "y", &[])], vec![], value("x", element, dims), value("y", element, dims))
}

fn pooled(proto: ModelProto, pooling: Pooling) -> (Model, u64) {
    let mut model = checked(proto);
    let dim = model.append_pooling(pooling).expect("it can be pooled");
    assert_sound(&model);
    let output = &model.metadata().outputs[0];
    assert_eq!(output.name, FEATURE);
    assert_eq!(output.tensor.to_string(), format!("float32 [batch, {dim}]"));
    (model, dim)
}

#[test]
fn each_rank_becomes_a_vector() {
    let cases: [(&[i64], Pooling, &[&str], u64); 6] = [
        (&[0, 6], Pooling::Auto, &["Relu", "Identity"], 6),
        (&[0, 6, 4, 4], Pooling::Auto, &["Relu", "GlobalAveragePool", "Flatten"], 6),
        (&[0, 197, 6], Pooling::Auto, &["Relu", "Gather"], 6),
        (&[0, 49, 6], Pooling::Auto, &["Relu", "ReduceMean"], 6),
        (&[0, 201, 6], Pooling::ClassToken, &["Relu", "Gather"], 6),
        (&[0, 197, 6], Pooling::Mean, &["Relu", "ReduceMean"], 6),
    ];
    for (dims, pooling, expected, feature_dim) in cases {
        let (model, dim) = pooled(giving(ElementType::F32, dims), pooling);
        assert_eq!((ops(&model).as_slice(), dim), (expected, feature_dim), "{dims:?} {pooling:?}");
    }
}

#[test]
fn half_floats_are_cast_before_they_are_averaged() {
    let (model, _) = pooled(giving(ElementType::F16, &[0, 6, 4, 4]), Pooling::Auto);
    assert_eq!(ops(&model), ["Relu", "Cast", "GlobalAveragePool", "Flatten"]);
}

#[test]
fn the_axes_of_the_token_mean_follow_the_operator_set() {
    let mut new = giving(ElementType::F32, &[0, 49, 6]);
    new.opset_import[0].version = Some(18);
    for (proto, n_inputs, n_axes) in [(new, 2, 0), (giving(ElementType::F32, &[0, 49, 6]), 1, 1)] {
        let (model, _) = pooled(proto, Pooling::Auto);
        let mean = &graph(&model).node[1];
        assert_eq!(mean.input.len(), n_inputs);
        assert_eq!(mean.attribute.iter().filter(|a| a.name() == "axes").count(), n_axes);
    }
}

#[test]
fn what_cannot_be_pooled_is_refused() {
    let cases: [(ElementType, &[i64], Pooling); 6] = [
        (ElementType::I64, &[0, 6], Pooling::Auto),
        (ElementType::F32, &[0, 6], Pooling::Mean),
        (ElementType::F32, &[0, 201, 6], Pooling::Auto),
        (ElementType::F32, &[0, 6, 4, 4], Pooling::ClassToken),
        (ElementType::F32, &[0, 0], Pooling::Auto),
        (ElementType::F32, &[0, 1, 2, 3, 4], Pooling::Auto),
    ];
    for (element, dims, pooling) in cases {
        let error = checked(giving(element, dims)).append_pooling(pooling).unwrap_err();
        assert!(matches!(*error.problem, Problem::NotPoolable { .. }), "{dims:?} {pooling:?}: {error}");
    }
}

#[test]
fn a_tensor_that_has_the_name_already_is_renamed() {
    let mut proto = giving(ElementType::F32, &[0, 6]);
    let inner = proto.graph.as_mut().unwrap();
    inner.node = vec![node("Relu", &["x"], "feature", &[]), node("Abs", &["feature"], "y", &[])];
    let (model, _) = pooled(proto, Pooling::Auto);
    assert_eq!(graph(&model).node[0].output, ["feature_1"]);
    assert_eq!(graph(&model).node[1].input, ["feature_1"]);
}

#[test]
fn old_files_with_new_constants_move_to_ir_version_4() {
    let mut proto = giving(ElementType::F32, &[0, 197, 6]);
    proto.ir_version = Some(3);
    assert_eq!(pooled(proto, Pooling::Auto).0.metadata().ir_version, 4);
}

#[test]
fn a_head_gives_probabilities_and_logits() {
    let mut model = checked(network());
    model.cut("flat").unwrap();
    model.append_pooling(Pooling::Auto).unwrap();
    model.append_head(&[0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11.], &[1., 2., 3.], 2.0).unwrap();
    assert_eq!(ops(&model)[4..], ["Identity", "Gemm", "Div", "Softmax"]);
    let outputs = model.metadata().outputs;
    let names: Vec<_> = outputs.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(names, [PROBABILITIES, LOGITS, FEATURES]);
    assert_eq!(outputs[2].tensor.to_string(), "float32 [batch, 4]");
    assert_eq!(outputs[0].tensor.to_string(), "float32 [batch, 3]");
    assert_eq!(elements(&model, "head_bias"), [1., 2., 3.]);
    assert_eq!(elements(&model, "head_temperature"), [2.0]);
    assert_sound(&model);
    // What was put on is what is found.
    let found = model.find_classifier_before(LOGITS).unwrap();
    assert_eq!((found.feature.as_str(), found.logits.as_str(), found.n_classes), ("flat", LOGITS, 3));
}

#[test]
fn a_head_of_the_wrong_size_is_refused() {
    let mut model = checked(giving(ElementType::F32, &[0, 6]));
    for (weight, bias) in [(vec![0.; 11], vec![0.; 2]), (vec![], vec![])] {
        assert!(matches!(*model.append_head(&weight, &bias, 1.0).unwrap_err().problem, Problem::Head { .. }));
    }
    let mut model = checked(giving(ElementType::F32, &[0, 6]));
    for temperature in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(matches!(*model.append_head(&[0.; 6], &[0.], temperature).unwrap_err().problem, Problem::Head { .. }));
    }
    let mut map = checked(giving(ElementType::F32, &[0, 6, 2, 2]));
    assert!(matches!(*map.append_head(&[0.; 6], &[0.], 1.0).unwrap_err().problem, Problem::Head { .. }));
}

#[test]
fn raw_pixels_are_a_model_too() {
    let model = Model::of_pixels(4, 5).unwrap();
    assert_eq!(ops(&model), ["Cast", "Div", "Flatten"]);
    assert_eq!(model.metadata().inputs[0].tensor.to_string(), "uint8 [batch, 4, 5, 3]");
    assert_eq!(model.metadata().outputs[0].tensor.to_string(), "float32 [batch, 60]");
    assert_sound(&model);
    assert!(Model::of_pixels(0, 5).is_err() && Model::of_pixels(u64::MAX, 2).is_err());
}
