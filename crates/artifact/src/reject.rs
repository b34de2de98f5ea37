//! Inputs that could not be used, kept with their reason.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// One input that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The id that the row would have had.
    pub id: String,
    /// File (and row or member) that it came from.
    pub source: String,
    /// One stable word, such as `truncated` or `too-large`.
    pub reason: String,
    /// The sentence for people.
    pub detail: String,
}

/// Columns `id`, `source`, `reason`, `detail`, all utf8.
pub(crate) fn to_batch(rejects: &[Reject]) -> Result<RecordBatch> {
    let column =
        |field: fn(&Reject) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(rejects.iter().map(field))) };
    RecordBatch::try_from_iter([
        ("id", column(|r| &r.id)),
        ("source", column(|r| &r.source)),
        ("reason", column(|r| &r.reason)),
        ("detail", column(|r| &r.detail)),
    ])
    .map_err(|e| Error::Bug(e.to_string()))
}
