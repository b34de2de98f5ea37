//! How the artifacts of a pipeline stand, by the stages' own judgement: each resolves its jobs and its plan as for a
//! run, and the plan is compared with what is on disk. Nothing is loaded, made or printed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use artifact::{Build, Input, Kind, Plan, Preview, Redo};
use clap::ArgMatches;

use crate::invocation::{Work, jobs};
use crate::{Exit, Job, Report, StageArgs};

/// How the artifact of one job stands.
#[derive(Debug, Clone)]
pub struct Outlook {
    /// What it holds.
    pub kind: Kind,
    /// Where it is, or will be.
    pub out: PathBuf,
    /// What it is made from.
    pub inputs: Vec<Input>,
    /// Parts that it will have.
    pub n_parts: usize,
    /// Rows that are there, in all parts of the committed artifact.
    pub rows: Option<u64>,
    /// Whether it would be made.
    pub state: State,
}

/// Whether an artifact would be made, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is what the settings and inputs ask for.
    Fresh,
    /// One is there, and not what is asked for.
    Stale {
        /// Settings and inputs that differ, as `key: old → new`.
        because: Vec<String>,
        /// Parts of the new one that an interrupted run has finished.
        parts_done: usize,
    },
    /// None is there, but an interrupted run has finished these parts of it.
    Incomplete {
        /// How many.
        parts_done: usize,
    },
    /// None is there.
    Missing,
}

/// One job of a stage.
#[derive(Debug)]
pub struct Previewed {
    /// The baseline's name, nothing for the pipeline itself.
    pub baseline: Option<String>,
    /// The folder that all artifacts of the run share.
    pub run: PathBuf,
    /// How its artifact stands, or why the stage cannot tell.
    pub outlook: anyhow::Result<Outlook>,
}

impl State {
    /// The word for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale { .. } => "stale",
            Self::Incomplete { .. } => "incomplete",
            Self::Missing => "missing",
        }
    }
}

impl Outlook {
    /// Compares a plan with what is at `out`.
    pub(crate) fn of(out: &Path, plan: &Plan, redo: Redo) -> anyhow::Result<Self> {
        let there = artifact::Artifact::open(out, plan.kind).ok();
        let state = match Build::up_to_date(out, plan, redo)? {
            Some(_) => State::Fresh,
            None => {
                let Preview { reasons, parts_done } = Preview::of(out, plan, redo)?;
                match (reasons.is_empty(), parts_done) {
                    (true, 0) => State::Missing,
                    (true, parts_done) => State::Incomplete { parts_done },
                    (false, parts_done) => State::Stale { because: reasons, parts_done },
                }
            }
        };
        Ok(Self {
            kind: plan.kind,
            out: out.to_path_buf(),
            inputs: plan.inputs.clone(),
            n_parts: plan.parts.len(),
            rows: there.filter(|a| !a.manifest().parts.is_empty()).map(|a| a.manifest().rows()),
            state,
        })
    }
}

/// Asks a stage how the artifacts of a pipeline and its baselines stand; nothing if it takes no part.
///
/// `pipeline`, `run_folder` and `sets` are `--pipeline`, `--run` and `--set` as a person would give them.
///
/// # Errors
/// Those of the pipeline file and of `--set`. What goes wrong with one job stands in its place in the list.
pub fn preview<A: StageArgs>(
    run: impl Fn(&Job<A>) -> anyhow::Result<Report>,
    pipeline: &Path,
    run_folder: Option<&Path>,
    sets: &[String],
) -> anyhow::Result<Option<Vec<Previewed>>> {
    let stage = A::command().get_name().to_string();
    let mut typed: Vec<OsString> = vec![stage.clone().into(), "--preview".into(), "--dry-run".into()];
    let option = |name: &str, value: &std::ffi::OsStr| {
        let mut word = OsString::from(name);
        word.push("=");
        word.push(value);
        word
    };
    typed.push(option("--pipeline", pipeline.as_os_str()));
    typed.extend(run_folder.map(|folder| option("--run", folder.as_os_str())));
    typed.extend(sets.iter().map(|set| option("--set", set.as_ref())));
    let parse = |command: &clap::Command, typed: &[OsString]| -> anyhow::Result<ArgMatches> {
        command.clone().try_get_matches_from(typed).map_err(|e| Exit::Usage.error(e.to_string().trim_end()))
    };
    let Work::Jobs(jobs) = jobs::<A>(&stage, &typed, parse)?.1 else { return Ok(None) };
    let ask = |job: &Job<A>| -> anyhow::Result<Outlook> {
        let outlook = run(job)?.outlook;
        outlook.ok_or_else(|| Exit::Usage.error(format!("with these settings {stage} makes no artifact")))
    };
    let previewed = jobs.iter().map(|job| Previewed {
        baseline: job.baseline.clone(),
        run: job.run_folder().to_path_buf(),
        outlook: ask(job),
    });
    Ok(Some(previewed.collect()))
}
