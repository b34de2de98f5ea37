//! Recognises one layer's attention: which tensors are query, key and value, and what comes out.
//!
//! Known are the forms that PyTorch's exporters write of `softmax(scale · Q Kᵀ + mask) V`: scales on
//! either side or on the scores, masks added or chosen by Where, key and value heads repeated for
//! grouped queries. What the mask does cannot be told from here: whoever asks for an edit vouches
//! that it is causal and hides padding, as in GPT-2 and Llama.

use std::collections::{HashMap, HashSet};

use super::contract::CacheLayer;
use super::scalar;
use crate::proto::{GraphProto, NodeProto, ValueInfoProto};
use crate::shape::Tensors;
use crate::value::Dim;
use crate::wiring::Wiring;

/// The attention of one layer.
#[derive(Debug)]
pub(super) struct Attention {
    /// `[batch, heads, sequence, head_dim]`, before any scale.
    pub(super) query: String,
    /// `[batch, kv_heads, sequence, head_dim]` of the tokens of this run.
    pub(super) key: String,
    pub(super) value: String,
    /// Probabilities times values, `[batch, heads, sequence, head_dim]`.
    pub(super) mixed: String,
    /// The same rearranged by a Reshape, to be `[batch, sequence, heads · head_dim]`: that is for the caller to check.
    pub(super) output: String,
    pub(super) heads: u64,
    /// Factor on the scores.
    pub(super) scale: f64,
}

/// Finds attentions in one graph.
pub(super) struct Search<'a> {
    graph: &'a GraphProto,
    tensors: &'a Tensors,
    wiring: Wiring<'a>,
    readers: HashMap<&'a str, Vec<&'a NodeProto>>,
}

/// A walk towards the outputs: where it is, and the factors that it met.
struct Walk<'a> {
    at: &'a str,
    scale: f64,
    /// Nodes that repeat key/value heads, in order.
    repeats: Vec<&'a NodeProto>,
}

impl<'a> Search<'a> {
    pub(super) fn new(graph: &'a GraphProto, tensors: &'a Tensors) -> Self {
        let mut readers: HashMap<&str, Vec<&NodeProto>> = HashMap::new();
        for node in &graph.node {
            for name in &node.input {
                readers.entry(name).or_default().push(node);
            }
        }
        Self { graph, tensors, wiring: Wiring::of(graph), readers }
    }

    /// The attention that fills this layer's cache.
    pub(super) fn find(&self, layer: &CacheLayer, kv_heads: u64, head_dim: u64) -> Option<Attention> {
        let key = self.appended(layer.past_key.as_deref()?, &layer.present_key)?;
        let value = self.appended(layer.past_value.as_deref()?, &layer.present_value)?;
        let (keys, scores) = self.to_product(&layer.present_key, true)?;
        let (values, mixed) = self.to_product(&layer.present_value, false)?;
        if values.scale != 1.0 {
            return None;
        }
        let (query, query_scale) = self.unscaled(scores.reads_at(0)?)?;
        let score_scale = self.through_softmax(scores.output.first()?, mixed)?;
        let swapped = self.only_reader(mixed.output.first()?, &["Shape"])?;
        if swapped.standard_op() != "Transpose" || swapped.ints("perm") != Some(&[0, 2, 1, 3]) {
            return None;
        }
        let joined = self.only_reader(swapped.output.first()?, &["Shape"])?;
        let output = joined.output.first().filter(|_| joined.standard_op() == "Reshape")?;
        let heads = match self.tensors.shape(query)? {
            [_, Dim::Fixed(heads), _, Dim::Fixed(dim)] if *dim == head_dim => *heads,
            _ => return None,
        };
        let repeated = |walk: &Walk<'_>| self.repeats_each_head(&walk.repeats, kv_heads, heads);
        if !repeated(&keys) || !repeated(&values) {
            return None;
        }
        let scale = query_scale * keys.scale * score_scale;
        let sound = heads > 0 && heads.is_multiple_of(kv_heads) && scale.is_finite() && scale > 0.0;
        if !sound {
            return None;
        }
        Some(Attention {
            query: query.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
            mixed: mixed.output.first()?.clone(),
            output: output.clone(),
            heads,
            scale,
        })
    }

