//! One small change to a graph: another input, operator, attribute, shape or constant.

use onnx_graph::proto::{
    AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, TensorProto, TypeValue,
    ValueInfoProto,
};

use crate::mutation::Dice;

/// Operators that our code looks at, and one that it does not know.
const OPS: [&str; 44] = [
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "ConvTranspose",
    "Div",
    "Dropout",
    "Equal",
    "Expand",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "Identity",
    "LayerNormalization",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "Mul",
    "Pad",
    "Pow",
    "Range",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Resize",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Split",
    "Squeeze",
    "Sub",
    "Tanh",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Where",
    "NoSuchOperator",
];

/// Attributes that it reads.
const ATTRIBUTES: [&str; 24] = [
    "axis",
    "axes",
    "perm",
    "kernel_shape",
    "strides",
    "pads",
    "dilations",
    "group",
    "transA",
    "transB",
    "alpha",
    "beta",
    "to",
    "keepdims",
    "value",
    "value_ints",
    "value_int",
    "allowzero",
    "start",
    "end",
    "auto_pad",
    "ceil_mode",
    "output_shape",
    "num_outputs",
];

/// Makes one change, or none where the graph lacks what it would be made to.
pub(super) fn change(model: &mut ModelProto, dice: &mut Dice) {
    let names = names(model);
    if dice.once_in(24) {
        for opset in &mut model.opset_import {
            opset.version = Some([7, 9, 11, 13, 17, 18, 22, dice.awkward()][dice.below(8)]);
        }
    }
    let Some(graph) = &mut model.graph else { return };
    match dice.below(12) {
        0..=2 => change_wiring(graph, &names, dice),
        3 => {
            if let Some(node) = one_of(&mut graph.node, dice) {
                node.op_type = dice.pick(&OPS).map(ToString::to_string);
            }
        }
        4..=5 => {
            if let Some(node) = one_of(&mut graph.node, dice) {
                change_attribute(node, dice);
            }
        }
        6 => change_nodes(graph, &names, dice),
        7..=8 => {
            let lists = [&mut graph.input, &mut graph.output, &mut graph.value_info];
            let list = lists.into_iter().nth(dice.below(3));
            if let Some(value) = list.and_then(|list| one_of(list, dice)) {
                change_declared(value, &names, dice);
            }
        }
        9..=10 => {
            if let Some(tensor) = one_of(&mut graph.initializer, dice) {
                change_tensor(tensor, dice);
            }
        }
        _ => {
            let list = if dice.once_in(2) { &mut graph.output } else { &mut graph.value_info };
            let copy = list.first().cloned().unwrap_or_default();
            list.push(ValueInfoProto { name: dice.pick(&names).cloned(), ..copy });
        }
    }
}

fn one_of<'a, T>(list: &'a mut [T], dice: &mut Dice) -> Option<&'a mut T> {
    let at = dice.below(list.len());
    list.get_mut(at)
}

fn names(model: &ModelProto) -> Vec<String> {
    let Some(graph) = &model.graph else { return Vec::new() };
    let made = graph.node.iter().flat_map(|node| node.output.iter().cloned());
    let declared = graph.input.iter().filter_map(|value| value.name.clone());
    let constant = graph.initializer.iter().filter_map(|tensor| tensor.name.clone());
    let ours = ["", "pixels", "feature", "features", "logits", "probabilities", "input_ids"].map(String::from);
    made.chain(declared).chain(constant).chain(ours).collect()
}

fn change_wiring(graph: &mut GraphProto, names: &[String], dice: &mut Dice) {
    let Some(node) = one_of(&mut graph.node, dice) else { return };
    let name = dice.pick(names).cloned().unwrap_or_default();
    let list = if dice.once_in(6) { &mut node.output } else { &mut node.input };
    match dice.below(4) {
        0 => list.push(name),
        1 => drop(list.pop()),
        2 if list.len() > 1 => {
            let at = dice.below(list.len() - 1);
            list.swap(at, at + 1);
        }
        _ => {
            if let Some(there) = one_of(list, dice) {
                *there = name;
            }
        }
    }
}

