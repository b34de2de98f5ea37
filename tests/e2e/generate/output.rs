//! What is kept and what is printed: columns, JSON, a text that streams, and a second look at a batch.

use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use artifact::{Artifact, CompletionPart, Kind};

use super::expected::Expected;
use super::{fixture, generate, prepare, rows};
use crate::program::{Dir, Run, demo_lm, repository};

fn prompt<'a>(dir: &'a Dir, text: &str) -> Run<'a> {
    dir.generate().args(["--prompt", text, "--max-new-tokens", "24", "--model"]).args([demo_lm()])
}

#[test]
fn a_prompt_and_its_completion_are_all_of_stdout() {
    let dir = Dir::new();
    prepare(&dir, "r", &demo_lm(), &["ROMEO:"]);
    generate(&dir, "r", &demo_lm()).args(["--max-new-tokens", "24"]).code(0);
    let row = rows(&dir, "r/completions").remove(0);
    assert!(row.completion.contains("tell"), "{row:?}");
    let ran = prompt(&dir, "ROMEO:").code(0).says(&["cache in place", "24 tokens", "tokens/s", "ended by length"]);
    assert_eq!(ran.stdout(), format!("ROMEO:{}\n", row.completion));

    let json = prompt(&dir, "ROMEO:").args(["--json"]).code(0).json();
    assert_eq!((json["prompt"].as_str(), json["prompt_tokens"].as_u64()), (Some("ROMEO:"), Some(2)));
    assert_eq!(json["input_ids"], serde_json::json!([814, 26]));
    let completions = json["completions"].as_array().unwrap();
    assert_eq!(completions.len(), 1);
    assert_eq!(completions[0]["completion"], row.completion);
    assert_eq!(completions[0]["token_ids"], serde_json::json!(row.token_ids));
    assert_eq!(completions[0]["finish_reason"], "length");
    assert_eq!(completions[0]["logprobs"].as_array().unwrap().len(), 24);
    // Nothing is kept of a text from the command line.
    assert!(!dir.path("runs").exists());
}

#[test]
fn several_completions_of_a_prompt_are_printed_one_after_the_other() {
    let dir = Dir::new();
    let sample = ["--strategy", "sample", "--num-return-sequences", "3"];
    let json = prompt(&dir, "ROMEO:").args(sample).args(["--json"]).code(0).json();
    let text = |c: &serde_json::Value| format!("ROMEO:{}", c["completion"].as_str().unwrap());
    let texts: Vec<_> = json["completions"].as_array().unwrap().iter().map(text).collect();
    assert_eq!(texts.len(), 3);
    let shown = prompt(&dir, "ROMEO:").args(sample).code(0).stdout();
    assert_eq!(shown, texts.join("\n\n") + "\n");
}

#[test]
fn a_prompt_that_leaves_no_room_is_refused_or_passed_over() {
    let dir = Dir::new();
    let prompt = || dir.generate().args(["--prompt", "ROMEO:", "--max-length", "2", "--model"]).args([demo_lm()]);
    prompt().code(65).says(&["prompt has 2 tokens", "--max-length 2 includes the prompt"]);
    let json = prompt().args(["--on-long", "skip", "--json"]).code(0).says(&["passed over"]).json();
    assert_eq!((&json["finish_reason"], &json["completions"]), (&"skipped".into(), &serde_json::json!([])));
}

#[test]
fn on_a_terminal_the_text_streams_in_whole_characters() {
    let dir = Dir::new();
    let run = || prompt(&dir, "ROMEO:");
    assert_eq!(run().on_a_terminal(), run().code(0).stdout());
    // Random weights write bytes that are no text, and characters in pieces.
    for text in ["O", "今天天气", "ROMEO: My lady,"] {
        for seed in ["0", "1", "2"] {
            let run = || {
                let wild = ["--strategy", "sample", "--seed", seed, "--max-new-tokens", "40", "--top-k", "0"];
                dir.generate().args(wild).args(["--prompt", text, "--model"]).args([fixture("single")])
            };
            let whole = run().code(0).stdout();
            assert!(whole.starts_with(text) && whole.contains('\u{fffd}'), "{whole}");
            assert_eq!(run().on_a_terminal(), whole.replace("\r\n", "\n"), "{text}, seed {seed}");
        }
    }
}

