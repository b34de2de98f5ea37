//! Logs and plain lines on stderr, kept apart from the progress bar.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use indicatif::MultiProgress;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::printable::{printable_lines, printable_log};

/// The one drawing area on stderr: a line is printed above the bar and not through it.
pub(crate) fn screen() -> &'static MultiProgress {
    static SCREEN: OnceLock<MultiProgress> = OnceLock::new();
    SCREEN.get_or_init(MultiProgress::new)
}

static QUIET: OnceLock<bool> = OnceLock::new();

pub(crate) fn is_quiet() -> bool {
    QUIET.get().copied().unwrap_or(false)
}

/// Prints one line for people on stderr, unless `--quiet`.
pub fn say(line: impl std::fmt::Display) {
    if !is_quiet() {
        write_line(&line.to_string());
    }
}

/// Prints one line on stderr whatever the verbosity, with nothing in it that a terminal would obey. A closed stderr is
/// nobody's error.
pub(crate) fn write_line(line: &str) {
    let line = printable_lines(line);
    screen().suspend(|| {
        let _ = writeln!(io::stderr(), "{line}");
    });
}

/// Starts logging: warnings and worse when quiet, then info, debug and trace with each `-v`.
pub(crate) fn start(quiet: bool, verbose: u8) {
    QUIET.get_or_init(|| quiet);
    let level = match (quiet, verbose) {
        (true, _) => tracing::Level::WARN,
        (false, 0) => tracing::Level::INFO,
        (false, 1) => tracing::Level::DEBUG,
        (false, _) => tracing::Level::TRACE,
    };
    let terminal = io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(verbose > 0)
        .with_writer(AboveBar)
        .with_ansi(terminal);
    // On a terminal the clock is on the wall; in a batch job's log it is what one looks for.
    if terminal {
        builder.without_time().init();
    } else {
        builder.with_timer(SystemTime).init();
    }
}

struct AboveBar;

struct Line(Vec<u8>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // The formatter writes out the escapes in what it is given, and neither turned text nor returns to the line's start.
        let line = printable_log(&String::from_utf8_lossy(&self.0));
        screen().suspend(|| {
            let _ = io::stderr().write_all(line.as_bytes());
        });
    }
}

impl<'a> MakeWriter<'a> for AboveBar {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(Vec::new())
    }
}
