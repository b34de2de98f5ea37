//! The grid of settings as a heat table: a row a learning rate, a column a weight decay.

use std::fmt::Write;

use crate::markup::{percent_or_dash, text};

/// How a setting's training ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ending {
    /// With these figures at its best epoch: loss in nats, share right.
    Finished {
        /// On the split that chooses.
        loss: f64,
        /// On the split that chooses.
        accuracy: Option<f64>,
    },
    /// Its loss left the finite numbers in this 1-based epoch.
    Diverged {
        /// 1-based.
        epoch: usize,
    },
}

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GridCell {
    /// Its row, an index into the learning rates.
    pub rate: usize,
    /// Its column, an index into the weight decays.
    pub decay: usize,
    /// How it went.
    pub ending: Ending,
    /// Whether it was chosen.
    pub chosen: bool,
}

/// All settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Learning rates as they are to be read.
    pub rates: Vec<String>,
    /// Weight decays as they are to be read.
    pub decays: Vec<String>,
    /// One a setting.
    pub cells: Vec<GridCell>,
    /// The split that chose: `validation`, or `training` where there is none.
    pub chosen_by: &'static str,
}

impl Grid {
    pub(crate) fn draw(&self) -> String {
        let mut head = r#"<th scope="col">learning rate</th>"#.to_string();
        for decay in &self.decays {
            let _ = write!(head, r#"<th scope="col">{}</th>"#, text(decay));
        }
        let mut rows = String::new();
        for (nth, rate) in self.rates.iter().enumerate() {
            let _ = write!(rows, r#"<tr><th scope="row">{}</th>"#, text(rate));
            for decay in 0..self.decays.len() {
                rows += &self
                    .cells
                    .iter()
                    .find(|c| c.rate == nth && c.decay == decay)
                    .map_or("<td></td>".into(), |c| self.cell(c));
            }
            rows += "</tr>";
        }
        format!(
            r#"<div class="scroll" tabindex="0" role="region" aria-label="Grid of settings"><table class="heat"><caption>{} loss, below it accuracy; columns are weight decays</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"#,
            if self.chosen_by == "training" { "Training" } else { "Validation" }
        )
    }

    fn cell(&self, cell: &GridCell) -> String {
        let (loss, accuracy) = match cell.ending {
            Ending::Diverged { epoch } => {
                return format!(r#"<td class="off">diverged<small>in epoch {epoch}</small></td>"#);
            }
            Ending::Finished { loss, accuracy } => (loss, accuracy),
        };
        let losses = self.cells.iter().filter_map(|c| match c.ending {
            Ending::Finished { loss, .. } => Some(loss).filter(|l| l.is_finite()),
            Ending::Diverged { .. } => None,
        });
        let (low, high) = losses.fold((f64::INFINITY, 0.0_f64), |(low, high), l| (low.min(l), high.max(l)));
        // Darkest is best. A square root, since losses crowd near the best one.
        let share = match loss.is_finite() {
            true if high > low => 0.05 + 0.70 * (1.0 - ((loss - low) / (high - low)).sqrt()),
            true => 0.75,
            false => 0.0,
        };
        let (class, mark) = if cell.chosen { (r#" class="chosen""#, "<small><b>chosen</b></small>") } else { ("", "") };
        format!(
            r#"<td{class} style="--share:{:.0}%">{loss:.4}<small>{}</small>{mark}</td>"#,
            share * 100.0,
            percent_or_dash(accuracy)
        )
    }
}
