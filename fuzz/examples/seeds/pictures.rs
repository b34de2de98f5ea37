//! Pictures of all kinds, 8×6 pixels and smaller.

use std::io::Cursor;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ImageEncoder, ImageFormat, Rgb, RgbImage};

use crate::{fixture, write_with};

/// 8×6 pixels of all kinds.
fn picture() -> RgbImage {
    RgbImage::from_fn(8, 6, |x, y| Rgb([(x * 31) as u8, (y * 40) as u8, (x * y * 5) as u8]))
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("a picture can be encoded");
    bytes.into_inner()
}

pub(crate) fn pictures() {
    let rgb = DynamicImage::from(picture());
    let formats = [
        ("png", ImageFormat::Png),
        ("jpeg", ImageFormat::Jpeg),
        ("gif", ImageFormat::Gif),
        ("webp", ImageFormat::WebP),
        ("bmp", ImageFormat::Bmp),
        ("tiff", ImageFormat::Tiff),
    ];
    for (i, (name, format)) in formats.into_iter().enumerate() {
        write_with("picture", name, i as u8 * 5, &encoded(&rgb, format));
    }
    let kinds = [
        ("grey", DynamicImage::from(rgb.to_luma8())),
        ("grey16", DynamicImage::from(rgb.to_luma16())),
        ("alpha", DynamicImage::from(rgb.to_rgba8())),
        ("rgb16", DynamicImage::from(rgb.to_rgb16())),
    ];
    for (name, kind) in kinds {
        write_with("picture", &format!("{name}.png"), 1, &encoded(&kind, ImageFormat::Png));
        write_with("picture", &format!("{name}.tiff"), 2, &encoded(&kind, ImageFormat::Tiff));
    }
    // What the encoders here do not write: progressive and CMYK JPEG, EXIF, palettes, LZW, lossy and animated WebP.
    let fixtures = [
        "progressive_444.jpg",
        "cmyk.jpg",
        "exif_6.jpg",
        "restarts.jpg",
        "palette.gif",
        "animated.gif",
        "interlaced.png",
        "lossy.webp",
        "animated.webp",
        "alpha.webp",
        "alpha.bmp",
        "lzw.tif",
        "deflate.tif",
        "cmyk.tif",
    ];
    for (i, name) in fixtures.into_iter().enumerate() {
        write_with(
            "picture",
            name,
            0x20 | (i as u8 * 3) & 0x1f,
            &fixture(&format!("crates/picture/tests/fixtures/{name}")),
        );
    }
}

pub(crate) fn small_png() -> Vec<u8> {
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::NoFilter)
        .write_image(&[200; 5 * 4 * 3], 5, 4, image::ExtendedColorType::Rgb8)
        .expect("a picture can be encoded");
    bytes
}
