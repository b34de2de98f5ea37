//! The largest byte of a window.

use pulp::Arch;

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
    let seen_at = |axis: usize, output: usize, tap: usize| {
        output * geometry.strides[axis] + tap * geometry.dilations[axis] - geometry.pads[axis]
    };
    let make = |input: &[u8], first: usize, band: &mut [u8], width: usize| {
        // Of the rows first, in one run, and then of what is left across.
        let length = images.width * channels;
        let mut tall = vec![0; length];
        for (row, pixels) in (first..).zip(band.chunks_exact_mut(width * channels)) {
            tall.fill(0);
            for tap in geometry.taps(0, row, images.height) {
                raise(&mut tall, &input[seen_at(0, row, tap) * length..]);
            }
            pixels.fill(0);
            for (column, pixel) in pixels.chunks_exact_mut(channels).enumerate() {
                for tap in geometry.taps(1, column, images.width) {
                    raise(pixel, &tall[seen_at(1, column, tap) * channels..]);
                }
            }
        }
    };
    let make = |input: &[u8], first: usize, band: &mut [u8], width: usize| {
        Arch::new().dispatch(|| make(input, first, band, width));
    };
    in_bands(geometry, [channels; 2], input, images, output, make, run)
}

/// Raises bytes to those of `seen`, where these are larger.
#[inline(always)]
fn raise(bytes: &mut [u8], seen: &[u8]) {
    bytes.iter_mut().zip(seen).for_each(|(byte, seen)| *byte = (*byte).max(*seen));
}
