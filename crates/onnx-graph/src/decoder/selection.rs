//! A graph that picks rows of a cache on the device: repeated for several sequences of one prompt,
//! re-ordered for beams, fewer when rows have finished.

use prost::Message;

use super::contract::DecoderContract;
use crate::element::ElementType;
use crate::node::{Attr, node};
use crate::proto::{GraphProto, ModelProto, OperatorSetIdProto};
use crate::value::{Dim, TensorType};

/// The bytes of a model that takes the cache tensors `cache.0`, `cache.1`, … (`[batch, kv_heads, length,
/// head_dim]`, two a layer) and int64 `rows`, and gives `selected.0`, `selected.1`, …: these rows of each.
pub fn row_selection(contract: &DecoderContract) -> Vec<u8> {
    let named = |name: &str| Dim::Named(name.to_owned());
    let cache = |rows: &str| TensorType {
        element: Some(contract.cache_element),
        shape: Some(vec![named(rows), Dim::Fixed(contract.kv_heads), named("length"), Dim::Fixed(contract.head_dim)]),
    };
    let n_tensors = 2 * contract.layers.len();
    let from = |i: usize| format!("cache.{i}");
    let to = |i: usize| format!("selected.{i}");
    let rows = TensorType { element: Some(ElementType::I64), shape: Some(vec![named("selected_rows")]) };
    let gather = |i: usize| node("Gather", &[&from(i), "rows"], &to(i), &[("axis", Attr::Int(0))]);
    let graph = GraphProto {
        name: Some("row_selection".to_owned()),
        node: (0..n_tensors).map(gather).collect(),
        input: (0..n_tensors).map(|i| cache("rows_before").declare(&from(i))).chain([rows.declare("rows")]).collect(),
        output: (0..n_tensors).map(|i| cache("selected_rows").declare(&to(i))).collect(),
        ..GraphProto::default()
    };
    let model = ModelProto {
        ir_version: Some(8),
        producer_name: Some("headstart".to_owned()),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(13) }],
        graph: Some(graph),
        ..ModelProto::default()
    };
    model.encode_to_vec()
}
