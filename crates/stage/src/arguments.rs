//! The arguments that every stage program takes.

use std::path::PathBuf;

use artifact::Redo;

/// Arguments common to all stages. Each may stand in the pipeline file too, under its long name,
/// except those that are about one call.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Pipeline file (TOML); its section named after this program gives defaults to all options
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,

    /// Change one value of the pipeline file for this run: KEY=VALUE, where KEY is an option of
    /// this program, or SECTION.KEY
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Folder of all artifacts of one run [default: runs/NAME after the pipeline file, or runs/default]
    #[arg(long, value_name = "FOLDER", env = "HEADSTART_RUN")]
    pub run: Option<PathBuf>,

    /// Folder of the artifact to make [default: a folder of the run]
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,

    /// Print the result as one JSON object on stdout
    #[arg(long)]
    pub json: bool,

    /// Print only warnings and errors
    #[arg(short, long)]
    pub quiet: bool,

    /// Print more; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Number of threads, 0 for one a core; results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = threads, env = "HEADSTART_THREADS")]
    pub threads: usize,

    /// Seed of everything that is drawn at random
    #[arg(long, value_name = "N", default_value_t = 0, env = "HEADSTART_SEED")]
    pub seed: u64,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Say how the artifact stands without loading or writing anything: what `headstart status` asks
    #[arg(long, hide = true)]
    pub preview: bool,

    /// Set by a stage that makes an artifact once more for a reason of its own; parts that are finished count.
    #[arg(skip)]
    pub once_more: bool,

    /// Download what the inputs name on a hub (hf://…) into the cache, and do nothing else
    #[arg(long)]
    pub fetch: bool,

    /// Check arguments and pipeline file, and do nothing else
    #[arg(long)]
    pub check: bool,

    /// Discard nothing: end with exit code 2 and the differences where an interrupted run, or else the artifact that is
    /// there, was made with other settings or inputs. Where there is neither, start
    #[arg(long, conflicts_with = "overwrite")]
    pub resume: bool,

    /// Make everything again, even what is up to date
    #[arg(long)]
    pub overwrite: bool,

    /// Trust no size and no modification time: hash all inputs and the finished output again, and make
    /// again what is damaged
    #[arg(long)]
    pub rehash: bool,
}

/// Far above any machine of today; beyond it starting the threads takes longer than the work.
const MOST_THREADS: usize = 1024;

fn threads(text: &str) -> Result<usize, String> {
    let n = text.parse().ok().filter(|n| *n <= MOST_THREADS);
    n.ok_or_else(|| format!("expected a number from 0 (one a core) to {MOST_THREADS}, found {text:?}"))
}

/// Options that make no sense in a pipeline file: they are about one call, or about the file itself.
pub(crate) const NOT_IN_FILES: [&str; 15] = [
    "pipeline",
    "set",
    "run",
    "out",
    "help",
    "version",
    "json",
    "quiet",
    "verbose",
    "dry-run",
    "preview",
    "fetch",
    "check",
    "resume",
    "overwrite",
];

impl Common {
    /// What of a finished artifact counts as done.
    pub(crate) fn redo(&self) -> Redo {
        match (self.overwrite, self.rehash) {
            (true, _) => Redo::Everything,
            (false, _) if self.once_more => Redo::OnceMore,
            (false, true) => Redo::Damaged,
            (false, false) => Redo::Missing,
        }
    }

    /// Number of threads to use: what was asked for, or one a core (as the cgroup allows).
    #[must_use]
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
}
