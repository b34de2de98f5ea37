//! Attention that is not of the known form, or that something else looks into, is left alone; of the known forms,
//! the scale and the heads are those of the graph.

use onnx_graph::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use onnx_graph::{ElementType, Model};

use crate::build::{checked, counting, floats, graph, int, integers, ints, node, proto, value};
use crate::decoder::{contract, fixture, sound};

/// Index of the node of operator `op` that reads a tensor.
fn reader(graph: &GraphProto, tensor: &str, op: &str) -> usize {
    let found = graph.node.iter().position(|n| n.op_type() == op && n.input.iter().any(|i| i == tensor));
    found.expect("the graph is of the known form")
}

fn output(graph: &GraphProto, at: usize) -> String {
    graph.node[at].output[0].clone()
}

/// Indices in the first layer of the fixture.
struct Layer {
    key_scale: usize,
    product: usize,
    mask: usize,
    softmax: usize,
    mixed: usize,
    swapped: usize,
}

impl Layer {
    fn of(graph: &GraphProto) -> Self {
        let follow = |at: usize, op: &str| reader(graph, &output(graph, at), op);
        let key_scale = follow(reader(graph, "present.0.key", "Transpose"), "Mul");
        let product = follow(key_scale, "MatMul");
        let mask = follow(product, "Add");
        let mixed = reader(graph, "present.0.value", "MatMul");
        Self { key_scale, product, mask, softmax: follow(mask, "Softmax"), mixed, swapped: follow(mixed, "Transpose") }
    }
}

fn changed(change: impl FnOnce(&mut GraphProto, &Layer)) -> Model {
    let mut proto: ModelProto = fixture("single/model.onnx").proto().clone();
    let graph = proto.graph.as_mut().expect("the reader requires a graph");
    let layer = Layer::of(graph);
    change(graph, &layer);
    checked(proto)
}

/// The scale of the first attention after the edit, or nothing if the edit was refused.
fn scale(mut model: Model) -> Option<f32> {
    let (before, contract) = (model.proto().clone(), contract(&model));
    if !model.keep_cache_in_place(&contract) {
        assert_eq!(model.proto(), &before, "a refusal changes nothing");
        return None;
    }
    sound(&model);
    let attention = graph(&model).node.iter().find(|n| n.op_type() == "GroupQueryAttention").expect("it was edited");
    Some(attention.attribute.iter().find(|a| a.name() == "scale").expect("it has a scale").f())
}

/// Puts a node between a node and its reader.
fn insert_after(graph: &mut GraphProto, at: usize, op: &str, with: &[&str]) {
    let made = std::mem::replace(&mut graph.node[at].output[0], "inserted.before".into());
    let inputs = [&["inserted.before"], with].concat();
    graph.node.insert(at + 1, node(op, &inputs, &made, &[]));
}

fn set(node: &mut NodeProto, attribute: AttributeProto) {
    node.attribute.retain(|a| a.name() != attribute.name());
    node.attribute.push(attribute);
}

#[test]
fn the_scale_is_that_of_the_graph() {
    let near = |found: Option<f32>, expected: f64| {
        assert!(
            found.is_some_and(|found| (f64::from(found) - expected).abs() < 1e-6),
            "{found:?}, expected {expected}"
        );
    };
    near(scale(changed(|_, _| {})), 8f64.powf(-0.5));
    // Half of it is applied to the keys.
    let without = |g: &mut GraphProto, l: &Layer| {
        let keys = g.node[l.key_scale].input[0].clone();
        g.node[l.product].input[1] = keys;
        g.node.remove(l.key_scale);
    };
    near(scale(changed(without)), 8f64.powf(-0.25));
    let on_scores = |op: &'static str| {
        move |g: &mut GraphProto, l: &Layer| {
            g.initializer.push(floats("factor", &[], &[4.0]));
            insert_after(g, l.product, op, &["factor"]);
        }
    };
    near(scale(changed(on_scores("Mul"))), 4.0 * 8f64.powf(-0.5));
    near(scale(changed(on_scores("Div"))), 0.25 * 8f64.powf(-0.5));
}

