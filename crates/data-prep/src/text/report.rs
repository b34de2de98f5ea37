//! What there is to say of prompts at the end, read from the manifest, so that a run that found
//! everything up to date says the same.

use artifact::{Artifact, PromptsFacts};
use serde_json::json;
use stage::{MaxBad, Report, count};

use crate::rejects::check_finished;
use crate::report::counted;

/// The report on a committed artifact; `rate`, in prompts a second, if it was made just now.
pub(crate) fn of(artifact: &Artifact, max_bad: MaxBad, rate: Option<f64>) -> anyhow::Result<Report> {
    let (manifest, folder) = (artifact.manifest(), artifact.folder());
    let PromptsFacts { n_tokens, longest, rejects, .. } = manifest.facts_as(folder)?;
    let n_rows = manifest.rows();
    check_finished(max_bad, n_rows + rejects, rejects)?;
    let line = format!(
        "prompts: {}, {} (longest {}), {}{} → {}",
        counted(n_rows, "prompt", "prompts"),
        counted(n_tokens, "token", "tokens"),
        count(u64::from(longest)),
        counted(rejects, "reject", "rejects"),
        rate.map_or(String::new(), |rate| format!(", {}/s", count(rate.round() as u64))),
        folder.display()
    );
    let fields = json!({
        "out": folder.display().to_string(),
        "rows": n_rows,
        "tokens": n_tokens,
        "longest": longest,
        "rejects": rejects,
        "rows_per_second": rate,
    });
    Ok(Report::new(fields).line(line))
}
