//! Scores as tiles and tables: of the splits, and of the classes.

use std::fmt::Write;

use crate::markup::{count, percent, percent_or_dash, text};

/// Classes shown at once; where there are more, the weakest, and all behind a fold.
const MAX_OPEN: usize = 25;
/// The weakest classes shown where there are more.
const N_WEAKEST: usize = 12;

/// The scores of one split. Shares in `[0, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitScores {
    /// `test`, `validation`, `training`.
    pub name: &'static str,
    /// Rows that were scored.
    pub rows: usize,
    /// Share right.
    pub accuracy: f64,
    /// Mean recall of the classes.
    pub balanced_accuracy: f64,
    /// Mean F1 of the classes.
    pub macro_f1: f64,
    /// Mean cross-entropy in nats.
    pub loss: f64,
    /// Expected calibration error before and after the temperature.
    pub ece: Option<(f64, f64)>,
}

/// The scores of one class on the rows that the head is judged by. Shares in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassScore {
    /// Right among those predicted.
    pub precision: f64,
    /// Right among those of the class.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
    /// Rows of the class.
    pub support: u64,
}

/// The figures that matter, large. `temperature` stands beside the calibration error it changed.
pub(crate) fn tiles(splits: &[SplitScores], temperature: Option<f64>, is_refit: bool) -> String {
    let find = |name: &str| splits.iter().find(|s| s.name == name);
    let Some(main) = find("test").or(find("validation")).or(splits.first()) else { return String::new() };
    let mut out = format!(
        r#"<li class="tile first"><b>{}</b><span>{} accuracy{}, {} rows; standard error {:.1} points</span></li>"#,
        percent(main.accuracy),
        main.name,
        of_head(main.name, is_refit),
        count(main.rows),
        100.0 * (main.accuracy * (1.0 - main.accuracy) / main.rows.max(1) as f64).sqrt()
    );
    let mut tile = |value: String, what: String| {
        let _ = write!(out, r#"<li class="tile"><b>{value}</b><span>{what}</span></li>"#);
    };
    tile(percent(main.balanced_accuracy), format!("{}, balanced over classes", main.name));
    tile(format!("{:.3}", main.loss), format!("{} loss, nats", main.name));
    for name in ["validation", "training"] {
        if let Some(split) = find(name).filter(|s| s.name != main.name) {
            tile(percent(split.accuracy), format!("{name} accuracy{}", of_head(name, is_refit)));
        }
    }
    if let Some((before, after)) = main.ece {
        tile(percent(before), format!("calibration error (ECE), {}", main.name));
        if let Some(temperature) = temperature {
            tile(percent(after), format!("ECE after temperature {temperature:.2}"));
        }
    }
    format!(r#"<ul class="tiles">{out}</ul>"#)
}

/// Which head the scores of a split are of, where there were two.
fn of_head(split: &str, is_refit: bool) -> &'static str {
    if is_refit && split != "test" { " before refitting" } else { "" }
}

/// All scores of all splits.
pub(crate) fn split_table(splits: &[SplitScores], is_refit: bool) -> String {
    let mut rows = String::new();
    for s in splits {
        let _ = write!(
            rows,
            r#"<tr><th scope="row">{}{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.4}</td><td>{}</td><td>{}</td></tr>"#,
            s.name,
            of_head(s.name, is_refit),
            count(s.rows),
            percent(s.accuracy),
            percent(s.balanced_accuracy),
            percent(s.macro_f1),
            s.loss,
            percent_or_dash(s.ece.map(|e| e.0)),
            percent_or_dash(s.ece.map(|e| e.1))
        );
    }
    let note = match is_refit {
        false => "",
        true => {
            r#"<p class="note">The head that is shipped was trained again on training and validation rows together, so neither can judge it: their rows here are scored by the head before that, and so was the temperature fitted. Test rows are scored by the head that is shipped.</p>"#
        }
    };
    format!(
        r#"<div class="scroll" tabindex="0" role="region" aria-label="Scores of the splits"><table><thead><tr><th scope="col">split</th><th scope="col">rows</th><th scope="col">accuracy</th><th scope="col">balanced</th><th scope="col">macro F1</th><th scope="col">loss</th><th scope="col">ECE before</th><th scope="col">ECE after</th></tr></thead><tbody>{rows}</tbody></table></div>{note}"#
    )
}

/// Precision, recall and F1 of every class; of many, the weakest first and all behind a fold.
pub(crate) fn class_table(classes: &[String], scores: &[ClassScore]) -> String {
    let all: Vec<usize> = (0..classes.len().min(scores.len())).collect();
    if all.len() <= MAX_OPEN {
        return table("Per-class scores", classes, scores, &all);
    }
    let mut weakest: Vec<usize> = all.iter().copied().filter(|c| scores[*c].support > 0).collect();
    weakest.sort_by(|a, b| scores[*a].f1.total_cmp(&scores[*b].f1).then(a.cmp(b)));
    weakest.truncate(N_WEAKEST);
    format!(
        r#"<h3>The {} weakest classes</h3>{}<details><summary>All {} classes</summary>{}</details>"#,
        weakest.len(),
        table("The weakest classes", classes, scores, &weakest),
        count(all.len()),
        table("All classes", classes, scores, &all)
    )
}

fn table(label: &str, classes: &[String], scores: &[ClassScore], shown: &[usize]) -> String {
    let bar = |share: f64| {
        // Whatever it is, a browser needs a width.
        let width = if share.is_nan() { 0.0 } else { (share * 100.0).clamp(0.0, 100.0) };
        format!(r#"{}<span class="bar" aria-hidden="true"><i style="width:{width:.0}%"></i></span>"#, percent(share),)
    };
    let mut rows = String::new();
    for class in shown {
        let s = scores[*class];
        let _ = write!(
            rows,
            r#"<tr><th scope="row"><bdi class="name" title="{0}">{0}</bdi></th><td>{1}</td><td>{2}</td><td>{3}</td><td>{4}</td></tr>"#,
            text(&classes[*class]),
            bar(s.precision),
            bar(s.recall),
            bar(s.f1),
            count(s.support as usize)
        );
    }
    format!(
        r#"<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table><thead><tr><th scope="col">class</th><th scope="col">precision</th><th scope="col">recall</th><th scope="col">F1</th><th scope="col">rows</th></tr></thead><tbody>{rows}</tbody></table></div>"#
    )
}
