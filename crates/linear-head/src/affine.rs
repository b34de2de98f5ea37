//! The one product everything rests on: logits = X · Wᵀ + b. Its callers have checked the shapes.

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::kernels;

/// Rows a task takes at once. Fixed, so that no boundary depends on the number of threads.
pub(crate) const CHUNK_ROWS: usize = 1024;

/// Writes X · Wᵀ + b into `logits`.
///
/// `features` f32 `[n, feature_dim]`, `weight` f32 `[columns, feature_dim]`, `bias` f32 `[columns]`, `logits`
/// f32 `[n, columns]`, row-major.
///
/// A column comes out with the same bits however many columns stand beside it. A test in `sweep` holds it to that.
pub(crate) fn affine_into(
    features: ArrayView2<'_, f32>,
    weight: ArrayView2<'_, f32>,
    bias: &[f32],
    mut logits: ArrayViewMut2<'_, f32>,
) {
    let features = features.as_standard_layout();
    let (x, w) = (features.as_slice(), weight.as_slice());
    let feature_dim = weight.ncols();
    let (x, w) = (x.expect("made row-major"), w.expect("weights are row-major"));
    kernels::affine(x, w, bias, feature_dim, logits.as_slice_mut().expect("logits are row-major"));
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
