//! A run of mini-batches gathered into one contiguous block, so that scattered rows are read from memory
//! once an epoch however many groups train on them.

use ndarray::{Array2, ArrayView2, Axis, Slice};
use rayon::prelude::*;

use crate::Split;

/// Values a window aims at: 4 MiB, so that it is still in the cache when used.
const WINDOW_VALUES: usize = 1 << 20;
/// Rows a gathering task copies.
const GATHER_ROWS: usize = 128;

/// Whole mini-batches: f32 `[n_rows, feature_dim]` and `[n_rows]` labels.
pub(crate) struct Window {
    features: Array2<f32>,
    labels: Vec<u32>,
}

impl Window {
    /// Room for a whole number of batches, at least one and no more than `n_examples` need.
    pub(crate) fn new(batch_size: usize, feature_dim: usize, n_examples: usize) -> Self {
        let n_batches = (WINDOW_VALUES / feature_dim / batch_size).clamp(1, n_examples.div_ceil(batch_size));
        let n_rows = n_batches * batch_size;
        Self { features: Array2::zeros((n_rows, feature_dim)), labels: vec![0; n_rows] }
    }

    /// Rows it holds when full, a multiple of the batch size.
    pub(crate) fn n_rows(&self) -> usize {
        self.labels.len()
    }

    /// Copies as many of these rows as it holds.
    pub(crate) fn gather_first(&mut self, split: Split<'_>, rows: &[u32]) {
        self.gather(split, &rows[..rows.len().min(self.n_rows())]);
    }

    /// Copies these rows of the split to the front, in this order.
    pub(crate) fn gather(&mut self, split: Split<'_>, rows: &[u32]) {
        let chunks: Vec<_> = self.features.axis_chunks_iter_mut(Axis(0), GATHER_ROWS).collect();
        chunks.into_par_iter().zip(rows.par_chunks(GATHER_ROWS)).for_each(|(mut chunk, rows)| {
            for (mut to, row) in chunk.rows_mut().into_iter().zip(rows) {
                let from = split.features.row(*row as usize);
                match (to.as_slice_mut(), from.as_slice()) {
                    (Some(to), Some(from)) => to.copy_from_slice(from),
                    _ => to.assign(&from),
                }
            }
        });
        for (to, row) in self.labels.iter_mut().zip(rows) {
            *to = split.labels[*row as usize];
        }
    }

    /// The first `n_rows` rows as mini-batches, the last perhaps smaller.
    pub(crate) fn batches(
        &self,
        n_rows: usize,
        batch_size: usize,
    ) -> impl Iterator<Item = (ArrayView2<'_, f32>, &[u32])> {
        (0..n_rows).step_by(batch_size).map(move |first| {
            let rows = first..n_rows.min(first + batch_size);
            (self.features.slice_axis(Axis(0), Slice::from(rows.clone())), &self.labels[rows])
        })
    }
}
