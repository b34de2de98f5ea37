//! Preprocessing of stored pictures in a graph in 8 bits as ONNX Runtime optimised it: one operator of headstart's in place of all steps
//! from the stored bytes to the network's, each of which reads and writes whole pictures. The bytes are the same.

use std::ops::RangeInclusive;

use crate::element::ElementType;
use crate::names::{self, Names};
use crate::node::node;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::replacement::OURS;
use crate::tensor;
use crate::value::{Dim, TensorType};
use crate::wiring::Constant;

/// Colours of a picture.
const CHANNELS: u64 = 3;
/// With larger ones numbers would overflow, and nothing times a matrix's zero would no longer be nothing.
const LARGEST: f32 = 1e30;
/// Sides of pictures that are enlarged by matrices. Of larger ones, and of vectors, the runtime adds up in another order, or rounds
/// products before it does.
const SIDES: RangeInclusive<usize> = 2..=64;

/// Replaces what makes uint8 images `[n, new_height, new_width, 3]` of stored pictures `[n, height, width, 3]` by
/// `headstart.QLinearResize`; says how often.
///
/// It takes the pictures, the factor and the offset of each channel, scale and zero of the bytes that it makes and, where it
/// enlarges, the two matrices that do so, rows and columns. All but the pictures are constants.
pub(crate) fn replace_preprocessing(graph: &mut GraphProto) -> usize {
    let mut n_replaced = 0;
    // From the end: so the others stay where they are.
    for last in (0..graph.node.len()).rev() {
        if let Some(Steps { mut nodes, ours, constants }) = steps(graph, last) {
            graph.node[last] = ours;
            graph.initializer.extend(constants);
            nodes.sort_unstable();
            for at in nodes.into_iter().rev() {
                graph.node.remove(at);
            }
            n_replaced += 1;
        }
    }
    n_replaced
}

/// What one operator replaces.
struct Steps {
    /// All but the last of them.
    nodes: Vec<usize>,
    ours: NodeProto,
    /// Of steps that need not be there.
    constants: Vec<TensorProto>,
}

/// The steps that end with one: it makes bytes, where the runtime left the channels last, or puts bytes into that order.
fn steps(graph: &GraphProto, last: usize) -> Option<Steps> {
    let last = graph.node.get(last)?;
    let mut walk = Walk { graph, tensor: last.reads_at(0)?, nodes: Vec::new() };
    let channels_first = is_transposition(last, [0, 2, 3, 1]);
    let quantise = if channels_first { walk.back_over("QuantizeLinear", 0)? } else { last };
    let mut enlarging = None;
    if channels_first && let Some(columns) = walk.back_over("MatMul", 0) {
        enlarging = Some((walk.back_over("MatMul", 1)?.reads_at(0)?, columns.reads_at(1)?));
    }
    let add = walk.back_over("Add", 0);
    let mul = walk.back_over("Mul", 0);
    walk.back_over("Cast", 0).filter(|cast| cast.int("to") == Some(i64::from(ElementType::F32.code())))?;
    if channels_first {
        walk.back_over("Transpose", 0).filter(|first| is_transposition(first, [0, 3, 1, 2]))?;
    }
    if quantise.standard_op() != "QuantizeLinear" || !is_picture(graph, walk.tensor) {
        return None;
    }

    let [scale, zero] = scale(graph, quantise)?;
    if let Some((rows, columns)) = enlarging {
        let rows = shares(constant(graph, rows, ElementType::F32)?)?;
        let columns = shares(constant(graph, columns, ElementType::F32)?)?.transposed()?;
        if ![rows, columns].iter().all(mixes_neighbours) {
            return None;
        }
    }
    let mut names = Names::of(graph);
    let mut constants = Vec::new();
    let mut of_channels = |step: Option<&NodeProto>, name: &str, nothing: f32| match step {
        Some(step) => {
            let name = step.reads_at(1)?;
            let dims: &[i64] = if channels_first { &[1, 3, 1, 1] } else { &[1, 1, 1, 3] };
            let numbers = constant(graph, name, ElementType::F32).filter(|stored| stored.dims == dims)?;
            tensor::floats(numbers)?.iter().all(|number| number.abs() < LARGEST).then(|| name.to_owned())
        }
        None => {
            let name = names.fresh(name);
            constants.push(tensor::from_floats(&name, &[CHANNELS], &[nothing; CHANNELS as usize]));
            Some(name)
        }
    };
    let (factor, offset) = (of_channels(mul, "resize_factor", 1.0)?, of_channels(add, "resize_offset", 0.0)?);

    let mut inputs = vec![walk.tensor, &factor, &offset, scale, zero];
    inputs.extend(enlarging.into_iter().flat_map(|(rows, columns)| [rows, columns]));
    let mut ours = node("QLinearResize", &inputs, last.output.first()?, &[]);
    ours.domain = Some(OURS.to_owned());
    Some(Steps { nodes: walk.nodes, ours, constants })
}

