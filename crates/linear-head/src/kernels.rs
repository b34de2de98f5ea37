//! The two products of training, written for few columns: a head has ten classes where a general matrix product is made for
//! hundreds. Vectors are those of the processor at hand (`pulp` asks it), in code without unsafe.
//!
//! Vectors lie across columns, so that a sum is one place of a register from its beginning to its end: nothing is added up
//! across a vector, and the bits are the same however many columns stand beside it, and on every processor that fuses a
//! product with a sum. Both products keep their sums in registers: [`Affine`] holds a tile of logits while it walks along the
//! features; [`descend`] holds a tile of the gradient while it walks over the batch's rows, and applies the step of SGD to it
//! there, so that a gradient is never written.

use std::array;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::panels::{Line, PANEL, Panels, ZEROS};

/// Calls a method for the processor at hand with the size of its tiles, `<S, ROWS, PANELS, ROWS_ALONE, VECTORS>`: `ROWS` by
/// `PANELS`, or `ROWS_ALONE` by a last panel, are enough sums that none waits for the one before, and few enough for the registers
/// beside what they are made from. A panel is `VECTORS` vectors.
macro_rules! in_tiles {
    ($simd:ident: $S:ident, $product:ident.$run:ident) => {
        match $S::F32_LANES {
            16 => $product.$run::<$S, 8, 2, 16, 1>($simd),
            8 => $product.$run::<$S, 4, 1, 4, 2>($simd),
            4 => $product.$run::<$S, 4, 1, 4, 4>($simd),
            _ => $product.$run::<$S, 1, 1, 1, PANEL>($simd),
        }
    };
}

/// X · Wᵀ + b into `logits`.
pub(crate) struct Affine<'a> {
    /// f32 `[n, feature_dim]`.
    pub(crate) features: &'a [f32],
    pub(crate) weight: &'a Panels,
    /// f32 `[n_places]`.
    pub(crate) bias: &'a [f32],
    /// f32 `[n, stride]`.
    pub(crate) logits: &'a mut [f32],
    /// All columns, or all places.
    pub(crate) stride: usize,
}

impl Affine<'_> {
    pub(crate) fn run(self) {
        Arch::new().dispatch(self);
    }

    #[inline(always)]
    fn panels<S: Simd, const R: usize, const P: usize, const ALONE: usize, const V: usize>(mut self, simd: S) {
        let weight = self.weight;
        for (lines, first) in weight.lines.chunks(P * weight.feature_dim).zip((0..).step_by(P * PANEL)) {
            if lines.len() == P * weight.feature_dim {
                self.rows::<S, R, P, V>(simd, lines, first);
            } else {
                self.rows::<S, ALONE, 1, V>(simd, lines, first);
            }
        }
    }

    /// The logits of `P` panels, whose columns are those from `first` on.
    #[inline(always)]
    fn rows<S: Simd, const R: usize, const P: usize, const V: usize>(&mut self, simd: S, lines: &[Line], first: usize) {
        let n = self.features.len() / self.weight.feature_dim;
        let whole = n / R * R;
        for row in (0..whole).step_by(R) {
            self.tile::<S, R, P, V>(simd, lines, first, row);
        }
        for row in whole..n {
            self.tile::<S, 1, P, V>(simd, lines, first, row);
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize, const P: usize, const V: usize>(
        &mut self,
        simd: S,
        lines: &[Line],
        first: usize,
        row: usize,
    ) {
        let (dim, stride) = (self.weight.feature_dim, self.stride);
        let x: [&[f32]; R] = array::from_fn(|r| &self.features[(row + r) * dim..][..dim]);
        let w: [&[Line]; P] = array::from_fn(|p| &lines[p * dim..][..dim]);
        let bias: [[S::f32s; V]; P] = array::from_fn(|p| vectors::<S, V>(&self.bias[first + p * PANEL..]));
        let mut sums = [bias; R];
        for k in 0..dim {
            let w = w.map(|lines| vectors::<S, V>(&lines[k].0));
            for (sums, x) in sums.iter_mut().zip(x) {
                add_product(simd, sums, x[k], w);
            }
        }
        for (logits, sums) in self.logits[row * stride..].chunks_exact_mut(stride).zip(sums) {
            for (place, sums) in (first..).step_by(PANEL).zip(sums) {
                let (mut line, end) = (ZEROS, stride.min(place + PANEL));
                S::as_mut_simd_f32s(&mut line.0).0.copy_from_slice(&sums);
                logits[place..end].copy_from_slice(&line.0[..end - place]);
            }
        }
    }
}

impl WithSimd for Affine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        in_tiles!(simd: S, self.panels);
    }
}

