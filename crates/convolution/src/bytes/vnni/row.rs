//! Sums of a row by `vpdpbusd`, which multiplies 64 pairs of bytes and adds up every four.

use std::arch::x86_64::{_mm512_dpbusd_epi32, _mm512_set1_epi32};

use super::Scaling;
use crate::bytes::kernel::{BYTES, LANES};
use crate::bytes::row::Strip;

/// Writes the bytes of some channels of a row.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn make(strip: &mut Strip<'_>) {
    // As many sums as none waits for the one before, and as registers hold beside what they are made from.
    match strip.start.len() / LANES {
        4 => row::<4, 4>(strip),
        2 => row::<2, 8>(strip),
        _ => row::<1, 16>(strip),
    }
}

/// A row by `P` pixels at once, of which the last ones may be made twice.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn row<const V: usize, const P: usize>(strip: &mut Strip<'_>) {
    let width = strip.output.len() / strip.stride;
    if width < P {
        for pixel in 0..width {
            pixels::<V, 1>(strip, pixel);
        }
        return;
    }
    for pixel in (0..width).step_by(P) {
        pixels::<V, P>(strip, pixel.min(width - P));
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[expect(
    clippy::needless_range_loop,
    reason = "iterators over vectors are not compiled for the processor that this is for"
)]
fn pixels<const V: usize, const P: usize>(strip: &mut Strip<'_>, first: usize) {
    let zeros = _mm512_set1_epi32(0);
    let mut start = [zeros; V];
    for v in 0..V {
        start[v] = bytemuck::must_cast(strip.start.as_chunks::<LANES>().0[v]);
    }
    let mut sums = [start; P];
    let bytes = &strip.bytes[first * strip.step..];
    for (place, lines) in strip.places.iter().zip(strip.lines.as_chunks::<V>().0) {
        let mut weights = [zeros; V];
        for v in 0..V {
            weights[v] = bytemuck::must_cast(lines[v].0);
        }
        for p in 0..P {
            let seen = &bytes[place + p * strip.step..][..BYTES];
            let seen = _mm512_set1_epi32(i32::from_le_bytes(seen.try_into().expect("a group is four bytes")));
            for v in 0..V {
                sums[p][v] = _mm512_dpbusd_epi32(sums[p][v], seen, weights[v]);
            }
        }
    }
    for p in 0..P {
        let output = &mut strip.output[(first + p) * strip.stride + strip.first..];
        for v in 0..V {
            let bytes = Scaling::new(&strip.factor[v * LANES..], strip.zero).bytes(sums[p][v]);
            output.as_chunks_mut::<LANES>().0[v] = bytemuck::must_cast(bytes);
        }
    }
}
