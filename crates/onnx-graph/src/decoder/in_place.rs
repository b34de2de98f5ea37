//! Attention with a cache in place: every layer's subgraph becomes one `GroupQueryAttention` node of
//! the runtime, which writes new keys and values into the cache's own buffer and knows the length of
//! each row by itself.
//!
//! That spares copying the cache at every step (72 KiB a token and row for GPT-2), the arithmetic of
//! masks, and padding: a row's result cannot depend on what it was batched with.

use super::attention::Search;
use super::contract::{CacheLayer, DecoderContract};
use crate::chain::Chain;
use crate::element::ElementType;
use crate::model::Model;
use crate::node::{Attr, node};
use crate::proto::{NodeProto, OperatorSetIdProto};
use crate::tensor::External;
use crate::validate;
use crate::value::{Dim, TensorType};

/// Name of the input that [`Model::keep_cache_in_place`] adds: int32 `[batch]`, tokens of each row
/// after this run, less one.
pub const LENGTHS: &str = "row_lengths_less_one";
/// Name of the input that [`Model::keep_cache_in_place`] adds: int32 `[1]`, the longest row after this run.
pub const TOTAL_LENGTH: &str = "longest_row";

const MICROSOFT: &str = "com.microsoft";

impl Model {
    /// Replaces every layer's attention by one that keeps its cache in place, and says whether it could.
    ///
    /// Afterwards past and present tensors are `[batch, kv_heads, capacity, head_dim]` and may be one
    /// buffer; rows are padded on the right; [`LENGTHS`] and [`TOTAL_LENGTH`] are fed in place of
    /// `attention_mask`. Nothing changes unless all layers have a known form, the cache is float32, and
    /// nothing else in the graph reads the mask or the cache.
    ///
    /// The caller vouches that the model's mask is the causal one: every token sees all before it.
    pub fn keep_cache_in_place(&mut self, contract: &DecoderContract) -> bool {
        if contract.cache_element != ElementType::F32 || contract.position_ids.is_none() {
            return false;
        }
        let Some(edited) = self.with_cache_in_place(contract) else { return false };
        *self = edited;
        true
    }

    fn with_cache_in_place(&self, contract: &DecoderContract) -> Option<Self> {
        let mut edited = self.clone();
        edited.reserve(LENGTHS);
        edited.reserve(TOTAL_LENGTH);
        // Layer by layer, since what the first gives has to be known to know what the second reads.
        for layer in &contract.layers {
            edited.replace(layer, contract)?;
        }
        edited.declare_lengths();
        edited.drop_unneeded();
        let is_sound =
            validate::check(&edited.proto, External::Allowed).is_ok() && edited.leaves_the_cache_alone(contract);
        is_sound.then_some(edited)
    }

    fn replace(&mut self, layer: &CacheLayer, contract: &DecoderContract) -> Option<()> {
        let tensors = self.tensors();
        let graph = self.graph();
        let attention = Search::new(graph, &tensors).find(layer, contract.kv_heads, contract.head_dim)?;
        let width = attention.heads.checked_mul(contract.head_dim)?;
        let kv_width = contract.kv_heads.checked_mul(contract.head_dim)?;
        let joined = |name: &str, width: u64| Search::new(graph, &tensors).joined(name, width).map(str::to_owned);
        let sources = [(&attention.query, width), (&attention.key, kv_width), (&attention.value, kv_width)]
            .map(|(name, width)| (joined(name, width).ok_or(name), width));
        let [batch, _, sequence, _] = tensors.shape(&attention.query)? else { return None };
        let (of_heads, of_rows) = (
            vec![batch.clone(), Dim::Fixed(attention.heads), sequence.clone(), Dim::Fixed(contract.head_dim)],
            [batch.clone(), sequence.clone(), Dim::Fixed(width)],
        );
        let mut probe = self.clone();
        // A mask's shape is often beyond what can be told, and what is added to it with it. That scores times
        // values has one vector a head and position is what attention means.
        let mixed = TensorType { element: Some(contract.cache_element), shape: Some(of_heads) };
        probe.graph_mut().value_info.retain(|value| value.name() != attention.mixed);
        probe.graph_mut().value_info.push(mixed.declare(&attention.mixed));
        if probe.tensors().shape(&attention.output) != Some(&of_rows[..]) {
            return None;
        }
        let sources = sources.map(|(source, width)| (source.map_err(Clone::clone), width));
        let [query, key, value] = sources.map(|(source, width)| match source {
            Ok(sequence) => sequence,
            Err(by_head) => {
                let mut chain = Chain::new(self, "in_place", &by_head);
                chain.push("Transpose", &[], &[("perm", Attr::Ints(&[0, 2, 1, 3]))]);
                let target = chain.integers("width", &[3], &[0, 0, width as i64]);
                chain.push("Reshape", &[&target], &[]);
                chain.insert_before(self, &attention.output)
            }
        });
        let inputs = [&query, &key, &value, layer.past_key.as_ref()?, layer.past_value.as_ref()?];
        let inputs: Vec<&str> = inputs.into_iter().map(String::as_str).chain([LENGTHS, TOTAL_LENGTH]).collect();
        let attributes = [
            ("num_heads", Attr::Int(i64::try_from(attention.heads).ok()?)),
            ("kv_num_heads", Attr::Int(i64::try_from(contract.kv_heads).ok()?)),
            ("scale", Attr::Float(attention.scale as f32)),
        ];
        let mut fused = node("GroupQueryAttention", &inputs, &attention.output, &attributes);
        fused.domain = Some(MICROSOFT.to_owned());
        fused.output.extend([layer.present_key.clone(), layer.present_value.clone()]);
        let graph = self.graph_mut();
        let made = |node: &NodeProto, name: &String| node.output.contains(name);
        // The nodes that made these outputs go; what only they read goes with what no output needs.
        graph.node.retain(|n| !made(n, &layer.present_key) && !made(n, &layer.present_value));
        let at = graph.node.iter().position(|n| made(n, &attention.output))?;
        graph.node[at] = fused;
        Some(())
    }

    fn declare_lengths(&mut self) {
        let imports = &mut self.proto.opset_import;
        if !imports.iter().any(|import| import.domain() == MICROSOFT) {
            imports.push(OperatorSetIdProto { domain: Some(MICROSOFT.to_owned()), version: Some(1) });
        }
        let list = |dim| TensorType { element: Some(ElementType::I32), shape: Some(vec![dim]) };
        let inputs = &mut self.graph_mut().input;
        inputs.push(list(Dim::Named("batch_size".into())).declare(LENGTHS));
        inputs.push(list(Dim::Fixed(1)).declare(TOTAL_LENGTH));
    }

    /// Whether the cache is read by the new nodes alone, and the mask by none: positions that are counted
    /// from the cache's length, say, would be wrong.
    fn leaves_the_cache_alone(&self, contract: &DecoderContract) -> bool {
        let pasts: Vec<&String> = contract.layers.iter().flat_map(|l| l.past_key.iter().chain(&l.past_value)).collect();
        let presents: Vec<&String> = contract.layers.iter().flat_map(|l| [&l.present_key, &l.present_value]).collect();
        self.graph().node.iter().all(|node| {
            let reads = |name: &String| node.input.contains(name);
            let is_new = node.domain() == MICROSOFT && node.op_type() == "GroupQueryAttention";
            (is_new || !pasts.iter().any(|p| reads(p)))
                && !presents.iter().any(|p| reads(p))
                && !contract.attention_mask.as_ref().is_some_and(reads)
        })
    }
}
