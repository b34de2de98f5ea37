//! The one product everything rests on: logits = X · Wᵀ + b. Its callers have checked the shapes.

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::kernels::Affine;
use crate::panels::Panels;

/// Rows a task takes at once. Fixed, so that no boundary depends on the number of threads.
pub(crate) const CHUNK_ROWS: usize = 1024;

/// Writes X · Wᵀ + b into `logits`.
///
/// `features` f32 `[n, feature_dim]`, `weight` of as many features, `bias` f32 `[n_places]`, `logits` f32 `[n, n_columns]` or
/// `[n, n_places]`, row-major.
///
/// A column comes out with the same bits however many columns stand beside it. A test in `sweep` holds it to that.
pub(crate) fn affine_into(
    features: ArrayView2<'_, f32>,
    weight: &Panels,
    bias: &[f32],
    mut logits: ArrayViewMut2<'_, f32>,
) {
    let (features, stride) = (features.as_standard_layout(), logits.ncols());
    let features = features.as_slice().expect("made row-major");
    let logits = logits.as_slice_mut().expect("logits are row-major");
    Affine { features, weight, bias, logits, stride }.run();
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
