//! What a network in 8 bits is given of a stored picture: pixels normalised, enlarged, and made bytes of the network's own scale.
//!
//! Each step is rounded as ONNX's operators are when they run one by one, where products of matrices add up in ascending order by fused
//! multiply-adds: ONNX Runtime's do, of matrices that are neither long nor vectors. What is left out are the zeros of those matrices, which are
//! nearly all of them.

#[cfg(test)]
mod tests;

use std::iter;

use pulp::{Arch, Simd, WithSimd};

use super::kernel::Scale;
use super::{check, in_bands};
use crate::shape::{Error, Images, check_length};

/// Red, green and blue.
const CHANNELS: usize = 3;
/// Rows of the output that one thread makes at a time. What they share is made once for all of them.
const BAND: usize = 56;
/// Added to a small number and seen as bits, it leaves the nearest integer, half to even, in the lowest.
const ROUNDING: f32 = 12_582_912.0;

/// How pictures are enlarged: a new pixel is mixed from two neighbours along each axis.
#[derive(Debug, Clone, Copy)]
pub struct Enlarging<'a> {
    /// Height and width of the pictures.
    pub from: [usize; 2],
    /// Of each new row the share of each row, `[new_height, height]`.
    pub rows: &'a [f32],
    /// Of each column the share in each new one, `[width, new_width]`.
    pub columns: &'a [f32],
}

/// What makes bytes of pictures, uint8 `[n, height, width, 3]`: x · factor + offset, enlarged, in units of the output's scale.
#[derive(Debug)]
pub struct ByteResize {
    factor: [f32; CHANNELS],
    offset: [f32; CHANNELS],
    enlarging: Option<Plan>,
    output: Scale,
}

#[derive(Debug)]
struct Plan {
    from: [usize; 2],
    rows: Vec<Mix>,
    columns: Vec<Mix>,
    /// The columns' shares, once for each channel: `[new_width, 3]`.
    shares: [Vec<f32>; 2],
}

/// Two neighbours and their shares. At the border they may be the same one, and its second share nothing.
#[derive(Debug, Clone, Copy)]
struct Mix {
    of: [usize; 2],
    shares: [f32; 2],
}

impl Mix {
    /// Takes the share of each pixel, of one or more.
    fn of(all: &[f32]) -> Result<Self, Error> {
        let first = all.iter().position(|share| *share != 0.0).unwrap_or(0);
        let behind = &all[first + 1..];
        if behind.iter().skip(1).any(|share| *share != 0.0) {
            return Err(Error::Shares);
        }
        let next = (first + 1).min(all.len() - 1);
        Ok(Self { of: [first, next], shares: [all[first], behind.first().copied().unwrap_or(0.0)] })
    }
}

impl ByteResize {
    /// Takes a factor and an offset for each channel.
    ///
    /// # Errors
    /// [`Error::Length`] and [`Error::NoOutput`] where matrices do not fit, [`Error::Shares`] where a new pixel is mixed from others than
    /// one or two neighbours.
    pub fn new(
        factor: [f32; CHANNELS],
        offset: [f32; CHANNELS],
        enlarging: Option<Enlarging<'_>>,
        output: Scale,
    ) -> Result<Self, Error> {
        Ok(Self { factor, offset, enlarging: enlarging.map(Plan::new).transpose()?, output })
    }

    /// Height and width of the output.
    ///
    /// # Errors
    /// [`Error::Sides`] where pictures have not the sides that they are enlarged from.
    pub fn output(&self, images: Images) -> Result<[usize; 2], Error> {
        let found = [images.height, images.width];
        match &self.enlarging {
            None => Ok(found),
            Some(plan) if plan.from == found => Ok([plan.rows.len(), plan.columns.len()]),
            Some(plan) => Err(Error::Sides { expected: plan.from, found }),
        }
    }
}

impl Plan {
    fn new(Enlarging { from, rows, columns }: Enlarging<'_>) -> Result<Self, Error> {
        let [height, width] = from;
        let sides = [(height, rows), (width, columns)].map(|(from, all)| all.len() / from.max(1));
        for ((from, to), (which, all)) in iter::zip(iter::zip(from, sides), [("rows", rows), ("columns", columns)]) {
            check_length(which, all, from * to)?;
            if to == 0 {
                return Err(Error::NoOutput { height, width });
            }
        }
        let new_width = sides[1];
        let rows = rows.chunks_exact(height).map(Mix::of).collect::<Result<_, _>>()?;
        let column = |x: usize| Mix::of(&columns.iter().skip(x).step_by(new_width).copied().collect::<Vec<_>>());
        let columns: Vec<Mix> = (0..new_width).map(column).collect::<Result<_, _>>()?;
        let shares =
            [0, 1].map(|which| columns.iter().flat_map(|mix| iter::repeat_n(mix.shares[which], CHANNELS)).collect());
        Ok(Self { from, rows, columns, shares })
    }
}

