//! The scores of the classes, and which rows they are of.

use crate::markup::count;
use crate::scores::{ClassScore, class_table};

/// The scores of the classes on one split.
#[derive(Debug, Clone, PartialEq)]
pub struct PerClass {
    /// The split that was scored.
    pub split: &'static str,
    /// One a class.
    pub scores: Vec<ClassScore>,
}

impl PerClass {
    pub(crate) fn draw(&self, classes: &[String]) -> String {
        let rows = self.scores.iter().map(|s| s.support as usize).sum();
        format!(
            r#"<p class="note">On {} {} rows.{}</p>{}"#,
            count(rows),
            self.split,
            caution(self.split),
            class_table(classes, &self.scores)
        )
    }
}

/// What to bear in mind of figures on rows that had a say in what is judged by them.
pub(crate) fn caution(split: &str) -> &'static str {
    match split {
        "validation" => " The settings were chosen by these rows, so other pictures may fare a little worse.",
        _ => "",
    }
}
