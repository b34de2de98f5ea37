//! Winograd's algorithm on vectors: patches of bytes become points of 16 bits, whose products `vpdpwssd` adds up, and tiles of sums bytes.
//!
//! A tile of fewer outputs than four along an axis, at the end of a row or column, has fewer points: those of F(3, 3), F(2, 3) and F(1, 3)
//! are among those of F(4, 3), and so are their weights but for a factor, which is in Bᵀ here.

#![expect(
    clippy::needless_range_loop,
    reason = "iterators over vectors are not compiled for the processor that this is for"
)]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi16, _mm512_add_epi32, _mm512_cvtepu8_epi16, _mm512_dpwssd_epi32, _mm512_mullo_epi32,
    _mm512_set1_epi32, _mm512_setzero_si512, _mm512_slli_epi32, _mm512_srai_epi32, _mm512_sub_epi16, _mm512_sub_epi32,
};

use super::Scaling;
use crate::bytes::kernel::LANES;
use crate::bytes::points::{BITS, DEPTH, NINTH, Words};
use crate::bytes::tiles::{Piece, Sites, Task, Vector, has_point};
use crate::transform::{PATCH, POINTS, TILE};

/// Tiles whose sums are kept in registers together: with two vectors of channels they are 28 of the 32 registers.
const MOST_SITES: usize = 14;

/// Writes the piece's bytes.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn make(task: &mut Task<'_>) {
    let Task { piece, gathered, products } = task;
    let (all, of_point) = (piece.sites(), piece.kernel.in_channels / 2);
    gather(piece, &all, gathered);
    let mut first = 0;
    for words in piece.points.pairs() {
        let vectors = words.len() / (POINTS * of_point);
        for (point, sites) in all.iter().enumerate() {
            let left = &gathered[sites.first * piece.n_blocks()..][..sites.n * piece.n_blocks()];
            let right = &words[point * of_point * vectors..][..of_point * vectors];
            let out = &mut products[sites.first * vectors..][..sites.n * vectors];
            if vectors == 2 {
                multiply::<2>(left, sites.n, right, out);
            } else {
                multiply::<1>(left, sites.n, right, out);
            }
        }
        for vector in 0..vectors {
            place(piece, &all, products, (vector, vectors), first + vector * LANES);
        }
        first += vectors * LANES;
    }
}

/// Bᵀ d B of each tile's patch, into `[points, in_channels / 32, sites]`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn gather(piece: &Piece<'_>, all: &[Sites; POINTS], gathered: &mut [Vector]) {
    let n_blocks = piece.n_blocks();
    let mut lines = piece.lines();
    for image in 0..piece.images.n {
        for (nth, row) in piece.rows.clone().enumerate() {
            // In one go, which the processor foresees: patch by patch it would wait for memory.
            piece.copy(image, row, &mut lines);
            for column in 0..piece.columns() {
                let sizes = [piece.size(0, row), piece.size(1, column)];
                let mut places = [0; POINTS];
                for point in 0..POINTS {
                    places[point] = all[point].first * n_blocks + all[point].nth(image, nth, column);
                }
                for block in 0..n_blocks {
                    let patch = &lines[(column * TILE * n_blocks + block) * DEPTH..];
                    input(patch, [piece.pitch(), n_blocks * DEPTH], sizes, &places, gathered);
                    for point in 0..POINTS {
                        places[point] += all[point].n;
                    }
                }
            }
        }
    }
}

/// Bᵀ d B of 32 channels of the patch of a tile of such sides: columns, and then rows. A point of it goes to its place.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn input(
    patch: &[u8],
    [pitch, pixel]: [usize; 2],
    [height, width]: [usize; 2],
    places: &[usize; POINTS],
    gathered: &mut [Vector],
) {
    let columns = [
        column(patch, pitch, height),
        column(&patch[pixel..], pitch, height),
        column(&patch[2 * pixel..], pitch, height),
        column(&patch[3 * pixel..], pitch, height),
        column(&patch[4 * pixel..], pitch, height),
        column(&patch[5 * pixel..], pitch, height),
    ];
    let [a, b, c, d, e, f] = &columns;
    for y in 0..PATCH {
        if has_point(height, y) {
            let line = input_line([a[y], b[y], c[y], d[y], e[y], f[y]], width);
            for x in 0..PATCH {
                if has_point(width, x) {
                    gathered[places[y * PATCH + x]] = bytemuck::must_cast(line[x]);
                }
            }
        }
    }
}

/// Bᵀ on the first column of a patch.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn column(patch: &[u8], pitch: usize, height: usize) -> [__m512i; PATCH] {
    let mut d = [_mm512_setzero_si512(); PATCH];
    for y in 0..PATCH {
        d[y] = _mm512_cvtepu8_epi16(bytemuck::must_cast(patch[y * pitch..].as_chunks::<DEPTH>().0[0]));
    }
    input_line(d, height)
}

