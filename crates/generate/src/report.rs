//! What `generate` has to say at its end, read from the artifact, so that a run that found everything up to date
//! says the same.

use artifact::{Artifact, CompletionPart, CompletionsFacts};
use serde_json::json;
use stage::{Report, count, print_text};

/// Completions that are shown where there are few.
const SHOWN: usize = 8;

/// The report on a committed artifact; `rate`, in tokens a second, if it was made just now.
pub(crate) fn of(artifact: &Artifact, rate: Option<f64>, jsonl: bool) -> anyhow::Result<Report> {
    let (manifest, folder) = (artifact.manifest(), artifact.folder());
    let facts: CompletionsFacts = manifest.facts_as(folder)?;
    let finished = facts.finished;
    let reasons =
        [("length", finished.length), ("eos", finished.eos), ("stop", finished.stop), ("skipped", finished.skipped)];
    let reasons: Vec<_> =
        reasons.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name} {}", count(*n))).collect();
    let line = format!(
        "completions: {}, {} tokens in all ({}; ended by {}; {}){} → {}",
        count(manifest.rows()),
        count(facts.n_tokens),
        facts.strategy,
        reasons.join(", "),
        facts.provider,
        rate.map_or(String::new(), |rate| format!(", {rate:.0} tokens/s")),
        folder.display()
    );
    let fields = json!({
        "out": folder.display().to_string(),
        "fingerprint": manifest.fingerprint,
        "rows": manifest.rows(),
        "tokens": facts.n_tokens,
        "finished": finished,
        "strategy": facts.strategy,
        "provider": facts.provider,
        "tokens_per_second": rate,
    });
    let mut report = Report::new(fields);
    if jsonl {
        print_all(artifact)?;
        stage::say(line);
        return Ok(report);
    }
    if manifest.rows() <= SHOWN as u64 {
        for index in 0..manifest.parts.len() {
            let part = CompletionPart::from_batches(&artifact.read_part(index)?, &artifact.part_path(index))?;
            for (prompt, completion) in part.prompts.iter().zip(&part.completions) {
                report = report.line(format!("{prompt}{completion}")).line("");
            }
        }
    }
    Ok(report.line(line))
}

/// Every row as one JSON object a line, without the prompts' other columns.
fn print_all(artifact: &Artifact) -> anyhow::Result<()> {
    for index in 0..artifact.manifest().parts.len() {
        let part = CompletionPart::from_batches(&artifact.read_part(index)?, &artifact.part_path(index))?;
        for row in 0..part.ids.len() {
            let line = json!({
                "id": part.ids[row],
                "prompt": part.prompts[row],
                "sequence": part.sequences[row],
                "completion": part.completions[row],
                "token_ids": part.token_ids[row],
                "logprobs": part.logprobs[row],
                "finish_reason": part.finish_reasons[row].to_string(),
                "prompt_tokens": part.prompt_tokens[row],
            });
            if !print_text(&format!("{line}\n"))? {
                return Ok(());
            }
        }
    }
    Ok(())
}