fn is_transposition(node: &NodeProto, perm: [i64; 4]) -> bool {
    node.standard_op() == "Transpose" && node.ints("perm") == Some(&perm)
}

fn constant<'a>(graph: &'a GraphProto, name: &str, element: ElementType) -> Option<&'a TensorProto> {
    let stored = graph.initializer.iter().find(|constant| constant.name() == name)?;
    (ElementType::from_code(stored.data_type()) == Some(element)).then_some(stored)
}

/// Scale and zero of bytes, where there is one of each.
fn scale<'a>(graph: &GraphProto, node: &'a NodeProto) -> Option<[&'a str; 2]> {
    let names = [node.reads_at(1)?, node.reads_at(2)?];
    for (name, element) in names.into_iter().zip([ElementType::F32, ElementType::U8]) {
        constant(graph, name, element).filter(|stored| tensor::count(&stored.dims) == Some(1))?;
    }
    Some(names)
}

/// A walk from a tensor back to what it is made of.
struct Walk<'a> {
    graph: &'a GraphProto,
    tensor: &'a str,
    /// What was walked over.
    nodes: Vec<usize>,
}

impl<'a> Walk<'a> {
    /// Steps over the node that makes the tensor, to its input number `input`, where it is such an operator and alone knows the tensor.
    fn back_over(&mut self, operator: &str, input: usize) -> Option<&'a NodeProto> {
        let Self { graph, tensor, .. } = *self;
        let at = graph.node.iter().position(|node| node.output.first().is_some_and(|output| output == tensor))?;
        let node = graph.node.get(at).filter(|node| node.standard_op() == operator)?;
        let reads = |node: &NodeProto| names::reads(node).into_iter().filter(|name| *name == tensor).count();
        let is_output = graph.output.iter().any(|output| output.name() == tensor);
        if is_output || graph.node.iter().map(reads).sum::<usize>() != 1 {
            return None;
        }
        self.tensor = node.reads_at(input)?;
        self.nodes.push(at);
        Some(node)
    }
}

/// Whether a tensor is an input of the graph, uint8 `[n, height, width, 3]`.
fn is_picture(graph: &GraphProto, tensor: &str) -> bool {
    let input = graph.input.iter().find(|input| input.name() == tensor).map(TensorType::of);
    input.is_some_and(|TensorType { element, shape }| {
        element == Some(ElementType::U8) && matches!(shape.as_deref(), Some([_, _, _, Dim::Fixed(CHANNELS)]))
    })
}

/// The shares of old pixels in new ones.
fn shares(matrix: &TensorProto) -> Option<Constant> {
    Constant::of(matrix).filter(|shares| shares.values.iter().all(|share| share.abs() <= 1.0))
}

