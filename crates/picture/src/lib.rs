//! Encoded pictures (bytes) to RGB8 of a wanted size.
//!
//! This crate owns what a file's bytes mean as pixels and how they shrink to the stored size. It
//! deliberately knows no folders, no Parquet and no threads, so that every stage that reads pictures
//! (`data-prep`, `classify`) sees the same pixels.
//!
//! The format is told from the content, never from a file name: JPEG, PNG, WebP, GIF, BMP, TIFF.
//!
//! # How colours become RGB8
//!
//! The rules are those of Pillow's `Image.convert("RGB")`, because that is what torchvision's
//! `ImageFolder` and Hugging Face's processors do, and a feature should not depend on who decoded.
//!
//! | in the file | here | Pillow 13 |
//! |---|---|---|
//! | RGB 8 | as it is | same (JPEG: see below) |
//! | grey 8, grey 1/2/4 | widened to 8 bits, repeated in R, G, B | same |
//! | RGB 16 | high byte (`v >> 8`) | same |
//! | grey 16 | high byte (`v >> 8`) | clips at 255: nearly all white, useless |
//! | palette (PNG, GIF, BMP) | the palette's colours | same |
//! | alpha, transparent palette entry | dropped, the colour beneath is kept | same |
//! | CMYK, YCCK (JPEG, taken as Adobe's inverted) | `(255-C)(255-K)/255` and so on | same |
//! | CMYK (TIFF) | `(255-C)(255-K)/255` and so on | same within one level |
//! | animation (GIF, WebP) | the first frame on its canvas, black where it does not reach | GIF: first palette entry there |
//! | float samples, palette TIFF, YCbCr TIFF, 12-bit or arithmetic JPEG, JPEG whose components are no colours we know | rejected, `unsupported` | partly read |
//! | ICC profile, gamma | ignored | same |
//! | EXIF/TIFF orientation 1–8 | applied | only by `ImageOps.exif_transpose` |
//!
//! Alpha is dropped and not blended over white: blending is arguably prettier, but it is not what
//! the networks' training pipelines did, and those decide what a frozen backbone expects.
//! JPEG leaves rounding open: pixels differ from libjpeg-turbo's by a few levels.

mod colour;
mod decode;
mod file;
mod jpeg;
mod limits;
mod rejected;
mod resize;
mod sizing;

pub use decode::{Rgb, decode, dimensions};
pub use file::{ReadError, is_extension, read_file, read_known_file};
pub use limits::Limits;
pub use rejected::Rejected;
pub use resize::{Filter, Fit, Resize, Scaler};
pub use sizing::Sizing;
