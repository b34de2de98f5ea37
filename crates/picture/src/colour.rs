//! Decoded samples of any layout to RGB8, by the table in the crate's documentation.

use image::DynamicImage;

/// The pixels as RGB8, row-major HWC; `None` for float samples, which have no agreed range.
///
/// An RGB8 picture is moved and not copied.
pub(crate) fn to_rgb8(picture: DynamicImage) -> Option<Vec<u8>> {
    Some(match picture {
        DynamicImage::ImageRgb8(p) => p.into_raw(),
        DynamicImage::ImageLuma8(p) => grey::<1, _>(p.as_raw(), |v| v),
        DynamicImage::ImageLumaA8(p) => grey::<2, _>(p.as_raw(), |v| v),
        DynamicImage::ImageRgba8(p) => colour::<4, _>(p.as_raw(), |v| v),
        DynamicImage::ImageLuma16(p) => grey::<1, _>(p.as_raw(), high_byte),
        DynamicImage::ImageLumaA16(p) => grey::<2, _>(p.as_raw(), high_byte),
        DynamicImage::ImageRgb16(p) => colour::<3, _>(p.as_raw(), high_byte),
        DynamicImage::ImageRgba16(p) => colour::<4, _>(p.as_raw(), high_byte),
        _ => return None,
    })
}

/// 16 bits to 8. Rounding `v / 257` would be nearer by half a level; Pillow and libpng strip.
fn high_byte(v: u16) -> u8 {
    v.to_be_bytes()[0]
}

/// The first of every `N` samples, three times.
fn grey<const N: usize, T: Copy>(samples: &[T], to_u8: impl Fn(T) -> u8) -> Vec<u8> {
    let (pixels, _) = samples.as_chunks::<N>();
    pixels.iter().flat_map(|p| [to_u8(p[0]); 3]).collect()
}

/// The first three of every `N` samples: alpha, where there is one, comes last and is dropped.
fn colour<const N: usize, T: Copy>(samples: &[T], to_u8: impl Fn(T) -> u8) -> Vec<u8> {
    let (pixels, _) = samples.as_chunks::<N>();
    pixels.iter().flat_map(|p| [to_u8(p[0]), to_u8(p[1]), to_u8(p[2])]).collect()
}
