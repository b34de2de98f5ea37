//! Progress of a stage: a bar with rate and time left on a terminal, a plain line now and then elsewhere.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{log, printable};

/// Seconds between two lines when stderr is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Rows,
    Bytes,
}

/// Counts rows of one stage run, or bytes of one download.
#[derive(Debug)]
pub struct Progress {
    what: String,
    unit: Unit,
    total: u64,
    done: u64,
    /// Rows that an earlier run had finished; they take no part in the rate.
    reused: u64,
    started: Instant,
    last_line: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Starts counting towards `total` rows, `reused` of which were there before. `what` names them
    /// in the plural, such as `pictures`.
    #[must_use]
    pub fn start(what: &'static str, total: u64, reused: u64) -> Self {
        Self::counting(Unit::Rows, what.into(), total, reused)
    }

    /// Starts counting the bytes of a file, `present` of which were here before.
    pub(crate) fn of_bytes(name: &str, total: u64, present: u64) -> Self {
        // Braces would be read as the bar's own.
        Self::counting(Unit::Bytes, format!("of {}", printable(name).replace(['{', '}'], "_")), total, present)
    }

    fn counting(unit: Unit, what: String, total: u64, reused: u64) -> Self {
        let bar = (io::stderr().is_terminal() && !log::is_quiet()).then(|| {
            let template = match unit {
                Unit::Rows => format!("{{bar:32}} {{human_pos}}/{{human_len}} {what}  {{per_sec}}  {{eta}} left"),
                Unit::Bytes => format!("{{bar:32}} {{bytes}}/{{total_bytes}} {what}  {{bytes_per_sec}}  {{eta}} left"),
            };
            let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let style = style.with_key("per_sec", |s: &indicatif::ProgressState, w: &mut dyn std::fmt::Write| {
                let _ = write!(w, "{:.0}/s", s.per_sec());
            });
            let bar = log::screen().add(ProgressBar::new(total).with_style(style));
            bar.set_position(reused);
            bar.reset_eta();
            bar
        });
        let now = Instant::now();
        Self { what, unit, total, done: reused, reused, started: now, last_line: now, bar }
    }

    /// Counts `n` more rows.
    pub fn add(&mut self, n: u64) {
        self.set(self.done + n);
    }

    /// Says how many there are now. A download that begins anew goes back to none.
    pub(crate) fn set(&mut self, done: u64) {
        self.done = done;
        self.reused = self.reused.min(done);
        match &self.bar {
            Some(bar) => bar.set_position(self.done),
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                let left = self.total.saturating_sub(self.done) as f64 / self.rate().max(1e-9);
                let (done, total, what, rate) = (self.done, self.total, &self.what, self.rate());
                let mb = |n: u64| n as f64 / 1e6;
                log::say(match self.unit {
                    Unit::Rows => format!("{done}/{total} {what}, {rate:.0}/s, about {left:.0} s left"),
                    Unit::Bytes => format!(
                        "{:.1}/{:.1} MB {what}, {:.1} MB/s, about {left:.0} s left",
                        mb(done),
                        mb(total),
                        rate / 1e6
                    ),
                });
            }
            None => {}
        }
    }

    /// Rows a second since the start, those of earlier runs left out.
    #[must_use]
    pub fn rate(&self) -> f64 {
        (self.done - self.reused) as f64 / self.started.elapsed().as_secs_f64().max(1e-9)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
