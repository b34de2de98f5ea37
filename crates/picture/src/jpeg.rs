//! JPEG, by the decoder that `image` uses too. Through `image` a header would be read three times with all its tables, which
//! for a picture of 32 × 32 takes longer than the picture.
//!
//! It is lenient: where the data stops it fills the rest with grey and reports success. Pillow refuses every JPEG without
//! an end marker, and so does this.

use image::error::{DecodingError, ImageFormatHint, UnsupportedError, UnsupportedErrorKind};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageError, ImageFormat, RgbImage};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use crate::decode::rejected;
use crate::{Limits, Rejected};

/// Samples as they lie, and how they are to be turned. RGB goes into the memory of `spare`.
pub(crate) fn decode(bytes: &[u8], limits: &Limits, spare: Vec<u8>) -> Result<(DynamicImage, Orientation), Rejected> {
    let truncated = |detail| Rejected::Truncated { format: "JPEG", detail };
    // First, because a decoder calls a header that was cut off damaged.
    check_end(bytes).map_err(truncated)?;
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(refused)?;
    let info = decoder.info().expect("the header was read");
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    // Three components that Adobe's marker calls CMYK are RGB, and YCCK of three are YCbCr: the decoder goes by that too.
    let stored = match (info.components, decoder.input_colorspace().expect("the header was read")) {
        (3, ColorSpace::CMYK) => ColorSpace::RGB,
        (3, ColorSpace::YCCK) => ColorSpace::YCbCr,
        (_, stored) => stored,
    };
    let odd = |taken_for: ColorSpace| {
        let detail =
            format!("{} components, taken for {taken_for:?}; save it as PNG or an ordinary JPEG", info.components);
        Rejected::Unsupported { format: "JPEG", detail }
    };
    // Of any other number the decoder leaves those that it does not find black.
    if usize::from(info.components) != stored.num_components() {
        return Err(odd(stored));
    }
    let samples = if stored == ColorSpace::Luma { ColorSpace::Luma } else { ColorSpace::RGB };
    let n_bytes = u64::from(width) * u64::from(height) * samples.num_components() as u64;
    limits.check((width, height), n_bytes)?;
    // Before the data are read: between the scans of a progressive picture there may be other EXIF, which nobody goes by.
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    decoder.set_options(options.jpeg_set_out_colorspace(samples));
    let mut pixels = spare;
    pixels.clear(); // Zeros, so that nothing of the picture before can show.
    pixels.resize(n_bytes as usize, 0);
    decoder.decode_into(&mut pixels).map_err(refused)?;
    // Adobe's marker may stand between scans too.
    if let Some(taken_for) = decoder.input_colorspace().filter(|now| *now != stored) {
        return Err(odd(taken_for));
    }
    let picture = if samples == ColorSpace::Luma {
        GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    };
    Ok((picture.expect("there is a byte for each sample"), orientation.unwrap_or(Orientation::NoTransforms)))
}

/// As `image` says it of the other formats.
fn refused(error: DecodeErrors) -> Rejected {
    let format = || ImageFormatHint::Exact(ImageFormat::Jpeg);
    let error = match error {
        DecodeErrors::Unsupported(feature) => {
            let kind = UnsupportedErrorKind::GenericFeature(format!("{feature:?}"));
            ImageError::Unsupported(UnsupportedError::from_format_and_kind(format(), kind))
        }
        other => ImageError::Decoding(DecodingError::new(format(), other)),
    };
    rejected(ImageFormat::Jpeg, &error)
}

const SOS: u8 = 0xDA;
const EOI: u8 = 0xD9;

/// Checks that the JPEG in `bytes` reaches its end marker (EOI); the error says where it stopped.
///
/// Segments are stepped over by their length, so the EOI of a thumbnail inside EXIF does not count.
/// Whatever follows the first EOI is ignored: trailing bytes are common and harmless.
fn check_end(bytes: &[u8]) -> Result<(), String> {
    let end = || format!("no end marker in {} bytes", bytes.len());
    let mut at = 2; // Past SOI, which the format was told by.
    loop {
        // Outside a scan a decoder looks for the next marker too: stray bytes before it are skipped.
        at += bytes.get(at..).and_then(next_marker).ok_or_else(end)?;
        let marker = bytes[at + 1];
        at += 2;
        match marker {
            EOI => return Ok(()),
            0x01 | 0xD0..=0xD8 => {} // Markers without a length.
            _ => {
                let length = bytes.get(at..at + 2).ok_or_else(end)?;
                let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                at += length.max(2);
                if marker == SOS {
                    at += bytes.get(at..).and_then(after_scan).ok_or_else(end)?;
                }
            }
        }
    }
}

/// Offset of the next `FF xx` with `xx` neither stuffing nor fill.
fn next_marker(bytes: &[u8]) -> Option<usize> {
    pair(bytes, |second| !matches!(second, 0x00 | 0xFF))
}

