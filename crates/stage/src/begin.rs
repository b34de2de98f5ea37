//! The first step of every stage: up to date, a dry run, or something to make.

use std::path::Path;

use artifact::{Artifact, Begin, Build, Plan, Preview};
use serde_json::json;

use crate::report::count;
use crate::{Common, Outlook, Report, log};

/// What a stage has to do after its plan is known.
#[derive(Debug)]
pub enum Started<T> {
    /// Nothing: this is the report to return.
    Finished(Report),
    /// The artifact is to be made, with what `prepare` made ready.
    Build(Box<Build>, T),
}

/// Compares the plan with what is at `out`, says why anything has to be made, and takes the lock.
///
/// `describe` reports an artifact that is already there, so that a second run shows the same
/// figures as the first. `prepare` checks and loads all that the work needs; it is called only when
/// there is work, and before anything on disk is touched: a wrong setting costs no finished part.
///
/// # Errors
/// Those of `prepare` and of [`Build::begin`].
pub fn begin<T>(
    common: &Common,
    out: &Path,
    plan: Plan,
    describe: impl FnOnce(&Artifact) -> anyhow::Result<Report>,
    prepare: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<Started<T>> {
    let (kind, n_parts, redo) = (plan.kind, plan.parts.len(), common.redo());
    if common.preview {
        return Ok(Started::Finished(Report::of_outlook(Outlook::of(out, &plan, redo)?)));
    }
    if let Some(artifact) = Build::up_to_date(out, &plan, redo)? {
        if !common.dry_run {
            Build::remove_leftovers(&artifact)?;
        }
        let rows = if n_parts > 0 { format!(", {} rows", count(artifact.manifest().rows())) } else { String::new() };
        log::say(format!("{kind}: up to date{rows}, nothing to do"));
        return Ok(Started::Finished(describe(&artifact)?.state("up to date")));
    }
    if common.resume {
        Build::check_resume(out, &plan, redo)?;
    }
    let prepared = prepare()?;
    if common.dry_run {
        let preview = Preview::of(out, &plan, redo)?;
        return Ok(Started::Finished(dry_run(&preview, out, &plan)));
    }
    let begin = if common.resume { Build::resume } else { Build::begin };
    match begin(out, plan, redo)? {
        // Another process has made it while this one was preparing.
        Begin::UpToDate(artifact) => Ok(Started::Finished(describe(&artifact)?.state("up to date"))),
        Begin::Build(build) => {
            if !build.reasons().is_empty() {
                log::say(format!("{kind}: made again, because {}", build.reasons().join("; ")));
            }
            let done = n_parts - build.missing().len();
            if done > 0 {
                log::say(format!("{kind}: going on after an interrupted run, {done} of {n_parts} parts are finished"));
            }
            if build.discarded() > 0 {
                let discarded = build.discarded();
                log::say(format!("{kind}: {discarded} parts of an interrupted run with other settings were removed"));
            }
            Ok(Started::Build(Box::new(build), prepared))
        }
    }
}

fn dry_run(preview: &Preview, out: &Path, plan: &Plan) -> Report {
    let (kind, n_parts, done) = (plan.kind, plan.parts.len(), preview.parts_done);
    let parts = if n_parts > 0 { format!("{} of {n_parts} parts of ", n_parts - done) } else { String::new() };
    let mut line = format!("{kind}: would make {parts}{}", out.display());
    if !preview.reasons.is_empty() {
        line = format!("{line}, because {}", preview.reasons.join("; "));
    }
    let fields = json!({
        "dry_run": true, "out": out.display().to_string(), "parts": n_parts, "parts_done": done, "because": preview.reasons,
    });
    Report::new(fields).line(line).state("stale")
}
