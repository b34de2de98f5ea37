//! The matrix product: sites by depth, times depth by output channels.

use std::array;

use pulp::Simd;

/// Sites whose sums are kept in registers together, at most: with two vectors of channels they are 28 of the 32 registers of
/// AVX-512, and 12 of the 16 of AVX2.
pub(crate) const fn most_sites<S: Simd>() -> usize {
    if S::F32_LANES == 16 { 14 } else { 6 }
}

/// One product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product<'a, V> {
    /// What is multiplied, in blocks of the depth, each `[n_sites, L]`.
    pub(crate) left: &'a [f32],
    pub(crate) n_sites: usize,
    /// For each of them, which block of the weights' depth it belongs to.
    pub(crate) order: &'a [usize],
    /// Weights of two blocks of output channels, or of one: `[depth, blocks * L]`.
    pub(crate) right: &'a [V],
}

impl<V: Copy> Product<'_, V> {
    /// Writes `[blocks, n_sites, L]`.
    #[inline(always)]
    pub(crate) fn write<S: Simd<f32s = V>>(self, simd: S, blocks: usize, out: &mut [V]) {
        match blocks {
            1 => self.blocks::<S, 1>(simd, out),
            _ => self.blocks::<S, 2>(simd, out),
        }
    }

    #[inline(always)]
    fn blocks<S: Simd<f32s = V>, const B: usize>(self, simd: S, out: &mut [V]) {
        // Even runs: a last one of a site or two would leave the processor waiting for its sums.
        let runs = self.n_sites.div_ceil(most_sites::<S>());
        let mut first = 0;
        for run in 1..=runs {
            let end = run * self.n_sites / runs;
            match end - first {
                1 => self.sites::<S, B, 1>(simd, first, out),
                2 => self.sites::<S, B, 2>(simd, first, out),
                3 => self.sites::<S, B, 3>(simd, first, out),
                4 => self.sites::<S, B, 4>(simd, first, out),
                5 => self.sites::<S, B, 5>(simd, first, out),
                6 => self.sites::<S, B, 6>(simd, first, out),
                7 => self.sites::<S, B, 7>(simd, first, out),
                8 => self.sites::<S, B, 8>(simd, first, out),
                9 => self.sites::<S, B, 9>(simd, first, out),
                10 => self.sites::<S, B, 10>(simd, first, out),
                11 => self.sites::<S, B, 11>(simd, first, out),
                12 => self.sites::<S, B, 12>(simd, first, out),
                13 => self.sites::<S, B, 13>(simd, first, out),
                _ => self.sites::<S, B, 14>(simd, first, out),
            }
            first = end;
        }
    }

    /// The sums of `N` sites and `B` blocks of channels, in registers from beginning to end.
    #[inline(always)]
    fn sites<S: Simd<f32s = V>, const B: usize, const N: usize>(self, simd: S, first: usize, out: &mut [V]) {
        let lanes = S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); B]; N];
        for (left, block) in self.left.chunks_exact(self.n_sites * lanes).zip(self.order) {
            let right = &self.right[block * lanes * B..][..lanes * B];
            let left = &left[first * lanes..][..N * lanes];
            for lane in 0..lanes {
                let weights: [V; B] = array::from_fn(|b| right[lane * B + b]);
                for (site, sums) in sums.iter_mut().enumerate() {
                    let value = simd.splat_f32s(left[site * lanes + lane]);
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum = simd.mul_add_e_f32s(value, weight, *sum);
                    }
                }
            }
        }
        for (site, sums) in sums.iter().enumerate() {
            for (block, sum) in sums.iter().enumerate() {
                out[block * self.n_sites + first + site] = *sum;
            }
        }
    }
}
