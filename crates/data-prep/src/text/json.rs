//! JSON lines: a row's text and id, and its other keys as columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use serde_json::{Map, Value};
use stage::{Exit, printable};

use crate::load::Refusal;
use crate::text::ids::Ids;
use crate::text::source::{Fields, Prompt};

/// Different keys that the rows of a source may have together. More are values in the place of keys.
const MAX_COLUMNS: usize = 1000;

/// Characters of a value that a message quotes.
const QUOTED: usize = 40;

/// What was seen of all rows.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    keys: BTreeMap<String, Seen>,
    pub(crate) ids: Ids,
}

/// Which values a key has had.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    booleans: bool,
    whole_numbers: bool,
    fractions: bool,
    others: bool,
}

/// A key that becomes a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Boolean, Int64, Float64 or Utf8.
    data_type: DataType,
}

impl Survey {
    /// Takes one row in. Rows that are no JSON will be rejects and say nothing here.
    pub(crate) fn add(&mut self, line: &[u8], id_name: Option<&str>) {
        let Ok(Value::Object(object)) = serde_json::from_slice(line) else { return };
        if let Some(Ok(id)) = id_name.map(|name| id(object.get(name), name)) {
            self.ids.add(id);
        }
        for (key, value) in object {
            // One more than there may be, so that it shows.
            if self.keys.len() <= MAX_COLUMNS || self.keys.contains_key(&key) {
                self.keys.entry(key).or_default().add(&value);
            }
        }
    }

    /// The first of the names that any row has as a key.
    pub(crate) fn pick(&self, names: &[String], option: &str) -> anyhow::Result<String> {
        let found = names.iter().find(|name| self.keys.contains_key(*name));
        found.cloned().ok_or_else(|| {
            let keys: Vec<_> = self.keys.keys().take(20).map(|key| printable(key)).collect();
            Exit::BadData.error(format!(
                "expected a key {}, found {}; name it with {option}",
                names.join(" or "),
                if keys.is_empty() { "no JSON object".to_string() } else { keys.join(", ") }
            ))
        })
    }

    /// All other keys, by name.
    pub(crate) fn columns(&self, fields: &Fields) -> anyhow::Result<Vec<Column>> {
        if self.keys.len() > MAX_COLUMNS {
            return Err(Exit::BadData.error(format!("more than {MAX_COLUMNS} different keys: each would be a column")));
        }
        let others = self.keys.iter().filter(|(key, _)| **key != fields.text && Some(*key) != fields.id.as_ref());
        Ok(others.map(|(key, seen)| Column { name: key.clone(), data_type: seen.data_type() }).collect())
    }
}

impl Seen {
    fn add(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::Bool(_) => self.booleans = true,
            Value::Number(n) if n.is_i64() => self.whole_numbers = true,
            Value::Number(n) if n.is_f64() => self.fractions = true,
            // Whole numbers beyond i64 would lose digits as any number.
            Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => self.others = true,
        }
    }

    fn data_type(self) -> DataType {
        match (self.booleans, self.whole_numbers, self.fractions, self.others) {
            (true, false, false, false) => DataType::Boolean,
            (false, true, false, false) => DataType::Int64,
            (false, _, true, false) => DataType::Float64,
            _ => DataType::Utf8,
        }
    }
}

/// Reads one row. Its other keys are left in `object`.
pub(crate) fn parse(line: &str, fields: &Fields) -> Prompt {
    let refused = |reason, detail| Prompt { id: None, text: Err(Refusal { reason, detail }), object: Map::new() };
    let mut object = match serde_json::from_str(line) {
        Ok(Value::Object(object)) => object,
        Ok(other) => return refused("not-json", format!("expected a JSON object, found {}", quoted(&other))),
        Err(e) => {
            // The library counts lines of its own, of which there is one.
            let what = e.to_string();
            let what = what.split(" at line ").next().unwrap_or_default();
            return refused("not-json", format!("it is no JSON: {what}, at byte {} of the line", e.column()));
        }
    };
    let id = match &fields.id {
        Some(name) => match id(object.remove(name).as_ref(), name) {
            Ok(id) => Some(id),
            Err(refusal) => return Prompt { id: None, text: Err(refusal), object },
        },
        None => None,
    };
    let name = &fields.text;
    let text = match object.remove(name) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(format!("expected text as `{name}`, found {}", quoted(&other))),
        None => Err(format!("it has no key `{name}`")),
    };
    Prompt { id, text: text.map_err(|detail| Refusal { reason: "no-text", detail }), object }
}

