//! Every seed passes its target, without libFuzzer and with the stable compiler; and the seeds reach what they are for.

use std::fs;
use std::path::{Path, PathBuf};

use artifact::{Manifest, decode_parquet};
use onnx_graph::proto::ModelProto;
use onnx_graph::{Bytes, Model, Replacement};
use picture::{Limits, decode};
use prost::Message;

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let entries =
        fs::read_dir(&folder).expect("the target has seeds").map(|e| e.expect("a folder can be listed").path());
    entries.map(|path| (path.clone(), fs::read(path).expect("a seed can be read"))).collect()
}

/// Without the first byte, which picks options.
fn files(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    seeds(target).into_iter().map(|(path, bytes)| (path, bytes[1..].to_vec())).collect()
}

#[test]
fn every_seed_passes_its_target() {
    for (name, target) in targets::ALL {
        let seeds = seeds(name);
        assert!(seeds.len() >= 5, "{name} has {} seeds", seeds.len());
        for (path, bytes) in seeds {
            println!("{}", path.display());
            target(&bytes);
        }
    }
}

#[test]
fn seeds_get_past_the_first_check() {
    for (path, bytes) in seeds("manifest").into_iter().filter(|(path, _)| !path.ends_with("journal")) {
        serde_json::from_slice::<Manifest>(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    for (path, bytes) in files("part").into_iter().chain(files("table")) {
        decode_parquet(bytes, &path).expect("the part is whole");
    }
    for (path, bytes) in files("picture") {
        decode(&bytes, &Limits::default()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    for (path, bytes) in files("onnx") {
        Model::parse(bytes, &path.display().to_string()).expect("the model is sound");
    }
}

#[test]
fn operators_of_ours_are_put_into_a_seed() {
    let (_, file) = files("onnx").into_iter().find(|(path, _)| path.ends_with("optimised")).expect("there is one");
    let replace = Replacement { convolutions: true, bytes: Bytes::All }.function();
    let replaced = replace(file, 16).expect("there is something to replace");
    let graph = ModelProto::decode(&replaced[..]).expect("it was just encoded").graph.expect("a model has a graph");
    let ours: Vec<&str> =
        graph.node.iter().filter(|node| node.domain() == "headstart").map(|node| node.op_type()).collect();
    assert_eq!(ours, ["QLinearResize", "QLinearConv", "QLinearConv", "Conv"]);
}
