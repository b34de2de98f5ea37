//! Small ONNX models.

use onnx_graph::proto::{
    AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto,
};
use prost::Message;

use crate::{fixture, write_with};

fn value(name: &str, element: i32, dims: &[i64]) -> ValueInfoProto {
    let dim = |&size: &i64| Dimension {
        value: Some(match size {
            ..=0 => DimensionValue::DimParam("batch".into()),
            size => DimensionValue::DimValue(size),
        }),
        denotation: None,
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor = TensorType { elem_type: Some(element), shape };
    let r#type = Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), denotation: None });
    ValueInfoProto { name: Some(name.into()), r#type, ..Default::default() }
}

fn node(op: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    let input = inputs.iter().map(ToString::to_string).collect();
    NodeProto { op_type: Some(op.into()), input, output: vec![output.into()], attribute, ..Default::default() }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(2), i: Some(i), ..Default::default() }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(7), ints: ints.to_vec(), ..Default::default() }
}

fn counting(name: &str, dims: &[i64]) -> TensorProto {
    let n: i64 = dims.iter().product();
    let raw: Vec<u8> = (0..n).flat_map(|i| (i as f32).to_le_bytes()).collect();
    TensorProto {
        name: Some(name.into()),
        dims: dims.to_vec(),
        data_type: Some(1),
        raw_data: Some(raw.into()),
        ..Default::default()
    }
}

fn integers(name: &str, numbers: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: vec![numbers.len() as i64],
        data_type: Some(7),
        int64_data: numbers.to_vec(),
        ..Default::default()
    }
}

fn model(
    node: Vec<NodeProto>,
    initializer: Vec<TensorProto>,
    input: ValueInfoProto,
    output: ValueInfoProto,
) -> Vec<u8> {
    let graph = GraphProto {
        name: Some("g".into()),
        node,
        initializer,
        input: vec![input],
        output: vec![output],
        ..Default::default()
    };
    ModelProto {
        ir_version: Some(8),
        producer_name: Some("fuzz".into()),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        graph: Some(graph),
        ..Default::default()
    }
    .encode_to_vec()
}

fn of_domain(domain: &str, node: NodeProto) -> NodeProto {
    NodeProto { domain: Some(domain.into()), ..node }
}

fn scalar(name: &str, data_type: i32, raw: &[u8]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        data_type: Some(data_type),
        raw_data: Some(raw.to_vec().into()),
        ..Default::default()
    }
}

/// As the runtime saves a network in 8 bits: preprocessing, a first convolution with what pools behind it, an inner one, and one of
/// blocked floats.
fn optimised() -> Vec<u8> {
    const MICROSOFT: &str = "com.microsoft";
    const BLOCKED: &str = "com.microsoft.nchwc";
    let scale = |name: &str| scalar(name, 1, &0.1_f32.to_le_bytes());
    let bytes = |name: &str, dims: &[i64]| {
        let n = dims.iter().product::<i64>() as usize;
        TensorProto { dims: dims.to_vec(), ..scalar(name, 3, &vec![1; n]) }
    };
    let convolution = |from: &str, weight: &str, to: &str| {
        let inputs = [from, "scale", "zero", weight, "scale", "weight_zero", "scale", "zero"];
        let attributes = vec![int("channels_last", 1), ints("pads", &[1, 1, 1, 1])];
        of_domain(MICROSOFT, node("QLinearConv", &inputs, to, attributes))
    };
    let pool = node("NhwcMaxPool", &["first"], "pooled", vec![ints("kernel_shape", &[2, 2])]);
    let nodes = vec![
        node("Transpose", &["pixels"], "planes", vec![ints("perm", &[0, 3, 1, 2])]),
        node("Cast", &["planes"], "floats", vec![int("to", 1)]),
        node("Mul", &["floats", "factor"], "scaled", vec![]),
        node("MatMul", &["rows", "scaled"], "taller", vec![]),
        node("MatMul", &["taller", "columns"], "enlarged", vec![]),
        node("QuantizeLinear", &["enlarged", "scale", "zero"], "bytes", vec![]),
        node("Transpose", &["bytes"], "last", vec![ints("perm", &[0, 2, 3, 1])]),
        convolution("last", "few", "first"),
        of_domain(MICROSOFT, pool),
        convolution("pooled", "many", "output"),
        of_domain(BLOCKED, node("Conv", &["blocked", "blocked"], "other", vec![])),
    ];
    // Each new row and column is the first or the second old one.
    let share = |name: &str| TensorProto {
        raw_data: Some([1.0_f32, 0.0, 0.0, 1.0].map(f32::to_le_bytes).concat().into()),
        ..counting(name, &[2, 2])
    };
    let constants = vec![
        counting("factor", &[1, 3, 1, 1]),
        share("rows"),
        share("columns"),
        scale("scale"),
        scalar("zero", 2, &[0]),
        scalar("weight_zero", 3, &[0]),
        bytes("few", &[32, 3, 3, 3]),
        bytes("many", &[16, 32, 3, 3]),
        counting("blocked", &[16, 16, 2, 2]),
    ];
    let model = model(nodes, constants, value("pixels", 2, &[0, 2, 2, 3]), value("output", 2, &[0, 2, 2, 16]));
    let mut proto = ModelProto::decode(&model[..]).expect("it was just encoded");
    for domain in [MICROSOFT, BLOCKED] {
        proto.opset_import.push(OperatorSetIdProto { domain: Some(domain.into()), version: Some(1) });
    }
    proto.encode_to_vec()
}

