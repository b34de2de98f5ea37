//! What the reader accepts, keeps and refuses.

use std::io::ErrorKind;
use std::path::Path;

use onnx_graph::proto::{ModelProto, StringStringEntryProto};
use onnx_graph::{Dim, ElementType, Model, Problem};

use crate::build::{checked, integers, network, node, value};

fn refused(change: impl FnOnce(&mut ModelProto)) -> (String, Problem) {
    let mut proto = network();
    change(&mut proto);
    let error = Model::from_proto(proto, "bad.onnx").expect_err("the change breaks the model");
    (error.to_string(), *error.problem)
}

fn graph(proto: &mut ModelProto) -> &mut onnx_graph::proto::GraphProto {
    proto.graph.as_mut().expect("the network has a graph")
}

#[test]
fn a_model_comes_back_as_it_went_in() {
    let model = checked(network());
    let bytes = model.encode().unwrap();
    let again = Model::parse(bytes.clone(), "again").unwrap();
    assert_eq!(again.proto(), model.proto());
    assert_eq!(again.encode().unwrap(), bytes);
}

#[test]
fn a_file_is_read_and_a_missing_one_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("net.onnx");
    std::fs::write(&path, checked(network()).encode().unwrap()).unwrap();
    assert_eq!(Model::read(&path).unwrap().proto(), &network());
    let error = Model::read(directory.path().join("none.onnx")).unwrap_err();
    assert!(error.to_string().contains("none.onnx"), "{error}");
    assert!(matches!(*error.problem, Problem::Read(_)));
}

#[test]
fn what_is_no_file_of_a_possible_size_is_refused_unopened() {
    let directory = tempfile::tempdir().unwrap();
    let (large, pipe) = (directory.path().join("large.onnx"), directory.path().join("pipe.onnx"));
    // Its bytes are never written: the file takes no space.
    std::fs::File::create(&large).unwrap().set_len(3 << 30).unwrap();
    let error = Model::read(&large).unwrap_err();
    assert!(matches!(*error.problem, Problem::TooLarge { bytes: 0xc000_0000 }), "{error}");
    assert!(error.to_string().contains("large.onnx: takes 3221225472 bytes"), "{error}");
    // Opening a pipe that nobody writes to would not end.
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [pipe.as_path(), Path::new("/dev/zero")] {
        let error = Model::read_with_external_data(path).unwrap_err();
        assert!(matches!(*error.problem, Problem::NotAFile), "{error}");
        assert!(error.to_string().contains("expected a regular file"), "{error}");
    }
    let error = Model::read(directory.path()).unwrap_err();
    assert!(matches!(&*error.problem, Problem::Read(e) if e.kind() == ErrorKind::IsADirectory), "{error}");
    assert!(error.to_string().contains("it is a folder, expected a file"), "{error}");
}

#[test]
fn metadata_states_the_facts() {
    let mut model = checked(network());
    model.set_metadata_prop("classes", "a,b");
    model.set_metadata_prop("classes", "c,d");
    let facts = model.metadata();
    assert_eq!((facts.producer.as_str(), facts.ir_version, facts.opset), ("test", 8, 13));
    assert_eq!(facts.inputs[0].name, "image");
    assert_eq!(facts.inputs[0].tensor.element, Some(ElementType::F32));
    assert_eq!(facts.outputs[0].tensor.shape, Some(vec![Dim::Named("batch".into()), Dim::Fixed(2)]));
    assert_eq!((facts.n_nodes, facts.n_parameters), (8, 108 + 4 + 4 + 8 + 2));
    assert_eq!(facts.metadata_props, [("classes".to_owned(), "c,d".to_owned())]);
}

