//! Why completions end: stop strings, end tokens, length; and prompts that leave no room to begin with.

use ::text::Tokenizer;

use super::{Row, copy, generate, input_ids, prepare, rows, tokens};
use crate::program::{Dir, demo_lm};

const TEXTS: [&str; 4] =
    ["O", "ROMEO:", "JULIET: My lord,", "KING RICHARD III:\nNow, by the world, I do not know the man"];

fn complete(dir: &Dir, run: &str, options: &[&str]) -> Vec<Row> {
    generate(dir, run, &demo_lm()).args(options).code(0);
    rows(dir, &format!("{run}/completions"))
}

#[test]
fn a_stop_string_over_several_tokens_ends_a_completion_and_stays_in_it() {
    let dir = Dir::new();
    prepare(&dir, "r", &demo_lm(), &TEXTS);
    let tokenizer = Tokenizer::read(&demo_lm()).unwrap();
    let text = |ids: &[u32]| tokenizer.decode(ids).unwrap();
    let whole = complete(&dir, "r", &["--max-new-tokens", "48"]);
    let stop = "tell you, s";
    for batch in ["1", "8"] {
        let stopped =
            complete(&dir, "r", &["--max-new-tokens", "48", "--batch", batch, "--stop", stop, "--stop", "never"]);
        let mut n_stopped = 0;
        for (row, whole) in stopped.iter().zip(&whole) {
            // What is expected is found in the undisturbed completion: its shortest beginning that holds the string.
            let end = (1..=48).find(|n| text(&whole.token_ids[..*n]).contains(stop));
            assert_eq!(row.token_ids, whole.token_ids[..end.unwrap_or(48)], "{}", row.id);
            assert_eq!(row.completion, text(&row.token_ids), "{}", row.id);
            let reason = if end.is_some() { format!("stop:{stop}") } else { "length".into() };
            assert_eq!(row.finish_reason, reason, "{}", row.id);
            n_stopped += usize::from(end.is_some());
        }
        assert!((1..4).contains(&n_stopped), "{n_stopped} of 4 stopped, which tests only one side");
    }
    // No token holds it alone, and the last one goes on behind it.
    let row = complete(&dir, "r", &["--max-new-tokens", "48", "--stop", stop]).remove(1);
    assert!(row.token_ids.iter().all(|id| !text(&[*id]).contains(stop)));
    assert!(row.completion.ends_with("tell you, sir"), "{}", row.completion);
}

#[test]
fn a_stop_string_that_begins_in_the_prompt_counts() {
    let dir = Dir::new();
    prepare(&dir, "r", &demo_lm(), &["ROMEO:\nI'll tell"]);
    let row = complete(&dir, "r", &["--stop", "tell thee"]).remove(0);
    assert_eq!((row.completion.as_str(), row.finish_reason.as_str()), (" thee", "stop:tell thee"));
    // But one that stands in the prompt as a whole does not.
    let row = complete(&dir, "r", &["--stop", "ROMEO"]).remove(0);
    assert_eq!((row.token_ids.len(), row.finish_reason.as_str()), (20, "length"));
}

#[test]
fn beams_end_at_stop_strings_too() {
    let dir = Dir::new();
    prepare(&dir, "r", &demo_lm(), &TEXTS);
    let beams = ["--num-beams", "3", "--num-return-sequences", "3", "--early-stopping", "true"];
    let of = |batch| {
        complete(&dir, "r", &[&beams[..], &["--stop", "\n", "--max-new-tokens", "40", "--batch", batch]].concat())
    };
    let rows = of("1");
    assert_eq!(tokens(&rows), tokens(&of("12")));
    for row in &rows {
        assert_eq!(row.finish_reason, "stop:\n", "{row:?}");
        assert_eq!(row.completion.find('\n'), Some(row.completion.len() - 1), "{row:?}");
    }
}

#[test]
fn a_bad_word_is_written_neither_at_the_beginning_nor_behind_a_space() {
    let dir = Dir::new();
    prepare(&dir, "r", &demo_lm(), &TEXTS);
    let count = |rows: &[Row], word| rows.iter().filter(|row| row.completion.contains(word)).count();
    assert_eq!(count(&complete(&dir, "r", &[]), " sir"), 3);
    let without = complete(&dir, "r", &["--bad-word", "sir", "--bad-word", "lord"]);
    assert_eq!((count(&without, "sir"), count(&without, "lord")), (0, 0), "{without:?}");
}

#[test]
fn end_tokens_end_and_are_kept_unless_they_are_ignored() {
    let dir = Dir::new();
    copy(&dir, &demo_lm(), "model");
    prepare(&dir, "r", &dir.path("model"), &TEXTS);
    let complete = |eos: &str, options: &[&str]| {
        dir.write("model/generation_config.json", format!("{{\"eos_token_id\": {eos}}}"));
        generate(&dir, "r", &dir.path("model")).args(["--max-new-tokens", "48"]).args(options).code(0);
        rows(&dir, "r/completions")
    };
    let whole = complete("14", &["--ignore-eos"]);
    assert!(whole.iter().all(|row| row.finish_reason == "length" && row.token_ids.len() == 48));
    // The comma and the full stop, of which the comma comes first.
    for (eos, ends) in [("14", vec![14]), ("[14, 12]", vec![12, 14])] {
        for (row, whole) in complete(eos, &[]).iter().zip(&whole) {
            let end = whole.token_ids.iter().position(|id| ends.contains(id)).map_or(48, |at| at + 1);
            assert_eq!(row.token_ids, whole.token_ids[..end], "{eos}, {}", row.id);
            assert_eq!(row.finish_reason, if end < 48 { "eos" } else { "length" }, "{eos}, {}", row.id);
        }
    }
}