pub(crate) fn networks() {
    let picture = || value("image", 1, &[0, 3, 8, 8]);
    let head = |from: &str| {
        vec![
            node("Gemm", &[from, "fc.weight", "fc.bias"], "scores", vec![int("transB", 1)]),
            node("Softmax", &["scores"], "probs", vec![int("axis", 1)]),
        ]
    };
    let fc = || vec![counting("fc.weight", &[2, 4]), counting("fc.bias", &[2])];

    let mut nodes = vec![
        node("Conv", &["image", "w", "b"], "map", vec![ints("pads", &[1, 1, 1, 1]), ints("strides", &[2, 2])]),
        node("Relu", &["map"], "positive", vec![]),
        node("MaxPool", &["positive"], "small", vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]),
        node("GlobalAveragePool", &["small"], "pooled", vec![]),
        node("Flatten", &["pooled"], "flat", vec![int("axis", 1)]),
    ];
    nodes.extend(head("flat"));
    let mut constants = vec![counting("w", &[4, 3, 3, 3]), counting("b", &[4])];
    constants.extend(fc());
    let convolutions = model(nodes, constants, picture(), value("probs", 1, &[0, 2]));
    write_with("onnx", "convolutions", 0, &convolutions);
    write_with("onnx", "convolutions-drawn", 3, &convolutions);

    let nodes = vec![
        node("Conv", &["image", "w"], "map", vec![ints("kernel_shape", &[1, 1])]),
        node("Relu", &["map"], "positive", vec![]),
        node("ReduceMean", &["positive"], "pooled", vec![ints("axes", &[2, 3]), int("keepdims", 0)]),
    ];
    let constants = vec![counting("w", &[2, 3, 1, 1])];
    write_with("onnx", "squeezed", 1, &model(nodes, constants, picture(), value("pooled", 1, &[0, 2])));

    write_with("onnx", "optimised", 3, &optimised());

    // Patches as tokens, in the manner of a vision transformer, its target of Reshape computed by the graph.
    let mut nodes = vec![
        node("Conv", &["image", "w"], "patches", vec![ints("strides", &[4, 4])]),
        node("Shape", &["patches"], "shape", vec![]),
        node("Slice", &["shape", "zero", "two"], "front", vec![]),
        node("Concat", &["front", "rest"], "target", vec![int("axis", 0)]),
        node("Reshape", &["patches", "target"], "rows", vec![]),
        node("Transpose", &["rows"], "tokens", vec![ints("perm", &[0, 2, 1])]),
        node("MatMul", &["tokens", "mix"], "mixed", vec![]),
        node("Add", &["mixed", "bias"], "moved", vec![]),
        node("Gather", &["moved", "first"], "token", vec![int("axis", 1)]),
    ];
    nodes.extend(head("token"));
    let scalar = TensorProto { dims: Vec::new(), ..integers("first", &[0]) };
    let mut constants = vec![
        counting("w", &[4, 3, 4, 4]),
        integers("zero", &[0]),
        integers("two", &[2]),
        integers("rest", &[-1]),
        counting("mix", &[4, 4]),
        counting("bias", &[4]),
        scalar,
    ];
    constants.extend(fc());
    write_with("onnx", "tokens", 0, &model(nodes, constants, picture(), value("probs", 1, &[0, 2])));

    let layouts = ["single/model", "merged/decoder_model_merged"];
    for layout in layouts {
        let bytes = fixture(&format!("tests/fixtures/generate/{layout}.onnx"));
        write_with("onnx", &layout.replace('/', "-"), 2, &bytes);
    }
}
