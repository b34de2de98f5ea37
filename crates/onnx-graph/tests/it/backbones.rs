//! Networks as other tools write them, and as nobody should, on the whole way from a file to a classifier: each comes
//! out sound or is refused in a sentence.

use onnx_graph::proto::{
    AttributeProto, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TypeValue,
    ValueInfoProto,
};
use onnx_graph::{
    ElementType, FEATURES, Interpolation, LOGITS, Model, PIXELS, PROBABILITIES, Pooling, Preprocessing, Problem,
};

use crate::build::{assert_sound, checked, counting, floats, graph, int, integers, network, node, ops, proto, value};

/// What `feature-extract` and `head-train` do with a file: cut, preprocessing in front, pooling and a head behind.
pub(crate) fn whole_way(proto: ModelProto) -> Model {
    let mut model = checked(proto);
    let found = model.find_classifier().unwrap_or_else(|error| panic!("{error}"));
    model.last_layer(&found).unwrap_or_else(|error| panic!("{error}"));
    model.cut(&found.feature).unwrap();
    let preprocessing = Preprocessing {
        stored_height: 4,
        stored_width: 4,
        height: 8,
        width: 8,
        scale: 1.0 / 255.0,
        mean: [0.5; 3],
        std: [0.25; 3],
        interpolation: Interpolation::Bicubic,
    };
    model.prepend_preprocessing(&preprocessing).unwrap();
    let dim = model.append_pooling(Pooling::Auto).unwrap();
    assert_sound(&model);
    model.append_head(&vec![0.5; 3 * dim as usize], &[0.0, 1.0, 2.0], 1.5).unwrap();
    assert_sound(&model);
    let names: Vec<_> = model.metadata().outputs.into_iter().map(|port| port.name).collect();
    assert_eq!(names, [PROBABILITIES, LOGITS, FEATURES]);
    let inputs = model.metadata().inputs;
    assert_eq!((inputs.len(), inputs[0].name.as_str()), (1, PIXELS));
    model
}

fn batch_of(value: &mut ValueInfoProto) -> &mut DimensionValue {
    let Some(TypeValue::Tensor(tensor)) = value.r#type.as_mut().unwrap().value.as_mut() else { panic!("no tensor") };
    tensor.shape.as_mut().unwrap().dim[0].value.as_mut().unwrap()
}

/// The network with every name given another, wherever it stands.
fn renamed(mut proto: ModelProto, new: impl Fn(&str) -> String) -> ModelProto {
    let graph = proto.graph.as_mut().unwrap();
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).chain(&mut node.name).for_each(|name| *name = new(name));
    }
    graph.initializer.iter_mut().for_each(|tensor| tensor.name = Some(new(tensor.name())));
    graph.input.iter_mut().chain(&mut graph.output).for_each(|value| value.name = Some(new(value.name())));
    proto
}

#[test]
fn names_that_are_ours() {
    let ours = [
        ("image", "probabilities"),
        ("conv.weight", "preprocess_factor"),
        ("conv.bias", "head_weight"),
        ("map", "pixels"),
        ("positive", "feature"),
        ("pooled", "features"),
        ("flat", "logits"),
        ("dropped", "head_gemm"),
        ("fc.weight", "head_bias"),
        ("scores", "preprocess_cast"),
        ("node of pooled", "head_softmax"),
        ("probs", "head_temperature"),
    ];
    let model = whole_way(renamed(network(), |name| {
        ours.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, our)| our).to_owned()
    }));
    // The tensors that had the names of our ports still lead to one another.
    let pooled = graph(&model).node.iter().find(|n| n.op_type() == "GlobalAveragePool").unwrap();
    assert_eq!((pooled.input[0].as_str(), pooled.output[0].as_str()), ("feature_1", "features_1"));
    // Whatever is swapped among them, the way is the same.
    for shift in 0..ours.len() {
        whole_way(renamed(network(), |name| {
            let at = ours.iter().position(|(theirs, _)| *theirs == name);
            at.map_or(name, |at| ours[(at + shift) % ours.len()].1).to_owned()
        }));
    }
}

