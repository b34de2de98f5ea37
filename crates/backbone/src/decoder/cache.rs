//! The keys and values of a batch, on the device.

use ort::value::DynValue;

/// What a decoder remembers of a batch of rows.
///
/// Made by [`Decoder::start`](crate::Decoder::start) and good for that decoder only.
#[derive(Debug)]
pub struct Cache {
    /// Two a layer, `[rows, heads, capacity or width, dim]`.
    pub(super) tensors: Vec<DynValue>,
    /// Buffers of the last selection, for the next one of the same shape.
    pub(super) spare: Vec<DynValue>,
    /// Tokens of each row, padding not counted.
    pub(super) lengths: Vec<usize>,
    /// Tokens that a row can have at most.
    pub(super) capacity: usize,
    /// Length of the cache's third axis that is in use, where the cache grows.
    pub(super) width: usize,
}

impl Cache {
    /// Number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.lengths.len()
    }

    /// Tokens of each row that are in the cache.
    #[must_use]
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Tokens of the longest row.
    pub(super) fn longest(&self) -> usize {
        self.lengths.iter().copied().max().unwrap_or(0)
    }
}
