//! The demo model against transformers: every run of its `expected.json`, every prompt, token by token.

use super::expected::{Expected, ExpectedRun};
use super::{copy, generate, input_ids, prepare, rows};
use crate::program::{Dir, demo_lm};

/// All prompts in one artifact, all runs one after the other into the same place: a run that differs from the one
/// before in a single setting has to be made again, not found up to date.
fn compare(only_ids_from_file: bool, batch: impl Fn(&ExpectedRun<'_>) -> usize) {
    let dir = Dir::new();
    copy(&dir, &demo_lm(), "model");
    let expected = Expected::read(&demo_lm().join("expected.json"));
    prepare(&dir, "r", &dir.path("model"), &expected.texts());
    assert_eq!(input_ids(&dir, "r"), expected.input_ids());
    for run in expected.runs() {
        dir.write("model/generation_config.json", run.as_config(only_ids_from_file));
        let batch = batch(&run).to_string();
        let options = if only_ids_from_file { run.as_options() } else { Vec::new() };
        // Without an end in its file the model would take that of config.json.
        let endless = (!run.arguments.contains_key("eos_token_id") && options.is_empty()).then_some("--ignore-eos");
        let run_it = generate(&dir, "r", &dir.path("model")).args(["--batch", &batch]).args(&options).args(endless);
        run_it.code(0);
        run.check(&rows(&dir, "r/completions"), 1e-3, &format!("batch {batch}, options {options:?}"));
    }
}

#[test]
fn every_run_of_transformers_is_equal_prompt_by_prompt_with_options() {
    compare(true, |_| 1);
}

#[test]
fn every_run_of_transformers_is_equal_in_mixed_batches_with_the_models_own_settings() {
    // Eight prompts at once, of 1 to 51 tokens, whatever the number of beams.
    compare(false, |run| 8 * run.n_beams());
}

#[test]
fn max_length_and_min_length_count_the_prompt() {
    let dir = Dir::new();
    let expected = Expected::read(&demo_lm().join("expected.json"));
    prepare(&dir, "r", &demo_lm(), &expected.texts());
    let run = |options: &[&str]| {
        generate(&dir, "r", &demo_lm()).args(options).code(0);
        rows(&dir, "r/completions")
    };
    let whole = run(&["--max-new-tokens", "48"]);
    for batch in ["1", "8"] {
        let short = run(&["--max-length", "24", "--on-long", "skip", "--batch", batch]);
        for (short, whole) in short.iter().zip(&whole) {
            let room = 24usize.saturating_sub(whole.prompt_tokens as usize);
            assert_eq!(short.token_ids, whole.token_ids[..room], "{}", short.id);
            assert_eq!(short.finish_reason, if room == 0 { "skipped" } else { "length" }, "{}", short.id);
        }
    }
    let lengths: Vec<_> = whole.iter().map(|row| row.prompt_tokens).collect();
    assert_eq!(lengths, [1, 2, 6, 19, 20, 17, 51], "one prompt leaves no room, the others between 4 and 23 tokens");
}
