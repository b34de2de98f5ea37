//! The map of features: a point a row on the two principal directions, coloured and shaped by class.

use std::fmt::Write;

use crate::markup::{count, percent, text};
use crate::plot::open_svg;
use crate::style::N_COLOURS;

/// Classes told apart on the map: every colour with every shape.
const MAX_CLASSES: usize = N_COLOURS * SHAPES.len();
/// Marks as path steps from their centre; the first is a dot, drawn as a line of no length with round ends.
const SHAPES: [&str; 3] = ["h0", "m-2.6 -2.6l5.2 5.2m0 -5.2l-5.2 5.2", "m0 -3l2.9 5h-5.8z"];
/// Side of the drawing.
const SIZE: (f64, f64) = (640.0, 440.0);

/// One row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MapPoint {
    /// On the first direction.
    pub x: f64,
    /// On the second direction.
    pub y: f64,
    /// Index of its class.
    pub class: usize,
}

/// The map.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// The split the points are of.
    pub split: &'static str,
    /// What is drawn.
    pub points: Vec<MapPoint>,
    /// Rows that the points were drawn from.
    pub n_rows: usize,
    /// Share of the variance on either direction.
    pub explained: [f64; 2],
}

impl Map {
    pub(crate) fn draw(&self, classes: &[String]) -> String {
        let shown = self.classes_shown(classes.len());
        let range = |of: fn(&MapPoint) -> f64| {
            let (low, high) =
                self.points.iter().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
            if high > low { (low, high) } else { (low - 1.0, low + 1.0) }
        };
        let ((x0, x1), (y0, y1)) = (range(|p| p.x), range(|p| p.y));
        let margin = 8.0;
        let at = |p: &MapPoint| {
            let x = margin + (p.x - x0) / (x1 - x0) * (SIZE.0 - 2.0 * margin);
            let y = SIZE.1 - margin - (p.y - y0) / (y1 - y0) * (SIZE.1 - 2.0 * margin);
            (x, y)
        };
        let mut out = open_svg(SIZE.1 + 6.0, "Map of the features").replace("0 -6 400", &format!("0 -6 {}", SIZE.0));
        let mut key = String::new();
        let mark = |nth: Option<usize>| {
            let shape = nth.map_or(SHAPES[0], |n| SHAPES[n / N_COLOURS % SHAPES.len()]);
            let colour = nth.map_or("faint".to_string(), |n| format!("c{}", n % N_COLOURS));
            let (width, fill) = if shape == SHAPES[0] {
                (5.0, "none")
            } else {
                (1.5, if shape == SHAPES[1] { "none" } else { "currentColor" })
            };
            (
                shape,
                format!(
                    r#"stroke="var(--{colour})" color="var(--{colour})" stroke-width="{width}" stroke-linecap="round" fill="{fill}""#
                ),
            )
        };
        let groups = (classes.len() > shown.len()).then_some(None).into_iter().chain((0..shown.len()).map(Some));
        for nth in groups {
            let members = self.points.iter().filter(|p| shown.iter().position(|c| *c == p.class) == nth);
            let (shape, paint) = mark(nth);
            let mut path = String::new();
            for point in members {
                let (x, y) = at(point);
                let _ = write!(path, "M{x:.1} {y:.1}{shape}");
            }
            let name = nth.map_or("other classes", |n| classes[shown[n]].as_str());
            let _ = write!(out, r#"<path d="{path}" {paint} opacity=".75"><title>{}</title></path>"#, text(name));
            let _ = write!(
                key,
                r#"<li><svg viewBox="0 0 22 12" aria-hidden="true"><path d="M11 6{shape}" {paint}/></svg><bdi class="name" title="{0}">{0}</bdi></li>"#,
                text(name)
            );
        }
        format!(
            r#"<figure style="margin-top:16px;max-width:820px">{out}</svg><ul class="key">{key}</ul></figure><p class="note">{} of {} {} rows, standardised features on their two principal directions, which carry {} and {} of the variance. Classes that overlap here may still be told apart in the other dimensions.</p>"#,
            count(self.points.len()),
            count(self.n_rows),
            self.split,
            percent(self.explained[0]),
            percent(self.explained[1])
        )
    }

    /// Those with most points where there are too many to tell apart, in the order of classes.
    fn classes_shown(&self, n_classes: usize) -> Vec<usize> {
        if n_classes <= MAX_CLASSES {
            return (0..n_classes).collect();
        }
        let mut counts = vec![0_usize; n_classes];
        self.points.iter().filter(|p| p.class < n_classes).for_each(|p| counts[p.class] += 1);
        let mut order: Vec<usize> = (0..n_classes).collect();
        order.sort_by_key(|c| (std::cmp::Reverse(counts[*c]), *c));
        order.truncate(N_COLOURS);
        order.sort_unstable();
        order
    }
}
