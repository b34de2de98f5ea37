//! A graph as ONNX Runtime optimised it, with an operator of headstart's in place of its blocked convolutions.

use std::collections::HashMap;

use crate::element::ElementType;
use crate::model::Model;
use crate::node::{Attr, attribute};
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::replacement::OURS;

/// The runtime's operators on blocked images.
const BLOCKED: &str = "com.microsoft.nchwc";

/// Beyond this, kernels, strides, dilations and pads are no network's.
const MOST_PIXELS: i64 = 4096;

impl Model {
    /// Whether [`Replacement`](crate::Replacement) may find something in this model once it is optimised: a convolution of one group that is
    /// larger than a pixel, and not the first one, which reads the few channels of a picture.
    #[must_use]
    pub fn has_inner_convolutions(&self) -> bool {
        let graph = self.graph();
        let weights: HashMap<&str, &TensorProto> = graph.initializer.iter().map(|c| (c.name(), c)).collect();
        graph.node.iter().filter(|node| node.standard_op() == "Conv" && node.int("group").unwrap_or(1) == 1).any(
            |conv| {
                let weight = conv.reads_at(1).and_then(|name| weights.get(name));
                // Of weights that the file computes, the shape is not known here.
                weight.is_none_or(|weight| match weight.dims[..] {
                    [_, channels, height, width] => channels >= 8 && height.max(width) > 1,
                    _ => false,
                })
            },
        )
    }
}

/// Replaces the convolutions that `headstart.Conv` makes faster: of one group and more than one pixel, with weights in the file, channels
/// in whole blocks of `block`, and nothing but a ReLU behind; says how many.
///
/// The operator takes the same tensors (input, weights, bias, what is added) and, each of them said, the attributes `strides`,
/// `dilations`, `pads` and the integer `relu`.
pub(crate) fn replace_convolutions(graph: &mut GraphProto, block: usize) -> usize {
    let constants: HashMap<&str, &TensorProto> = graph.initializer.iter().map(|c| (c.name(), c)).collect();
    let mut n_replaced = 0;
    for node in &mut graph.node {
        let weight = node.reads_at(1).and_then(|name| constants.get(name));
        if let Some(weight) = weight.filter(|weight| is_taken(weight, block as i64))
            && let Some(attributes) = attributes(node, &weight.dims[2..])
        {
            node.attribute = attributes;
            node.domain = Some(OURS.to_owned());
            n_replaced += 1;
        }
    }
    n_replaced
}

fn is_taken(weight: &TensorProto, block: i64) -> bool {
    let is_whole = |channels: i64| channels > 0 && channels % block == 0;
    // Of one pixel they are plain products, which the runtime makes without gathering anything.
    let is_larger = |height: i64, width: i64| height > 0 && width > 0 && height.max(width) > 1;
    matches!(weight.dims[..], [out, channels, height, width]
        if is_whole(out) && is_whole(channels) && is_larger(height, width))
        && ElementType::from_code(weight.data_type()) == Some(ElementType::F32)
}

/// The attributes of ours for a convolution of the runtime with a kernel of that height and width, where it is one that ours can be.
fn attributes(node: &NodeProto, kernel: &[i64]) -> Option<Vec<AttributeProto>> {
    let activation = node.text("activation").unwrap_or_default();
    let is_ours = node.domain() == BLOCKED
        && node.op_type() == "Conv"
        && node.int("group").unwrap_or(1) == 1
        && matches!(activation, b"" | b"Relu");
    let mut attributes = window(node, kernel).filter(|_| is_ours)?;
    attributes.push(attribute("relu", &Attr::Int(i64::from(!activation.is_empty()))));
    Some(attributes)
}

