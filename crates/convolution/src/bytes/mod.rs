//! Convolutions of networks in 8 bits: the first one, whose input has the few channels of a picture, with what pools behind it, and
//! inner ones by Winograd's algorithm.
//!
//! Images are `[n, height, width, channels]` in uint8, so that what a row of the kernel looks at lies in one run of memory. Sums
//! are integers, and become bytes again as ONNX's `QLinearConv` says: the result is the same on every processor and by either algorithm,
//! byte for byte.
//!
//! - `kernel` holds weights;
//! - `row` is the definition: the sums of some channels of a row;
//! - `points` is Winograd's algorithm in integers, and `tiles` cuts an output into pieces for it;
//! - `vnni` makes both by the processor's instructions for bytes; without them there is the definition alone;
//! - `pool` is the largest of a window;
//! - `resize` makes bytes of stored pictures, before all that.

mod kernel;
mod points;
mod pool;
mod resize;
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
use pool::Pool;
pub use pool::max_pool_bytes;
pub use resize::{ByteResize, Enlarging, resize_bytes};
use row::Strip;
use tiles::Task;
use vnni::Vnni;

/// What the processor's instructions are for.
enum Work<'a, 'of> {
    /// Some channels of a row.
    Strip(&'a mut Strip<'of>),
    /// Winograd's algorithm on some rows or images.
    Task(&'a mut Task<'of>),
}

/// Rows of the output that one thread makes at a time.
const BAND: usize = 8;
/// The same behind a pooling: windows of two bands overlap, and what both look at is made twice.
const POOLED_BAND: usize = 14;

/// Whether this processor has the instructions that these convolutions are made for. Without them they are right and slow.
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
    check(kernel.channels(), (input, images), (output, sides))?;
    if let Some((vnni, points)) = kernel.points().filter(|_| images.n > 0) {
        let (from, to) = ((input, images), (output, sides));
        return Ok(tiles::convolve(vnni, (kernel, points), from, to, (workspace, threads), run));
    }
    let of_row = sides[1] * kernel.out_channels;
    let make = |input: &[u8], first: usize, band: &mut [u8]| kernel.rows(input, images, first, band, of_row);
    Ok(in_bands(BAND, input, images.n, (output, sides[0]), make, run))
}

/// Writes the largest byte of each window of [`convolve_bytes`]'s output, as [`max_pool_bytes`] would. What is between the two stays in a
/// core's cache.
///
/// # Errors
/// As the two.
pub fn convolve_and_pool_bytes<R>(
    kernel: &ByteKernel,
    pool: Geometry,
    input: &[u8],
    images: Images,
    output: &mut [u8],
    run: impl FnOnce(usize, &(dyn Fn(usize) + Sync)) -> R,
) -> Result<R, Error> {
    let [height, width] = kernel.output(images)?;
    let pool = Pool::new(pool, kernel.out_channels, Images { height, width, ..images })?;
    check(kernel.channels(), (input, images), (output, pool.sides()))?;
    let of_row = width * kernel.out_channels;
    let make = |input: &[u8], first: usize, band: &mut [u8]| {
        let seen = pool.seen(first, band);
        let mut rows = vec![0; seen.len() * of_row];
        kernel.rows(input, images, seen.start, &mut rows, of_row);
        pool.write(&rows, seen.start, first, band);
    };
    Ok(in_bands(POOLED_BAND, input, images.n, (output, pool.sides()[0]), make, run))
}

/// Lengths of an input and an output.
fn check(
    [in_channels, out_channels]: [usize; 2],
    (input, images): (&[u8], Images),
    (output, [height, width]): (&[u8], [usize; 2]),
) -> Result<(), Error> {
    check_length("the input", input, images.n * images.pixels() * in_channels)?;
    check_length("the output", output, images.n * height * width * out_channels)
}

/// Cuts an output of `n` images into bands of rows, each of which `make` writes, given its image and the number of its first row.
fn in_bands<R>(
    band: usize,
    input: &[u8],
    n: usize,
    (output, height): (&mut [u8], usize),
    make: impl Fn(&[u8], usize, &mut [u8]) + Sync,
    run: impl FnOnce(usize, &(dyn Fn(usize) + Sync)) -> R,
) -> R {
    let (of_input, of_output) = (input.len() / n.max(1), output.len() / n.max(1));
    let mut waiting = Vec::new();
    for (image, output) in output.chunks_exact_mut(of_output.max(1)).enumerate() {
        let input = &input[image * of_input..][..of_input];
        for (nth, rows) in output.chunks_mut(band * of_output / height).enumerate() {
            waiting.push(Mutex::new(Some((input, nth * band, rows))));
        }
    }
    let work = |nth: usize| {
        if let Some((input, first, rows)) = waiting[nth].lock().unwrap_or_else(PoisonError::into_inner).take() {
            make(input, first, rows);
        }
    };
    run(waiting.len(), &work)
}
