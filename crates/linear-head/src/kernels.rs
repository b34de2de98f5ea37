//! The two products of training, written for few columns: a head has ten classes where a general matrix product is made for
//! hundreds. Vectors are those of the processor at hand (`pulp` asks it), in code without unsafe.
//!
//! Both keep as many sums in registers as fit and go through memory once: [`affine`] holds a tile of logits while it walks
//! along the features; [`descend`] holds a tile of the gradient while it walks over the batch's rows, and applies the step of SGD to
//! it there, so that a gradient is never written.
//!
//! A column comes out with the same bits however many stand beside it, as each sum has an order of its own.

use std::array;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

/// Columns in a tile. With [`rows_in_tile`] rows, or vectors, that is how many sums are held at once.
pub(crate) const COLUMNS: usize = 5;

/// Bytes of weights that all rows go by before the next ones are taken: few enough for the cache next to the core.
const SLAB_BYTES: usize = 128 << 10;

/// Rows of features, or vectors along a row, in a tile: the sums and what they are made from have to fit into the registers.
const fn rows_in_tile<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// Writes X · Wᵀ + b: `features` f32 `[n, feature_dim]`, `weight` f32 `[n_columns, feature_dim]`, `bias` `[n_columns]`,
/// `logits` f32 `[n, n_columns]`, all row-major.
pub(crate) fn affine(features: &[f32], weight: &[f32], bias: &[f32], feature_dim: usize, logits: &mut [f32]) {
    Arch::new().dispatch(Affine { features, weight, bias, feature_dim, logits });
}

struct Affine<'a> {
    features: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    feature_dim: usize,
    logits: &'a mut [f32],
}

impl WithSimd for Affine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if rows_in_tile::<S>() == 4 { self.rows::<S, 4>(simd) } else { self.rows::<S, 2>(simd) }
    }
}

impl Affine<'_> {
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(self, simd: S) {
        let Self { features, weight, bias, feature_dim, logits } = self;
        let (n_columns, tile) = (bias.len(), R * feature_dim);
        let whole = features.len() / tile * tile;
        let (in_tiles, others) = logits.split_at_mut(whole / feature_dim * n_columns);
        let slab = (SLAB_BYTES / (COLUMNS * size_of::<f32>() * feature_dim)).max(1) * COLUMNS;
        for first in (0..n_columns).step_by(slab) {
            let columns = first..n_columns.min(first + slab);
            for (rows, logits) in features[..whole].chunks_exact(tile).zip(in_tiles.chunks_exact_mut(R * n_columns)) {
                tile_of_rows::<S, R>(simd, rows, weight, bias, columns.clone(), logits);
            }
            for (row, logits) in features[whole..].chunks_exact(feature_dim).zip(others.chunks_exact_mut(n_columns)) {
                tile_of_rows::<S, 1>(simd, row, weight, bias, columns.clone(), logits);
            }
        }
    }
}

#[inline(always)]
fn tile_of_rows<S: Simd, const R: usize>(
    simd: S,
    rows: &[f32],
    weight: &[f32],
    bias: &[f32],
    columns: Range<usize>,
    logits: &mut [f32],
) {
    let feature_dim = rows.len() / R;
    let rows: [&[f32]; R] = array::from_fn(|r| &rows[r * feature_dim..(r + 1) * feature_dim]);
    let whole = columns.start + columns.len() / COLUMNS * COLUMNS;
    for column in (columns.start..whole).step_by(COLUMNS) {
        dots::<S, R, COLUMNS>(simd, rows, weight, bias, column, logits);
    }
    for column in whole..columns.end {
        dots::<S, R, 1>(simd, rows, weight, bias, column, logits);
    }
}

/// The logits of `R` rows and of `C` columns from `first` on.
#[inline(always)]
fn dots<S: Simd, const R: usize, const C: usize>(
    simd: S,
    rows: [&[f32]; R],
    weight: &[f32],
    bias: &[f32],
    first: usize,
    logits: &mut [f32],
) {
    let feature_dim = rows[0].len();
    let x = rows.map(|row| S::as_simd_f32s(row));
    let w: [_; C] =
        array::from_fn(|c| S::as_simd_f32s(&weight[(first + c) * feature_dim..(first + c + 1) * feature_dim]));
    let n_vectors = x[0].0.len();
    let (x_vectors, w_vectors) =
        (x.map(|(vectors, _)| &vectors[..n_vectors]), w.map(|(vectors, _)| &vectors[..n_vectors]));
    let mut sums = [[simd.splat_f32s(0.0); C]; R];
    let mut add = |x: [S::f32s; R], w: [S::f32s; C]| {
        for (sums, x) in sums.iter_mut().zip(x) {
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum = simd.mul_add_e_f32s(x, w, *sum);
            }
        }
    };
    for k in 0..n_vectors {
        add(x_vectors.map(|row| row[k]), w_vectors.map(|column| column[k]));
    }
    if !x[0].1.is_empty() {
        add(x.map(|(_, rest)| simd.partial_load_f32s(rest)), w.map(|(_, rest)| simd.partial_load_f32s(rest)));
    }
    for (logits, sums) in logits.chunks_exact_mut(bias.len()).zip(sums) {
        for (c, sum) in sums.into_iter().enumerate() {
            logits[first + c] = simd.reduce_sum_f32s(sum) + bias[first + c];
        }
    }
}