#[test]
fn jsonl_stays_jsonl_when_rows_are_verified() {
    let dir = Dir::new();
    prepare(&dir, "r", &demo_lm(), &["ROMEO:", "JULIET:"]);
    let verified = ["--max-new-tokens", "4", "--jsonl", "--verify-batch", "2"];
    let ran = generate(&dir, "r", &demo_lm()).args(verified).code(0).says(&["verify: 2 of 2 rows are the same"]);
    let lines: Vec<serde_json::Value> = ran.stdout().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_text_may_begin_with_a_dash() {
    let dir = Dir::new();
    let ran = dir.generate().args([Path::new("--model"), &demo_lm()]).args([
        "--prompt",
        "- my lord",
        "--max-new-tokens",
        "2",
        "--stop",
        "--",
    ]);
    assert!(ran.code(0).stdout().starts_with("- my lord"));
}

#[test]
fn jsonl_is_one_object_a_line_and_json_is_one_object() {
    let dir = Dir::new();
    prepare(&dir, "r", &demo_lm(), &["ROMEO:", "O"]);
    let run = |options: &[&str]| {
        let beams = ["--num-beams", "2", "--num-return-sequences", "2", "--max-new-tokens", "8"];
        generate(&dir, "r", &demo_lm()).args(beams).args(options)
    };
    let check = |shown: &str| {
        let rows = rows(&dir, "r/completions");
        let lines: Vec<serde_json::Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), rows.len()), (4, 4));
        for (line, row) in lines.iter().zip(&rows) {
            assert_eq!((line["id"].as_str(), line["sequence"].as_u64()), (Some(&*row.id), Some(row.sequence.into())));
            assert_eq!((&line["prompt"], &line["completion"]), (&(*row.prompt).into(), &(*row.completion).into()));
            assert_eq!(line["token_ids"], serde_json::json!(row.token_ids));
            assert_eq!(line["logprobs"].as_array().unwrap().len(), row.logprobs.len());
            assert_eq!((&line["finish_reason"], &line["prompt_tokens"]), (&"length".into(), &row.prompt_tokens.into()));
        }
    };
    check(&run(&["--jsonl"]).code(0).says(&["completions: 4, 32 tokens in all (2 beams"]).stdout());
    // A run that finds everything done prints the same.
    check(&run(&["--jsonl"]).code(0).says(&["up to date"]).stdout());
    let json = run(&["--json"]).code(0).json();
    assert_eq!((&json["rows"], &json["tokens"], &json["strategy"]), (&4.into(), &32.into(), &"2 beams".into()));
    assert_eq!((&json["finished"]["length"], &json["finished"]["eos"]), (&4.into(), &0.into()));
    run(&["--json", "--jsonl"]).code(2);
    run(&["--prompt", "O", "--jsonl"]).code(2);
}

