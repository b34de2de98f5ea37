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
mod leaks;
mod load;
mod plan;
mod prepare;
mod rejects;
mod report;
mod retry;
mod settings;
pub mod shapes;
mod source;
mod splits;
mod text;

use std::thread;

use stage::{Job, Report, Started, begin};

pub use args::{Args, Filter, Fit, Format, PerSplit, Size, TypedInput};
pub use leaks::OnLeak;

use crate::plan::Work;
use crate::prepare::prepare;
use crate::retry::Retry;
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

    // Side by side: to read what is known of as many files takes as long as to find them.
    let (index, cache) = thread::scope(|scope| {
        let cache = scope.spawn(|| job.digest_cache());
        (source::index(&settings), cache.join())
    });
    let (mut index, cache) = (index?, cache.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    let inputs = inputs::digests(std::mem::take(&mut index.materials), cache, job)?;
    let (selection, storage) = splits::select(index, &settings)?;
    let work = Work::new(selection, storage, &settings)?;
    let plan = work.plan(&settings, inputs.inputs.clone());
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

    let describe = |artifact: &_| report::of(artifact, &settings, None);
    let retry = match job.args.retry_rejects {
        true => Retry::of(&out, &plan, &work, &inputs)?,
        false => None,
    };
    let mut common = common.clone();
    common.once_more = retry.is_some();
    match begin(&common, &out, plan, describe, || Ok(()))? {
        Started::Finished(report) => Ok(report),
        Started::Build(mut build, ()) => {
            if let Some(retry) = &retry {
                retry.take_over(&mut build)?;
            }
            let made = prepare(&mut build, &work, &settings)?;
            // Before the commit: what is refused is not there, and its finished parts stay.
            leaks::judge(&made.leaks, settings.on_leak)?;
            let rejected: Vec<_> = build.rejects().map(|reject| reject.source.clone()).collect();
            let others = inputs.without(&rejected.iter().map(String::as_str).collect());
            let artifact = build.commit(work.facts_with(&made, &others))?;
            report::of(&artifact, &settings, Some(made.rate))
        }
    }
}
