//! The label-efficiency curve: test accuracy against labelled examples a class, for the features and for baselines.

use std::fmt::Write;

use crate::markup::{count, percent, text};
use crate::plot::{Axes, HEIGHT, open_svg, round_ticks, tick_label};
use crate::style::N_COLOURS;

/// One size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearningPoint {
    /// Labelled training examples a class; nothing for all there are.
    pub per_class: Option<usize>,
    /// Training rows altogether, a mean over the draws.
    pub rows: usize,
    /// Mean test accuracy over the draws.
    pub mean: f64,
    /// The lowest draw.
    pub lowest: f64,
    /// The highest draw.
    pub highest: f64,
}

/// The curve of one kind of features.
#[derive(Debug, Clone, PartialEq)]
pub struct LearningLine {
    /// What they are called.
    pub name: String,
    /// The smallest size first.
    pub points: Vec<LearningPoint>,
}

/// All curves, with the same sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct LearningCurve {
    /// The features themselves first, then the baselines.
    pub lines: Vec<LearningLine>,
    /// Draws of examples at each size.
    pub n_draws: usize,
}

impl LearningCurve {
    pub(crate) fn draw(&self) -> String {
        let Some(first) = self.lines.first().filter(|line| !line.points.is_empty()) else {
            return r#"<p class="none">Nothing was measured.</p>"#.into();
        };
        let label = |point: &LearningPoint| point.per_class.map_or("all".to_string(), |n| n.to_string());
        let n = first.points.len();
        let all = || self.lines.iter().flat_map(|l| &l.points);
        let (low, high) = all().fold((1.0_f64, 0.0_f64), |(l, h), p| (l.min(p.lowest), h.max(p.highest)));
        let ticks = round_ticks(low, high);
        let step = ticks[1] - ticks[0];
        let axes = Axes { x: (0.0, (n.max(2) - 1) as f64), y: (ticks[0].max(0.0), ticks[ticks.len() - 1].min(1.0)) };
        let y_ticks: Vec<_> = ticks
            .iter()
            .filter(|t| (axes.y.0..=axes.y.1 + 1e-9).contains(*t))
            .map(|t| (*t, format!("{} %", tick_label(t * 100.0, step * 100.0))))
            .collect();
        let x_ticks: Vec<_> = first.points.iter().enumerate().map(|(i, p)| (i as f64, label(p))).collect();
        let mut out = open_svg(HEIGHT + 6.0, "Test accuracy by labelled examples a class");
        out += &axes.draw(&x_ticks, &y_ticks, "labelled examples a class", "test accuracy");
        let mut key = String::new();
        // The features themselves last, on top.
        for (nth, line) in self.lines.iter().enumerate().rev() {
            let paint = paint(nth);
            let at =
                |of: fn(&LearningPoint) -> f64| line.points.iter().enumerate().map(move |(i, p)| (i as f64, of(p)));
            let back: Vec<_> = at(|p| p.lowest).collect();
            let band = axes.path(at(|p| p.highest).chain(back.into_iter().rev()));
            let _ = write!(
                out,
                r#"<path d="{band}Z" fill="var(--{0})" opacity=".16"/><path class="curve" d="{1}" stroke="var(--{0})"{2}><title>{3}</title></path>"#,
                paint.0,
                axes.path(at(|p| p.mean)),
                paint.1,
                text(&line.name)
            );
            for (x, y) in at(|p| p.mean).map(|(x, y)| axes.at(x, y)) {
                let _ = write!(out, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="var(--{})"/>"#, paint.0);
            }
        }
        for (nth, line) in self.lines.iter().enumerate() {
            let paint = paint(nth);
            let _ = write!(
                key,
                r#"<li><svg viewBox="0 0 22 12" aria-hidden="true"><line class="curve" x1="1" x2="21" y1="6" y2="6" stroke="var(--{})"{}/></svg><bdi class="name" title="{2}">{2}</bdi></li>"#,
                paint.0,
                paint.1,
                text(&line.name)
            );
        }
        format!(
            r#"<div class="pair"><figure>{out}</svg><ul class="key">{key}</ul></figure><div>{}</div></div>"#,
            self.table(first)
        )
    }

    fn table(&self, first: &LearningLine) -> String {
        let mut head = r#"<th scope="col">examples a class</th>"#.to_string();
        for line in &self.lines {
            let _ = write!(
                head,
                r#"<th scope="col"><bdi class="name" style="max-width:12ch" title="{0}">{0}</bdi></th>"#,
                text(&line.name)
            );
        }
        let mut rows = String::new();
        for (nth, size) in first.points.iter().enumerate() {
            let name = size.per_class.map_or_else(|| format!("all ({} rows)", count(size.rows)), |n| n.to_string());
            let _ = write!(rows, r#"<tr><th scope="row">{name}</th>"#);
            for point in self.lines.iter().filter_map(|l| l.points.get(nth)) {
                let _ = write!(rows, "<td>{}", percent(point.mean));
                if point.highest > point.lowest {
                    let (lowest, highest) = (point.lowest * 100.0, point.highest * 100.0);
                    let _ = write!(rows, r#"<br><span class="id">{lowest:.1} – {highest:.1}</span>"#);
                }
                rows += "</td>";
            }
            rows += "</tr>";
        }
        format!(
            r#"<div class="scroll" style="margin-top:0" tabindex="0" role="region" aria-label="Learning curve"><table><caption>Test accuracy: mean, lowest and highest of {} draws, each with as many validation rows a class as there are, up to its own size</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"#,
            self.n_draws
        )
    }
}

/// Colour and dashes of a line, so that it is known without its colour too.
fn paint(nth: usize) -> (String, &'static str) {
    let dashes = ["", r#" stroke-dasharray="6 3""#, r#" stroke-dasharray="2 4""#, r#" stroke-dasharray="8 3 2 3""#];
    (format!("c{}", nth % N_COLOURS), dashes[nth % dashes.len()])
}
