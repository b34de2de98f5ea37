//! The nodes that preprocessing becomes. That these nodes compute what Pillow does was measured with
//! ONNX Runtime 1.31.1 and Pillow 13.0 on noise and smooth pictures, 32, 24x25 and 96x97 pixels to
//! 32, 224 and 227: at most 0.004 of 255 apart for bilinear and bicubic on float pictures, equal for
//! nearest.

use onnx_graph::proto::{ModelProto, NodeProto};
use onnx_graph::{ElementType, Interpolation, Model, PIXELS, Preprocessing, Problem};

use crate::build::{assert_sound, checked, elements, graph, network, node, ops, proto, value};

fn imagenet() -> Preprocessing {
    Preprocessing {
        stored_height: 8,
        stored_width: 8,
        height: 8,
        width: 8,
        scale: 1.0 / 255.0,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
        interpolation: Interpolation::Bilinear,
    }
}

/// Leaves the numbers as they are.
fn neutral() -> Preprocessing {
    Preprocessing { scale: 1.0, mean: [0.0; 3], std: [1.0; 3], ..imagenet() }
}

fn taking(element: ElementType, dims: &[i64]) -> ModelProto {
    proto(vec![node("Abs", &["x"], "y", &[])], vec![], value("x", element, dims), value("y", element, dims))
}

fn prepended(proto: ModelProto, preprocessing: &Preprocessing) -> Model {
    let mut model = checked(proto);
    model.prepend_preprocessing(preprocessing).expect("it fits");
    assert_sound(&model);
    model
}

fn refused(proto: ModelProto, preprocessing: &Preprocessing) -> (Problem, String) {
    let error = checked(proto).prepend_preprocessing(preprocessing).expect_err("it does not fit");
    let text = error.to_string();
    (*error.problem, text)
}

fn resize(model: &Model) -> &NodeProto {
    graph(model).node.iter().find(|node| node.op_type() == "Resize").expect("it resizes")
}

#[test]
fn the_same_size_needs_no_resize() {
    let model = prepended(network(), &imagenet());
    assert_eq!(ops(&model)[..5], ["Transpose", "Cast", "Mul", "Add", "Conv"]);
    let input = &model.metadata().inputs[0];
    assert_eq!((input.name.as_str(), input.tensor.to_string().as_str()), (PIXELS, "uint8 [batch, 8, 8, 3]"));
    for channel in 0..3 {
        let x = 200.0f64;
        let (mean, std) = (f64::from(imagenet().mean[channel]), f64::from(imagenet().std[channel]));
        let factor = f64::from(elements(&model, "preprocess_factor")[channel]);
        let offset = f64::from(elements(&model, "preprocess_offset")[channel]);
        assert!((x * factor + offset - (x / 255.0 - mean) / std).abs() < 1e-6);
    }
}

#[test]
fn enlarging_normalises_the_small_picture_and_clips_only_cubic() {
    let small = Preprocessing { stored_height: 4, stored_width: 3, ..imagenet() };
    let cases: [(Interpolation, &[&str]); 3] = [
        (Interpolation::Bilinear, &["Transpose", "Cast", "Mul", "Add", "MatMul", "MatMul", "Conv"]),
        (Interpolation::Bicubic, &["Transpose", "Cast", "Resize", "Clip", "Mul", "Add", "Conv"]),
        (Interpolation::Nearest, &["Transpose", "Cast", "Mul", "Add", "Gather", "Gather", "Conv"]),
    ];
    for (interpolation, expected) in cases {
        let model = prepended(network(), &Preprocessing { interpolation, ..small.clone() });
        assert_eq!(ops(&model)[..expected.len()], *expected);
        assert_eq!(model.metadata().inputs[0].tensor.to_string(), "uint8 [batch, 4, 3, 3]");
    }
    let model = prepended(network(), &Preprocessing { interpolation: Interpolation::Bicubic, ..small });
    let a = resize(&model).attribute.iter().find(|a| a.name() == "cubic_coeff_a").unwrap();
    assert_eq!(a.f(), -0.5, "Pillow's, not PyTorch's");
}

#[test]
fn small_pictures_are_enlarged_by_the_weights_of_half_pixel_centres() {
    let model = prepended(network(), &Preprocessing { stored_height: 4, stored_width: 2, ..imagenet() });
    // Rows of [8, 4]: F.interpolate(torch.eye(4)[None], size=8, mode="linear", align_corners=False), torch 2.15.
    let rows = elements(&model, "preprocess_rows");
    assert_eq!(rows[..12], [1.0, 0.0, 0.0, 0.0, 0.75, 0.25, 0.0, 0.0, 0.25, 0.75, 0.0, 0.0]);
    assert_eq!(rows[28..], [0.0, 0.0, 0.0, 1.0]);
    // [2, 8], and each new pixel takes one whole pixel's worth.
    let columns = elements(&model, "preprocess_columns");
    assert_eq!(columns[..8], [1.0, 1.0, 0.875, 0.625, 0.375, 0.125, 0.0, 0.0]);
    assert!((0..8).all(|x| columns[x] + columns[8 + x] == 1.0));
    let products: Vec<_> = graph(&model).node.iter().filter(|node| node.op_type() == "MatMul").collect();
    assert_eq!(
        (products[0].input[0].as_str(), products[1].input[1].as_str()),
        ("preprocess_rows", "preprocess_columns")
    );
    // Beyond 64 pixels Resize costs less.
    let large = Preprocessing { stored_height: 65, stored_width: 8, height: 80, width: 80, ..imagenet() };
    resize(&prepended(taking(ElementType::F32, &[0, 3, 80, 80]), &large));
}

