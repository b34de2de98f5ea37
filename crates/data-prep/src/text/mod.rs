//! Texts to a prompts artifact: read, turned into token ids, their other columns kept.
//!
//! The way through: `settings` (resolved) → `source` (an index of every row: places, not texts) →
//! `plan` (parts, fingerprint) → `encode` (the verb: read, tokenise, write, part by part) → `report`.
//! Sources are found in
//! `open`, and what they are made of is in `lines`, `json` and `table`.
//!
//! How a text becomes ids is the business of the crate `text`; how an artifact stands on disk, of
//! `artifact`.

mod encode;
mod ids;
mod json;
mod lines;
mod open;
mod plan;
mod report;
mod settings;
mod source;
mod table;

use ::text::{Error, Tokenizer};
use hub::{Location, Wanted};
use stage::{Exit, Job, Report, Started, begin};

use crate::args::Args;
use crate::inputs;
use crate::report::counted;
use crate::source::{FileList, Material};
use crate::text::encode::encode;
use crate::text::plan::Work;
use crate::text::settings::Settings;

/// Makes the prompts artifact of one job, or finds it up to date.
pub(crate) fn run(job: &Job<Args>, tokenizer: &Location) -> anyhow::Result<Report> {
    let settings = Settings::resolve(&job.args)?;
    let out = job.out("prompts");
    inputs::check_apart(&settings.inputs, &out)?;
    let found = stage::fetch(tokenizer, &Wanted::TOKENIZER, &job.args.common)?;
    let tokenizer = Tokenizer::read(&found.path).map_err(|e| exit_of(&e).wrap(e))?;

    let (index, mut materials) = source::index(&settings)?;
    let work = Work::new(index, &settings);
    materials.push(Material::Files { typed: found.name, files: FileList::of_one(tokenizer.path()).into() });
    let plan = work.plan(inputs::digests(materials, job.digest_cache(), job)?.inputs);
    tracing::debug!(
        "{} in {} of {} at most; {}",
        counted(work.index.n_rows as u64, "row", "rows"),
        counted(plan.parts.len() as u64, "part", "parts"),
        settings.part_rows,
        counted(settings.n_threads as u64, "thread", "threads")
    );

    let describe = |artifact: &_| report::of(artifact, settings.max_bad, None);
    match begin(&job.args.common, &out, plan, describe, || Ok(()))? {
        Started::Finished(report) => Ok(report),
        Started::Build(mut build, ()) => {
            let made = encode(&mut build, &work, &tokenizer, &settings)?;
            let facts = plan::facts(build.plan(), &made)?;
            let artifact = build.commit(facts)?;
            report::of(&artifact, settings.max_bad, Some(made.rate))
        }
    }
}

/// The exit code of what is wrong with a tokenizer.
fn exit_of(error: &Error) -> Exit {
    match error {
        Error::Missing { .. } => Exit::MissingInput,
        Error::NotATokenizer { .. } | Error::Unusable { .. } => Exit::BadData,
        Error::Io { .. } => Exit::Io,
        _ => Exit::Bug,
    }
}