/// One step of SGD: g = Σᵢ ∂(i, c) · xᵢ, v ← m · v + (g + wd · w), w ← w − lr · v.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    /// f32 `[n, feature_dim]`.
    pub(crate) features: &'a [f32],
    /// ∂loss/∂logits, f32 `[n, n_places]`.
    pub(crate) slopes: &'a [f32],
    pub(crate) momentum: f32,
    /// f32 `[n_places]`, as each column has its own.
    pub(crate) learning_rate: &'a [f32],
    /// f32 `[n_places]`.
    pub(crate) weight_decay: &'a [f32],
}

/// Takes the step for all columns. Threads share the panels, of which a task takes `panels_in_task`.
pub(crate) fn descend(step: Step<'_>, weight: &mut Panels, velocity: &mut Panels, panels_in_task: usize) {
    let (feature_dim, stride) = (weight.feature_dim, weight.n_places());
    let task = panels_in_task * feature_dim;
    let tasks = weight.lines.par_chunks_mut(task).zip(velocity.lines.par_chunks_mut(task)).enumerate();
    tasks.for_each(|(nth, (weight, velocity))| {
        let first = nth * panels_in_task * PANEL;
        Arch::new().dispatch(Descend { step, feature_dim, stride, first, weight, velocity });
    });
}

/// The step for some panels, whose columns are those from `first` on.
struct Descend<'a> {
    step: Step<'a>,
    feature_dim: usize,
    stride: usize,
    first: usize,
    weight: &'a mut [Line],
    velocity: &'a mut [Line],
}

impl Descend<'_> {
    #[inline(always)]
    fn panels<S: Simd, const K: usize, const P: usize, const ALONE: usize, const V: usize>(mut self, simd: S) {
        let n_panels = self.weight.len() / self.feature_dim;
        let whole = n_panels / P * P;
        for panel in (0..whole).step_by(P) {
            self.features::<S, K, P, V>(simd, panel);
        }
        for panel in whole..n_panels {
            self.features::<S, ALONE, 1, V>(simd, panel);
        }
    }

    #[inline(always)]
    fn features<S: Simd, const K: usize, const P: usize, const V: usize>(&mut self, simd: S, panel: usize) {
        let whole = self.feature_dim / K * K;
        for feature in (0..whole).step_by(K) {
            self.tile::<S, K, P, V>(simd, panel, feature);
        }
        for feature in whole..self.feature_dim {
            self.tile::<S, 1, P, V>(simd, panel, feature);
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const K: usize, const P: usize, const V: usize>(&mut self, simd: S, panel: usize, feature: usize) {
        let Step { features, slopes, momentum, learning_rate, weight_decay } = self.step;
        let (dim, first) = (self.feature_dim, self.first + panel * PANEL);
        let mut sums = [[[simd.splat_f32s(0.0); V]; P]; K];
        for (row, slopes) in features.chunks_exact(dim).zip(slopes.chunks_exact(self.stride)) {
            let slopes: [[S::f32s; V]; P] = array::from_fn(|p| vectors::<S, V>(&slopes[first + p * PANEL..]));
            for (sums, x) in sums.iter_mut().zip(&row[feature..feature + K]) {
                add_product(simd, sums, *x, slopes);
            }
        }
        let momentum = simd.splat_f32s(momentum);
        for p in 0..P {
            let (place, line) = (first + p * PANEL, (panel + p) * dim + feature);
            let learning_rate: [_; V] = vectors::<S, V>(&learning_rate[place..]);
            let weight_decay: [_; V] = vectors::<S, V>(&weight_decay[place..]);
            let (weight, velocity) = (&mut self.weight[line..line + K], &mut self.velocity[line..line + K]);
            for ((sums, w), v) in sums.iter().zip(weight).zip(velocity) {
                let (w, v) = (S::as_mut_simd_f32s(&mut w.0).0, S::as_mut_simd_f32s(&mut v.0).0);
                for i in 0..V {
                    let gradient = simd.mul_add_e_f32s(weight_decay[i], w[i], sums[p][i]);
                    v[i] = simd.mul_add_e_f32s(momentum, v[i], gradient);
                    w[i] = simd.negate_mul_add_e_f32s(learning_rate[i], v[i], w[i]);
                }
            }
        }
    }
}

impl WithSimd for Descend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        in_tiles!(simd: S, self.panels);
    }
}

