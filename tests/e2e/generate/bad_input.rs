//! Bad models, prompts and settings get a code and a sentence that says what to do, and leave nothing behind.

use std::fs;

use onnx_graph::proto::{ModelProto, StringStringEntryProto};
use prost::Message;

use super::{copy, fixture, generate, prepare};
use crate::program::{Dir, demo_backbone, demo_lm};

#[test]
fn a_model_that_is_not_there_is_named() {
    let dir = Dir::new();
    prepare(&dir, "r", &fixture("single"), &["O"]);
    dir.generate().args(["--run", "r"]).code(2).says(&["give --model FOLDER"]);
    generate(&dir, "r", &dir.path("absent")).code(66).says(&["no model at", "absent", "model.onnx"]);
    dir.write("empty/config.json", "{}");
    generate(&dir, "r", &dir.path("empty")).code(66).says(&["expected model.onnx, decoder_model_merged.onnx"]);
    dir.write("other/onnx/model_q4.onnx", "");
    generate(&dir, "r", &dir.path("other")).code(66).says(&["it has onnx/model_q4.onnx: give one of them"]);
    assert!(!dir.path("r/completions").exists() && !dir.path("r/completions.building").exists());
}

#[test]
fn a_model_that_cannot_be_used_is_65_with_the_reason() {
    let dir = Dir::new();
    copy(&dir, &fixture("single"), "model");
    let model = dir.path("model");
    prepare(&dir, "r", &model, &["O"]);
    let with = |bytes: &[u8]| {
        dir.write("model/model.onnx", bytes);
        generate(&dir, "r", &model)
    };
    let whole = fs::read(fixture("single/model.onnx")).unwrap();
    with(&whole[..whole.len() / 2]).code(65).says(&["model.onnx", "cut short"]);
    with(b"").code(65).says(&["an empty file"]);
    with(b"version https://git-lfs.github.com/spec/v1\n").code(65).says(&["a Git LFS pointer"]);
    let picture = fs::read(demo_backbone()).unwrap();
    with(&picture).code(65).says(&["has no input `input_ids`", "text-generation-with-past"]);
    // A graph that passes every check here, and that the runtime refuses: a matrix of another size.
    let mut broken = ModelProto::decode(whole.as_slice()).unwrap();
    let weights = &mut broken.graph.as_mut().unwrap().initializer;
    let matrix = weights.iter_mut().find(|t| t.dims.len() == 2 && t.dims[0] != t.dims[1]).unwrap();
    matrix.dims.reverse();
    with(&broken.encode_to_vec()).code(65);
    with(&whole).code(0);
}

#[test]
fn a_missing_or_unusable_file_beside_the_graph_is_named() {
    let dir = Dir::new();
    copy(&dir, &fixture("single"), "model");
    let model = dir.path("model");
    prepare(&dir, "r", &model, &["O"]);
    for (file, content) in [("generation_config.json", "{\"max_length\": \"many\"}"), ("config.json", "{")] {
        let good = fs::read(dir.path("model").join(file)).unwrap();
        dir.write(&format!("model/{file}"), content);
        generate(&dir, "r", &model).code(65).says(&[file, "cannot be used"]);
        dir.write(&format!("model/{file}"), good);
    }
    dir.write("model/generation_config.json", "{\"num_beams\": 2, \"early_stopping\": \"maybe\"}");
    generate(&dir, "r", &model).code(65).says(&["early_stopping is \"maybe\", expected true, false or \"never\""]);
    dir.write("model/generation_config.json", "{}");
    dir.write("model/tokenizer.json", "{}");
    generate(&dir, "r", &model).code(65).says(&["tokenizer.json"]);
    fs::remove_file(dir.path("model/tokenizer.json")).unwrap();
    generate(&dir, "r", &model).code(66).says(&["tokenizer.json"]);
    generate(&dir, "r", &model).args(["--tokenizer"]).args([fixture("single")]).code(0);
}

#[test]
fn external_data_is_opened_in_the_models_folder_and_nowhere_else() {
    let dir = Dir::new();
    copy(&dir, &fixture("external"), "model");
    let model = dir.path("model");
    prepare(&dir, "r", &model, &["O"]);
    fs::rename(dir.path("model/model.onnx_data"), dir.path("x")).unwrap();
    generate(&dir, "r", &model).code(66).says(&["model.onnx_data", "not in the model's folder; fetch it too"]);
    let absolute = dir.path("x").display().to_string();
    for location in ["../x", absolute.as_str()] {
        let mut moved = ModelProto::decode(fs::read(fixture("external/model.onnx")).unwrap().as_slice()).unwrap();
        for tensor in &mut moved.graph.as_mut().unwrap().initializer {
            let at = |entry: &&mut StringStringEntryProto| entry.key() == "location";
            if let Some(entry) = tensor.external_data.iter_mut().find(at) {
                entry.value = Some(location.into());
            }
        }
        dir.write("model/model.onnx", moved.encode_to_vec());
        generate(&dir, "r", &model).code(65).says(&[location, "nothing outside it is opened"]);
    }
    fs::copy(fixture("external/model.onnx"), dir.path("model/model.onnx")).unwrap();
    dir.write("model/model.onnx_data", fs::read(dir.path("x")).unwrap());
    generate(&dir, "r", &model).code(0);
    // Its bytes are part of what the completions are made from, and a short one is no crash.
    let mut data = fs::read(dir.path("x")).unwrap();
    let middle = data.len() / 2;
    data[middle] ^= 1;
    dir.write("model/model.onnx_data", &data);
    generate(&dir, "r", &model).code(0).says(&["made again, because", "model.onnx_data"]);
    dir.write("model/model.onnx_data", &data[..middle]);
    generate(&dir, "r", &model).code(65);
}

