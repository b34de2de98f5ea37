//! Sums by AVX-512 VNNI, whose `vpdpbusd` multiplies 64 pairs of bytes and adds up every four.

mod tiles;

use std::arch::x86_64::{
    __m128i, __m512, __m512i, _mm512_add_epi32, _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps, _mm512_cvtps_epi32,
    _mm512_dpbusd_epi32, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps,
};

use super::Work;
use super::kernel::{BYTES, LANES};
use super::row::Strip;

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

    /// Writes the bytes of an output.
    #[allow(unsafe_code)]
    pub(super) fn run(self, work: Work<'_, '_>) {
        // SAFETY: the function is compiled for what `detect` has found on this processor, and nothing else makes a value of this type.
        unsafe { run(work) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn run(work: Work<'_, '_>) {
    match work {
        Work::Strip(strip) => of_vectors(strip),
        Work::Task(task) => tiles::make(task),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn of_vectors(strip: &mut Strip<'_>) {
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

/// How sums of 16 channels become bytes.
#[derive(Clone, Copy)]
struct Scaling {
    factor: __m512,
    least: __m512,
    largest: __m512,
    zero: __m512i,
}

impl Scaling {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn new(factor: &[f32], zero: u8) -> Self {
        Self {
            factor: bytemuck::must_cast(factor.as_chunks::<LANES>().0[0]),
            least: _mm512_set1_ps(-f32::from(zero)),
            largest: _mm512_set1_ps(255.0 - f32::from(zero)),
            zero: _mm512_set1_epi32(i32::from(zero)),
        }
    }

    /// Rounded to the nearest and half to even. What is no number is the least, by the order of operands.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn bytes(self, sums: __m512i) -> __m128i {
        let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), self.factor);
        let scaled = _mm512_min_ps(_mm512_max_ps(scaled, self.least), self.largest);
        _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(scaled), self.zero))
    }
}
