//! What will be made: the parts, the fingerprint's ingredients and the facts.

use std::ops::Range;

use artifact::{Input, Kind, PartPlan, Plan, PromptsFacts};
use serde_json::{Value, json};

use crate::text::encode::Made;
use crate::text::settings::Settings;
use crate::text::source::Index;

/// Everything that is needed to make the parts.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) index: Index,
    part_rows: usize,
    max_text_bytes: usize,
}

impl Work {
    pub(crate) fn new(index: Index, settings: &Settings) -> Self {
        Self { index, part_rows: settings.part_rows, max_text_bytes: settings.max_text_bytes }
    }

    /// The rows of one part. They alone decide its content.
    pub(crate) fn rows_of(&self, part: usize) -> Range<usize> {
        let start = part * self.part_rows;
        start..self.index.n_rows.min(start + self.part_rows)
    }

    /// The artifact's plan. What cannot change a byte (threads, `--max-bad`) is not in it.
    pub(crate) fn plan(&self, inputs: Vec<Input>) -> Plan {
        let Index { kind, sources, fields, n_rows, .. } = &self.index;
        let config = json!({
            "source": kind.name(),
            "identity": sources.iter().map(|s| &s.name).collect::<Vec<_>>(),
            "text_field": (!fields.text.is_empty()).then_some(&fields.text),
            "id_field": fields.id,
            "max_text_bytes": self.max_text_bytes,
            "part_rows": self.part_rows,
        });
        let parts = (0..n_rows.div_ceil(self.part_rows)).map(PartPlan::unsplit).collect();
        Plan { kind: Kind::Prompts, config, inputs, parts }
    }
}

/// The facts of the manifest. The tokenizer is the last of the inputs.
pub(crate) fn facts(plan: &Plan, made: &Made) -> anyhow::Result<Value> {
    let tokenizer = plan.inputs.last().cloned().unwrap_or_else(|| Input { name: String::new(), digest: String::new() });
    let facts = PromptsFacts {
        tokenizer: tokenizer.name,
        tokenizer_digest: tokenizer.digest,
        n_tokens: made.n_tokens,
        longest: made.longest,
        rejects: made.n_rejects,
    };
    Ok(serde_json::to_value(facts)?)
}
