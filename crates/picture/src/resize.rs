//! RGB8 to RGB8 of a wanted size, antialiased as Pillow does it.
//!
//! Pillow widens the filter by the shrink factor, passes once along rows, rounds to 8 bits, and
//! then passes along columns. `fast_image_resize` would take the columns first, which rounds
//! differently, so the two passes are two calls here. Its crop box makes resize-and-crop one step.

use fast_image_resize as fir;
use fir::images::{Image, ImageRef};

use crate::{Rejected, Rgb};

/// The wanted size and how to get there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    /// In pixels.
    pub height: u32,
    /// In pixels.
    pub width: u32,
    /// What happens to the aspect ratio.
    pub fit: Fit,
    /// The interpolation kernel.
    pub filter: Filter,
    /// Whether smaller pictures may be enlarged; otherwise they are rejected.
    pub enlarge: bool,
}

/// What happens to the aspect ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Width and height are scaled apart: everything stays, shapes distort.
    Squash,
    /// torchvision's `Resize(shortest edge)` and `CenterCrop`: shapes stay, the ends are cut.
    ///
    /// With a picture of `w × h` and a target `W × H`, where the width is the tighter side
    /// (`w·H ≤ h·W`; for a square target, the shorter side): the picture is resized to
    /// `W × ⌊W·h/w⌋`, else to `⌊H·w/h⌋ × H`. Of that, the target is cut from
    /// `round((resized − target) / 2)`, halves to the even number as Python rounds.
    ShortestEdgeCrop,
}

/// The interpolation kernel, widened by the shrink factor when shrinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Mean over the area.
    Box,
    /// Triangle.
    Bilinear,
    /// Cubic with `a = −0.5`, as in Pillow.
    Bicubic,
    /// Sinc of three lobes.
    Lanczos,
}

/// Bytes of memory that are kept from one picture to the next, at most: those of 2 megapixels. Of larger pictures decoding takes so
/// long that new memory does not count.
const MOST_KEPT: usize = 6 << 20;

/// Resizes pictures one after another; keeps its buffers, so one per thread.
#[derive(Debug, Default)]
pub struct Scaler {
    resizer: fir::Resizer,
    /// Rows that are scaled, columns that are not yet.
    between: Vec<u8>,
    /// Memory of the picture before, for the next one's samples.
    pub(crate) spare: Vec<u8>,
}

impl Scaler {
    /// Keeps a picture's memory for the next one, but not that of a huge one: it would lie beside whatever comes.
    pub(crate) fn keep(&mut self, pixels: Vec<u8>) {
        self.spare = pixels;
        for kept in [&mut self.spare, &mut self.between] {
            if kept.capacity() > MOST_KEPT {
                *kept = Vec::new();
            }
        }
    }

    /// `[h, w, 3]` u8 to `[to.height, to.width, 3]` u8. A picture of that size already comes back
    /// untouched.
    ///
    /// # Errors
    /// [`Rejected::TooSmall`] if a side is shorter than wanted and `to.enlarge` is off.
    pub fn resize(&mut self, picture: Rgb, to: &Resize) -> Result<Rgb, Rejected> {
        if (picture.width, picture.height) == (to.width, to.height) {
            return Ok(picture);
        }
        let mut pixels = vec![0; to.height as usize * to.width as usize * 3];
        self.resize_into(&picture, to, &mut pixels)?;
        Ok(Rgb { width: to.width, height: to.height, pixels })
    }

    /// As [`Scaler::resize`], into `target` of `to.height · to.width · 3` bytes.
    pub(crate) fn resize_into(&mut self, picture: &Rgb, to: &Resize, target: &mut [u8]) -> Result<(), Rejected> {
        let (width, height) = (picture.width, picture.height);
        if (width, height) == (to.width, to.height) {
            target.copy_from_slice(&picture.pixels);
            return Ok(());
        }
        if !to.enlarge && (width < to.width || height < to.height) {
            return Err(Rejected::TooSmall { width, height, wanted_width: to.width, wanted_height: to.height });
        }
        let [left, top, crop_width, crop_height] = match to.fit {
            Fit::Squash => [0.0, 0.0, f64::from(width), f64::from(height)],
            Fit::ShortestEdgeCrop => crop_box((width, height), (to.width, to.height)),
        };
        let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(match to.filter {
            Filter::Box => fir::FilterType::Box,
            Filter::Bilinear => fir::FilterType::Bilinear,
            Filter::Bicubic => fir::FilterType::CatmullRom,
            Filter::Lanczos => fir::FilterType::Lanczos3,
        }));
        let along_rows = options.crop(left, 0.0, crop_width, f64::from(height));
        let along_columns = options.crop(0.0, top, f64::from(to.width), crop_height);