#[test]
fn other_forms_of_attention_are_left_alone() {
    let refused = |what: &str, change: &dyn Fn(&mut GraphProto, &Layer)| {
        assert_eq!(scale(changed(|g, l| change(g, l))), None, "{what}");
    };
    refused("a scale for each head", &|g, l| {
        g.initializer.push(counting("by_head", &[2, 1, 1]));
        insert_after(g, l.product, "Mul", &["by_head"]);
    });
    refused("a negative scale", &|g, l| {
        g.initializer.push(floats("negative", &[], &[-1.0]));
        insert_after(g, l.product, "Mul", &["negative"]);
    });
    refused("capped scores", &|g, l| insert_after(g, l.product, "Tanh", &[]));
    refused("a bias besides the mask", &|g, l| {
        g.initializer.push(counting("bias", &[2, 1, 1]));
        insert_after(g, l.mask, "Add", &["bias"]);
    });
    refused("no mask", &|g, l| {
        g.node[l.softmax].input[0] = output(g, l.product);
        g.node.remove(l.mask);
    });
    refused("probabilities over another axis", &|g, l| set(&mut g.node[l.softmax], int("axis", 1)));
    refused("scaled values", &|g, l| {
        g.initializer.push(floats("factor", &[], &[2.0]));
        g.node[l.mixed].input[1] = "twice".into();
        g.node.insert(l.mixed, node("Mul", &["present.0.value", "factor"], "twice", &[]));
    });
    refused("heads joined in another order", &|g, l| set(&mut g.node[l.swapped], ints("perm", &[0, 3, 2, 1])));
    refused("a cache that grows along another axis", &|g, _| {
        let at = reader(g, "past_key_values.0.key", "Concat");
        set(&mut g.node[at], int("axis", 1));
    });
    refused("new keys in front of the old", &|g, _| {
        let at = reader(g, "past_key_values.0.key", "Concat");
        g.node[at].input.reverse();
    });
    refused("only the second layer is strange", &|g, _| {
        let at = reader(g, "past_key_values.1.key", "Concat");
        g.node[at].input.reverse();
    });
}

#[test]
fn a_cache_or_mask_that_something_else_reads_is_left_alone() {
    let refused = |nodes: &[NodeProto]| {
        let model = changed(|g, _| {
            g.node.extend_from_slice(nodes);
            g.output.push(value("watched", ElementType::F32, &[0]));
        });
        assert_eq!(scale(model), None, "{nodes:?}");
    };
    refused(&[node("Relu", &["present.0.key"], "watched", &[])]);
    refused(&[node("Relu", &["past_key_values.1.value"], "watched", &[])]);
    // Lengths too: in place they are the room that there is, not what is filled.
    let as_float = |shape: &str| node("Cast", &[shape], "watched", &[int("to", 1)]);
    refused(&[node("Shape", &["past_key_values.0.key"], "length", &[]), as_float("length")]);
    refused(&[node("Shape", &["present.0.value"], "length", &[]), as_float("length")]);
    refused(&[node("Cast", &["attention_mask"], "watched", &[int("to", 1)])]);
    // Read by nothing that leads to an output, it does not matter.
    let idle = changed(|g, _| g.node.push(node("Shape", &["present.0.key"], "idle", &[])));
    assert!(scale(idle).is_some());
}

