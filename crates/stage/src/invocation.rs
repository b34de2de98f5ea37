//! From the command line to jobs, and their reports to stdout.
//!
//! Precedence: flag, then environment, then pipeline file (with `--set`), then default. The file's
//! values are typed in behind those that the person typed, so clap parses and checks all of them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, Parser};
use hub::{Location, Wanted};
use serde_json::json;

use crate::arguments::NOT_IN_FILES;
use crate::fetch::fetch_all;
use crate::pipeline::{Pipeline, Setting, unknown};
use crate::program::{parse, print_line, print_result, to_exit_code, wants_json};
use crate::report::table;
use crate::{Common, Exit, Report, log, signals};

/// What the clap struct of a stage gives besides its own options.
pub trait StageArgs: Parser {
    /// The common arguments in it.
    fn common(&self) -> &Common;

    /// Refuses values that do not go together, as far as they tell by themselves: what `--check` and every run begin with.
    ///
    /// # Errors
    /// Exit 2, with what to give instead.
    fn check(&self) -> anyhow::Result<()> {
        Ok(())
    }

    /// What may lie on a hub, and what of it is wanted: what `--fetch` downloads.
    fn sources(&self) -> Vec<(&Location, Wanted)> {
        Vec::new()
    }
}

/// One thing to do: a stage's arguments, resolved, for the pipeline itself or one baseline.
#[derive(Debug, Clone)]
pub struct Job<A> {
    /// What was typed and configured.
    pub args: A,
    /// The baseline's name, nothing for the pipeline itself.
    pub baseline: Option<String>,
    run: PathBuf,
}

impl<A: StageArgs> Job<A> {
    /// The folder that all artifacts of the run share.
    #[must_use]
    pub fn run_folder(&self) -> &Path {
        &self.run
    }

    /// Where this job's artifact goes: `--out`, or NAME in the run's folder or the baseline's.
    #[must_use]
    pub fn out(&self, name: &str) -> PathBuf {
        self.args.common().out.clone().unwrap_or_else(|| self.artifact(name))
    }

    /// Where the run keeps the artifact NAME of this baseline.
    #[must_use]
    pub fn artifact(&self, name: &str) -> PathBuf {
        match &self.baseline {
            Some(baseline) => self.run.join("baseline").join(baseline).join(name),
            None => self.run.join(name),
        }
    }

    /// The cache of input digests beside the output. `--rehash` starts it anew.
    #[must_use]
    pub fn digest_cache(&self) -> artifact::DigestCache {
        let path = self.run.join(".digests.json");
        if self.args.common().rehash { artifact::DigestCache::empty(&path) } else { artifact::DigestCache::open(&path) }
    }
}

/// Runs a stage program from its command line to its exit code.
///
/// `run` is called once for the pipeline itself and once for each of its baselines.
pub fn main<A: StageArgs>(run: impl Fn(&Job<A>) -> anyhow::Result<Report>) -> ExitCode {
    let stage = A::command().get_name().to_string();
    let typed: Vec<OsString> = std::env::args_os().collect();
    to_exit_code(&stage, wants_json(&typed), || {
        let (common, jobs) = jobs::<A>(&stage, &typed, parse)?;
        log::start(common.quiet, common.verbose);
        let jobs = match jobs {
            Work::Jobs(jobs) => jobs,
            Work::LeftOut(why) => return left_out(&stage, &why, &common),
        };
        if common.check {
            return Ok(Exit::Done);
        }
        signals::install().map_err(|e| Exit::Bug.wrap(e))?;
        if common.fetch {
            return fetch_all(&stage, &jobs);
        }
        run_all(&stage, &jobs, &run)
    })
}

/// What a command line comes to.
pub(crate) enum Work<A> {
    /// The pipeline itself, then its baselines.
    Jobs(Vec<Job<A>>),
    /// Nothing, because the stage takes no part in its pipeline; a line that says so.
    LeftOut(String),
}

/// Nothing to do is no error: a script runs every stage on every pipeline file.
fn left_out(stage: &str, why: &str, common: &Common) -> anyhow::Result<Exit> {
    log::say(why);
    if common.json && !common.check {
        print_line(&json!({ "stage": stage, "state": "left out" }).to_string())?;
    }
    Ok(Exit::Done)
}

fn run_all<A: StageArgs>(
    stage: &str,
    jobs: &[Job<A>],
    run: &impl Fn(&Job<A>) -> anyhow::Result<Report>,
) -> anyhow::Result<Exit> {
    let json = jobs[0].args.common().json;
    let mut reports = Vec::new();
    for job in jobs {
        if let Some(name) = &job.baseline {
            log::say(format!("{stage}: baseline {name}"));
        }
        let report = run(job)?;
        if !json {
            report.lines.iter().try_for_each(|line| print_result(line))?;
        }
        reports.push((job.baseline.clone(), report));
    }
    if json {
        let mut object = reports[0].1.fields.clone();
        object.entry("state").or_insert("made".into());
        let baselines: serde_json::Map<_, _> =
            reports.iter().filter_map(|(name, report)| Some((name.clone()?, report.fields.clone().into()))).collect();
        if !baselines.is_empty() {
            object.insert("baseline".into(), baselines.into());
        }
        object.insert("stage".into(), stage.into());
        print_line(&serde_json::Value::from(object).to_string())?;
    } else if reports.len() > 1 && !reports[0].1.headline.is_empty() {
        let rows: Vec<_> =
            reports.iter().map(|(name, r)| (name.clone().unwrap_or("this pipeline".into()), r)).collect();
        print_line("")?;
        table("", &rows).iter().try_for_each(|line| print_line(line))?;
    }
    // A gate guards the pipeline itself; baselines are there to be worse.
    Ok(reports[0].1.exit)
}

