//! Loss and accuracy by epoch: the chosen setting in front, all others faint behind it.

use std::fmt::Write;

use crate::markup::text;
use crate::plot::{Axes, HEIGHT, open_svg, round_ticks, tick_label, whole_ticks};

/// One setting's figures after one epoch. Losses in nats, shares in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochFigures {
    /// Mean training loss over the epoch.
    pub train_loss: f64,
    /// Share of training rows right over the epoch.
    pub train_accuracy: f64,
    /// Validation loss after the epoch.
    pub validation_loss: Option<f64>,
    /// Share of validation rows right after the epoch.
    pub validation_accuracy: Option<f64>,
}

/// The course of one setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Such as `lr 0.1, weight decay 0.01`.
    pub label: String,
    /// One entry an epoch, the first first.
    pub epochs: Vec<EpochFigures>,
}

/// All settings that were tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// Every setting.
    pub settings: Vec<Curve>,
    /// Which of them was chosen.
    pub chosen: usize,
    /// The 1-based epoch whose weights were kept.
    pub best_epoch: usize,
}

/// One of the two charts.
struct Figure {
    name: &'static str,
    train: fn(&EpochFigures) -> Option<f64>,
    validation: fn(&EpochFigures) -> Option<f64>,
    /// Loss may leave the chart upwards, accuracy ends at 1.
    is_share: bool,
}

const FIGURES: [Figure; 2] = [
    Figure { name: "Loss (nats)", train: |e| Some(e.train_loss), validation: |e| e.validation_loss, is_share: false },
    Figure {
        name: "Accuracy",
        train: |e| Some(e.train_accuracy),
        validation: |e| e.validation_accuracy,
        is_share: true,
    },
];

impl Curves {
    pub(crate) fn draw(&self, is_refit: bool) -> String {
        let Some(chosen) = self.settings.get(self.chosen) else { return String::new() };
        let charts: String = FIGURES.iter().map(|figure| self.chart(figure, chosen)).collect();
        let has_validation = chosen.epochs.iter().any(|e| e.validation_loss.is_some());
        let mut key = String::new();
        let line = |class: &str| {
            format!(
                r#"<svg viewBox="0 0 22 12" aria-hidden="true"><line x1="1" x2="21" y1="6" y2="6" class="{class}"/></svg>"#
            )
        };
        if has_validation {
            let _ = write!(key, "<li>{}validation, chosen setting</li>", line("curve lead"));
        }
        let _ = write!(key, "<li>{}training, chosen setting</li>", line("curve second"));
        if self.settings.len() > 1 {
            let split = if has_validation { "validation" } else { "training" };
            let _ = write!(key, "<li>{}{split}, the other {} settings</li>", line("ghost"), self.settings.len() - 1);
        }
        let (best, epochs) = (self.best_epoch, chosen.epochs.len());
        let kept = match is_refit {
            false => format!("Its weights after epoch {best} of {epochs} were kept (marked by the dot)."),
            true => format!(
                "It was best after epoch {best} of {epochs} (marked by the dot). The head that is shipped was then trained anew with it, as far as this epoch, on training and validation rows together; the curves are of the choice before."
            ),
        };
        format!(
            r#"<div class="pair">{charts}</div><ul class="key">{key}</ul><p class="note">Chosen: {}. {kept} Training figures are taken during the epoch, each batch before its own step.</p>"#,
            text(&chosen.label)
        )
    }

    fn chart(&self, figure: &Figure, chosen: &Curve) -> String {
        let n = self.settings.iter().map(|s| s.epochs.len()).max().unwrap_or(1).max(1);
        let (low, high) = self.range(figure, chosen);
        let ticks = round_ticks(low, high);
        let step = ticks[1] - ticks[0];
        // A share's axis ends where shares do.
        let last = if figure.is_share { ticks[ticks.len() - 1].min(1.0) } else { ticks[ticks.len() - 1] };
        let axes = Axes { x: (1.0, n as f64), y: (ticks[0].max(0.0), last) };
        let y_ticks: Vec<_> = ticks
            .iter()
            .filter(|t| (axes.y.0..=axes.y.1 + 1e-9).contains(*t))
            .map(|t| {
                (
                    *t,
                    if figure.is_share {
                        format!("{} %", tick_label(t * 100.0, step * 100.0))
                    } else {
                        tick_label(*t, step)
                    },
                )
            })
            .collect();
        let x_ticks: Vec<_> = whole_ticks(n).into_iter().map(|t| (t, format!("{t}"))).collect();
        let mut out = open_svg(HEIGHT + 6.0, &format!("{} by epoch", figure.name));
        out += &axes.draw(&x_ticks, &y_ticks, "epoch", figure.name);
        let series = |curve: &Curve, of: fn(&EpochFigures) -> Option<f64>| {
            let values = curve.epochs.iter().enumerate().filter_map(|(i, e)| Some((i as f64 + 1.0, of(e)?)));
            values.collect::<Vec<_>>()
        };
        for (_, other) in self.settings.iter().enumerate().filter(|(i, _)| *i != self.chosen) {
            let values = series(other, figure.validation);
            let values = if values.is_empty() { series(other, figure.train) } else { values };
            let _ = write!(
                out,
                r#"<path class="ghost" d="{}"><title>{}</title></path>"#,
                axes.path(values),
                text(&other.label)
            );
        }
        let (train, validation) = (series(chosen, figure.train), series(chosen, figure.validation));
        let kept = if validation.is_empty() { &train } else { &validation };
        let mark = kept.get(self.best_epoch.wrapping_sub(1)).map(|(x, y)| axes.at(*x, *y));
        let _ = write!(out, r#"<path class="curve second" d="{}"/>"#, axes.path(train.iter().copied()));
        let _ = write!(out, r#"<path class="curve lead" d="{}"/>"#, axes.path(validation.iter().copied()));
        if let Some((x, y)) = mark {
            let _ = write!(
                out,
                r#"<circle cx="{x:.1}" cy="{y:.1}" r="4" fill="var(--lead)" stroke="var(--paper)" stroke-width="1.5"/>"#
            );
        }
        format!("<figure>{out}</svg></figure>")
    }

    /// What the chart must show: the chosen curves whole, the others as far as they do not flatten them.
    fn range(&self, figure: &Figure, chosen: &Curve) -> (f64, f64) {
        let values = |curve: &Curve| -> Vec<f64> {
            curve
                .epochs
                .iter()
                .flat_map(|e| [(figure.train)(e), (figure.validation)(e)])
                .flatten()
                .filter(|v| v.is_finite())
                .collect()
        };
        let bounds = |values: &[f64]| {
            (
                values.iter().copied().fold(f64::INFINITY, f64::min),
                values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            )
        };
        let (low, high) = bounds(&values(chosen));
        if !low.is_finite() {
            return (0.0, 1.0);
        }
        let all: Vec<f64> = self.settings.iter().flat_map(values).collect();
        let (lowest, highest) = bounds(&all);
        let room = (0.3 * (high - low)).max(0.02 * high.abs()).max(1e-3);
        (lowest.max(low - room), highest.min(high + room))
    }
}
