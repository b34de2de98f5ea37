//! The geometry of a convolution.

use crate::lanes;

/// Which input pixels an output pixel looks at, each pair as (vertical, horizontal).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Height and width of the kernel, in pixels.
    pub kernel: [usize; 2],
    /// Input pixels from one output pixel to the next.
    pub strides: [usize; 2],
    /// Input pixels from one pixel of the kernel to the next.
    pub dilations: [usize; 2],
    /// Pixels of zeros above, left, below and right of the input.
    pub pads: [usize; 4],
}

/// Input images: blocked float32 `[n, channels / L, height, width, L]`.
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
    #[error("{channels} {which} channels are no multiple of the {} that a vector holds", lanes())]
    Channels { which: &'static str, channels: usize },
    #[error("{which} has {found} numbers, and its shape says {expected}")]
    Length { which: &'static str, expected: usize, found: usize },
    #[error("an input of {height}x{width} leaves no output")]
    NoOutput { height: usize, width: usize },
    #[error("kernel, strides and dilations start at 1, and found was {0:?}")]
    Geometry(Geometry),
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

    /// Whether outputs can be made four by four: a kernel of 3 × 3 that takes every pixel.
    pub(crate) fn is_winograd(&self) -> bool {
        self.kernel == [3, 3] && self.strides == [1, 1] && self.dilations == [1, 1]
    }

    pub(crate) fn check(self) -> Result<Self, Error> {
        let all = [self.kernel, self.strides, self.dilations].concat();
        if all.contains(&0) { Err(Error::Geometry(self)) } else { Ok(self) }
    }
}

pub(crate) fn check_length(which: &'static str, values: &[f32], expected: usize) -> Result<(), Error> {
    let found = values.len();
    if found == expected { Ok(()) } else { Err(Error::Length { which, expected, found }) }
}