        let source = ImageRef::new(width, height, &picture.pixels, fir::PixelType::U8x3)
            .expect("a picture holds height · width · 3 bytes");
        self.between.resize(height as usize * to.width as usize * 3, 0);
        let of_rows = Image::from_slice_u8(to.width, height, &mut self.between, fir::PixelType::U8x3);
        let target = Image::from_slice_u8(to.width, to.height, target, fir::PixelType::U8x3);
        let sizes = "there are height · width · 3 bytes";
        let (mut between, mut target) = (of_rows.expect(sizes), target.expect(sizes));
        let fits = "pixel types agree and the crop box lies within the picture";
        self.resizer.resize(&source, &mut between, &along_rows).expect(fits);
        self.resizer.resize(&between, &mut target, &along_columns).expect(fits);
        Ok(())
    }
}

/// The part of a `from` picture that becomes the target `to`: left, top, width, height in source
/// pixels. It is the centre crop of the resized picture, taken back through the resize's scale.
fn crop_box(from: (u32, u32), to: (u32, u32)) -> [f64; 4] {
    let (resized_width, resized_height) = covering(from, to);
    let (left, width) = cut(from.0, resized_width, to.0);
    let (top, height) = cut(from.1, resized_height, to.1);
    [left, top, width, height]
}

/// The size that just covers `to`, by the formula at [`Fit::ShortestEdgeCrop`].
fn covering((w, h): (u32, u32), (to_w, to_h): (u32, u32)) -> (u64, u64) {
    let [w, h, to_w, to_h] = [w, h, to_w, to_h].map(u64::from);
    if w * to_h <= h * to_w { (to_w, to_w * h / w.max(1)) } else { (to_h * w / h.max(1), to_h) }
}

/// Offset and length along one axis, in source pixels.
fn cut(source: u32, resized: u64, target: u32) -> (f64, f64) {
    let spare = resized.saturating_sub(u64::from(target));
    // Half of an odd number lies between two integers; Python's `round` takes the even one.
    let offset = spare / 2 + (spare % 2) * (spare / 2 % 2);
    let scale = f64::from(source) / resized.max(1) as f64;
    let start = offset as f64 * scale;
    // Rounding may carry the far edge a hair outside, which the resizer would refuse.
    (start, (f64::from(target) * scale).min(f64::from(source) - start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resized_sizes_are_torchvisions() {
        // int(size * long / short), torchvision 0.24 `_compute_resized_output_size`.
        assert_eq!(covering((500, 375), (224, 224)), (298, 224));
        assert_eq!(covering((375, 500), (224, 224)), (224, 298));
        assert_eq!(covering((333, 1000), (32, 32)), (32, 96));
        assert_eq!(covering((100, 100), (32, 48)), (48, 48));
    }

    #[test]
    fn crop_offsets_round_half_to_even() {
        // int(round((n - 1) / 2)) for 1..=8 spare pixels.
        let offsets = (1..=8).map(|spare| cut(1 + spare, u64::from(1 + spare), 1).0);
        assert_eq!(offsets.collect::<Vec<_>>(), [0.0, 1.0, 2.0, 2.0, 2.0, 3.0, 4.0, 4.0]);
    }

    #[test]
    fn no_crop_box_leaves_its_picture() {
        let mut scaler = Scaler::default();
        for (w, h) in [(1, 1), (1, 977), (977, 1), (3, 1000), (641, 479), (33, 32), (13, 17)] {
            for (width, height) in [(32, 32), (7, 31), (31, 7), (1, 1)] {
                let (fit, filter) = (Fit::ShortestEdgeCrop, Filter::Bilinear);
                let to = Resize { height, width, fit, filter, enlarge: true };
                let grey = Rgb { width: w, height: h, pixels: vec![77; (w * h * 3) as usize] };
                let resized = scaler.resize(grey, &to).expect("enlarging is allowed");
                assert_eq!(resized.pixels, vec![77; (width * height * 3) as usize]);
            }
        }
    }
}
