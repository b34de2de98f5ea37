//! The first step of every stage: up to date, a dry run, or something to make.

use std::path::Path;

use artifact::{Artifact, Begin, Build, Plan, Preview};
use serde_json::json;

use crate::report::count;
use crate::{Common, Report, log};

/// What a stage has to do after its plan is known.
#[derive(Debug)]
pub enum Started {
    /// Nothing: this is the report to return.
    Finished(Report),
    /// The artifact is to be made.
    Build(Box<Build>),
}

/// Compares the plan with what is at `out`, says why anything has to be made, and takes the lock.
///
/// `describe` reports an artifact that is already there, so that a second run shows the same
/// figures as the first.
///
/// # Errors
/// As [`Build::begin`].
pub fn begin(
    common: &Common,
    out: &Path,
    plan: Plan,
    describe: impl FnOnce(&Artifact) -> anyhow::Result<Report>,
) -> anyhow::Result<Started> {
    let (kind, n_parts) = (plan.kind, plan.parts.len());
    if common.dry_run {
        let preview = Preview::of(out, &plan, common.overwrite)?;
        let (state, line) = match &preview.up_to_date {
            Some(_) => ("up to date", format!("{kind}: up to date at {}; nothing would be done", out.display())),
            None => {
                let parts = if n_parts > 0 {
                    format!("{} of {n_parts} parts of ", n_parts - preview.parts_done)
                } else {
                    String::new()
                };
                let what = format!("{kind}: would make {parts}{}", out.display());
                (
                    "stale",
                    if preview.reasons.is_empty() {
                        what
                    } else {
                        format!("{what}, because {}", preview.reasons.join("; "))
                    },
                )
            }
        };
        let fields = json!({ "dry_run": true, "out": out, "state": state, "parts": n_parts, "parts_done": preview.parts_done, "because": preview.reasons });
        return Ok(Started::Finished(Report::new(fields).line(line)));
    }
    match Build::begin(out, plan, common.overwrite)? {
        Begin::UpToDate(artifact) => {
            let rows =
                if n_parts > 0 { format!(", {} rows", count(artifact.manifest().rows())) } else { String::new() };
            log::say(format!("{kind}: up to date{rows}, nothing to do"));
            let mut report = describe(&artifact)?;
            report.fields.insert("state".into(), "up to date".into());
            Ok(Started::Finished(report))
        }
        Begin::Build(build) => {
            if !build.reasons().is_empty() {
                log::say(format!("{kind}: made again, because {}", build.reasons().join("; ")));
            }
            let done = n_parts - build.missing().len();
            if done > 0 {
                log::say(format!("{kind}: going on after an interrupted run, {done} of {n_parts} parts are finished"));
            }
            Ok(Started::Build(Box::new(build)))
        }
    }
}
