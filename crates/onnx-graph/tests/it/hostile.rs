//! Models that no exporter writes; found by the fuzz target `onnx` (see `fuzz/`) or on the way to it.

use onnx_graph::ElementType::{F32, I64};
use onnx_graph::proto::ModelProto;

use crate::build::{checked, node, proto, value};

/// A decoder of one layer whose cache has the given name of a layer, heads and head size.
fn decoder(layer: &str, heads: i64, head_dim: i64) -> ModelProto {
    let nodes = ["logits", "key", "value"].map(|output| node("Cast", &["input_ids"], output, &[])).to_vec();
    let ids = value("input_ids", I64, &[0, 0]);
    let mut model = proto(nodes, vec![], ids, value("logits", F32, &[0, 0, 9]));
    let graph = model.graph.as_mut().unwrap();
    for (at, which) in [(1, "key"), (2, "value")] {
        let name = format!("present.{layer}.{which}");
        graph.node[at].output = vec![name.clone()];
        graph.output.push(value(&name, F32, &[0, heads, 0, head_dim]));
    }
    model
}

#[test]
fn a_layer_of_the_last_number_does_not_overflow() {
    for layer in [u64::MAX, 1 << 63, 7] {
        let error = checked(decoder(&layer.to_string(), 2, 8)).decoder_contract().unwrap_err().to_string();
        assert!(error.contains("expected a key and a value each"), "{error}");
    }
}

#[test]
fn a_cache_beyond_64_bits_does_not_overflow() {
    let contract = checked(decoder("0", 1 << 40, 1 << 40)).decoder_contract().unwrap();
    assert_eq!(contract.cache_bytes_per_token(), u64::MAX);
    assert_eq!(checked(decoder("0", 2, 8)).decoder_contract().unwrap().cache_bytes_per_token(), 2 * 2 * 8 * 4);
}