/// One layer with four query heads on two key/value heads of eight numbers, as PyTorch writes it for Llama: heads
/// are repeated by Expand, the mask is chosen by Where. `repeat`: how often, which sizes say too.
fn grouped(repeat: i64) -> ModelProto {
    let heads = 2 * repeat;
    let split = |name: &str, heads: &str, into: &str| {
        [
            node("MatMul", &["hidden", &format!("{name}.weight")], &format!("{name}.flat"), &[]),
            node("Reshape", &[&format!("{name}.flat"), heads], &format!("{name}.split"), &[]),
            node("Transpose", &[&format!("{name}.split")], into, &[ints("perm", &[0, 2, 1, 3])]),
        ]
    };
    let repeated = |present: &str, name: &str| {
        [
            node("Unsqueeze", &[present, "two"], &format!("{name}.five"), &[]),
            node("Expand", &[&format!("{name}.five"), "wide"], &format!("{name}.wide"), &[]),
            node("Reshape", &[&format!("{name}.wide"), "joined"], &format!("{name}.all"), &[]),
        ]
    };
    let mut nodes = vec![node("Gather", &["embedding", "input_ids"], "embedded", &[])];
    // Positions are read, as every known model does.
    nodes.push(node("Gather", &["embedding", "position_ids"], "places", &[]));
    nodes.push(node("Add", &["embedded", "places"], "hidden", &[]));
    nodes.extend(split("query", "query_heads", "query"));
    nodes.extend(split("key", "kv_heads", "key"));
    nodes.extend(split("value", "kv_heads", "value"));
    nodes.push(node("Concat", &["past_key_values.0.key", "key"], "present.0.key", &[int("axis", 2)]));
    nodes.push(node("Concat", &["past_key_values.0.value", "value"], "present.0.value", &[int("axis", 2)]));
    nodes.extend(repeated("present.0.key", "keys"));
    nodes.extend(repeated("present.0.value", "values"));
    nodes.push(node("Transpose", &["keys.all"], "keys.swapped", &[ints("perm", &[0, 1, 3, 2])]));
    nodes.push(node("MatMul", &["query", "keys.swapped"], "product", &[]));
    nodes.push(node("Mul", &["product", "scale"], "scores", &[]));
    nodes.push(node("Cast", &["attention_mask"], "is_token", &[int("to", 9)]));
    nodes.push(node("Unsqueeze", &["is_token", "one_and_two"], "mask", &[]));
    nodes.push(node("Where", &["mask", "scores", "least"], "masked", &[]));
    nodes.push(node("Softmax", &["masked"], "probabilities", &[int("axis", -1)]));
    nodes.push(node("MatMul", &["probabilities", "values.all"], "mixed", &[]));
    nodes.push(node("Transpose", &["mixed"], "turned", &[ints("perm", &[0, 2, 1, 3])]));
    nodes.push(node("Reshape", &["turned", "width"], "joined_heads", &[]));
    nodes.push(node("MatMul", &["joined_heads", "head.weight"], "logits", &[]));
    let width = heads * 8;
    let constants: Vec<TensorProto> = vec![
        counting("embedding", &[11, 6]),
        counting("query.weight", &[6, width]),
        counting("key.weight", &[6, 16]),
        counting("value.weight", &[6, 16]),
        counting("head.weight", &[width, 11]),
        integers("query_heads", &[0, 0, heads, 8]),
        integers("kv_heads", &[0, 0, 2, 8]),
        integers("two", &[2]),
        integers("one_and_two", &[1, 2]),
        integers("wide", &[1, 1, repeat, 1, 1]),
        integers("joined", &[0, heads, -1, 8]),
        integers("width", &[0, 0, width]),
        floats("scale", &[], &[0.25]),
        floats("least", &[], &[-1e9]),
    ];
    let (ids, logits) = (value("input_ids", ElementType::I64, &[0, 0]), value("logits", ElementType::F32, &[0, 0, 11]));
    let mut model = proto(nodes, constants, ids, logits);
    let graph = model.graph.as_mut().unwrap();
    for name in ["attention_mask", "position_ids"] {
        graph.input.push(value(name, ElementType::I64, &[0, 0]));
    }
    for which in ["key", "value"] {
        graph.input.push(value(&format!("past_key_values.0.{which}"), ElementType::F32, &[0, 2, 0, 8]));
        graph.output.push(value(&format!("present.0.{which}"), ElementType::F32, &[0, 2, 0, 8]));
    }
    // Sizes that are not fixed have names of their own, as exporters give them.
    for port in graph.input.iter_mut().chain(&mut graph.output) {
        let past = port.name().starts_with("past");
        let Some(onnx_graph::proto::TypeValue::Tensor(tensor)) = port.r#type.as_mut().unwrap().value.as_mut() else {
            panic!("a tensor")
        };
        for (axis, dim) in tensor.shape.as_mut().unwrap().dim.iter_mut().enumerate().skip(1) {
            if let Some(onnx_graph::proto::DimensionValue::DimParam(name)) = dim.value.as_mut() {
                *name = match (axis, past) {
                    (1, _) => "sequence".into(),
                    (_, true) => "past".into(),
                    (_, false) => "past + sequence".into(),
                };
            }
        }
    }
    model
}

