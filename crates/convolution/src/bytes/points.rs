//! Winograd's algorithm in integers: the transformed weights of a convolution of bytes, and when it is one.
//!
//! It is F(4 × 4, 3 × 3) as for float32 (see `transform`), made so that nothing is rounded. G times 24 is whole, and its last row times 12
//! fits as well: weights at a point are of 16 bits, and so is Bᵀ d B of bytes. Sums of their products, and Aᵀ m A with a last
//! column of 2, are 576 times those of the definition, *modulo 2³²*: it does not matter whether they overflow on the way. To
//! divide by 576 is to multiply by the inverse of 9 and to shift by 6 bits: that leaves 26 bits with their sign.
//!
//! At the end of a row or column a tile may have k < 4 outputs. F(k, 3) interpolates at the first k + 1 of the points and at the
//! last, so that these weights serve, and m is 0 at the others. With N(x) = ∏ (x − q) over its finite points q, row p of its
//! Bᵀ are the coefficients of N(x) / (x − p) times 24 / (w N′(p)), where w · g(p) is the weight at p, and the last row
//! those of N(x).

use rayon::prelude::*;

use super::kernel::LANES;
use crate::transform::{PATCH, POINTS};

/// 24 G, the last row of it halved: multiples of the kernel's values at 0, 1, −1, 2, −2 and ∞.
const WEIGHTS: [[i16; 3]; PATCH] = [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 12]];

/// Input channels of a vector: twice as many as of sums, since two neighbours are multiplied and added up at once.
pub(super) const DEPTH: usize = 2 * LANES;

/// What is multiplied with modulo 2³² to divide by 9.
pub(super) const NINTH: i32 = 0x38e3_8e39;
/// Bits to shift by then.
pub(super) const BITS: u32 = 6;
/// Sums that come out as they are, at most.
const MOST: i64 = (1 << (31 - BITS)) - 1;

/// Weights of 16 output channels for two neighbouring input channels, where no load crosses a line of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Words(pub(super) [i16; DEPTH]);

/// Transformed weights: eight times their memory.
#[derive(Debug)]
pub(super) struct Points {
    /// `[pairs of vectors of output channels, points, in_channels / 2, vectors]`; a vector that is left over is a pair of one.
    words: Vec<Words>,
    of_pair: usize,
}

/// Whether sums of bytes times such weights, int8 `[out_channels, in_channels, 3, 3]`, are within what comes out as it is.
pub(super) fn are_small(weight: &[i8], of_channel: usize) -> bool {
    weight.chunks_exact(of_channel).all(|channel| {
        let sum = |sign: i64| channel.iter().map(|w| (sign * i64::from(*w)).max(0)).sum::<i64>();
        255 * sum(1).max(sum(-1)) <= MOST
    })
}

impl Points {
    /// Takes weights int8 `[out_channels, in_channels, 3, 3]`, where input channels are a multiple of 32 and output channels of 16.
    pub(super) fn new(weight: &[i8], [out_channels, in_channels]: [usize; 2]) -> Self {
        let (twos, of_channel) = (in_channels / 2, in_channels * 9);
        let of_pair = 2 * POINTS * twos;
        let mut words = vec![Words([0; DEPTH]); POINTS * twos * (out_channels / LANES)];
        let channels = weight.par_chunks(2 * LANES * of_channel);
        words.par_chunks_mut(of_pair).zip(channels).for_each(|(words, channels)| {
            let vectors = words.len() / (POINTS * twos);
            for (vector, channels) in channels.chunks_exact(LANES * of_channel).enumerate() {
                for two in 0..twos {
                    let mut taps = [Words([0; DEPTH]); 9];
                    for (channel, lanes) in channels.chunks_exact(of_channel).zip((0..DEPTH).step_by(2)) {
                        let [even, odd]: [[i8; 9]; 2] = bytemuck::must_cast(channel.as_chunks::<18>().0[two]);
                        for (tap, words) in taps.iter_mut().enumerate() {
                            words.0[lanes] = i16::from(even[tap]);
                            words.0[lanes + 1] = i16::from(odd[tap]);
                        }
                    }
                    for (point, value) in transformed(&taps).into_iter().enumerate() {
                        words[(point * twos + two) * vectors + vector] = value;
                    }
                }
            }
        });
        Self { words, of_pair }
    }

    /// Those of two vectors of output channels each, or of one: `[points, in_channels / 2, vectors]`.
    pub(super) fn pairs(&self) -> impl Iterator<Item = &[Words]> {
        self.words.chunks(self.of_pair)
    }
}

/// G g Gᵀ as of [`WEIGHTS`].
fn transformed(taps: &[Words; 9]) -> [Words; POINTS] {
    let along = |[a, b, c]: [&Words; 3], [of_a, of_b, of_c]: [i16; 3]| {
        Words(std::array::from_fn(|lane| of_a * a.0[lane] + of_b * b.0[lane] + of_c * c.0[lane]))
    };
    let columns: [[Words; 3]; PATCH] =
        WEIGHTS.map(|row| std::array::from_fn(|x| along([&taps[x], &taps[3 + x], &taps[6 + x]], row)));
    std::array::from_fn(|point| {
        let [a, b, c] = &columns[point / PATCH];
        along([a, b, c], WEIGHTS[point % PATCH])
    })
}