#[test]
fn prompts_that_do_not_belong_to_the_model_are_refused() {
    let dir = Dir::new();
    generate(&dir, "r", &demo_lm()).code(66).says(&["run data-prep to make it"]);
    prepare(&dir, "r", &demo_lm(), &["ROMEO: My lady,", "O"]);
    generate(&dir, "r", &fixture("single"))
        .code(2)
        .says(&["made with another tokenizer", "run data-prep again with --tokenizer"]);
    // The same tokenizer, and a model that knows fewer tokens than it has.
    copy(&dir, &fixture("single"), "small");
    fs::copy(demo_lm().join("tokenizer.json"), dir.path("small/tokenizer.json")).unwrap();
    generate(&dir, "r", &dir.path("small")).code(65).says(&[
        "prompt p0 has token",
        "the model knows 288",
        "do not belong together",
    ]);
    dir.generate().args(["--model", "small", "--prompt", "ROMEO: My lady,"]).code(65).says(&["do not belong together"]);
    // Another kind of artifact, and one that was damaged.
    dir.shapes("pictures", 64, 8);
    let wrong = generate(&dir, "r", &demo_lm()).args(["--prompts", "pictures/examples"]);
    wrong.code(2).says(&["examples"]);
    let part = dir.path("r/prompts/part-00000.parquet");
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&part, bytes).unwrap();
    generate(&dir, "r", &demo_lm()).code(65).says(&["part-00000.parquet"]);
}

#[test]
fn an_empty_prompt_is_65() {
    let dir = Dir::new();
    let prompt = |text: &str| dir.generate().args(["--prompt", text, "--model"]).args([demo_lm()]);
    prompt("").code(65).says(&["--prompt is empty"]);
    dir.write("empty.txt", "\n\n");
    dir.data_prep().args(["--input", "empty.txt", "--run", "r", "--tokenizer"]).args([demo_lm()]).code(65);
}

#[test]
fn settings_that_cannot_be_are_2_and_say_what_can() {
    let dir = Dir::new();
    prepare(&dir, "r", &fixture("single"), &["O"]);
    let sample = ["--strategy", "sample"];
    let beam = ["--strategy", "beam"];
    let cases: [(&[&str], &[&str], &str); 19] = [
        (&sample, &["--temperature", "0"], "temperature"),
        (&sample, &["--temperature", "-1"], "temperature"),
        (&sample, &["--temperature", "nan"], "temperature"),
        (&sample, &["--top-p", "-0.1"], "top"),
        (&sample, &["--top-p", "1.5"], "top"),
        (&sample, &["--min-p", "-0.1"], "min"),
        (&sample, &["--typical-p", "2"], "typical"),
        (&sample, &["--num-beams", "2"], "--num-beams is for --strategy beam"),
        (&beam, &["--top-k", "5"], "--top-k is for --strategy sample"),
        (&beam, &["--num-beams", "0"], "--num-beams"),
        (&beam, &["--early-stopping", "maybe"], "never"),
        (&beam, &["--length-penalty", "nan"], "length"),
        (&[], &["--temperature", "0.7"], "--temperature is for --strategy sample: add it, or leave --temperature out"),
        (&[], &["--length-penalty", "2"], "--length-penalty is for --strategy beam"),
        (&[], &["--stop", ""], "stop"),
        (&[], &["--repetition-penalty", "0"], "repetition"),
        (&[], &["--bad-word", ""], "bad word 0 is empty"),
        (&[], &["--max-new-tokens", "0"], "--max-new-tokens"),
        (&[], &["--batch", "0"], "--batch"),
    ];
    for (strategy, options, says) in cases {
        generate(&dir, "r", &fixture("single")).args(strategy).args(options).code(2).says(&[says]);
    }
    assert!(!dir.path("r/completions").exists());
}

#[test]
fn a_device_or_runtime_that_is_not_there_is_69() {
    let dir = Dir::new();
    prepare(&dir, "r", &fixture("single"), &["O"]);
    let run = || generate(&dir, "r", &fixture("single"));
    // The library that `just setup` fetches has no CUDA provider, on any machine.
    run().args(["--device", "cuda"]).code(69).says(&["cuda:0 is not available", "--device cpu"]);
    run().args(["--device", "gpu"]).code(2).says(&["expected auto, cpu, cuda or cuda:N"]);
    run().env("ORT_DYLIB_PATH", "absent/libonnxruntime.so").code(69).says(&["just setup"]);
    run().args(["--device", "auto"]).code(0).says(&["on cpu"]);
}
