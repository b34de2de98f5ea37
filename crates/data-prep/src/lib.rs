//! Raw pictures to an examples artifact: decoded, of one size, labelled, in splits; and texts to a
//! prompts artifact, which is the business of the module `text` and its own story.
//!
//! The way through, for pictures: `args` (typed) → `settings` (resolved) → `source` (an index of every row, with
//! nothing decoded) → `splits` (which rows, in which split) → `plan` (size, parts, fingerprint) →
//! `prepare` (the verb: load, decode, resize, write, part by part) → `report`.
//!
//! What a picture's bytes mean as pixels is the business of `picture`; how an artifact stands on
//! disk, of `artifact`.

mod args;
mod classes;
mod inputs;
mod load;
mod plan;
mod prepare;
mod rejects;
mod report;
mod settings;
pub mod shapes;
mod source;
mod splits;
mod text;

use stage::{Job, Report, Started, begin};

pub use args::{Args, Filter, Fit, Format, PerSplit, Size, TypedInput};

use crate::plan::Work;
use crate::prepare::prepare;
use crate::settings::Settings;

/// Makes the artifact of one job, or finds it up to date: prompts if a tokenizer is given, else examples.
///
/// # Errors
/// Each error knows its exit code, see [`stage::Exit`].
pub fn run(job: &Job<Args>) -> anyhow::Result<Report> {
    match &job.args.tokenizer {
        Some(tokenizer) => text::run(job, tokenizer),
        None => examples(job),
    }
}

fn examples(job: &Job<Args>) -> anyhow::Result<Report> {
    let settings = Settings::resolve(&job.args)?;
    let common = &job.args.common;
    let out = job.out("examples");

    inputs::check_apart(&settings.inputs, &out)?;

    let index = source::index(&settings)?;
    let inputs = inputs::digests(&index.materials, job)?;
    let (selection, storage) = splits::select(index, &settings)?;
    let work = Work::new(selection, storage, &settings)?;
    let plan = work.plan(&settings, inputs);
    tracing::debug!(
        "{} in {} of {} at most, {}×{} pixels, {}; {}",
        report::counted(work.rows.len() as u64, "row", "rows"),
        report::counted(work.parts.len() as u64, "part", "parts"),
        work.part_rows,
        work.facts.height,
        work.facts.width,
        work.facts.resize,
        report::counted(settings.n_threads as u64, "thread", "threads")
    );

    let describe = |artifact: &_| report::of(artifact, settings.max_bad, None);
    match begin(common, &out, plan, describe, || Ok(()))? {
        Started::Finished(report) => Ok(report),
        Started::Build(mut build, ()) => {
            let made = prepare(&mut build, &work, &settings)?;
            let artifact = build.commit(work.facts_with_rejects(made.n_rejects))?;
            report::of(&artifact, settings.max_bad, Some(made.rate))
        }
    }
}
