//! Whether probabilities mean what they say: expected calibration error, and the temperature that mends it
//! (Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks", ICML 2017). All in f64.

use ndarray::ArrayView2;

use crate::affine::argmax;
use crate::split::check_scored;
use crate::{Error, Result};

/// Equal-width bins of confidence.
pub const N_BINS: usize = 15;
/// Temperatures that are looked at: outside them the data hardly say anything.
const RANGE: (f64, f64) = (0.01, 100.0);
/// Bisection alone needs 50 halvings of ln T to come to rest; Newton's steps need fewer than ten.
const MAX_STEPS: usize = 100;

/// One bin (lower, upper] of a reliability diagram.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ReliabilityBin {
    /// Exclusive lower edge.
    pub lower: f64,
    /// Inclusive upper edge.
    pub upper: f64,
    /// Rows whose confidence falls in it.
    pub count: u64,
    /// Their mean confidence; 0 when there are none.
    pub confidence: f64,
    /// Their share right; 0 when there are none.
    pub accuracy: f64,
}

/// Expected calibration error with the bins it was taken over.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// In `[0, 1]`.
    pub ece: f64,
    /// [`N_BINS`] of them.
    pub bins: Vec<ReliabilityBin>,
}

/// A fitted temperature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Temperature {
    /// Divide logits by it.
    pub temperature: f64,
    /// Mean negative log-likelihood in nats at T = 1.
    pub nll_before: f64,
    /// The same at `temperature`; never above `nll_before`.
    pub nll_after: f64,
    /// True where the optimum lies at or beyond 0.01 or 100, as when every row is right: T is then that bound.
    pub at_bound: bool,
}

/// ECE = Σₘ |Bₘ| / n · |acc(Bₘ) − conf(Bₘ)| over 15 bins ((m − 1)/15, m/15] (Guo et al., eq. 3), the confidence
/// being the largest softmax(z / T). `logits` f32 `[n, n_classes]`, `labels` `[n]`, `temperature` 1 for none.
///
/// # Errors
/// As [`crate::scores`]; [`Error::Setting`] for a temperature that is not finite and above 0.
pub fn expected_calibration_error(
    logits: ArrayView2<'_, f32>,
    labels: &[u32],
    temperature: f64,
) -> Result<Calibration> {
    check_scored(logits, labels)?;
    if !(temperature.is_finite() && temperature > 0.0) {
        let value = temperature.to_string();
        return Err(Error::Setting { name: "temperature", value, allowed: "finite and above 0" });
    }
    let width = N_BINS as f64;
    let edges = |bin: usize| (bin as f64 / width, (bin + 1) as f64 / width);
    let mut bins: Vec<_> = (0..N_BINS)
        .map(|bin| ReliabilityBin { lower: edges(bin).0, upper: edges(bin).1, ..Default::default() })
        .collect();
    for (row, &label) in logits.rows().into_iter().zip(labels) {
        let row = row.to_vec();
        let top = argmax(&row);
        let confidence = 1.0 / row.iter().map(|z| (f64::from(z - row[top]) / temperature).exp()).sum::<f64>();
        let bin = ((confidence * width).ceil() as usize).clamp(1, N_BINS) - 1;
        bins[bin].count += 1;
        bins[bin].confidence += confidence;
        bins[bin].accuracy += f64::from(u8::from(top == label as usize));
    }
    let mut ece = 0.0;
    for bin in bins.iter_mut().filter(|bin| bin.count > 0) {
        ece += (bin.accuracy - bin.confidence).abs() / labels.len() as f64;
        bin.confidence /= bin.count as f64;
        bin.accuracy /= bin.count as f64;
    }
    Ok(Calibration { ece, bins })
}

