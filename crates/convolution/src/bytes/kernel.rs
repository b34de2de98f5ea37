//! Weights of bytes, in the orders in which products read them.

use std::sync::OnceLock;

use super::points::{self, DEPTH, Points};
use super::row::Padded;
use super::vnni::Vnni;
use crate::shape::{Error, Geometry, Images, Method, check_channels, check_length};

/// Output channels of a vector: that many sums of 32 bits.
pub(super) const LANES: usize = 16;
/// Neighbouring bytes that are multiplied and added up at once.
pub(super) const BYTES: usize = 4;

/// How a byte stands for a number: (byte − zero) · scale.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)]
pub struct Scale {
    pub scale: f32,
    pub zero: u8,
}

/// Weights of 16 output channels for four neighbouring bytes, where no load crosses a line of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line(pub(super) [i8; LANES * BYTES]);

/// The weights of a convolution of bytes, arranged for its products when the first of them is made.
#[derive(Debug)]
pub struct ByteKernel {
    pub(super) geometry: Geometry,
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    /// The processor's instructions.
    pub(super) vnni: Option<Vnni>,
    /// Int8 `[out_channels, in_channels, height, width]`.
    weight: Vec<i8>,
    /// `[strips of up to 4 vectors of channels, groups of 4 bytes, vectors]`.
    lines: OnceLock<Vec<Line>>,
    /// Transformed weights, where Winograd's algorithm can be used.
    points: Option<OnceLock<Points>>,
    /// What sums begin at, `[out_channels]`: the bias, less what the input's zero adds to every sum.
    pub(super) start: Vec<i32>,
    /// What a sum is multiplied by, `[out_channels]`.
    pub(super) factor: Vec<f32>,
    pub(super) input_zero: u8,
    pub(super) output_zero: u8,
}

impl ByteKernel {
    /// Takes weights int8 `[out_channels, in_channels, height, width]` whose zero is 0, their scales `[1]` or `[out_channels]`, and
    /// what sums begin at, int32 `[out_channels]`, in units of the input's scale times the weight's.
    ///
    /// # Errors
    /// [`Error::NoChannels`], [`Error::Channels`] where output channels are no multiple of 16, [`Error::Length`] where something
    /// has another length than all this says, [`Error::Geometry`] for a kernel, strides or dilations of zero, [`Error::Dilated`].
    pub fn new(
        weight: &[i8],
        [out_channels, in_channels]: [usize; 2],
        geometry: Geometry,
        input: Scale,
        weight_scale: &[f32],
        output: Scale,
        bias: Option<&[i32]>,
    ) -> Result<Self, Error> {
        let geometry = geometry.check()?;
        if geometry.dilations[1] != 1 {
            return Err(Error::Dilated(geometry));
        }
        check_channels("output", out_channels, LANES)?;
        check_channels("input", in_channels, 1)?;
        let [height, width] = geometry.kernel;
        let taps = in_channels * height * width;
        check_length("the kernel", weight, out_channels * taps)?;
        bias.map_or(Ok(()), |bias| check_length("the bias", bias, out_channels))?;
        let of_all = weight_scale.len() == 1;
        check_length("the weights' scale", weight_scale, if of_all { 1 } else { out_channels })?;

        let channel = |out: usize| &weight[out * taps..][..taps];
        let start = |out: usize| {
            let sum: i32 = channel(out).iter().map(|w| i32::from(*w)).sum();
            bias.map_or(0, |bias| bias[out]).wrapping_sub(i32::from(input.zero).wrapping_mul(sum))
        };
        // In this order, as the runtime has it: each product is rounded.
        let factor = |out: usize| input.scale * weight_scale[if of_all { 0 } else { out }] / output.scale;
        let vnni = Vnni::detect();
        let has_points = vnni.is_some()
            && geometry.method() == Method::Tiles
            && in_channels.is_multiple_of(DEPTH)
            && points::are_small(weight, taps);
        Ok(Self {
            geometry,
            in_channels,
            out_channels,
            vnni,
            weight: weight.to_vec(),
            lines: OnceLock::new(),
            points: has_points.then(OnceLock::new),
            start: (0..out_channels).map(start).collect(),
            factor: (0..out_channels).map(factor).collect(),
            input_zero: input.zero,
            output_zero: output.zero,
        })
    }

    /// The same with the instructions or without them.
    #[cfg(test)]
    pub(super) fn by(self, vnni: Option<Vnni>) -> Self {
        Self { points: self.points.filter(|_| vnni.is_some()), vnni, ..self }
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

    /// Writes rows of an image's output, each of so many bytes, from row `first` on.
    pub(super) fn rows(&self, input: &[u8], images: Images, first: usize, rows: &mut [u8], of_row: usize) {
        if rows.is_empty() {
            return;
        }
        let padded = Padded::new(self, input, images, first, rows.len() / of_row);
        for (nth, row) in rows.chunks_exact_mut(of_row).enumerate() {
            padded.row(nth, row);
        }
    }

    /// Weights for strips.
    pub(super) fn lines(&self) -> &[Line] {
        self.lines.get_or_init(|| self.arranged())
    }

    /// Weights for tiles, where there are such.
    pub(super) fn points(&self) -> Option<(Vnni, &Points)> {
        let points = self.points.as_ref()?;
        Some((self.vnni?, points.get_or_init(|| Points::new(&self.weight, [self.out_channels, self.in_channels]))))
    }

    fn arranged(&self) -> Vec<Line> {
        let [height, width] = self.geometry.kernel;
        let (run, groups, taps) = (width * self.in_channels, self.groups(), self.in_channels * height * width);
        let mut lines = Vec::new();
        for (first, vectors) in self.strips() {
            for (row, group) in (0..height).flat_map(|row| (0..groups).map(move |group| (row, group))) {
                for vector in 0..vectors {
                    let mut line = Line([0; LANES * BYTES]);
                    for (at, weight) in line.0.iter_mut().enumerate() {
                        let (out, byte) = (first + vector * LANES + at / BYTES, group * BYTES + at % BYTES);
                        if byte < run {
                            let (column, plane) = (byte / self.in_channels, byte % self.in_channels);
                            *weight = self.weight[out * taps + (plane * height + row) * width + column];
                        }
                    }
                    lines.push(line);
                }
            }
        }
        lines
    }

    /// Groups of four bytes of a row of the kernel, the last filled up with weights of zero.
    pub(super) fn groups(&self) -> usize {
        (self.geometry.kernel[1] * self.in_channels).div_ceil(BYTES)
    }

    /// The first channel of each strip, and how many vectors of channels it has.
    pub(super) fn strips(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let n = self.out_channels / LANES;
        let mut done = 0;
        std::iter::from_fn(move || {
            let vectors = [4, 2, 1].into_iter().find(|vectors| done + vectors <= n)?;
            done += vectors;
            Some(((done - vectors) * LANES, vectors))
        })
    }
}
