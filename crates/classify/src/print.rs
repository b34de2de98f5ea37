//! Predictions on stdout: a table for people, one JSON object a picture, or one for all.

use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;
use std::thread;

use artifact::Reject;
use ndarray::ArrayView1;
use onnx_graph::Replacement;
use serde_json::{Value, json};
use stage::{Progress, Report, print_text, printable};

use crate::about::About;
use crate::batches::Decoding;
use crate::deployed::Deployed;
use crate::infer::infer;
use crate::pictures::Pictures;
use crate::plan::{Settings, Style};
use crate::rejects::Tally;
use crate::report::counted;

/// Names wider than this are not waited for by the others.
const MAX_ID_WIDTH: usize = 60;

pub(crate) fn run(
    deployed: &Deployed,
    ours: &[Replacement],
    pictures: &Pictures,
    settings: &Settings,
    is_dry_run: bool,
    style: Style,
    top: usize,
) -> anyhow::Result<Report> {
    let about = &deployed.about;
    let n_pictures = pictures.all.len() as u64;
    if is_dry_run {
        let line = format!("would classify {} by {}", counted(n_pictures, "picture", "pictures"), deployed.name);
        return Ok(Report::new(json!({ "dry_run": true, "pictures": n_pictures })).line(line));
    }
    let mut classifier = deployed.load(settings, ours)?;
    let provider = classifier.provider().to_string();
    let sizing = settings.resizing.sizing(about);
    let decoding = Decoding { sizing, limits: &settings.limits, batch: settings.batch, threads: settings.threads };
    let mut progress = Progress::start("pictures", n_pictures, 0);
    let mut tally = Tally::new(settings.max_bad, n_pictures);
    let table = Table::new(pictures, about, top.min(about.classes.len()));
    let (mut objects, mut rejects): (Vec<Value>, Vec<Reject>) = (Vec::new(), Vec::new());
    let mut n_classified = 0;
    thread::scope(|scope| {
        let (to_network, batches) = sync_channel(decoding.batches_ahead());
        // Owned by the thread, so that the network notices when it ends.
        scope.spawn(|| {
            let to_network = to_network;
            decoding.send(&pictures.all, &[(0, 0..pictures.all.len())], &to_network);
        });
        infer(&mut classifier, about, batches, &mut progress, |scored| {
            tally.add(&scored.rejects)?;
            // Above the first row, and so not at all where there is none.
            let is_first = n_classified == 0 && !scored.ids.is_empty();
            let mut text = if style == Style::Table && is_first { table.header() } else { String::new() };
            n_classified += scored.ids.len() as u64;
            for (id, probabilities) in scored.ids.iter().zip(scored.probabilities.outer_iter()) {
                let ranked = ranked(probabilities, table.top);
                match style {
                    Style::Table => text += &table.row(id, &ranked),
                    Style::Lines => text += &format!("{}\n", object(id, &ranked, about)),
                    Style::Object => objects.push(object(id, &ranked, about)),
                }
            }
            rejects.extend(scored.rejects);
            // A reader that went away wants no more.
            Ok(if text.is_empty() || print_text(&text)? { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })
    })?;
    let (rate, n_rejects) = (progress.rate(), tally.n_rejects());
    drop(progress);
    stage::say(format!(
        "{} classified by {} ({}, {provider}), {}, {rate:.0}/s",
        counted(n_classified, "picture", "pictures"),
        deployed.name,
        counted(about.classes.len() as u64, "class", "classes"),
        counted(n_rejects, "reject", "rejects")
    ));
    let of_reject = |r: &Reject| json!({ "id": r.id, "source": r.source, "reason": r.reason, "detail": r.detail });
    Ok(Report::new(json!({
        "classifier": deployed.name,
        "classes": about.classes,
        "provider": provider,
        "rows": objects,
        "rejects": rejects.iter().map(of_reject).collect::<Vec<_>>(),
        "rows_per_second": rate,
    })))
}

/// The `top` most probable classes, of equal ones the first.
fn ranked(probabilities: ArrayView1<'_, f32>, top: usize) -> Vec<(usize, f32)> {
    let mut ranked: Vec<_> = probabilities.iter().copied().enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.truncate(top);
    ranked
}

fn object(id: &str, ranked: &[(usize, f32)], about: &About) -> Value {
    // Digits that a float32 has, and not those of the float64 next to it.
    let digits = |p: f32| p.to_string().parse::<f64>().unwrap_or(p.into());
    let one = |(class, p): &(usize, f32)| json!({ "class": about.classes[*class], "probability": digits(*p) });
    let mut object = json!({ "id": id, "class": about.classes[ranked[0].0], "probability": digits(ranked[0].1) });
    if ranked.len() > 1 {
        object["top"] = ranked.iter().map(one).collect();
    }
    object
}

/// Columns that are known before the first row, so that rows can be printed as they come.
struct Table {
    /// Width of the ids.
    id: usize,
    /// Width of the names of classes.
    class: usize,
    /// Names of classes as they are shown.
    classes: Vec<String>,
    top: usize,
}

impl Table {
    fn new(pictures: &Pictures, about: &About, top: usize) -> Self {
        let widest =
            |names: &mut dyn Iterator<Item = String>| names.map(|name| name.chars().count()).max().unwrap_or(0);
        let classes: Vec<_> = about.classes.iter().map(|class| printable(class)).collect();
        Self {
            id: widest(&mut pictures.all.iter().map(|p| printable(&p.id))).clamp("id".len(), MAX_ID_WIDTH),
            class: widest(&mut classes.iter().cloned()).max("class".len()),
            classes,
            top,
        }
    }

    fn header(&self) -> String {
        let header = self.line("id", (0..self.top).map(|_| ("class", "probability".to_string())));
        let width = header.trim_end().chars().count();
        format!("{header}{}\n", "─".repeat(width))
    }

    fn row(&self, id: &str, ranked: &[(usize, f32)]) -> String {
        self.line(&printable(id), ranked.iter().map(|(class, p)| (self.classes[*class].as_str(), format!("{p:.4}"))))
    }

    /// Names to the left, figures to the right.
    fn line<'a>(&self, id: &str, classes: impl Iterator<Item = (&'a str, String)>) -> String {
        let width = self.class;
        let cells: String =
            classes.map(|(class, probability)| format!("   {class:width$}   {probability:>11}")).collect();
        format!("{id:id_width$}{cells}\n", id_width = self.id)
    }
}

