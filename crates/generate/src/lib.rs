//! Prompts to completions: a pretrained language model over a file of prompts.
//!
//! - `args` is what can be typed, `model_folder` what lies in the model's folder, `settings` both with every value
//!   resolved;
//! - `network` makes the graphs that are run and loads them;
//! - `generator` turns a batch of prompts into completions: `sampled` one row a completion, `beams` several;
//! - `complete` is the verb: parts, `batches` within a part, resume;
//! - `one` is `--prompt`, `describe` is `--describe`, `verify` is `--verify-batch`.
//!
//! Which token comes next is the business of `decoding`; how a graph is edited, of `onnx-graph`.

mod args;
mod batches;
mod beams;
mod complete;
mod describe;
mod generator;
mod model_folder;
mod network;
mod one;
mod report;
mod sampled;
mod settings;
mod verify;

use std::path::Path;

use artifact::{Artifact, CompletionsFacts, Digest, Input, Kind, PromptsFacts};
use onnx_graph::Model;
use stage::{Exit, Job, Report, Started};

pub use args::{Args, EarlyStoppingArg, OnLong, StrategyArg};
use generator::Generator;
use network::Edits;
use settings::Settings;

/// Runs the stage: makes the completions artifact of a job, or finds it up to date; or completes one prompt.
///
/// # Errors
/// With the exit codes of [`stage::Exit`].
pub fn run(job: &Job<Args>) -> anyhow::Result<Report> {
    let settings = Settings::resolve(job)?;
    // Rows choose their tokens side by side; what each chooses does not depend on how many do so.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(settings.threads).build();
    let pool = pool.map_err(|e| Exit::Unavailable.error(format!("cannot start {} threads: {e}", settings.threads)))?;
    pool.install(|| match (&job.args.prompt, job.args.describe) {
        (_, true) => describe::run(&settings),
        (Some(text), false) => one::run(&job.args, &settings, text),
        (None, false) => over_artifact(job, &settings),
    })
}

fn over_artifact(job: &Job<Args>, settings: &Settings) -> anyhow::Result<Report> {
    let prompts = Artifact::open(&settings.prompts, Kind::Prompts)?;
    let facts: PromptsFacts = prompts.manifest().facts_as(prompts.folder())?;
    let digests = digests(job, settings)?;
    let (tokenizer_digest, model_digests) =
        digests.split_last().ok_or_else(|| Exit::Bug.error("no files were hashed"))?;
    if facts.tokenizer_digest != tokenizer_digest.digest {
        return Err(Exit::Usage.error(format!(
            "the prompts in {} were made with another tokenizer ({}) than {}; run data-prep again with --tokenizer {}",
            settings.prompts.display(),
            facts.tokenizer,
            settings.tokenizer_name,
            settings.tokenizer_name
        )));
    }
    let mut inputs = vec![Input {
        name: settings.prompts.display().to_string(),
        digest: prompts.manifest().fingerprint.to_string(),
    }];
    inputs.extend(digests.iter().cloned());
    // The provider is part of the fingerprint. Mostly it is known without loading anything, which is what lets a
    // second run end at once.
    let mut loaded = None;
    let provider = match settings.device.settled() {
        Some(provider) => provider,
        None => loaded.insert(Generator::load(settings, Edits::All)?).network.decoder.provider(),
    };
    let plan = complete::plan(settings, &prompts, inputs, &provider.to_string());
    let describe = |artifact: &Artifact| report::of(artifact, None, job.args.jsonl);
    let prepare = || match loaded {
        Some(generator) => Ok(generator),
        None => Generator::load(settings, Edits::All),
    };
    let report = match stage::begin(&job.args.common, &settings.out, plan, describe, prepare)? {
        Started::Finished(report) => report,
        Started::Build(mut build, mut generator) => {
            stage::say(format!(
                "completions: {}, {}",
                generator.network.describe(settings),
                settings.strategy_in_words()
            ));
            let (totals, rate) = complete::run(&mut build, &prompts, &mut generator)?;
            let facts = CompletionsFacts {
                model: settings.model_name.clone(),
                model_digest: joined(model_digests),
                tokenizer_digest: tokenizer_digest.digest.clone(),
                provider: provider.to_string(),
                strategy: settings.strategy_in_words(),
                n_sequences: settings.n_sequences as u32,
                n_tokens: totals.n_tokens,
                finished: totals.finished,
            };
            let facts = serde_json::to_value(facts).map_err(|e| Exit::Bug.wrap(e))?;
            let artifact = build.commit(facts)?;
            report::of(&artifact, Some(rate), job.args.jsonl)?
        }
    };
    match job.args.verify_batch {
        Some(n) if !job.args.common.dry_run => {
            let completions = Artifact::open(&settings.out, Kind::Completions)?;
            let mut report = verify::run(report, n as usize, &prompts, &completions, settings)?;
            if job.args.jsonl {
                // stdout holds rows and nothing else.
                report.lines.drain(..).for_each(stage::say);
            }
            Ok(report)
        }
        _ => Ok(report),
    }
}

