//! The frame of every program: from its command line to its exit code, whatever happens in between.

use std::ffi::OsString;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use clap::{ArgMatches, Command, Parser};
use serde_json::json;

use crate::printable::printable_lines;
use crate::{Exit, log, stdout_is_terminal};

/// Runs a program that is no stage: parses what was typed, and turns errors and panics into the exit codes of
/// [`Exit`]. Only warnings and errors are logged: what such a program has to say is its result.
pub fn program<A: Parser>(run: impl FnOnce(&A) -> anyhow::Result<Exit>) -> ExitCode {
    let command = A::command();
    let typed: Vec<OsString> = std::env::args_os().collect();
    to_exit_code(command.get_name(), wants_json(&typed), || {
        let matches = parse(&command, &typed)?;
        log::start(true, 0);
        run(&A::from_arg_matches(&matches).map_err(|e| Exit::Usage.error(e))?)
    })
}

/// Calls `work`, and says on stderr (and with `json` on stdout) how it failed, if it did.
pub(crate) fn to_exit_code(name: &str, json: bool, work: impl FnOnce() -> anyhow::Result<Exit>) -> ExitCode {
    record_panics();
    let exit = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => report_error(name, &error, json),
        Err(_) => report_bug(name),
    };
    ExitCode::from(exit as u8)
}

/// Looked at before anything is parsed, so that errors in what was typed are JSON too.
pub(crate) fn wants_json(typed: &[OsString]) -> bool {
    typed.iter().any(|a| a == "--json")
}

/// Parses what was typed. Help, version and usage errors are printed, and end the program, as clap does it.
pub(crate) fn parse(command: &Command, typed: &[OsString]) -> anyhow::Result<ArgMatches> {
    Ok(command.clone().try_get_matches_from(typed).unwrap_or_else(|error| {
        if error.use_stderr() && wants_json(typed) {
            let message = error.to_string();
            let message = message.trim_start_matches("error: ").lines().next().unwrap_or_default();
            let stage = command.get_name();
            let _ = print_line(&json!({ "stage": stage, "error": message, "exit": Exit::Usage as u8 }).to_string());
        }
        error.exit()
    }))
}

fn report_error(name: &str, error: &anyhow::Error, json: bool) -> Exit {
    let exit = Exit::of(error);
    log::write_line(&format!("{name}: error: {error:#}"));
    if json {
        // The error itself is on stderr already, and its exit code stands.
        let _ = print_line(&json!({ "stage": name, "error": format!("{error:#}"), "exit": exit as u8 }).to_string());
    }
    exit
}

/// Prints a result for people on stdout. A terminal obeys nothing in it; a file gets it as it is.
pub(crate) fn print_result(line: &str) -> anyhow::Result<()> {
    if stdout_is_terminal() { print_line(&printable_lines(line)) } else { print_line(line) }
}

/// Prints a result line on stdout. A reader that went away (`| head`) is no error, a full disk is.
pub(crate) fn print_line(line: &str) -> anyhow::Result<()> {
    match log::screen().suspend(|| writeln!(std::io::stdout(), "{line}")) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Exit::Io.wrap(e).context("cannot write to stdout")),
        _ => Ok(()),
    }
}

/// What the last panic said. Printed only if the panic ends the program: some are caught on
/// purpose, where a library panics on damaged files.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

fn record_panics() {
    std::panic::set_hook(Box::new(|panic| {
        *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
}

/// A panic is a bug of ours: exit 70 and where it happened, never a bare abort.
fn report_bug(name: &str) -> Exit {
    let panic = LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner).clone();
    log::write_line(&format!("{name}: bug: {panic}; please report it with the command that was typed"));
    Exit::Bug
}
