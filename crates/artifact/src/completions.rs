//! The completions artifact: what was written behind each prompt, token by token, and why it ended.
//!
//! `id` and `prompt` utf8, `sequence` int32, `completion` utf8, `token_ids` list<int32>, `logprobs`
//! list<float32>, `finish_reason` utf8, `prompt_tokens` int32, then the prompts' other columns. All
//! sequences of a prompt stand behind each other.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type};
use arrow_array::{Array, ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field};
use serde::{Deserialize, Serialize};

use crate::examples::column;
use crate::{Error, Result, other_columns, tokens};

const OWN: [&str; 8] =
    ["id", "prompt", "sequence", "completion", "token_ids", "logprobs", "finish_reason", "prompt_tokens"];

/// Why a completion ends where it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// The wanted number of tokens was reached, or the model's context is full.
    Length,
    /// The model wrote an end token.
    Eos,
    /// It wrote this stop string.
    Stop(String),
    /// The prompt was passed over, because it is longer than the model's context.
    Skipped,
}

/// How many completions ended for which reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FinishCounts {
    /// See [`FinishReason::Length`].
    pub length: u64,
    /// See [`FinishReason::Eos`].
    pub eos: u64,
    /// See [`FinishReason::Stop`].
    pub stop: u64,
    /// See [`FinishReason::Skipped`].
    pub skipped: u64,
}

/// Facts in the manifest of a completions artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionsFacts {
    /// The model, as the person named it.
    pub model: String,
    /// BLAKE3 of the model's files.
    pub model_digest: String,
    /// BLAKE3 of the tokenizer's file.
    pub tokenizer_digest: String,
    /// Where the model ran: `cpu` or `cuda:N`.
    pub provider: String,
    /// How tokens were chosen, in words.
    pub strategy: String,
    /// Sequences of every prompt.
    pub n_sequences: u32,
    /// Tokens that were generated, in all completions.
    pub n_tokens: u64,
    /// Completions by the reason for which they ended.
    pub finished: FinishCounts,
}

/// The rows of one part: all sequences of its first prompt, then those of the second.
#[derive(Debug, Clone, PartialEq)]
pub struct CompletionPart {
    /// Keys of the prompts.
    pub ids: Vec<String>,
    /// The prompts' texts.
    pub prompts: Vec<String>,
    /// Which of the prompt's sequences, from 0.
    pub sequences: Vec<u32>,
    /// The text behind the prompt.
    pub completions: Vec<String>,
    /// Its tokens, without the prompt's.
    pub token_ids: Vec<Vec<u32>>,
    /// Natural logarithm of each token's probability.
    pub logprobs: Vec<Vec<f32>>,
    /// Why it ends there.
    pub finish_reasons: Vec<FinishReason>,
    /// Tokens of the prompt as the model got it.
    pub prompt_tokens: Vec<u32>,
    /// The prompts' other columns, see [`crate::take_rows`] and [`crate::no_columns`].
    pub other: RecordBatch,
}

impl FinishCounts {
    /// Counts one more.
    pub fn add(&mut self, reason: &FinishReason) {
        match reason {
            FinishReason::Length => self.length += 1,
            FinishReason::Eos => self.eos += 1,
            FinishReason::Stop(_) => self.stop += 1,
            FinishReason::Skipped => self.skipped += 1,
        }
    }
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("length"),
            Self::Eos => f.write_str("eos"),
            Self::Stop(string) => write!(f, "stop:{string}"),
            Self::Skipped => f.write_str("skipped"),
        }
    }
}

impl FromStr for FinishReason {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "length" => Ok(Self::Length),
            "eos" => Ok(Self::Eos),
            "skipped" => Ok(Self::Skipped),
            _ => match text.strip_prefix("stop:") {
                Some(string) => Ok(Self::Stop(string.to_string())),
                None => Err(format!("expected length, eos, stop:STRING or skipped, found {text:?}")),
            },
        }
    }
}