/// What a step of SGD is made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    pub(crate) learning_rate: f32,
    pub(crate) momentum: f32,
    pub(crate) weight_decay: f32,
}

/// One step for some columns: g = Σᵢ ∂(i, c) · xᵢ, v ← m · v + (g + wd · w), w ← w − lr · v.
///
/// `features` f32 `[n, feature_dim]`; `slopes` f32 `[n, stride]`, ∂loss/∂logits, of which the columns from `first` on belong to
/// `weight` and `velocity`, both f32 `[columns, feature_dim]`.
pub(crate) fn descend(
    features: &[f32],
    slopes: Slopes<'_>,
    rates: Rates,
    feature_dim: usize,
    weight: &mut [f32],
    velocity: &mut [f32],
) {
    Arch::new().dispatch(Descend { features, slopes, rates, feature_dim, weight, velocity });
}

/// Some columns of a row-major matrix.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slopes<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) first: usize,
}

struct Descend<'a> {
    features: &'a [f32],
    slopes: Slopes<'a>,
    rates: Rates,
    feature_dim: usize,
    weight: &'a mut [f32],
    velocity: &'a mut [f32],
}

impl WithSimd for Descend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if rows_in_tile::<S>() == 4 { self.columns::<S, 4>(simd) } else { self.columns::<S, 2>(simd) }
    }
}

impl Descend<'_> {
    #[inline(always)]
    fn columns<S: Simd, const V: usize>(self, simd: S) {
        let Self { features, mut slopes, rates, feature_dim, weight, velocity } = self;
        let whole = weight.len() / (COLUMNS * feature_dim) * COLUMNS * feature_dim;
        let (weight, weight_rest) = weight.split_at_mut(whole);
        let (velocity, velocity_rest) = velocity.split_at_mut(whole);
        let tile = COLUMNS * feature_dim;
        for (weight, velocity) in weight.chunks_exact_mut(tile).zip(velocity.chunks_exact_mut(tile)) {
            tile_of_columns::<S, COLUMNS, V>(simd, features, slopes, rates, weight, velocity);
            slopes.first += COLUMNS;
        }
        for (weight, velocity) in
            weight_rest.chunks_exact_mut(feature_dim).zip(velocity_rest.chunks_exact_mut(feature_dim))
        {
            tile_of_columns::<S, 1, V>(simd, features, slopes, rates, weight, velocity);
            slopes.first += 1;
        }
    }
}

#[inline(always)]
fn tile_of_columns<S: Simd, const C: usize, const V: usize>(
    simd: S,
    features: &[f32],
    slopes: Slopes<'_>,
    rates: Rates,
    weight: &mut [f32],
    velocity: &mut [f32],
) {
    let feature_dim = weight.len() / C;
    let weights = columns_of::<S, C>(weight);
    let velocities = columns_of::<S, C>(velocity);
    let n_vectors = weights[0].0.len();
    let whole = n_vectors / V * V;
    for k in (0..whole).step_by(V) {
        let sums = gradient::<S, C, V>(simd, features, feature_dim, slopes, |row| array::from_fn(|v| row.0[k + v]));
        for c in 0..C {
            for (v, sum) in sums[c].into_iter().enumerate() {
                step(simd, sum, rates, &mut weights[c].0[k + v], &mut velocities[c].0[k + v]);
            }
        }
    }
    for k in whole..n_vectors {
        let sums = gradient::<S, C, 1>(simd, features, feature_dim, slopes, |row| [row.0[k]]);
        for c in 0..C {
            step(simd, sums[c][0], rates, &mut weights[c].0[k], &mut velocities[c].0[k]);
        }
    }
    if !weights[0].1.is_empty() {
        let sums = gradient::<S, C, 1>(simd, features, feature_dim, slopes, |row| [simd.partial_load_f32s(row.1)]);
        for c in 0..C {
            let (mut w, mut v) = (simd.partial_load_f32s(weights[c].1), simd.partial_load_f32s(velocities[c].1));
            step(simd, sums[c][0], rates, &mut w, &mut v);
            simd.partial_store_f32s(weights[c].1, w);
            simd.partial_store_f32s(velocities[c].1, v);
        }
    }
}

