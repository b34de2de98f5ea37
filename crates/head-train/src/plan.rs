//! What was typed, with every value resolved.

use std::path::PathBuf;

use bytesize::ByteSize;
use linear_head::{ClassWeights, GridPoint, Schedule, Start};
use serde_json::{Value, json};
use stage::{Exit, Job};

use crate::args::{Args, BaselineArg, ClassWeightsArg, ScheduleArg};
use crate::learning_curve::OWN;

/// What a run is to do.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) features: PathBuf,
    /// Where the pictures are, if it was typed.
    pub(crate) examples: Option<PathBuf>,
    /// Where the run keeps its pictures.
    pub(crate) run_examples: PathBuf,
    /// Whether classifier.onnx is written.
    pub(crate) classifier: bool,
    pub(crate) out: PathBuf,
    pub(crate) sweep: linear_head::Settings,
    /// The grid's axes, learning rates as they are applied.
    pub(crate) rates: Vec<f64>,
    pub(crate) weight_decays: Vec<f64>,
    /// Share of the training rows to hold out where there is no validation split.
    pub(crate) validation: f64,
    pub(crate) refit: bool,
    pub(crate) standardise: bool,
    /// Whether accuracy is measured against labels too.
    pub(crate) learning_curve: bool,
    pub(crate) baselines: Vec<BaselineFeatures>,
    pub(crate) min_accuracy: Option<f64>,
    pub(crate) threads: usize,
    /// Above this many bytes of features they are kept in files.
    pub(crate) memory_limit: Option<ByteSize>,
}

/// Features artifact of the same examples, to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaselineFeatures {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
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
            examples: args.examples.clone(),
            // Baselines share the examples of the pipeline itself.
            run_examples: job.run_folder().join("examples"),
            classifier: !args.no_classifier,
            out: job.out("head"),
            sweep,
            rates,
            weight_decays: args.weight_decay.clone(),
            validation: args.validation.0,
            refit: args.refit,
            standardise: !args.no_standardise,
            // A baseline of the pipeline is on the curve of the pipeline itself.
            learning_curve: args.learning_curve && job.baseline.is_none(),
            baselines: if job.baseline.is_none() { baselines(job)? } else { Vec::new() },
            min_accuracy: args.min_accuracy.map(|f| f.0),
            threads: args.common.thread_count(),
            memory_limit: args.memory_limit,
        })
    }

    /// Whether pictures are needed: the classifier is checked on them, the report shows some where they are at hand.
    pub(crate) fn wants_pictures(&self) -> bool {
        self.classifier || self.examples.is_some()
    }

    /// A command that makes the same head from the same features, with every setting spelled out.
    pub(crate) fn command(&self) -> String {
        let sweep = &self.sweep;
        let list = |values: &[f64]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let mut words = vec![
            "head-train".to_string(),
            format!("--features {}", quoted(&self.features.display().to_string())),
            format!("--epochs {} --batch {} --raw-lr {}", sweep.epochs, sweep.batch_size, list(&self.rates)),
            format!("--weight-decay {} --momentum {}", list(&self.weight_decays), sweep.momentum),
            format!("--schedule {:?} --class-weights {:?}", sweep.schedule, sweep.class_weights).to_lowercase(),
            format!("--validation {} --seed {}", self.validation, sweep.seed),
        ];
        if let Some(examples) = &self.examples {
            words.push(format!("--examples {}", quoted(&examples.display().to_string())));
        }
        words.extend(sweep.patience.map(|epochs| format!("--patience {epochs}")));
        let flags = [
            (self.refit, "--refit"),
            (!self.standardise, "--no-standardise"),
            (!self.classifier, "--no-classifier"),
            (self.learning_curve, "--learning-curve"),
        ];
        words.extend(flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag.to_string()));
        for BaselineFeatures { name, folder } in &self.baselines {
            words.push(format!("--baseline {}", quoted(&format!("{name}={}", folder.display()))));
        }
        words.join(" ")
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
            "classifier": self.classifier,
            "pictures": self.wants_pictures(),
            "learning_curve": self.learning_curve,
            "baselines": self.baselines.iter().map(|b| b.name.as_str()).collect::<Vec<_>>(),
        })
    }
}

/// What `--baseline` names, each name once.
fn baselines(job: &Job<Args>) -> anyhow::Result<Vec<BaselineFeatures>> {
    let mut found: Vec<BaselineFeatures> = Vec::new();
    for BaselineArg { name, folder } in &job.args.baseline {
        if name == OWN || found.iter().any(|b| b.name == *name) {
            return Err(
                Exit::Usage.error(format!("--baseline {name}: this name is taken; give each a name of its own"))
            );
        }
        let folder = folder.clone().unwrap_or_else(|| job.run_folder().join("baseline").join(name).join("features"));
        found.push(BaselineFeatures { name: name.clone(), folder });
    }
    Ok(found)
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// A baseline that changes only the head shares the features of the pipeline itself.
fn features_of(job: &Job<Args>) -> PathBuf {
    let own = job.artifact("features");
    if own.exists() || job.baseline.is_none() { own } else { job.run_folder().join("features") }
}