impl CompletionPart {
    /// The rows as an Arrow batch. Other columns become nullable, and one that is named as one of
    /// ours gets `input_` in front.
    ///
    /// # Errors
    /// [`Error::Bug`] when the columns have different lengths, or a row has more or fewer log-probabilities
    /// than tokens.
    pub fn to_batch(self) -> Result<RecordBatch> {
        self.check_lengths()?;
        let text = |name, values: Vec<String>| -> (Field, ArrayRef) {
            (Field::new(name, DataType::Utf8, false), Arc::new(StringArray::from(values)))
        };
        let number = |name, values: &[u32]| -> Result<(Field, ArrayRef)> {
            let values = values.iter().map(|v| i32::try_from(*v)).collect::<std::result::Result<Vec<_>, _>>();
            let values = values.map_err(|_| Error::Bug(format!("{name} does not fit int32")))?;
            Ok((Field::new(name, DataType::Int32, false), Arc::new(Int32Array::from(values))))
        };
        let reasons = self.finish_reasons.iter().map(ToString::to_string).collect();
        let own = vec![
            text(OWN[0], self.ids),
            text(OWN[1], self.prompts),
            number(OWN[2], &self.sequences)?,
            text(OWN[3], self.completions),
            (Field::new(OWN[4], tokens::list_of(DataType::Int32), false), tokens::to_column(&self.token_ids)?),
            (Field::new(OWN[5], tokens::list_of(DataType::Float32), false), floats(&self.logprobs)),
            text(OWN[6], reasons),
            number(OWN[7], &self.prompt_tokens)?,
        ];
        other_columns::append(own, &self.other, "completions")
    }

    /// Reads the rows back and checks the columns.
    ///
    /// # Errors
    /// [`Error::Malformed`] naming the column, what was expected and what was found.
    pub fn from_batches(batches: &[RecordBatch], path: &Path) -> Result<Self> {
        let mut part = Self::empty(other_columns::collect(batches, &OWN, path)?);
        let mut reasons = Vec::new();
        for batch in batches {
            let texts = [
                (OWN[0], &mut part.ids),
                (OWN[1], &mut part.prompts),
                (OWN[3], &mut part.completions),
                (OWN[6], &mut reasons),
            ];
            for (name, into) in texts {
                let column = column(batch, name, &DataType::Utf8, path)?;
                into.extend(column.as_string::<i32>().iter().flatten().map(str::to_owned));
            }
            for (name, into) in [(OWN[2], &mut part.sequences), (OWN[7], &mut part.prompt_tokens)] {
                let column = column(batch, name, &DataType::Int32, path)?;
                for value in column.as_primitive::<Int32Type>().values() {
                    let value = u32::try_from(*value);
                    into.push(
                        value.map_err(|_| Error::malformed(path, format!("column `{name}` has a number below 0")))?,
                    );
                }
            }
            tokens::read(batch, OWN[4], path, &mut part.token_ids)?;
            let lists = column(batch, OWN[5], &tokens::list_of(DataType::Float32), path)?.as_list::<i32>();
            let row = |row| lists.value(row).as_primitive::<Float32Type>().values().to_vec();
            part.logprobs.extend((0..lists.len()).map(row));
        }
        let reasons = reasons.iter().map(|r| r.parse()).collect::<std::result::Result<_, String>>();
        part.finish_reasons =
            reasons.map_err(|reason| Error::malformed(path, format!("column `{}`: {reason}", OWN[6])))?;
        part.check_lengths().map_err(|e| Error::malformed(path, e))?;
        Ok(part)
    }

    /// No rows yet; `other` must have as many as there will be.
    #[must_use]
    pub fn empty(other: RecordBatch) -> Self {
        Self {
            ids: Vec::new(),
            prompts: Vec::new(),
            sequences: Vec::new(),
            completions: Vec::new(),
            token_ids: Vec::new(),
            logprobs: Vec::new(),
            finish_reasons: Vec::new(),
            prompt_tokens: Vec::new(),
            other,
        }
    }

    /// Every token has its log-probability.
    fn check_lengths(&self) -> Result<()> {
        let lengths = self.token_ids.iter().zip(&self.logprobs).map(|(ids, logprobs)| (ids.len(), logprobs.len()));
        match lengths.enumerate().find(|(_, (ids, logprobs))| ids != logprobs) {
            Some((row, (ids, logprobs))) => {
                Err(Error::Bug(format!("row {row} has {ids} tokens and {logprobs} log-probabilities")))
            }
            None => Ok(()),
        }
    }
}

fn floats(rows: &[Vec<f32>]) -> ArrayRef {
    let mut builder = ListBuilder::new(Float32Builder::new()).with_field(tokens::element(DataType::Float32));
    for row in rows {
        builder.values().append_slice(row);
        builder.append(true);
    }
    Arc::new(builder.finish())
}
