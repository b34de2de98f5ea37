//! What a network in 8 bits is given of a stored picture: pixels normalised, enlarged, and made bytes of the network's own scale.
//!
//! Each step is rounded as ONNX's operators are when they run one by one, where products of matrices add up in ascending order by fused
//! multiply-adds: ONNX Runtime's do, of matrices that are neither long nor vectors. What is left out are the zeros of those matrices, which are
//! nearly all of them.

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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// ONNX's operators one by one, each on all numbers: `Mul`, `Add`, twice `MatMul`, `QuantizeLinear`.
    fn by_steps(
        (input, images): (&[u8], Images),
        [factor, offset]: [[f32; 3]; 2],
        matrices: Option<[&[f32]; 2]>,
        Scale { scale, zero }: Scale,
    ) -> Vec<u8> {
        let Images { n, height, width } = images;
        let normal = |image: usize, y: usize, x: usize, channel: usize| {
            f32::from(input[((image * height + y) * width + x) * 3 + channel]) * factor[channel] + offset[channel]
        };
        let product = |length: usize, of: &dyn Fn(usize) -> (f32, f32)| {
            (0..length).map(of).fold(0.0_f32, |sum, (a, b)| a.mul_add(b, sum))
        };
        let [new_height, new_width] =
            matrices.map_or([height, width], |[rows, columns]| [rows.len() / height, columns.len() / width]);
        let mut bytes = Vec::new();
        for (image, y) in (0..n).flat_map(|image| (0..new_height).map(move |y| (image, y))) {
            for (x, channel) in (0..new_width).flat_map(|x| (0..3).map(move |channel| (x, channel))) {
                let number = match matrices {
                    None => normal(image, y, x, channel),
                    Some([rows, columns]) => product(width, &|x_of| {
                        let down = |y_of| (rows[y * height + y_of], normal(image, y_of, x_of, channel));
                        (product(height, &down), columns[x_of * new_width + x])
                    }),
                };
                let rounded = (number / scale).round_ties_even() + f32::from(zero);
                bytes.push(rounded.clamp(0.0, 255.0) as u8);
            }
        }
        bytes
    }

    fn found(resize: &ByteResize, input: &[u8], images: Images) -> Vec<u8> {
        let [height, width] = resize.output(images).unwrap();
        let mut output = vec![77; images.n * height * width * 3];
        resize_bytes(resize, input, images, &mut output, |n, piece| (0..n).rev().for_each(piece)).unwrap();
        output
    }

    prop_compose! {
        /// `[to, from]`, two neighbours each.
        fn matrix()(from in 1_usize..20)(
            mixes in vec((0..from, -0.5_f32..1.5, prop_oneof![Just(0.0_f32), -0.5_f32..1.5]), 1..130), from in Just(from)
        ) -> (usize, Vec<f32>) {
            let mut all = vec![0.0; mixes.len() * from];
            for (row, (first, share, other)) in all.chunks_exact_mut(from).zip(mixes) {
                row[first] = share;
                if let Some(next) = row.get_mut(first + 1) {
                    *next = other;
                }
            }
            (from, all)
        }
    }

    prop_compose! {
        fn scale()(scale in 0.001_f32..0.1, zero in any::<u8>()) -> Scale {
            Scale { scale, zero }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_the_steps_one_by_one(
            rows in matrix(), columns in matrix(), n in 0_usize..3, scale in scale(),
            factor in [0.001_f32..0.1, 0.001..0.1, 0.001..0.1], offset in [-2.0_f32..2.0, -2.0..2.0, -2.0..2.0],
            bytes in vec(any::<u8>(), 19 * 19 * 3 * 2)
        ) {
            let ((height, rows), (width, across)) = (rows, columns);
            let columns: Vec<f32> = (0..width).flat_map(|x| across.iter().skip(x).step_by(width).copied()).collect();
            let images = Images { n, height, width };
            let input = &bytes[..n * height * width * 3];
            let enlarging = Some(Enlarging { from: [height, width], rows: &rows, columns: &columns });
            let resize = ByteResize::new(factor, offset, enlarging, scale).unwrap();
            let expected = by_steps((input, images), [factor, offset], Some([&rows, &columns]), scale);
            prop_assert_eq!(found(&resize, input, images), expected);
        }

        #[test]
        fn pictures_may_stay_as_large_as_they_are(
            sides in (0_usize..3, 0_usize..130, 0_usize..9), scale in scale(),
            factor in [0.001_f32..0.1, 0.001..0.1, 0.001..0.1], offset in [-2.0_f32..2.0, -2.0..2.0, -2.0..2.0],
            bytes in vec(any::<u8>(), 2 * 129 * 8 * 3)
        ) {
            let (n, height, width) = sides;
            let (images, input) = (Images { n, height, width }, &bytes[..n * height * width * 3]);
            let resize = ByteResize::new(factor, offset, None, scale).unwrap();
            let expected = by_steps((input, images), [factor, offset], None, scale);
            prop_assert_eq!(found(&resize, input, images), expected);
        }

        /// Not only to a byte, which hides most of what is rounded otherwise.
        #[test]
        fn numbers_are_the_same_to_the_last_bit(
            lines in [[vec(-9.0_f32..9.0, 40), vec(-9.0_f32..9.0, 40)], [vec(-9.0_f32..9.0, 40), vec(-9.0_f32..9.0, 40)]],
            down in [-0.5_f32..1.5, -0.5..1.5], across in [vec(-0.5_f32..1.5, 40), vec(-0.5_f32..1.5, 40)],
            (pixels, factor) in (vec(any::<u8>(), 40), vec(0.001_f32..0.1, 40)), scale in scale(), byte in any::<u8>()
        ) {
            let sum = |terms: [(f32, f32); 2]| terms.iter().fold(0.0_f32, |sum, (a, b)| a.mul_add(*b, sum));
            let mut mixed = vec![0.0; 40];
            let [[left_above, right_above], [left_below, right_below]] = &lines;
            mix([[left_above, right_above], [left_below, right_below]], down, [&across[0], &across[1]], &mut mixed);
            let mut normal = vec![0.0; 40];
            normalise(&pixels, &factor, left_above, &mut normal);
            for at in 0..40 {
                let left = sum([(down[0], left_above[at]), (down[1], left_below[at])]);
                let right = sum([(down[0], right_above[at]), (down[1], right_below[at])]);
                prop_assert_eq!(mixed[at], sum([(left, across[0][at]), (right, across[1][at])]));
                let product = f32::from(pixels[at]) * factor[at];
                prop_assert_eq!(normal[at], product + left_above[at]);
            }
            // Around the middle between two bytes.
            let middle = (f32::from(byte) - f32::from(scale.zero) + 0.5) * scale.scale;
            let numbers = [middle.next_down(), middle, middle.next_up()];
            let mut bytes = [0; 3];
            Rounding::new(scale).write(&numbers, &mut bytes);
            let rounded = |number: f32| (number / scale.scale).round_ties_even() + f32::from(scale.zero);
            prop_assert_eq!(bytes, numbers.map(|number| rounded(number).clamp(0.0, 255.0) as u8));
        }
    }

    #[test]
    fn halves_go_to_the_even_byte_and_the_rest_to_an_end() {
        let scale = Scale { scale: 2.0, zero: 100 };
        let resize = ByteResize::new([1.0, 1.0, 1e30], [0.0, -250.0, 0.0], None, scale).unwrap();
        let images = Images { n: 1, height: 1, width: 4 };
        let input = [1, 1, 0, 3, 3, 1, 5, 101, 2, 255, 255, 255];
        assert_eq!(found(&resize, &input, images), [100, 0, 100, 102, 0, 255, 102, 26, 255, 228, 102, 255]);
        // 0 times infinity is no number, and the least byte.
        let resize = ByteResize::new([f32::INFINITY, 1.0, 1.0], [0.0; 3], None, scale).unwrap();
        assert_eq!(found(&resize, &[0, 2, 4], Images { width: 1, ..images }), [0, 101, 102]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let scale = Scale { scale: 1.0, zero: 0 };
        let new = |from: [usize; 2], rows: &[f32], columns: &[f32]| {
            let enlarging = Some(Enlarging { from, rows, columns });
            ByteResize::new([1.0; 3], [0.0; 3], enlarging, scale)
        };
        assert_eq!(new([2, 1], &[1.0; 3], &[1.0]).unwrap_err(), Error::Length { which: "rows", expected: 2, found: 3 });
        assert_eq!(new([1, 1], &[1.0], &[]).unwrap_err(), Error::NoOutput { height: 1, width: 1 });
        assert_eq!(new([0, 1], &[], &[1.0]).unwrap_err(), Error::NoOutput { height: 0, width: 1 });
        assert_eq!(new([3, 1], &[0.5, 0.0, 0.5], &[1.0]).unwrap_err(), Error::Shares);
        assert_eq!(new([1, 3], &[1.0], &[0.5, 0.25, 0.25]).unwrap_err(), Error::Shares);

        let resize = new([1, 2], &[1.0], &[0.5, 0.5]).unwrap();
        let images = Images { n: 1, height: 1, width: 2 };
        let run = |input: &[u8], images, output: &mut [u8]| resize_bytes(&resize, input, images, output, |n, _| n);
        assert_eq!(run(&[0; 6], images, &mut [0; 3]), Ok(1));
        assert_eq!(run(&[0; 5], images, &mut [0; 3]), Err(Error::Length { which: "the input", expected: 6, found: 5 }));
        assert_eq!(
            run(&[0; 6], images, &mut [0; 6]),
            Err(Error::Length { which: "the output", expected: 3, found: 6 })
        );
        let taller = Images { height: 2, ..images };
        assert_eq!(run(&[0; 12], taller, &mut [0; 3]), Err(Error::Sides { expected: [1, 2], found: [2, 2] }));
        assert_eq!(run(&[], Images { n: 0, ..images }, &mut []), Ok(0));
    }
}
