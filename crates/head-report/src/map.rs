//! The map of features: a point a row on the two principal directions, coloured and shaped by class.

use std::fmt::Write;

use crate::markup::{count, percent, text};
use crate::named::{N_SHAPES, Named, Why};
use crate::plot::open_svg;
use crate::style::N_COLOURS;

/// Marks as path steps from their centre; the first is a dot, drawn as a line of no length with round ends.
const SHAPES: [&str; N_SHAPES] = ["h0", "m-2.6 -2.6l5.2 5.2m0 -5.2l-5.2 5.2", "m0 -3l2.9 5h-5.8z"];
/// Side of the drawing.
const SIZE: (f64, f64) = (640.0, 440.0);
/// From the outermost points to its edge.
const MARGIN: f64 = 8.0;

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
    /// The classes with a mark of their own; all others are grey.
    pub named: Named,
    /// Rows that the points were drawn from.
    pub n_rows: usize,
    /// Share of the variance on either direction.
    pub explained: [f64; 2],
}

impl Map {
    pub(crate) fn draw(&self, classes: &[String]) -> String {
        let mut of_class = vec![String::new(); classes.len()];
        let range = |of: fn(&MapPoint) -> f64| range(self.points.iter().map(of));
        let (x_range, y_range) = (range(|p| p.x), range(|p| p.y));
        let shape = |class: usize| self.nth(class).map_or(SHAPES[0], |nth| SHAPES[nth / N_COLOURS % N_SHAPES]);
        let is_drawn = |p: &&MapPoint| p.class < classes.len() && p.x.is_finite() && p.y.is_finite();
        for point in self.points.iter().filter(is_drawn) {
            let x = MARGIN + share(point.x, x_range) * (SIZE.0 - 2.0 * MARGIN);
            let y = SIZE.1 - MARGIN - share(point.y, y_range) * (SIZE.1 - 2.0 * MARGIN);
            let _ = write!(of_class[point.class], "M{x:.1} {y:.1}{}", shape(point.class));
        }
        let mark =
            |class: usize| format!(r#"<path d="{}"><title>{}</title></path>"#, of_class[class], text(&classes[class]));
        let mut out = open_svg(SIZE.1 + 6.0, "Map of the features").replace("0 -6 400", &format!("0 -6 {}", SIZE.0));
        let mut key = String::new();
        // The grey ones first, so that the others lie on top of them.
        let grey: Vec<usize> =
            (0..classes.len()).filter(|c| self.nth(*c).is_none() && !of_class[*c].is_empty()).collect();
        let n_grey = classes.len() - self.named.classes.iter().filter(|c| **c < classes.len()).count();
        if n_grey > 0 {
            let marks: String = grey.iter().map(|class| mark(*class)).collect();
            let _ = write!(out, r#"<g {} opacity=".75">{marks}</g>"#, paint(None));
        }
        for (nth, class) in self.named.classes.iter().enumerate().filter(|(_, c)| **c < classes.len()) {
            let _ = write!(out, r#"<g {} opacity=".8">{}</g>"#, paint(Some(nth)), mark(*class));
            let _ = write!(
                key,
                r#"<li>{}<bdi class="name" title="{1}">{1}</bdi></li>"#,
                sample(shape(*class), &paint(Some(nth))),
                text(&classes[*class])
            );
        }
        if n_grey > 0 {
            let others =
                if n_grey == 1 { "the other class".into() } else { format!("the {} other classes", count(n_grey)) };
            let _ = write!(key, "<li>{}{others}</li>", sample(SHAPES[0], &paint(None)));
        }
        format!(
            r#"<figure style="margin-top:16px;max-width:820px">{out}</svg><ul class="key">{key}</ul></figure><p class="note">{}{} of {} {} rows{}, standardised features on their two principal directions, which carry {} and {} of the variance. Classes that overlap here may still be told apart in the other dimensions.</p>"#,
            self.reason(),
            count(self.points.len()),
            count(self.n_rows),
            self.split,
            self.portions(),
            percent(self.explained[0]),
            percent(self.explained[1])
        )
    }

    /// The place of a class among those with a mark of their own.
    fn nth(&self, class: usize) -> Option<usize> {
        self.named.classes.iter().position(|c| *c == class)
    }

    /// How many points there are of either kind: more of a class in colour may have been drawn than of another.
    fn portions(&self) -> String {
        if self.named.why == Why::All {
            return String::new();
        }
        let n_named = self.points.iter().filter(|p| self.nth(p.class).is_some()).count();
        format!(" ({} in colour and {} others)", count(n_named), count(self.points.len() - n_named))
    }

    fn reason(&self) -> String {
        let n = self.named.classes.len();
        match self.named.why {
            Why::All => String::new(),
            Why::Confused => format!("In colour: the {n} classes that are most often taken for one another. "),
            Why::Largest => format!("In colour: the {n} classes with most rows. "),
        }
    }
}

/// Colour and stroke of the nth class with a mark of its own, or of all others.
fn paint(nth: Option<usize>) -> String {
    let colour = nth.map_or("faint".to_string(), |nth| format!("c{}", nth % N_COLOURS));
    let (width, fill) = match nth.map(|nth| nth / N_COLOURS % N_SHAPES) {
        None => (4.0, "none"),
        Some(0) => (5.0, "none"),
        Some(1) => (1.5, "none"),
        Some(_) => (1.5, "currentColor"),
    };
    format!(
        r#"stroke="var(--{colour})" color="var(--{colour})" stroke-width="{width}" stroke-linecap="round" fill="{fill}""#
    )
}

/// A mark for the key.
fn sample(shape: &str, paint: &str) -> String {
    format!(r#"<svg viewBox="0 0 22 12" aria-hidden="true"><path d="M11 6{shape}" {paint}/></svg>"#)
}

/// The finite values' lowest and highest.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.filter(|v| v.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)))
}

/// How far a finite value is from the lowest to the highest, in `[0, 1]`; the middle where they are the same.
fn share(value: f64, (low, high): (f64, f64)) -> f64 {
    // Halves, since the difference of two numbers may be beyond the largest one.
    if high > low { ((value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)).clamp(0.0, 1.0) } else { 0.5 }
}
