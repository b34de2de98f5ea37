//! The largest byte of a window.

use pulp::{Arch, Simd, WithSimd};

use super::in_bands;
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
    let geometry = geometry.check()?;
    let [height, width] = geometry.output(images)?;
    let seen = |axis: usize, output: usize, length: usize| -> Vec<usize> {
        let first = output * geometry.strides[axis];
        let taps = geometry.taps(axis, output, length);
        taps.map(|tap| first + tap * geometry.dilations[axis] - geometry.pads[axis]).collect()
    };
    let rows: Vec<Vec<usize>> = (0..height).map(|row| seen(0, row, images.height)).collect();
    let columns: Vec<Vec<usize>> = (0..width).map(|column| seen(1, column, images.width)).collect();
    let make = |input: &[u8], first: usize, band: &mut [u8], _: usize| {
        Arch::new().dispatch(Band {
            input,
            rows: &rows[first..],
            columns: &columns,
            channels,
            width: images.width,
            band,
        });
    };
    in_bands(geometry, [channels; 2], input, images, output, make, run)
}

/// Some rows of an output.
struct Band<'a> {
    /// The image.
    input: &'a [u8],
    /// Which rows of the input each row looks at.
    rows: &'a [Vec<usize>],
    /// Which pixels of a row each pixel looks at.
    columns: &'a [Vec<usize>],
    channels: usize,
    /// Of the input.
    width: usize,
    band: &'a mut [u8],
}

impl WithSimd for Band<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { input, rows, columns, channels, width, band } = self;
        // Of the rows first, in one run, and then of what is left across.
        let mut tall = vec![0; width * channels];
        for (rows, pixels) in rows.iter().zip(band.chunks_exact_mut(columns.len() * channels)) {
            tall.fill(0);
            for row in rows {
                raise(simd, &mut tall, &input[row * width * channels..]);
            }
            pixels.fill(0);
            for (columns, pixel) in columns.iter().zip(pixels.chunks_exact_mut(channels)) {
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
