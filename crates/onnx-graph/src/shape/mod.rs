//! Light shape inference: enough to tell the types and shapes of the tensors in common image
//! networks. Where no rule applies, what the file declares (`value_info`) stands, else "unknown".
//!
//! It never refuses a model: a rule that does not understand its node says nothing. Numbers come
//! from files that may be broken, so all arithmetic on them is checked.

mod arithmetic;
mod layout;
mod rules;
mod shape_values;
mod spatial;

use std::collections::HashMap;

use crate::ElementType;
use crate::names::subgraphs;
use crate::proto::{GraphProto, NodeProto};
use crate::tensor;
use crate::value::{Dim, TensorType};
use shape_values::Entry;

const MAX_RANK: usize = 16;

/// What is known of one tensor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) tensor: TensorType,
    /// Whether it is the same in every run: it depends on no input.
    pub(crate) constant: bool,
    /// The elements, if it is a short list of sizes on its way to a Reshape or Expand.
    entries: Option<Vec<Entry>>,
}

/// What is known of all tensors of a graph, by name.
pub(crate) struct Tensors(HashMap<String, Facts>);

impl Tensors {
    pub(crate) fn get(&self, name: &str) -> Option<&Facts> {
        self.0.get(name)
    }

    /// Type and shape; all unknown for a name that is not there.
    pub(crate) fn tensor(&self, name: &str) -> TensorType {
        self.get(name).map(|facts| facts.tensor.clone()).unwrap_or_default()
    }

    pub(crate) fn shape(&self, name: &str) -> Option<&[Dim]> {
        self.get(name)?.tensor.shape.as_deref()
    }

    pub(crate) fn is_constant(&self, name: &str) -> bool {
        self.get(name).is_some_and(|facts| facts.constant)
    }

    fn element(&self, name: &str) -> Option<ElementType> {
        self.get(name)?.tensor.element
    }

    /// Whether a list of sizes is made of these axes, whatever they will be; an axis of unknown name is none.
    pub(crate) fn starts_with_sizes(&self, name: &str, sizes: &[Dim]) -> bool {
        let wanted = sizes.iter().map(|dim| Entry::Size(dim.clone()));
        !sizes.contains(&Dim::Unknown)
            && self.entries(name).is_some_and(|list| wanted.eq(list.iter().take(sizes.len()).cloned()))
    }

    fn entries(&self, name: &str) -> Option<&[Entry]> {
        self.get(name)?.entries.as_deref()
    }

    /// The elements of a short integer tensor, if all are known.
    pub(crate) fn integers(&self, name: &str) -> Option<Vec<i64>> {
        self.entries(name)?.iter().map(Entry::known).collect()
    }
}

/// Goes through the main graph once, from inputs to outputs.
pub(crate) fn infer(graph: &GraphProto, opset: i64) -> Tensors {
    let values = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
    let declared: HashMap<&str, TensorType> = values.map(|v| (v.name(), TensorType::of(v))).collect();
    let mut tensors = Tensors(HashMap::new());
    for input in &graph.input {
        let facts = Facts { tensor: TensorType::of(input), ..Facts::default() };
        tensors.0.insert(input.name().to_owned(), facts);
    }
    for constant in &graph.initializer {
        tensors.0.insert(constant.name().to_owned(), constant_facts(constant));
    }
    for node in &graph.node {
        let constant = is_constant(node, &tensors);
        for (index, output) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let mut facts = rules::output(node, index, &tensors, opset);
            facts.constant = constant;
            // Ranks can double from node to node in a hostile file; no real tensor has this many axes.
            facts.tensor.shape = facts.tensor.shape.filter(|shape| shape.len() <= MAX_RANK);
            if let Some(declared) = declared.get(output.as_str()) {
                facts.tensor = merge(facts.tensor, declared);
            }
            tensors.0.insert(output.clone(), facts);
        }
    }
    tensors
}

fn constant_facts(constant: &crate::proto::TensorProto) -> Facts {
    let dims = constant.dims.iter().map(|&dim| u64::try_from(dim).map_or(Dim::Unknown, Dim::Fixed));
    Facts {
        tensor: TensorType { element: ElementType::from_code(constant.data_type()), shape: Some(dims.collect()) },
        constant: true,
        entries: tensor::integers(constant).map(|list| list.into_iter().map(Entry::Known).collect()),
    }
}

fn is_constant(node: &NodeProto, tensors: &Tensors) -> bool {
    let mut inputs = node.input.iter().filter(|name| !name.is_empty());
    let random = node.op_type().starts_with("Random") || node.op_type() == "Bernoulli";
    !random && subgraphs(node).next().is_none() && inputs.all(|name| tensors.is_constant(name))
}

/// What the rule found, completed by what the file declares. Where both name a rank and disagree,
/// the rule wins: tools that edit graphs often leave stale declarations behind.
fn merge(found: TensorType, declared: &TensorType) -> TensorType {
    let shape = match (found.shape, &declared.shape) {
        (None, declared) => declared.clone(),
        (Some(found), Some(declared)) if found.len() == declared.len() => {
            let both = found.into_iter().zip(declared);
            Some(both.map(|(found, declared)| if found == Dim::Unknown { declared.clone() } else { found }).collect())
        }
        (found, _) => found,
    };
    TensorType { element: found.element.or(declared.element), shape }
}
