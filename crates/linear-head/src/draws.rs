//! Every random draw of a fit: the order of an epoch and the initial weights, keyed and repeatable.
//!
//! Bounded draws and normals are spelled out here, not taken from a library, so that a library's new
//! release cannot change an old seed's result.

use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The stream of the initial weights; epochs count from 1 and have a stream each.
const INITIAL_WEIGHTS: u64 = 0;

/// The generator of one purpose under one seed.
pub(crate) fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(stream);
    rng
}

/// Fills `order` with a Fisher–Yates shuffle of `0..order.len()` that depends on `seed` and the 1-based
/// `epoch` alone.
pub(crate) fn shuffle(order: &mut [u32], seed: u64, epoch: usize) {
    let mut rng = stream(seed, epoch as u64);
    for (position, entry) in (0..).zip(order.iter_mut()) {
        *entry = position;
    }
    for last in (1..order.len()).rev() {
        // The high half of a 64 × 64 bit product: its bias, n / 2⁶⁴, is below anything measurable.
        let chosen = ((u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64) as usize;
        order.swap(last, chosen);
    }
}

/// Draws f32 `[n_classes, feature_dim]` from a normal of mean 0 and standard deviation 0.01 (Box–Muller).
pub(crate) fn initial_weights(n_classes: usize, feature_dim: usize, seed: u64) -> Array2<f32> {
    let mut rng = stream(seed, INITIAL_WEIGHTS);
    // 53 bits centred in their cell: never 0, whose logarithm is infinite.
    let mut uniform = move || ((rng.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    Array2::from_shape_simple_fn((n_classes, feature_dim), || {
        let radius = (-2.0 * uniform().ln()).sqrt();
        (0.01 * radius * (std::f64::consts::TAU * uniform()).cos()) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_permutation_keyed_by_seed_and_epoch() {
        let order = |seed, epoch| {
            let mut order = vec![0; 100];
            shuffle(&mut order, seed, epoch);
            order
        };
        assert_eq!(order(1, 1), order(1, 1));
        assert_ne!(order(1, 1), order(1, 2));
        assert_ne!(order(1, 1), order(2, 1));
        let mut sorted = order(1, 1);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn initial_weights_have_the_stated_spread() {
        let weights = initial_weights(10, 1000, 3);
        let mean = weights.iter().map(|w| f64::from(*w)).sum::<f64>() / 1e4;
        let spread = (weights.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / 1e4).sqrt();
        assert!(mean.abs() < 5e-4, "{mean}");
        assert!((spread - 0.01).abs() < 5e-4, "{spread}");
    }
}
