//! The one product everything rests on: logits = X · Wᵀ + b. Its callers have checked the shapes.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

/// Rows a task takes at once. Fixed, so that no boundary depends on the number of threads.
pub(crate) const CHUNK_ROWS: usize = 1024;

/// Writes X · Wᵀ + b into `logits`.
///
/// `features` f32 `[n, feature_dim]`, `weight` f32 `[columns, feature_dim]`, `bias` f32 `[columns]`, `logits`
/// f32 `[n, columns]`.
///
/// A column comes out with the same bits however many columns stand beside it: `matrixmultiply` splits
/// the sum over `feature_dim` at fixed places and pads the edges of its tiles with zeros that reach no
/// other column. A test in `sweep` holds it to that.
pub(crate) fn affine_into(
    features: ArrayView2<'_, f32>,
    weight: ArrayView2<'_, f32>,
    bias: &[f32],
    mut logits: ArrayViewMut2<'_, f32>,
) {
    general_mat_mul(1.0, &features, &weight.t(), 0.0, &mut logits);
    for mut row in logits.rows_mut() {
        for (logit, bias) in row.iter_mut().zip(bias) {
            *logit += bias;
        }
    }
}

/// The position of the largest value, the first of equals; 0 when nothing compares.
pub(crate) fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (position, value) in values.iter().enumerate().skip(1) {
        if *value > values[best] {
            best = position;
        }
    }
    best
}
