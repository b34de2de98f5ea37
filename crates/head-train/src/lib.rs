//! Features to a trained linear head, with scores that were not looked at while it was chosen.
//!
//! - `args` is what can be typed, `plan` what it means with every value resolved;
//! - `data` reads the features into one array a split, and draws the validation rows;
//! - `train` chooses among the grid on validation rows, and scores test rows once;
//! - `export` puts the head behind the backbone's graph as `classifier.onnx`, and checks it on `pictures`;
//! - `learning_curve` measures test accuracy against labelled rows, `curve_outputs` writes it down;
//! - `outputs` turns the result into the files of the head artifact, `report` and `report_rows` into `report.html`.
//!
//! The only network that it runs is the exported one; the arithmetic is `linear-head`'s.

mod args;
mod curve_outputs;
mod data;
mod export;
mod learning_curve;
mod matrix;
mod outputs;
mod pictures;
mod plan;
mod report;
mod report_rows;
mod train;

use std::time::Instant;

use artifact::{Artifact, FeaturesFacts, Input, Kind, Plan};
use bytesize::ByteSize;
use linear_head::Head;
use serde_json::{Value, json};
use stage::{Exit, Job, Report, Started, percent};

pub use args::Args;
use data::Data;
use export::Exporter;
use learning_curve::{Asked, Baseline};
use matrix::Home;
use pictures::Pictures;
use plan::Settings;
use report::{REPORT, Sources};

/// The head before its loss left the finite, in the folder of the build that failed.
const LAST_FINITE: &str = "last-finite-head.safetensors";

/// Runs the stage: makes the head artifact of a job, or finds it up to date.
///
/// # Errors
/// With the exit codes of [`stage::Exit`].
pub fn run(job: &Job<Args>) -> anyhow::Result<Report> {
    let settings = Settings::resolve(job)?;
    let features = Artifact::open(&settings.features, Kind::Features)?;
    let facts: FeaturesFacts = features.manifest().facts_as(features.folder())?;
    let digest = features.manifest().fingerprint.to_string();
    let mut inputs = vec![Input { name: settings.features.display().to_string(), digest }];
    for baseline in &settings.baselines {
        let digest = Artifact::open(&baseline.folder, Kind::Features)?.manifest().fingerprint.to_string();
        inputs.push(Input { name: baseline.folder.display().to_string(), digest });
    }
    let plan = Plan { kind: Kind::Head, config: settings.config(), inputs, parts: Vec::new() };
    let describe = |artifact: &Artifact| describe(artifact, &settings);

    let pool = rayon::ThreadPoolBuilder::new().num_threads(settings.threads).build().map_err(|e| Exit::Io.wrap(e))?;
    let prepare = || {
        let pictures = if settings.wants_pictures() { Some(Pictures::open(&settings, &features)?) } else { None };
        let exporter = match &pictures {
            Some(pictures) if settings.classifier => {
                Some(Exporter::load(&features, pictures.clone(), settings.threads)?)
            }
            _ => None,
        };
        let start = Instant::now();
        let home = home(&features, &facts, &settings)?;
        let data = pool.install(|| data::read(&features, &facts, settings.validation, &home))?;
        let baselines = pool.install(|| learning_curve::read(&settings, &data, &facts, &home))?;
        Ok(Prepared { pictures, exporter, data, baselines, read_s: start.elapsed().as_secs_f64() })
    };
    let (mut build, prepared) = match stage::begin(&job.args.common, &settings.out, plan, describe, prepare)? {
        Started::Finished(report) => return Ok(report),
        Started::Build(build, prepared) => (*build, prepared),
    };
    let Prepared { pictures, exporter, data, baselines, read_s } = prepared;
    // Where the next run, or a commit, removes it.
    let keep = |head: &Head| Ok(build.write_file(LAST_FINITE, &outputs::safetensors(head, 1.0, &facts)?)?);
    let (trained, seconds) = pool.install(|| -> anyhow::Result<_> {
        let start = Instant::now();
        stage::say(format!("head: {}", data.describe(&facts)));
        let trained = train::run(&data, &facts, &settings, keep)?;
        Ok((trained, outputs::Seconds { read: read_s, train: start.elapsed().as_secs_f64() }))
    })?;
    let curve = match settings.learning_curve {
        true => {
            let Settings { sweep, standardise, .. } = &settings;
            let asked = Asked { n_classes: facts.classes.len(), sweep, standardise: *standardise };
            Some(pool.install(|| learning_curve::run(&data, &trained.sweep, &baselines, &asked))?)
        }
        false => None,
    };
    let exported = exporter.map(|exporter| exporter.export(&features, &facts, &data, &trained)).transpose()?;
    let fingerprint = build.plan().fingerprint();
    let sources = Sources {
        features: &features,
        facts: &facts,
        settings: &settings,
        data: &data,
        trained: &trained,
        pictures: pictures.as_ref(),
        curve: curve.as_deref(),
        fingerprint: fingerprint.as_str(),
    };
    outputs::write(&mut build, &sources, &seconds, exported.as_ref())?;
    build.write_file(REPORT, pool.install(|| report::html(&sources))?.as_bytes())?;
    let artifact = build.commit(outputs::facts(&trained, &facts)?)?;
    describe(&artifact)
}