/// Finds the T in [0.01, 100] with the least mean negative log-likelihood of softmax(z / T), on validation rows.
///
/// In β = 1/T the likelihood is convex, with slope mean(E_p[z] − z_y) and curvature mean(Var_p[z]); Newton's
/// steps on ln β, kept inside a bracket that the slope's sign halves, find the slope's zero.
///
/// # Errors
/// As [`crate::scores`].
pub fn fit_temperature(logits: ArrayView2<'_, f32>, labels: &[u32]) -> Result<Temperature> {
    check_scored(logits, labels)?;
    let at = |log_beta: f64| Slope::at(logits, labels, log_beta.exp());
    let (mut low, mut high) = (-RANGE.1.ln(), -RANGE.0.ln());
    let nll_before = at(0.0).nll;
    let done = |log_beta: f64, at_bound: bool| {
        let nll_after = at(log_beta).nll;
        Temperature { temperature: (-log_beta).exp(), nll_before, nll_after, at_bound }
    };
    if at(low).first >= 0.0 {
        // No slope anywhere means that no temperature is better than another: leave the logits alone.
        let flat = at(0.0).first == 0.0;
        return Ok(if flat { done(0.0, false) } else { done(low, true) });
    }
    if at(high).first <= 0.0 {
        return Ok(done(high, true));
    }
    let mut log_beta = 0.0_f64;
    for _ in 0..MAX_STEPS {
        let here = at(log_beta);
        if here.first < 0.0 {
            low = log_beta;
        } else {
            high = log_beta;
        }
        // With u = ln β: f′(u) = β · f′(β) and f″(u) = β² · f″(β) + β · f′(β).
        let beta = log_beta.exp();
        let newton = log_beta - here.first / (beta * here.second + here.first);
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        let moved = (next - log_beta).abs();
        log_beta = next;
        if moved < 1e-12 {
            break;
        }
    }
    Ok(done(log_beta, false))
}

/// The likelihood at one β, with its first and second derivative by β.
struct Slope {
    nll: f64,
    first: f64,
    second: f64,
}

impl Slope {
    fn at(logits: ArrayView2<'_, f32>, labels: &[u32], beta: f64) -> Self {
        let mut sum = Self { nll: 0.0, first: 0.0, second: 0.0 };
        for (row, &label) in logits.rows().into_iter().zip(labels) {
            let top = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            // Moments of z − max z under p: shifting by a constant changes neither slope nor variance.
            let (mut total, mut mean, mut square) = (0.0, 0.0, 0.0);
            for z in row {
                let z = f64::from(*z) - top;
                let p = (beta * z).exp();
                total += p;
                mean += p * z;
                square += p * z * z;
            }
            let target = f64::from(row[label as usize]) - top;
            mean /= total;
            sum.nll += total.ln() - beta * target;
            sum.first += mean - target;
            sum.second += square / total - mean * mean;
        }
        let n = labels.len() as f64;
        Self { nll: sum.nll / n, first: sum.first / n, second: sum.second / n }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::softmax::tests::sample;

    #[test]
    fn ece_equals_torch() {
        // torch 2.15.0, float64: softmax, then (lo, hi] bins from linspace(0, 1, 16).
        let (logits, labels) = sample();
        let found = expected_calibration_error(logits.view(), &labels, 1.0).unwrap();
        assert!((found.ece - 0.340_896_060_308_016_9).abs() < 1e-6, "{}", found.ece);
        assert_eq!(
            found.bins.iter().map(|bin| bin.count).collect::<Vec<_>>(),
            [0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1, 1, 1, 2]
        );
        assert!((found.bins[14].confidence - 0.977_593_981).abs() < 1e-6);
        assert_eq!(found.bins[14].accuracy, 1.0);
    }

    #[test]
    fn temperature_equals_scipy() {
        // scipy.optimize.brentq on the slope (xtol 1e-14): T = 1.7672857901, and the likelihood there.
        let (logits, labels) = sample();
        let found = fit_temperature(logits.view(), &labels).unwrap();
        assert!((found.temperature - 1.767_285_790_109).abs() < 1e-6, "{found:?}");
        assert!((found.nll_before - 0.910_844_407_099).abs() < 1e-6);
        assert!((found.nll_after - 0.827_750_618_944).abs() < 1e-6);
        assert!(!found.at_bound);
    }

    #[test]
    fn scaled_logits_scale_the_temperature() {
        let (logits, labels) = sample();
        let plain = fit_temperature(logits.view(), &labels).unwrap().temperature;
        let scaled = fit_temperature((logits * 8.0).view(), &labels).unwrap().temperature;
        assert!((scaled / plain - 8.0).abs() < 1e-9);
    }

    #[test]
    fn separable_rows_end_at_the_bound_and_equal_logits_stay() {
        let found = fit_temperature(array![[1.0, 0.0], [0.0, 1.0]].view(), &[0, 1]).unwrap();
        assert!(found.at_bound && (found.temperature - 0.01).abs() < 1e-12, "{found:?}");
        let found = fit_temperature(array![[1.0, 0.0], [0.0, 1.0]].view(), &[1, 0]).unwrap();
        assert!(found.at_bound && (found.temperature - 100.0).abs() < 1e-9, "{found:?}");
        let found = fit_temperature(array![[1.0, 1.0]].view(), &[1]).unwrap();
        assert_eq!((found.temperature, found.at_bound), (1.0, false));
        assert!(expected_calibration_error(array![[1.0, 0.0]].view(), &[0], 0.0).is_err());
    }
}