fn change_attribute(node: &mut NodeProto, dice: &mut Dice) {
    if node.attribute.is_empty() || dice.once_in(3) {
        let name = dice.pick(&ATTRIBUTES).map(ToString::to_string);
        let ints = (0..dice.below(5)).map(|_| dice.awkward()).collect::<Vec<_>>();
        let attribute = match dice.below(3) {
            0 => AttributeProto { name, r#type: Some(2), i: Some(dice.awkward()), ..Default::default() },
            1 => AttributeProto { name, r#type: Some(7), ints, ..Default::default() },
            _ => AttributeProto {
                name,
                r#type: Some(1),
                f: Some(f32::from_bits(dice.roll() as u32)),
                ..Default::default()
            },
        };
        node.attribute.push(attribute);
        return;
    }
    if dice.once_in(6) {
        let at = dice.below(node.attribute.len());
        node.attribute.remove(at);
        return;
    }
    let Some(attribute) = one_of(&mut node.attribute, dice) else { return };
    if attribute.i.is_some() {
        attribute.i = Some(dice.awkward());
    }
    if let Some(there) = one_of(&mut attribute.ints, dice) {
        *there = dice.awkward();
    }
    if dice.once_in(3) {
        attribute.ints.push(dice.awkward());
    }
    if let Some(tensor) = &mut attribute.t {
        change_tensor(tensor, dice);
    }
}

fn change_nodes(graph: &mut GraphProto, names: &[String], dice: &mut Dice) {
    let n = graph.node.len();
    if n == 0 {
        return;
    }
    let at = dice.below(n);
    match dice.below(4) {
        0 => drop(graph.node.remove(at)),
        1 => graph.node.swap(at, dice.below(n)),
        2 => {
            // A node spliced in behind another: what read that one's output reads the new one's.
            let Some(from) = graph.node[at].output.first().cloned() else { return };
            let to = format!("spliced{}", dice.below(1000));
            for reader in &mut graph.node[at + 1..] {
                reader.input.iter_mut().filter(|name| **name == from).for_each(|name| name.clone_from(&to));
            }
            let mut input = vec![from];
            input.extend((0..dice.below(3)).filter_map(|_| dice.pick(names).cloned()));
            let op_type = dice.pick(&OPS).map(ToString::to_string);
            graph.node.insert(at + 1, NodeProto { input, output: vec![to], op_type, ..Default::default() });
        }
        _ => {
            let mut copy = graph.node[at].clone();
            copy.output.iter_mut().for_each(|name| name.push('\''));
            graph.node.insert(at + 1, copy);
        }
    }
}

fn change_declared(value: &mut ValueInfoProto, names: &[String], dice: &mut Dice) {
    if dice.once_in(6) {
        value.name = dice.pick(names).cloned();
        return;
    }
    let Some(TypeValue::Tensor(tensor)) = value.r#type.as_mut().and_then(|t| t.value.as_mut()) else { return };
    if dice.once_in(6) {
        tensor.elem_type = Some([1, 2, 7, 9, 10, 11, 0, dice.awkward() as i32][dice.below(8)]);
        return;
    }
    let Some(shape) = &mut tensor.shape else { return };
    let size = match dice.below(4) {
        0 => DimensionValue::DimParam("batch".into()),
        1 => DimensionValue::DimValue(dice.awkward()),
        2 => DimensionValue::DimValue(dice.below(9) as i64),
        _ => DimensionValue::DimValue([3, 1, 196, 197, 49, 50][dice.below(6)]),
    };
    match dice.below(5) {
        0 => shape.dim.push(Dimension { value: Some(size), denotation: None }),
        1 => drop(shape.dim.pop()),
        2 if dice.once_in(4) => tensor.shape = None,
        _ => {
            if let Some(dim) = one_of(&mut shape.dim, dice) {
                dim.value = Some(size);
            }
        }
    }
}

fn change_tensor(tensor: &mut TensorProto, dice: &mut Dice) {
    match dice.below(6) {
        0 => tensor.dims.push([1, dice.awkward()][dice.below(2)]),
        1 => drop(tensor.dims.pop()),
        2 if tensor.dims.len() > 1 => {
            let at = dice.below(tensor.dims.len() - 1);
            tensor.dims.swap(at, at + 1);
        }
        3 => {
            if let Some(dim) = one_of(&mut tensor.dims, dice) {
                *dim = dice.awkward();
            }
        }
        4 => {
            // A constant of whole numbers: a target of Reshape, axes, sizes.
            let numbers: Vec<i64> = (0..dice.below(5)).map(|_| dice.awkward()).collect();
            *tensor = TensorProto {
                name: tensor.name.take(),
                dims: if numbers.len() == 1 && dice.once_in(2) { Vec::new() } else { vec![numbers.len() as i64] },
                data_type: Some(7),
                int64_data: numbers,
                ..Default::default()
            };
        }
        _ => {
            if let Some(there) = one_of(&mut tensor.int64_data, dice) {
                *there = dice.awkward();
            } else if let Some(raw) = &tensor.raw_data {
                let mut raw = raw.to_vec();
                if let Some(byte) = one_of(&mut raw, dice) {
                    *byte = dice.roll() as u8;
                }
                tensor.raw_data = Some(raw.into());
            }
        }
    }
}
