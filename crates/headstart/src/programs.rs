//! All programs, in the order in which a pipeline runs its stages. A new stage is one line here.

use std::path::PathBuf;

use clap::{Command, CommandFactory};
use stage::{Exit, Job, Previewed, Report, StageArgs};

/// A stage program.
pub(crate) struct Stage {
    /// Its command line.
    pub(crate) command: fn() -> Command,
    /// Asks it how its artifacts stand.
    pub(crate) preview: fn(&Asked) -> anyhow::Result<Option<Vec<Previewed>>>,
}

/// All stage programs.
pub(crate) const STAGES: [Stage; 5] = [
    Stage { command: data_prep::Args::command, preview: |asked| asked.of(data_prep::run) },
    Stage { command: feature_extract::Args::command, preview: |asked| asked.of(feature_extract::run) },
    Stage { command: head_train::Args::command, preview: |asked| asked.of(head_train::run) },
    Stage { command: classify::Args::command, preview: |asked| asked.of(classify::run) },
    Stage { command: generate::Args::command, preview: |asked| asked.of(generate::run) },
];

/// What the stages are asked about.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) pipeline: PathBuf,
    pub(crate) run: Option<PathBuf>,
    pub(crate) sets: Vec<String>,
}

impl Asked {
    fn of<A: StageArgs>(
        &self,
        run: impl Fn(&Job<A>) -> anyhow::Result<Report>,
    ) -> anyhow::Result<Option<Vec<Previewed>>> {
        stage::preview(run, &self.pipeline, self.run.as_deref(), &self.sets)
    }
}

/// The command lines of all programs, this one first.
pub(crate) fn commands() -> Vec<Command> {
    std::iter::once(crate::Args::command()).chain(STAGES.iter().map(|stage| (stage.command)())).collect()
}

/// The command lines of the named program, or of all.
///
/// # Errors
/// Exit 2 with all names when there is no such program.
pub(crate) fn chosen(name: Option<&str>) -> anyhow::Result<Vec<Command>> {
    let all = commands();
    let Some(name) = name else { return Ok(all) };
    let names: Vec<_> = all.iter().map(|c| c.get_name().to_string()).collect();
    match all.into_iter().find(|c| c.get_name() == name) {
        Some(command) => Ok(vec![command]),
        None => Err(Exit::Usage.error(format!("there is no program {name:?}; expected one of {}", names.join(", ")))),
    }
}