/// Offset of the marker that ends entropy-coded data: the next one that is not a restart.
fn after_scan(bytes: &[u8]) -> Option<usize> {
    pair(bytes, |second| !matches!(second, 0x00 | 0xFF | 0xD0..=0xD7))
}

/// Offset of the first `FF` with such a byte behind it.
fn pair(bytes: &[u8], is_wanted: impl Fn(u8) -> bool) -> Option<usize> {
    memchr::memchr_iter(0xFF, bytes).find(|at| bytes.get(at + 1).is_some_and(|second| is_wanted(*second)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// SOI, one APP1 that holds `FF D9` itself, a scan with stuffing and a restart, EOI.
    const WHOLE: [u8; 24] = [
        0xFF, 0xD8, 0xFF, 0xE1, 0, 6, 0xFF, 0xD9, 1, 2, 0xFF, 0xDA, 0, 2, 7, 0xFF, 0, 8, 0xFF, 0xD0, 9, 0xFF, 0xFF,
        0xD9,
    ];

    #[test]
    fn the_end_counts_only_outside_segments() {
        assert_eq!(check_end(&WHOLE), Ok(()));
        for cut in 2..WHOLE.len() {
            assert!(check_end(&WHOLE[..cut]).is_err(), "cut at {cut} passed");
        }
    }

    fn encoded(picture: &DynamicImage) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Jpeg).expect("it can be encoded");
        bytes.into_inner()
    }

    fn refusal(bytes: &[u8]) -> String {
        decode(bytes, &Limits::default(), Vec::new()).expect_err("its colours are not known").to_string()
    }

    /// Adobe's marker, with its word for how three or four components are to be taken.
    fn marked(transform: u8) -> Vec<u8> {
        let colour = RgbImage::from_pixel(8, 8, image::Rgb([200, 50, 100]));
        let mut bytes = encoded(&colour.into());
        bytes.splice(2..2, *b"\xFF\xEE\0\x0EAdobe\0d\0\0\0\0\0");
        bytes[17] = transform;
        bytes
    }

    #[test]
    fn three_components_are_rgb_or_ycbcr_as_adobe_says() {
        let (y, cb, cr) = (101, 128, 199); // Of that colour, by JFIF's formula.
        for (transform, expected) in [(0, [y, cb, cr]), (1, [200, 50, 100]), (2, [200, 50, 100])] {
            let (picture, _) = decode(&marked(transform), &Limits::default(), Vec::new()).expect("it is a picture");
            let found = picture.to_rgb8().get_pixel(4, 4).0;
            let is_near = expected.iter().zip(found).all(|(e, f): (&i32, u8)| (e - i32::from(f)).abs() <= 4);
            assert!(is_near, "transform {transform}: expected {expected:?}, found {found:?}");
        }
    }

    /// The decoder makes it black.
    #[test]
    fn two_components_are_no_colours() {
        let mut bytes = encoded(&GrayImage::new(8, 8).into());
        assert!(decode(&bytes, &Limits::default(), Vec::new()).is_ok());
        let find = |bytes: &[u8], marker| bytes.windows(2).position(|p| p == [0xFF, marker]).expect("it is there");
        // Lengths are followed by precision, height and width, and then by the number of components; the last one again.
        let sof = find(&bytes, 0xC0);
        bytes.splice(sof + 13..sof + 13, [2, 0x11, 0]);
        (bytes[sof + 3], bytes[sof + 9]) = (14, 2);
        let sos = find(&bytes, SOS);
        bytes.splice(sos + 7..sos + 7, [2, 0]);
        (bytes[sos + 3], bytes[sos + 4]) = (10, 2);
        assert!(refusal(&bytes).contains("2 components, taken for YCbCr"), "{}", refusal(&bytes));
    }

    proptest! {
        #[test]
        fn a_marker_is_found_where_looking_at_all_pairs_finds_it(
            bytes in prop::collection::vec(prop::sample::select(vec![0xFF, 0x00, 0xD0, 0xD7, 0xD8, EOI, 7]), 0..40),
        ) {
            let marker = |second: u8| !matches!(second, 0x00 | 0xFF);
            prop_assert_eq!(next_marker(&bytes), bytes.windows(2).position(|pair| pair[0] == 0xFF && marker(pair[1])));
            let ends = |second: u8| marker(second) && !(0xD0..=0xD7).contains(&second);
            prop_assert_eq!(after_scan(&bytes), bytes.windows(2).position(|pair| pair[0] == 0xFF && ends(pair[1])));
        }
    }

    #[test]
    fn trailing_bytes_are_ignored() {
        assert_eq!(check_end(&[&WHOLE[..], b"trailing \xFF\xDA"].concat()), Ok(()));
    }
}
