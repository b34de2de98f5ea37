//! Features to a trained linear head, with scores that were not looked at while it was chosen.
//!
//! - `args` is what can be typed, `plan` what it means with every value resolved;
//! - `data` reads the features into one array a split, and draws the validation rows;
//! - `train` chooses among the grid on validation rows, and scores test rows once;
//! - `outputs` turns the result into the files of the head artifact.
//!
//! It runs no network, and the arithmetic is `linear-head`'s.

mod args;
mod data;
mod outputs;
mod plan;
mod train;

use std::time::Instant;

use artifact::{Artifact, FeaturesFacts, Input, Kind, Plan};
use serde_json::{Value, json};
use stage::{Exit, Job, Report, Started, percent};

pub use args::Args;
use plan::Settings;

/// Runs the stage: makes the head artifact of a job, or finds it up to date.
///
/// # Errors
/// With the exit codes of [`stage::Exit`].
pub fn run(job: &Job<Args>) -> anyhow::Result<Report> {
    let settings = Settings::resolve(job)?;
    let features = Artifact::open(&settings.features, Kind::Features)?;
    let facts: FeaturesFacts = features.manifest().facts_as(features.folder())?;
    let digest = features.manifest().fingerprint.to_string();
    let inputs = vec![Input { name: settings.features.display().to_string(), digest }];
    let plan = Plan { kind: Kind::Head, config: settings.config(), inputs, parts: Vec::new() };
    let describe = |artifact: &Artifact| report(artifact, &settings);

    let prepare = || {
        let start = Instant::now();
        let data = data::read(&features, &facts, settings.validation)?;
        Ok((data, start.elapsed().as_secs_f64()))
    };
    let (mut build, (data, read_s)) = match stage::begin(&job.args.common, &settings.out, plan, describe, prepare)? {
        Started::Finished(report) => return Ok(report),
        Started::Build(build, data) => (*build, data),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(settings.threads).build().map_err(|e| Exit::Io.wrap(e))?;
    let (trained, seconds) = pool.install(|| -> anyhow::Result<_> {
        let start = Instant::now();
        stage::say(format!("head: {}", data.describe(&facts)));
        let trained = train::run(&data, &facts, &settings)?;
        Ok((trained, outputs::Seconds { read: read_s, train: start.elapsed().as_secs_f64() }))
    })?;
    outputs::write(&mut build, &data, &trained, &facts, &settings, &seconds)?;
    let artifact = build.commit(outputs::facts(&trained, &facts)?)?;
    report(&artifact, &settings)
}

/// What there is to say of a committed head, from its `metrics.json`.
fn report(artifact: &Artifact, settings: &Settings) -> anyhow::Result<Report> {
    let path = artifact.folder().join(outputs::METRICS);
    let metrics: Value = serde_json::from_slice(&artifact.read_file(outputs::METRICS)?)
        .map_err(|e| Exit::BadData.error(format!("{}: {e}", path.display())))?;
    let score = |split: &str, key: &str| metrics[split][key].as_f64();
    let show = |value: Option<f64>| value.map_or("none".to_string(), percent);
    let mut report = Report::new(json!({
        "out": artifact.folder().display().to_string(),
        "fingerprint": artifact.manifest().fingerprint,
        "test_accuracy": score("test", "accuracy"),
        "test_balanced_accuracy": score("test", "balanced_accuracy"),
        "validation_accuracy": score("validation", "accuracy"),
        "chosen": metrics["chosen"],
    }))
    .line(format!(
        "head: test accuracy {} (balanced {}), validation {}, train {} → {}",
        show(score("test", "accuracy")),
        show(score("test", "balanced_accuracy")),
        show(score("validation", "accuracy")),
        show(score("train", "accuracy")),
        artifact.folder().display()
    ))
    .figure("test accuracy", show(score("test", "accuracy")))
    .figure("balanced", show(score("test", "balanced_accuracy")))
    .figure("validation", show(score("validation", "accuracy")))
    .figure("numbers a picture", metrics["feature_dim"].to_string());
    if let Some(least) = settings.min_accuracy {
        let found = score("test", "accuracy").or(score("validation", "accuracy")).unwrap_or(0.0);
        if found < least {
            report.exit = Exit::GateFailed;
            report =
                report.line(format!("head: accuracy {} is below --min-accuracy {}", percent(found), percent(least)));
        }
    }
    Ok(report)
}

/// An error of `linear-head` with its exit code: settings are the person's, the rest is the data's.
pub(crate) fn head_error(error: linear_head::Error) -> anyhow::Error {
    match error {
        linear_head::Error::Setting { .. } => Exit::Usage.wrap(error),
        linear_head::Error::Dimension { .. } => Exit::Bug.wrap(error),
        _ => Exit::BadData.wrap(error),
    }
}
