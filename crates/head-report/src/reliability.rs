//! The reliability diagram: how often the head is right when it is so sure, before and after the temperature.

use std::fmt::Write;

use crate::markup::{count, percent};
use crate::plot::{Axes, HEIGHT, open_svg};

/// One bin of confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Lower edge, in `[0, 1]`.
    pub lower: f64,
    /// Upper edge.
    pub upper: f64,
    /// Rows in it.
    pub count: u64,
    /// Their mean confidence.
    pub confidence: f64,
    /// Their share right.
    pub accuracy: f64,
}

/// One diagram.
#[derive(Debug, Clone, PartialEq)]
pub struct ReliabilityDiagram {
    /// Expected calibration error.
    pub ece: f64,
    /// Bins of equal width.
    pub bins: Vec<Bin>,
}

/// Both diagrams, and what lies between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Reliability {
    /// The split the bins were counted on.
    pub split: &'static str,
    /// With logits as they are.
    pub before: ReliabilityDiagram,
    /// With logits divided by the temperature.
    pub after: ReliabilityDiagram,
    /// Fitted on validation rows.
    pub temperature: f64,
}

impl Reliability {
    pub(crate) fn draw(&self) -> String {
        format!(
            r#"<div class="pair narrow">{}{}</div><p class="note">A bar is the share right among {} rows of that confidence; on the dashed line the head is as right as it is sure. ECE is the mean distance from it. The dots' size tells how many rows a bar stands for.</p>"#,
            diagram("As trained", &self.before),
            diagram(&format!("Temperature {:.2}", self.temperature), &self.after),
            self.split
        )
    }
}

fn diagram(name: &str, diagram: &ReliabilityDiagram) -> String {
    let axes = Axes { x: (0.0, 1.0), y: (0.0, 1.0) };
    let ticks: Vec<_> = (0..=4).map(|k| (f64::from(k) * 0.25, format!("{} %", k * 25))).collect();
    let mut out = open_svg(
        HEIGHT + 6.0,
        &format!("{name}: share right by confidence, expected calibration error {}", percent(diagram.ece)),
    );
    out += &axes.draw(&ticks, &ticks, "confidence", "share right");
    let most = diagram.bins.iter().map(|b| b.count).max().unwrap_or(1).max(1) as f64;
    for bin in diagram.bins.iter().filter(|b| b.count > 0) {
        let ((left, top), (right, bottom)) = (axes.at(bin.lower, bin.accuracy), axes.at(bin.upper, 0.0));
        let _ = write!(
            out,
            r#"<rect x="{:.1}" y="{top:.1}" width="{:.1}" height="{:.1}" fill="var(--lead)" opacity=".28"><title>confidence {} to {}: {} rows, {} right</title></rect>"#,
            left + 1.0,
            right - left - 2.0,
            bottom - top,
            percent(bin.lower),
            percent(bin.upper),
            count(bin.count as usize),
            percent(bin.accuracy)
        );
    }
    let ((x1, y1), (x2, y2)) = (axes.at(0.0, 0.0), axes.at(1.0, 1.0));
    let _ = write!(out, r#"<line class="ideal" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#);
    for bin in diagram.bins.iter().filter(|b| b.count > 0) {
        let (x, y) = axes.at(bin.confidence, bin.accuracy);
        let radius = 2.0 + 5.0 * (bin.count as f64 / most).sqrt();
        let _ = write!(
            out,
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius:.1}" fill="var(--lead)" stroke="var(--paper)"/>"#
        );
    }
    format!("<figure><h3>{name}: ECE {}</h3>{out}</svg></figure>", percent(diagram.ece))
}
