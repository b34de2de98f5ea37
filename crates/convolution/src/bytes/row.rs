//! What a band of the output is made of: rows of the input with padding, and sums of some channels of one row.

use super::Work;
use super::kernel::{BYTES, ByteKernel, LANES, Line};
use crate::shape::{Geometry, Images};

/// The rows that a band of the output looks at, with the input's zero around them.
pub(super) struct Padded<'a> {
    kernel: &'a ByteKernel,
    lines: &'a [Line],
    bytes: Vec<u8>,
    pitch: usize,
    /// Where the groups of a pixel lie, from its first byte on.
    places: Vec<usize>,
}

impl<'a> Padded<'a> {
    pub(super) fn new(kernel: &'a ByteKernel, input: &[u8], images: Images, first: usize, n_rows: usize) -> Self {
        let Geometry { kernel: [height, _], strides, dilations, pads: [top, left, _, right] } = kernel.geometry;
        let reach = (n_rows - 1) * strides[0] + (height - 1) * dilations[0] + 1;
        let run = images.width * kernel.in_channels;
        // The last group of a row may reach beyond what the row's kernel looks at.
        let pitch = (left + right) * kernel.in_channels + run + BYTES - 1;
        let mut bytes = vec![kernel.input_zero; reach * pitch];
        for (row, to) in (first * strides[0]..).zip(bytes.chunks_exact_mut(pitch)) {
            if let Some(row) = row.checked_sub(top).filter(|row| *row < images.height) {
                to[left * kernel.in_channels..][..run].copy_from_slice(&input[row * run..][..run]);
            }
        }
        let groups = (0..height).flat_map(|row| (0..kernel.groups()).map(move |group| (row, group)));
        let places = groups.map(|(row, group)| row * dilations[0] * pitch + group * BYTES).collect();
        Self { kernel, lines: kernel.lines(), bytes, pitch, places }
    }

    /// Writes one row of the output, `[width, out_channels]`.
    pub(super) fn row(&self, nth: usize, output: &mut [u8]) {
        let Self { kernel, lines, pitch, places, .. } = self;
        let strides = kernel.geometry.strides;
        let bytes = &self.bytes[nth * strides[0] * pitch..];
        let mut lines = *lines;
        for (first, vectors) in kernel.strips() {
            let (of_strip, rest) = lines.split_at(places.len() * vectors);
            lines = rest;
            let mut strip = Strip {
                bytes,
                places,
                lines: of_strip,
                step: strides[1] * kernel.in_channels,
                start: &kernel.start[first..][..vectors * LANES],
                factor: &kernel.factor[first..][..vectors * LANES],
                zero: kernel.output_zero,
                output: &mut *output,
                stride: kernel.out_channels,
                first,
            };
            match kernel.vnni {
                Some(vnni) => vnni.run(Work::Strip(&mut strip)),
                None => strip.run(),
            }
        }
    }
}

/// Some channels of one row of the output.
pub(super) struct Strip<'a> {
    /// From the first byte that the row's first pixel looks at.
    pub(super) bytes: &'a [u8],
    /// Where the groups of a pixel lie.
    pub(super) places: &'a [usize],
    /// `[groups, vectors]`.
    pub(super) lines: &'a [Line],
    /// Bytes from one pixel to the next.
    pub(super) step: usize,
    pub(super) start: &'a [i32],
    pub(super) factor: &'a [f32],
    pub(super) zero: u8,
    /// `[width, stride]`, of which the channels from `first` on are written.
    pub(super) output: &'a mut [u8],
    pub(super) stride: usize,
    pub(super) first: usize,
}

impl Strip<'_> {
    /// Without the instruction: one sum after the other.
    fn run(&mut self) {
        let vectors = self.start.len() / LANES;
        // What is no number is the least byte, as the runtime has it: hence the least first.
        let (least, largest) = (-f32::from(self.zero), 255.0 - f32::from(self.zero));
        for (pixel, output) in self.output.chunks_exact_mut(self.stride).enumerate() {
            for (channel, output) in output[self.first..].iter_mut().take(self.start.len()).enumerate() {
                let mut sum = self.start[channel];
                for (place, lines) in self.places.iter().zip(self.lines.chunks_exact(vectors)) {
                    let bytes = &self.bytes[pixel * self.step + place..][..BYTES];
                    let weights = &lines[channel / LANES].0[channel % LANES * BYTES..][..BYTES];
                    let products = bytes.iter().zip(weights).map(|(x, w)| i32::from(*x) * i32::from(*w));
                    sum = sum.wrapping_add(products.sum());
                }
                let scaled = (sum as f32 * self.factor[channel]).max(least).min(largest).round_ties_even();
                *output = (scaled as i32 + i32::from(self.zero)) as u8;
            }
        }
    }
}
