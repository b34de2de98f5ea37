//! What can be typed.

use std::path::PathBuf;
use std::str::FromStr;

use bytesize::ByteSize;
use clap::ValueEnum;
use stage::{Common, Fraction, StageArgs};

/// Train a linear head on features by SGD, choose its settings on validation rows, score test rows once
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "head-train", version, max_term_width = 100)]
pub struct Args {
    /// Features artifact to read [default: `features` in the run's folder]
    #[arg(long, value_name = "FOLDER")]
    pub features: Option<PathBuf>,

    /// Examples artifact that the features were made from: classifier.onnx is checked on its pictures, and the report
    /// shows some [default: `examples` in the run's folder]
    #[arg(long, value_name = "FOLDER")]
    pub examples: Option<PathBuf>,

    /// Write no classifier.onnx; then neither pictures nor ONNX Runtime are needed
    #[arg(long)]
    pub no_classifier: bool,

    /// Passes over the training rows
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub epochs: usize,

    /// Rows in one step
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub batch: usize,

    /// Learning rates to try, for a batch of 256 rows: a batch of B uses LR * B / 256
    #[arg(long, allow_negative_numbers = true, value_name = "LR,...", value_delimiter = ',', default_values_t = [0.003, 0.01, 0.03, 0.1, 0.3], conflicts_with = "raw_lr")]
    pub lr: Vec<f64>,

    /// Learning rates to try, used as they are whatever the batch (as PyTorch's SGD takes them)
    #[arg(long, allow_negative_numbers = true, value_name = "LR,...", value_delimiter = ',')]
    pub raw_lr: Option<Vec<f64>>,

    /// Weight decays to try; each is trained with each learning rate, all side by side in one pass
    #[arg(long, allow_negative_numbers = true, value_name = "WD,...", value_delimiter = ',', default_values_t = [0.0, 1e-3, 1e-2, 1e-1])]
    pub weight_decay: Vec<f64>,

    /// Momentum of SGD, 0 up to 1
    #[arg(long, allow_negative_numbers = true, value_name = "NUMBER", default_value_t = 0.9)]
    pub momentum: f64,

    /// How the learning rate goes from step to step
    #[arg(long, value_enum, default_value_t = ScheduleArg::Cosine)]
    pub schedule: ScheduleArg,

    /// What a row counts for in the loss
    #[arg(long, value_enum, default_value_t = ClassWeightsArg::Uniform)]
    pub class_weights: ClassWeightsArg,

    /// Stop when no setting has improved on validation rows for so many epochs [default: never]
    #[arg(long, value_name = "EPOCHS")]
    pub patience: Option<usize>,

    /// Share of the training rows to hold out for choosing, where the features have no validation
    /// split: 0.1 or 10%
    #[arg(long, value_name = "SHARE", default_value = "0.1")]
    pub validation: Fraction,

    /// After choosing, train once more on training and validation rows together with the chosen setting
    #[arg(long)]
    pub refit: bool,

    /// Train on features as they are, without standardising them first
    #[arg(long)]
    pub no_standardise: bool,

    /// Measure test accuracy against 1, 2, 5, 10, 20, 50 and all labelled rows a class, each size on five draws with
    /// as many validation rows a class; for report.html and learning_curve.parquet
    #[arg(long)]
    pub learning_curve: bool,

    /// Other features of the same examples to draw a learning curve of, such as raw pixels or random weights; NAME
    /// alone is that baseline of the pipeline. May be given several times
    #[arg(long, value_name = "NAME[=FOLDER]", requires = "learning_curve")]
    pub baseline: Vec<BaselineArg>,

    /// Keep features in files beside the output, mapped into memory, where they and what is made of them take more than this,
    /// such as 4GiB; the head is the same [default: all in memory]
    #[arg(long, value_name = "SIZE")]
    pub memory_limit: Option<ByteSize>,

    /// Exit with 1 when test accuracy (validation accuracy where there is no test split) is below
    #[arg(long, value_name = "SHARE")]
    pub min_accuracy: Option<Fraction>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: Common,
}

/// Features to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineArg {
    /// What they are called.
    pub name: String,
    /// Their folder, nothing for that of the run's baseline of this name.
    pub folder: Option<PathBuf>,
}

impl FromStr for BaselineArg {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let (name, folder) = match typed.split_once('=') {
            Some((name, folder)) => (name, Some(folder)),
            None => (typed, None),
        };
        let is_name = name.chars().any(char::is_alphanumeric) && !name.contains(['/', '\\']);
        if !is_name || folder == Some("") {
            return Err("expected NAME=FOLDER, or the NAME of a baseline of the pipeline".to_string());
        }
        Ok(Self { name: name.to_string(), folder: folder.map(PathBuf::from) })
    }
}

/// How the learning rate goes from step to step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScheduleArg {
    /// It stays.
    Constant,
    /// It falls to 0 along half a cosine.
    Cosine,
}

/// What a row counts for in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClassWeightsArg {
    /// The same whatever its class.
    Uniform,
    /// More in a rare class: n / (classes * rows of the class).
    Balanced,
}

impl StageArgs for Args {
    fn common(&self) -> &Common {
        &self.common
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_baseline_is_a_name_with_or_without_a_folder() {
        let parsed = |typed: &str| typed.parse::<BaselineArg>().map(|b| (b.name, b.folder));
        assert_eq!(parsed("pixels=a=b/c"), Ok(("pixels".into(), Some("a=b/c".into()))));
        assert_eq!(parsed("pixels"), Ok(("pixels".into(), None)));
        for wrong in ["", "=x", "x=", "runs/x", "../x", ".."] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