/// Where features are kept, those of baselines too: as they were read, once more standardised, and for refitting once more
/// together.
fn home(features: &Artifact, facts: &FeaturesFacts, settings: &Settings) -> anyhow::Result<Home> {
    let numbers = |artifact: &Artifact, facts: &FeaturesFacts| artifact.manifest().rows() * facts.feature_dim as u64;
    let mut n_numbers = numbers(features, facts);
    for baseline in &settings.baselines {
        let artifact = Artifact::open(&baseline.folder, Kind::Features)?;
        let facts = artifact.manifest().facts_as(artifact.folder())?;
        n_numbers = n_numbers.saturating_add(numbers(&artifact, &facts));
    }
    let bytes = n_numbers.saturating_mul(if settings.refit { 12 } else { 8 });
    let home = Home::choose(bytes, settings.memory_limit, &settings.out);
    if let Home::Files(folder) = &home {
        let size = ByteSize(bytes);
        stage::say(format!("head: features and what is made of them, {size}, go into files in {}", folder.display()));
    }
    Ok(home)
}

/// What is loaded before anything on disk is touched.
struct Prepared {
    pictures: Option<Pictures>,
    exporter: Option<Exporter>,
    data: Data,
    baselines: Vec<Baseline>,
    read_s: f64,
}

/// What there is to say of a committed head, from its `metrics.json`.
fn describe(artifact: &Artifact, settings: &Settings) -> anyhow::Result<Report> {
    let path = artifact.folder().join(outputs::METRICS);
    let metrics: Value = serde_json::from_slice(&artifact.read_file(outputs::METRICS)?)
        .map_err(|e| Exit::BadData.error(format!("{}: {e}", path.display())))?;
    let score = |split: &str, key: &str| metrics[split][key].as_f64();
    let show = |value: Option<f64>| value.map_or("none".to_string(), percent);
    let before = if metrics["refit"] == true { " (before refitting)" } else { "" };
    let mut report = Report::new(json!({
        "out": artifact.folder().display().to_string(),
        "fingerprint": artifact.manifest().fingerprint,
        "test_accuracy": score("test", "accuracy"),
        "test_balanced_accuracy": score("test", "balanced_accuracy"),
        "validation_accuracy": score("validation", "accuracy"),
        "chosen": metrics["chosen"],
        "learning_curve": metrics["learning_curve"],
        "report": artifact.folder().join(REPORT).display().to_string(),
    }))
    .line(format!(
        "head: test accuracy {} (balanced {}), validation {}, train {}{before} → {}",
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
    for line in curve_outputs::table(&metrics["learning_curve"]) {
        report = report.line(line);
    }
    if let Some(least) = settings.min_accuracy {
        let splits = [("test", ""), ("validation", before)];
        let found = splits.into_iter().find_map(|(split, which)| Some((split, which, score(split, "accuracy")?)));
        let (split, which, found) = found.unwrap_or(("test", "", 0.0));
        if found < least {
            report.exit = Exit::GateFailed;
            report = report.line(format!(
                "head: {split} accuracy {}{which} is below --min-accuracy {}",
                percent(found),
                percent(least)
            ));
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
