//! Language models: what the exports in `tests/fixtures/generate` and `data/demo/lm` take and give, and which
//! of the edits each allows. What the edited graphs compute is tested where they run, in `tests/e2e/generate`.

use std::path::PathBuf;

use onnx_graph::proto::{GraphProto, ModelProto};
use onnx_graph::{
    DecoderContract, Dim, ElementType, LAST_POSITION, LENGTHS, Model, Problem, TOTAL_LENGTH, row_selection,
};

use crate::build::{assert_sound, checked, graph, int, integers, network, node, ops, proto, value};

pub(crate) fn fixture(path: &str) -> Model {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = if path.starts_with("data/") { root } else { root.join("tests/fixtures/generate") };
    Model::read_with_external_data(folder.join(path)).unwrap()
}

pub(crate) fn contract(model: &Model) -> DecoderContract {
    model.decoder_contract().unwrap()
}

const DEMO: &str = "data/demo/lm/model.onnx";

/// Graph, and whether it: takes a cache, takes positions, is float16, can give the last logits alone, can keep its
/// cache in place.
const FILES: [(&str, bool, bool, bool, bool, bool); 8] = [
    (DEMO, true, true, false, true, true),
    ("single/model.onnx", true, true, false, true, true),
    ("external/model.onnx", true, true, false, true, true),
    ("split/decoder_with_past_model.onnx", true, true, false, true, true),
    // Without a past there is no cache to keep.
    ("split/decoder_model.onnx", false, true, false, true, false),
    // The operator that keeps the cache in place computes in float32 on the CPU.
    ("float16/onnx/model.onnx", true, true, true, true, false),
    // Positions are counted from the length of the past, which in place is the room for it.
    ("no_positions/model.onnx", true, false, false, true, false),
    // Everything stands in the branches of one If.
    ("merged/decoder_model_merged.onnx", true, true, false, false, false),
];

#[test]
fn the_contract_of_every_layout_is_read_from_its_graph() {
    for (path, takes_cache, takes_positions, is_half, ..) in FILES {
        let contract = contract(&fixture(path));
        let (n_layers, vocab, heads, dim) = if path == DEMO { (4, 1024, 4, 32) } else { (2, 288, 2, 8) };
        let element = if is_half { ElementType::F16 } else { ElementType::F32 };
        assert_eq!((contract.layers.len(), contract.vocab), (n_layers, Some(vocab)), "{path}");
        assert_eq!((contract.kv_heads, contract.head_dim), (heads, dim), "{path}");
        assert_eq!((contract.cache_element, contract.logits_element), (element, element), "{path}");
        assert_eq!(contract.cache_bytes_per_token(), 2 * n_layers as u64 * heads * dim * if is_half { 2 } else { 4 });
        assert_eq!((contract.input_ids.as_str(), contract.logits.as_str()), ("input_ids", "logits"));
        assert_eq!(contract.attention_mask.as_deref(), Some("attention_mask"), "{path}");
        assert_eq!(contract.position_ids.is_some(), takes_positions, "{path}");
        assert_eq!(contract.use_cache_branch.is_some(), path.contains("merged"), "{path}");
        assert_eq!(contract.takes_cache(), takes_cache, "{path}");
        let last = contract.layers.last().unwrap();
        assert_eq!(last.present_value, format!("present.{}.value", n_layers - 1), "{path}");
        assert_eq!(last.past_key, takes_cache.then(|| format!("past_key_values.{}.key", n_layers - 1)), "{path}");
    }
    assert_eq!(fixture("external/model.onnx").external_files(), ["model.onnx_data"]);
    assert!(fixture("single/model.onnx").external_files().is_empty());
}

