//! Both ways to a convolution by AVX-512 VNNI.

mod row;
mod tiles;

use std::arch::x86_64::{
    __m128i, __m512, __m512i, _mm512_add_epi32, _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps, _mm512_cvtps_epi32,
    _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps,
};

use super::Work;
use super::kernel::LANES;

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
        Work::Strip(strip) => row::make(strip),
        Work::Task(task) => tiles::make(task),
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
