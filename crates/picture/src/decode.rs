//! Bytes to RGB8 pixels: format told by content, limits first, orientation applied.
//!
//! Which samples become which colours is `colour`'s business; JPEG is read by `jpeg`.

use std::io::{Cursor, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use crate::limits::check_not_empty;
use crate::{Limits, Rejected, colour, jpeg};

/// A decoded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// `height · width · 3` bytes: R, G, B; row-major HWC.
    pub pixels: Vec<u8>,
}

/// Decodes one picture to RGB8, upright.
///
/// # Errors
/// Whatever is wrong with the bytes is a [`Rejected`]; nothing in them panics.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Rgb, Rejected> {
    decode_reusing(bytes, limits, Vec::new())
}

/// As [`decode`], in the memory of `spare` where that is possible: of new memory every page costs.
pub(crate) fn decode_reusing(bytes: &[u8], limits: &Limits, spare: Vec<u8>) -> Result<Rgb, Rejected> {
    let format = sniff(bytes)?;
    contain(format, || {
        let (mut picture, orientation) = if format == ImageFormat::Jpeg {
            jpeg::decode(bytes, limits, spare)?
        } else {
            drop(spare);
            other(bytes, format, limits)?
        };
        picture.apply_orientation(orientation);
        Ok(Rgb {
            width: picture.width(),
            height: picture.height(),
            pixels: colour::to_rgb8(picture).ok_or_else(|| float_samples(format))?,
        })
    })
}

/// Samples as they lie, and how they are to be turned, of a format that is not JPEG.
fn other(bytes: &[u8], format: ImageFormat, limits: &Limits) -> Result<(DynamicImage, Orientation), Rejected> {
    let mut decoder = open(bytes, format, limits.max_alloc_bytes)?;
    limits.check(decoder.dimensions(), decoder.total_bytes())?;
    if matches!(decoder.color_type(), ColorType::Rgb32F | ColorType::Rgba32F) {
        return Err(float_samples(format));
    }
    let orientation = orientation(&mut decoder);
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| rejected(format, &error))?;
    Ok((picture, orientation))
}

/// Width and height of the upright picture, from the header alone.
///
/// # Errors
/// As [`decode`], for what the header shows; no limits apply.
pub fn dimensions(bytes: &[u8]) -> Result<(u32, u32), Rejected> {
    let format = sniff(bytes)?;
    contain(format, || {
        let mut decoder = open(bytes, format, Limits::default().max_alloc_bytes)?;
        let (width, height) = decoder.dimensions();
        check_not_empty(width, height)?;
        Ok(match orientation(&mut decoder) {
            Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH => (height, width),
            _ => (width, height),
        })
    })
}

/// The format that the content shows, if it is one of the six.
fn sniff(bytes: &[u8]) -> Result<ImageFormat, Rejected> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    if bytes.is_empty() {
        return Err(Rejected::Empty);
    }
    match image::guess_format(bytes) {
        Ok(format @ (Jpeg | Png | WebP | Gif | Bmp | Tiff)) => Ok(format),
        // Telephones write HEIC; that it is a picture, only not one for us, is worth saying.
        _ if bytes.get(4..8) == Some(b"ftyp") => Err(Rejected::Unsupported {
            format: "ISO media file",
            detail: "HEIC, AVIF or video; convert it to JPEG or PNG".to_owned(),
        }),
        Ok(other) => {
            Err(Rejected::Unsupported { format: "picture", detail: format!("{other:?}; convert it to JPEG or PNG") })
        }
        Err(_) => Err(Rejected::NotAPicture { found: format!("\"{}\"", bytes[..bytes.len().min(16)].escape_ascii()) }),
    }
}

/// Reads the header. The side limits stay open, so that ours can name the size in their message.
fn open(bytes: &[u8], format: ImageFormat, max_alloc_bytes: u64) -> Result<impl ImageDecoder + use<'_>, Rejected> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(max_alloc_bytes);
    reader.limits(limits);
    reader.into_decoder().map_err(|error| rejected(format, &error))
}

/// Unreadable EXIF leaves a picture as it lies: the pixels are still good.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

/// Runs a decoder so that a panic inside it costs one picture and not the job.
fn contain<T>(format: ImageFormat, decoder: impl FnOnce() -> Result<T, Rejected>) -> Result<T, Rejected> {
    catch_unwind(AssertUnwindSafe(decoder))
        .unwrap_or_else(|_| Err(Rejected::Corrupt { format: name(format), detail: "the decoder panicked".to_owned() }))
}

fn float_samples(format: ImageFormat) -> Rejected {
    let detail = "float samples, which have no agreed range".to_owned();
    Rejected::Unsupported { format: name(format), detail }
}

pub(crate) fn rejected(format: ImageFormat, error: &ImageError) -> Rejected {
    let (format, detail) = (name(format), error.to_string());
    match error {
        _ if ends_early(error) => Rejected::Truncated { format, detail },
        ImageError::Unsupported(_) => Rejected::Unsupported { format, detail },
        _ => Rejected::Corrupt { format, detail },
    }
}

/// Whether the chain of causes ends in a reader that ran out of bytes.
fn ends_early(error: &ImageError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == ErrorKind::UnexpectedEof) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Gif => "GIF",
        ImageFormat::Bmp => "BMP",
        _ => "TIFF",
    }
}