/// `strides`, `dilations` and `pads` of a node that looks at a picture through a window of that height and width, each of them said;
/// nothing where they depend on the picture, or are no network's.
pub(crate) fn window(node: &NodeProto, kernel: &[i64]) -> Option<Vec<AttributeProto>> {
    if !kernel.iter().all(|side| (1..=MOST_PIXELS).contains(side)) {
        return None;
    }
    let values = |name, default: &'static [i64], least: i64| {
        let is_usual = |value: &i64| (least..=MOST_PIXELS).contains(value);
        let values = node.ints(name).filter(|values| !values.is_empty()).unwrap_or(default);
        (values.len() == default.len() && values.iter().all(is_usual)).then_some(values)
    };
    let (strides, dilations) = (values("strides", &[1; 2], 1)?, values("dilations", &[1; 2], 1)?);
    // As many pixels more in all as the kernel reaches beyond one. With larger strides it depends on the picture, and of dilated kernels the
    // runtime takes some for others.
    let same = |is_upper: bool| {
        let before = kernel.iter().map(|side| if is_upper { (side - 1) / 2 } else { side / 2 });
        let behind = kernel.iter().map(|side| if is_upper { side / 2 } else { (side - 1) / 2 });
        (strides == [1, 1] && dilations == [1, 1]).then(|| before.chain(behind).collect::<Vec<_>>())
    };
    let pads = match node.text("auto_pad").unwrap_or_default() {
        b"" | b"NOTSET" => values("pads", &[0; 4], 0)?.to_vec(),
        b"VALID" => vec![0; 4],
        b"SAME_UPPER" => same(true)?,
        b"SAME_LOWER" => same(false)?,
        _ => return None,
    };
    let all = [("strides", strides), ("dilations", dilations), ("pads", &pads)];
    Some(all.map(|(name, values)| attribute(name, &Attr::Ints(values))).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::node;
    use crate::proto::{ModelProto, OperatorSetIdProto, ValueInfoProto};
    use crate::replacement::{Bytes, Replacement};
    use crate::tensor::from_floats;

    const BLOCK: usize = 8;

    fn replaced(optimised: Vec<u8>, block: usize) -> Option<Vec<u8>> {
        (Replacement { convolutions: true, bytes: Bytes::None }.function())(optimised, block)
    }

    /// A model of one convolution, `[16, channels, side, side]`.
    fn convolution(channels: u64, side: u64, edit: impl Fn(&mut NodeProto)) -> Vec<u8> {
        let weight =
            from_floats("weight", &[16, channels, side, side], &vec![0.5; (16 * channels * side * side) as usize]);
        let attributes = [("activation", Attr::Text("Relu")), ("pads", Attr::Ints(&[1, 2, 1, 2]))];
        let mut conv = node("Conv", &["input", "weight", "", "other"], "output", &attributes);
        conv.domain = Some(BLOCKED.to_owned());
        edit(&mut conv);
        let port = |name: &str| ValueInfoProto { name: Some(name.to_owned()), ..ValueInfoProto::default() };
        let graph = GraphProto {
            node: vec![conv],
            initializer: vec![weight],
            input: vec![port("input"), port("other")],
            output: vec![port("output")],
            ..GraphProto::default()
        };
        let import =
            |domain: &str, version| OperatorSetIdProto { domain: Some(domain.to_owned()), version: Some(version) };
        let opset_import = vec![import("", 18), import(BLOCKED, 1)];
        let proto = ModelProto { ir_version: Some(10), graph: Some(graph), opset_import, ..ModelProto::default() };
        Model::from_proto(proto, "test").unwrap().encode().unwrap()
    }

    #[test]
    fn a_convolution_becomes_ours_with_all_its_attributes_said() {
        let found = replaced(convolution(8, 3, |_| ()), BLOCK).unwrap();
        let proto: ModelProto = prost::Message::decode(&found[..]).unwrap();
        let conv = &proto.graph.as_ref().unwrap().node[0];
        assert_eq!((conv.domain(), conv.op_type()), ("headstart", "Conv"));
        assert_eq!(conv.input, ["input", "weight", "", "other"]);
        assert_eq!(conv.ints("strides"), Some(&[1, 1][..]));
        assert_eq!(conv.ints("dilations"), Some(&[1, 1][..]));
        assert_eq!(conv.ints("pads"), Some(&[1, 2, 1, 2][..]));
        assert_eq!(conv.int("relu"), Some(1));
        assert_eq!(conv.attribute.len(), 4);
        assert!(proto.opset_import.iter().any(|import| import.domain() == "headstart"));
    }

    #[test]
    fn a_convolution_that_ours_is_not_for_stays() {
        let set = |name: &'static str, value: Attr<'static>| {
            move |node: &mut NodeProto| {
                node.attribute.retain(|attribute| attribute.name() != name);
                node.attribute.push(attribute(name, &value));
            }
        };
        assert!(replaced(convolution(8, 3, set("strides", Attr::Ints(&[2, 1]))), BLOCK).is_some());
        for (what, model) in [
            ("one pixel", convolution(8, 1, |_| ())),
            ("channels that are no block", convolution(3, 3, |_| ())),
            ("groups", convolution(8, 3, set("group", Attr::Int(2)))),
            ("another activation", convolution(8, 3, set("activation", Attr::Text("Sigmoid")))),
            ("a stride of nothing", convolution(8, 3, set("strides", Attr::Ints(&[1, 0])))),
            ("another operator", convolution(8, 3, |node| node.op_type = Some("MaxPool".to_owned()))),
            ("pads of another kind", convolution(8, 3, set("auto_pad", Attr::Text("MIRROR")))),
            (
                "pads that the picture decides",
                convolution(8, 3, |node| {
                    set("auto_pad", Attr::Text("SAME_UPPER"))(node);
                    set("strides", Attr::Ints(&[2, 2]))(node);
                }),
            ),
            (
                "pads of a dilated kernel",
                convolution(8, 3, |node| {
                    set("auto_pad", Attr::Text("SAME_UPPER"))(node);
                    set("dilations", Attr::Ints(&[1, 2]))(node);
                }),
            ),
            ("half floats", in_half(&convolution(8, 3, |_| ()))),
            ("a pad that overflows", convolution(8, 3, set("pads", Attr::Ints(&[1, 1, i64::MAX, 1])))),
            ("three directions", convolution(8, 3, set("strides", Attr::Ints(&[1, 1, 1])))),
            ("a standard one", convolution(8, 3, |node| node.domain = None)),
            ("weights that are fed", convolution(8, 3, |node| node.input[1] = "other".to_owned())),
        ] {
            assert!(replaced(model, BLOCK).is_none(), "{what}");
        }
        assert!(replaced(convolution(8, 3, |_| ()), 32).is_none(), "channels that are no block of 32");
        assert!(replaced(b"no model".to_vec(), BLOCK).is_none());
    }

    /// With weights of another type.
    fn in_half(model: &[u8]) -> Vec<u8> {
        let mut proto: ModelProto = prost::Message::decode(model).unwrap();
        let weight = &mut proto.graph.as_mut().unwrap().initializer[0];
        let bytes = vec![0; weight.raw_data().len() / 2];
        *weight = crate::tensor::from_bytes("weight", &[16, 8, 3, 3], ElementType::F16, bytes);
        prost::Message::encode_to_vec(&proto)
    }

    #[test]
    fn pads_that_follow_from_the_kernel_are_said() {
        let pads_and_relu = |auto_pad: &'static str, activation: Option<&'static str>| {
            let model = convolution(8, 4, |node| {
                node.attribute = vec![attribute("auto_pad", &Attr::Text(auto_pad))];
                node.attribute.extend(activation.map(|text| attribute("activation", &Attr::Text(text))));
            });
            let proto: ModelProto = prost::Message::decode(&replaced(model, BLOCK).unwrap()[..]).unwrap();
            let conv = &proto.graph.as_ref().unwrap().node[0];
            (conv.ints("pads").unwrap().to_vec(), conv.int("relu").unwrap())
        };
        assert_eq!(pads_and_relu("SAME_UPPER", None), (vec![1, 1, 2, 2], 0));
        assert_eq!(pads_and_relu("SAME_LOWER", Some("Relu")), (vec![2, 2, 1, 1], 1));
        assert_eq!(pads_and_relu("VALID", None), (vec![0; 4], 0));
    }

    #[test]
    fn a_model_says_whether_it_is_worth_the_way() {
        let standard = |channels, side, groups| {
            let model = convolution(channels, side, |node| {
                node.domain = None;
                node.attribute = vec![attribute("group", &Attr::Int(groups))];
            });
            Model::parse(model, "test").unwrap().has_inner_convolutions()
        };
        assert!(standard(8, 3, 1));
        assert!(!standard(3, 3, 1));
        assert!(!standard(8, 1, 1));
        assert!(!standard(8, 3, 16));
        let fed = convolution(8, 3, |node| {
            node.domain = None;
            node.input[1] = "other".to_owned();
        });
        assert!(Model::parse(fed, "test").unwrap().has_inner_convolutions());
    }
}