#[test]
fn fewer_key_value_heads_than_query_heads_are_told_to_the_operator() {
    for repeat in [2, 4] {
        let mut model = checked(grouped(repeat));
        let contract = contract(&model);
        assert_eq!((contract.kv_heads, contract.head_dim), (2, 8));
        assert!(model.keep_cache_in_place(&contract));
        sound(&model);
        let attention =
            graph(&model).node.iter().find(|n| n.op_type() == "GroupQueryAttention").expect("it was edited");
        let attribute = |name: &str| attention.attribute.iter().find(|a| a.name() == name).unwrap();
        assert_eq!((attribute("num_heads").i(), attribute("kv_num_heads").i()), (2 * repeat, 2));
        assert_eq!(attribute("scale").f(), 0.25);
        assert_eq!(attention.input[..3], ["query.flat", "key.flat", "value.flat"]);
        assert_eq!(attention.output[0], "joined_heads");
    }
}

#[test]
fn heads_that_are_repeated_in_another_order_are_left_alone() {
    // `Tile` over the heads pairs query head h with head h mod n, the operator with head h / n.
    let mut model = grouped(2);
    let graph = model.graph.as_mut().unwrap();
    graph.initializer.push(integers("over_heads", &[1, 2, 1, 1]));
    graph.node.retain(|n| !matches!(n.op_type(), "Unsqueeze" | "Expand") || n.output[0] == "mask");
    for node in &mut graph.node {
        match node.output[0].as_str() {
            "keys.all" => *node = self::node("Tile", &["present.0.key", "over_heads"], "keys.all", &[]),
            "values.all" => *node = self::node("Tile", &["present.0.value", "over_heads"], "values.all", &[]),
            _ => {}
        }
    }
    assert_eq!(scale(checked(model)), None);
    // Copies along another axis than the one beside each head.
    let mut model = grouped(2);
    for constant in &mut model.graph.as_mut().unwrap().initializer {
        if constant.name() == "wide" {
            *constant = integers("wide", &[1, 2, 1, 1, 1]);
        }
    }
    assert_eq!(scale(checked(model)), None);
}

#[test]
fn what_is_added_to_the_scores_has_to_be_the_mask() {
    let mut model = grouped(2);
    let graph = model.graph.as_mut().unwrap();
    for node in &mut graph.node {
        if node.output[0] == "masked" {
            *node = self::node("Add", &["scores", "least"], "masked", &[]);
        }
    }
    assert_eq!(scale(checked(model)), None);
}

#[test]
fn positions_that_are_not_fed_are_left_alone() {
    // In place rows are padded on the right: a graph that counts positions itself would count from elsewhere.
    let mut model = grouped(2);
    let graph = model.graph.as_mut().unwrap();
    graph.input.retain(|input| input.name() != "position_ids");
    graph.initializer.push(integers("position_ids", &[0]));
    assert_eq!(scale(checked(model)), None);
}
