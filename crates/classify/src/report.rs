//! What `classify` has to say of a predictions artifact, read from its manifest, so that a run that found it up to date
//! says the same.

use artifact::{Artifact, PredictionsFacts, SplitScore};
use serde_json::{Map, json};
use stage::{MaxBad, Report, count, percent};

use crate::rejects::check;

/// The report on a committed artifact; `rate`, in pictures a second, if it was made just now.
pub(crate) fn of(artifact: &Artifact, max_bad: MaxBad, rate: Option<f64>) -> anyhow::Result<Report> {
    let (manifest, folder) = (artifact.manifest(), artifact.folder());
    let facts: PredictionsFacts = manifest.facts_as(folder)?;
    check(max_bad, manifest.rows() + facts.rejects, facts.rejects)?;
    let in_words = |s: &SplitScore| format!("{} {} of {}", s.split, percent(s.accuracy()), count(s.labelled));
    let accuracy = match facts.scores.as_slice() {
        [] => String::new(),
        scores => format!("; accuracy {}", scores.iter().map(in_words).collect::<Vec<_>>().join(", ")),
    };
    let line = format!(
        "predictions: {} in {} ({}), {}{}{accuracy} → {}",
        counted(manifest.rows(), "picture", "pictures"),
        counted(facts.classes.len() as u64, "class", "classes"),
        facts.provider,
        counted(facts.rejects, "reject", "rejects"),
        rate.map_or(String::new(), |rate| format!(", {rate:.0}/s")),
        folder.display()
    );
    let accuracies: Map<_, _> = facts.scores.iter().map(|s| (s.split.to_string(), s.accuracy().into())).collect();
    let mut report = Report::new(json!({
        "out": folder.display().to_string(),
        "fingerprint": manifest.fingerprint,
        "rows": manifest.rows(),
        "rejects": facts.rejects,
        "classes": facts.classes.len(),
        "classifier": facts.classifier,
        "provider": facts.provider,
        "accuracy": accuracies,
        "rows_per_second": rate,
    }))
    .line(line);
    for score in &facts.scores {
        report = report.figure(score.split.name(), percent(score.accuracy()));
    }
    Ok(report)
}

/// `1 picture`, `60,000 pictures`.
pub(crate) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}
