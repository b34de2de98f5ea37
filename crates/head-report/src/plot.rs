//! Axes of line charts: scales, round ticks, rules and labels. What is drawn within them is the charts' own.

use std::cmp::Ordering;
use std::fmt::Write;

use crate::markup::text;

/// Width of a chart's drawing, in its own units; figures are shown about as large in pixels, so text stays legible.
pub(crate) const WIDTH: f64 = 400.0;
/// Height of a chart's drawing.
pub(crate) const HEIGHT: f64 = 260.0;
/// Room for labels at the left, top, right and bottom.
const LEFT: f64 = 44.0;
const TOP: f64 = 22.0;
const RIGHT: f64 = 14.0;
const BOTTOM: f64 = 38.0;

/// A rectangle with a linear scale on either side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axes {
    pub(crate) x: (f64, f64),
    pub(crate) y: (f64, f64),
}

impl Axes {
    /// Where a value lies in the drawing; outside values are brought to the edge, what is no number to the lower one.
    pub(crate) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let share = |value: f64, (low, high): (f64, f64)| {
            let share = (value - low) / (high - low);
            match high.partial_cmp(&low) {
                Some(Ordering::Greater) if share.is_nan() => 0.0,
                Some(Ordering::Greater) => share.clamp(0.0, 1.0),
                // An axis without extent.
                _ => 0.5,
            }
        };
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        (LEFT + share(x, self.x) * (right - LEFT), bottom - share(y, self.y) * (bottom - TOP))
    }

    /// A path through the points, left to right, with a gap where one is no number.
    pub(crate) fn path(&self, points: impl IntoIterator<Item = (f64, f64)>) -> String {
        let (mut path, mut step) = (String::new(), 'M');
        for (x, y) in points {
            if x.is_nan() || y.is_nan() {
                step = 'M';
                continue;
            }
            let (x, y) = self.at(x, y);
            let _ = write!(path, "{step}{x:.1} {y:.1}");
            step = 'L';
        }
        path
    }

    /// Rules, tick labels and the names of both axes. Ticks are (value, label).
    pub(crate) fn draw(
        &self,
        x_ticks: &[(f64, String)],
        y_ticks: &[(f64, String)],
        x_name: &str,
        y_name: &str,
    ) -> String {
        let mut out = String::new();
        let (left, bottom) = self.at(self.x.0, self.y.0);
        let (right, _) = self.at(self.x.1, self.y.1);
        for (value, label) in y_ticks {
            let (_, y) = self.at(self.x.0, *value);
            let _ = write!(
                out,
                r#"<line class="rule" x1="{left:.1}" x2="{right:.1}" y1="{y:.1}" y2="{y:.1}"/><text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
                left - 6.0,
                y + 4.0,
                text(label)
            );
        }
        let _ = write!(out, r#"<line class="axis" x1="{left:.1}" x2="{right:.1}" y1="{bottom:.1}" y2="{bottom:.1}"/>"#);
        for (value, label) in x_ticks {
            let (x, _) = self.at(*value, self.y.0);
            let _ =
                write!(out, r#"<text x="{x:.1}" y="{:.1}" text-anchor="middle">{}</text>"#, bottom + 15.0, text(label));
        }
        let _ = write!(
            out,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{}</text><text x="0" y="4" class="strong">{}</text>"#,
            (left + right) / 2.0,
            bottom + 32.0,
            text(x_name),
            text(y_name)
        );
        out
    }
}

/// Opens a chart that screen readers announce by its title; it needs closing with `</svg>`.
pub(crate) fn open_svg(height: f64, title: &str) -> String {
    format!(r#"<svg viewBox="0 -6 {WIDTH} {height}" role="img" aria-label="{0}"><title>{0}</title>"#, text(title))
}

/// Four to six round values that cover `low..=high`, the first at or below `low` and the last at or above `high`. Those
/// of 0 to 1 where there is nothing to cover, or it is too large to be told in steps.
pub(crate) fn round_ticks(low: f64, high: f64) -> Vec<f64> {
    let can_be_covered = low <= high && low > -1e300 && high < 1e300;
    let (low, high) = if can_be_covered { (low, high) } else { (0.0, 1.0) };
    // Steps no finer than what numbers of this size can tell apart.
    let span = (high - low).max(1e-9).max(1e-9 * low.abs().max(high.abs()));
    let rough = span / 4.0;
    let magnitude = 10_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * magnitude).into_iter().find(|s| *s >= rough * 0.999).unwrap_or(rough);
    let (first, last) = ((low / step + 1e-9).floor() as i64, (high / step - 1e-9).ceil() as i64);
    (first..=last.max(first + 1)).map(|k| k as f64 * step).collect()
}

/// A tick's label, with the digits that its neighbours need.
pub(crate) fn tick_label(value: f64, step: f64) -> String {
    let digits =
        (0..6).find(|d| (step * 10_f64.powi(*d)).fract().abs() < 1e-6 || (step * 10_f64.powi(*d)).fract() > 1.0 - 1e-6);
    let digits = digits.unwrap_or(6) as usize;
    format!("{value:.digits$}")
}

/// Round ticks of whole numbers from 1 to `n`, at most about six.
pub(crate) fn whole_ticks(n: usize) -> Vec<f64> {
    if n <= 6 {
        return (1..=n).map(|k| k as f64).collect();
    }
    let step = [2, 5, 10, 20, 25, 50, 100, 200, 250, 500].into_iter().find(|s| n / s <= 6).unwrap_or(n.div_ceil(5));
    std::iter::once(1).chain((1..).map(|k| k * step).take_while(|k| *k <= n)).map(|k| k as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover() {
        assert_eq!(round_ticks(0.0, 1.0), [0.0, 0.25, 0.5, 0.75, 1.0]);
        for (low, high) in [(0.13, 0.87), (0.0, 2.3), (1.1, 1.2), (0.5, 0.5), (900.0, 12_345.0)] {
            let ticks = round_ticks(low, high);
            assert!((2..=8).contains(&ticks.len()), "{ticks:?}");
            assert!(ticks[0] <= low + 1e-9 && ticks[ticks.len() - 1] >= high - 1e-9, "{low} {high} {ticks:?}");
        }
        for (low, high) in [(f64::INFINITY, f64::NEG_INFINITY), (f64::NAN, f64::NAN), (0.0, f64::INFINITY), (1.0, 0.0)]
        {
            assert_eq!(round_ticks(low, high), round_ticks(0.0, 1.0));
        }
        let large = round_ticks(1e12, 1e12);
        assert!((2..=8).contains(&large.len()) && large[0] <= 1e12 && large[1] > large[0], "{large:?}");
        assert_eq!(tick_label(0.75, 0.25), "0.75");
        assert_eq!(tick_label(2.0, 0.5), "2.0");
        assert_eq!(tick_label(40.0, 20.0), "40");
        assert_eq!(whole_ticks(20), [1.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(whole_ticks(3), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn values_outside_stay_in_the_drawing() {
        let axes = Axes { x: (0.0, 1.0), y: (0.0, 1.0) };
        let (x, y) = axes.at(7.0, -7.0);
        assert!((x, y) == (WIDTH - RIGHT, HEIGHT - BOTTOM));
        assert_eq!(axes.at(f64::NAN, f64::INFINITY), (LEFT, TOP));
        let path = axes.path([(f64::NAN, 0.0), (0.0, 0.0), (0.5, f64::NAN), (1.0, 1.0), (1.0, 0.0)]);
        assert_eq!(path, format!("M{LEFT:.1} {0:.1}M{1:.1} {TOP:.1}L{1:.1} {0:.1}", HEIGHT - BOTTOM, WIDTH - RIGHT));
    }
}