fn id(value: Option<&Value>, name: &str) -> Result<String, Refusal> {
    let detail = match value {
        Some(Value::String(id)) if !id.is_empty() => return Ok(id.clone()),
        Some(Value::Number(id)) if !id.is_f64() => return Ok(id.to_string()),
        Some(other) => format!("expected text or a whole number as `{name}`, found {}", quoted(other)),
        None => format!("it has no key `{name}`"),
    };
    Err(Refusal { reason: "no-id", detail })
}

fn quoted(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The other keys of these rows as columns; null where a row lacks one.
pub(crate) fn to_batch(columns: &[Column], rows: &[Map<String, Value>]) -> anyhow::Result<RecordBatch> {
    if columns.is_empty() {
        return Ok(artifact::no_columns(rows.len()));
    }
    let array = |Column { name, data_type }: &Column| -> ArrayRef {
        let values = rows.iter().map(|row| row.get(name).filter(|v| !v.is_null()));
        match data_type {
            DataType::Boolean => Arc::new(values.map(|v| v.and_then(Value::as_bool)).collect::<BooleanArray>()),
            DataType::Int64 => Arc::new(values.map(|v| v.and_then(Value::as_i64)).collect::<Int64Array>()),
            DataType::Float64 => Arc::new(values.map(|v| v.and_then(Value::as_f64)).collect::<Float64Array>()),
            _ => Arc::new(values.map(|v| v.map(as_text)).collect::<StringArray>()),
        }
    };
    let fields: Vec<_> = columns.iter().map(|c| Field::new(&c.name, c.data_type.clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.iter().map(array).collect())
        .map_err(|e| Exit::Bug.wrap(e))
}

/// Text as it is, anything else as JSON.
fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(lines: &[&str]) -> Vec<(String, DataType)> {
        let mut survey = Survey::default();
        lines.iter().for_each(|line| survey.add(line.as_bytes(), None));
        let fields = Fields { text: "text".into(), id: None };
        survey.columns(&fields).unwrap().into_iter().map(|c| (c.name, c.data_type)).collect()
    }

    #[test]
    fn a_column_has_the_narrowest_type_of_all_its_values() {
        let cases = [
            (&["true", "null", "false"][..], DataType::Boolean),
            (&["1", "-9223372036854775808", "null"], DataType::Int64),
            (&["1", "1.5", "1e3"], DataType::Float64),
            (&["9223372036854775808"], DataType::Utf8),
            (&["1.5", "9223372036854775808"], DataType::Utf8),
            (&["true", "1"], DataType::Utf8),
            (&["\"a\"", "1"], DataType::Utf8),
            (&["[1]", "{}"], DataType::Utf8),
            (&["null"], DataType::Utf8),
        ];
        for (values, expected) in cases {
            let lines: Vec<_> = values.iter().map(|v| format!("{{\"text\": \"x\", \"k\": {v}}}")).collect();
            let lines: Vec<_> = lines.iter().map(String::as_str).chain(["no JSON", "[1]", "{\"text\": 1}"]).collect();
            assert_eq!(types(&lines), [("k".to_string(), expected)], "{values:?}");
        }
    }

    #[test]
    fn too_many_keys_are_refused() {
        let line = |n: usize| format!("{{\"k{n}\": 1}}");
        let mut survey = Survey::default();
        (0..MAX_COLUMNS).for_each(|n| survey.add(line(n).as_bytes(), None));
        let fields = Fields { text: "text".into(), id: None };
        assert_eq!(survey.columns(&fields).unwrap().len(), MAX_COLUMNS);
        (0..3 * MAX_COLUMNS).for_each(|n| survey.add(line(n).as_bytes(), None));
        assert!(survey.columns(&fields).is_err() && survey.keys.len() == MAX_COLUMNS + 1);
    }
}
