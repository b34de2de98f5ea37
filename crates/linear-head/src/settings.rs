//! What a sweep is asked to do: [`Settings`] as given, [`Checked`] once every value is known to be usable.

use crate::{Error, Result};

/// One learning rate with one weight decay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GridPoint {
    /// Applied as it stands: not scaled by the batch size.
    pub learning_rate: f64,
    /// L2 penalty on weights, never on the bias: wd · W is added to the gradient, as PyTorch's SGD does.
    pub weight_decay: f64,
}

impl GridPoint {
    /// Every learning rate with every weight decay, the weight decay varying fastest.
    pub fn product(learning_rates: &[f64], weight_decays: &[f64]) -> Vec<Self> {
        let pairs = learning_rates
            .iter()
            .flat_map(|&learning_rate| weight_decays.iter().map(move |&wd| Self { learning_rate, weight_decay: wd }));
        pairs.collect()
    }
}

/// How the learning rate changes from step to step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// It does not.
    Constant,
    /// lrₜ = lr · (1 + cos(π t / T)) / 2 for step t = 0..T of the whole run (Loshchilov & Hutter 2017, eq. 5,
    /// without restarts and with minimum 0).
    Cosine,
}

impl Schedule {
    /// The share of the learning rate that 0-based `step` of `n_steps` takes.
    pub(crate) fn factor(self, step: usize, n_steps: usize) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / n_steps as f64).cos()),
        }
    }
}

/// What a class counts for in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassWeights {
    /// 1 each.
    Uniform,
    /// n / (C · n_c) with n_c the training examples of class c, as scikit-learn's `balanced`; a class without
    /// training examples counts 1. The loss is the weighted mean of PyTorch's `CrossEntropyLoss(weight=…)`.
    ///
    /// That mean is taken over each mini-batch, so in batches that seldom hold a rare class it counts for less
    /// than its weight says: take batches large enough to hold a few of each.
    Balanced,
}

impl ClassWeights {
    pub(crate) fn resolve(self, labels: &[u32], n_classes: usize) -> Vec<f64> {
        let mut counts = vec![0_usize; n_classes];
        labels.iter().for_each(|label| counts[*label as usize] += 1);
        let weight = |count: usize| match self {
            Self::Balanced if count > 0 => labels.len() as f64 / (n_classes * count) as f64,
            Self::Balanced | Self::Uniform => 1.0,
        };
        counts.into_iter().map(weight).collect()
    }
}

/// Where the weights start; biases start at 0, and every grid point starts from the same weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// All 0. The problem is convex, so nothing is lost by it.
    Zero,
    /// Normal with standard deviation 0.01 (DINOv2's linear probes).
    Normal,
}

/// A sweep as asked for; [`Settings::check`] makes it usable.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Passes over the training examples, at least 1.
    pub epochs: usize,
    /// Examples a step, at least 1; more than there are means all of them. A last, smaller batch is used.
    pub batch_size: usize,
    /// v ← momentum · v + g, in `[0, 1)`.
    pub momentum: f64,
    /// The learning rate's course.
    pub schedule: Schedule,
    /// Keys every random draw.
    pub seed: u64,
    /// The points trained side by side, at least one.
    pub grid: Vec<GridPoint>,
    /// What a class counts for in the loss.
    pub class_weights: ClassWeights,
    /// Stop once no point has bettered its validation score for this many epochs, at least 1; `None` runs all
    /// epochs. Needs a validation split.
    pub patience: Option<usize>,
    /// Stop after this many of `epochs`, the learning rate having followed the schedule of all of them; `None`
    /// runs all. It trains a setting again up to the epoch that was found best.
    pub stop_after: Option<usize>,
    /// Where the weights start.
    pub start: Start,
}

/// Settings that fit the problem they were checked against.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    settings: Settings,
    n_examples: usize,
    n_classes: usize,
    feature_dim: usize,
}