/// Writes the bytes, uint8 `[n, height, width, 3]`.
///
/// `run` is as in [`convolve_bytes`](super::convolve_bytes).
///
/// # Errors
/// [`Error::Sides`] and [`Error::Length`] where operands do not fit.
pub fn resize_bytes<R>(
    resize: &ByteResize,
    input: &[u8],
    images: Images,
    output: &mut [u8],
    run: impl FnOnce(usize, &(dyn Fn(usize) + Sync)) -> R,
) -> Result<R, Error> {
    let sides = resize.output(images)?;
    check([CHANNELS; 2], (input, images), (output, sides))?;
    let make = |input: &[u8], first: usize, band: &mut [u8]| {
        Arch::new().dispatch(Band { resize, input, width: images.width, first, band });
    };
    Ok(in_bands(BAND, input, images.n, (output, sides[0]), make, run))
}

struct Band<'a> {
    resize: &'a ByteResize,
    /// A picture.
    input: &'a [u8],
    width: usize,
    /// The number of the band's first row.
    first: usize,
    band: &'a mut [u8],
}

impl WithSimd for Band<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self { resize: ByteResize { factor, offset, enlarging, output }, input, width, first, band } = self;
        let length = width * CHANNELS;
        let [factor, offset] = [factor, offset].map(|all| all.repeat(width));
        let rounding = Rounding::new(*output);
        let mut row = vec![0.0; length];
        let Some(Plan { rows, columns, shares: [left, right], .. }) = enlarging else {
            for (bytes, pixels) in band.chunks_exact_mut(length).zip(input[first * length..].chunks_exact(length)) {
                normalise(pixels, &factor, &offset, &mut row);
                rounding.write(&row, bytes);
            }
            return;
        };
        // Each row with the left and the right neighbours of all new columns: what comes then needs no look at where they are.
        let n = columns.len() * CHANNELS;
        let rows = &rows[first..][..band.len() / n];
        let start = rows.iter().map(|row| row.of[0]).min().unwrap_or(0);
        let end = rows.iter().map(|row| row.of[1] + 1).max().unwrap_or(0);
        let mut neighbours = vec![0.0; (end - start) * 2 * n];
        for (nth, lines) in neighbours.chunks_exact_mut(2 * n).enumerate() {
            normalise(&input[(start + nth) * length..][..length], &factor, &offset, &mut row);
            let pixels = row.as_chunks::<CHANNELS>().0;
            let (lefts, rights) = lines.as_chunks_mut::<CHANNELS>().0.split_at_mut(columns.len());
            for (Mix { of: [at, next], .. }, (left, right)) in columns.iter().zip(lefts.iter_mut().zip(rights)) {
                (*left, *right) = (pixels[*at], pixels[*next]);
            }
        }
        let lines = |row: usize| {
            let (lefts, rights) = neighbours[(row - start) * 2 * n..][..2 * n].split_at(n);
            [lefts, rights]
        };
        let mut mixed = vec![0.0; n];
        for (Mix { of: [above, below], shares }, bytes) in rows.iter().zip(band.chunks_exact_mut(n)) {
            mix([lines(*above), lines(*below)], *shares, [left, right], &mut mixed);
            rounding.write(&mixed, bytes);
        }
    }
}

/// Down and then across, as products of matrices go.
#[inline(always)]
fn mix(lines: [[&[f32]; 2]; 2], [upper, lower]: [f32; 2], shares: [&[f32]; 2], mixed: &mut [f32]) {
    let n = mixed.len();
    let [[left_above, right_above], [left_below, right_below]] = lines;
    let (left_above, right_above) = (&left_above[..n], &right_above[..n]);
    let (left_below, right_below) = (&left_below[..n], &right_below[..n]);
    let (left_share, right_share) = (&shares[0][..n], &shares[1][..n]);
    for at in 0..n {
        let left = lower.mul_add(left_below[at], upper * left_above[at]);
        let right = lower.mul_add(right_below[at], upper * right_above[at]);
        mixed[at] = right_share[at].mul_add(right, left_share[at] * left);
    }
}

#[inline(always)]
fn normalise(pixels: &[u8], factor: &[f32], offset: &[f32], row: &mut [f32]) {
    let n = row.len();
    let (pixels, factor, offset) = (&pixels[..n], &factor[..n], &offset[..n]);
    for at in 0..n {
        row[at] = f32::from(pixels[at]) * factor[at] + offset[at];
    }
}

/// ONNX's `QuantizeLinear`.
struct Rounding {
    scale: f32,
    least: f32,
    largest: f32,
    zero: u8,
}

impl Rounding {
    fn new(Scale { scale, zero }: Scale) -> Self {
        Self { scale, least: -f32::from(zero), largest: 255.0 - f32::from(zero), zero }
    }

    #[inline(always)]
    fn write(&self, numbers: &[f32], bytes: &mut [u8]) {
        let Self { scale, least, largest, zero } = *self;
        let n = bytes.len();
        let numbers = &numbers[..n];
        for at in 0..n {
            let scaled = numbers[at] / scale;
            // What is no number is the least, as the runtime has it.
            let scaled = if scaled > least { scaled } else { least };
            let scaled = if scaled < largest { scaled } else { largest };
            bytes[at] = ((scaled + ROUNDING).to_bits() as u8).wrapping_add(zero);
        }
    }
}
