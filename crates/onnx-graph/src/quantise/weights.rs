//! Scales: from ranges and weights to the integers that stand for them.

use crate::wiring::Constant;

use super::Range;

/// Weights and the axis of their output channels.
#[derive(Debug)]
pub(super) struct Weight {
    pub(super) dims: Vec<usize>,
    pub(super) axis: usize,
    values: Vec<f32>,
}

/// How a tensor's values are stored: x ≈ scale · (q − zero).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Activation {
    pub(super) scale: f32,
    pub(super) zero: u8,
}

/// A product's weights and bias in integers.
#[derive(Debug, PartialEq)]
pub(super) struct Integers {
    /// One for each output channel.
    pub(super) scales: Vec<f32>,
    /// In the order of the weights.
    pub(super) weights: Vec<i8>,
    /// In steps of the activation's scale times the channel's.
    pub(super) bias: Option<Vec<i32>>,
}

impl Activation {
    /// Zero is in the range and has a number of its own: padding and Relu stay exact.
    pub(super) fn of(range: Range) -> Self {
        let (low, high) = (f64::from(range.low.min(0.0)), f64::from(range.high.max(0.0)));
        if low == high {
            return Self { scale: 1.0, zero: 0 };
        }
        // A float32 above 0, also where the whole range is next to nothing.
        let scale = (((high - low) / 255.0) as f32).max(f32::MIN_POSITIVE);
        Self { scale, zero: (-low / f64::from(scale)).round().clamp(0.0, 255.0) as u8 }
    }
}

impl Weight {
    /// Nothing for weights without elements, that are not finite, or without such an axis.
    pub(super) fn new(constant: Constant, axis: usize) -> Option<Self> {
        let Constant { dims, values } = constant;
        let sound = !values.is_empty() && values.iter().all(|w| w.is_finite()) && axis < dims.len();
        sound.then_some(Self { dims, axis, values })
    }

    pub(super) fn n_channels(&self) -> usize {
        self.dims[self.axis]
    }

    /// The runs of elements that belong to one channel, row-major, each with its channel.
    fn runs(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let below: usize = self.dims[self.axis + 1..].iter().product();
        (0..self.n_channels()).cycle().zip(self.values.chunks_exact(below))
    }

    /// −127…127 for each channel's largest weight. A channel whose bias would not fit into 32 bits gets larger steps.
    pub(super) fn to_integers(&self, bias: Option<&[f32]>, input: Activation) -> Integers {
        let mut largest = vec![0.0_f32; self.n_channels()];
        for (channel, run) in self.runs() {
            largest[channel] = run.iter().fold(largest[channel], |most, w| if w.abs() > most { w.abs() } else { most });
        }
        let step = |channel: usize| {
            let of_weights = f64::from(largest[channel]) / 127.0;
            // Half of the 32 bits for the bias, the rest for the sum that it is added to.
            let of_bias = bias.map_or(0.0, |b| f64::from(b[channel].abs()) / (f64::from(input.scale) * 2f64.powi(30)));
            // A float32 that stays one when it is multiplied by the activation's scale and back.
            let step = of_weights.max(of_bias).min(f64::from(f32::MAX).sqrt()) as f32;
            if step > 0.0 { step } else { 1.0 }
        };
        let scales: Vec<f32> = (0..self.n_channels()).map(step).collect();
        let mut weights = Vec::with_capacity(self.values.len());
        for (channel, run) in self.runs() {
            let scale = f64::from(scales[channel]);
            weights.extend(run.iter().map(|w| nearest(f64::from(*w) / scale)));
        }
        let to_int32 =
            |(b, scale): (&f32, &f32)| (f64::from(*b) / (f64::from(input.scale) * f64::from(*scale))).round() as i32;
        Integers { bias: bias.map(|b| b.iter().zip(&scales).map(to_int32).collect()), scales, weights }
    }
}

/// The nearest integer, halves away from zero, of what two float32 numbers make. (Just below 0.5 it would be wrong for quotients with more
/// digits.) `round` is a call of the C library for each weight where no newer processor is asked for.
fn nearest(quotient: f64) -> i8 {
    (quotient + 0.5_f64.copysign(quotient)) as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_exact_and_the_ends_are_in_range() {
        for (low, high) in [(0.0, 6.0), (-1.0, 3.0), (2.0, 5.0), (-4.0, -1.0), (0.0, 0.0), (0.0, 1e-45)] {
            let Activation { scale, zero } = Activation::of(Range { low, high });
            let back = |q: u8| scale * (f32::from(q) - f32::from(zero));
            assert!(scale > 0.0);
            assert!(back(255) >= high - scale && back(0) <= low + scale, "{low}..{high}: {}..{}", back(0), back(255));
        }
        assert_eq!(Activation::of(Range { low: 0.0, high: 6.0 }).zero, 0);
    }

    #[test]
    fn each_channel_has_its_own_scale_on_either_axis() {
        let values = vec![1.0, -2.0, 0.5, 10.0, 0.0, -5.0];
        let input = Activation { scale: 0.5, zero: 0 };
        let rows = Weight::new(Constant { dims: vec![2, 3], values: values.clone() }, 0).unwrap();
        let found = rows.to_integers(Some(&[1.0, -1.0]), input);
        assert_eq!(found.scales, [2.0 / 127.0, 10.0 / 127.0]);
        assert_eq!(found.weights, [64, -127, 32, 127, 0, -64]);
        assert_eq!(found.bias, Some(vec![127, -25]));
        let columns = Weight::new(Constant { dims: vec![2, 3], values }, 1).unwrap();
        let found = columns.to_integers(None, input);
        assert_eq!(found.scales, [10.0 / 127.0, 2.0 / 127.0, 5.0 / 127.0]);
        assert_eq!(found.weights, [13, -127, 13, 127, 0, -127]);
        assert_eq!(found.bias, None);
    }

    #[test]
    fn a_bias_that_is_too_large_makes_the_steps_larger() {
        let weight = Weight::new(Constant { dims: vec![1, 1], values: vec![1e-6] }, 0).unwrap();
        let found = weight.to_integers(Some(&[1000.0]), Activation { scale: 1e-6, zero: 0 });
        let back = f64::from(found.bias.unwrap()[0]) * 1e-6 * f64::from(found.scales[0]);
        assert!((back - 1000.0).abs() < 1e-3, "{back}");
    }
}
