//! Every prompt needs an id of its own: completions are matched with it, and random draws keyed by it.

use std::collections::HashSet;

use stage::Exit;

use crate::report::counted;

/// Ids that the error names.
const NAMED: usize = 5;

/// The ids so far.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    seen: HashSet<String>,
    n_repeated: u64,
    first: Vec<String>,
}

/// The id of a row of a source that has none.
pub(crate) fn made_up(source: &str, number: u64) -> String {
    format!("{source}/{number:07}")
}

impl Ids {
    pub(crate) fn add(&mut self, id: String) {
        if self.seen.contains(&id) {
            self.n_repeated += 1;
            if self.first.len() < NAMED {
                self.first.push(id);
            }
        } else {
            self.seen.insert(id);
        }
    }

    /// Exit 65 if any id came twice.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.n_repeated == 0 {
            return Ok(());
        }
        Err(Exit::BadData.error(format!(
            "{} more than once, first {:?}; every prompt needs an id of its own: is an --input given twice, or does --id-field name something else?",
            counted(self.n_repeated, "id occurs", "ids occur"),
            self.first
        )))
    }
}