#[test]
fn what_is_no_decoder_is_told_apart() {
    let why = |model: &Model| {
        let error = model.decoder_contract().unwrap_err();
        assert!(matches!(*error.problem, Problem::NotADecoder { .. }), "{error}");
        error.to_string()
    };
    let changed = |change: &dyn Fn(&mut GraphProto)| {
        let mut proto = fixture("single/model.onnx").proto().clone();
        change(proto.graph.as_mut().unwrap());
        why(&checked(proto))
    };
    let has = |text: String, expected: &str| assert!(text.contains(expected), "{text}");
    has(why(&checked(network())), "has no input `input_ids` (found image)");
    has(why(&fixture("no_past/model.onnx")), "was exported without past key/values");
    let input = |name: &'static str, dims: &'static [i64]| {
        move |g: &mut GraphProto| g.input.push(value(name, ElementType::F32, dims))
    };
    has(changed(&input("token_type_ids", &[0, 0])), "takes an input \"token_type_ids\" that cannot be fed");
    has(changed(&input("encoder_hidden_states", &[0, 0, 8])), "it is an encoder-decoder model");
    has(changed(&input("past_0", &[2, 0, 2, 0, 8])), "it keeps its cache in another layout");
    has(changed(&|g| g.output.retain(|o| o.name() != "logits")), "has no output `logits`");
    has(changed(&|g| g.output.retain(|o| o.name() != "present.1.key")), "3 cache outputs for 2 layers");
    has(changed(&|g| drop(g.output.drain(3..))), "takes 4 cache tensors and gives 2");
    let retype = |name: &'static str, element, dims: &'static [i64]| {
        move |g: &mut GraphProto| {
            let port = g.output.iter_mut().find(|o| o.name() == name).unwrap();
            *port = value(name, element, dims);
        }
    };
    has(
        changed(&retype("present.0.key", ElementType::F32, &[0, 0, 0, 8])),
        "expected [batch, heads, length, head size]",
    );
    has(changed(&retype("present.0.key", ElementType::F32, &[0, 4, 0, 8])), "another type or shape than the others");
    has(changed(&retype("present.0.key", ElementType::I64, &[0, 2, 0, 8])), "is int64, expected float32 or float16");
    has(changed(&retype("logits", ElementType::I64, &[0, 0, 288])), "is int64, expected float32 or float16");
}

#[test]
fn logits_of_one_position_are_asked_for_where_the_main_graph_computes_them() {
    for (path, _, _, is_half, can, _) in FILES {
        let (before, mut model) = (fixture(path), fixture(path));
        assert_eq!(model.keep_last_logits(), can, "{path}");
        if !can {
            assert_eq!(model.proto(), before.proto(), "{path}");
            continue;
        }
        sound(&model);
        let facts = model.metadata();
        assert_eq!(facts.n_nodes, before.metadata().n_nodes + 1, "{path}");
        let input = facts.inputs.iter().find(|port| port.name == LAST_POSITION).unwrap();
        assert_eq!(input.tensor.to_string(), "int64 [batch_size, 1, 1]");
        let logits = facts.outputs.iter().find(|port| port.name == "logits").unwrap();
        assert_eq!(logits.tensor.shape.as_ref().unwrap()[1], Dim::Fixed(1), "{path}");
        let gather = graph(&model).node.iter().find(|n| n.op_type() == "GatherND").unwrap();
        let batch_dims = gather.attribute.iter().find(|a| a.name() == "batch_dims").unwrap().i();
        assert_eq!((batch_dims, gather.input[1].as_str()), (1, LAST_POSITION));
        // Next comes the product with the vocabulary, perhaps rounded back afterwards, and nothing else.
        let product = graph(&model).node.iter().find(|n| n.input.first() == gather.output.first()).unwrap();
        assert_eq!(product.op_type(), "MatMul", "{path}");
        assert!(is_half || product.output[0] == "logits", "{path}");
    }
}

