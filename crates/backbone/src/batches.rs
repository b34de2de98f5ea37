//! Batches for models that insist on a number of rows.

use ndarray::{Array2, Array4, ArrayView4, Axis, concatenate, s};
use ort::session::Session;
use ort::value::{Outlet, ValueType};

use crate::Result;

/// The number of rows that a model insists on, if it does: the first dimension of its first input.
pub(crate) fn fixed_batch(session: &Session) -> Option<usize> {
    match session.inputs().first().map(Outlet::dtype) {
        Some(ValueType::Tensor { shape, .. }) => {
            shape.first().and_then(|d| usize::try_from(*d).ok()).filter(|d| *d > 0)
        }
        _ => None,
    }
}

/// Feeds pictures to `run`, which gives `N` arrays of one row a picture: all at once, or `fixed` at a time, the last
/// ones filled up with zeros whose rows are dropped.
pub(crate) fn in_batches<const N: usize>(
    fixed: Option<usize>,
    pixels: ArrayView4<'_, u8>,
    mut run: impl FnMut(ArrayView4<'_, u8>) -> Result<[Array2<f32>; N]>,
) -> Result<[Array2<f32>; N]> {
    let Some(fixed) = fixed else { return run(pixels) };
    let (n, height, width, channels) = pixels.dim();
    let mut all: Option<[Array2<f32>; N]> = None;
    // No row at all is one batch of filling: only the model knows how wide its rows are.
    for start in (0..n.max(1)).step_by(fixed) {
        let end = (start + fixed).min(n);
        let rows = pixels.slice(s![start..end, .., .., ..]);
        let found = if end - start == fixed {
            run(rows)?
        } else {
            let filling = Array4::zeros((fixed - (end - start), height, width, channels));
            let full = concatenate(Axis(0), &[rows, filling.view()]).expect("both have the shape of one picture");
            run(full.view())?
        };
        let all = all.get_or_insert_with(|| found.each_ref().map(|array| Array2::zeros((n, array.ncols()))));
        for (all, found) in all.iter_mut().zip(&found) {
            all.slice_mut(s![start..end, ..]).assign(&found.slice(s![..end - start, ..]));
        }
    }
    Ok(all.expect("there is one batch at least"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two arrays: the first byte of every picture, and how many rows came together with it.
    fn observe(rows: ArrayView4<'_, u8>) -> [Array2<f32>; 2] {
        let n = rows.len_of(Axis(0));
        let first = Array2::from_shape_fn((n, 1), |(i, _)| f32::from(rows[[i, 0, 0, 0]]));
        [first, Array2::from_elem((n, 2), n as f32)]
    }

    #[test]
    fn rows_keep_their_order_and_the_filling_is_dropped() {
        let pixels = Array4::from_shape_fn((5, 1, 1, 3), |(i, ..)| i as u8 + 1);
        for (fixed, together) in [(None, 5.0), (Some(2), 2.0), (Some(5), 5.0), (Some(7), 7.0)] {
            let [first, n] = in_batches(fixed, pixels.view(), |rows| Ok(observe(rows))).unwrap();
            assert_eq!(first.column(0).to_vec(), [1.0, 2.0, 3.0, 4.0, 5.0], "{fixed:?}");
            assert_eq!(n, Array2::from_elem((5, 2), together), "{fixed:?}");
        }
        let none = pixels.slice(s![..0, .., .., ..]);
        let [first, n] = in_batches(Some(2), none, |rows| Ok(observe(rows))).unwrap();
        assert_eq!((first.dim(), n.dim()), ((0, 1), (0, 2)));
    }
}
