//! The tally of rows that could not be used, and the point at which they are too many.

use std::collections::BTreeMap;

use artifact::Reject;
use stage::{Exit, MaxBad, count, printable};

/// Rejects that the error names. All are in the log of `-v`, and in rejects.parquet of an artifact.
const NAMED: usize = 10;

/// Rejects so far.
#[derive(Debug)]
pub(crate) struct Tally {
    max_bad: MaxBad,
    n_rows: u64,
    n_tried: u64,
    rejects: Vec<Reject>,
}

impl Tally {
    /// Of `n_rows` rows, none tried yet.
    pub(crate) fn new(max_bad: MaxBad, n_rows: u64) -> Self {
        Self { max_bad, n_rows, n_tried: 0, rejects: Vec::new() }
    }

    /// Counts `n_tried` rows, of which some were rejected.
    ///
    /// # Errors
    /// Exit 65 as soon as there are more rejects than are borne.
    pub(crate) fn add(&mut self, n_tried: u64, rejects: impl IntoIterator<Item = Reject>) -> anyhow::Result<()> {
        self.n_tried += n_tried;
        for reject in rejects {
            let line = format!("{} ({}): {}: {}", reject.id, reject.source, reject.reason, reject.detail);
            tracing::debug!("reject {}", printable(&line));
            self.rejects.push(reject);
        }
        if self.n_rejects() > self.max_bad.rows(self.n_rows) {
            return Err(Exit::BadData.error(self.too_many()));
        }
        if self.n_tried == self.n_rows && self.n_rejects() == self.n_rows {
            return Err(Exit::BadData.error(format!("no row can be used. {}", self.summary())));
        }
        Ok(())
    }

    pub(crate) fn n_rejects(&self) -> u64 {
        self.rejects.len() as u64
    }

    fn too_many(&self) -> String {
        format!(
            "{} of the first {} rows cannot be used, and --max-bad {} bears {} of {}; finished parts are kept, so that the same command with a larger --max-bad goes on. {}",
            count(self.n_rejects()),
            count(self.n_tried),
            self.max_bad,
            count(self.max_bad.rows(self.n_rows)),
            count(self.n_rows),
            self.summary()
        )
    }

    /// Counts by reason, what helps, and the first few, a line each.
    fn summary(&self) -> String {
        let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
        self.rejects.iter().for_each(|r| *reasons.entry(&r.reason).or_default() += 1);
        let counts: Vec<_> = reasons.iter().map(|(reason, n)| format!("{reason} {}", count(*n))).collect();
        let named = self.rejects.iter().take(NAMED);
        let line = |r: &Reject| printable(&format!("{} ({}): {}", r.id, r.source, r.detail));
        let first: String = named.map(|r| format!("\n  {}", line(r))).collect();
        let all = if self.rejects.len() > NAMED { " (-v names all)" } else { "" };
        let none_is_good = self.n_rejects() == self.n_tried;
        let advice = if none_is_good && reasons.contains_key("too-small") {
            "; no picture tried is as large as --size: leave --size out, since feature-extract enlarges by itself, on the device"
        } else if reasons.contains_key("other-size") {
            "; give a --size, so that pictures are brought to it"
        } else {
            ""
        };
        format!("By reason: {}{advice}. First{all}:{first}", counts.join(", "))
    }
}

/// What an artifact that is already there has to hold to as well, when `--max-bad` is lower now.
pub(crate) fn check_finished(max_bad: MaxBad, n_rows: u64, n_rejects: u64) -> anyhow::Result<()> {
    let borne = max_bad.rows(n_rows);
    if n_rejects <= borne {
        return Ok(());
    }
    Err(Exit::BadData.error(format!(
        "{} of {} rows could not be used, and --max-bad {max_bad} bears {}; their reasons are in rejects.parquet of the artifact",
        count(n_rejects), count(n_rows), count(borne)
    )))
}
