//! The geometry of a convolution.

use std::ops::Range;

use crate::transform::{POINTS, TILE};

/// Which input pixels an output pixel looks at, each pair as (vertical, horizontal).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Height and width of the kernel, in pixels.
    pub kernel: [usize; 2],
    /// Input pixels from one output pixel to the next.
    pub strides: [usize; 2],
    /// Input pixels from one pixel of the kernel to the next.
    pub dilations: [usize; 2],
    /// Pixels of padding above, left, below and right of the input: zeros, of bytes the input's zero, and nothing that a pooling sees.
    pub pads: [usize; 4],
}

/// How an output is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Four by four pixels at once, by Winograd's algorithm.
    Tiles,
    /// Pixel by pixel, from all that it looks at.
    Pixels,
    /// Pixel by pixel, of all images together, from what it looks at inside of the input.
    Places,
}

impl Method {
    /// Side of the square of outputs that one site is.
    pub(crate) fn side(self) -> usize {
        if self == Self::Tiles { TILE } else { 1 }
    }
}

/// Input images: blocked float32 `[n, channels / L, height, width, L]`, or uint8 `[n, height, width, channels]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Images {
    pub n: usize,
    pub height: usize,
    pub width: usize,
}

impl Images {
    pub(crate) fn pixels(self) -> usize {
        self.height * self.width
    }
}

/// What a convolution cannot be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Error {
    #[error("{channels} {which} channels are no multiple of the {lanes} that a vector holds")]
    Channels { which: &'static str, channels: usize, lanes: usize },
    #[error("{which} has {found} numbers, and its shape says {expected}")]
    Length { which: &'static str, expected: usize, found: usize },
    #[error("an input of {height}x{width} leaves no output")]
    NoOutput { height: usize, width: usize },
    #[error("there are no {which} channels")]
    NoChannels { which: &'static str },
    #[error("pictures of {}x{} cannot be enlarged as those of {}x{}", found[0], found[1], expected[0], expected[1])]
    Sides { expected: [usize; 2], found: [usize; 2] },
    #[error("a pixel of an enlarged picture has to be mixed from one or two neighbours along each axis")]
    Shares,
    #[error("kernel, strides and dilations start at 1, and found was {0:?}")]
    Geometry(Geometry),
    #[error("pixels of a row of the kernel have to be neighbours, and found was {0:?}")]
    Dilated(Geometry),
}

impl Geometry {
    /// Height and width of the output.
    ///
    /// # Errors
    /// [`Error::NoOutput`] where the kernel is larger than the padded input.
    pub fn output(&self, images: Images) -> Result<[usize; 2], Error> {
        let [top, left, bottom, right] = self.pads;
        let side = |axis: usize, length: usize| {
            let reach = (self.kernel[axis] - 1) * self.dilations[axis] + 1;
            Some(length.checked_sub(reach)? / self.strides[axis] + 1)
        };
        let Images { height, width, .. } = images;
        let sides = side(0, top + height + bottom).zip(side(1, left + width + right));
        sides.map(|(height, width)| [height, width]).ok_or(Error::NoOutput { height, width })
    }

    /// How outputs are made where they are many.
    pub(crate) fn method(&self) -> Method {
        if self.kernel == [3, 3] && self.strides == [1, 1] && self.dilations == [1, 1] {
            Method::Tiles
        } else {
            Method::Pixels
        }
    }

    /// How outputs are made of such images: by places, where the other way multiplies more, and most of it with zeros of the padding.
    pub(crate) fn method_for(&self, images: Images, [height, width]: [usize; 2]) -> Method {
        let method = self.method();
        let (padded, factor) = match method {
            Method::Tiles => (POINTS * height.div_ceil(TILE) * width.div_ceil(TILE), 1),
            _ => (self.kernel[0] * self.kernel[1] * height * width, 2),
        };
        let rows: usize = (0..height).map(|row| self.taps(0, row, images.height).len()).sum();
        let columns: usize = (0..width).map(|column| self.taps(1, column, images.width).len()).sum();
        if factor * rows * columns <= padded { Method::Places } else { method }
    }

    /// The pixels of the kernel along an axis that lie inside of `length` pixels, for one output.
    pub(crate) fn taps(&self, axis: usize, output: usize, length: usize) -> Range<usize> {
        let (stride, dilation, pad) = (self.strides[axis], self.dilations[axis], self.pads[axis]);
        let first = output * stride;
        // The first of them that is so many pixels on from the output's own place.
        let tap_at = |pixels: usize| pixels.saturating_sub(first).div_ceil(dilation).min(self.kernel[axis]);
        tap_at(pad)..tap_at(length + pad)
    }

    pub(crate) fn check(self) -> Result<Self, Error> {
        let all = [self.kernel, self.strides, self.dilations].concat();
        if all.contains(&0) { Err(Error::Geometry(self)) } else { Ok(self) }
    }
}

/// There are some, and they fill vectors of `lanes`.
pub(crate) fn check_channels(which: &'static str, channels: usize, lanes: usize) -> Result<(), Error> {
    match channels {
        0 => Err(Error::NoChannels { which }),
        _ if channels.is_multiple_of(lanes) => Ok(()),
        _ => Err(Error::Channels { which, channels, lanes }),
    }
}

pub(crate) fn check_length<T>(which: &'static str, values: &[T], expected: usize) -> Result<(), Error> {
    let found = values.len();
    if found == expected { Ok(()) } else { Err(Error::Length { which, expected, found }) }
}
