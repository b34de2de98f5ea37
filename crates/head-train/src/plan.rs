//! What was typed, with every value resolved.

use std::path::PathBuf;

use linear_head::{ClassWeights, GridPoint, Schedule, Start};
use serde_json::{Value, json};
use stage::{Exit, Job};

use crate::args::{Args, ClassWeightsArg, ScheduleArg};

/// What a run is to do.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) features: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) sweep: linear_head::Settings,
    /// The grid's axes, learning rates as they are applied.
    pub(crate) rates: Vec<f64>,
    pub(crate) weight_decays: Vec<f64>,
    /// Share of the training rows to hold out where there is no validation split.
    pub(crate) validation: f64,
    pub(crate) refit: bool,
    pub(crate) standardise: bool,
    pub(crate) min_accuracy: Option<f64>,
    pub(crate) threads: usize,
}

impl Settings {
    pub(crate) fn resolve(job: &Job<Args>) -> anyhow::Result<Self> {
        let args = &job.args;
        if args.validation.0 >= 1.0 {
            return Err(Exit::Usage.error("--validation: expected below 1, some rows must be left to train on"));
        }
        let scale = args.batch as f64 / 256.0;
        let rates = match &args.raw_lr {
            Some(rates) => rates.clone(),
            None => args.lr.iter().map(|rate| rate * scale).collect(),
        };
        let sweep = linear_head::Settings {
            epochs: args.epochs,
            batch_size: args.batch,
            momentum: args.momentum,
            schedule: match args.schedule {
                ScheduleArg::Constant => Schedule::Constant,
                ScheduleArg::Cosine => Schedule::Cosine,
            },
            seed: args.common.seed,
            grid: GridPoint::product(&rates, &args.weight_decay),
            class_weights: match args.class_weights {
                ClassWeightsArg::Uniform => ClassWeights::Uniform,
                ClassWeightsArg::Balanced => ClassWeights::Balanced,
            },
            patience: args.patience,
            stop_after: None,
            start: Start::Zero,
        };
        // Checked here against the smallest problem there is, so that a wrong value is told before anything
        // is read or touched; it is checked again against the real one.
        sweep.clone().check(1, 2, 1).map_err(crate::head_error)?;
        Ok(Self {
            features: args.features.clone().unwrap_or_else(|| features_of(job)),
            out: job.out("head"),
            sweep,
            rates,
            weight_decays: args.weight_decay.clone(),
            validation: args.validation.0,
            refit: args.refit,
            standardise: !args.no_standardise,
            min_accuracy: args.min_accuracy.map(|f| f.0),
            threads: args.common.thread_count(),
        })
    }

    /// Every setting that can change the head, for the fingerprint.
    pub(crate) fn config(&self) -> Value {
        let sweep = &self.sweep;
        json!({
            "epochs": sweep.epochs,
            "batch": sweep.batch_size,
            "momentum": sweep.momentum,
            "schedule": format!("{:?}", sweep.schedule),
            "class_weights": format!("{:?}", sweep.class_weights),
            "patience": sweep.patience,
            "seed": sweep.seed,
            "raw_lr": self.rates,
            "weight_decay": self.weight_decays,
            "validation": self.validation,
            "refit": self.refit,
            "standardise": self.standardise,
        })
    }
}

/// A baseline that changes only the head shares the features of the pipeline itself.
fn features_of(job: &Job<Args>) -> PathBuf {
    let own = job.artifact("features");
    if own.exists() || job.baseline.is_none() { own } else { job.run_folder().join("features") }
}
