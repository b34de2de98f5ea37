//! Softmax and its loss, as small free functions. No gradients here: those live in `sgd`.

use ndarray::ArrayView2;

use crate::exponential::exp_in_place;
use crate::split::check_scored;
use crate::{Error, Result};

/// log Σⱼ exp(zⱼ), in f64, as m + log Σⱼ exp(zⱼ − m) with m = max z so that nothing overflows
/// (Blanchard, Higham & Higham 2021, eq. 1.5). Shape `[n_classes]`; −∞ for no logits, NaN where one is NaN.
pub fn log_sum_exp(logits: &[f32]) -> f64 {
    if logits.is_empty() {
        return f64::NEG_INFINITY;
    }
    let largest = largest(logits);
    f64::from(largest) + logits.iter().map(|z| f64::from(z - largest).exp()).sum::<f64>().ln()
}

/// Replaces `[n_classes]` logits by probabilities pⱼ = exp(zⱼ − m) / Σₖ exp(zₖ − m) and returns
/// log Σⱼ exp(zⱼ), which the loss needs and which is at hand here. Exponentials are f32, their sum f64.
/// A NaN or +∞ among the logits makes both NaN.
pub fn softmax_in_place(logits: &mut [f32]) -> f64 {
    let largest = largest(logits);
    logits.iter_mut().for_each(|z| *z -= largest);
    exp_in_place(logits);
    f64::from(largest) + normalise(logits).ln()
}

/// Divides values by their sum, which is returned: f64, added up in their order.
pub(crate) fn normalise(values: &mut [f32]) -> f64 {
    let total: f64 = values.iter().map(|value| f64::from(*value)).sum();
    let scale = (1.0 / total) as f32;
    values.iter_mut().for_each(|value| *value *= scale);
    total
}

/// Mean cross-entropy Σᵢ w(yᵢ) · (log Σⱼ exp(zᵢⱼ) − z(i, yᵢ)) / Σᵢ w(yᵢ), in nats, as PyTorch's
/// `CrossEntropyLoss(weight=w)`. `logits` f32 `[n, n_classes]`, `labels` `[n]`, `class_weights` `[n_classes]`
/// or `None` for equal ones.
///
/// # Errors
/// No rows, another number of labels or weights than rows or classes, a label out of range, a logit that
/// is not finite, or weights that are negative or give every row nothing.
pub fn cross_entropy(logits: ArrayView2<'_, f32>, labels: &[u32], class_weights: Option<&[f64]>) -> Result<f64> {
    check_scored(logits, labels)?;
    let equal = vec![1.0; logits.ncols()];
    let class_weights = class_weights.unwrap_or(&equal);
    if class_weights.len() != logits.ncols() {
        let found = class_weights.len();
        return Err(Error::Dimension { what: "class weights", expected: logits.ncols(), found });
    }
    let (mut loss, mut total) = (0.0, 0.0);
    let mut row = vec![0.0; logits.ncols()];
    for (cells, &label) in logits.rows().into_iter().zip(labels) {
        row.iter_mut().zip(cells).for_each(|(to, from)| *to = *from);
        let weight = class_weights[label as usize];
        loss += weight * (log_sum_exp(&row) - f64::from(row[label as usize]));
        total += weight;
    }
    if class_weights.iter().all(|w| w.is_finite() && *w >= 0.0) && total > 0.0 {
        return Ok(loss / total);
    }
    let value = format!("{class_weights:?}");
    Err(Error::Setting { name: "class weights", value, allowed: "finite, 0 or more, and above 0 for some row" })
}

/// The largest logit; NaNs are passed over, and come back through the difference they enter.
pub(crate) fn largest(logits: &[f32]) -> f32 {
    // One instruction each, which `f32::max` is not.
    logits.iter().copied().fold(f32::NEG_INFINITY, |largest, z| if z > largest { z } else { largest })
}

#[cfg(test)]
pub(crate) mod tests {
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;

    /// Eight rows that metrics and calibration share; their expected values were made from the same rows.
    pub(crate) fn sample() -> (Array2<f32>, Vec<u32>) {
        let logits = array![
            [2.0, 0.5, -1.0],
            [0.1, 3.0, 0.2],
            [1.0, 0.9, 0.8],
            [-2.0, 0.0, 4.0],
            [0.3, 0.2, 2.5],
            [5.0, 1.0, 0.0],
            [0.0, 2.0, 1.9],
            [1.5, -0.5, 0.4]
        ];
        (logits, vec![0, 1, 2, 2, 1, 0, 2, 1])
    }

    #[test]
    fn cross_entropy_equals_torch() {
        // torch 2.15.0: F.cross_entropy(logits.double(), labels[, weight=[0.5, 2.0, 1.25]]).
        let (logits, labels) = sample();
        let plain = cross_entropy(logits.view(), &labels, None).unwrap();
        let weighted = cross_entropy(logits.view(), &labels, Some(&[0.5, 2.0, 1.25])).unwrap();
        // The differences z − m are taken in f32, hence 1e-7 and not 1e-15.
        assert!((plain - 0.910_844_407_098_799).abs() < 1e-7, "{plain}");
        assert!((weighted - 1.176_535_571_993_272).abs() < 1e-7, "{weighted}");
        assert!(cross_entropy(logits.view(), &labels, Some(&[1.0, 1.0])).is_err());
        assert!(cross_entropy(logits.view(), &labels, Some(&[0.0; 3])).is_err());
    }

    #[test]
    fn large_logits_do_not_overflow() {
        assert_eq!(log_sum_exp(&[1e30, -1e30]), f64::from(1e30_f32));
        assert!((log_sum_exp(&[-1000.0, -1000.0]) - (-1000.0 + 2.0_f64.ln())).abs() < 1e-12);
        assert!(softmax_in_place(&mut [f32::NAN, 0.0]).is_nan());
        assert!(softmax_in_place(&mut [f32::INFINITY, 0.0]).is_nan());
    }

    proptest! {
        #[test]
        fn softmax_sums_to_one_and_keeps_the_order(mut z in prop::collection::vec(-80.0_f32..80.0, 1..40)) {
            let before = z.clone();
            let returned = softmax_in_place(&mut z);
            prop_assert!((z.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            prop_assert!((returned - log_sum_exp(&before)).abs() < 1e-5);
            for (a, b) in z.iter().zip(&z[1..]).zip(before.iter().zip(&before[1..])).map(|((p, q), (x, y))| (p <= q, x <= y)) {
                prop_assert!(a == b || !b);
            }
        }
    }
}