/// Whether each row of a matrix `[new, old]` has no more than two numbers that are not 0, side by side.
fn mixes_neighbours(shares: &Constant) -> bool {
    let [new, old] = shares.dims[..] else { return false };
    let is_mix = |row: &[f32]| {
        let mut some = row.iter().enumerate().filter(|(_, share)| **share != 0.0).map(|(at, _)| at);
        let (one, other, more) = (some.next(), some.next(), some.next());
        more.is_none() && other.is_none_or(|other| one == other.checked_sub(1))
    };
    new > 1 && SIDES.contains(&old) && shares.values.chunks_exact(old).all(is_mix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Attr;
    use crate::proto::ValueInfoProto;
    use crate::tensor::{from_bytes, from_floats};

    type Edit<'a> = &'a dyn Fn(&mut GraphProto);

    /// As the runtime saves the front of a network in 8 bits whose pictures of 2 × 3 are enlarged to 3 × 4.
    fn front() -> GraphProto {
        let perm = |perm: &'static [i64]| [("perm", Attr::Ints(perm))];
        let nodes = vec![
            node("Transpose", &["pixels"], "first", &perm(&[0, 3, 1, 2])),
            node("Cast", &["first"], "floats", &[("to", Attr::Int(1))]),
            node("Mul", &["floats", "factor"], "scaled", &[]),
            node("Add", &["scaled", "offset"], "normal", &[]),
            node("MatMul", &["rows", "normal"], "taller", &[]),
            node("MatMul", &["taller", "columns"], "enlarged", &[]),
            node("QuantizeLinear", &["enlarged", "scale", "zero"], "bytes", &[("axis", Attr::Int(1))]),
            node("Transpose", &["bytes"], "last", &perm(&[0, 2, 3, 1])),
            node("Relu", &["last"], "output", &[]),
        ];
        let initializer = vec![
            from_floats("factor", &[1, 3, 1, 1], &[0.5; 3]),
            from_floats("offset", &[1, 3, 1, 1], &[0.1; 3]),
            from_floats("rows", &[3, 2], &[1.0, 0.0, 0.5, 0.5, 0.0, 1.0]),
            from_floats("columns", &[3, 4], &[1.0, 0.5, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.5, 1.0]),
            from_floats("scale", &[], &[0.1]),
            from_bytes("zero", &[], ElementType::U8, vec![3]),
        ];
        let shape = vec![Dim::Named("batch".to_owned()), Dim::Fixed(2), Dim::Fixed(3), Dim::Fixed(3)];
        let pixels = TensorType { element: Some(ElementType::U8), shape: Some(shape) };
        let output = vec![ValueInfoProto { name: Some("output".to_owned()), ..ValueInfoProto::default() }];
        GraphProto { node: nodes, initializer, input: vec![pixels.declare("pixels")], output, ..GraphProto::default() }
    }

    fn find<'a>(graph: &'a mut GraphProto, output: &str) -> &'a mut NodeProto {
        graph.node.iter_mut().find(|node| node.output[0] == output).unwrap()
    }

    fn set(graph: &mut GraphProto, constant: TensorProto) {
        graph.initializer.retain(|other| other.name() != constant.name());
        graph.initializer.push(constant);
    }

    /// Takes out a node whose first input is what it makes something of.
    fn without(graph: &mut GraphProto, output: &str) {
        let input = find(graph, output).input[0].clone();
        graph.node.retain(|node| node.output[0] != output);
        let reads = graph.node.iter_mut().flat_map(|node| &mut node.input).find(|name| *name == output).unwrap();
        *reads = input;
    }

    #[test]
    fn all_steps_become_one() {
        let mut graph = front();
        assert_eq!(replace_preprocessing(&mut graph), 1);
        let [ours, relu] = &graph.node[..] else { panic!("{:?}", graph.node) };
        assert_eq!((ours.domain(), ours.op_type()), ("headstart", "QLinearResize"));
        assert_eq!(ours.input, ["pixels", "factor", "offset", "scale", "zero", "rows", "columns"]);
        assert_eq!((&ours.output[..], relu.op_type()), (&["last".to_owned()][..], "Relu"));
    }

    #[test]
    fn what_need_not_be_there_is_nothing() {
        let mut graph = front();
        for output in ["scaled", "normal"] {
            without(&mut graph, output);
        }
        find(&mut graph, "bytes").input[0] = "floats".to_owned();
        graph.node.retain(|node| node.op_type() != "MatMul");
        // A name that is taken.
        graph.initializer.push(from_floats("resize_factor", &[], &[7.0]));
        assert_eq!(replace_preprocessing(&mut graph), 1);
        assert_eq!(graph.node[0].input, ["pixels", "resize_factor_1", "resize_offset", "scale", "zero"]);
        for (name, number) in [("resize_factor_1", 1.0), ("resize_offset", 0.0)] {
            let constant = graph.initializer.iter().find(|constant| constant.name() == name).unwrap();
            assert_eq!(tensor::floats(constant).unwrap(), [number; 3]);
        }
    }

    /// Where nothing is enlarged the runtime leaves the channels last from the beginning.
    #[test]
    fn channels_that_are_last_all_the_way_stay_so() {
        let mut graph = front();
        graph.node.retain(|node| !["Transpose", "MatMul"].contains(&node.op_type()));
        find(&mut graph, "floats").input[0] = "pixels".to_owned();
        find(&mut graph, "bytes").input[0] = "normal".to_owned();
        find(&mut graph, "output").input[0] = "bytes".to_owned();
        assert_eq!(replace_preprocessing(&mut graph.clone()), 0);
        set(&mut graph, from_floats("factor", &[1, 1, 1, 3], &[0.5; 3]));
        assert_eq!(replace_preprocessing(&mut graph.clone()), 0);
        set(&mut graph, from_floats("offset", &[1, 1, 1, 3], &[0.5; 3]));
        // What the network itself multiplies stays: across colours, or columns and colours.
        let one = vec![node("MatMul", &["normal", "columns"], "mixed", &[])];
        let two = vec![
            node("MatMul", &["rows", "normal"], "wider", &[]),
            node("MatMul", &["wider", "columns"], "mixed", &[]),
        ];
        for own in [one, two] {
            let mut graph = graph.clone();
            graph.node.splice(3..3, own);
            find(&mut graph, "bytes").input[0] = "mixed".to_owned();
            assert_eq!(replace_preprocessing(&mut graph), 0);
        }
        assert_eq!(replace_preprocessing(&mut graph), 1);
        assert_eq!(graph.node[0].input, ["pixels", "factor", "offset", "scale", "zero"]);
        assert_eq!((graph.node.len(), graph.node[0].output[0].as_str()), (2, "bytes"));
    }

    #[test]
    fn two_fronts_are_two_of_ours() {
        let mut graph = front();
        let mut other = front();
        for name in other.node.iter_mut().flat_map(|node| node.input.iter_mut().chain(&mut node.output)) {
            if !graph.initializer.iter().any(|constant| constant.name() == name) {
                *name = format!("other_{name}");
            }
        }
        let others = other.input.drain(..).map(|input| TensorType::of(&input).declare("other_pixels"));
        graph.input.extend(others);
        graph.node.splice(4..4, other.node);
        assert_eq!(replace_preprocessing(&mut graph), 2);
        let made: Vec<&str> = graph.node.iter().map(|node| node.output[0].as_str()).collect();
        assert_eq!(made, ["other_last", "other_output", "last", "output"]);
        assert_eq!(graph.node[0].input[0], "other_pixels");
    }

    #[test]
    fn other_steps_stay() {
        let floats = |name: &'static str, dims: &'static [u64], numbers: &'static [f32]| {
            move |graph: &mut GraphProto| set(graph, from_floats(name, dims, numbers))
        };
        let perm = |output: &'static str, perm: &'static [i64]| {
            move |graph: &mut GraphProto| {
                find(graph, output).attribute = vec![crate::node::attribute("perm", &Attr::Ints(perm))];
            }
        };
        let stays: [(&str, Edit<'_>); 23] = [
            ("another order first", &perm("first", &[0, 3, 2, 1])),
            ("another order last", &perm("last", &[0, 3, 2, 1])),
            ("a cast to another type", &|graph| {
                find(graph, "floats").attribute = vec![crate::node::attribute("to", &Attr::Int(10))];
            }),
            ("a step between", &|graph| find(graph, "scaled").op_type = Some("Div".to_owned())),
            ("another domain's", &|graph| find(graph, "normal").domain = Some("com.example".to_owned())),
            ("one factor for all", &floats("factor", &[], &[0.5])),
            ("a factor for each column", &floats("factor", &[1, 1, 1, 3], &[0.5; 3])),
            ("an offset that is no number", &floats("offset", &[1, 3, 1, 1], &[0.1, f32::NAN, 0.1])),
            ("a factor that is too large", &floats("factor", &[1, 3, 1, 1], &[0.1, 0.1, -1e30])),
            ("rows of three", &floats("rows", &[2, 3], &[0.0, 1.0, 0.0, 0.2, 0.3, 0.5])),
            ("columns of what is apart", &floats("columns", &[3, 2], &[1.0, 0.5, 0.0, 0.0, 0.0, 0.5])),
            ("more than there was", &floats("rows", &[2, 2], &[1.0, 0.0, 0.0, 1.1])),
            ("a share that is no number", &floats("rows", &[2, 2], &[1.0, 0.0, 0.0, f32::NAN])),
            ("one column", &floats("columns", &[1, 2], &[1.0, 1.0])),
            ("one new row", &floats("rows", &[1, 2], &[0.5, 0.5])),
            ("large pictures", &|graph| {
                let mut shares = [0.0; 65 * 2];
                shares[..2].fill(1.0);
                set(graph, from_floats("columns", &[65, 2], &shares));
            }),
            ("no matrix", &floats("rows", &[1, 3, 2], &[1.0, 0.0, 0.5, 0.5, 0.0, 1.0])),
            ("fewer numbers than said", &floats("rows", &[3, 2], &[1.0, 0.0, 0.5])),
            ("no rows", &floats("rows", &[0, 2], &[])),
            ("scales of channels", &floats("scale", &[3], &[0.1; 3])),
            ("int8", &|graph| set(graph, from_bytes("zero", &[], ElementType::I8, vec![3]))),
            ("read by another, too", &|graph| graph.node.push(node("Relu", &["normal"], "also", &[]))),
            ("an output, too", &|graph| {
                graph.output.push(ValueInfoProto { name: Some("enlarged".to_owned()), ..ValueInfoProto::default() });
            }),
        ];
        for (what, edit) in stays {
            let mut graph = front();
            edit(&mut graph);
            let before = graph.clone();
            assert_eq!(replace_preprocessing(&mut graph), 0, "{what}");
            assert_eq!(graph, before, "{what}");
        }
        let fixed = |sides: &[u64]| Some(sides.iter().map(|side| Dim::Fixed(*side)).collect());
        let pictures = [
            ("of floats", ElementType::F32, fixed(&[1, 2, 3, 3])),
            ("in grey", ElementType::U8, fixed(&[1, 2, 3, 1])),
            ("of other axes", ElementType::U8, fixed(&[2, 3, 3])),
            ("of unknown shape", ElementType::U8, None),
        ];
        for (what, element, shape) in pictures {
            let mut graph = front();
            graph.input = vec![TensorType { element: Some(element), shape }.declare("pixels")];
            assert_eq!(replace_preprocessing(&mut graph), 0, "{what}");
        }
    }
}
