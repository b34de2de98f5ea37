//! `--prompt`: one text, completed and printed, streamed where a person watches.

use artifact::FinishReason;
use serde_json::{Value, json};
use stage::{Exit, Report, print_text, stdout_is_terminal};

use crate::args::Args;
use crate::complete::make_room;
use crate::generator::{Completion, Generator, Prompt};
use crate::network::Edits;
use crate::settings::Settings;
use crate::text_error;

/// The id that keys the draws of a prompt from the command line.
const ID: &str = "prompt";

pub(crate) fn run(args: &Args, settings: &Settings, text: &str) -> anyhow::Result<Report> {
    let mut tokens = settings.tokenizer.encode(text).map_err(text_error)?;
    if tokens.is_empty() {
        let message =
            "--prompt is empty, and the tokenizer puts no start token in front; give it at least one character";
        return Err(Exit::BadData.error(message));
    }
    if args.common.dry_run {
        return Ok(Report::new(json!({ "dry_run": true, "prompt_tokens": tokens.len() })).line(format!(
            "would complete a prompt of {} tokens, {}",
            tokens.len(),
            settings.strategy_in_words()
        )));
    }
    let mut n_cut = 0;
    if make_room(ID, &mut tokens, settings, &mut n_cut)? {
        stage::say("the prompt leaves no room for a token and was passed over (--on-long skip)");
        return Ok(Report::new(fields(settings, text, &tokens, &[], 0.0)?));
    }
    if n_cut > 0 {
        stage::say(format!("the prompt was cut on the left to its last {} tokens", tokens.len()));
    }
    let mut generator = Generator::load(settings, Edits::All)?;
    stage::say(format!("{}, {}", generator.network.describe(settings), settings.strategy_in_words()));
    let prompt = Prompt { id: ID, tokens: &tokens, room: settings.lengths.room(tokens.len()) };
    let streams = stdout_is_terminal() && !args.common.json && settings.rows_per_prompt() == 1;
    let started = std::time::Instant::now();
    let mut stream = settings.tokenizer.stream(&tokens).map_err(text_error)?;
    if streams {
        print_text(text)?;
    }
    let mut listener = |token| match stream.push(token).map_err(text_error)? {
        Some(piece) if streams => print_text(&piece),
        _ => Ok(true),
    };
    let completions = generator.complete(&[prompt], &mut listener)?;
    let seconds = started.elapsed().as_secs_f64();
    let completions = completions.into_iter().next().unwrap_or_default();
    if streams {
        // What is left is at most a character that was never finished.
        print_text(&format!("{}\n", stream.finish().map_err(text_error)?))?;
    }
    let n_tokens: usize = completions.iter().map(|c| c.tokens.len()).sum();
    let rate = n_tokens as f64 / seconds.max(1e-9);
    let ends: Vec<String> = completions.iter().map(|c| c.reason.to_string()).collect();
    stage::say(format!("{} tokens, {rate:.1} tokens/s, ended by {}", n_tokens, ends.join(", ")));
    let mut report = Report::new(fields(settings, text, &tokens, &completions, rate)?);
    if !streams {
        for (i, completion) in completions.iter().enumerate() {
            let behind = settings.tokenizer.continuation(&tokens, &completion.tokens).map_err(text_error)?;
            if i > 0 {
                report = report.line("");
            }
            report = report.line(format!("{text}{behind}"));
        }
    }
    Ok(report)
}

fn fields(
    settings: &Settings,
    text: &str,
    tokens: &[u32],
    completions: &[Completion],
    rate: f64,
) -> anyhow::Result<Value> {
    let one = |(sequence, c): (usize, &Completion)| -> anyhow::Result<Value> {
        Ok(json!({
            "sequence": sequence,
            "completion": settings.tokenizer.continuation(tokens, &c.tokens).map_err(text_error)?,
            "token_ids": c.tokens,
            "logprobs": c.logprobs,
            "finish_reason": c.reason.to_string(),
        }))
    };
    let completions = completions.iter().enumerate().map(one).collect::<anyhow::Result<Vec<_>>>()?;
    let reason = completions.is_empty().then(|| FinishReason::Skipped.to_string());
    Ok(json!({
        "model": settings.model_name,
        "prompt": text,
        "prompt_tokens": tokens.len(),
        "input_ids": tokens,
        "completions": completions,
        "finish_reason": reason,
        "tokens_per_second": rate,
    }))
}