impl Settings {
    /// Checks every value for a training split of `n_examples` × `feature_dim` and `n_classes` classes. More
    /// classes than examples is allowed.
    ///
    /// # Errors
    /// [`Error::EmptySplit`] for no examples, [`Error::Setting`] with name, value and range for anything else.
    pub fn check(mut self, n_examples: usize, n_classes: usize, feature_dim: usize) -> Result<Checked> {
        if n_examples == 0 {
            return Err(Error::EmptySplit { split: "training" });
        }
        let largest = u32::MAX as usize;
        require(n_examples <= largest, "n_examples", n_examples, "at most 4294967295")?;
        require((2..=largest).contains(&n_classes), "n_classes", n_classes, "2 to 4294967295")?;
        at_least_one("feature_dim", feature_dim)?;
        at_least_one("epochs", self.epochs)?;
        at_least_one("batch_size", self.batch_size)?;
        require((0.0..1.0).contains(&self.momentum), "momentum", self.momentum, "0 or more and below 1")?;
        at_least_one("patience", self.patience.unwrap_or(1))?;
        let last = self.stop_after.unwrap_or(self.epochs);
        require((1..=self.epochs).contains(&last), "stop_after", last, "1 to the number of epochs")?;
        at_least_one("grid (number of points)", self.grid.len())?;
        for point in &self.grid {
            // Training is in f32, so what f32 cannot hold is out of range.
            let (lr, wd) = (point.learning_rate as f32, point.weight_decay as f32);
            require(lr.is_finite() && lr > 0.0, "learning_rate", point.learning_rate, "finite and above 0, in f32")?;
            require(wd.is_finite() && wd >= 0.0, "weight_decay", point.weight_decay, "finite and 0 or more, in f32")?;
        }
        self.batch_size = self.batch_size.min(n_examples);
        Ok(Checked { settings: self, n_examples, n_classes, feature_dim })
    }
}

impl Checked {
    /// The settings as they will be used: `batch_size` is at most `n_examples`.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Training examples.
    pub fn n_examples(&self) -> usize {
        self.n_examples
    }

    /// Classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Features an example.
    pub fn feature_dim(&self) -> usize {
        self.feature_dim
    }

    /// Optimiser steps an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.n_examples.div_ceil(self.settings.batch_size)
    }
}

fn at_least_one(name: &'static str, value: usize) -> Result<()> {
    require(value >= 1, name, value, "1 or more")
}

fn require(holds: bool, name: &'static str, value: impl ToString, allowed: &'static str) -> Result<()> {
    if holds {
        return Ok(());
    }
    Err(Error::Setting { name, value: value.to_string(), allowed })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn plain(grid: Vec<GridPoint>) -> Settings {
        Settings {
            epochs: 5,
            batch_size: 8,
            momentum: 0.9,
            schedule: Schedule::Cosine,
            seed: 7,
            grid,
            class_weights: ClassWeights::Uniform,
            patience: None,
            stop_after: None,
            start: Start::Normal,
        }
    }

    #[test]
    fn each_bad_value_is_named() {
        let good = || plain(GridPoint::product(&[0.1], &[0.0]));
        let name = |settings: Settings| match settings.check(10, 3, 4) {
            Err(Error::Setting { name, .. }) => name,
            other => panic!("{other:?}"),
        };
        assert!(good().check(10, 3, 4).is_ok());
        assert!(good().check(2, 30, 4).is_ok());
        assert_eq!(name(Settings { epochs: 0, ..good() }), "epochs");
        assert_eq!(name(Settings { batch_size: 0, ..good() }), "batch_size");
        assert_eq!(name(Settings { momentum: 1.0, ..good() }), "momentum");
        assert_eq!(name(Settings { momentum: f64::NAN, ..good() }), "momentum");
        assert_eq!(name(Settings { patience: Some(0), ..good() }), "patience");
        assert_eq!(name(Settings { stop_after: Some(6), ..good() }), "stop_after");
        assert_eq!(name(Settings { grid: vec![], ..good() }), "grid (number of points)");
        assert_eq!(name(plain(GridPoint::product(&[0.0], &[0.0]))), "learning_rate");
        assert_eq!(name(plain(GridPoint::product(&[1e39], &[0.0]))), "learning_rate");
        assert_eq!(name(plain(GridPoint::product(&[0.1], &[-1.0]))), "weight_decay");
        assert!(matches!(good().check(10, 1, 4), Err(Error::Setting { name: "n_classes", .. })));
        assert!(matches!(good().check(0, 3, 4), Err(Error::EmptySplit { .. })));
    }

    #[test]
    fn balanced_weights_equal_scikit_learn() {
        // sklearn 1.9.1: compute_class_weight("balanced", classes=[0, 1, 2], y=[0, 1, 2, 1, 0, 1]).
        assert_eq!(ClassWeights::Balanced.resolve(&[0, 1, 2, 1, 0, 1], 3), [1.0, 2.0 / 3.0, 2.0]);
        assert_eq!(ClassWeights::Balanced.resolve(&[0, 0], 2), [0.5, 1.0]);
    }

    #[test]
    fn cosine_falls_from_one_towards_zero() {
        assert_eq!(Schedule::Cosine.factor(0, 10), 1.0);
        assert!((Schedule::Cosine.factor(5, 10) - 0.5).abs() < 1e-15);
        assert!(Schedule::Cosine.factor(9, 10) < 0.03);
    }
}
