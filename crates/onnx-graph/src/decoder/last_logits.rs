//! Logits of one position a row: nobody needs those of the others, and over a vocabulary of 50,257
//! and a prompt of 512 tokens they are 100 MB a row.

use crate::ElementType;
use crate::model::Model;
use crate::names::Names;
use crate::node::{Attr, node};
use crate::proto::NodeProto;
use crate::value::{Dim, TensorType};

/// Name of the input that [`Model::keep_last_logits`] adds: int64 `[batch, 1, 1]`, the index of the
/// position whose logits are wanted.
pub const LAST_POSITION: &str = "last_position";
/// The output that the contract requires.
const LOGITS: &str = "logits";

/// What may stand between the last matrix product and the logits: it acts on each number by itself
/// (Add, Mul and Div: with a constant, which the walk checks).
const POINTWISE: [&str; 7] = ["Identity", "Cast", "Add", "Mul", "Div", "Tanh", "Clip"];

impl Model {
    /// Makes the model compute logits `[batch, 1, vocab]` of the position that the new input
    /// [`LAST_POSITION`] names, in place of `[batch, sequence, vocab]` of all. Says whether it could:
    /// the logits must come from a matrix product with a constant, in the main graph.
    pub fn keep_last_logits(&mut self) -> bool {
        let Some(LanguageHead { product, hidden, behind }) = self.language_head() else { return false };
        self.reserve(LAST_POSITION);
        let last = Names::of(self.graph()).fresh("last_hidden");
        // [batch, sequence, width] indexed by [batch, 1, 1] along the sequence gives [batch, 1, width].
        let gather = node("GatherND", &[&hidden, LAST_POSITION], &last, &[("batch_dims", Attr::Int(1))]);
        let graph = self.graph_mut();
        graph.node[product].input[0] = last;
        graph.node.insert(product, gather);
        let index =
            TensorType { element: Some(ElementType::I64), shape: Some(vec![batch(), Dim::Fixed(1), Dim::Fixed(1)]) };
        graph.input.push(index.declare(LAST_POSITION));
        // What the file says of the shapes behind is wrong from now on.
        graph.value_info.retain(|value| !behind.iter().any(|name| name == value.name()));
        for output in graph.output.iter_mut().filter(|o| o.name() == LOGITS) {
            let mut declared = TensorType::of(output);
            if let Some(sequence) = declared.shape.as_mut().and_then(|shape| shape.get_mut(1)) {
                *sequence = Dim::Fixed(1);
            }
            *output = declared.declare(LOGITS);
        }
        true
    }

    /// Walks back from the logits to the product with the vocabulary's matrix.
    fn language_head(&self) -> Option<LanguageHead> {
        // GatherND with batch_dims is of operator set 12.
        if self.opset() < 12 {
            return None;
        }
        let (graph, tensors) = (self.graph(), self.tensors());
        let maker = |name: &str| graph.node.iter().position(|n| n.output.iter().any(|o| o == name));
        let (mut at, mut behind) = (maker(LOGITS)?, vec![LOGITS.to_owned()]);
        loop {
            let node: &NodeProto = &graph.node[at];
            let varying: Vec<&String> =
                node.input.iter().filter(|name| !name.is_empty() && !tensors.is_constant(name)).collect();
            let [only] = varying.as_slice() else { return None };
            match node.standard_op() {
                "MatMul" if node.reads_at(0) == Some(only) => {
                    let is_sequence = tensors.shape(only).is_some_and(|shape| shape.len() == 3);
                    return is_sequence.then(|| LanguageHead { product: at, hidden: (*only).clone(), behind });
                }
                op if POINTWISE.contains(&op) => {
                    behind.push((*only).clone());
                    at = maker(only)?;
                }
                _ => return None,
            }
        }
    }
}

/// The product that makes the logits.
struct LanguageHead {
    /// Index of the node.
    product: usize,
    /// The tensor `[batch, sequence, width]` that it reads.
    hidden: String,
    /// The product's result and what is made of it.
    behind: Vec<String>,
}

fn batch() -> Dim {
    Dim::Named("batch_size".into())
}
