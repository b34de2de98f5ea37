//! The exponential of a softmax, for whole slices at once.
//!
//! A grid of settings takes one for each class of each setting of each example: by the C library's `expf`, one at a time, that
//! is as much time as a third of its products. This one is written so that the compiler puts it into vectors.

use pulp::Arch;

/// Below it e^x is no normal number, and 0 is taken.
const LEAST: f32 = -87.336_54;

/// Replaces every x ≤ 0 by e^x, off by at most 1.1 units in the last place; what is no number stays none. −∞ and what is below
/// −87.33 become 0.
///
/// The same bits on every processor: no product is fused with a sum.
pub(crate) fn exp_in_place(values: &mut [f32]) {
    Arch::new().dispatch(|| values.iter_mut().for_each(|x| *x = exp(*x)));
}

/// e^x = 2ⁿ · e^r with n = ⌊x / ln 2⌉ and |r| ≤ ln 2 / 2, e^r by the polynomial of Cephes' `expf` (Moshier 1989).
#[inline(always)]
#[expect(clippy::suboptimal_flops, reason = "fused where the processor can, the bits would be its own")]
fn exp(x: f32) -> f32 {
    /// 1.5 · 2²³: added to a small number it leaves that number's nearest integer in the last bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two pieces, the first short enough that its product with n is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN_2[0]) - n * LN_2[1];
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + coefficient;
    }
    let p = p * (r * r) + r + 1.0;
    // The last bits of `rounded` are n, and a float's exponent begins at bit 23.
    let power = f32::from_bits(p.to_bits().wrapping_add(rounded.to_bits() << 23));
    let power = if x < LEAST { 0.0 } else { power };
    if x.is_nan() { x } else { power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_exponential() {
        // Every 997th float from −0 down to LEAST, in slices, of which the last is no whole vector.
        let all: Vec<f32> = ((-0.0_f32).to_bits()..LEAST.to_bits()).step_by(997).map(f32::from_bits).collect();
        let mut found = all.clone();
        found.chunks_mut(1001).for_each(exp_in_place);
        let mut worst = 0.0_f64;
        for (x, found) in all.iter().zip(found) {
            let exact = f64::from(*x).exp();
            let unit = f64::from(f32::from_bits((exact as f32).to_bits() + 1)) - f64::from(exact as f32);
            worst = worst.max((f64::from(found) - exact).abs() / unit);
        }
        assert!(worst <= 1.1, "off by {worst} units in the last place");
    }

    #[test]
    fn what_lies_outside_is_nothing_or_no_number() {
        let mut values = [0.0, -0.0, f32::NEG_INFINITY, -87.4, -1e30, f32::MIN, f32::NAN];
        exp_in_place(&mut values);
        assert_eq!(values[..6], [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        assert!(values[6].is_nan());
    }
}
