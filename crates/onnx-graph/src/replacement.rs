//! Operators of headstart's in a graph that ONNX Runtime has optimised.

use crate::byte_operators::replace_bytes;
use crate::byte_preprocess::replace_preprocessing;
use crate::convolutions::replace_convolutions;
use crate::model::Model;
use crate::proto::OperatorSetIdProto;
use crate::value::{Dim, TensorType};

/// The domain of the operators.
pub(crate) const OURS: &str = "headstart";

/// Pictures in a batch, at least, that transformed weights of bytes are read for: they are eight times the kernel's memory.
const LEAST_BATCH: usize = 16;

/// Which operators of a network in 8 bits are replaced. They make the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    /// None of them.
    None,
    /// What makes bytes of stored pictures, the first convolution and what pools behind it.
    First,
    /// Those, and inner convolutions that Winograd's algorithm is for.
    All,
}

/// Which of the runtime's operators are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replacement {
    /// Convolutions of float32 by `headstart.Conv`, which multiplies less and rounds otherwise.
    pub convolutions: bool,
    /// What is replaced of a network in 8 bits.
    pub bytes: Bytes,
}

impl Replacement {
    /// What is worth a try with a model that is not optimised yet and runs on so many pictures at once, the best first: with less of it
    /// where some may fail.
    #[must_use]
    pub fn choices(self, model: &Model, batch: usize) -> Vec<Self> {
        let convolutions = self.convolutions && model.has_inner_convolutions();
        let bytes = match self.bytes {
            _ if !model.has_bytes() => Bytes::None,
            Bytes::All if model.fixed_batch().unwrap_or(batch) < LEAST_BATCH => Bytes::First,
            bytes => bytes,
        };
        match (convolutions, bytes) {
            (false, Bytes::None) => vec![],
            (true, Bytes::First | Bytes::All) => {
                vec![Self { convolutions, bytes }, Self { convolutions, bytes: Bytes::None }]
            }
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
        const fn of(convolutions: bool, bytes: Bytes) -> Replacement {
            Replacement { convolutions, bytes }
        }
        match (self.convolutions, self.bytes) {
            (true, Bytes::All) => |optimised, block| of(true, Bytes::All).apply(optimised, block),
            (true, Bytes::First) => |optimised, block| of(true, Bytes::First).apply(optimised, block),
            (true, Bytes::None) => |optimised, block| of(true, Bytes::None).apply(optimised, block),
            (false, Bytes::All) => |optimised, block| of(false, Bytes::All).apply(optimised, block),
            (false, Bytes::First) => |optimised, block| of(false, Bytes::First).apply(optimised, block),
            (false, Bytes::None) => |_, _| None,
        }
    }

    fn apply(self, optimised: Vec<u8>, block: usize) -> Option<Vec<u8>> {
        let mut model = Model::parse(optimised, "the optimised graph").ok()?;
        let graph = model.proto.graph.as_mut()?;
        let n_convolutions = if self.convolutions { replace_convolutions(graph, block) } else { 0 };
        let n_bytes = match self.bytes {
            Bytes::None => 0,
            bytes => replace_bytes(graph, bytes == Bytes::All) + replace_preprocessing(graph),
        };
        if n_convolutions + n_bytes == 0 {
            return None;
        }
        model.proto.opset_import.push(OperatorSetIdProto { domain: Some(OURS.to_owned()), version: Some(1) });
        model.encode().ok()
    }
}

impl Model {
    /// The number of pictures that it insists on, if it does.
    fn fixed_batch(&self) -> Option<usize> {
        let shape = self.graph().input.first().map(TensorType::of)?.shape?;
        let Some(Dim::Fixed(n)) = shape.first() else { return None };
        usize::try_from(*n).ok()
    }

