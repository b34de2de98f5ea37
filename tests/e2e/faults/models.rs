//! Models and tokenizers that mean harm: refused with 65 before any session is made, and nothing outside the model's folder
//! is opened.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use onnx_graph::proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto};
use prost::Message;

use crate::program::{Dir, Run, demo_backbone, demo_lm, repository};

/// A small language model whose weights lie in a second file, copied to `model/`, and prompts for it.
fn with_external_data() -> (Dir, PathBuf) {
    let dir = Dir::new();
    let from = repository().join("tests/fixtures/generate/external");
    let mut data = None;
    copy(&dir, &from, "model", &mut data);
    dir.write("prompts.txt", "a\nb\n");
    dir.data_prep().args(["--input", "prompts.txt", "--run", "r", "--tokenizer", "model"]).code(0);
    let data = data.expect("there is external data");
    (dir, data)
}

fn copy(dir: &Dir, from: &Path, to: &str, data: &mut Option<PathBuf>) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = format!("{to}/{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            copy(dir, &entry.path(), &name, data);
        } else {
            let path = dir.write(&name, fs::read(entry.path()).unwrap());
            if name.contains("data") {
                *data = Some(path);
            }
        }
    }
}

fn generate(dir: &Dir) -> Run<'_> {
    dir.generate().args(["--model", "model", "--run", "r", "--max-new-tokens", "2"])
}

#[test]
fn fault_24_external_data_outside_the_folder_is_never_opened() {
    let (dir, data) = with_external_data();
    generate(&dir).args(["--out", "fine"]).code(0);
    let secret = dir.path("secret");
    fs::rename(&data, &secret).unwrap();
    for (make, code, said) in [
        (Box::new(|| symlink(&secret, &data).unwrap()) as Box<dyn Fn()>, 65, "outside the model's folder"),
        (Box::new(|| symlink("../secret", &data).unwrap()), 65, "outside the model's folder"),
        (Box::new(|| fs::hard_link(&secret, &data).unwrap()), 65, "under 2 names (hard links)"),
        (Box::new(|| fs::create_dir(&data).unwrap()), 66, "not in the model's folder"),
    ] {
        make();
        let traced = dir.path("trace");
        let strace = ["strace", "-f", "-e", "trace=openat,open", "-o", traced.to_str().unwrap()];
        generate(&dir).under(&strace).code(code).says(&[said]);
        let trace = fs::read_to_string(&traced).unwrap();
        assert!(!trace.contains("secret") && trace.contains("model"), "the file outside was opened");
        if data.is_dir() { fs::remove_dir(&data).unwrap() } else { fs::remove_file(&data).unwrap() }
    }
    // A link inside the folder, as of a file under a better name, is fine.
    fs::copy(&secret, data.with_file_name("weights.bin")).unwrap();
    symlink("weights.bin", &data).unwrap();
    generate(&dir).args(["--out", "linked"]).code(0);
}

#[test]
fn fault_24_external_data_by_a_path_is_refused() {
    let (dir, data) = with_external_data();
    let model = fs::read_dir(data.parent().unwrap()).unwrap().map(|e| e.unwrap().path());
    let model = model.into_iter().find(|p| p.extension().is_some_and(|e| e == "onnx")).unwrap();
    let good = ModelProto::decode(&*fs::read(&model).unwrap()).unwrap();
    for place in ["../model/x", "/etc/passwd", "..", ".", "", "a\\b", "C:x", "sub/file", "x\0y"] {
        let mut bad = good.clone();
        for tensor in &mut bad.graph.as_mut().unwrap().initializer {
            for entry in tensor.external_data.iter_mut().filter(|entry| entry.key.as_deref() == Some("location")) {
                entry.value = Some(place.to_string());
            }
        }
        fs::write(&model, bad.encode_to_vec()).unwrap();
        generate(&dir).code(65);
    }
    fs::write(&model, good.encode_to_vec()).unwrap();
    generate(&dir).code(0);
}

type Change = fn(&mut ModelProto);

fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

fn last_node(model: &mut ModelProto) -> &mut NodeProto {
    graph(model).node.last_mut().unwrap()
}

fn first_tensor(model: &mut ModelProto) -> &mut TensorProto {
    &mut graph(model).initializer[0]
}

