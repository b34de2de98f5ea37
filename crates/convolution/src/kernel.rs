//! Weights, in the order in which products read them.

use rayon::prelude::*;

use crate::aligned::Aligned;
use crate::shape::{Error, Geometry, Images, Method, check_channels, check_length};
use crate::{lanes, transform};

/// The weights of a convolution, arranged for its products. With Winograd's algorithm that is four times their memory.
#[derive(Debug)]
pub struct Kernel {
    pub(crate) geometry: Geometry,
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) lanes: usize,
    /// `[points, pairs of blocks of output channels, depth, 2 L]`; a block that is left over is a pair of one.
    pub(crate) weights: Aligned,
}

impl Kernel {
    /// Takes weights blocked as float32 `[out_channels / L, in_channels / L, height, width, L of in, L of out]`.
    ///
    /// # Errors
    /// [`Error::NoChannels`], [`Error::Channels`] where channels are no multiple of [`lanes`], [`Error::Length`] where there are not as many weights as
    /// all this says, [`Error::Geometry`] for a kernel, strides or dilations of zero.
    pub fn new(weight: &[f32], out_channels: usize, in_channels: usize, geometry: Geometry) -> Result<Self, Error> {
        Self::with_lanes(weight, out_channels, in_channels, geometry, lanes())
    }

    pub(crate) fn with_lanes(
        weight: &[f32],
        out_channels: usize,
        in_channels: usize,
        geometry: Geometry,
        lanes: usize,
    ) -> Result<Self, Error> {
        let geometry = geometry.check()?;
        for (which, channels) in [("output", out_channels), ("input", in_channels)] {
            check_channels(which, channels, lanes)?;
        }
        let taps = geometry.kernel[0] * geometry.kernel[1];
        check_length("the kernel", weight, out_channels * in_channels * taps)?;
        let mut kernel = Self { geometry, in_channels, out_channels, lanes, weights: Aligned::default() };
        kernel.weights = kernel.arranged(weight);
        Ok(kernel)
    }

    /// Channels of the input and of the output.
    #[must_use]
    pub fn channels(&self) -> [usize; 2] {
        [self.in_channels, self.out_channels]
    }

    /// Height and width of the output.
    ///
    /// # Errors
    /// [`Error::NoOutput`] where the kernel is larger than the padded input.
    pub fn output(&self, images: Images) -> Result<[usize; 2], Error> {
        self.geometry.output(images)
    }

    /// Pixels of the kernel.
    pub(crate) fn n_taps(&self) -> usize {
        self.geometry.kernel[0] * self.geometry.kernel[1]
    }

    /// Matrix products of an output, and what a sum of one goes over.
    pub(crate) fn points_and_depth(&self) -> (usize, usize) {
        match self.geometry.method() {
            Method::Tiles => (transform::POINTS, self.in_channels),
            _ => (1, self.in_channels * self.n_taps()),
        }
    }

    fn arranged(&self, weight: &[f32]) -> Aligned {
        let (lanes, taps, (points, depth)) = (self.lanes, self.n_taps(), self.points_and_depth());
        let in_blocks = self.in_channels / lanes;
        // The weights of one tap, input channel and block of output channels.
        let line = |block: usize, channel: usize, tap: usize| {
            let at = ((block * in_blocks + channel / lanes) * taps + tap) * lanes + channel % lanes;
            &weight[at * lanes..][..lanes]
        };
        // Those of a point, for one place of the depth.
        let arrange = |coefficients: &[f64; 9], block: usize, at: usize, arranged: &mut [f32]| {
            if self.geometry.method() != Method::Tiles {
                return arranged.copy_from_slice(line(block, at % self.in_channels, at / self.in_channels));
            }
            let lines: [&[f32]; 9] = std::array::from_fn(|tap| line(block, at, tap));
            for (lane, weight) in arranged.iter_mut().enumerate() {
                // In float64: it is made once, and every output carries its rounding.
                let terms = lines.iter().zip(coefficients).map(|(line, c)| c * f64::from(line[lane]));
                *weight = terms.sum::<f64>() as f32;
            }
        };
        let mut arranged = Aligned::zeros(points * self.out_channels * depth);
        let of_point = self.out_channels * depth;
        arranged.as_mut_slice().par_chunks_mut(of_point).enumerate().for_each(|(point, arranged)| {
            let coefficients = transform::weights(point);
            for (pair, arranged) in arranged.chunks_mut(2 * lanes * depth).enumerate() {
                let width = arranged.len() / depth;
                for (at, arranged) in arranged.chunks_mut(width).enumerate() {
                    for (block, arranged) in (2 * pair..).zip(arranged.chunks_mut(lanes)) {
                        arrange(&coefficients, block, at, arranged);
                    }
                }
            }
        });
        arranged
    }
}
