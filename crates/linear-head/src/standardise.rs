//! Column means and spreads of the training features, and how to fold them into a head so that the
//! exported head takes raw features. Fitted on training rows only; the caller sees to that.

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;

use crate::affine::CHUNK_ROWS;
use crate::split::check_finite;
use crate::{Error, Head, Result};

/// A fitted (x − μ) / σ for each column.
#[derive(Debug, Clone, PartialEq)]
pub struct Standardiser {
    mean: Vec<f64>,
    scale: Vec<f64>,
    n_constant: usize,
}

impl Standardiser {
    /// Takes μⱼ = Σᵢ xᵢⱼ / n and σⱼ = √(Σᵢ (xᵢⱼ − μⱼ)² / n) from f32 `[n, feature_dim]`, both in f64 and in two
    /// passes, as scikit-learn's `StandardScaler` (n and not n − 1).
    ///
    /// A column whose σ is no more than f32's resolution at its mean (2⁻²³ · |μ|) counts as constant and
    /// keeps scale 1: dividing rounding noise by itself would hand the head a feature that is all noise.
    ///
    /// # Errors
    /// [`Error::EmptySplit`] for no rows, [`Error::NonFinite`] for a NaN or infinity.
    pub fn fit(features: ArrayView2<'_, f32>) -> Result<Self> {
        if features.nrows() == 0 {
            return Err(Error::EmptySplit { split: "training" });
        }
        check_finite("training", features)?;
        let n_examples = features.nrows() as f64;
        let mean = column_means(features, n_examples, |x, _| x);
        let variance = {
            let mean = &mean;
            column_means(features, n_examples, |x, column| (x - mean[column]).powi(2))
        };
        let mut n_constant = 0;
        let scale = variance.iter().zip(&mean).map(|(variance, mean)| {
            let spread = variance.sqrt();
            if spread <= f64::from(f32::EPSILON) * mean.abs() {
                n_constant += 1;
                return 1.0;
            }
            spread
        });
        Ok(Self { scale: scale.collect(), mean, n_constant })
    }

    /// μ, `[feature_dim]`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// σ, `[feature_dim]`; 1 for a constant column.
    pub fn scale(&self) -> &[f64] {
        &self.scale
    }

    /// How many columns were constant.
    pub fn n_constant_columns(&self) -> usize {
        self.n_constant
    }

    /// Writes (x − μ) / σ of f32 `[n, feature_dim]` into one of the same shape, computed in f64 and rounded once.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another width or number of rows.
    pub fn apply(&self, features: ArrayView2<'_, f32>, mut into: ArrayViewMut2<'_, f32>) -> Result<()> {
        self.check_width(features.ncols())?;
        self.check_width(into.ncols())?;
        if features.nrows() != into.nrows() {
            let found = into.nrows();
            return Err(Error::Dimension { what: "rows to standardise into", expected: features.nrows(), found });
        }
        let chunks: Vec<_> = features
            .axis_chunks_iter(Axis(0), CHUNK_ROWS)
            .zip(into.axis_chunks_iter_mut(Axis(0), CHUNK_ROWS))
            .collect();
        chunks.into_par_iter().for_each(|(rows, mut into)| {
            for (row, mut into) in rows.rows().into_iter().zip(into.rows_mut()) {
                for (((x, to), mean), scale) in row.iter().zip(&mut into).zip(&self.mean).zip(&self.scale) {
                    *to = ((f64::from(*x) - mean) / scale) as f32;
                }
            }
        });
        Ok(())
    }

    /// As [`Standardiser::apply`], into a new array.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another width.
    pub fn applied(&self, features: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        let mut into = Array2::zeros(features.dim());
        self.apply(features, into.view_mut())?;
        Ok(into)
    }