/// Bᵀ on one line of a tile of `size` outputs, as `points` says, with what its rows share made once.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn input_line(d: [__m512i; PATCH], size: usize) -> [__m512i; PATCH] {
    let zero = _mm512_setzero_si512();
    match size {
        1 => {
            // (4 −4 0), (0 −6 0) and (0 −1 1).
            let twice = double(d[1]);
            let first = double(double(_mm512_sub_epi16(d[0], d[1])));
            let second = _mm512_sub_epi16(_mm512_sub_epi16(zero, double(twice)), twice);
            [first, second, zero, zero, zero, _mm512_sub_epi16(d[2], d[1])]
        }
        2 => {
            // (4 0 −4 0), (0 −3 −3 0), (0 3 −3 0) and (0 −1 0 1).
            let first = double(double(_mm512_sub_epi16(d[0], d[2])));
            let (sum, difference) = (_mm512_add_epi16(d[1], d[2]), _mm512_sub_epi16(d[1], d[2]));
            let second = _mm512_sub_epi16(_mm512_sub_epi16(zero, double(sum)), sum);
            let third = _mm512_add_epi16(double(difference), difference);
            [first, second, third, zero, zero, _mm512_sub_epi16(d[3], d[1])]
        }
        3 => {
            // (4 −2 −4 2 0), (0 −6 −3 3 0), (0 2 −3 1 0), (0 −4 0 4 0) and (0 2 −1 −2 1).
            let far = _mm512_sub_epi16(d[3], d[1]);
            let twice = double(_mm512_sub_epi16(d[0], d[2]));
            let first = double(_mm512_add_epi16(twice, far));
            let second = _mm512_sub_epi16(_mm512_sub_epi16(far, d[1]), d[2]);
            let near = _mm512_sub_epi16(d[1], d[2]);
            let third = _mm512_sub_epi16(_mm512_add_epi16(_mm512_add_epi16(far, double(near)), d[1]), d[2]);
            let last = _mm512_sub_epi16(_mm512_sub_epi16(d[4], d[2]), double(far));
            [first, _mm512_add_epi16(double(second), second), third, double(double(far)), zero, last]
        }
        _ => {
            // As for float32.
            let even = _mm512_sub_epi16(d[4], double(double(d[2])));
            let odd = _mm512_sub_epi16(d[3], double(double(d[1])));
            let near = _mm512_sub_epi16(d[4], d[2]);
            let twice = double(_mm512_sub_epi16(d[3], d[1]));
            let first = double(double(_mm512_sub_epi16(d[0], d[2])));
            [
                _mm512_add_epi16(first, near),
                _mm512_add_epi16(even, odd),
                _mm512_sub_epi16(even, odd),
                _mm512_add_epi16(near, twice),
                _mm512_sub_epi16(near, twice),
                _mm512_sub_epi16(_mm512_sub_epi16(d[5], d[3]), double(twice)),
            ]
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn double(value: __m512i) -> __m512i {
    _mm512_add_epi16(value, value)
}

/// All products of a point: `[in_channels / 32, n_sites]` times `[in_channels / 2, V]`, into `[V, n_sites]`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn multiply<const V: usize>(left: &[Vector], n_sites: usize, right: &[Words], out: &mut [Vector]) {
    // Even runs: a last one of a site or two would leave the processor waiting for its sums.
    let runs = n_sites.div_ceil(MOST_SITES);
    let mut first = 0;
    for run in 1..=runs {
        let end = run * n_sites / runs;
        match end - first {
            1 => sites::<V, 1>(left, n_sites, first, right, out),
            2 => sites::<V, 2>(left, n_sites, first, right, out),
            3 => sites::<V, 3>(left, n_sites, first, right, out),
            4 => sites::<V, 4>(left, n_sites, first, right, out),
            5 => sites::<V, 5>(left, n_sites, first, right, out),
            6 => sites::<V, 6>(left, n_sites, first, right, out),
            7 => sites::<V, 7>(left, n_sites, first, right, out),
            8 => sites::<V, 8>(left, n_sites, first, right, out),
            9 => sites::<V, 9>(left, n_sites, first, right, out),
            10 => sites::<V, 10>(left, n_sites, first, right, out),
            11 => sites::<V, 11>(left, n_sites, first, right, out),
            12 => sites::<V, 12>(left, n_sites, first, right, out),
            13 => sites::<V, 13>(left, n_sites, first, right, out),
            _ => sites::<V, 14>(left, n_sites, first, right, out),
        }
        first = end;
    }
}

/// The sums of `N` sites and `V` vectors of channels, in registers from beginning to end.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn sites<const V: usize, const N: usize>(
    left: &[Vector],
    n_sites: usize,
    first: usize,
    right: &[Words],
    out: &mut [Vector],
) {
    let zeros = _mm512_setzero_si512();
    let mut sums = [[zeros; V]; N];
    for (left, right) in left.chunks_exact(n_sites).zip(right.chunks_exact(LANES * V)) {
        let left: &[Vector; N] = left[first..].first_chunk().expect("sites of a run");
        let right = right.as_chunks::<V>().0;
        for two in 0..LANES {
            let mut weights = [zeros; V];
            for v in 0..V {
                weights[v] = bytemuck::must_cast(right[two][v].0);
            }
            for n in 0..N {
                let seen = _mm512_set1_epi32(left[n][two]);
                for v in 0..V {
                    sums[n][v] = _mm512_dpwssd_epi32(sums[n][v], seen, weights[v]);
                }
            }
        }
    }
    for n in 0..N {
        for v in 0..V {
            out[v * n_sites + first + n] = bytemuck::must_cast(sums[n][v]);
        }
    }
}

