//! The prompts artifact: `id` and `text` utf8, `input_ids` list<int32>, then the input's other columns.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{RecordBatch, StringArray};
use arrow_schema::{DataType, Field};
use serde::{Deserialize, Serialize};

use crate::examples::column;
use crate::{Result, other_columns, tokens};

const OWN: [&str; 3] = ["id", "text", "input_ids"];

/// Facts in the manifest of a prompts artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptsFacts {
    /// The tokenizer, as the person named it.
    pub tokenizer: String,
    /// BLAKE3 of the tokenizer's file.
    pub tokenizer_digest: String,
    /// Tokens of all prompts.
    pub n_tokens: u64,
    /// Tokens of the longest prompt.
    pub longest: u32,
    /// Rows that could not be used.
    pub rejects: u64,
}

/// The rows of one part.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptPart {
    /// Stable keys.
    pub ids: Vec<String>,
    /// The prompts as they were given.
    pub texts: Vec<String>,
    /// The same as token ids, the tokenizer's own start token included where it has one.
    pub input_ids: Vec<Vec<u32>>,
    /// The input's other columns, see [`crate::no_columns`] where it has none.
    pub other: RecordBatch,
}

impl PromptPart {
    /// The rows as an Arrow batch. Other columns become nullable, and one that is named as one of
    /// ours gets `input_` in front.
    ///
    /// # Errors
    /// [`crate::Error::Bug`] when the columns have different lengths.
    pub fn to_batch(self) -> Result<RecordBatch> {
        let own = [
            (Field::new(OWN[0], DataType::Utf8, false), Arc::new(StringArray::from(self.ids)) as _),
            (Field::new(OWN[1], DataType::Utf8, false), Arc::new(StringArray::from(self.texts)) as _),
            (Field::new(OWN[2], tokens::list_of(DataType::Int32), false), tokens::to_column(&self.input_ids)?),
        ];
        other_columns::append(own.into(), &self.other, "prompts")
    }

    /// Reads the rows back and checks the columns.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] naming the column, what was expected and what was found.
    pub fn from_batches(batches: &[RecordBatch], path: &Path) -> Result<Self> {
        let other = other_columns::collect(batches, &OWN, path)?;
        let mut part = Self { ids: Vec::new(), texts: Vec::new(), input_ids: Vec::new(), other };
        for batch in batches {
            for (name, into) in [(OWN[0], &mut part.ids), (OWN[1], &mut part.texts)] {
                let column = column(batch, name, &DataType::Utf8, path)?;
                into.extend(column.as_string::<i32>().iter().flatten().map(str::to_owned));
            }
            tokens::read(batch, OWN[2], path, &mut part.input_ids)?;
        }
        Ok(part)
    }
}
