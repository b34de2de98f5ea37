//! Building blocks for small models, and one network that most tests start from.

use onnx_graph::proto::{
    AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto,
};
use onnx_graph::{ElementType, Model};

/// Sizes above 0 are fixed, others stand for the open batch.
pub(crate) fn value(name: &str, element: ElementType, dims: &[i64]) -> ValueInfoProto {
    let dim = |&size: &i64| Dimension {
        value: Some(match size {
            ..=0 => DimensionValue::DimParam("batch".into()),
            size => DimensionValue::DimValue(size),
        }),
        denotation: None,
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor = TensorType { elem_type: Some(element.code()), shape };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), denotation: None }),
        ..Default::default()
    }
}

pub(crate) fn node(op: &str, inputs: &[&str], output: &str, attributes: &[AttributeProto]) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        name: Some(format!("node of {output}")),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec![output.into()],
        attribute: attributes.to_vec(),
        ..Default::default()
    }
}

pub(crate) fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(7), ints: ints.to_vec(), ..Default::default() }
}

pub(crate) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(2), i: Some(i), ..Default::default() }
}

pub(crate) fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(1), f: Some(f), ..Default::default() }
}

pub(crate) fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: dims.to_vec(),
        data_type: Some(ElementType::F32.code()),
        raw_data: Some(values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()),
        ..Default::default()
    }
}

/// `0, 1, 2, …` in the given shape.
pub(crate) fn counting(name: &str, dims: &[i64]) -> TensorProto {
    let n: i64 = dims.iter().product();
    floats(name, dims, &(0..n).map(|i| i as f32).collect::<Vec<_>>())
}

pub(crate) fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: vec![values.len() as i64],
        data_type: Some(ElementType::I64.code()),
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

pub(crate) fn proto(
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    input: ValueInfoProto,
    output: ValueInfoProto,
) -> ModelProto {
    ModelProto {
        ir_version: Some(8),
        producer_name: Some("test".into()),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(13) }],
        graph: Some(GraphProto {
            name: Some("graph".into()),
            node: nodes,
            initializer: constants,
            input: vec![input],
            output: vec![output],
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Pictures 3x8x8 → Conv → Relu → average → Dropout → Gemm to 2 classes → Softmax, and a branch that
/// does not lead to the output.
pub(crate) fn network() -> ModelProto {
    let nodes = vec![
        node("Conv", &["image", "conv.weight", "conv.bias"], "map", &[ints("pads", &[1, 1, 1, 1])]),
        node("Relu", &["map"], "positive", &[]),
        node("Mul", &["positive", "aside.weight"], "aside", &[]),
        node("GlobalAveragePool", &["positive"], "pooled", &[]),
        node("Flatten", &["pooled"], "flat", &[]),
        node("Dropout", &["flat"], "dropped", &[]),
        node("Gemm", &["dropped", "fc.weight", "fc.bias"], "scores", &[int("transB", 1)]),
        node("Softmax", &["scores"], "probs", &[]),
    ];
    let constants = vec![
        counting("conv.weight", &[4, 3, 3, 3]),
        counting("conv.bias", &[4]),
        counting("aside.weight", &[4, 1, 1]),
        counting("fc.weight", &[2, 4]),
        floats("fc.bias", &[2], &[0.5, -0.5]),
    ];
    let (input, output) = (value("image", ElementType::F32, &[0, 3, 8, 8]), value("probs", ElementType::F32, &[0, 2]));
    proto(nodes, constants, input, output)
}

pub(crate) fn checked(proto: ModelProto) -> Model {
    Model::from_proto(proto, "test.onnx").expect("the built model is sound")
}

pub(crate) fn graph(model: &Model) -> &GraphProto {
    model.proto().graph.as_ref().expect("the reader requires a graph")
}

pub(crate) fn ops(model: &Model) -> Vec<&str> {
    graph(model).node.iter().map(NodeProto::op_type).collect()
}

/// The elements of a float32 initialiser whose bytes are raw.
pub(crate) fn elements(model: &Model, name: &str) -> Vec<f32> {
    let found = graph(model).initializer.iter().find(|constant| constant.name() == name);
    let raw = found.expect("the initialiser is there").raw_data();
    raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// After an edit: the model still passes every check of the reader, from its bytes.
pub(crate) fn assert_sound(model: &Model) {
    let bytes = model.encode().expect("small");
    let again = Model::parse(bytes, "edited").expect("an edited model is sound");
    assert_eq!(again.proto(), model.proto());
}
