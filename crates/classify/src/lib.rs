//! Pictures to predictions, by a `classifier.onnx`.
//!
//! The way through: `args` (typed) → `plan` (resolved) → `deployed` and `about` (the classifier's file, and what it says
//! of itself) → `pictures` (which files) → `batches` (read, decoded, brought to size) → `infer` (the verb) → `print`
//! (stdout) or `predictions` (an artifact).
//!
//! What a picture's bytes mean as pixels is the business of `picture`, as for data-prep. How anything is trained is
//! not known here.

mod about;
mod args;
mod batches;
mod deployed;
mod infer;
mod pictures;
mod plan;
mod predictions;
mod print;
mod rejects;
mod report;

use std::path::Path;

use anyhow::Context;
use artifact::{Artifact, ExamplesFacts, Input, Kind, Plan, PredictionsFacts};
use onnx_graph::Replacement;
use stage::{Exit, Job, Report, Started};

pub use args::{Args, Convolution, Filter, Fit};

use about::About;
use deployed::Deployed;
use pictures::Pictures;
use plan::{Destination, Settings, Source};
use predictions::Material;

/// Classifies the pictures of a job: prints what is in them, or makes the predictions artifact or finds it up to date.
///
/// # Errors
/// With the exit codes of [`stage::Exit`].
pub fn run(job: &Job<Args>) -> anyhow::Result<Report> {
    let settings = Settings::resolve(job)?;
    let deployed = Deployed::find(&settings)?;
    let material = match &settings.source {
        Source::Pictures(inputs) => {
            let named = inputs.iter().map(|input| (input.path.as_path(), input.name.as_str()));
            Material::Pictures(Pictures::list(named)?)
        }
        Source::Examples(folder) => examples(folder, job.args.examples.is_some(), &deployed)?,
    };
    let ours = plan::ours(job.args.convolution, &deployed, material.n_rows());
    match (&settings.destination, material) {
        (Destination::Print { style, top }, Material::Pictures(pictures)) => {
            print::run(&deployed, ours, &pictures, &settings, job.args.common.dry_run, *style, *top)
        }
        (Destination::Print { .. }, Material::Examples { .. }) => {
            Err(Exit::Bug.error("predictions of an examples artifact are an artifact"))
        }
        (Destination::Artifact(out), material) => make(job, &settings, &deployed, ours, &material, out),
    }
}

fn make(
    job: &Job<Args>,
    settings: &Settings,
    deployed: &Deployed,
    ours: &[Replacement],
    material: &Material,
    out: &Path,
) -> anyhow::Result<Report> {
    let about = &deployed.about;
    let digest = deployed.digest(job)?;
    let mut inputs = vec![Input { name: deployed.name.clone(), digest: digest.clone() }];
    match material {
        Material::Pictures(pictures) => inputs.extend(pictures.digests(job)?),
        Material::Examples { artifact, .. } => inputs.push(Input {
            name: artifact.folder().display().to_string(),
            digest: artifact.manifest().fingerprint.to_string(),
        }),
    }
    // The provider is part of the fingerprint. Mostly it is known without loading anything, which
    // is what lets a second run end at once.
    let mut classifier = None;
    let provider = match settings.device.settled() {
        Some(provider) => provider,
        None => classifier.insert(deployed.load(settings, ours)?).provider(),
    };
    let config = settings.config(about, provider, ours);
    let plan = Plan { kind: Kind::Predictions, config, inputs, parts: material.parts() };
    let describe = |artifact: &Artifact| report::of(artifact, settings.max_bad, None);
    let prepare = || match classifier {
        Some(classifier) => Ok(classifier),
        None => deployed.load(settings, ours),
    };
    match stage::begin(&job.args.common, out, plan, describe, prepare)? {
        Started::Finished(report) => Ok(report),
        Started::Build(build, mut classifier) => {
            stage::say(format!("predictions: {}, {} classes, on {provider}", deployed.name, about.classes.len()));
            let facts = PredictionsFacts {
                classes: about.classes.clone(),
                classifier: deployed.name.clone(),
                classifier_digest: digest,
                provider: provider.to_string(),
                height: about.height,
                width: about.width,
                rejects: 0,
                scores: Vec::new(),
            };
            let (artifact, rate) = predictions::make(*build, &mut classifier, about, material, settings, facts)?;
            report::of(&artifact, settings.max_bad, Some(rate))
        }
    }
}

/// Opens the examples, which have to be of the size that the classifier takes.
fn examples(folder: &Path, is_named: bool, deployed: &Deployed) -> anyhow::Result<Material> {
    let artifact = Artifact::open(folder, Kind::Examples);
    let artifact = if is_named {
        artifact?
    } else {
        artifact.context("no --input, so that the examples of the run are wanted")?
    };
    let facts: ExamplesFacts = artifact.manifest().facts_as(artifact.folder())?;
    let About { classes, height, width, resize } = &deployed.about;
    if (facts.height, facts.width) != (*height, *width) {
        return Err(Exit::BadData.error(format!(
            "the pictures of {} are {}×{}, and {} takes {height}×{width}; prepare them with data-prep --size {height}x{width}, or give their files with --input",
            folder.display(), facts.height, facts.width, deployed.name
        )));
    }
    if facts.classes != *classes && !facts.classes.is_empty() {
        tracing::warn!(
            "no accuracy: the classes of {} are {:?}, those of the classifier {classes:?}",
            folder.display(),
            facts.classes
        );
    }
    if facts.resize_policy != *resize {
        tracing::warn!(
            "{} was resized in another way than the pictures that the classifier was trained on",
            folder.display()
        );
    }
    Ok(Material::Examples { artifact: Box::new(artifact), facts })
}
