//! Progress of a stage: a bar with rate and time left on a terminal, a plain line now and then elsewhere.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::log;

/// Seconds between two lines when stderr is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Counts rows of one stage run.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
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
        let bar = (io::stderr().is_terminal() && !log::is_quiet()).then(|| {
            let template = format!("{{bar:32}} {{human_pos}}/{{human_len}} {what}  {{per_sec}}  {{eta}} left");
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
        Self { what, total, done: reused, reused, started: now, last_line: now, bar }
    }

    /// Counts `n` more rows.
    pub fn add(&mut self, n: u64) {
        self.done += n;
        match &self.bar {
            Some(bar) => bar.set_position(self.done),
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                let left = self.total.saturating_sub(self.done) as f64 / self.rate().max(1e-9);
                let (done, total, what, rate) = (self.done, self.total, self.what, self.rate());
                log::say(format!("{done}/{total} {what}, {rate:.0}/s, about {left:.0} s left"));
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