#[test]
fn other_files_are_called_by_their_name() {
    let jpeg = [0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F'];
    let cases: [(&[u8], &str); 6] = [
        (b"", "an empty file"),
        (&jpeg, "a JPEG picture"),
        (b"hello, this is text\n", "a text file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b"\x1c\0\0\0TFL3rest", "a TensorFlow Lite model"),
    ];
    for (bytes, found) in cases {
        let error = Model::parse(bytes.to_vec(), "x.onnx").unwrap_err().to_string();
        assert!(error.starts_with("x.onnx: expected an ONNX model, found ") && error.contains(found), "{error}");
    }
}

#[test]
fn a_file_cut_short_is_refused_at_every_length() {
    let bytes = checked(network()).encode().unwrap();
    for length in 0..bytes.len() {
        assert!(Model::parse(bytes[..length].to_vec(), "short").is_err(), "{length} of {} bytes", bytes.len());
    }
}

#[test]
fn versions_outside_the_known_ones_are_refused() {
    assert!(matches!(refused(|p| p.ir_version = Some(99)).1, Problem::IrVersion { found: 99, newest: 14 }));
    assert!(matches!(refused(|p| p.ir_version = None).1, Problem::Incomplete { what: "IR version" }));
    assert!(matches!(refused(|p| p.opset_import.clear()).1, Problem::Incomplete { .. }));
    assert!(matches!(refused(|p| p.opset_import[0].version = Some(6)).1, Problem::OpsetTooOld { found: 6 }));
}

#[test]
fn a_graph_needs_inputs_and_outputs() {
    assert!(matches!(refused(|p| p.graph = None).1, Problem::Incomplete { what: "graph" }));
    assert!(matches!(refused(|p| graph(p).output.clear()).1, Problem::Incomplete { what: "output" }));
    assert!(matches!(refused(|p| graph(p).input.clear()).1, Problem::Incomplete { what: "input" }));
    let gone = refused(|p| graph(p).output.push(value("gone", ElementType::F32, &[1]))).1;
    assert!(matches!(gone, Problem::OutputNotMade { tensor } if tensor == "gone"));
}

#[test]
fn dangling_cyclic_and_repeated_tensors_are_told_apart() {
    let (text, problem) = refused(|p| graph(p).node[1].input[0] = "nowhere".into());
    assert!(matches!(problem, Problem::Dangling { .. }));
    assert!(text.contains("node of positive") && text.contains("nowhere"), "{text}");
    let cycle = refused(|p| graph(p).node[1].input[0] = "flat".into()).1;
    assert!(matches!(cycle, Problem::OutOfOrder { tensor, .. } if tensor == "flat"));
    assert!(matches!(refused(|p| graph(p).node.swap(0, 1)).1, Problem::OutOfOrder { .. }));
    let twice = refused(|p| graph(p).node.push(node("Relu", &["flat"], "map", &[]))).1;
    assert!(matches!(twice, Problem::MadeTwice { tensor, .. } if tensor == "map"));
    let constants = refused(|p| graph(p).initializer.push(integers("fc.bias", &[1]))).1;
    assert!(matches!(constants, Problem::MadeTwice { tensor, .. } if tensor == "fc.bias"));
}

#[test]
fn custom_operators_are_refused_unless_the_file_defines_them() {
    let custom = |p: &mut ModelProto| graph(p).node[1].domain = Some("my.ops".into());
    let (text, problem) = refused(custom);
    assert!(matches!(problem, Problem::CustomOperator { .. }));
    assert!(text.contains("my.ops"), "{text}");
    let unimported = refused(|p| graph(p).node[1].domain = Some("com.microsoft".into())).1;
    assert!(matches!(unimported, Problem::OpsetMissing { .. }));

    let mut proto = network();
    custom(&mut proto);
    let import = onnx_graph::proto::OperatorSetIdProto { domain: Some("my.ops".into()), version: Some(1) };
    proto.opset_import.push(import);
    proto.functions.push(onnx_graph::proto::FunctionProto {
        name: Some("Relu".into()),
        domain: Some("my.ops".into()),
        input: vec!["x".into()],
        output: vec!["y".into()],
        node: vec![node("Identity", &["x"], "y", &[])],
        opset_import: proto.opset_import[..1].to_vec(),
        ..Default::default()
    });
    checked(proto);
}

#[test]
fn tensors_must_be_what_they_declare() {
    let (text, problem) = refused(|p| graph(p).initializer[3].dims = vec![2, 5]);
    assert!(matches!(problem, Problem::TensorSize { expected: 40, found: 32, .. }), "{text}");
    let negative = refused(|p| graph(p).initializer[3].dims = vec![-2, 4]).1;
    assert!(matches!(negative, Problem::ImpossibleShape { .. }));
    let overflow = refused(|p| graph(p).initializer[3].dims = vec![i64::MAX, i64::MAX]).1;
    assert!(matches!(overflow, Problem::ImpossibleShape { .. }));
    let element = refused(|p| graph(p).initializer[3].data_type = Some(77)).1;
    assert!(matches!(element, Problem::UnknownElement { code: 77, .. }));
    let missing = refused(|p| graph(p).initializer[3].raw_data = None).1;
    assert!(matches!(missing, Problem::TensorSize { expected: 8, found: 0, .. }));
}

#[test]
fn data_in_another_file_is_refused_with_the_way_out() {
    let entry = StringStringEntryProto { key: Some("location".into()), value: Some("weights.bin".into()) };
    let (text, problem) = refused(|p| {
        let tensor = &mut graph(p).initializer[3];
        tensor.raw_data = None;
        tensor.data_location = Some(1);
        tensor.external_data.push(entry);
    });
    assert!(matches!(problem, Problem::ExternalData { .. }));
    assert!(text.contains("onnx.save"), "{text}");
}
