//! `headstart inspect` of what was fetched from a hub: found in the cache, and nothing is asked or downloaded.

use std::fs;

use crate::program::{Dir, demo_backbone};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

#[test]
fn what_is_in_the_cache_is_shown_under_its_address() {
    let dir = Dir::new();
    let network = fs::read(demo_backbone()).unwrap();
    dir.write("hf/hub/models--o--n/refs/main", COMMIT);
    let file = dir.write(&format!("hf/hub/models--o--n/snapshots/{COMMIT}/onnx/model.onnx"), &network);
    let inspect = |what: &str| dir.headstart().args(["inspect", what, "--json"]);
    for address in ["hf://o/n/onnx/model.onnx".to_string(), format!("hf://o/n@{COMMIT}/onnx/model.onnx")] {
        let json = inspect(&address).code(0).json();
        assert_eq!((&json["what"], &json["bytes"]), (&"onnx".into(), &network.len().into()));
        assert_eq!(json["path"], file.display().to_string());
    }
    // A branch that the cache knows is named by its commit.
    let pinned = format!("hf://o/n@{COMMIT}/other.onnx");
    for (absent, named) in [
        ("hf://o/n/other.onnx", pinned.as_str()),
        ("hf://o/m/model.onnx", "hf://o/m/model.onnx"),
        ("hf://o/n@v2/onnx/model.onnx", "hf://o/n@v2/onnx/model.onnx"),
    ] {
        inspect(absent).code(69).says(&[named, "is not in the cache", "just fetch PIPELINE"]);
    }
    inspect("hf://o").code(2).says(&["whose repository"]);
    inspect("https://o/n/model.onnx").code(2).says(&["is an address on the web", "give its path"]);
    // What is here is meant, whatever it is called.
    dir.write("hf:/o/x.onnx", &network);
    assert_eq!(inspect("hf://o/x.onnx").code(0).json()["path"], "hf://o/x.onnx");
}
