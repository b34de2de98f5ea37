//! Numbers that a graph computes from constants and sizes alone: exporters write the scale of an
//! attention as `1 / sqrt(last axis of Shape(query))`.

use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::shape::Tensors;
use crate::tensor;
use crate::wiring::Wiring;

/// Deeper than any such formula; a guard against graphs made to be slow.
const DEEPEST: usize = 32;

/// The value of a tensor of one element; `None` if it depends on an input.
pub(super) fn value(name: &str, graph: &GraphProto, wiring: &Wiring<'_>, tensors: &Tensors) -> Option<f64> {
    Evaluation { graph, wiring, tensors }.of(name, 0)
}

struct Evaluation<'a> {
    graph: &'a GraphProto,
    wiring: &'a Wiring<'a>,
    tensors: &'a Tensors,
}

impl Evaluation<'_> {
    fn of(&self, name: &str, depth: usize) -> Option<f64> {
        if depth > DEEPEST {
            return None;
        }
        if let Some([only]) = self.tensors.integers(name).as_deref() {
            return Some(*only as f64);
        }
        if let Some(stored) = self.graph.initializer.iter().find(|t| t.name() == name) {
            return one_element(stored);
        }
        let node: &NodeProto = self.wiring.maker(name)?;
        let input = |index: usize| self.of(node.reads_at(index)?, depth + 1);
        match node.standard_op() {
            "Constant" => match node.float("value_float") {
                Some(value) => Some(f64::from(value)),
                None => one_element(node.tensor("value")?),
            },
            "Identity" | "Cast" | "Squeeze" | "Unsqueeze" | "Reshape" => input(0),
            "Sqrt" => Some(input(0)?.sqrt()),
            "Reciprocal" => Some(1.0 / input(0)?),
            "Mul" => Some(input(0)? * input(1)?),
            "Div" => Some(input(0)? / input(1)?),
            "Pow" => Some(input(0)?.powf(input(1)?)),
            _ => None,
        }
    }
}

/// The one number in a constant of one element, whatever its rank.
fn one_element(stored: &TensorProto) -> Option<f64> {
    match tensor::floats(stored)?.as_slice() {
        [only] => Some(f64::from(*only)),
        _ => None,
    }
}
