//! One micro model in every layout of files: all give what transformers gives, and say what they are.

use super::expected::Expected;
use super::{copy, fixture, generate, input_ids, prepare, rows};
use crate::program::Dir;

fn compare(layout: &str, tolerance: f64, with_beams: bool) {
    let dir = Dir::new();
    let model = dir.path("model");
    copy(&dir, &fixture(layout), "model");
    let expected = Expected::read(&fixture("expected.json"));
    prepare(&dir, "r", &model, &expected.texts());
    assert_eq!(input_ids(&dir, "r"), expected.input_ids());
    let mut n_runs = 0;
    for run in expected.runs().into_iter().filter(|run| with_beams || run.n_beams() == 1) {
        dir.write("model/generation_config.json", run.as_config(true));
        for batch in [1, 8 * run.n_beams()] {
            let batch = batch.to_string();
            generate(&dir, "r", &model).args(run.as_options()).args(["--batch", &batch]).code(0);
            run.check(&rows(&dir, "r/completions"), tolerance, &format!("{layout}, batch {batch}"));
        }
        n_runs += 1;
    }
    assert_eq!(n_runs, if with_beams { 4 } else { 2 });
}

#[test]
fn one_graph() {
    compare("single", 1e-3, true);
}

#[test]
fn a_merged_graph_with_a_cache_branch() {
    compare("merged", 1e-3, true);
}

#[test]
fn two_graphs_for_prompt_and_continuation() {
    compare("split", 1e-3, true);
}

#[test]
fn float16_below_a_folder_onnx() {
    // Its logits are within 0.025 of float32's, and beams can be nearer to each other than that.
    compare("float16", 0.06, false);
}

#[test]
fn a_graph_that_counts_positions_itself() {
    compare("no_positions", 1e-3, true);
}

#[test]
fn weights_in_a_file_beside_the_graph() {
    compare("external", 1e-3, true);
}

#[test]
fn a_folder_and_a_file_in_it_are_the_same_model() {
    let dir = Dir::new();
    prepare(&dir, "r", &fixture("float16"), &["ROMEO:", "O"]);
    let file = fixture("float16/onnx/model.onnx");
    generate(&dir, "r", &fixture("float16")).code(0);
    generate(&dir, "r", &file).args(["--out", "by-file"]).code(0);
    assert_eq!(rows(&dir, "r/completions"), rows(&dir, "by-file"));
}

#[test]
fn describe_says_what_each_layout_is() {
    let dir = Dir::new();
    let describe = |layout: &str| {
        let run = || dir.generate().args(["--describe", "--model"]).args([fixture(layout)]);
        (run().code(0).stdout(), run().args(["--json"]).code(0).json())
    };
    // Layout, what its text says, whether the cache is in place, whether only the last logits are computed.
    let in_place = "cache in place on the CPU, logits of the last position only";
    let cases: [(&str, &[&str], bool, bool); 6] = [
        ("single", &["one graph", "float32 of [rows, 2, tokens, 8], 256 bytes a token", in_place], true, true),
        ("merged", &["one merged graph (use_cache_branch)", "as exported"], false, false),
        ("split", &["two graphs", "decoder_with_past_model.onnx", "logits of the last position only"], false, true),
        ("float16", &["onnx/model.onnx", "float16 of [rows, 2, tokens, 8], 128 bytes a token"], false, true),
        ("no_positions", &["counted by the graph, so only prompts of equal length run together"], false, true),
        ("external", &["model.onnx_data", in_place], true, true),
    ];
    for (layout, says, in_place, last_logits) in cases {
        let (text, json) = describe(layout);
        for expected in says.iter().chain(&["gpt2", "64 tokens", "288 tokens", "0 \"<|endoftext|>\"", "greedy"]) {
            assert!(text.contains(expected), "{layout} does not say {expected:?}:\n{text}");
        }
        assert_eq!((&json["layers"], &json["kv_heads"], &json["head_dim"]), (&2.into(), &2.into(), &8.into()));
        assert_eq!((&json["context"], &json["vocabulary"]), (&64.into(), &288.into()));
        assert_eq!(json["use_cache_branch"], layout == "merged");
        assert_eq!(json["position_ids"], layout != "no_positions");
        assert_eq!(
            (&json["cache_in_place"], &json["last_logits_only"]),
            (&in_place.into(), &last_logits.into()),
            "{layout}"
        );
    }
}

#[test]
fn a_model_without_past_is_65_with_the_way_out() {
    let dir = Dir::new();
    let way_out = "optimum-cli export onnx --task text-generation-with-past";
    prepare(&dir, "r", &fixture("no_past"), &["O"]);
    generate(&dir, "r", &fixture("no_past")).code(65).says(&["without past key/values", way_out]);
    dir.generate().args(["--describe", "--model"]).args([fixture("no_past")]).code(65).says(&[way_out]);
    // Half of a model in two files has no past to take either.
    copy(&dir, &fixture("split"), "half");
    std::fs::remove_file(dir.path("half/decoder_with_past_model.onnx")).unwrap();
    generate(&dir, "r", &dir.path("half")).code(65).says(&["decoder_model.onnx alone", way_out]);
    std::fs::rename(dir.path("half/decoder_model.onnx"), dir.path("half/model.onnx")).unwrap();
    generate(&dir, "r", &dir.path("half")).code(65).says(&["takes no past key/values", way_out]);
}