/// Changes to a good backbone, each of which some reader of ONNX was once fooled by.
const CHANGES: [(&str, Change); 12] = [
    ("a cycle", |m| {
        let end = last_node(m).output[0].clone();
        graph(m).node[0].input[0] = end;
    }),
    ("a node that reads itself", |m| {
        let node = last_node(m);
        node.input[0] = node.output[0].clone();
    }),
    ("a tensor that nobody makes", |m| last_node(m).input[0] = "nobody".to_string()),
    ("a name made twice", |m| {
        let node = last_node(m).clone();
        graph(m).node.push(node);
    }),
    ("a gigantic tensor", |m| first_tensor(m).dims = vec![1 << 40, 1 << 40]),
    ("a shape whose product wraps to the right size", |m| {
        let dims = &mut first_tensor(m).dims;
        *dims = vec![1 << 32, 1 << 32, dims.iter().product()];
    }),
    ("a negative shape", |m| first_tensor(m).dims[0] = -1),
    ("more numbers than there are", |m| first_tensor(m).dims[0] += 1),
    ("an operator set from the future", |m| m.opset_import[0].version = Some(999_999)),
    ("an operator from a library", |m| {
        m.opset_import.push(OperatorSetIdProto { domain: Some("evil.ops".into()), version: Some(1) });
        last_node(m).domain = Some("evil.ops".into());
        last_node(m).op_type = Some("Run".into());
    }),
    ("an operator that does not exist", |m| last_node(m).op_type = Some("RunShell".into())),
    ("no graph", |m| m.graph = None),
];

#[test]
fn fault_24_hostile_graphs_are_65() {
    let dir = Dir::new();
    dir.shapes("r", 20, 8);
    let good = ModelProto::decode(&*fs::read(demo_backbone()).unwrap()).unwrap();
    for (what, change) in CHANGES {
        let mut bad = good.clone();
        change(&mut bad);
        dir.write("bad.onnx", bad.encode_to_vec());
        dir.feature_extract()
            .args(["--run", "r", "--mean", "0.5", "--std", "0.5", "--backbone", "bad.onnx"])
            .code(65)
            .says(&["bad.onnx"]);
        assert!(!dir.path("r/features").exists(), "{what}");
    }
    let bytes = good.encode_to_vec();
    for length in [0, 1, 100, bytes.len() / 2, bytes.len() - 1] {
        dir.write("bad.onnx", &bytes[..length]);
        dir.feature_extract()
            .args(["--run", "r", "--mean", "0.5", "--std", "0.5", "--backbone", "bad.onnx"])
            .code(65)
            .says(&["bad.onnx"]);
    }
}

#[test]
fn fault_24_a_hostile_tokenizer_is_65() {
    let dir = Dir::new();
    dir.write("prompts.txt", "a\n");
    let good = fs::read_to_string(demo_lm().join("tokenizer.json")).unwrap();
    let deep = "[".repeat(100_000);
    for bad in
        ["", "{}", "[]", "null", "\0\0\0\0", &deep, &good[..good.len() / 2], &good.replace("\"type\"", "\"typo\"")]
    {
        dir.write("bad.json", bad);
        let ran = dir.data_prep().args(["--input", "prompts.txt", "--run", "r", "--tokenizer", "bad.json"]);
        ran.code(65).says(&["bad.json"]);
    }
}

/// Headers that claim what is not there: nothing is reserved for them, and nothing behind the end is read.
#[test]
fn fault_26_hostile_safetensors_are_65() {
    let dir = Dir::new();
    let header = |length: u64, json: &str| [&length.to_le_bytes()[..], json.as_bytes()].concat();
    let tensor = |dtype: &str, shape: &str, offsets: &str| {
        let json = format!(r#"{{"weight":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#);
        let mut bytes = header(json.len() as u64, &json);
        bytes.extend([0; 16]);
        bytes
    };
    for (_what, bytes) in [
        ("nothing", Vec::new()),
        ("seven bytes", vec![1; 7]),
        ("a header of 2^64 - 1 bytes", header(u64::MAX, "{}")),
        ("a header of 200 MB", header(200 << 20, "{}")),
        ("a header that is no JSON", header(4, "\0\0\0\0")),
        ("an end before the start", tensor("F32", "[4]", "[16,0]")),
        ("bytes behind the end", tensor("F32", "[4]", "[16,32]")),
        ("a shape that wraps", tensor("F32", "[4611686018427387905]", "[0,4]")),
        ("an unknown type", tensor("F33", "[4]", "[0,16]")),
        ("a hole", tensor("F32", "[2]", "[0,8]")),
    ] {
        dir.write("bad.safetensors", bytes);
        dir.headstart().args(["inspect", "bad.safetensors"]).code(65).says(&["bad.safetensors"]);
    }
}