/// The vectors of a panel's places, which are the first of these.
#[inline(always)]
fn vectors<S: Simd, const V: usize>(places: &[f32]) -> [S::f32s; V] {
    let (vectors, _) = S::as_simd_f32s(&places[..PANEL]);
    array::from_fn(|v| vectors[v])
}

/// Adds x · w to the sums of a tile's row.
#[inline(always)]
fn add_product<S: Simd, const P: usize, const V: usize>(
    simd: S,
    sums: &mut [[S::f32s; V]; P],
    x: f32,
    w: [[S::f32s; V]; P],
) {
    let x = simd.splat_f32s(x);
    for (sums, w) in sums.iter_mut().zip(w) {
        for (sum, w) in sums.iter_mut().zip(w) {
            *sum = simd.mul_add_e_f32s(x, w, *sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::ArrayView2;
    use proptest::prelude::*;
    use pulp::{Scalar, Scalar128b, Scalar256b, Scalar512b};

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
        prop_assert_eq!(found.len(), expected.len());
        for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
            prop_assert!((f64::from(*found) - expected).abs() <= tolerance, "{place}: {found}, expected {expected}");
        }
        Ok(())
    }

    /// A batch and a head, of numbers that mean nothing.
    struct Problem {
        n_columns: usize,
        weight: Panels,
        velocity: Panels,
        x: Vec<f32>,
        bias: Vec<f32>,
        slopes: Vec<f32>,
        learning_rate: Vec<f32>,
        weight_decay: Vec<f32>,
    }

    impl Problem {
        fn new(n: usize, n_columns: usize, feature_dim: usize, seed: u32) -> Self {
            let matrix = |seed| {
                let values = numbers(n_columns * feature_dim, seed);
                Panels::of(ArrayView2::from_shape((n_columns, feature_dim), &values).unwrap())
            };
            let n_places = n_columns.next_multiple_of(PANEL);
            let [bias, learning_rate, weight_decay] = [3, 4, 5].map(|nth| numbers(n_places, seed + nth));
            let (x, slopes) = (numbers(n * feature_dim, seed), numbers(n * n_places, seed + 6));
            let (weight, velocity) = (matrix(seed + 1), matrix(seed + 2));
            Self { n_columns, weight, velocity, x, bias, slopes, learning_rate, weight_decay }
        }

        fn step(&self) -> Step<'_> {
            let Self { x, slopes, learning_rate, weight_decay, .. } = self;
            Step { features: x, slopes, momentum: 0.9, learning_rate, weight_decay }
        }

        /// Both products by one kind of vectors.
        fn by(&self, simd: impl Simd) -> (Vec<f32>, Panels, Panels) {
            let (weight, stride) = (&self.weight, self.weight.n_places());
            let mut logits = vec![0.0; self.slopes.len()];
            simd.vectorize(Affine { features: &self.x, weight, bias: &self.bias, logits: &mut logits, stride });
            let (mut weight, mut velocity) = (self.weight.clone(), self.velocity.clone());
            simd.vectorize(Descend {
                step: self.step(),
                feature_dim: weight.feature_dim,
                stride,
                first: 0,
                weight: &mut weight.lines,
                velocity: &mut velocity.lines,
            });
            (logits, weight, velocity)
        }
    }

    proptest! {
        // Every way that rows, columns and features can be left over behind whole tiles.
        #[test]
        fn both_products_are_those_of_plain_loops(
            n in 0_usize..19, n_columns in 1_usize..70, feature_dim in 1_usize..40, panels_in_task in 1_usize..4, seed in 0_u32..1000
        ) {
            let problem = Problem::new(n, n_columns, feature_dim, seed);
            let (w, v) = (problem.weight.rows(0, n_columns), problem.velocity.rows(0, n_columns));
            let (n_places, x) = (problem.weight.n_places(), |i: usize, k: usize| f64::from(problem.x[i * feature_dim + k]));

            let dot = |i, c| (0..feature_dim).map(|k| x(i, k) * f64::from(w[[c, k]])).sum::<f64>();
            let expected: Vec<f64> = (0..n * n_columns)
                .map(|at| dot(at / n_columns, at % n_columns) + f64::from(problem.bias[at % n_columns]))
                .collect();
            for stride in [n_columns, n_places] {
                let mut logits = vec![0.0; n * stride];
                let (features, weight, bias) = (&problem.x[..], &problem.weight, &problem.bias[..]);
                Affine { features, weight, bias, logits: &mut logits, stride }.run();
                let of_columns: Vec<f32> = logits.chunks(stride).flat_map(|row| &row[..n_columns]).copied().collect();
                assert_close(&of_columns, &expected, 1e-5 * feature_dim as f64)?;
            }

            let (mut expected_w, mut expected_v) = (vec![], vec![]);
            for (c, k) in (0..n_columns).flat_map(|c| (0..feature_dim).map(move |k| (c, k))) {
                let (w, v) = (f64::from(w[[c, k]]), f64::from(v[[c, k]]));
                let g: f64 = (0..n).map(|i| f64::from(problem.slopes[i * n_places + c]) * x(i, k)).sum();
                let stepped = f64::from(0.9_f32) * v + g + f64::from(problem.weight_decay[c]) * w;
                expected_v.push(stepped);
                expected_w.push(w - f64::from(problem.learning_rate[c]) * stepped);
            }
            let (mut weight, mut velocity) = (problem.weight.clone(), problem.velocity.clone());
            descend(problem.step(), &mut weight, &mut velocity, panels_in_task);
            assert_close(velocity.rows(0, n_columns).as_slice().unwrap(), &expected_v, 1e-5)?;
            assert_close(weight.rows(0, n_columns).as_slice().unwrap(), &expected_w, 1e-5)?;
        }

        #[test]
        fn vectors_of_every_width_make_the_same_bits(
            n in 0_usize..19, n_columns in 1_usize..70, feature_dim in 1_usize..40, seed in 0_u32..1000
        ) {
            let problem = Problem::new(n, n_columns, feature_dim, seed);
            let expected = problem.by(Scalar512b);
            prop_assert_eq!(&expected, &problem.by(Scalar256b));
            prop_assert_eq!(&expected, &problem.by(Scalar128b));
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                prop_assert_eq!(&expected, &problem.by(simd));
            }
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V4::try_new() {
                prop_assert_eq!(&expected, &problem.by(simd));
            }
            // Which does not fuse.
            let alone = problem.by(Scalar);
            let alone_w: Vec<f64> = alone.1.rows(0, problem.n_columns).iter().map(|w| f64::from(*w)).collect();
            assert_close(&alone.0, &expected.0.iter().map(|z| f64::from(*z)).collect::<Vec<_>>(), 1e-4)?;
            assert_close(expected.1.rows(0, problem.n_columns).as_slice().unwrap(), &alone_w, 1e-4)?;
        }
    }
}
