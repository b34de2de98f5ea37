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

    /// The initialiser that a tensor is a mere cast, copy or transposition of.
    pub(crate) fn source(&self, tensor: &'a str) -> Option<&'a str> {
        let name = self.back_over(tensor, &["Identity", "Cast", "Transpose"]);
        self.constants.contains_key(name).then_some(name)
    }

    /// A constant of floats with its shape, through Constant, Identity, Cast and transposition of a
    /// matrix.
    pub(crate) fn constant(&self, name: &str) -> Option<Constant> {
        if let Some(stored) = self.constants.get(name) {
            return Constant::of(stored);
        }
        let node = self.maker(name)?;
        match node.standard_op() {
            "Constant" => Constant::of(node.tensor("value")?),
            "Identity" | "Cast" => self.constant(node.reads_at(0)?),
            "Transpose" => {
                let swaps = node.ints("perm").is_none_or(|perm| perm == [1, 0]);
                self.constant(node.reads_at(0)?)?.transposed().filter(|_| swaps)
            }
            _ => None,
        }
    }
}

/// Elements of a constant, row-major.
pub(crate) struct Constant {
    pub(crate) dims: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl Constant {
    fn of(stored: &TensorProto) -> Option<Self> {
        let dims = stored.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect::<Option<_>>()?;
        Some(Self { dims, values: tensor::floats(stored)? })
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