#[test]
fn logits_that_are_made_otherwise_are_left_as_they_are() {
    let unchanged = |change: &dyn Fn(&mut ModelProto)| {
        let mut proto = fixture("single/model.onnx").proto().clone();
        change(&mut proto);
        let mut model = checked(proto);
        let before = model.proto().clone();
        assert!(!model.keep_last_logits());
        assert_eq!(model.proto(), &before);
    };
    let last = |proto: &mut ModelProto, nodes: Vec<_>| {
        let graph = proto.graph.as_mut().unwrap();
        graph.node.last_mut().unwrap().output[0] = "raw".into();
        graph.node.extend(nodes);
    };
    // Over all tokens, so one position is not enough; and with something else that varies by position.
    unchanged(&|p| last(p, vec![node("Softmax", &["raw"], "logits", &[int("axis", 1)])]));
    unchanged(&|p| last(p, vec![node("Add", &["raw", "raw"], "logits", &[])]));
    // GatherND takes batches since operator set 12.
    unchanged(&|p| p.opset_import[0].version = Some(11));
    // What acts on each number by itself may follow.
    let mut proto = fixture("single/model.onnx").proto().clone();
    last(&mut proto, vec![node("Tanh", &["raw"], "logits", &[])]);
    let mut model = checked(proto);
    assert!(model.keep_last_logits());
    sound(&model);
}

#[test]
fn the_cache_stays_in_place_where_its_form_is_known() {
    for (path, .., can) in FILES {
        let (before, mut model) = (fixture(path), fixture(path));
        let contract = contract(&before);
        assert_eq!(model.keep_cache_in_place(&contract), can, "{path}");
        if !can {
            assert_eq!(model.proto(), before.proto(), "{path}");
            continue;
        }
        sound(&model);
        let n_layers = contract.layers.len();
        let attentions: Vec<_> = graph(&model).node.iter().filter(|n| n.op_type() == "GroupQueryAttention").collect();
        assert_eq!(attentions.len(), n_layers, "{path}");
        for (attention, layer) in attentions.iter().zip(&contract.layers) {
            assert_eq!(attention.domain(), "com.microsoft");
            let caches = [layer.past_key.as_deref().unwrap(), layer.past_value.as_deref().unwrap()];
            assert_eq!(attention.input[3..], [caches[0], caches[1], LENGTHS, TOTAL_LENGTH]);
            assert_eq!(attention.output[1..], [layer.present_key.as_str(), &layer.present_value]);
            let attribute = |name: &str| attention.attribute.iter().find(|a| a.name() == name).unwrap();
            let heads = contract.kv_heads as i64;
            assert_eq!((attribute("num_heads").i(), attribute("kv_num_heads").i()), (heads, heads));
            let scale = f64::from(attribute("scale").f());
            assert!((scale - (contract.head_dim as f64).powf(-0.5)).abs() < 1e-6, "{path}: scale {scale}");
        }
        let facts = model.metadata();
        let inputs: Vec<_> = facts.inputs.iter().map(|p| p.name.as_str()).collect();
        assert!(!inputs.contains(&"attention_mask") && inputs.contains(&"position_ids"), "{path}: {inputs:?}");
        let shown = |name: &str| facts.inputs.iter().find(|p| p.name == name).unwrap().tensor.to_string();
        assert_eq!([shown(LENGTHS), shown(TOTAL_LENGTH)], ["int32 [batch_size]", "int32 [1]"]);
        assert_eq!(facts.outputs, before.metadata().outputs, "{path}");
        for gone in ["Softmax", "IsNaN", "Where", "Expand", "Range"] {
            assert!(!ops(&model).contains(&gone), "{path}: {gone} is left");
        }
    }
}

#[test]
fn no_shape_arithmetic_is_left_around_linear_layers() {
    for path in [DEMO, "single/model.onnx", "external/model.onnx"] {
        let mut model = fixture(path);
        let contract = contract(&model);
        let n_before = model.metadata().n_nodes;
        assert!(model.keep_last_logits() && model.keep_cache_in_place(&contract));
        let n_attention = model.metadata().n_nodes;
        model.simplify_reshapes(&contract.input_ids);
        sound(&model);
        let (n, n_layers) = (model.metadata().n_nodes, contract.layers.len());
        assert!(n < n_attention && n_attention < n_before, "{path}: {n_before}, {n_attention}, {n}");
        assert!(n < 40 * n_layers, "{path}: {n} nodes for {n_layers} layers");
        // One Shape, of the tokens themselves, from which all targets come that are not constant.
        let shapes: Vec<_> = graph(&model).node.iter().filter(|n| n.op_type() == "Shape").collect();
        assert_eq!(shapes.len(), 1, "{path}");
        assert_eq!(shapes[0].input, ["input_ids"]);
        for gone in ["Slice", "Squeeze", "Unsqueeze"] {
            assert!(!ops(&model).contains(&gone), "{path}: {gone} is left");
        }
        assert_eq!(ops(&model).iter().filter(|op| **op == "Concat").count(), 1, "{path}");
        // A second time there is nothing to do.
        let once = model.proto().clone();
        model.simplify_reshapes(&contract.input_ids);
        assert_eq!(model.proto(), &once);
    }
}