/// The jobs that a command line comes to. `parse` is what becomes of an error in what was typed.
pub(crate) fn jobs<A: StageArgs>(
    stage: &str,
    typed: &[OsString],
    parse: impl Fn(&Command, &[OsString]) -> anyhow::Result<ArgMatches>,
) -> anyhow::Result<(Common, Work<A>)> {
    let command = A::command();
    let first = parse(&command, typed)?;
    let common = A::from_arg_matches(&first).map_err(|e| Exit::Usage.error(e))?.common().clone();
    let mut pipeline = match &common.pipeline {
        Some(path) => Pipeline::read(path)?,
        None => Pipeline::default(),
    };
    if let Some(why) = pipeline.left_out(stage)? {
        return Ok((common, Work::LeftOut(why)));
    }
    pipeline.set(stage, &common.set)?;
    let run = match &common.run {
        Some(run) => run.clone(),
        None => pipeline.run_folder()?,
    };
    let mut baselines: Vec<Option<String>> = vec![None];
    if common.out.is_none() {
        baselines.extend(pipeline.baselines(stage)?.into_iter().map(Some));
    }
    let known = configurable(&command);
    let mut jobs = Vec::new();
    for baseline in baselines {
        let settings = pipeline.settings(stage, baseline.as_deref(), &known)?;
        let mut line = typed.to_vec();
        let mut taken: Vec<&str> = Vec::new();
        for setting in settings.iter().filter(|s| !was_given(&first, &command, &s.key)) {
            // A baseline's settings come first, and push out those of the section that they exclude.
            if baseline.is_some() && taken.iter().any(|key| exclude_each_other(&command, key, &setting.key)) {
                continue;
            }
            taken.push(&setting.key);
            line.extend(as_typed(&command, setting)?);
        }
        let matches = command.clone().try_get_matches_from(line).map_err(|e| locate(&settings, &e))?;
        let args = A::from_arg_matches(&matches).map_err(|e| Exit::Usage.error(e))?;
        args.check().map_err(|e| match &baseline {
            Some(name) => e.context(format!("baseline {name}")),
            None => e,
        })?;
        jobs.push(Job { args, baseline, run: run.clone() });
    }
    Ok((common, Work::Jobs(jobs)))
}

/// Long names that may stand in a pipeline file.
fn configurable(command: &Command) -> Vec<String> {
    let names = command.get_arguments().filter_map(clap::Arg::get_long);
    names.filter(|name| !NOT_IN_FILES.contains(name)).map(str::to_string).collect()
}

/// Whether an option, or one that excludes it, came from the command line or the environment.
fn was_given(matches: &ArgMatches, command: &Command, key: &str) -> bool {
    let sources = [ValueSource::CommandLine, ValueSource::EnvVariable];
    let is_given = |arg: &&clap::Arg| matches.value_source(arg.get_id().as_str()).is_some_and(|s| sources.contains(&s));
    let mut given = command.get_arguments().filter(is_given).filter_map(clap::Arg::get_long);
    given.any(|given| given == key || exclude_each_other(command, given, key))
}

/// Whether two options cannot be used together; one of them says so, on behalf of both.
fn exclude_each_other(command: &Command, a: &str, b: &str) -> bool {
    let says = |one: &str, other: &str| {
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(one));
        arg.is_some_and(|arg| command.get_arg_conflicts_with(arg).iter().any(|c| c.get_long() == Some(other)))
    };
    says(a, b) || says(b, a)
}

/// The words that would have been typed for a setting of the file.
fn as_typed(command: &Command, setting: &Setting) -> anyhow::Result<Vec<OsString>> {
    let arg = command.get_arguments().find(|a| a.get_long() == Some(setting.key.as_str()));
    let arg = arg.ok_or_else(|| unknown(&setting.place, &setting.key, &configurable(command)))?;
    if arg.get_action().takes_values() {
        return Ok(setting.values.iter().map(|v| format!("--{}={v}", setting.key).into()).collect());
    }
    match setting.values.as_slice() {
        [value] if value == "true" => Ok(vec![format!("--{}", setting.key).into()]),
        [value] if value == "false" => Ok(Vec::new()),
        _ => Err(Exit::Usage.error(format!("{}: {} is a switch: expected true or false", setting.place, setting.key))),
    }
}

/// A value that clap refused, with the place in the file that it came from.
fn locate(settings: &[Setting], error: &clap::Error) -> anyhow::Error {
    let text = error.to_string();
    let text = text.trim_start_matches("error: ").lines().next().unwrap_or_default().to_string();
    let place = settings.iter().find(|s| text.contains(&format!("--{}", s.key))).map(|s| format!("{}: ", s.place));
    Exit::Usage.error(format!("{}{text}", place.unwrap_or_default()))
}
