//! Features seen within the span of a few training rows: with fewer rows than features, training there costs less and
//! gives the same head.
//!
//! From zero weights every gradient Σᵢ gᵢ xᵢ, and with it every step of SGD with weight decay, lies in the span of the
//! training rows. Products of features are all that training sees, and an orthonormal basis of the span keeps them.

use ndarray::{Array1, Array2, ArrayView2};

use crate::{Error, Head, Result};

/// A row adds no dimension where less than this share of its squared length lies outside the span so far.
const LEAST_SHARE: f64 = 1e-8;

/// An orthonormal basis of the span of n rows, as the lower triangular L of X · Xᵀ = L · Lᵀ (Cholesky; Golub & Van
/// Loan §4.2): row i of L holds the coordinates of row i of X. A column of zeros stands for a row that added nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct RowSpan {
    rows: Array2<f64>,
    lower: Array2<f64>,
}

impl RowSpan {
    /// Takes X f32 `[n, feature_dim]`. Costs n² · feature_dim / 2 + n³ / 3 multiply-adds.
    pub fn of(rows: ArrayView2<'_, f32>) -> Self {
        let rows = rows.mapv(f64::from);
        let gram = rows.dot(&rows.t());
        let n = gram.nrows();
        let mut lower = Array2::<f64>::zeros((n, n));
        for i in 0..n {
            for j in 0..i {
                let pivot = lower[[j, j]];
                if pivot > 0.0 {
                    let shared: f64 = (0..j).map(|k| lower[[i, k]] * lower[[j, k]]).sum();
                    lower[[i, j]] = (gram[[i, j]] - shared) / pivot;
                }
            }
            let outside = gram[[i, i]] - (0..i).map(|k| lower[[i, k]].powi(2)).sum::<f64>();
            lower[[i, i]] = if outside > LEAST_SHARE * gram[[i, i]] { outside.sqrt() } else { 0.0 };
        }
        Self { rows, lower }
    }

    /// The coordinates of X's own rows, f32 `[n, n]`.
    pub fn coordinates(&self) -> Array2<f32> {
        self.lower.mapv(|x| x as f32)
    }

    /// The coordinates f32 `[m, n]` of what lies in the span of other rows f32 `[m, feature_dim]`; a head from the span
    /// gives both the same logits.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another width.
    pub fn project(&self, others: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        self.check("features per example", self.rows.ncols(), others.ncols())?;
        let products = others.mapv(f64::from).dot(&self.rows.t());
        let mut seen = Array2::zeros(products.dim());
        for (products, mut seen) in products.outer_iter().zip(seen.outer_iter_mut()) {
            let mut solved = vec![0.0; products.len()];
            for i in 0..solved.len() {
                let pivot = self.lower[[i, i]];
                if pivot > 0.0 {
                    let known: f64 = self.lower.row(i).iter().zip(&solved[..i]).map(|(l, z)| l * z).sum();
                    solved[i] = (products[i] - known) / pivot;
                    seen[i] = solved[i] as f32;
                }
            }
        }
        Ok(seen)
    }

    /// The head f32 `[n_classes, feature_dim]` on features of one f32 `[n_classes, n]` on coordinates: W′ = W · L⁻¹ · X.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another width.
    pub fn back(&self, head: &Head) -> Result<Head> {
        let n = self.lower.nrows();
        self.check("coordinates of a head", n, head.feature_dim())?;
        let mut shares = head.weight().mapv(f64::from);
        for mut share in shares.outer_iter_mut() {
            for i in (0..n).rev() {
                let pivot = self.lower[[i, i]];
                let known: f64 = (i + 1..n).map(|k| self.lower[[k, i]] * share[k]).sum();
                share[i] = if pivot > 0.0 { (share[i] - known) / pivot } else { 0.0 };
            }
        }
        let bias = Array1::from_iter(head.bias().iter().copied());
        Head::new(shares.dot(&self.rows).mapv(|x| x as f32), bias)
    }

    fn check(&self, what: &'static str, expected: usize, found: usize) -> Result<()> {
        if expected == found { Ok(()) } else { Err(Error::Dimension { what, expected, found }) }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use ndarray::{Axis, concatenate};

    use super::*;
    use crate::{ClassWeights, GridPoint, Schedule, Settings, Split, Start, train};

    fn rows(n: usize, shift: usize) -> Array2<f32> {
        Array2::from_shape_fn((n, 40), |(i, j)| (((i + shift) * 31 + j * 17 + i * j) as f32).sin())
    }

    #[test]
    fn products_are_kept_and_a_repeated_row_adds_nothing() {
        let own = rows(5, 0);
        let own = concatenate![Axis(0), own, own.select(Axis(0), &[2])];
        let span = RowSpan::of(own.view());
        let coordinates = span.coordinates();
        assert!(coordinates.column(5).iter().all(|x| *x == 0.0));
        let close = |a: Array2<f32>, b: Array2<f32>| (&a - &b).iter().all(|d| d.abs() < 1e-4);
        assert!(close(coordinates.dot(&coordinates.t()), own.dot(&own.t())));
        let others = rows(3, 90);
        assert!(close(span.project(others.view()).unwrap().dot(&coordinates.t()), others.dot(&own.t())));
        assert!(span.project(Array2::zeros((1, 3)).view()).is_err());
    }

    #[test]
    fn training_in_the_span_gives_the_head_of_training_on_features() {
        let (own, others) = (rows(12, 0), rows(30, 50));
        let labels: Vec<u32> = (0..12).map(|i| i % 3).collect();
        let fit = |features: ArrayView2<'_, f32>| {
            let settings = Settings {
                epochs: 50,
                batch_size: 12,
                momentum: 0.9,
                schedule: Schedule::Cosine,
                seed: 1,
                grid: GridPoint::product(&[0.1], &[0.01]),
                class_weights: ClassWeights::Uniform,
                patience: None,
                stop_after: None,
                start: Start::Zero,
            };
            let checked = settings.check(12, 3, features.ncols()).unwrap();
            let none = features.slice_axis(Axis(0), ndarray::Slice::from(..0));
            let (all, none) = (Split { features, labels: &labels }, Split { features: none, labels: &[] });
            train(&checked, all, none, &mut |_| ControlFlow::Continue(())).unwrap().points.remove(0).head
        };
        let span = RowSpan::of(own.view());
        let there = span.back(&fit(span.coordinates().view())).unwrap();
        let here = fit(own.view());
        let (a, b) = (there.logits(others.view()).unwrap(), here.logits(others.view()).unwrap());
        assert!((&a - &b).iter().all(|d| d.abs() < 1e-4), "{a} {b}");
        assert!(here.weight().iter().any(|w| w.abs() > 0.01));
    }
}