#[test]
fn reshapes_are_simplified_only_where_the_result_is_known() {
    let target = |list: &[i64]| integers("target", list);
    let ids = || value("ids", ElementType::F32, &[0, 7]);
    let simplified = |nodes, constants, input: &str| {
        let mut model = checked(proto(nodes, constants, ids(), value("y", ElementType::F32, &[0, 0])));
        let before = model.proto().clone();
        model.simplify_reshapes(input);
        sound(&model);
        (model.proto() != &before, model)
    };
    // A constant target, and one that is cut out of numbers that are not known here.
    let constant = vec![node("Reshape", &["ids", "target"], "y", &[])];
    assert!(!simplified(constant.clone(), vec![target(&[-1, 7])], "ids").0);
    let unknown = vec![
        node("NonZero", &["ids"], "where", &[]),
        node("Shape", &["where"], "target", &[]),
        node("Reshape", &["ids", "target"], "reshaped", &[]),
        node("Relu", &["reshaped"], "y", &[]),
    ];
    assert!(!simplified(unknown, vec![], "ids").0);
    // A computed one becomes a constant, and what computed it goes.
    let computed = vec![
        node("Shape", &["ids"], "shape", &[]),
        node("Gather", &["shape", "first"], "n", &[int("axis", 0)]),
        node("Concat", &["n", "rest"], "target", &[int("axis", 0)]),
        node("Reshape", &["ids", "target"], "y", &[]),
    ];
    let constants = || vec![integers("first", &[0]), integers("rest", &[-1])];
    let (is_changed, model) = simplified(computed.clone(), constants(), "ids");
    assert!(is_changed);
    assert_eq!(ops(&model), ["Reshape"]);
    // Unless there is no such input to compare with.
    assert!(!simplified(computed.clone(), constants(), "absent").0);
    // Under `allowzero` a 0 is no axis kept.
    let mut zero = computed;
    zero[3].attribute.push(int("allowzero", 1));
    assert!(!simplified(zero, constants(), "ids").0);
}

#[test]
fn rows_of_a_cache_are_picked_by_a_graph_of_its_own() {
    for path in ["single/model.onnx", "float16/onnx/model.onnx"] {
        let contract = contract(&fixture(path));
        let model = Model::parse(row_selection(&contract), "selection").unwrap();
        let facts = model.metadata();
        let element = contract.cache_element;
        assert_eq!(facts.inputs.len(), 5);
        assert_eq!(facts.inputs[0].tensor.to_string(), format!("{element} [rows_before, 2, length, 8]"));
        assert_eq!((facts.inputs[4].name.as_str(), facts.outputs[3].name.as_str()), ("rows", "selected.3"));
        assert_eq!(facts.outputs[3].tensor.to_string(), format!("{element} [selected_rows, 2, length, 8]"));
        for (i, gather) in graph(&model).node.iter().enumerate() {
            assert_eq!(
                (gather.input.as_slice(), gather.op_type()),
                (&[format!("cache.{i}"), "rows".into()][..], "Gather")
            );
        }
    }
}

/// Checked again from its bytes, its external data left where it is.
pub(crate) fn sound(model: &Model) {
    if model.external_files().is_empty() {
        assert_sound(model);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, model.encode().unwrap()).unwrap();
    for file in model.external_files() {
        std::fs::write(folder.path().join(file), vec![0; 1 << 20]).unwrap();
    }
    assert_eq!(Model::read_with_external_data(&path).unwrap().proto(), model.proto());
}
