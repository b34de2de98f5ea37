//! Everything that can be wrong with what this crate is given, each naming expected, found and remedy.

use crate::Head;

/// Why a fit, a product or a score could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A split that must hold examples holds none.
    #[error("the {split} split is empty: at least one example is needed; check how the examples were split")]
    EmptySplit {
        /// Which split.
        split: &'static str,
    },
    /// All training labels are equal, so there is nothing to tell apart.
    #[error(
        "all {n_examples} training examples have label {label}: at least two classes are needed; add examples of another class"
    )]
    OneClass {
        /// The one label seen.
        label: u32,
        /// Training examples seen.
        n_examples: usize,
    },
    /// A label does not name a class.
    #[error(
        "the label of {split} row {row} is {label}, expected below {n_classes}; labels and class names must come from the same examples"
    )]
    LabelOutOfRange {
        /// Which split.
        split: &'static str,
        /// 0-based row.
        row: usize,
        /// The label found.
        label: u32,
        /// Classes there are.
        n_classes: usize,
    },
    /// A feature or logit is NaN or infinite.
    #[error(
        "column {column} of {what} row {row} is {value}, expected a finite number; find that example by its row and extract it again or leave it out"
    )]
    NonFinite {
        /// What the array holds.
        what: &'static str,
        /// 0-based row.
        row: usize,
        /// 0-based column.
        column: usize,
        /// The value found.
        value: f32,
    },
    /// A weight or bias is NaN or infinite.
    #[error("the head's {part} holds {value}, expected finite numbers; train again with a smaller learning rate")]
    NonFiniteHead {
        /// `weight` or `bias`.
        part: &'static str,
        /// The value found.
        value: f32,
    },
    /// Two sizes that must agree do not.
    #[error("{what}: expected {expected}, found {found}; features, labels and head must come from the same run")]
    Dimension {
        /// Which size.
        what: &'static str,
        /// The size needed.
        expected: usize,
        /// The size given.
        found: usize,
    },
    /// A setting lies outside its range.
    #[error("setting {name} is {value}, allowed is {allowed}")]
    Setting {
        /// The field of `Settings`, or the size handed to `Settings::check`.
        name: &'static str,
        /// The value given.
        value: String,
        /// The range, in words.
        allowed: &'static str,
    },
    /// The loss of every grid point left the finite numbers.
    #[error(
        "training diverged: all {n_points} grid points lost a finite loss, the last one (learning rate {learning_rate}) in epoch {epoch}, step {step}; use smaller learning rates or standardise the features"
    )]
    Diverged {
        /// 1-based epoch in which the longest-lived point diverged.
        epoch: usize,
        /// 1-based step within that epoch.
        step: usize,
        /// Its learning rate.
        learning_rate: f64,
        /// Points in the grid.
        n_points: usize,
        /// Its best head while it was finite: the initial one if no epoch was completed.
        head: Box<Head>,
    },
    /// The caller's `on_epoch` asked to stop.
    #[error("training was stopped after epoch {epoch}")]
    Stopped {
        /// 1-based last completed epoch.
        epoch: usize,
    },
}
