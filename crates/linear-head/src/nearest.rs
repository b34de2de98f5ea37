//! For each row of one set the most similar row of another: how pictures that are in training and test alike are found.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis, Slice};
use rayon::prelude::*;

use crate::split::check_finite;
use crate::{Error, Result};

/// Rows a product takes at once from either side: 4 MiB of products a thread.
const BLOCK_ROWS: usize = 1024;

/// A row's most similar row of the other set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Row of `references`.
    pub row: usize,
    /// Cosine of the angle between the two, in `[-1, 1]`; 0 where one of them is all zeros.
    pub similarity: f32,
}

/// For each row q of `queries` f32 `[m, feature_dim]`, the row r of `references` f32 `[n, feature_dim]` with the largest
/// q · r / (|q| |r|), the first of equals; in the order of `queries`. Rows should be centred: otherwise the mean
/// that all share makes everything similar.
///
/// Takes m · n · feature_dim multiply-adds in blocked f32 products (a few times 10¹⁰ a second and core) and 4 MiB
/// a thread beside its arguments. Blocks are fixed, so the result does not depend on the number of threads.
///
/// # Errors
/// [`Error::EmptySplit`] for no references, [`Error::Dimension`] for other widths, [`Error::NonFinite`].
pub fn nearest(queries: ArrayView2<'_, f32>, references: ArrayView2<'_, f32>) -> Result<Vec<Neighbour>> {
    if references.nrows() == 0 {
        return Err(Error::EmptySplit { split: "reference" });
    }
    if queries.ncols() != references.ncols() {
        let (expected, found) = (references.ncols(), queries.ncols());
        return Err(Error::Dimension { what: "features per example", expected, found });
    }
    check_finite("query", queries)?;
    check_finite("reference", references)?;
    let inverse_lengths = |rows: ArrayView2<'_, f32>| -> Vec<f32> {
        let length = |row: ndarray::ArrayView1<'_, f32>| row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let inverse = |length: f64| if length > 0.0 { (1.0 / length) as f32 } else { 0.0 };
        rows.outer_iter().map(|row| inverse(length(row))).collect()
    };
    let (query_scale, reference_scale) = (inverse_lengths(queries), inverse_lengths(references));
    let blocks: Vec<_> = queries.axis_chunks_iter(Axis(0), BLOCK_ROWS).zip(query_scale.chunks(BLOCK_ROWS)).collect();
    let found: Vec<Vec<Neighbour>> = blocks
        .into_par_iter()
        .map(|(block, scales)| {
            let mut best = vec![Neighbour { row: 0, similarity: f32::NEG_INFINITY }; block.nrows()];
            let mut products = Array2::zeros((block.nrows(), BLOCK_ROWS.min(references.nrows())));
            for first in (0..references.nrows()).step_by(BLOCK_ROWS) {
                let rows = first..references.nrows().min(first + BLOCK_ROWS);
                let mut products = products.slice_axis_mut(Axis(1), Slice::from(..rows.len()));
                let others = references.slice_axis(Axis(0), Slice::from(rows.clone()));
                general_mat_mul(1.0, &block, &others.t(), 0.0, &mut products);
                for (best, products) in best.iter_mut().zip(products.outer_iter()) {
                    for ((row, product), scale) in rows.clone().zip(products).zip(&reference_scale[rows.clone()]) {
                        let similarity = product * scale;
                        if similarity > best.similarity {
                            *best = Neighbour { row, similarity };
                        }
                    }
                }
            }
            for (best, scale) in best.iter_mut().zip(scales) {
                best.similarity = (best.similarity * scale).clamp(-1.0, 1.0);
            }
            best
        })
        .collect();
    Ok(found.concat())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn cosines_by_hand_and_ties_to_the_first() {
        let references = array![[1.0, 0.0], [3.0, 4.0], [6.0, 8.0], [0.0, 0.0], [-1.0, -1.0]];
        let found =
            nearest(array![[0.3, 0.4], [2.0, 0.1], [-5.0, -5.0], [0.0, 0.0]].view(), references.view()).unwrap();
        assert_eq!(found.iter().map(|n| n.row).collect::<Vec<_>>(), [1, 0, 4, 0]);
        assert!((found[0].similarity - 1.0).abs() < 1e-6);
        assert!((found[1].similarity - 0.998_752).abs() < 1e-5, "2 / √4.01");
        assert_eq!(found[3].similarity, 0.0);
    }

    #[test]
    fn copies_are_found_across_blocks_with_any_number_of_threads() {
        let row = |i: usize, j: usize| ((i * 7 + j * j * 3 + i * j) as f32).sin();
        let references = Array2::from_shape_fn((2500, 6), |(i, j)| row(i, j));
        let queries = Array2::from_shape_fn((1300, 6), |(i, j)| 2.0 * row(2499 - i, j));
        let on = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| nearest(queries.view(), references.view()).unwrap())
        };
        let found = on(1);
        assert_eq!(found, on(4));
        for (i, neighbour) in found.iter().enumerate() {
            assert!(neighbour.similarity > 0.999_99, "{i}: {neighbour:?}");
        }
        assert_eq!(found[7].row, 2492);
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        assert!(matches!(nearest(array![[1.0]].view(), Array2::zeros((0, 1)).view()), Err(Error::EmptySplit { .. })));
        assert!(matches!(nearest(array![[1.0]].view(), array![[1.0, 2.0]].view()), Err(Error::Dimension { .. })));
        assert!(nearest(array![[f32::NAN]].view(), array![[1.0]].view()).is_err());
    }
}