/// Three tokens a line.
const LINE: &str = "ROMEO:\n";

#[test]
fn fault_27_prompts_beyond_the_context_are_refused_cut_or_passed_over() {
    let dir = Dir::new();
    let long = format!("JULIET: My lord,\n{}", LINE.repeat(1665));
    let tail = LINE.repeat(80);
    prepare(&dir, "r", &demo_lm(), &["O", &long, &tail]);
    let lengths: Vec<_> = input_ids(&dir, "r").iter().map(Vec::len).collect();
    assert_eq!(lengths, [1, 5002, 240]);
    let run = || generate(&dir, "r", &demo_lm()).args(["--max-new-tokens", "16"]);
    run().code(65).says(&["prompt p1 has 5002 tokens", "the model sees 256 at once", "--on-long truncate-left"]);
    assert!(!dir.path("r/completions").exists());

    // Cut to 240 tokens, which leaves 16, it is the prompt `tail`.
    run().args(["--on-long", "truncate-left"]).code(0).says(&["1 prompts were cut on the left"]);
    let cut = rows(&dir, "r/completions");
    assert_eq!(cut.iter().map(|row| row.prompt_tokens).collect::<Vec<_>>(), [1, 240, 240]);
    assert_eq!(cut[1].prompt, long);
    assert_eq!((&cut[1].token_ids, &cut[1].completion), (&cut[2].token_ids, &cut[2].completion));
    assert_eq!(cut[1].token_ids.len(), 16);

    run().args(["--on-long", "skip"]).code(0);
    let skipped = rows(&dir, "r/completions");
    assert_eq!(skipped[1].finish_reason, "skipped");
    assert_eq!((skipped[1].completion.as_str(), skipped[1].token_ids.len(), skipped[1].prompt_tokens), ("", 0, 5002));
    assert_eq!((&skipped[0], &skipped[2]), (&cut[0], &cut[2]));
}

#[test]
fn a_prompt_fills_the_context_to_its_end() {
    let dir = Dir::new();
    // So few of a batch that their end would not pay for moving the others' cache: they have to leave all the same.
    let full = [LINE.repeat(85), LINE.repeat(84)];
    prepare(&dir, "r", &demo_lm(), &[&[&full[0][..], &full[1]][..], &["O"; 12]].concat());
    let completed = complete(&dir, "r", &["--max-new-tokens", "16"]);
    let shape: Vec<_> = completed.iter().map(|r| (r.prompt_tokens, r.token_ids.len())).collect();
    assert_eq!(shape[..3], [(255, 1), (252, 4), (1, 16)]);
    assert!(completed.iter().all(|row| row.finish_reason == "length"));
    let alone = complete(&dir, "r", &["--max-new-tokens", "16", "--batch", "1"]);
    assert_eq!(tokens(&completed), tokens(&alone));
}

#[test]
fn a_row_that_ends_early_near_the_context_does_not_run_past_it() {
    let dir = Dir::new();
    let full = LINE.repeat(84);
    prepare(&dir, "r", &demo_lm(), &[&[&full[..]][..], &["O"; 12]].concat());
    let stop = complete(&dir, "r", &["--max-new-tokens", "2", "--batch", "1"])[0].completion.clone();
    let stopping = ["--max-new-tokens", "16", "--stop", &stop];
    let batched = complete(&dir, "r", &stopping);
    // The long row ends by its stop string with two tokens of room left, the others go on for fourteen more.
    assert_eq!((batched[0].token_ids.len(), batched[0].finish_reason.as_str()), (2, &*format!("stop:{stop}")));
    assert!(batched[1..].iter().all(|row| row.token_ids.len() == 16));
    let alone = complete(&dir, "r", &[&stopping[..], &["--batch", "1"]].concat());
    assert_eq!(tokens(&batched), tokens(&alone));
}

#[test]
fn a_max_length_below_the_prompt_leaves_no_room() {
    let dir = Dir::new();
    prepare(&dir, "r", &demo_lm(), &["ROMEO:\nROMEO:\nROMEO:\nROMEO:\n", "ROMEO:\nROMEO:\nROMEO:\n", "O"]);
    let run = || generate(&dir, "r", &demo_lm()).args(["--max-length", "10"]);
    run().code(65).says(&["prompt p0 has 12 tokens", "--max-length 10 includes the prompt"]);
    run().args(["--on-long", "truncate-left"]).code(0);
    let cut = rows(&dir, "r/completions");
    let shape: Vec<_> = cut.iter().map(|row| (row.prompt_tokens, row.token_ids.len())).collect();
    assert_eq!(shape, [(9, 1), (9, 1), (1, 9)]);
    assert_eq!(cut[0].token_ids, cut[1].token_ids);
    run().args(["--on-long", "skip", "--strategy", "sample", "--num-return-sequences", "2"]).code(0);
    let skipped = rows(&dir, "r/completions");
    let reasons: Vec<_> = skipped.iter().map(|row| (row.sequence, row.finish_reason.as_str())).collect();
    let expected = [(0, "skipped"), (1, "skipped"), (0, "length"), (1, "length"), (0, "length"), (1, "length")];
    assert_eq!(reasons, expected);
}