#[test]
fn scales_never_lose_the_last_row() {
    // Of these, 224/23 and 224/46 rounded to the nearest float32 give 223 rows.
    for from in [3, 23, 46, 96, 223] {
        let enlarged = Preprocessing { stored_height: from, stored_width: 224, height: 224, width: 224, ..imagenet() };
        let model = prepended(taking(ElementType::F32, &[0, 3, 224, 224]), &enlarged);
        let scale = elements(&model, "preprocess_scales")[2];
        assert_eq!((scale * from as f32).floor(), 224.0);
        assert_eq!((f64::from(scale) * from as f64).floor(), 224.0);
    }
}

#[test]
fn nearest_takes_the_pixels_that_pillow_takes() {
    let model =
        prepended(network(), &Preprocessing { stored_height: 3, interpolation: Interpolation::Nearest, ..imagenet() });
    let rows = graph(&model).initializer.iter().find(|c| c.name() == "preprocess_rows").unwrap();
    let rows: Vec<u8> = rows.raw_data().chunks_exact(8).map(|b| b[0]).collect();
    // Image.fromarray(np.arange(3, dtype="u1")[:, None]).resize((1, 8), Image.NEAREST), Pillow 13.0.
    assert_eq!(rows, [0, 0, 0, 1, 1, 2, 2, 2]);
}

#[test]
fn the_region_of_interest_follows_the_operator_set() {
    let small = Preprocessing { stored_height: 4, interpolation: Interpolation::Bicubic, ..imagenet() };
    let mut old = network();
    old.opset_import[0].version = Some(11);
    assert_eq!(resize(&prepended(old.clone(), &small)).input[1], "preprocess_roi");
    assert_eq!(resize(&prepended(network(), &small)).input[1], "");
    old.opset_import[0].version = Some(10);
    assert!(matches!(refused(old.clone(), &small).0, Problem::ResizeNeedsOpset11 { found: 10 }));
    prepended(old, &imagenet());
}

#[test]
fn half_floats_fixed_batches_and_channels_last() {
    let model = prepended(taking(ElementType::F16, &[4, 3, 8, 8]), &imagenet());
    assert_eq!(ops(&model), ["Transpose", "Cast", "Mul", "Add", "Cast", "Abs"]);
    assert_eq!(model.metadata().inputs[0].tensor.to_string(), "uint8 [4, 8, 8, 3]");
    let last = taking(ElementType::F32, &[0, 8, 8, 3]);
    assert_eq!(ops(&prepended(last.clone(), &imagenet())), ["Cast", "Mul", "Add", "Abs"]);
    let small = Preprocessing { stored_height: 4, ..imagenet() };
    assert_eq!(
        ops(&prepended(last, &small)),
        ["Transpose", "Cast", "Mul", "Add", "MatMul", "MatMul", "Transpose", "Abs"]
    );
}

#[test]
fn a_model_that_takes_bytes_gets_bytes() {
    let bytes = taking(ElementType::U8, &[0, 8, 8, 3]);
    assert_eq!(ops(&prepended(bytes.clone(), &neutral())), ["Identity", "Abs"]);
    let small = Preprocessing { stored_height: 4, ..neutral() };
    let resized = prepended(bytes.clone(), &small);
    assert_eq!(ops(&resized), ["Transpose", "Cast", "MatMul", "MatMul", "Transpose", "Round", "Cast", "Abs"]);
    let (problem, text) = refused(bytes, &imagenet());
    assert!(matches!(problem, Problem::Preprocessing { what: "normalisation", .. }), "{text}");
}

#[test]
fn shrinking_is_refused_with_the_command_to_run() {
    let (problem, text) = refused(network(), &Preprocessing { stored_width: 9, ..imagenet() });
    assert!(matches!(problem, Problem::Downscaling { .. }));
    assert!(text.contains("--size 8x8"), "{text}");
}

#[test]
fn constants_and_sizes_that_make_no_sense_are_refused() {
    let bad = [
        Preprocessing { std: [0.2, 0.0, 0.2], ..imagenet() },
        Preprocessing { mean: [f32::NAN; 3], ..imagenet() },
        Preprocessing { scale: 0.0, ..imagenet() },
        Preprocessing { stored_height: 0, ..imagenet() },
        Preprocessing { height: 16, ..imagenet() },
    ];
    for preprocessing in bad {
        assert!(matches!(refused(network(), &preprocessing).0, Problem::Preprocessing { .. }), "{preprocessing:?}");
    }
    let grey = taking(ElementType::F32, &[0, 1, 8, 8]);
    assert!(matches!(refused(grey, &imagenet()).0, Problem::Preprocessing { .. }));
}

#[test]
fn an_input_that_is_called_pixels_already_is_renamed() {
    let mut own = taking(ElementType::F32, &[0, 3, 8, 8]);
    let inner = own.graph.as_mut().unwrap();
    inner.input[0].name = Some(PIXELS.into());
    inner.node[0].input[0] = PIXELS.into();
    let model = prepended(own, &imagenet());
    assert_eq!(graph(&model).node.last().unwrap().input, ["pixels_1"]);
    assert_eq!(model.metadata().inputs.len(), 1);
}
