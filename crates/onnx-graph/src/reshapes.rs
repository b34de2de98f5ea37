//! Targets of Reshape nodes written down instead of computed: exporters wrap each linear layer in a
//! dozen nodes that take shapes apart and put them together again. In a decoder's step, where one
//! token passes, these cost more than the arithmetic between them.

use std::collections::HashMap;

use crate::model::Model;
use crate::names::Names;
use crate::node::{Attr, node};
use crate::proto::NodeProto;
use crate::shape::Tensors;
use crate::tensor;
use crate::value::Dim;

/// How a target can be written.
enum Target {
    /// A constant: sizes, 0 for an axis kept, one -1 for what is left.
    Constant(Vec<i64>),
    /// The first two axes of an input of the graph, then -1.
    LikeInput,
}

impl Model {
    /// Gives every Reshape whose result is known a constant target, or the one target that begins
    /// like `input` (`[batch, sequence, -1]`), which is computed once. What computed the old targets goes.
    pub fn simplify_reshapes(&mut self, input: &str) {
        let tensors = self.tensors();
        let leading = match tensors.shape(input) {
            Some([a, b]) => [a.clone(), b.clone()],
            _ => return,
        };
        let targets: Vec<(usize, Target)> = self
            .graph()
            .node
            .iter()
            .enumerate()
            .filter(|(_, node)| node.standard_op() == "Reshape" && node.int("allowzero").unwrap_or(0) == 0)
            // A target that is constant already is left alone.
            .filter(|(_, node)| node.reads_at(1).is_some_and(|name| !tensors.is_constant(name)))
            .filter_map(|(at, node)| Some((at, target(node, &tensors, &leading)?)))
            .collect();
        if targets.is_empty() {
            return;
        }
        let mut names = Names::of(self.graph());
        let mut constants: HashMap<Vec<i64>, String> = HashMap::new();
        let like_input = names.fresh("like_input_shape");
        let mut uses_input = false;
        let mut initializers = Vec::new();
        let graph = self.graph_mut();
        for (at, target) in targets {
            graph.node[at].input[1] = match target {
                Target::LikeInput => {
                    uses_input = true;
                    like_input.clone()
                }
                Target::Constant(sizes) => constants
                    .entry(sizes)
                    .or_insert_with_key(|sizes| {
                        let name = names.fresh("target_shape");
                        initializers.push(tensor::from_integers(&name, &[sizes.len() as u64], sizes));
                        name
                    })
                    .clone(),
            };
        }
        if uses_input {
            let (shape, rest) = (names.fresh("input_shape"), names.fresh("rest"));
            initializers.push(tensor::from_integers(&rest, &[1], &[-1]));
            let join = node("Concat", &[&shape, &rest], &like_input, &[("axis", Attr::Int(0))]);
            graph.node.splice(0..0, [node("Shape", &[input], &shape, &[]), join]);
        }
        self.add_constants(initializers);
        self.drop_unneeded();
    }
}

fn target(node: &NodeProto, tensors: &Tensors, leading: &[Dim; 2]) -> Option<Target> {
    let from = tensors.shape(node.reads_at(0)?)?;
    let computed = node.reads_at(1)?;
    if let Some(known) = tensors.integers(computed) {
        return Some(Target::Constant(known));
    }
    let to = tensors.shape(node.output.first()?)?;
    if to.len() == 3 && to[2].fixed().is_some() && tensors.starts_with_sizes(computed, leading) {
        return Some(match from {
            [a, b, ..] if [a, b] == [&leading[0], &leading[1]] => Target::Constant(vec![0, 0, to[2].fixed()? as i64]),
            _ => Target::LikeInput,
        });
    }
    let mut rest = false;
    let sizes = to.iter().enumerate().map(|(axis, dim)| match dim {
        Dim::Fixed(size) => i64::try_from(*size).ok().filter(|size| *size > 0),
        Dim::Named(_) if from.get(axis) == Some(dim) => Some(0),
        _ if !rest => {
            rest = true;
            Some(-1)
        }
        _ => None,
    });
    sizes.collect::<Option<_>>().map(Target::Constant)
}
