//! What else is read: pipeline files, tars, texts, tokenizers.

use serde_json::Value;
use targets::tokenizer::{bytes, pieces, words};

use crate::pictures::small_png;
use crate::{fixture, write, write_with};

pub(crate) fn pipelines() {
    for name in ["demo", "demo-verse"] {
        write("pipeline", name, fixture(&format!("pipelines/{name}.toml")));
    }
    write("pipeline", "sets", b"run = \"r\"\nseed = 1\n[head-train]\nepochs = 3\nlr = [0.1, 1.0]\0epochs=7\0head-train.lr=[1, 2]\0data-prep.input=a/b.parquet");
    write(
        "pipeline",
        "baselines",
        "stages = [\"feature-extract\", \"head-train\"]\nthreads = 2\n[feature-extract]\nbackbone = \"hf://o/n@main/m.onnx\"\n\
         mean = [0.5, 0.5, 0.5]\n[baseline.random.feature-extract]\nweights = \"random\"\n[baseline.b.head-train]\nepochs = 1\n",
    );
    write(
        "pipeline",
        "generate",
        "stages = [\"data-prep\", \"generate\"]\n[data-prep]\ninput = \"train=x\"\ntokenizer = \"hf://o/n\"\nmax-bad = \"5%\"\n\
         [generate]\nmodel = \"m\"\ntemperature = 0.7\ntop-k = 5\nstop = [\"a\", \"b\"]\n",
    );
}

pub(crate) fn tars() {
    let png = small_png();
    let pack = |members: &[(&str, &[u8])], format: fn() -> tar::Header| {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in members {
            let mut header = format();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *content).expect("a member can be written");
        }
        builder.into_inner().expect("a tar can be ended")
    };
    let labelled: &[(&str, &[u8])] =
        &[("a/1.png", &png), ("a/1.cls", b"2"), ("a/2.png", &png), ("a/2.json", br#"{"label": "cat"}"#)];
    write_with("tar", "labelled", 0, &pack(labelled, tar::Header::new_ustar));
    write_with("tar", "gnu", 1, &pack(labelled, tar::Header::new_gnu));
    let long = format!("{}/1.png", "x".repeat(150));
    write_with("tar", "long-name", 2, &pack(&[(&long, &png), ("./b.txt", b"no picture")], tar::Header::new_gnu));
    write_with("tar", "twice", 2, &pack(&[("1.png", &png), ("1.png", &png), ("1.jpg", b"no")], tar::Header::new_ustar));
    write_with("tar", "pax", 0, &pax(&png));
}

/// A member whose name and size stand in an extended header.
fn pax(png: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let fields = [("path", "b/3.png".as_bytes()), ("size", b"7")];
    builder.append_pax_extensions(fields).expect("an extended header can be written");
    let mut header = tar::Header::new_ustar();
    header.set_size(png.len() as u64);
    builder.append_data(&mut header, "c/4.png", png).expect("a member can be written");
    builder.into_inner().expect("a tar can be ended")
}

pub(crate) fn prompts() {
    write_with("prompts", "lines", 0, "a cat, the cat\r\n\n今天天气不错,\nthe\0end".as_bytes());
    write_with("prompts", "mark", 12, b"\xef\xbb\xbfa cat\n\xff\xfe\na line that is longer than it may be\n");
    let rows = "{\"text\": \"a cat\", \"id\": 1, \"n\": 0.5}\n\n{\"text\": \"caf\\u00e9\", \"id\": \"b\", \"n\": 3, \"x\": [1, {\"y\": null}]}\n\
                not json\n{\"id\": 18446744073709551615, \"text\": 3}\n";
    write_with("prompts", "jsonl", 1, rows.as_bytes());
    write_with("prompts", "jsonl-ids", 6, rows.as_bytes());
    let other = "{\"t\": \"one\", \"input_ids\": true}\n{\"t\": \"two\", \"id\": -1e300, \"text\": \"\"}\n";
    write_with("prompts", "jsonl-field", 3, other.as_bytes());
}

pub(crate) fn tokenizers() {
    for (name, json) in [("bytes", bytes()), ("words", words()), ("pieces", pieces())] {
        write("tokenizer", name, [json.to_string().as_bytes(), b"\0a cat, the cat"].concat());
    }
    for name in ["byte_fallback", "byte_level", "metaspace"] {
        let compact: Value = serde_json::from_slice(&fixture(&format!("crates/text/tests/fixtures/{name}.json")))
            .expect("a fixture is JSON");
        write("tokenizer", name, compact.to_string());
    }
}
