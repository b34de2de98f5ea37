//! What is needed to repeat the run.

use std::fmt::Write;

use crate::markup::text;

/// A named value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// Its value as text.
    pub value: String,
}

/// Where the numbers come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provenance {
    /// A command that makes the same again.
    pub command: String,
    /// Inputs, digests, versions.
    pub facts: Vec<Fact>,
    /// Every setting with its value.
    pub settings: Vec<Fact>,
}

impl Provenance {
    pub(crate) fn draw(&self) -> String {
        let list = |facts: &[Fact]| {
            let mut out = String::new();
            for fact in facts {
                let _ = write!(out, "<dt>{}</dt><dd>{}</dd>", text(&fact.name), text(&fact.value));
            }
            format!("<dl>{out}</dl>")
        };
        format!(
            "<pre><code>{}</code></pre>{}<details><summary>All settings</summary>{}</details>",
            text(&self.command),
            list(&self.facts),
            list(&self.settings)
        )
    }
}
