//! A split of examples and the checks made on it before anything is computed.

use ndarray::{ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use crate::affine::CHUNK_ROWS;
use crate::{Error, Result};

/// Examples of one split: `features` f32 `[n, feature_dim]` and `labels` `[n]`, aligned row by row.
#[derive(Debug, Clone, Copy)]
pub struct Split<'a> {
    /// f32 `[n, feature_dim]`, any memory order (row-major is fastest).
    pub features: ArrayView2<'a, f32>,
    /// `n` labels in `0..n_classes`.
    pub labels: &'a [u32],
}

impl Split<'_> {
    /// Checks widths, lengths, labels and finiteness; an empty split passes.
    pub(crate) fn check(&self, split: &'static str, n_classes: usize, feature_dim: usize) -> Result<()> {
        if self.features.ncols() != feature_dim {
            let found = self.features.ncols();
            return Err(Error::Dimension { what: "features per example", expected: feature_dim, found });
        }
        check_labels(split, self.labels, self.features.nrows(), n_classes)?;
        check_finite(split, self.features)
    }
}

/// Labels must be as many as rows and each in `0..n_classes`.
pub(crate) fn check_labels(split: &'static str, labels: &[u32], n_rows: usize, n_classes: usize) -> Result<()> {
    if labels.len() != n_rows {
        return Err(Error::Dimension { what: "labels (one a row)", expected: n_rows, found: labels.len() });
    }
    match labels.iter().enumerate().find(|(_, label)| **label as usize >= n_classes) {
        Some((row, &label)) => Err(Error::LabelOutOfRange { split, row, label, n_classes }),
        None => Ok(()),
    }
}

/// Finds the first value that is NaN or infinite, in row order.
pub(crate) fn check_finite(what: &'static str, values: ArrayView2<'_, f32>) -> Result<()> {
    let chunks: Vec<_> = values.axis_chunks_iter(Axis(0), CHUNK_ROWS).collect();
    let found = chunks.into_par_iter().enumerate().find_map_first(|(nth, rows)| {
        // The fold without an early exit is what the compiler turns into vector code.
        let is_finite = |cells: &ArrayView1<'_, f32>| cells.iter().fold(true, |all, value| all & value.is_finite());
        let (row, cells) = (nth * CHUNK_ROWS..).zip(rows.rows()).find(|(_, cells)| !is_finite(cells))?;
        let (column, &value) = cells.iter().enumerate().find(|(_, value)| !value.is_finite())?;
        Some(Error::NonFinite { what, row, column, value })
    });
    found.map_or(Ok(()), Err)
}

/// Logits with their labels, as scores and calibration take them: at least one row and one column, all
/// finite, labels in range.
pub(crate) fn check_scored(logits: ArrayView2<'_, f32>, labels: &[u32]) -> Result<()> {
    if logits.is_empty() {
        return Err(Error::EmptySplit { split: "scored" });
    }
    check_labels("scored", labels, logits.nrows(), logits.ncols())?;
    check_finite("logits", logits)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn each_fault_is_named_with_its_row() {
        let features = array![[0.0, 1.0], [f32::NAN, 2.0]];
        let split = Split { features: features.view(), labels: &[0, 1] };
        let error = split.check("training", 2, 2).unwrap_err();
        assert!(matches!(error, Error::NonFinite { row: 1, column: 0, .. }), "{error}");
        assert!(error.to_string().starts_with("column 0 of training row 1 is NaN"), "{error}");

        // The first of several, also where threads look for them in pieces.
        let mut many = Array2::zeros((3 * CHUNK_ROWS, 2));
        for row in [3 * CHUNK_ROWS - 1, CHUNK_ROWS + 5, 2 * CHUNK_ROWS] {
            many[[row, 1]] = f32::INFINITY;
        }
        for _ in 0..20 {
            let error = check_finite("training", many.view()).unwrap_err();
            assert!(matches!(error, Error::NonFinite { row, column: 1, .. } if row == CHUNK_ROWS + 5), "{error}");
        }

        let split = Split { features: features.view(), labels: &[0, 7] };
        let error = split.check("validation", 2, 2).unwrap_err();
        assert!(matches!(error, Error::LabelOutOfRange { row: 1, label: 7, n_classes: 2, .. }), "{error}");

        let split = Split { features: features.view(), labels: &[0] };
        assert!(matches!(split.check("training", 2, 2), Err(Error::Dimension { expected: 2, found: 1, .. })));
        assert!(matches!(split.check("training", 2, 5), Err(Error::Dimension { expected: 5, found: 2, .. })));
    }
}
