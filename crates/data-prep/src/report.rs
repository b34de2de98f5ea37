//! What `data-prep` has to say at its end, read from the manifest, so that a run that found
//! everything up to date says the same.

use artifact::{Artifact, ExamplesFacts, Split};
use serde_json::{Map, Value, json};
use stage::{MaxBad, Report, count};

use crate::rejects::check_finished;

/// The report on a committed artifact.
pub(crate) fn of(artifact: &Artifact, max_bad: MaxBad) -> anyhow::Result<Report> {
    let (manifest, folder) = (artifact.manifest(), artifact.folder());
    let ExamplesFacts { height, width, classes, .. } = manifest.facts_as(folder)?;
    let n_rejects = manifest.facts.get("rejects").and_then(Value::as_u64).unwrap_or(0);
    let n_rows = manifest.rows();
    check_finished(max_bad, n_rows + n_rejects, n_rejects)?;

    let splits: Vec<_> = Split::ALL.iter().map(|s| (s.name(), manifest.rows_of(*s))).filter(|(_, n)| *n > 0).collect();
    let in_words: Vec<_> = splits.iter().map(|(split, n)| format!("{split} {}", count(*n))).collect();
    let labels =
        if classes.is_empty() { "without labels".to_string() } else { format!("in {} classes", classes.len()) };
    let line = format!(
        "examples: {} pictures of {height}×{width} {labels} ({}), {} rejects → {}",
        count(n_rows),
        in_words.join(", "),
        count(n_rejects),
        folder.display()
    );
    let splits: Map<_, _> = splits.into_iter().map(|(split, n)| (split.into(), n.into())).collect();
    let fields = json!({
        "out": folder,
        "rows": n_rows,
        "splits": splits,
        "classes": classes.len(),
        "height": height,
        "width": width,
        "rejects": n_rejects,
    });
    Ok(Report::new(fields).line(line))
}

/// The same for one that was made just now, with the rate in pictures a second.
pub(crate) fn made(mut report: Report, rate: f64) -> Report {
    report.fields.insert("state".into(), "made".into());
    report.fields.insert("pictures_per_s".into(), rate.round().into());
    report
}