#[test]
fn names_that_are_ours_inside_a_branch() {
    let branch = |name: &str, output: &str| AttributeProto {
        name: Some(name.into()),
        r#type: Some(5),
        g: Some(GraphProto {
            name: Some(name.into()),
            node: vec![
                node("Add", &["pixels", "features"], "head_weight", &[]),
                node("Relu", &["head_weight"], output, &[]),
            ],
            output: vec![value(output, ElementType::F32, &[0, 4])],
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut proto = renamed(network(), |name| if name == "flat" { "pixels".into() } else { name.into() });
    let inner = proto.graph.as_mut().unwrap();
    let branches = [branch("then_branch", "logits"), branch("else_branch", "probabilities")];
    inner.node[5] = node("If", &["flag"], "dropped", &branches);
    inner.initializer.push(counting("features", &[4]));
    let element = ElementType::Bool.code();
    inner.initializer.push(TensorProto {
        data_type: Some(element),
        raw_data: Some(vec![1].into()),
        ..counting("flag", &[])
    });
    // What a branch gives has no rank that could be told.
    inner.value_info.push(value("dropped", ElementType::F32, &[0, 4]));
    let model = whole_way(proto);
    let outside: Vec<&String> = graph(&model).node.iter().flat_map(|node| &node.output).collect();
    let branches = graph(&model).node.iter().flat_map(|node| &node.attribute).filter_map(|a| a.g.as_ref());
    let inside: Vec<&String> = branches.flat_map(|graph| &graph.node).flat_map(|node| &node.output).collect();
    assert_eq!(inside.len(), 4);
    assert!(inside.iter().all(|name| !outside.contains(name)), "{inside:?} and {outside:?}");
}

#[test]
fn names_of_odd_characters() {
    let marks = ["/", " ", "\"", "'", "\n", "\0", "\\", "{}", "%s", "::", "名前", "\u{202e}", "🦀", "\u{1b}[31m"];
    for mark in marks {
        let odd = |name: &str| format!("{mark}{name}{mark}");
        let model = whole_way(renamed(network(), odd));
        assert!(ops(&model).contains(&"Conv"), "{mark:?}");
        // In messages they are escaped, so that a terminal is not moved.
        let mut two = renamed(network(), odd);
        two.graph.as_mut().unwrap().output.push(value(&odd("aside"), ElementType::F32, &[0, 4]));
        let mut foreign = renamed(network(), odd);
        foreign.graph.as_mut().unwrap().node[1].op_type = Some(odd("Op"));
        let mut map = network();
        let inner = map.graph.as_mut().unwrap();
        inner.output = vec![value("map", ElementType::F32, &[0, 4, 8, 8])];
        *batch_of(&mut inner.input[0]) = DimensionValue::DimParam(odd("batch"));
        for error in [
            checked(renamed(network(), odd)).cut(&odd("poole")).unwrap_err(),
            checked(two).append_pooling(Pooling::Auto).unwrap_err(),
            checked(foreign).find_classifier_before(&odd("positive")).unwrap_err(),
            checked(map).append_head(&[], &[1.0], 1.0).unwrap_err(),
        ] {
            assert!(!error.to_string().contains(['\n', '\0', '\u{1b}', '\u{202e}']), "{:?}", error.to_string());
        }
    }
    whole_way(renamed(network(), |name| name.repeat(5000)));
}

#[test]
fn several_outputs() {
    // The first leads to the classifier; others, of any kind, go with the cut.
    let mut proto = network();
    let inner = proto.graph.as_mut().unwrap();
    inner.output.push(value("aside", ElementType::F32, &[0, 4, 8, 8]));
    inner.output.push(value("conv.bias", ElementType::F32, &[4]));
    inner.output.push(value("image", ElementType::F32, &[0, 3, 8, 8]));
    whole_way(proto.clone());
    let mut model = checked(proto);
    let error = model.append_pooling(Pooling::Auto).unwrap_err().to_string();
    assert!(error.contains("has 4 outputs (probs, aside, conv.bias, image), expected one; cut it first"), "{error}");
    assert!(matches!(*model.append_head(&[], &[], 1.0).unwrap_err().problem, Problem::SeveralOutputs { .. }));

    // A node that gives several: the second one is cut out, the first stays unread.
    let mut proto = network();
    let inner = proto.graph.as_mut().unwrap();
    let mut split = node("Split", &["flat"], "left", &[int("axis", 1)]);
    split.output.push("right".into());
    inner.node.push(split);
    let mut model = checked(proto);
    model.cut("right").unwrap();
    assert_eq!(model.append_pooling(Pooling::Auto).unwrap(), 2);
    assert_sound(&model);
}

#[test]
fn a_batch_size_that_the_model_fixes() {
    let mut proto = network();
    let inner = proto.graph.as_mut().unwrap();
    inner.input = vec![value("image", ElementType::F32, &[4, 3, 8, 8])];
    inner.output = vec![value("probs", ElementType::F32, &[4, 2])];
    // Exporters write the batch into the target of the reshape as well.
    inner.node[4] = node("Reshape", &["pooled", "target"], "flat", &[]);
    inner.initializer.push(integers("target", &[4, 4]));
    let model = whole_way(proto);
    let (inputs, outputs) = (model.metadata().inputs, model.metadata().outputs);
    assert_eq!(inputs[0].tensor.to_string(), "uint8 [4, 4, 4, 3]");
    let shapes: Vec<_> = outputs.iter().map(|port| port.tensor.to_string()).collect();
    assert_eq!(shapes, ["float32 [4, 3]", "float32 [4, 3]", "float32 [4, 4]"]);
}

#[test]
fn no_standard_operator_set() {
    let import = |domain: &str, version| OperatorSetIdProto { domain: Some(domain.into()), version: Some(version) };
    let mut proto = network();
    proto.opset_import = vec![import("com.microsoft", 1), import("ai.onnx.ml", 3)];
    let error = Model::from_proto(proto.clone(), "net.onnx").unwrap_err().to_string();
    assert!(error.starts_with("net.onnx: has no operator set (`opset_import`)"), "{error}");
    // Its long name is the same one.
    proto.opset_import = vec![import("com.microsoft", 1), import("ai.onnx", 13)];
    whole_way(proto);
}

#[test]
fn nodes_in_a_circle_or_with_nothing_to_read() {
    let refused = |change: &dyn Fn(&mut Vec<NodeProto>)| {
        let mut proto = network();
        change(&mut proto.graph.as_mut().unwrap().node);
        *Model::from_proto(proto, "net.onnx").unwrap_err().problem
    };
    let own = refused(&|nodes| nodes[1].input[0] = "positive".into());
    assert!(matches!(own, Problem::OutOfOrder { .. }), "{own}");
    let circle = refused(&|nodes| nodes[0].input[0] = "probs".into());
    assert!(matches!(circle, Problem::OutOfOrder { .. }), "{circle}");
    let dangling = refused(&|nodes| nodes[6].input[1] = "gone".into());
    assert!(matches!(dangling, Problem::Dangling { .. }), "{dangling}");
    // Also where the nodes are of no use to the output.
    let aside = refused(&|nodes| nodes[2].input[1] = "gone".into());
    assert!(matches!(aside, Problem::Dangling { .. }), "{aside}");
    // Nodes without inputs or outputs where some are needed are read, and simply not understood.
    for at in 0..8 {
        for (inputs, outputs) in [(0, 1), (9, 0), (1, 1)] {
            let mut proto = network();
            let inner = proto.graph.as_mut().unwrap();
            inner.node[at].input.truncate(inputs);
            inner.node[at].output.truncate(outputs);
            if let Ok(mut model) = Model::from_proto(proto, "net.onnx") {
                let _ = (model.find_classifier(), model.candidates(), model.image_input());
                let _ = (model.cut("flat"), model.append_pooling(Pooling::Auto), model.randomise_weights(1));
            }
        }
    }
}

#[test]
fn tensors_without_a_name() {
    for change in [
        |graph: &mut GraphProto| graph.initializer.push(floats("", &[1], &[1.0])),
        |graph: &mut GraphProto| graph.input.push(value("", ElementType::F32, &[1])),
        |graph: &mut GraphProto| {
            graph.initializer.push(counting("", &[1]));
            graph.output = vec![value("", ElementType::F32, &[0, 2])];
        },
    ] {
        let mut proto = proto_of_network();
        change(proto.graph.as_mut().unwrap());
        let error = Model::from_proto(proto, "net.onnx").unwrap_err().to_string();
        assert!(error.contains("has no name on one of its"), "{error}");
    }
}

fn proto_of_network() -> ModelProto {
    let inner = network().graph.unwrap();
    let (input, output) = (inner.input[0].clone(), inner.output[0].clone());
    proto(inner.node, inner.initializer, input, output)
}