#[test]
fn a_reader_that_goes_away_is_no_error_and_a_full_disk_is_74() {
    let dir = Dir::new();
    let texts: Vec<_> = (0..200).map(|i| format!("ROMEO: {i}")).collect();
    prepare(&dir, "r", &fixture("single"), &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let shell = |arguments: &str, then: &str| {
        let program = env!("CARGO_BIN_EXE_e2e-generate");
        let model = fixture("single").display().to_string();
        let script =
            format!("'{program}' --model '{model}' --strategy sample {arguments} {then}; exit ${{PIPESTATUS[0]}}");
        let output =
            std::process::Command::new("bash").args(["-c", &script]).current_dir(dir.path(".")).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for arguments in ["--run r --jsonl", "--run r --json", "--prompt ROMEO:"] {
        let (code, said) = shell(arguments, "| true");
        assert_eq!(code, Some(0), "{arguments}: {said}");
        let (code, said) = shell(arguments, "> /dev/full");
        assert_eq!(code, Some(74), "{arguments}: {said}");
    }
    assert_eq!(rows(&dir, "r/completions").len(), 200);
}

#[test]
fn other_columns_of_the_prompts_arrive_with_every_completion() {
    let dir = Dir::new();
    let first = serde_json::json!({ "key": "a", "prompt": "ROMEO:", "act": 2, "completion": "mine" });
    let second = serde_json::json!({ "key": "b", "prompt": "O", "act": null, "completion": "too" });
    dir.write("p.jsonl", format!("{first}\n{second}\n"));
    dir.data_prep()
        .args(["--input", "p.jsonl", "--text-field", "prompt", "--id-field", "key", "--run", "r", "--tokenizer"])
        .args([demo_lm()])
        .code(0);
    let beams = ["--num-beams", "2", "--num-return-sequences", "2", "--max-new-tokens", "8"];
    generate(&dir, "r", &demo_lm()).args(beams).code(0);
    let artifact = Artifact::open(&dir.path("r/completions"), Kind::Completions).unwrap();
    let batches = artifact.read_part(0).unwrap();
    let names: Vec<_> = batches[0].schema().fields().iter().map(|f| f.name().clone()).collect();
    let own = ["id", "prompt", "sequence", "completion", "token_ids", "logprobs", "finish_reason", "prompt_tokens"];
    assert_eq!(names[..8], own);
    assert_eq!(names[8..], ["act", "input_completion"]);
    let other: RecordBatch = CompletionPart::from_batches(&batches, &artifact.part_path(0)).unwrap().other;
    let acts: Vec<_> = other.column(0).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(acts, [Some(2), Some(2), None, None]);
    let mine: Vec<_> = other.column(1).as_string::<i32>().iter().flatten().collect();
    assert_eq!(mine, ["mine", "mine", "too", "too"]);
    let sequences = batches[0].column_by_name("sequence").unwrap().as_primitive::<Int32Type>();
    assert_eq!(sequences.values().to_vec(), [0, 1, 0, 1]);
}

#[test]
fn a_pipeline_file_goes_from_lines_to_completions() {
    let dir = Dir::new();
    let model = demo_lm().display().to_string();
    dir.write("p.txt", std::fs::read(repository().join("data/demo/lm/prompts.txt")).unwrap());
    dir.write(
        "verse.toml",
        format!(
            "run = \"r\"\nstages = [\"data-prep\", \"generate\"]\n\
             [data-prep]\ninput = \"p.txt\"\ntokenizer = \"{model}\"\n\
             [generate]\nmodel = \"{model}\"\nmax-new-tokens = 12\nstrategy = \"sample\"\nstop = [\"\\n\", \".\"]\n"
        ),
    );
    dir.data_prep().args(["--pipeline", "verse.toml"]).code(0);
    dir.head_train().args(["--pipeline", "verse.toml"]).code(0).says(&["not a stage of verse.toml"]);
    let shown = dir.generate().args(["--pipeline", "verse.toml"]).code(0).stdout();
    let rows = rows(&dir, "r/completions");
    assert_eq!(rows.len(), 6);
    assert!(rows.iter().any(|row| row.finish_reason.starts_with("stop:")), "{rows:?}");
    // So few that all are shown.
    assert!(rows.iter().all(|row| shown.contains(&format!("{}{}", row.prompt, row.completion))), "{shown}");
}

#[test]
fn verify_batch_runs_rows_alone_through_the_graph_of_the_file() {
    let dir = Dir::new();
    let expected = Expected::read(&demo_lm().join("expected.json"));
    prepare(&dir, "r", &demo_lm(), &expected.texts());
    let run = |options: &[&str]| generate(&dir, "r", &demo_lm()).args(["--max-new-tokens", "24"]).args(options);
    let shown = run(&["--batch", "8", "--verify-batch", "100"]).code(0).stdout();
    assert!(shown.contains("verify: 7 of 7 rows are the same when run alone"), "{shown}");
    for options in [&["--strategy", "sample", "--num-return-sequences", "2"][..], &["--num-beams", "3"]] {
        let options = [options, &["--verify-batch", "3", "--json"]].concat();
        let json = run(&options).code(0).json();
        assert_eq!(json["verify"], serde_json::json!({ "rows": 3, "divergences": [] }), "{options:?}");
    }
}