type Vectors<'a, S> = (&'a mut [<S as Simd>::f32s], &'a mut [f32]);

#[inline(always)]
fn columns_of<S: Simd, const C: usize>(matrix: &mut [f32]) -> [Vectors<'_, S>; C] {
    let feature_dim = matrix.len() / C;
    let mut columns = matrix.chunks_exact_mut(feature_dim);
    array::from_fn(|_| S::as_mut_simd_f32s(columns.next().expect("the tile has this many columns")))
}

/// Σᵢ ∂(i, c) · (`V` vectors of row i), for `C` columns.
#[inline(always)]
fn gradient<S: Simd, const C: usize, const V: usize>(
    simd: S,
    features: &[f32],
    feature_dim: usize,
    slopes: Slopes<'_>,
    vectors: impl Fn((&[S::f32s], &[f32])) -> [S::f32s; V],
) -> [[S::f32s; V]; C] {
    let mut sums = [[simd.splat_f32s(0.0); V]; C];
    for (row, slopes_of_row) in features.chunks_exact(feature_dim).zip(slopes.values.chunks_exact(slopes.stride)) {
        let x = vectors(S::as_simd_f32s(row));
        let slopes_of_row = &slopes_of_row[slopes.first..slopes.first + C];
        for c in 0..C {
            let slope = simd.splat_f32s(slopes_of_row[c]);
            for v in 0..V {
                sums[c][v] = simd.mul_add_e_f32s(slope, x[v], sums[c][v]);
            }
        }
    }
    sums
}

#[inline(always)]
fn step<S: Simd>(simd: S, gradient: S::f32s, rates: Rates, weight: &mut S::f32s, velocity: &mut S::f32s) {
    let Rates { learning_rate, momentum, weight_decay } = rates;
    let decayed = simd.mul_add_e_f32s(simd.splat_f32s(weight_decay), *weight, gradient);
    *velocity = simd.mul_add_e_f32s(simd.splat_f32s(momentum), *velocity, decayed);
    *weight = simd.mul_add_e_f32s(simd.splat_f32s(-learning_rate), *velocity, *weight);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2).wrapping_add(1);
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .take(n)
        .collect()
    }

    fn assert_close(found: &[f32], expected: &[f64], tolerance: f64) -> Result<(), TestCaseError> {
        for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
            prop_assert!((f64::from(*found) - expected).abs() <= tolerance, "{place}: {found}, expected {expected}");
        }
        Ok(())
    }

    proptest! {
        // Every way that rows, columns and features can be left over behind whole tiles.
        #[test]
        fn both_products_are_those_of_plain_loops(
            n in 0_usize..11, n_columns in 1_usize..13, feature_dim in 1_usize..150, seed in 0_u32..1000
        ) {
            let (x, mut w) = (numbers(n * feature_dim, seed), numbers(n_columns * feature_dim, seed + 1));
            let (bias, mut logits) = (numbers(n_columns, seed + 2), vec![0.0; n * n_columns]);
            affine(&x, &w, &bias, feature_dim, &mut logits);
            let dot = |i: usize, c: usize| -> f64 {
                (0..feature_dim).map(|k| f64::from(x[i * feature_dim + k]) * f64::from(w[c * feature_dim + k])).sum()
            };
            let expected: Vec<f64> = (0..n * n_columns)
                .map(|at| dot(at / n_columns, at % n_columns) + f64::from(bias[at % n_columns]))
                .collect();
            assert_close(&logits, &expected, 1e-5 * feature_dim as f64)?;

            // Of slopes with two columns on either side that are another's.
            let stride = n_columns + 4;
            let slopes = numbers(n * stride, seed + 3);
            let rates = Rates { learning_rate: 0.5, momentum: 0.9, weight_decay: 0.125 };
            let mut v = numbers(n_columns * feature_dim, seed + 4);
            let (mut expected_w, mut expected_v) = (vec![0.0; w.len()], vec![0.0; w.len()]);
            for at in 0..w.len() {
                let (c, k) = (at / feature_dim, at % feature_dim);
                let g: f64 = (0..n)
                    .map(|i| f64::from(slopes[i * stride + 2 + c]) * f64::from(x[i * feature_dim + k]))
                    .sum();
                expected_v[at] = f64::from(0.9_f32) * f64::from(v[at]) + g + 0.125 * f64::from(w[at]);
                expected_w[at] = f64::from(w[at]) - 0.5 * expected_v[at];
            }
            descend(&x, Slopes { values: &slopes, stride, first: 2 }, rates, feature_dim, &mut w, &mut v);
            assert_close(&v, &expected_v, 1e-5)?;
            assert_close(&w, &expected_w, 1e-5)?;
        }
    }
}
