//! Text on stdout as it comes, for results that people watch being made.

use std::io::{self, ErrorKind, IsTerminal, Write};

use crate::{Exit, log};

/// Whether a person watches stdout.
#[must_use]
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Prints text on stdout at once, without a line end of its own. Says whether anybody still reads: a reader that
/// went away (`| head`) is no error.
///
/// # Errors
/// Exit 74 when stdout cannot be written, as on a full disk.
pub fn print_text(text: &str) -> anyhow::Result<bool> {
    let written = log::screen().suspend(|| {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
    });
    match written {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Exit::Io.wrap(e).context("cannot write to stdout")),
    }
}
