//! Weights as other tools store them: listed as inputs, in Constant nodes, behind copies, in another file.

use onnx_graph::proto::{ModelProto, NodeProto, StringStringEntryProto, TensorProto};
use onnx_graph::{ElementType, Model};

use crate::backbones::whole_way;
use crate::build::{assert_sound, checked, graph, int, network, node, ops, value};

/// All initialisers listed as inputs too, in front of the picture.
fn listed(ir_version: i64) -> ModelProto {
    let mut proto = network();
    proto.ir_version = Some(ir_version);
    let inner = proto.graph.as_mut().unwrap();
    let listed = inner.initializer.iter().map(|t| value(t.name(), ElementType::F32, &t.dims));
    inner.input.splice(0..0, listed.collect::<Vec<_>>());
    proto
}

#[test]
fn weights_that_are_listed_as_inputs() {
    for ir_version in [3, 8] {
        let model = whole_way(listed(ir_version));
        assert_eq!(model.metadata().ir_version, ir_version.max(4));
        // From version 4 on, a weight that is listed may be overridden, and the runtime fuses nothing into it.
        assert_eq!(graph(&model).input.len(), 1, "IR version {ir_version}");
    }
}

/// The network with its weights in Constant nodes.
fn with_constant_nodes() -> ModelProto {
    let mut proto = network();
    let inner = proto.graph.as_mut().unwrap();
    let constants = std::mem::take(&mut inner.initializer).into_iter().map(constant_node);
    inner.node.splice(0..0, constants.collect::<Vec<_>>());
    proto
}

fn constant_node(tensor: TensorProto) -> NodeProto {
    let mut constant = node("Constant", &[], tensor.name(), &[int("value", 0)]);
    constant.attribute[0].i = None;
    constant.attribute[0].r#type = Some(4);
    constant.attribute[0].t = Some(tensor);
    constant
}

#[test]
fn weights_in_constant_nodes() {
    let model = checked(with_constant_nodes());
    let found = model.find_classifier().unwrap();
    let layer = model.last_layer(&found).unwrap();
    assert_eq!((layer.weight, layer.bias), (vec![0., 1., 2., 3., 4., 5., 6., 7.], vec![0.5, -0.5]));
    let cut = whole_way(with_constant_nodes());
    assert_eq!(
        ops(&cut).iter().filter(|op| **op == "Constant").count(),
        2,
        "those of the branch and the layer are gone"
    );
}

#[test]
fn weights_in_constant_nodes_are_drawn_again_too() {
    let (mut stored, mut made) = (checked(network()), checked(with_constant_nodes()));
    assert_eq!((stored.randomise_weights(1).unwrap(), made.randomise_weights(1).unwrap()), (2, 2));
    let layer = |model: &Model| model.last_layer(&model.find_classifier().unwrap()).unwrap();
    assert_eq!(layer(&stored).weight.len(), 8);
    assert_ne!(layer(&made).weight, [0., 1., 2., 3., 4., 5., 6., 7.]);
    assert_eq!(layer(&made).bias, [0., 0.]);
    assert_sound(&made);
}

#[test]
fn a_weight_behind_very_many_copies() {
    let mut proto = network();
    let inner = proto.graph.as_mut().unwrap();
    let n = 200_000;
    inner.node[6].input[1] = format!("copy {n}");
    let source = |i: usize| if i == 1 { "fc.weight".to_owned() } else { format!("copy {}", i - 1) };
    let copies = (1..=n).map(|i| node("Identity", &[&source(i)], &format!("copy {i}"), &[]));
    inner.node.splice(0..0, copies.collect::<Vec<_>>());
    let model = checked(proto);
    let layer = model.last_layer(&model.find_classifier().unwrap()).unwrap();
    assert_eq!(layer.weight, [0., 1., 2., 3., 4., 5., 6., 7.]);
}

#[test]
fn weights_in_another_file_are_not_taken_for_none() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("weights.bin"), [0; 32]).unwrap();
    for dims in [vec![2, 4], vec![1 << 40, 1 << 40], vec![1 << 62, 4]] {
        for transposed in [0, 1] {
            let mut proto = network();
            let inner = proto.graph.as_mut().unwrap();
            inner.node[6] = node("Gemm", &["dropped", "fc.weight"], "scores", &[int("transB", transposed)]);
            let weight = &mut inner.initializer[3];
            (weight.dims, weight.raw_data, weight.data_location) = (dims.clone(), None, Some(1));
            let location = StringStringEntryProto { key: Some("location".into()), value: Some("weights.bin".into()) };
            weight.external_data.push(location);
            let path = folder.path().join("net.onnx");
            std::fs::write(&path, prost::Message::encode_to_vec(&proto)).unwrap();
            let model = Model::read_with_external_data(&path).unwrap();
            let found = model.find_classifier().unwrap();
            let error = model.last_layer(&found).unwrap_err().to_string();
            assert!(error.contains("cannot be taken out"), "{error}");
        }
    }
}

#[test]
fn a_bias_that_is_a_list() {
    let mut proto = network();
    let inner = proto.graph.as_mut().unwrap();
    inner.initializer.truncate(4);
    let mut list = node("Constant", &[], "fc.bias", &[int("value_floats", 0)]);
    list.attribute[0].i = None;
    list.attribute[0].r#type = Some(6);
    list.attribute[0].floats = vec![0.5, -0.5];
    inner.node.insert(0, list);
    let model = checked(proto);
    let layer = model.last_layer(&model.find_classifier().unwrap()).unwrap();
    assert_eq!(layer.bias, [0.5, -0.5]);
}
