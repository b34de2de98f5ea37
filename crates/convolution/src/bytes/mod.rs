//! The front of a network in 8 bits: its first convolution, whose input has the few channels of a picture, and what pools behind it.
//!
//! Images are `[n, height, width, channels]` in uint8, so that what a row of the kernel looks at lies in one run of memory. Sums
//! are integers, and become bytes again as ONNX's `QLinearConv` says: the result is the same on every processor, byte for byte.
//!
//! - `kernel` holds weights;
//! - `row` is the definition: the sums of some channels of a row;
//! - `points` and `tiles` are Winograd's algorithm in integers;
//! - `vnni` is the same by the processor's instruction for bytes;
//! - `pool` is the largest of a window.

mod kernel;
mod points;
mod pool;
mod row;
mod tiles;
#[cfg_attr(not(target_arch = "x86_64"), path = "no_vnni.rs")]
mod vnni;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};

use crate::shape::{Error, Geometry, Images, check_length};
use crate::tasks::Workspace;

pub use kernel::{ByteKernel, Scale};
pub use pool::max_pool_bytes;
use row::Padded;
use vnni::Vnni;

/// Rows of the output that one thread makes at a time.
const BAND: usize = 8;

/// Whether this processor has the instruction that these convolutions are made for. Without it they are right and slow.
#[must_use]
pub fn multiplies_bytes() -> bool {
    Vnni::detect().is_some()
}

/// Writes an output, uint8 `[n, height, width, out_channels]`, of an input `[n, height, width, in_channels]`.
///
/// `run` is given a number and a function, and has to call that once with every integer below the number, from up to `threads`
/// threads; what it returns is returned.
///
/// # Errors
/// [`Error::NoOutput`] and [`Error::Length`] where operands do not fit.
pub fn convolve_bytes<R>(
    kernel: &ByteKernel,
    input: &[u8],
    images: Images,
    output: &mut [u8],
    (workspace, threads): (&Workspace, usize),
    run: impl FnOnce(usize, &(dyn Fn(usize) + Sync)) -> R,
) -> Result<R, Error> {
    let sides = kernel.output(images)?;
    if let Some((vnni, points)) = kernel.points(sides).filter(|_| images.n > 0) {
        let [height, width] = sides;
        check_length("the input", input, images.n * images.pixels() * kernel.in_channels)?;
        check_length("the output", output, images.n * height * width * kernel.out_channels)?;
        let (from, to) = ((input, images), (output, sides));
        return Ok(tiles::convolve(vnni, (kernel, points), from, to, (workspace, threads), run));
    }
    let make = |input: &[u8], first: usize, band: &mut [u8], width: usize| {
        let padded = Padded::new(kernel, input, images, first, band.len() / (width * kernel.out_channels));
        for (nth, row) in band.chunks_exact_mut(width * kernel.out_channels).enumerate() {
            padded.row(nth, row);
        }
    };
    in_bands(kernel.geometry, [kernel.in_channels, kernel.out_channels], input, images, output, make, run)
}

/// Cuts an output into bands of rows, each of which `make` writes, given its image, the number of its first row, and the width of a row.
fn in_bands<R>(
    geometry: Geometry,
    [in_channels, out_channels]: [usize; 2],
    input: &[u8],
    images: Images,
    output: &mut [u8],
    make: impl Fn(&[u8], usize, &mut [u8], usize) + Sync,
    run: impl FnOnce(usize, &(dyn Fn(usize) + Sync)) -> R,
) -> Result<R, Error> {
    let [height, width] = geometry.output(images)?;
    let (of_input, of_output) = (images.pixels() * in_channels, height * width * out_channels);
    check_length("the input", input, images.n * of_input)?;
    check_length("the output", output, images.n * of_output)?;
    let (band, mut waiting) = (BAND * width * out_channels, Vec::new());
    for (image, output) in output.chunks_exact_mut(of_output.max(1)).enumerate() {
        let input = &input[image * of_input..][..of_input];
        for (nth, rows) in output.chunks_mut(band).enumerate() {
            waiting.push(Mutex::new(Some((input, nth * BAND, rows))));
        }
    }
    let work = |nth: usize| {
        if let Some((input, first, rows)) = waiting[nth].lock().unwrap_or_else(PoisonError::into_inner).take() {
            make(input, first, rows, width);
        }
    };
    Ok(run(waiting.len(), &work))
}
