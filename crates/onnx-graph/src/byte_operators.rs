//! A graph in 8 bits as ONNX Runtime optimised it, with operators of headstart's in place of some of its own: of the first convolution
//! and what pools behind it, as the channels of a picture are too few for the runtime's products, and of inner convolutions that
//! Winograd's algorithm is for. The bytes that they make are the same.

use std::collections::{HashMap, HashSet};

use crate::convolutions::window;
use crate::element::ElementType;
use crate::node::{Attr, attribute};
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::replacement::OURS;

/// The domain of the runtime's operators on images `[n, height, width, channels]`.
const MICROSOFT: &str = "com.microsoft";

/// Where `QLinearConv` reads what.
const INPUT_ZERO: usize = 2;
const WEIGHT: usize = 3;
const WEIGHT_ZERO: usize = 5;
const OUTPUT_ZERO: usize = 7;
const BIAS: usize = 8;
const SCALES: [usize; 3] = [1, 4, 6];

/// Output channels are a multiple of it.
const LANES: i64 = 16;
/// Input channels of a convolution by Winograd's algorithm are a multiple of it.
const DEPTH: i64 = 32;
/// Input channels of a picture, at most.
const MOST_CHANNELS: i64 = 4;

/// Replaces convolutions of uint8 pictures of few channels, and with `inner` those that Winograd's algorithm is for, by
/// `headstart.QLinearConv`, and the largest of windows of uint8 by `headstart.MaxPool`; says how many.
///
/// The operators take the same tensors and, each of them said, the attributes `strides`, `dilations`, `pads` and, of
/// `MaxPool`, `kernel_shape`. Where a `MaxPool` alone reads what a convolution of a picture makes, the two are one `QLinearConv`,
/// which has the attributes of the `MaxPool` as well, as `pool_strides` and so on.
pub(crate) fn replace_bytes(graph: &mut GraphProto, inner: bool) -> usize {
    let constants: HashMap<&str, &TensorProto> = graph.initializer.iter().map(|c| (c.name(), c)).collect();
    // Tensors that are known to be uint8.
    let mut unsigned: HashSet<String> = HashSet::new();
    let mut n_replaced = 0;
    for node in graph.node.iter_mut().filter(|node| node.domain() == MICROSOFT) {
        let zero = node.reads_at(OUTPUT_ZERO).and_then(|name| constants.get(name));
        let (ours, attributes) = match node.op_type() {
            "QLinearConv" if zero.is_some_and(|zero| is_of(zero, ElementType::U8)) => {
                unsigned.extend(node.output.first().cloned());
                ("QLinearConv", convolution(node, &constants, inner))
            }
            "NhwcMaxPool" if node.reads_at(0).is_some_and(|input| unsigned.contains(input)) => {
                ("MaxPool", pooling(node))
            }
            _ => continue,
        };
        if let Some(attributes) = attributes {
            node.attribute = attributes;
            // Who leaves the bias out by an empty name leaves it out.
            node.input.truncate(node.input.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1));
            node.op_type = Some(ours.to_owned());
            node.domain = Some(OURS.to_owned());
            n_replaced += 1;
        }
    }
    pool_behind(graph);
    n_replaced
}

