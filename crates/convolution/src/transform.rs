//! F(4 × 4, 3 × 3): a tile of 4 × 4 outputs from a patch of 6 × 6 inputs in 36 products instead of 144.
//!
//! Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A, with the matrices of Lavin and Gray, section 4.3 (interpolation at 0, ±1, ±2 and ∞).

use pulp::Simd;

/// Side of a tile of outputs.
pub(crate) const TILE: usize = 4;
/// Side of the patch of inputs that a tile is made from.
pub(crate) const PATCH: usize = TILE + 2;
/// Products of a tile and a pair of channels.
pub(crate) const POINTS: usize = PATCH * PATCH;

/// G.
const WEIGHTS: [[f64; 3]; PATCH] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// What the nine weights of a 3 × 3 kernel count at one point of G g Gᵀ.
pub(crate) fn weights(point: usize) -> [f64; 9] {
    let (row, column) = (WEIGHTS[point / PATCH], WEIGHTS[point % PATCH]);
    std::array::from_fn(|tap| row[tap / 3] * column[tap % 3])
}

/// Bᵀ d B: columns, and then rows.
#[inline(always)]
pub(crate) fn input<S: Simd>(simd: S, patch: [[S::f32s; PATCH]; PATCH]) -> [[S::f32s; PATCH]; PATCH] {
    let mut columns = patch;
    for (x, column) in columns.iter_mut().enumerate() {
        let [a, b, c, d, e, f] = &patch;
        *column = input_line(simd, [a[x], b[x], c[x], d[x], e[x], f[x]]);
    }
    let mut rows = patch;
    for (y, row) in rows.iter_mut().enumerate() {
        let [a, b, c, d, e, f] = &columns;
        *row = input_line(simd, [a[y], b[y], c[y], d[y], e[y], f[y]]);
    }
    rows
}

/// Aᵀ m A, of what `product` gives for each of the 36 points.
#[inline(always)]
pub(crate) fn output<S: Simd>(simd: S, product: impl Fn(usize) -> S::f32s) -> [[S::f32s; TILE]; TILE] {
    let mut columns = [[simd.splat_f32s(0.0); TILE]; PATCH];
    for (x, column) in columns.iter_mut().enumerate() {
        let at = |y: usize| product(y * PATCH + x);
        *column = output_line(simd, [at(0), at(1), at(2), at(3), at(4), at(5)]);
    }
    let mut rows = [[simd.splat_f32s(0.0); TILE]; TILE];
    for (y, row) in rows.iter_mut().enumerate() {
        let [a, b, c, d, e, f] = &columns;
        *row = output_line(simd, [a[y], b[y], c[y], d[y], e[y], f[y]]);
    }
    rows
}

/// Bᵀ on one line, with what its rows share made once.
#[inline(always)]
fn input_line<S: Simd>(simd: S, d: [S::f32s; PATCH]) -> [S::f32s; PATCH] {
    let even = add_times(simd, d[4], -4.0, d[2]);
    let odd = add_times(simd, d[3], -4.0, d[1]);
    let near = simd.sub_f32s(d[4], d[2]);
    let twice = simd.mul_f32s(simd.splat_f32s(2.0), simd.sub_f32s(d[3], d[1]));
    [
        add_times(simd, add_times(simd, d[4], -5.0, d[2]), 4.0, d[0]),
        simd.add_f32s(even, odd),
        simd.sub_f32s(even, odd),
        simd.add_f32s(near, twice),
        simd.sub_f32s(near, twice),
        add_times(simd, add_times(simd, d[5], -5.0, d[3]), 4.0, d[1]),
    ]
}

/// Aᵀ on one line.
#[inline(always)]
fn output_line<S: Simd>(simd: S, m: [S::f32s; PATCH]) -> [S::f32s; TILE] {
    let (sum, difference) = (simd.add_f32s(m[1], m[2]), simd.sub_f32s(m[1], m[2]));
    let (far_sum, far_difference) = (simd.add_f32s(m[3], m[4]), simd.sub_f32s(m[3], m[4]));
    [
        simd.add_f32s(simd.add_f32s(m[0], sum), far_sum),
        add_times(simd, difference, 2.0, far_difference),
        add_times(simd, sum, 4.0, far_sum),
        simd.add_f32s(add_times(simd, difference, 8.0, far_difference), m[5]),
    ]
}

/// A function, as a closure would not be compiled for the processor at hand.
#[inline(always)]
fn add_times<S: Simd>(simd: S, value: S::f32s, factor: f32, other: S::f32s) -> S::f32s {
    simd.mul_add_e_f32s(simd.splat_f32s(factor), other, value)
}
