//! The size that all pictures have in the end, and what happens to one of another size.

use crate::decode::decode_reusing;
use crate::{Limits, Rejected, Resize, Rgb, Scaler};

/// The size that is wanted, and how pictures get there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizing {
    /// They have it already; a picture of another size is rejected.
    AsTheyAre {
        /// In pixels.
        height: u32,
        /// In pixels.
        width: u32,
    },
    /// They are brought to it.
    Resized(Resize),
}

impl Sizing {
    /// In pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        match self {
            Self::AsTheyAre { height, .. } => *height,
            Self::Resized(to) => to.height,
        }
    }

    /// In pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        match self {
            Self::AsTheyAre { width, .. } => *width,
            Self::Resized(to) => to.width,
        }
    }

    /// Bytes of a picture of the wanted size: `height · width · 3`.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.height() as usize * self.width() as usize * 3
    }

    /// Makes a picture of the wanted size, into `target` of [`Sizing::n_bytes`].
    ///
    /// # Errors
    /// [`Rejected::OtherSize`] or [`Rejected::TooSmall`] if it cannot be had of this one.
    ///
    /// # Panics
    /// If `target` has another length.
    pub fn apply(&self, picture: &Rgb, scaler: &mut Scaler, target: &mut [u8]) -> Result<(), Rejected> {
        match *self {
            Self::Resized(to) => scaler.resize_into(picture, &to, target),
            Self::AsTheyAre { height, width } if (picture.height, picture.width) == (height, width) => {
                target.copy_from_slice(&picture.pixels);
                Ok(())
            }
            Self::AsTheyAre { height, width } => {
                let (found_height, found_width) = (picture.height, picture.width);
                let (wanted_height, wanted_width) = (height, width);
                Err(Rejected::OtherSize { height: found_height, width: found_width, wanted_height, wanted_width })
            }
        }
    }

    /// From the bytes of a file to the pixels that a network is given, row-major HWC, into `target` of [`Sizing::n_bytes`].
    ///
    /// # Errors
    /// As [`decode`](crate::decode) and [`Sizing::apply`].
    ///
    /// # Panics
    /// If `target` has another length.
    pub fn pixels(
        &self,
        encoded: &[u8],
        limits: &Limits,
        scaler: &mut Scaler,
        target: &mut [u8],
    ) -> Result<(), Rejected> {
        let picture = decode_reusing(encoded, limits, std::mem::take(&mut scaler.spare))?;
        let applied = self.apply(&picture, scaler, target);
        scaler.keep(picture.pixels);
        applied
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Filter, Fit};

    fn grey(width: u32, height: u32) -> Rgb {
        Rgb { width, height, pixels: vec![7; (width * height * 3) as usize] }
    }

    #[test]
    fn as_they_are_takes_one_size_and_names_any_other() {
        let sizing = Sizing::AsTheyAre { height: 2, width: 3 };
        let mut scaler = Scaler::default();
        let mut target = [0; 18];
        assert_eq!(sizing.apply(&grey(3, 2), &mut scaler, &mut target), Ok(()));
        assert_eq!(target, [7; 18]);
        let rejected = sizing.apply(&grey(2, 3), &mut scaler, &mut target).unwrap_err();
        assert_eq!(rejected.reason(), "other-size");
        assert_eq!(rejected.to_string(), "3×2 (height × width), and the wanted size is 2×3");
    }

    #[test]
    fn resized_is_what_the_scaler_does() {
        let to = Resize { height: 2, width: 2, fit: Fit::Squash, filter: Filter::Bilinear, enlarge: false };
        let sizing = Sizing::Resized(to);
        let mut scaler = Scaler::default();
        assert_eq!((sizing.height(), sizing.width()), (2, 2));
        let mut target = [0; 12];
        assert_eq!(sizing.apply(&grey(8, 4), &mut scaler, &mut target), Ok(()));
        assert_eq!(target, [7; 12]);
        assert_eq!(sizing.apply(&grey(1, 4), &mut scaler, &mut target).unwrap_err().reason(), "too-small");
    }
}