/// Makes one operator of a first convolution and the pooling that alone reads it.
fn pool_behind(graph: &mut GraphProto) {
    let is_ours = |node: &NodeProto, op: &str| node.domain() == OURS && node.op_type() == op;
    let few_channels = |weight: &str| {
        let constant = graph.initializer.iter().find(|constant| constant.name() == weight);
        constant.is_some_and(|constant| constant.dims.get(1).is_some_and(|channels| *channels <= MOST_CHANNELS))
    };
    let convolutions = (0..graph.node.len()).filter(|at| is_ours(&graph.node[*at], "QLinearConv"));
    let first = convolutions.filter(|at| graph.node[*at].reads_at(WEIGHT).is_some_and(few_channels));
    let pairs = first.filter_map(|at| {
        let output = graph.node[at].output.first()?;
        let reads = |node: &NodeProto| node.input.iter().filter(|input| *input == output).count();
        let n_readers = graph.node.iter().map(reads).sum::<usize>();
        let is_output = graph.output.iter().any(|it| it.name() == output);
        let pool = graph.node.iter().position(|node| is_ours(node, "MaxPool") && reads(node) > 0)?;
        (n_readers == 1 && !is_output).then_some((at, pool))
    });
    let mut pairs: Vec<(usize, usize)> = pairs.collect();
    // From the end: so the others stay where they are.
    pairs.sort_by_key(|(_, pool)| std::cmp::Reverse(*pool));
    for (at, pool) in pairs {
        let pool = graph.node.remove(pool);
        // Who makes a tensor stands before who reads it.
        let convolution = &mut graph.node[at];
        convolution.output = pool.output;
        let attributes = pool.attribute.into_iter().map(|mut it| {
            it.name = it.name.map(|name| format!("pool_{name}"));
            it
        });
        convolution.attribute.extend(attributes);
    }
}

fn is_of(tensor: &TensorProto, element: ElementType) -> bool {
    ElementType::from_code(tensor.data_type()) == Some(element)
}

/// The attributes of ours for a convolution of the runtime, where it is one that ours can be.
fn convolution(node: &NodeProto, constants: &HashMap<&str, &TensorProto>, inner: bool) -> Option<Vec<AttributeProto>> {
    let constant = |at: usize, element: ElementType| {
        constants.get(node.reads_at(at)?).copied().filter(|constant| is_of(constant, element))
    };
    let [out, channels, height, width] = constant(WEIGHT, ElementType::I8)?.dims[..] else { return None };
    constant(INPUT_ZERO, ElementType::U8)?;
    for scale in SCALES {
        constant(scale, ElementType::F32)?;
    }
    let weight_zero = constant(WEIGHT_ZERO, ElementType::I8)?;
    let is_symmetric =
        weight_zero.raw_data().iter().all(|byte| *byte == 0) && weight_zero.int32_data.iter().all(|zero| *zero == 0);
    if let Some(bias) = node.reads_at(BIAS) {
        constants.get(bias).filter(|bias| is_of(bias, ElementType::I32))?;
    }
    let is_ours = node.int("channels_last") == Some(1) && node.int("group").unwrap_or(1) == 1;
    let attributes = window(node, &[height, width])?;
    let all_are = |name: &str, value: i64| {
        attributes.iter().any(|it| it.name() == name && it.ints.iter().all(|found| *found == value))
    };
    let is_first = (1..=MOST_CHANNELS).contains(&channels) && height.max(width) > 1;
    let is_winograds = inner
        && channels > 0
        && channels % DEPTH == 0
        && [height, width] == [3, 3]
        && all_are("strides", 1)
        && all_are("dilations", 1);
    let is_taken = out > 0 && out % LANES == 0 && (is_first || is_winograds);
    let is_in_one_run = attributes.iter().all(|it| it.name() != "dilations" || it.ints.get(1) == Some(&1));
    (is_taken && is_symmetric && is_ours && is_in_one_run).then_some(attributes)
}