    /// Whether it has a convolution, and something in 8 bits.
    fn has_bytes(&self) -> bool {
        let has = |ops: &[&str]| self.graph().node.iter().any(|node| ops.contains(&node.standard_op()));
        has(&["QLinearConv"]) || has(&["Conv"]) && has(&["QuantizeLinear"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::ElementType;
    use crate::node::{Attr, node};
    use crate::proto::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
    use crate::tensor::{from_bytes, from_floats};

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
        let with = |convolutions, bytes| Replacement { convolutions, bytes };
        let (all, floats, bytes) = (with(true, Bytes::All), with(true, Bytes::None), with(false, Bytes::All));
        let conv = node("Conv", &["x", "weight"], "y", &[("group", Attr::Int(1))]);
        let quantise = node("QuantizeLinear", &["x", "scale", "zero"], "z", &[]);
        let both = model(vec![conv.clone(), quantise.clone()]);
        assert_eq!(all.choices(&both, 16), [all, floats]);
        assert_eq!(floats.choices(&both, 16), [floats]);
        assert_eq!(bytes.choices(&both, 16), [bytes]);
        let floats_alone = model(vec![conv.clone()]);
        assert_eq!(all.choices(&floats_alone, 16), [floats]);
        assert_eq!(bytes.choices(&floats_alone, 16), []);
        // Of a network without convolutions nothing is replaced.
        assert_eq!(all.choices(&model(vec![quantise.clone(), node("Relu", &["z"], "y", &[])]), 16), []);
        // With few pictures at once inner convolutions stay, and so they do where the model takes few.
        assert_eq!(bytes.choices(&both, 15), [with(false, Bytes::First)]);
        assert_eq!(all.choices(&both, 1), [with(true, Bytes::First), floats]);
        let of_one_at_once = |n: u64| {
            let mut model = both.clone();
            let of_pictures = TensorType { element: None, shape: Some(vec![Dim::Fixed(n), Dim::Unknown]) };
            model.graph_mut().input[0] = of_pictures.declare("x");
            bytes.choices(&model, 32)
        };
        assert_eq!(of_one_at_once(4), [with(false, Bytes::First)]);
        assert_eq!(of_one_at_once(64), [bytes]);
    }

    #[test]
    fn each_function_replaces_what_it_is_of() {
        assert!(!Replacement { convolutions: true, bytes: Bytes::All }.is_exact());
        assert!(Replacement { convolutions: false, bytes: Bytes::All }.is_exact());
        for convolutions in [true, false] {
            for (bytes, n_bytes) in [(Bytes::All, 2), (Bytes::First, 1), (Bytes::None, 0)] {
                let ours = Replacement { convolutions, bytes };
                let optimised = crate::byte_operators::tests::front(|graph| {
                    let mut inner = graph.node[0].clone();
                    inner.input[3] = "inner".to_owned();
                    inner.output = vec!["also".to_owned()];
                    inner.attribute.retain(|attribute| attribute.name() != "strides");
                    graph.initializer.push(from_bytes("inner", &[16, 32, 3, 3], ElementType::I8, vec![1; 16 * 32 * 9]));
                    let mut conv = node("Conv", &["fed", "weight"], "v", &[]);
                    conv.domain = Some("com.microsoft.nchwc".to_owned());
                    graph.node.extend([inner, conv]);
                    graph.initializer.push(from_floats("weight", &[8, 8, 3, 3], &[0.5; 576]));
                });
                let replaced = (ours.function())(optimised.clone(), 8);
                assert_eq!(replaced, ours.apply(optimised, 8));
                let nodes = replaced.map_or(vec![], |replaced| {
                    prost::Message::decode(&replaced[..]).map(|proto: ModelProto| proto.graph.unwrap().node).unwrap()
                });
                let count = |op: &str| nodes.iter().filter(|it| it.domain() == OURS && it.op_type() == op).count();
                assert_eq!(["Conv", "QLinearConv"].map(count), [usize::from(convolutions), n_bytes], "{ours:?}");
            }
        }
    }
}