    /// What is appended to `past` along the length to make `present`.
    fn appended(&self, past: &str, present: &str) -> Option<&'a str> {
        let node = self.wiring.maker(present).filter(|node| node.standard_op() == "Concat")?;
        let along_length = matches!(node.int("axis"), Some(2 | -2));
        match node.input.as_slice() {
            [first, second] if first == past && along_length => Some(second),
            _ => None,
        }
    }

    /// From a cache tensor to the product that reads it on the right, over scales, repeated heads
    /// and, for keys, the transposition.
    fn to_product(&self, cache: &str, transposed: bool) -> Option<(Walk<'a>, &'a NodeProto)> {
        let start = self.graph.output.iter().map(ValueInfoProto::name).find(|name| *name == cache)?;
        let (mut walk, mut swaps) = (Walk { at: start, scale: 1.0, repeats: Vec::new() }, 0);
        loop {
            let node = self.only_reader(walk.at, &["Shape"])?;
            match node.standard_op() {
                "MatMul" if node.reads_at(1) == Some(walk.at) && (swaps == 1) == transposed => {
                    return Some((walk, node));
                }
                "Transpose" if transposed && node.ints("perm") == Some(&[0, 1, 3, 2]) => swaps += 1,
                "Unsqueeze" | "Expand" | "Tile" | "Reshape" if node.reads_at(0) == Some(walk.at) && swaps == 0 => {
                    walk.repeats.push(node);
                }
                "Identity" => {}
                "Mul" | "Div" => walk.scale *= self.factor(node, walk.at)?,
                _ => return None,
            }
            walk.at = node.output.first()?;
        }
    }

    /// Whether the nodes repeat every key/value head for the query heads that share it, its copies beside it:
    /// `[B, H, T, D] → [B, H, 1, T, D] → [B, H, n, T, D] → [B, H · n, T, D]`. Copies in another order would pair other
    /// heads than the operator does.
    fn repeats_each_head(&self, nodes: &[&NodeProto], kv_heads: u64, heads: u64) -> bool {
        let [unsqueeze, copy, join] = nodes else { return nodes.is_empty() && heads == kv_heads };
        if unsqueeze.standard_op() != "Unsqueeze" || join.standard_op() != "Reshape" || !heads.is_multiple_of(kv_heads)
        {
            return false;
        }
        let n = heads / kv_heads;
        let copied = |node: &NodeProto| self.tensors.shape(node.output.first()?);
        let copies_beside = match copy.standard_op() {
            "Tile" => {
                let repeats = copy.reads_at(1).and_then(|name| self.tensors.integers(name));
                i64::try_from(n).is_ok_and(|n| repeats.as_deref() == Some(&[1, 1, n, 1, 1]))
            }
            "Expand" => {
                matches!(copied(copy), Some([_, Dim::Fixed(h), Dim::Fixed(found), _, _]) if (*h, *found) == (kv_heads, n))
            }
            _ => false,
        };
        let is_joined = matches!(copied(join), Some([_, Dim::Fixed(found), _, _]) if *found == heads);
        self.axes(unsqueeze).as_deref() == Some(&[2]) && copies_beside && is_joined
    }

    /// Whether a tensor is made from an input of the graph, such as the mask.
    fn depends_on(&self, name: &str, input: &str) -> bool {
        let (mut seen, mut open) = (HashSet::new(), vec![name]);
        while let Some(name) = open.pop() {
            if name == input {
                return true;
            }
            if let Some(node) = self.wiring.maker(name).filter(|_| seen.insert(name.to_owned())) {
                open.extend(node.input.iter().map(String::as_str));
            }
        }
        false
    }

    /// From the scores over scale, mask and softmax to the product with the values; gives the scale.
    fn through_softmax(&self, scores: &'a str, mixed: &NodeProto) -> Option<f64> {
        let (mut at, mut scale, mut is_masked, mut is_softmax) = (scores, 1.0, false, false);
        loop {
            let node = self.only_reader(at, &["Shape", "IsNaN"])?;
            match (node.standard_op(), is_softmax) {
                ("MatMul", true) if std::ptr::eq(node, mixed) => return is_masked.then_some(scale),
                ("Softmax", false) if matches!(node.int("axis").unwrap_or(-1), -1 | 3) => is_softmax = true,
                ("Mul" | "Div", false) if !is_masked => scale *= self.factor(node, at)?,
                ("Add", false) if !is_masked && self.is_mask(node, at) => is_masked = true,
                // Where(mask, scores, −∞).
                ("Where", false)
                    if !is_masked
                        && node.reads_at(1) == Some(at)
                        && self.depends_on(node.reads_at(0)?, "attention_mask") =>
                {
                    is_masked = true;
                }
                // Rows that are all padding: Where(IsNaN(p), 0, p).
                ("Where", true) if node.reads_at(2) == Some(at) && self.is_nan_test(node.reads_at(0)?, at) => {}
                ("Identity" | "Dropout" | "Cast", _) => {}
                _ => return None,
            }
            at = node.output.first()?;
        }
    }

    /// Whether what is added to the scores comes of the attention mask, and is no bias of another kind.
    fn is_mask(&self, add: &NodeProto, scores: &str) -> bool {
        let mut others = add.input.iter().filter(|name| *name != scores);
        others.next().is_some_and(|other| self.depends_on(other, "attention_mask")) && others.next().is_none()
    }

    fn is_nan_test(&self, condition: &str, of: &str) -> bool {
        self.wiring.maker(condition).is_some_and(|n| n.standard_op() == "IsNaN" && n.reads_at(0) == Some(of))
    }

    /// Back over scales; gives the tensor before them and their product.
    fn unscaled(&self, mut name: &'a str) -> Option<(&'a str, f64)> {
        let mut scale = 1.0;
        while let Some(node) = self.wiring.maker(name).filter(|n| matches!(n.standard_op(), "Mul" | "Div")) {
            let of = |side: usize| scalar::value(node.reads_at(side)?, self.graph, &self.wiring, self.tensors);
            let (next, factor) = match (node.standard_op(), of(0), of(1)) {
                ("Mul", None, Some(factor)) => (node.reads_at(0)?, factor),
                ("Mul", Some(factor), None) => (node.reads_at(1)?, factor),
                ("Div", None, Some(divisor)) => (node.reads_at(0)?, 1.0 / divisor),
                // A product of two tensors, as rotary positions are: the query itself.
                _ => break,
            };
            (name, scale) = (next, scale * factor);
        }
        Some((name, scale))
    }

    /// The number that a Mul or Div applies to `name`.
    fn factor(&self, node: &NodeProto, name: &str) -> Option<f64> {
        let other = |side: usize| scalar::value(node.reads_at(side)?, self.graph, &self.wiring, self.tensors);
        match (node.standard_op(), node.reads_at(0) == Some(name)) {
            ("Mul", true) => other(1),
            ("Mul", false) => other(0),
            ("Div", true) => other(1).map(|divisor| 1.0 / divisor),
            _ => None,
        }
    }

    fn axes(&self, node: &NodeProto) -> Option<Vec<i64>> {
        match node.reads_at(1) {
            Some(name) => self.tensors.integers(name),
            None => node.ints("axes").map(<[i64]>::to_vec),
        }
    }

    /// The one node that reads a tensor, readers of the operators to `ignore` left out.
    fn only_reader(&self, name: &str, ignore: &[&str]) -> Option<&'a NodeProto> {
        let readers = self.readers.get(name)?.iter();
        let mut others = readers.filter(|node| !ignore.contains(&node.standard_op()));
        match (others.next(), others.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }

    /// The tensor `[batch, sequence, heads · head_dim]` that a tensor `[batch, heads, sequence, head_dim]` is a
    /// mere rearrangement of, if there is one.
    pub(super) fn joined(&self, name: &str, width: u64) -> Option<&'a str> {
        let swap = self.wiring.maker(name).filter(|n| n.standard_op() == "Transpose")?;
        if swap.ints("perm") != Some(&[0, 2, 1, 3]) {
            return None;
        }
        let split = self.wiring.maker(swap.reads_at(0)?).filter(|n| n.standard_op() == "Reshape")?;
        let source = split.reads_at(0)?;
        matches!(self.tensors.shape(source)?, [_, _, Dim::Fixed(found)] if *found == width).then_some(source)
    }
}
