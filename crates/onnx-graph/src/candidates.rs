//! The tensors near the end of a model that can serve as features, for `--list`.

use std::collections::HashSet;

use crate::element::ElementType;
use crate::model::Model;
use crate::names::reads;
use crate::proto::ValueInfoProto;
use crate::shape::Tensors;
use crate::validate;
use crate::value::{Dim, TensorType};

/// More than this many lines help nobody choose.
const MAX_CANDIDATES: usize = 24;

/// A tensor that can serve as feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Name of the tensor.
    pub name: String,
    /// Operator that makes it.
    pub op: String,
    /// Element type and shape: `[N, D]`, `[N, T, C]` or `[N, C, H, W]`.
    pub tensor: TensorType,
    /// Length of the feature vector after pooling.
    pub feature_dim: u64,
    /// Whether this is what is taken when no name is given.
    pub automatic: bool,
}

impl Model {
    /// The tensors that lead to the first output and can serve as features, nearest to the output
    /// first. The automatic choice, if there is one, is always among them.
    pub fn candidates(&self) -> Vec<Candidate> {
        let graph = self.graph();
        let tensors = self.tensors();
        let automatic = self.find_classifier().ok().map(|classifier| classifier.feature);
        let batch = validate::inputs(graph).next().and_then(|input| TensorType::of(input).shape?.into_iter().next());
        let mut wanted: HashSet<&str> = graph.output.iter().take(1).map(ValueInfoProto::name).collect();
        let mut found = Vec::new();
        for node in graph.node.iter().rev() {
            if !node.output.iter().any(|name| wanted.contains(name.as_str())) {
                continue;
            }
            wanted.extend(reads(node));
            for name in node.output.iter().filter(|name| !name.is_empty()) {
                let Some(feature_dim) = feature_dim(name, batch.as_ref(), &tensors) else {
                    continue;
                };
                let automatic = automatic.as_ref() == Some(name);
                if found.len() < MAX_CANDIDATES || automatic {
                    let (op, tensor) = (node.op_type().to_owned(), tensors.tensor(name));
                    found.push(Candidate { name: name.clone(), op, tensor, feature_dim, automatic });
                }
            }
        }
        found
    }
}

/// Length of the feature vector that a tensor gives; `None` if it is none.
fn feature_dim(name: &str, batch: Option<&Dim>, tensors: &Tensors) -> Option<u64> {
    let facts = tensors.get(name).filter(|facts| !facts.constant)?;
    if !facts.tensor.element.is_none_or(ElementType::is_float) {
        return None;
    }
    let shape = facts.tensor.shape.as_deref()?;
    // A first axis that is fixed while the batch is not, or differs from it, is not the batch.
    if shape.first()?.fixed().is_some_and(|size| batch.and_then(Dim::fixed) != Some(size)) {
        return None;
    }
    feature_axis(shape)?.fixed().filter(|dim| *dim > 0)
}

/// The axis that becomes the feature vector: channels of `[N, C, H, W]`, else the last.
pub(crate) fn feature_axis(shape: &[Dim]) -> Option<&Dim> {
    match shape {
        [_, dim] | [_, _, dim] | [_, dim, _, _] => Some(dim),
        _ => None,
    }
}
