//! The largest byte of a window.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::{BAND, check, in_bands};
use crate::shape::{Error, Geometry, Images};

/// Writes the largest byte of each window and channel, uint8 `[n, height, width, channels]`. Pixels outside of the input do not count,
/// and a window of nothing else is 0.
///
/// `run` is as in [`convolve_bytes`](super::convolve_bytes).
///
/// # Errors
/// [`Error::NoOutput`] and [`Error::Length`] where operands do not fit, [`Error::Geometry`] for a window, strides or dilations of zero.
pub fn max_pool_bytes<R>(
    geometry: Geometry,
    channels: usize,
    input: &[u8],
    images: Images,
    output: &mut [u8],
    run: impl FnOnce(usize, &(dyn Fn(usize) + Sync)) -> R,
) -> Result<R, Error> {
    let pool = Pool::new(geometry, channels, images)?;
    check([channels; 2], (input, images), (output, pool.sides()))?;
    let make = |input: &[u8], first: usize, band: &mut [u8]| pool.write(input, 0, first, band);
    Ok(in_bands(BAND, input, images.n, (output, pool.rows.len()), make, run))
}

/// A pooling of images of some size.
pub(super) struct Pool {
    /// Which rows of the input each row looks at.
    rows: Vec<Vec<usize>>,
    /// Which pixels of a row each pixel looks at.
    columns: Vec<Vec<usize>>,
    channels: usize,
    /// Of the input.
    width: usize,
}

impl Pool {
    pub(super) fn new(geometry: Geometry, channels: usize, images: Images) -> Result<Self, Error> {
        let geometry = geometry.check()?;
        let sides = geometry.output(images)?;
        let seen = |axis: usize, length: usize| -> Vec<Vec<usize>> {
            let of_one = |output: usize| {
                let first = output * geometry.strides[axis];
                let taps = geometry.taps(axis, output, length);
                taps.map(|tap| first + tap * geometry.dilations[axis] - geometry.pads[axis]).collect()
            };
            (0..sides[axis]).map(of_one).collect()
        };
        Ok(Self { rows: seen(0, images.height), columns: seen(1, images.width), channels, width: images.width })
    }

    /// Height and width of the output.
    pub(super) fn sides(&self) -> [usize; 2] {
        [self.rows.len(), self.columns.len()]
    }

    /// The rows of the input that a band looks at, whose first row is number `first`.
    pub(super) fn seen(&self, first: usize, band: &[u8]) -> Range<usize> {
        let n_rows = band.len() / (self.columns.len() * self.channels);
        let seen = || self.rows[first..][..n_rows].iter().flatten();
        seen().min().zip(seen().max()).map_or(0..0, |(first, last)| *first..last + 1)
    }

    /// Writes a band, whose first row is number `first`, from the rows of the input from `start` on.
    pub(super) fn write(&self, input: &[u8], start: usize, first: usize, band: &mut [u8]) {
        Arch::new().dispatch(Band { pool: self, input, start, first, band });
    }
}

struct Band<'a> {
    pool: &'a Pool,
    input: &'a [u8],
    start: usize,
    first: usize,
    band: &'a mut [u8],
}

impl WithSimd for Band<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pool: Pool { rows, columns, channels, width }, input, start, first, band } = self;
        // Of the rows first, in one run, and then of what is left across.
        let length = width * channels;
        let mut tall = vec![0; length];
        for (rows, pixels) in rows[first..].iter().zip(band.chunks_exact_mut(columns.len() * channels)) {
            tall.fill(0);
            for row in rows {
                raise(simd, &mut tall, &input[(row - start) * length..]);
            }
            pixels.fill(0);
            for (columns, pixel) in columns.iter().zip(pixels.chunks_exact_mut(*channels)) {
                for column in columns {
                    raise(simd, pixel, &tall[column * channels..]);
                }
            }
        }
    }
}

/// Raises bytes to those of `seen`, where these are larger.
#[inline(always)]
fn raise<S: Simd>(simd: S, bytes: &mut [u8], seen: &[u8]) {
    let (seen_vectors, seen_rest) = S::as_simd_u8s(&seen[..bytes.len()]);
    let (vectors, rest) = S::as_mut_simd_u8s(bytes);
    for (bytes, seen) in vectors.iter_mut().zip(seen_vectors) {
        *bytes = simd.max_u8s(*bytes, *seen);
    }
    for (byte, seen) in rest.iter_mut().zip(seen_rest) {
        *byte = (*byte).max(*seen);
    }
}
