//! What `data-prep` has to say at its end, read from the manifest, so that a run that found
//! everything up to date says the same.

use artifact::{Artifact, ExamplesFacts, Split};
use serde_json::{Map, Value, json};
use stage::{Report, count};

use crate::leaks::judge;
use crate::rejects::check_finished;
use crate::settings::Settings;

/// The report on a committed artifact; `rate`, in pictures a second, if it was made just now.
pub(crate) fn of(artifact: &Artifact, settings: &Settings, rate: Option<f64>) -> anyhow::Result<Report> {
    let (manifest, folder) = (artifact.manifest(), artifact.folder());
    let ExamplesFacts { height, width, classes, .. } = manifest.facts_as(folder)?;
    let n_rejects = manifest.facts.get("rejects").and_then(Value::as_u64).unwrap_or(0);
    let n_rows = manifest.rows();
    check_finished(settings.max_bad, n_rows + n_rejects, n_rejects)?;
    // One that was made just now was judged before it was committed.
    let leaks = manifest.facts.get("leaks").unwrap_or(&Value::Null);
    if rate.is_none() {
        judge(leaks, settings.on_leak)?;
    }

    let splits: Vec<_> = Split::ALL.iter().map(|s| (s.name(), manifest.rows_of(*s))).filter(|(_, n)| *n > 0).collect();
    let in_words: Vec<_> = splits.iter().map(|(split, n)| format!("{split} {}", count(*n))).collect();
    let labels = match classes.len() as u64 {
        0 => "without labels".to_string(),
        n => format!("in {}", counted(n, "class", "classes")),
    };
    let line = format!(
        "examples: {} of {height}×{width} {labels} ({}), {}{} → {}",
        counted(n_rows, "picture", "pictures"),
        in_words.join(", "),
        counted(n_rejects, "reject", "rejects"),
        rate.map_or(String::new(), |rate| format!(", {}/s", count(rate.round() as u64))),
        folder.display()
    );
    let splits: Map<_, _> = splits.into_iter().map(|(split, n)| (split.into(), n.into())).collect();
    let fields = json!({
        "out": folder.display().to_string(),
        "rows": n_rows,
        "splits": splits,
        "classes": classes.len(),
        "height": height,
        "width": width,
        "rejects": n_rejects,
        "leaks": leaks,
        "rows_per_second": rate,
    });
    Ok(Report::new(fields).line(line))
}

/// `1 picture`, `60,000 pictures`.
pub(crate) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}
