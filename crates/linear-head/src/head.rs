//! The trained linear layer. Owns its shape and finiteness; knows nothing of how it was trained.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use crate::affine::{CHUNK_ROWS, affine_into, argmax};
use crate::panels::Panels;
use crate::{Error, Result};

/// logits = X · Wᵀ + b, with finite W and b of matching shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    weight: Array2<f32>,
    bias: Array1<f32>,
}

impl Head {
    /// Takes `weight` f32 `[n_classes, feature_dim]` and `bias` f32 `[n_classes]`.
    ///
    /// # Errors
    /// [`Error::Dimension`] where a size is zero or the two disagree about `n_classes`;
    /// [`Error::NonFiniteHead`] for a NaN or infinity.
    pub fn new(weight: Array2<f32>, bias: Array1<f32>) -> Result<Self> {
        if weight.is_empty() {
            return Err(Error::Dimension { what: "values in a head's weight (at least)", expected: 1, found: 0 });
        }
        if weight.nrows() != bias.len() {
            return Err(Error::Dimension {
                what: "classes in a head's bias",
                expected: weight.nrows(),
                found: bias.len(),
            });
        }
        for (part, bad) in
            [("weight", weight.iter().find(|v| !v.is_finite())), ("bias", bias.iter().find(|v| !v.is_finite()))]
        {
            if let Some(&value) = bad {
                return Err(Error::NonFiniteHead { part, value });
            }
        }
        Ok(Self { weight: weight.as_standard_layout().into_owned(), bias })
    }

    /// W, f32 `[n_classes, feature_dim]`, in row-major order.
    pub fn weight(&self) -> ArrayView2<'_, f32> {
        self.weight.view()
    }

    /// b, f32 `[n_classes]`.
    pub fn bias(&self) -> ArrayView1<'_, f32> {
        self.bias.view()
    }

    /// Classes told apart.
    pub fn n_classes(&self) -> usize {
        self.weight.nrows()
    }

    /// Features an example must have.
    pub fn feature_dim(&self) -> usize {
        self.weight.ncols()
    }

    /// X · Wᵀ + b: f32 `[n, feature_dim]` to f32 `[n, n_classes]`. Rows are independent of one another.
    ///
    /// # Errors
    /// [`Error::Dimension`] where `features` has another width.
    pub fn logits(&self, features: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        if features.ncols() != self.feature_dim() {
            return Err(Error::Dimension {
                what: "features per example",
                expected: self.feature_dim(),
                found: features.ncols(),
            });
        }
        let mut logits = Array2::zeros((features.nrows(), self.n_classes()));
        let weight = Panels::of(self.weight.view());
        let mut bias = self.bias.to_vec();
        bias.resize(weight.n_places(), 0.0);
        let chunks: Vec<_> = features
            .axis_chunks_iter(Axis(0), CHUNK_ROWS)
            .zip(logits.axis_chunks_iter_mut(Axis(0), CHUNK_ROWS))
            .collect();
        chunks.into_par_iter().for_each(|(rows, out)| affine_into(rows, &weight, &bias, out));
        Ok(logits)
    }

    /// The class of largest logit for each row, the first of equals.
    ///
    /// # Errors
    /// As [`Head::logits`].
    pub fn predict(&self, features: ArrayView2<'_, f32>) -> Result<Vec<u32>> {
        let logits = self.logits(features)?;
        Ok(logits.rows().into_iter().map(|row| argmax(row.as_slice().expect("logits are row-major")) as u32).collect())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Slice, array};

    use super::*;

    fn head() -> Head {
        Head::new(array![[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]], array![0.0, -1.0, 0.5]).unwrap()
    }

    #[test]
    fn logits_by_hand_and_ties_to_the_first() {
        let features = array![[1.0, 1.0], [-2.0, 0.0]];
        assert_eq!(head().logits(features.view()).unwrap(), array![[1.0, 1.0, 0.5], [-2.0, -1.0, 2.5]]);
        assert_eq!(head().predict(features.view()).unwrap(), [0, 2]);
        assert_eq!(head().predict(features.slice_axis(Axis(0), Slice::from(..0))).unwrap(), [0_u32; 0]);
    }

    #[test]
    fn a_wrong_width_names_expected_and_found() {
        let error = head().logits(Array2::zeros((1, 3)).view()).unwrap_err();
        assert!(error.to_string().contains("expected 2, found 3"), "{error}");
    }

    #[test]
    fn a_head_is_finite_and_of_one_shape() {
        assert!(matches!(
            Head::new(Array2::zeros((2, 3)), Array1::zeros(3)),
            Err(Error::Dimension { expected: 2, found: 3, .. })
        ));
        assert!(Head::new(Array2::zeros((0, 3)), Array1::zeros(0)).is_err());
        assert!(matches!(Head::new(array![[f32::NAN]], array![0.0]), Err(Error::NonFiniteHead { part: "weight", .. })));
        assert!(matches!(
            Head::new(array![[0.0]], array![f32::INFINITY]),
            Err(Error::NonFiniteHead { part: "bias", .. })
        ));
    }
}