#[cfg(test)]
mod tests {
    use artifact::ResizePolicy;

    use super::*;

    fn about() -> About {
        let classes = ["cat", "bicycle", "eel"].map(str::to_string).to_vec();
        About { classes, height: 1, width: 1, resize: ResizePolicy::AsTheyAre }
    }

    #[test]
    fn classes_are_ranked_and_equal_ones_keep_their_order() {
        let probabilities = ndarray::array![0.25_f32, 0.5, 0.25];
        assert_eq!(ranked(probabilities.view(), 3), [(1, 0.5), (0, 0.25), (2, 0.25)]);
        assert_eq!(ranked(probabilities.view(), 1), [(1, 0.5)]);
    }

    #[test]
    fn names_in_a_table_are_shown_and_not_obeyed() {
        let hostile = "e\u{1b}[31m\n\u{202e}";
        let about = About { classes: vec![hostile.to_string(), "cat".to_string()], ..about() };
        let table = Table { id: 3, ..Table::new(&Pictures::list([]).unwrap(), &about, 1) };
        let shown = table.row(hostile, &[(0, 1.0)]);
        assert_eq!(shown, "e\\u{1b}[31m\\n\\u{202e}   e\\u{1b}[31m\\n\\u{202e}        1.0000\n");
        assert_eq!(table.class, shown.split_whitespace().next().unwrap().len());
        // Programs get the name itself.
        assert_eq!(object(hostile, &[(0, 1.0)], &about)["class"], hostile);
    }

    #[test]
    fn a_table_aligns_and_objects_say_the_same() {
        let table = Table { id: 7, class: 7, classes: about().classes, top: 2 };
        let ranked = [(1, 0.75), (0, 0.125)];
        let shown = table.header() + &table.row("a.png", &ranked) + &table.row("äöü.png", &ranked[..1]);
        let expected = "\
id        class     probability   class     probability
───────────────────────────────────────────────────────
a.png     bicycle        0.7500   cat            0.1250
äöü.png   bicycle        0.7500
";
        assert_eq!(shown, expected);
        let expected = json!({
            "id": "a.png", "class": "bicycle", "probability": 0.75,
            "top": [{ "class": "bicycle", "probability": 0.75 }, { "class": "cat", "probability": 0.125 }],
        });
        assert_eq!(object("a.png", &ranked, &about()), expected);
        let one = object("a.png", &[(0, 0.1)], &about());
        assert_eq!((one.get("top"), one["probability"].to_string()), (None, "0.1".to_string()));
    }
}
