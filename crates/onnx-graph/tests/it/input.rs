//! Which inputs are pictures.

use onnx_graph::proto::ModelProto;
use onnx_graph::{ElementType, Layout, Problem};

use crate::build::{checked, counting, ints, network, node, proto, value};

fn taking(element: ElementType, dims: &[i64]) -> ModelProto {
    let output = value("y", element, dims);
    proto(vec![node("Relu", &["x"], "y", &[])], vec![], value("x", element, dims), output)
}

#[test]
fn layout_type_and_sizes_are_read_off() {
    let input = checked(network()).image_input().unwrap();
    assert_eq!((input.name.as_str(), input.element, input.layout), ("image", ElementType::F32, Layout::Nchw));
    assert_eq!((input.batch, input.channels, input.height, input.width), (None, 3, Some(8), Some(8)));
    let input = checked(taking(ElementType::U8, &[4, 32, 48, 3])).image_input().unwrap();
    assert_eq!((input.element, input.layout), (ElementType::U8, Layout::Nhwc));
    assert_eq!((input.batch, input.height, input.width), (Some(4), Some(32), Some(48)));
    let grey = checked(taking(ElementType::F16, &[0, 1, 28, 28])).image_input().unwrap();
    assert_eq!((grey.channels, grey.layout), (1, Layout::Nchw));
}

#[test]
fn open_axes_are_settled_by_the_first_convolution() {
    for (transposed, layout) in [(false, Layout::Nchw), (true, Layout::Nhwc)] {
        let mut nodes = vec![node("Conv", &["c", "w"], "y", &[])];
        nodes.insert(
            0,
            match transposed {
                true => node("Transpose", &["x"], "c", &[ints("perm", &[0, 3, 1, 2])]),
                false => node("Identity", &["x"], "c", &[]),
            },
        );
        let (input, output) =
            (value("x", ElementType::F32, &[0, 0, 0, 0]), value("y", ElementType::F32, &[0, 2, 0, 0]));
        let input = checked(proto(nodes, vec![counting("w", &[2, 3, 1, 1])], input, output)).image_input().unwrap();
        assert_eq!((input.layout, input.channels, input.height), (layout, 3, None));
    }
}

#[test]
fn initialisers_among_the_inputs_do_not_count() {
    let mut old = network();
    old.ir_version = Some(3);
    let inner = old.graph.as_mut().unwrap();
    inner.input.insert(0, value("conv.weight", ElementType::F32, &[4, 3, 3, 3]));
    assert_eq!(checked(old).image_input().unwrap().name, "image");
}

#[test]
fn what_is_no_picture_is_named() {
    let cases: [(ElementType, &[i64]); 4] = [
        (ElementType::I64, &[0, 128]),
        (ElementType::F32, &[0, 64]),
        (ElementType::F32, &[0, 4, 8, 8]),
        (ElementType::F64, &[0, 3, 8, 8]),
    ];
    for (element, dims) in cases {
        let error = checked(taking(element, dims)).image_input().unwrap_err();
        assert!(matches!(*error.problem, Problem::NotAnImage { .. }));
        assert!(error.to_string().contains(&format!("\"x\" of type {element}")), "{error}");
    }
    let mut two = network();
    two.graph.as_mut().unwrap().input.push(value("input_ids", ElementType::I64, &[0, 5]));
    let error = checked(two).image_input().unwrap_err();
    assert!(error.to_string().contains("2 inputs (image, input_ids)"), "{error}");
}
