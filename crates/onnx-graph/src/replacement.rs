//! Operators of headstart's in a graph that ONNX Runtime has optimised.

use crate::byte_operators::replace_bytes;
use crate::convolutions::replace_convolutions;
use crate::model::Model;
use crate::proto::OperatorSetIdProto;

/// The domain of the operators.
pub(crate) const OURS: &str = "headstart";

/// Which of the runtime's operators are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replacement {
    /// Convolutions of float32 by `headstart.Conv`, which multiplies less and rounds otherwise.
    pub convolutions: bool,
    /// The first convolution of a network in 8 bits, and what pools behind it, by `headstart.QLinearConv` and `headstart.MaxPool`, which
    /// make the same bytes.
    pub bytes: bool,
}

impl Replacement {
    /// What is left of it for a model that is not optimised yet; nothing where nothing would be replaced.
    #[must_use]
    pub fn within(self, model: &Model) -> Option<Self> {
        let convolutions = self.convolutions && model.has_inner_convolutions();
        let bytes = self.bytes && model.has_bytes();
        (convolutions || bytes).then_some(Self { convolutions, bytes })
    }

    /// Replaces in `optimised`, which is what the runtime saved, with `block` channels to a block.
    ///
    /// Returns nothing where the file cannot be read, or has nothing to replace.
    #[must_use]
    pub fn apply(self, optimised: Vec<u8>, block: usize) -> Option<Vec<u8>> {
        let mut model = Model::parse(optimised, "the optimised graph").ok()?;
        let graph = model.proto.graph.as_mut()?;
        let n_convolutions = if self.convolutions { replace_convolutions(graph, block) } else { 0 };
        let n_bytes = if self.bytes { replace_bytes(graph) } else { 0 };
        if n_convolutions + n_bytes == 0 {
            return None;
        }
        model.proto.opset_import.push(OperatorSetIdProto { domain: Some(OURS.to_owned()), version: Some(1) });
        model.encode().ok()
    }
}

impl Model {
    /// Whether some of it is in 8 bits.
    fn has_bytes(&self) -> bool {
        self.graph().node.iter().any(|node| matches!(node.standard_op(), "QuantizeLinear" | "QLinearConv"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Attr, node};
    use crate::proto::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
    use crate::tensor::from_floats;

    fn model(nodes: Vec<NodeProto>) -> Model {
        let port = |name: &str| ValueInfoProto { name: Some(name.to_owned()), ..ValueInfoProto::default() };
        let initializer = vec![from_floats("weight", &[8, 8, 3, 3], &[0.5; 576])];
        let (input, output) = (vec![port("x"), port("scale"), port("zero")], vec![port("y")]);
        let graph = GraphProto { node: nodes, initializer, input, output, ..GraphProto::default() };
        let opset_import = vec![OperatorSetIdProto { domain: None, version: Some(18) }];
        let proto = ModelProto { ir_version: Some(10), graph: Some(graph), opset_import, ..ModelProto::default() };
        Model::from_proto(proto, "test").unwrap()
    }

    #[test]
    fn a_model_says_what_would_be_replaced_in_it() {
        let all = Replacement { convolutions: true, bytes: true };
        let conv = node("Conv", &["x", "weight"], "y", &[("group", Attr::Int(1))]);
        let bytes = node("QuantizeLinear", &["x", "scale", "zero"], "y", &[]);
        let found = all.within(&model(vec![conv.clone()]));
        assert_eq!(found, Some(Replacement { bytes: false, ..all }));
        let found = all.within(&model(vec![bytes]));
        assert_eq!(found, Some(Replacement { convolutions: false, ..all }));
        assert_eq!(Replacement { convolutions: false, bytes: true }.within(&model(vec![conv])), None);
        assert_eq!(all.within(&model(vec![node("Relu", &["x"], "y", &[])])), None);
    }
}