/// The attributes of ours for the largest of windows, where ours can be it.
fn pooling(node: &NodeProto) -> Option<Vec<AttributeProto>> {
    let kernel = node.ints("kernel_shape").filter(|kernel| kernel.len() == 2)?;
    let mut attributes = window(node, kernel).filter(|_| node.int("ceil_mode").unwrap_or(0) == 0)?;
    attributes.push(attribute("kernel_shape", &Attr::Ints(kernel)));
    Some(attributes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::Model;
    use crate::node::node;
    use crate::proto::{GraphProto, ModelProto, OperatorSetIdProto, ValueInfoProto};
    use crate::replacement::{Bytes, Replacement};
    use crate::tensor::{from_bytes, from_floats};

    const OURS_OF_BYTES: Replacement = Replacement { convolutions: false, bytes: Bytes::All };

    type Edit<'a> = &'a dyn Fn(&mut GraphProto);

    /// As the runtime saves the front of a network in 8 bits: a convolution `[32, 3, 3, 3]`, and the largest of windows behind it.
    pub(crate) fn front(edit: impl FnOnce(&mut GraphProto)) -> Vec<u8> {
        let inputs = ["x", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero", "b"];
        let of_window = [("strides", Attr::Ints(&[2, 2])), ("pads", Attr::Ints(&[1, 1, 1, 1]))];
        let of_conv = [("channels_last", Attr::Int(1)), ("group", Attr::Int(1))];
        let mut conv = node("QLinearConv", &inputs, "y", &[&of_conv[..], &of_window].concat());
        let of_pool = [("kernel_shape", Attr::Ints(&[3, 3])), ("ceil_mode", Attr::Int(0))];
        let mut pool = node("NhwcMaxPool", &["y"], "z", &[&of_pool[..], &of_window].concat());
        for node in [&mut conv, &mut pool] {
            node.domain = Some(MICROSOFT.to_owned());
        }
        let byte = |name: &str, dims: &[u64], element| {
            from_bytes(name, dims, element, vec![0; dims.iter().product::<u64>() as usize])
        };
        let initializer = vec![
            from_floats("x_scale", &[], &[0.1]),
            byte("x_zero", &[], ElementType::U8),
            byte("w", &[32, 3, 3, 3], ElementType::I8),
            from_floats("w_scale", &[32], &[0.1; 32]),
            byte("w_zero", &[32], ElementType::I8),
            from_floats("y_scale", &[], &[0.1]),
            byte("y_zero", &[], ElementType::U8),
            from_bytes("b", &[32], ElementType::I32, vec![0; 128]),
        ];
        let port = |name: &str| ValueInfoProto { name: Some(name.to_owned()), ..ValueInfoProto::default() };
        let (input, output) = (vec![port("x"), port("fed")], vec![port("z")]);
        let mut graph = GraphProto { node: vec![conv, pool], initializer, input, output, ..GraphProto::default() };
        edit(&mut graph);
        let import =
            |domain: &str, version| OperatorSetIdProto { domain: Some(domain.to_owned()), version: Some(version) };
        let opset_import = vec![import("", 18), import(MICROSOFT, 1), import("com.microsoft.nchwc", 1)];
        let proto = ModelProto { ir_version: Some(10), graph: Some(graph), opset_import, ..ModelProto::default() };
        Model::from_proto(proto, "test").unwrap().encode().unwrap()
    }

    /// What the nodes are called afterwards, by domain and operator.
    fn replaced(model: Vec<u8>) -> Option<Vec<NodeProto>> {
        let proto: ModelProto = prost::Message::decode(&(OURS_OF_BYTES.function())(model, 16)?[..]).unwrap();
        assert!(proto.opset_import.iter().any(|import| import.domain() == "headstart"));
        Some(proto.graph.unwrap().node)
    }

    #[test]
    fn the_front_becomes_one_of_ours_with_all_attributes_said() {
        let nodes = replaced(front(|_| ())).unwrap();
        let [node] = &nodes[..] else { panic!("{nodes:?}") };
        assert_eq!((node.domain(), node.op_type()), ("headstart", "QLinearConv"));
        assert_eq!((node.input.len(), &node.output[..]), (9, &["z".to_owned()][..]));
        for prefix in ["", "pool_"] {
            let ints = |name: &str| node.ints(&format!("{prefix}{name}"));
            assert_eq!(ints("strides"), Some(&[2, 2][..]));
            assert_eq!(ints("dilations"), Some(&[1, 1][..]));
            assert_eq!(ints("pads"), Some(&[1, 1, 1, 1][..]));
        }
        assert_eq!(node.attribute.len(), 7);
        assert_eq!(node.ints("pool_kernel_shape"), Some(&[3, 3][..]));
    }

    #[test]
    fn a_pooling_that_is_not_alone_stays_by_itself() {
        let both = [("headstart", "QLinearConv"), ("headstart", "MaxPool")];
        let read_twice = replaced(front(|graph| graph.node.push(node("Identity", &["y"], "also", &[])))).unwrap();
        assert_eq!(names(&read_twice)[..2], both);
        let put_out = replaced(front(|graph| {
            let name = Some("y".to_owned());
            graph.output.push(ValueInfoProto { name, ..ValueInfoProto::default() });
        }));
        assert_eq!(names(&put_out.unwrap()), both);
        // And behind inner convolutions, which are made in other pieces.
        let inner = replaced(front(|graph| widened(graph, 32))).unwrap();
        assert_eq!(names(&inner), both);
    }

    #[test]
    fn two_fronts_are_two_of_ours() {
        let nodes = replaced(front(|graph| {
            let other = graph.node.clone().into_iter().map(|mut node| {
                node.input[0] = node.input[0].replace('y', "v");
                node.output[0] = if node.op_type() == "QLinearConv" { "v" } else { "u" }.to_owned();
                node
            });
            let other: Vec<_> = other.collect();
            graph.node.splice(1..1, other);
        }));
        let nodes = nodes.unwrap();
        assert_eq!(names(&nodes), [("headstart", "QLinearConv"); 2]);
        assert_eq!(nodes.iter().map(|node| &node.output[0]).collect::<Vec<_>>(), ["z", "u"]);
        assert!(nodes.iter().all(|node| node.attribute.len() == 7));
    }

    #[test]
    fn inner_convolutions_become_ours_where_winograds_algorithm_is_for_them() {
        let domain = |edit: Edit<'_>| {
            let nodes = replaced(front(|graph| {
                widened(graph, 32);
                edit(graph);
            }));
            nodes.map(|nodes| nodes[0].domain().to_owned())
        };
        let with = |name: &'static str, ints: &'static [i64]| {
            move |graph: &mut GraphProto| {
                graph.node[0].attribute.retain(|attribute| attribute.name() != name);
                graph.node[0].attribute.push(attribute(name, &Attr::Ints(ints)));
            }
        };
        assert_eq!(domain(&|_| ()).as_deref(), Some("headstart"));
        let stays: [(&str, Edit<'_>); 4] = [
            ("strides", &with("strides", &[2, 1])),
            ("dilations", &with("dilations", &[2, 1])),
            ("channels that are half a vector", &|graph| widened(graph, 48)),
            ("another kernel", &|graph| {
                graph.initializer.retain(|constant| constant.name() != "w");
                graph.initializer.push(from_bytes("w", &[32, 32, 5, 5], ElementType::I8, vec![0; 25 << 10]));
            }),
        ];
        for (what, edit) in stays {
            assert_eq!(domain(edit).as_deref(), Some(MICROSOFT), "{what}");
        }
    }

    /// Makes the convolution one of so many channels and of stride 1.
    fn widened(graph: &mut GraphProto, channels: u64) {
        graph.initializer.retain(|constant| constant.name() != "w");
        let weight = vec![0; 32 * 9 * channels as usize];
        graph.initializer.push(from_bytes("w", &[32, channels, 3, 3], ElementType::I8, weight));
        graph.node[0].attribute.retain(|attribute| attribute.name() != "strides");
        graph.node[0].attribute.push(attribute("strides", &Attr::Ints(&[1, 1])));
    }

    fn names(nodes: &[NodeProto]) -> Vec<(&str, &str)> {
        nodes.iter().map(|node| (node.domain(), node.op_type())).collect()
    }

    #[test]
    fn what_is_not_asked_for_stays() {
        let convolutions = Replacement { convolutions: true, bytes: Bytes::None };
        assert!((convolutions.function())(front(|_| ()), 16).is_none());
        assert!((OURS_OF_BYTES.function())(b"no model".to_vec(), 16).is_none());
    }

    #[test]
    fn a_convolution_that_ours_is_not_for_stays() {
        let tensor = |name: &'static str, dims: &'static [u64], element: ElementType, value: u8| {
            move |graph: &mut GraphProto| {
                let n = dims.iter().product::<u64>() as usize * element.bits().unwrap() as usize / 8;
                graph.initializer.retain(|constant| constant.name() != name);
                graph.initializer.push(from_bytes(name, dims, element, vec![value; n]));
            }
        };
        let attribute_of_conv = |name: &'static str, value: Attr<'static>| {
            move |graph: &mut GraphProto| {
                graph.node[0].attribute.retain(|attribute| attribute.name() != name);
                graph.node[0].attribute.push(attribute(name, &value));
            }
        };
        let fed = |at: usize| move |graph: &mut GraphProto| graph.node[0].input[at] = "fed".to_owned();
        let domains = |edit: Edit<'_>| {
            let nodes = replaced(front(|graph| edit(graph)))?;
            Some(nodes.iter().map(|node| node.domain().to_owned()).collect::<Vec<_>>())
        };
        // The largest of windows is replaced none the less where the convolution's bytes are unsigned.
        let only_pool = Some(vec![MICROSOFT.to_owned(), "headstart".to_owned()]);
        let cases: [(&str, Edit<'_>); 12] = [
            ("channels that are no vectors", &tensor("w", &[24, 3, 3, 3], ElementType::I8, 1)),
            ("more channels than a picture has", &tensor("w", &[32, 5, 3, 3], ElementType::I8, 1)),
            ("one pixel", &tensor("w", &[32, 3, 1, 1], ElementType::I8, 1)),
            ("unsigned weights", &tensor("w", &[32, 3, 3, 3], ElementType::U8, 1)),
            ("a weight's zero that is not 0", &tensor("w_zero", &[32], ElementType::I8, 1)),
            ("a signed input", &tensor("x_zero", &[], ElementType::I8, 1)),
            ("groups", &attribute_of_conv("group", Attr::Int(3))),
            ("channels that come first", &attribute_of_conv("channels_last", Attr::Int(0))),
            ("pixels that are no neighbours", &attribute_of_conv("dilations", Attr::Ints(&[1, 2]))),
            ("weights that are fed", &fed(WEIGHT)),
            ("a scale that is fed", &fed(SCALES[2])),
            ("a bias that is fed", &fed(BIAS)),
        ];
        for (what, edit) in cases {
            assert_eq!(domains(edit), only_pool, "{what}");
        }
        let ours = Some(vec!["headstart".to_owned()]);
        assert_eq!(domains(&attribute_of_conv("dilations", Attr::Ints(&[2, 1]))), ours);
        assert_eq!(domains(&|graph| drop(graph.node[0].input.pop())), ours, "without a bias");
        let unnamed = replaced(front(|graph| graph.node[0].input[BIAS].clear())).unwrap();
        assert_eq!(unnamed[0].input.len(), BIAS, "a bias that is left out by an empty name");
        // Of a signed output it is not known what pools behind it.
        assert_eq!(domains(&tensor("y_zero", &[], ElementType::I8, 0)), None);
    }

    #[test]
    fn a_pooling_that_ours_is_not_for_stays() {
        let with = |name: &'static str, value: Attr<'static>| {
            let nodes = replaced(front(|graph| {
                graph.node[1].attribute.retain(|attribute| attribute.name() != name);
                graph.node[1].attribute.push(attribute(name, &value));
            }));
            nodes.unwrap().last().unwrap().domain().to_owned()
        };
        assert_eq!(with("dilations", Attr::Ints(&[2, 2])), "headstart");
        assert_eq!(with("ceil_mode", Attr::Int(1)), MICROSOFT);
        assert_eq!(with("kernel_shape", Attr::Ints(&[3])), MICROSOFT);
        assert_eq!(with("kernel_shape", Attr::Ints(&[3, 0])), MICROSOFT);
        assert_eq!(with("kernel_shape", Attr::Ints(&[3, i64::MAX])), MICROSOFT);
        assert_eq!(with("strides", Attr::Ints(&[2, -1])), MICROSOFT);
    }
}
