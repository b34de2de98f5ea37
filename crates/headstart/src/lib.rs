//! What a person asks beside the pipeline: how it stands, what its files hold, whether they are whole, whether the
//! machine is fit for it.
//!
//! - `args` is what can be typed, `programs` the list of all programs;
//! - `status` asks the stages how their artifacts stand, or looks into a run's folder;
//! - `inspect` shows one artifact or file, `verify` compares bytes with digests;
//! - `doctor` looks at the machine; `completions` and `man` write what a shell and `man` read;
//! - `layout` is how all of it looks in a terminal.
//!
//! It makes no artifact and changes none.

mod args;
mod completions;
mod doctor;
mod inspect;
mod layout;
mod man;
mod programs;
mod status;
mod verify;

use serde_json::Value;
use stage::{Exit, print_text};

pub use args::Args;
use args::Command;

/// What a subcommand found out.
#[derive(Debug)]
struct Shown {
    /// For people.
    text: String,
    /// For programs, with `--json`.
    json: Value,
    exit: Exit,
}

/// Runs one subcommand and prints what it has to say.
///
/// # Errors
/// With the exit codes of [`stage::Exit`].
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let (shown, json) = match &args.command {
        Command::Status(typed) => (status::run(typed)?, typed.json),
        Command::Inspect(typed) => (inspect::run(typed)?, typed.json),
        Command::Verify(typed) => (verify::run(typed)?, typed.json),
        Command::Doctor(typed) => (doctor::run(typed)?, typed.json),
        Command::Completions(typed) => (completions::run(typed)?, false),
        Command::Man(typed) => (man::run(typed)?, typed.json),
    };
    print_text(&if json { format!("{}\n", shown.json) } else { shown.text })?;
    Ok(shown.exit)
}