    /// Turns a head on standardised features into one on raw features: W′ = W / σ, b′ = b − W · (μ / σ),
    /// summed in f64.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another width, [`Error::NonFiniteHead`] where a quotient leaves f32.
    pub fn fold(&self, head: &Head) -> Result<Head> {
        self.check_width(head.feature_dim())?;
        let mut weight = head.weight().to_owned();
        let mut bias = Array1::zeros(head.n_classes());
        for ((mut row, from), to) in weight.rows_mut().into_iter().zip(head.bias()).zip(&mut bias) {
            let mut shift = 0.0;
            for ((w, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                let folded = f64::from(*w) / scale;
                shift += folded * mean;
                *w = folded as f32;
            }
            *to = (f64::from(*from) - shift) as f32;
        }
        Head::new(weight, bias)
    }

    fn check_width(&self, found: usize) -> Result<()> {
        if found == self.mean.len() {
            return Ok(());
        }
        Err(Error::Dimension { what: "features per example", expected: self.mean.len(), found })
    }
}

/// Means over rows of `term(x, column)`: fixed chunks of rows are summed on their own, then in order.
fn column_means(features: ArrayView2<'_, f32>, n_examples: f64, term: impl Fn(f64, usize) -> f64 + Sync) -> Vec<f64> {
    let chunks: Vec<_> = features.axis_chunks_iter(Axis(0), CHUNK_ROWS).collect();
    let partial: Vec<Vec<f64>> = chunks
        .into_par_iter()
        .map(|rows| {
            let mut sums = vec![0.0; rows.ncols()];
            for row in rows.rows() {
                for (column, (sum, x)) in sums.iter_mut().zip(row).enumerate() {
                    *sum += term(f64::from(*x), column);
                }
            }
            sums
        })
        .collect();
    let mut total = vec![0.0; features.ncols()];
    for sums in &partial {
        total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
    }
    total.iter_mut().for_each(|total| *total /= n_examples);
    total
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn means_and_spreads_by_hand() {
        let features = array![[1.0, 5.0, 0.1], [3.0, 5.0, 0.1]];
        let fitted = Standardiser::fit(features.view()).unwrap();
        assert_eq!(fitted.mean()[..2], [2.0, 5.0]);
        assert_eq!(fitted.scale(), [1.0, 1.0, 1.0]);
        assert_eq!(fitted.n_constant_columns(), 2);
        let features = array![[1.0, 5.0, 0.1], [7.0, 6.0, 0.1]];
        assert_eq!(fitted.applied(features.view()).unwrap(), array![[-1.0, 0.0, 0.0], [5.0, 1.0, 0.0]]);
    }

    #[test]
    fn refuses_nothing_nan_and_other_widths() {
        assert!(matches!(Standardiser::fit(Array2::zeros((0, 3)).view()), Err(Error::EmptySplit { .. })));
        assert!(matches!(Standardiser::fit(array![[f32::NAN]].view()), Err(Error::NonFinite { row: 0, .. })));
        let fitted = Standardiser::fit(array![[1.0, 2.0]].view()).unwrap();
        assert!(fitted.applied(Array2::zeros((1, 3)).view()).is_err());
        assert!(fitted.apply(Array2::zeros((1, 2)).view(), Array2::zeros((2, 2)).view_mut()).is_err());
        assert!(fitted.fold(&Head::new(Array2::zeros((2, 3)), Array1::zeros(2)).unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn folding_equals_standardising_first(
            features in prop::collection::vec(-3.0_f32..3.0, 20),
            weights in prop::collection::vec(-1.0_f32..1.0, 12),
            shift in -50.0_f32..50.0,
        ) {
            let raw = Array2::from_shape_vec((5, 4), features).unwrap() + shift;
            let head = Head::new(Array2::from_shape_vec((3, 4), weights).unwrap(), array![0.5, 0.0, -0.5]).unwrap();
            let fitted = Standardiser::fit(raw.view()).unwrap();
            let standardised = fitted.applied(raw.view()).unwrap();
            let apart = head.logits(standardised.view()).unwrap();
            let folded = fitted.fold(&head).unwrap().logits(raw.view()).unwrap();
            // f32 cancels digits where the mean is far larger than the spread.
            let worst = fitted.mean().iter().zip(fitted.scale()).map(|(m, s)| (m / s).abs()).fold(1.0, f64::max);
            for (a, b) in apart.iter().zip(&folded) {
                prop_assert!(f64::from((a - b).abs()) < 1e-5 * worst, "{a} {b}");
            }
        }
    }
}
