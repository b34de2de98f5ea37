//! Softmax over a whole vocabulary in plain `f32`, written so that the compiler vectorises it.
//!
//! The exponential is spelled out, not taken from the C library: that one is a call for each entry, and may
//! round differently on another machine.

/// Independent sums and maxima, so that neither is one long chain; a multiple of every vector width in use.
const LANES: usize = 8;

/// Values worked out before they are summed: two plain loops vectorise where one that does both does not.
const CHUNK: usize = 128;

/// eˣ for x ≤ 0 to a relative error below 2e-7: x = n ln 2 + r, eˣ = 2ⁿ eʳ with the polynomial of Cephes'
/// `expf` (Moshier 1989) for |r| ≤ ½ ln 2. Below −87, where `f32` has no normal numbers, it is 0; NaN stays NaN.
#[inline]
#[expect(clippy::excessive_precision, reason = "the coefficients are written as published")]
fn exp(x: f32) -> f32 {
    /// 1.5 · 2²³: adding it rounds to a whole number, which is then in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_375;
    const LN_2_LOW: f32 = -2.121_944_40e-4;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let mut p = 1.987_569_15e-4;
    for coefficient in
        [1.398_199_950_7e-3, 8.333_451_907_3e-3, 4.166_579_589_4e-2, 1.666_666_545_9e-1, 0.500_000_012_01]
    {
        p = p * r + coefficient;
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if x < -87.0 { 0.0 } else { (p * r * r + r + 1.0) * power }
}

/// exp(zᵢ − m), each. `largest` is m = max z, so that the largest weight is exactly 1.
pub(crate) fn weights(scores: &[f32], largest: f32) -> Vec<f32> {
    scores.iter().map(|z| exp(z - largest)).collect()
}

/// Σ f(zᵢ) in `f64`, in an order that the length alone decides.
#[inline]
fn lane_sum(scores: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    let (chunks, rest) = scores.as_chunks::<CHUNK>();
    let mut lanes = [0.0_f64; LANES];
    let mut values = [0.0_f32; CHUNK];
    for chunk in chunks {
        for (value, z) in values.iter_mut().zip(chunk) {
            *value = f(*z);
        }
        for part in values.as_chunks::<LANES>().0 {
            for (lane, value) in lanes.iter_mut().zip(part) {
                *lane += f64::from(*value);
            }
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|z| f64::from(f(*z))).sum::<f64>()
}

/// max f(xᵢ), −∞ of none. Where NaNs are among the values, it is the maximum of some of the others.
#[inline]
pub(crate) fn maximum(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, f(*x));
        }
    }
    lanes.into_iter().chain(rest.iter().map(|x| f(*x))).fold(f32::NEG_INFINITY, larger)
}

/// Σ wᵢ in `f64`.
pub(crate) fn sum(weights: &[f32]) -> f64 {
    lane_sum(weights, |w| w)
}

/// What turns a logit into its log-probability: log pᵢ = (zᵢ − m) − log Σⱼ exp(zⱼ − m), as `torch.log_softmax`
/// takes the differences: in this order, in `f32`.
#[derive(Clone, Copy)]
pub(crate) struct LogSoftmax {
    largest: f32,
    log_sum: f32,
}

impl LogSoftmax {
    /// Of `f32 [vocab]` logits. A NaN or +∞ among them, or nothing but −∞, makes every log-probability NaN.
    pub(crate) fn of(logits: &[f32]) -> Self {
        let largest = maximum(logits, |z| z);
        Self::given(logits, largest)
    }

    /// The same where the largest logit is known.
    pub(crate) fn given(logits: &[f32], largest: f32) -> Self {
        Self { largest, log_sum: lane_sum(logits, |z| exp(z - largest)).ln() as f32 }
    }

    /// log p of a logit.
    #[inline]
    pub(crate) fn at(self, logit: f32) -> f32 {
        (logit - self.largest) - self.log_sum
    }
}

/// log p(token) = z(token) − log Σⱼ exp(zⱼ), in nats, of `f32 [vocab]` logits as the model gave them, before any
/// processor or warper (`torch.log_softmax`). −∞ for a banned token, NaN for a token past the vocabulary or
/// where logits are NaN or +∞.
pub fn log_probability(logits: &[f32], token: u32) -> f32 {
    logits.get(token as usize).map_or(f32::NAN, |logit| LogSoftmax::of(logits).at(*logit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_two_units_in_the_last_place() {
        for step in 0..870_000 {
            let x = -(step as f32) * 1e-4;
            let exact = f64::from(x).exp();
            let found = f64::from(exp(x));
            assert!(((found - exact) / exact).abs() < 2e-7, "exp({x}) = {found}, expected {exact}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        assert_eq!([exp(-87.1), exp(-1e30), exp(f32::NEG_INFINITY)], [0.0; 3]);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn log_probabilities_of_odd_input() {
        assert_eq!(log_probability(&[0.0, f32::NEG_INFINITY], 0), 0.0);
        assert_eq!(log_probability(&[0.0, f32::NEG_INFINITY], 1), f32::NEG_INFINITY);
        assert_eq!(log_probability(&[1e30, 1e30], 1), -std::f32::consts::LN_2);
        assert!(log_probability(&[0.0], 1).is_nan());
        assert!(log_probability(&[], 0).is_nan());
        assert!(log_probability(&[f32::NAN, 0.0], 1).is_nan());
        assert!(log_probability(&[f32::INFINITY, 0.0], 1).is_nan());
        assert!(log_probability(&[f32::NEG_INFINITY; 40], 1).is_nan());
    }
}