/// Aᵀ m A of each tile, as bytes of the channels from `channel` on.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn place(
    piece: &mut Piece<'_>,
    all: &[Sites; POINTS],
    products: &[Vector],
    (vector, vectors): (usize, usize),
    channel: usize,
) {
    let (columns, stride, width) = (piece.columns(), piece.kernel.out_channels, piece.sides[1]);
    let scaling = Scaling::new(&piece.kernel.factor[channel..], piece.kernel.output_zero);
    let start = bytemuck::must_cast(piece.kernel.start[channel..].as_chunks::<LANES>().0[0]);
    let ninth = _mm512_set1_epi32(NINTH);
    let n_lines = piece.output.len() / (piece.images.n * width * stride);
    for image in 0..piece.images.n {
        for (nth, row) in piece.rows.clone().enumerate() {
            for column in 0..columns {
                let sizes = [piece.size(0, row), piece.size(1, column)];
                let mut places = [0; POINTS];
                for point in 0..POINTS {
                    let sites = all[point];
                    places[point] = sites.first * vectors + vector * sites.n + sites.nth(image, nth, column);
                }
                let tile = output(products, sizes, &places);
                for y in 0..sizes[0] {
                    let pixel = (image * n_lines + nth * TILE + y) * width + column * TILE;
                    for x in 0..sizes[1] {
                        let sum = _mm512_srai_epi32::<BITS>(_mm512_mullo_epi32(tile[y][x], ninth));
                        let bytes = scaling.bytes(_mm512_add_epi32(sum, start));
                        let output = &mut piece.output[(pixel + x) * stride + channel..];
                        output.as_chunks_mut::<LANES>().0[0] = bytemuck::must_cast(bytes);
                    }
                }
            }
        }
    }
}

/// Aᵀ m A of a tile of such sides: columns, and then rows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn output(products: &[Vector], [height, width]: [usize; 2], places: &[usize; POINTS]) -> [[__m512i; TILE]; TILE] {
    let zeros = _mm512_setzero_si512();
    let mut columns = [[zeros; TILE]; PATCH];
    for x in 0..PATCH {
        if has_point(width, x) {
            let mut m = [zeros; PATCH];
            for y in 0..PATCH {
                if has_point(height, y) {
                    m[y] = bytemuck::must_cast(products[places[y * PATCH + x]]);
                }
            }
            columns[x] = output_line(m, height);
        }
    }
    let [a, b, c, d, e, f] = columns;
    let mut rows = [[zeros; TILE]; TILE];
    for y in 0..TILE {
        rows[y] = output_line([a[y], b[y], c[y], d[y], e[y], f[y]], width);
    }
    rows
}

/// Aᵀ on one line of a tile of `size` outputs, where points that it has not are zeros.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn output_line(m: [__m512i; PATCH], size: usize) -> [__m512i; TILE] {
    let (sum, difference) = (_mm512_add_epi32(m[1], m[2]), _mm512_sub_epi32(m[1], m[2]));
    let (far_sum, far_difference) = (_mm512_add_epi32(m[3], m[4]), _mm512_sub_epi32(m[3], m[4]));
    let mut line = [
        _mm512_add_epi32(_mm512_add_epi32(m[0], sum), far_sum),
        _mm512_add_epi32(difference, _mm512_slli_epi32::<1>(far_difference)),
        _mm512_add_epi32(sum, _mm512_slli_epi32::<2>(far_sum)),
        _mm512_add_epi32(difference, _mm512_slli_epi32::<3>(far_difference)),
    ];
    let last = _mm512_slli_epi32::<1>(m[PATCH - 1]);
    match size {
        1 => line[0] = _mm512_add_epi32(line[0], last),
        2 => line[1] = _mm512_add_epi32(line[1], last),
        3 => line[2] = _mm512_add_epi32(line[2], last),
        _ => line[3] = _mm512_add_epi32(line[3], last),
    }
    line
}
