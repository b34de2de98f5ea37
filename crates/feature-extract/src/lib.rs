//! Examples to features: the backbone runs once per example, and its vectors are kept.
//!
//! - `args` is what can be typed, `plan` what it means with every value resolved;
//! - `preprocessing` is how stored pixels become what the network was trained on;
//! - `network` makes the graph that is run: last layer off, pooling behind, preprocessing in front;
//! - `int8` measures what its tensors hold, for 8-bit arithmetic;
//! - `extract` reads, infers and writes, the three at once.
//!
//! It trains nothing, and it decodes no pictures.

mod args;
mod extract;
mod int8;
mod list;
mod network;
mod plan;
mod preprocessing;

use artifact::{Artifact, FeaturesFacts, Input, Kind};
use serde_json::json;
use stage::{Exit, Job, Report, Started, count};

pub use args::{Args, BackboneArg};
use network::Engine;
use plan::{Network, Settings};

/// Runs the stage: makes the features artifact of a job, or finds it up to date.
///
/// # Errors
/// With the exit codes of [`stage::Exit`].
pub fn run(job: &Job<Args>) -> anyhow::Result<Report> {
    let settings = Settings::resolve(job)?;
    if job.args.list {
        return list::run(&settings);
    }
    let examples = Artifact::open(&settings.examples, Kind::Examples)?;
    let facts = examples.manifest().facts_as(examples.folder())?;

    let mut inputs = vec![Input {
        name: settings.examples.display().to_string(),
        digest: examples.manifest().fingerprint.to_string(),
    }];
    if let Network::Onnx(onnx) = &settings.network {
        let mut cache = job.digest_cache();
        let digest = cache.digest(&onnx.path)?;
        // A dry run touches nothing, not even the cache.
        if !job.args.common.dry_run {
            cache.save()?;
        }
        inputs.push(Input { name: onnx.name.clone(), digest: digest.to_string() });
    }
    // The provider is part of the fingerprint. Mostly it is known without loading anything, which
    // is what lets a second run end at once.
    let load = || Engine::load(&settings, &examples, &facts, job.args.common.dry_run);
    let mut engine = None;
    let provider = match settings.device.settled() {
        Some(provider) => provider,
        None => engine.insert(load()?).provider(),
    };
    let plan = extract::plan(&settings, &examples, inputs.clone(), provider);

    let describe = |artifact: &Artifact| report(artifact, None);
    let prepare = || match engine {
        Some(engine) => Ok(engine),
        None => load(),
    };
    match stage::begin(&job.args.common, &settings.out, plan, describe, prepare)? {
        Started::Finished(report) => Ok(report),
        Started::Build(build, engine) => {
            stage::say(format!("features: {}", engine.describe()));
            let digest = inputs.get(1).map(|i| i.digest.clone()).unwrap_or_default();
            let features_facts = engine.facts(&settings, &facts, digest);
            let (artifact, rate) = extract::run(*build, &examples, &facts, engine, &settings, &features_facts)?;
            report(&artifact, Some(rate))
        }
    }
}

/// What there is to say of a committed features artifact.
fn report(artifact: &Artifact, rows_per_second: Option<f64>) -> anyhow::Result<Report> {
    let manifest = artifact.manifest();
    let facts: FeaturesFacts = manifest.facts_as(artifact.folder())?;
    let fields = json!({
        "out": artifact.folder().display().to_string(),
        "fingerprint": manifest.fingerprint,
        "rows": manifest.rows(),
        "feature_dim": facts.feature_dim,
        "tensor": facts.tensor,
        "provider": facts.provider,
        "rows_per_second": rows_per_second,
    });
    let rate = rows_per_second.map_or(String::new(), |rate| format!(", {rate:.0} rows/s"));
    let line = format!(
        "features: {} rows of {} numbers ({}, {}){rate} → {}",
        count(manifest.rows()),
        facts.feature_dim,
        facts.tensor,
        facts.provider,
        artifact.folder().display()
    );
    Ok(Report::new(fields).line(line))
}

/// An error of `onnx-graph` with its exit code: a file that is not there, or one that does not do.
pub(crate) fn model_error(error: onnx_graph::Error) -> anyhow::Error {
    match &*error.problem {
        onnx_graph::Problem::Read(e) if e.kind() == std::io::ErrorKind::NotFound => Exit::MissingInput.wrap(error),
        onnx_graph::Problem::Read(_) => Exit::Io.wrap(error),
        _ => Exit::BadData.wrap(error),
    }
}

/// An error of `backbone` with its exit code.
pub(crate) fn backbone_error(error: backbone::Error) -> anyhow::Error {
    use backbone::Error as E;
    match error {
        E::NoRuntime { .. } | E::NoDevice { .. } | E::OutOfMemory { .. } | E::Int8Saturates => {
            Exit::Unavailable.wrap(error)
        }
        E::NotSaved(_) => Exit::Io.wrap(error),
        E::Model(_) | E::Run { .. } | E::Output { .. } => Exit::BadData.wrap(error),
        _ => Exit::Bug.wrap(error),
    }
}