/// Digests of the model's files, and of the tokenizer last.
fn digests(job: &Job<Args>, settings: &Settings) -> anyhow::Result<Vec<Input>> {
    let mut external = Vec::new();
    for graph in settings.model.layout.graphs() {
        // Reading a graph takes a second; whether it has external data beside it shows in the folder.
        let folder = graph.parent().unwrap_or(Path::new("."));
        if has_data_files(folder) {
            let model = Model::read_with_external_data(graph).map_err(model_error)?;
            external.extend(model.external_files().into_iter().map(|file| folder.join(file)));
        }
    }
    let mut cache = job.digest_cache();
    let mut inputs = Vec::new();
    for path in settings.files(&external) {
        let digest = cache.digest(&path)?.to_string();
        inputs.push(Input { name: settings.name_of(&path), digest });
    }
    if !job.args.common.dry_run {
        cache.save()?;
    }
    Ok(inputs)
}

/// Whether anything lies in the folder that could be external data, which may have any name: a file that is neither
/// a graph nor one of those that every export has.
fn has_data_files(folder: &Path) -> bool {
    const KNOWN: [&str; 10] = [
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
        "README.md",
        ".gitattributes",
    ];
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    let is_known = |p: &Path| p.extension().is_some_and(|x| x == "onnx") || KNOWN.iter().any(|k| p.ends_with(k));
    entries.filter(|p| p.is_file()).any(|p| !is_known(&p))
}

/// One digest over several: that of a lone file is its own.
fn joined(inputs: &[Input]) -> String {
    match inputs {
        [only] => only.digest.clone(),
        many => {
            Digest::of(many.iter().map(|i| i.digest.as_str()).collect::<Vec<_>>().join("\n").as_bytes()).to_string()
        }
    }
}

/// An error of `onnx-graph` with its exit code: a file that is not there, or one that does not do.
pub(crate) fn model_error(error: onnx_graph::Error) -> anyhow::Error {
    use onnx_graph::Problem;
    match &*error.problem {
        Problem::Read(e) if e.kind() == std::io::ErrorKind::NotFound => Exit::MissingInput.wrap(error),
        Problem::ExternalMissing { .. } => Exit::MissingInput.wrap(error),
        Problem::Read(_) => Exit::Io.wrap(error),
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
        E::Model(_) | E::Run { .. } | E::Logits { .. } => Exit::BadData.wrap(error),
        _ => Exit::Bug.wrap(error),
    }
}

/// An error of `decoding` with its exit code: a setting, or scores that no token can be chosen from.
pub(crate) fn decoding_error(error: decoding::Error) -> anyhow::Error {
    use decoding::Error as E;
    match error {
        E::Setting { name, value, allowed } => {
            let option = if name == "n_beams" { "num-beams".to_string() } else { name.replace('_', "-") };
            Exit::Usage
                .error(format!("--{option} (or its value in generation_config.json) is {value}, allowed is {allowed}"))
        }
        E::Empty { .. } => Exit::Usage.wrap(error),
        // Token ids are not typed: they come from the model's files or its tokenizer.
        E::TokenOutOfRange { .. } | E::NotFinite { .. } | E::NothingLeft { .. } => Exit::BadData.wrap(error),
        E::Dimension { .. } => Exit::Bug.wrap(error),
    }
}

/// An error of `text` with its exit code.
pub(crate) fn text_error(error: text::Error) -> anyhow::Error {
    use text::Error as E;
    match error {
        E::Missing { .. } => Exit::MissingInput.wrap(error),
        E::Io { .. } => Exit::Io.wrap(error),
        _ => Exit::BadData.wrap(error),
    }
}
