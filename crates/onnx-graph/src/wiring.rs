//! Who makes which tensor: walking a graph from its output back, and reading constant matrices.

use std::collections::HashMap;

use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::tensor;

/// An index over a graph.
pub(crate) struct Wiring<'a> {
    makers: HashMap<&'a str, &'a NodeProto>,
    constants: HashMap<&'a str, &'a TensorProto>,
}

impl<'a> Wiring<'a> {
    pub(crate) fn of(graph: &'a GraphProto) -> Self {
        let outputs = |node: &'a NodeProto| node.output.iter().map(move |name| (name.as_str(), node));
        Self {
            makers: graph.node.iter().flat_map(outputs).filter(|(name, _)| !name.is_empty()).collect(),
            constants: graph.initializer.iter().map(|tensor| (tensor.name(), tensor)).collect(),
        }
    }

    /// The node that makes a tensor; `None` for inputs and initialisers.
    pub(crate) fn maker(&self, tensor: &str) -> Option<&'a NodeProto> {
        self.makers.get(tensor).copied()
    }

    /// Back over nodes of the given operators, each from its output to its first input.
    pub(crate) fn back_over(&self, mut tensor: &'a str, operators: &[&str]) -> &'a str {
        while let Some(node) = self.maker(tensor).filter(|node| operators.contains(&node.standard_op())) {
            match node.reads_at(0) {
                Some(input) => tensor = input,
                None => break,
            }
        }
        tensor
    }

    /// The initialiser, or tensor in a Constant node, that a tensor is a mere cast, copy or transposition of.
    pub(crate) fn source(&self, tensor: &'a str) -> Option<&'a str> {
        let name = self.back_over(tensor, &["Identity", "Cast", "Transpose"]);
        let is_constant = |node: &NodeProto| node.standard_op() == "Constant" && node.tensor("value").is_some();
        (self.constants.contains_key(name) || self.maker(name).is_some_and(is_constant)).then_some(name)
    }

    /// A constant of floats with its shape, through Constant, Identity, Cast and transposition of a
    /// matrix.
    pub(crate) fn constant(&self, name: &str) -> Option<Constant> {
        let (mut at, mut is_transposed) = (name, false);
        let stored = loop {
            if let Some(stored) = self.constants.get(at) {
                break Constant::of(stored)?;
            }
            let node = self.maker(at)?;
            match node.standard_op() {
                "Constant" => break Constant::of_node(node)?,
                "Identity" | "Cast" => {}
                "Transpose" if node.ints("perm").is_none_or(|perm| perm == [1, 0]) => is_transposed = !is_transposed,
                _ => return None,
            }
            at = node.reads_at(0)?;
        };
        if is_transposed { stored.transposed() } else { Some(stored) }
    }
}

/// Elements of a constant, row-major.
#[derive(Debug)]
pub(crate) struct Constant {
    pub(crate) dims: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl Constant {
    /// Nothing where the elements lie in another file: the file at hand then has fewer than the shape asks for.
    pub(crate) fn of(stored: &TensorProto) -> Option<Self> {
        let dims = stored.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect::<Option<_>>()?;
        let values = tensor::floats(stored)?;
        (tensor::count(&stored.dims) == Some(values.len() as u64)).then_some(Self { dims, values })
    }

    fn of_node(constant: &NodeProto) -> Option<Self> {
        if let Some(stored) = constant.tensor("value") {
            return Self::of(stored);
        }
        if let Some(list) = constant.attr("value_floats") {
            return Some(Self { dims: vec![list.floats.len()], values: list.floats.clone() });
        }
        Some(Self { dims: Vec::new(), values: vec![constant.float("value_float")?] })
    }

    /// The transposed matrix; `None` if this is no matrix.
    pub(crate) fn transposed(&self) -> Option<Self> {
        let &[rows, columns] = self.dims.as_slice() else {
            return None;
        };
        let column = |c: usize| (0..rows).map(move |r| self.values[r * columns + c]);
        Some(Self { dims: vec![columns, rows], values: (0..columns).flat_map(column).collect() })
    }
}
