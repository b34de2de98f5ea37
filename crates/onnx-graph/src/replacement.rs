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
    /// Convolutions of a network in 8 bits, and what pools behind the first, by `headstart.QLinearConv` and `headstart.MaxPool`, which make
    /// the same bytes.
    pub bytes: bool,
}

impl Replacement {
    /// What is worth a try with a model that is not optimised yet, the best first: with less of it where some may fail.
    #[must_use]
    pub fn choices(self, model: &Model) -> Vec<Self> {
        let convolutions = self.convolutions && model.has_inner_convolutions();
        let bytes = self.bytes && model.has_bytes();
        match (convolutions, bytes) {
            (true, true) => vec![Self { convolutions, bytes }, Self { convolutions, bytes: false }],
            (false, false) => vec![],
            _ => vec![Self { convolutions, bytes }],
        }
    }

    /// Whether outputs stay the same, bit for bit.
    #[must_use]
    pub fn is_exact(self) -> bool {
        !self.convolutions
    }

    /// What replaces them in a graph that the runtime saved, given with the number of channels in one of its blocks. It returns nothing
    /// where the file cannot be read, or has nothing to replace.
    #[must_use]
    pub fn function(self) -> fn(Vec<u8>, usize) -> Option<Vec<u8>> {
        match (self.convolutions, self.bytes) {
            (true, true) => |optimised, block| Self { convolutions: true, bytes: true }.apply(optimised, block),
            (true, false) => |optimised, block| Self { convolutions: true, bytes: false }.apply(optimised, block),
            (false, true) => |optimised, block| Self { convolutions: false, bytes: true }.apply(optimised, block),
            (false, false) => |_, _| None,
        }
    }

    fn apply(self, optimised: Vec<u8>, block: usize) -> Option<Vec<u8>> {
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
    /// Whether it has a convolution, and something in 8 bits.
    fn has_bytes(&self) -> bool {
        let has = |ops: &[&str]| self.graph().node.iter().any(|node| ops.contains(&node.standard_op()));
        has(&["QLinearConv"]) || has(&["Conv"]) && has(&["QuantizeLinear"])
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
    fn a_model_says_what_is_worth_a_try() {
        let all = Replacement { convolutions: true, bytes: true };
        let (floats, bytes) = (Replacement { bytes: false, ..all }, Replacement { convolutions: false, ..all });
        let conv = node("Conv", &["x", "weight"], "y", &[("group", Attr::Int(1))]);
        let quantise = node("QuantizeLinear", &["x", "scale", "zero"], "z", &[]);
        let both = model(vec![conv.clone(), quantise.clone()]);
        assert_eq!(all.choices(&both), [all, floats]);
        assert_eq!(floats.choices(&both), [floats]);
        assert_eq!(bytes.choices(&both), [bytes]);
        let floats_alone = model(vec![conv]);
        assert_eq!(all.choices(&floats_alone), [floats]);
        assert_eq!(bytes.choices(&floats_alone), []);
        // Of a network without convolutions nothing is replaced.
        assert_eq!(all.choices(&model(vec![quantise, node("Relu", &["z"], "y", &[])])), []);
    }

    #[test]
    fn each_function_replaces_what_it_is_of() {
        assert!(!Replacement { convolutions: true, bytes: true }.is_exact());
        assert!(Replacement { convolutions: false, bytes: true }.is_exact());
        for (convolutions, bytes) in [(true, true), (true, false), (false, true), (false, false)] {
            let ours = Replacement { convolutions, bytes };
            let optimised = crate::byte_operators::tests::front(|graph| {
                let mut conv = node("Conv", &["fed", "weight"], "v", &[]);
                conv.domain = Some("com.microsoft.nchwc".to_owned());
                graph.node.push(conv);
                graph.initializer.push(from_floats("weight", &[8, 8, 3, 3], &[0.5; 576]));
            });
            let replaced = (ours.function())(optimised.clone(), 8);
            assert_eq!(replaced, ours.apply(optimised, 8));
            let nodes = replaced.map_or(vec![], |replaced| {
                prost::Message::decode(&replaced[..]).map(|proto: ModelProto| proto.graph.unwrap().node).unwrap()
            });
            let count = |op: &str| nodes.iter().filter(|node| node.domain() == OURS && node.op_type() == op).count();
            let found = ["Conv", "QLinearConv"].map(count);
            assert_eq!(found, [convolutions, bytes].map(usize::from), "{ours:?}");
        }
    }
}
