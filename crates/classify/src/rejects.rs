//! Pictures that could not be used: the first few said as they come, and counted until they are too many.

use artifact::Reject;
use stage::{Exit, MaxBad, count, printable};

/// Rejects that are said one by one; of a folder that is no use at all, thousands would say nothing more.
const NAMED: u64 = 20;

/// Rejects so far.
#[derive(Debug)]
pub(crate) struct Tally {
    max_bad: MaxBad,
    n_pictures: u64,
    n_rejects: u64,
    first: Option<String>,
}

impl Tally {
    /// Of `n_pictures` pictures, none tried yet.
    pub(crate) fn new(max_bad: MaxBad, n_pictures: u64) -> Self {
        Self { max_bad, n_pictures, n_rejects: 0, first: None }
    }

    /// Counts those of one batch.
    ///
    /// # Errors
    /// Exit 65 as soon as there are more than are borne, or all are rejects.
    pub(crate) fn add<'a>(&mut self, rejects: impl IntoIterator<Item = &'a Reject>) -> anyhow::Result<()> {
        for reject in rejects {
            let line = printable(&format!("{} ({}): {}", reject.id, reject.reason, reject.detail));
            self.n_rejects += 1;
            match self.n_rejects {
                ..=NAMED => tracing::warn!("not classified: {line}"),
                _ => tracing::debug!("not classified: {line}"),
            }
            if self.n_rejects == NAMED + 1 {
                tracing::warn!("more pictures are not classified (-v names all)");
            }
            self.first.get_or_insert(line);
        }
        check(self.max_bad, self.n_pictures, self.n_rejects)?;
        match &self.first {
            Some(first) if self.n_rejects == self.n_pictures => Err(Exit::BadData
                .error(format!("no picture could be classified, of {}; the first is {first}", count(self.n_pictures)))),
            _ => Ok(()),
        }
    }

    pub(crate) fn n_rejects(&self) -> u64 {
        self.n_rejects
    }
}

/// Whether so many rejects are borne; asked of an artifact that is already there too.
pub(crate) fn check(max_bad: MaxBad, n_pictures: u64, n_rejects: u64) -> anyhow::Result<()> {
    let borne = max_bad.rows(n_pictures);
    if n_rejects <= borne {
        return Ok(());
    }
    Err(Exit::BadData.error(format!(
        "{} of {} pictures could not be used, and --max-bad {max_bad} bears {}; look at what was said of them, or give a larger --max-bad",
        count(n_rejects),
        count(n_pictures),
        count(borne)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(id: &str) -> Reject {
        Reject { id: id.into(), source: "s".into(), reason: "empty".into(), detail: "the file is empty".into() }
    }

    #[test]
    fn too_many_are_an_error_and_so_are_all() {
        let mut tally = Tally::new(MaxBad::Rows(1), 3);
        assert!(tally.add(&[reject("a")]).is_ok());
        let error = tally.add(&[reject("b")]).unwrap_err();
        assert_eq!((Exit::of(&error), tally.n_rejects()), (Exit::BadData, 2));
        let mut tally = Tally::new(MaxBad::Share(1.0), 2);
        assert!(tally.add(&[reject("a")]).is_ok());
        let error = tally.add(&[reject("b")]).unwrap_err().to_string();
        assert!(error.contains("of 2; the first is a (empty): the file is empty"), "{error}");
    }
}
