//! Sums by AVX-512 VNNI, whose `vpdpbusd` multiplies 64 pairs of bytes and adds up every four.

use std::arch::x86_64::{
    __m128i, __m512, __m512i, _mm512_add_epi32, _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps, _mm512_cvtps_epi32,
    _mm512_dpbusd_epi32, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps,
};

use super::kernel::{BYTES, LANES};
use super::tile::Tile;

/// That this processor has the instruction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vnni(());

impl Vnni {
    pub(super) fn detect() -> Option<Self> {
        let has_it = is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512f");
        has_it.then_some(Self(()))
    }

    /// Writes the bytes of a tile.
    #[allow(unsafe_code)]
    pub(super) fn run(self, tile: &mut Tile<'_>) {
        // SAFETY: the function is compiled for what `detect` has found on this processor, and nothing else makes a value of this type.
        unsafe { of_vectors(tile) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn of_vectors(tile: &mut Tile<'_>) {
    // As many sums as none waits for the one before, and as registers hold beside what they are made from.
    match tile.start.len() / LANES {
        4 => row::<4, 4>(tile),
        2 => row::<2, 8>(tile),
        _ => row::<1, 16>(tile),
    }
}

/// A row by `P` pixels at once, of which the last ones may be made twice.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn row<const V: usize, const P: usize>(tile: &mut Tile<'_>) {
    let width = tile.output.len() / tile.stride;
    if width < P {
        for pixel in 0..width {
            pixels::<V, 1>(tile, pixel);
        }
        return;
    }
    for pixel in (0..width).step_by(P) {
        pixels::<V, P>(tile, pixel.min(width - P));
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[expect(
    clippy::needless_range_loop,
    reason = "iterators over vectors are not compiled for the processor that this is for"
)]
fn pixels<const V: usize, const P: usize>(tile: &mut Tile<'_>, first: usize) {
    let zeros = _mm512_set1_epi32(0);
    let mut start = [zeros; V];
    for v in 0..V {
        start[v] = bytemuck::must_cast(tile.start.as_chunks::<LANES>().0[v]);
    }
    let mut sums = [start; P];
    let bytes = &tile.bytes[first * tile.step..];
    for (place, lines) in tile.places.iter().zip(tile.lines.as_chunks::<V>().0) {
        let mut weights = [zeros; V];
        for v in 0..V {
            weights[v] = bytemuck::must_cast(lines[v].0);
        }
        for p in 0..P {
            let seen = &bytes[place + p * tile.step..][..BYTES];
            let seen = _mm512_set1_epi32(i32::from_le_bytes(seen.try_into().expect("a group is four bytes")));
            for v in 0..V {
                sums[p][v] = _mm512_dpbusd_epi32(sums[p][v], seen, weights[v]);
            }
        }
    }
    let zero = _mm512_set1_epi32(i32::from(tile.zero));
    let (least, largest) = (-f32::from(tile.zero), 255.0 - f32::from(tile.zero));
    let (least, largest) = (_mm512_set1_ps(least), _mm512_set1_ps(largest));
    for p in 0..P {
        let output = &mut tile.output[(first + p) * tile.stride + tile.first..];
        for v in 0..V {
            let factor = bytemuck::must_cast(tile.factor.as_chunks::<LANES>().0[v]);
            let bytes = as_bytes(sums[p][v], factor, least, largest, zero);
            output.as_chunks_mut::<LANES>().0[v] = bytemuck::must_cast(bytes);
        }
    }
}

/// Sums as bytes, rounded to the nearest and half to even. What is no number is the least, by the order of operands.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn as_bytes(sum: __m512i, factor: __m512, least: __m512, largest: __m512, zero: __m512i) -> __m128i {
    let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), factor);
    let scaled = _mm512_min_ps(_mm512_max_ps(scaled, least), largest);
    _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(scaled), zero))
}
