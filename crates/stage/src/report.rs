//! What a stage has to say at its end, for people and as JSON.

use serde_json::{Map, Value};

use crate::{Exit, Outlook};

/// The outcome of one job.
#[derive(Debug, Clone)]
pub struct Report {
    /// Result fields of the JSON object on stdout.
    pub fields: Map<String, Value>,
    /// Lines for people on stdout: the result.
    pub lines: Vec<String>,
    /// The few figures that stand in the table when several variants ran: name and value.
    pub headline: Vec<(&'static str, String)>,
    /// [`Exit::Done`], or [`Exit::GateFailed`] when a quality gate failed.
    pub exit: Exit,
    /// How the artifact stands, where nothing else was asked.
    pub(crate) outlook: Option<Outlook>,
}

impl Report {
    /// A report with these JSON fields and nothing else yet.
    ///
    /// `fields` must be a JSON object; anything else is dropped.
    #[must_use]
    pub fn new(fields: Value) -> Self {
        let fields = match fields {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        Self { fields, lines: Vec::new(), headline: Vec::new(), exit: Exit::Done, outlook: None }
    }

    /// A report of how an artifact stands, and of nothing else.
    pub(crate) fn of_outlook(outlook: Outlook) -> Self {
        let fields = serde_json::json!({ "out": outlook.out.display().to_string() });
        let report = Self::new(fields).state(outlook.state.name());
        Self { outlook: Some(outlook), ..report }
    }

    /// Says whether the artifact was made now; `made` unless another word is given.
    #[must_use]
    pub(crate) fn state(mut self, state: &str) -> Self {
        self.fields.insert("state".into(), state.into());
        self
    }

    /// Adds a line for people.
    #[must_use]
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Adds a figure to the table of variants.
    #[must_use]
    pub fn figure(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headline.push((name, value.into()));
        self
    }
}

/// `12345` as `12,345`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `0.8372` as `83.72 %`.
#[must_use]
pub fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

/// A table of variants: one row a variant, one column a figure.
pub(crate) fn table(first: &'static str, rows: &[(String, &Report)]) -> Vec<String> {
    let Some((_, report)) = rows.first() else { return Vec::new() };
    let mut cells = vec![
        std::iter::once(first.to_string())
            .chain(report.headline.iter().map(|(n, _)| (*n).to_string()))
            .collect::<Vec<_>>(),
    ];
    for (name, report) in rows {
        cells.push(std::iter::once(name.clone()).chain(report.headline.iter().map(|(_, v)| v.clone())).collect());
    }
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |c: usize| cells.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut lines = Vec::new();
    for (r, row) in cells.iter().enumerate() {
        let mut line = String::new();
        for (c, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[c] - cell.chars().count());
            // Names to the left, figures to the right.
            line += &if c == 0 { format!("{cell}{pad}") } else { format!("   {pad}{cell}") };
        }
        lines.push(line);
        if r == 0 {
            lines.push("─".repeat(widths.iter().sum::<usize>() + 3 * (columns - 1)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
    }

    #[test]
    fn table_aligns() {
        let a = Report::new(Value::Null).figure("accuracy", "9.00 %");
        let b = Report::new(Value::Null).figure("accuracy", "91.25 %");
        let lines = table("backbone", &[("pixels".into(), &a), ("pretrained".into(), &b)]);
        assert_eq!(
            lines,
            ["backbone     accuracy", "─────────────────────", "pixels         9.00 %", "pretrained    91.25 %"]
        );
    }
}
