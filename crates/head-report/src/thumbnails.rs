//! Pictures on the page: the most confidently wrong ones, and pairs that are in training and test alike. They are
//! PNGs in data URIs, so the page stays one file.

use std::fmt::Write;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::imageops;
use image::{ExtendedColorType, ImageEncoder, RgbImage};

use crate::markup::{count, percent, text};

/// Longest side of an embedded picture, in pixels: twice as sharp as it is shown.
const MAX_SIDE: u32 = 160;
/// Pictures up to this size are shown as crisp pixels and not smoothed.
const CRISP_SIDE: u32 = 64;

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// RGB, row-major: `width · height · 3` bytes.
    pub rgb: Vec<u8>,
}

/// A picture taken for another class.
#[derive(Debug, Clone, PartialEq)]
pub struct Mistake {
    /// The picture.
    pub picture: Thumbnail,
    /// Its key.
    pub id: String,
    /// Index of its true class.
    pub label: usize,
    /// Index of the predicted class.
    pub predicted: usize,
    /// What the head gave the predicted class.
    pub probability: f64,
}

/// The most confident mistakes.
#[derive(Debug, Clone, PartialEq)]
pub struct Mistakes {
    /// The split they are of.
    pub split: &'static str,
    /// The most confident first.
    pub shown: Vec<Mistake>,
    /// Rows that are wrong altogether.
    pub n_wrong: usize,
}

/// A training and a test picture that are nearly the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Duplicate {
    /// The training picture.
    pub train: Thumbnail,
    /// The test picture.
    pub test: Thumbnail,
    /// Keys of both.
    pub ids: (String, String),
    /// Indices of their classes.
    pub labels: (usize, usize),
    /// Root mean square difference of their pixels, in grey levels of 255.
    pub difference: f64,
    /// Cosine of their features.
    pub similarity: f64,
}

/// Pairs across train and test.
#[derive(Debug, Clone, PartialEq)]
pub struct Duplicates {
    /// The nearest first.
    pub shown: Vec<Duplicate>,
    /// How many there are.
    pub n_pairs: usize,
    /// How they were looked for, in one sentence or two.
    pub rule: String,
}

impl Mistakes {
    pub(crate) fn draw(&self, classes: &[String]) -> String {
        if self.shown.is_empty() {
            return format!(r#"<p class="none">No {} picture was taken for another class.</p>"#, self.split);
        }
        let mut items = String::new();
        for mistake in &self.shown {
            let (label, predicted) = (name(classes, mistake.label), name(classes, mistake.predicted));
            let _ = write!(
                items,
                r#"<li>{}<div><span class="bad">{}</span> <bdi title="{3}">{3}</bdi></div><div>is <bdi title="{2}">{2}</bdi></div><div class="id"><bdi title="{4}">{4}</bdi></div></li>"#,
                img(&mistake.picture, &format!("{label}, taken for {predicted}")),
                percent(mistake.probability),
                text(label),
                text(predicted),
                text(&mistake.id)
            );
        }
        format!(
            r#"<ul class="thumbs">{items}</ul><p class="note">{} of {} {} pictures that are wrong. The probability is that of the predicted class, after the temperature.</p>"#,
            count(self.shown.len()),
            count(self.n_wrong),
            self.split
        )
    }
}

impl Duplicates {
    pub(crate) fn draw(&self, classes: &[String]) -> String {
        let rule = format!(r#"<p class="note">{}</p>"#, text(&self.rule));
        if self.n_pairs == 0 {
            return format!(r#"<p class="none">None was found.</p>{rule}"#);
        }
        let mut items = String::new();
        for pair in &self.shown {
            let (train, test) = (name(classes, pair.labels.0), name(classes, pair.labels.1));
            let differ = if pair.labels.0 == pair.labels.1 { "" } else { r#" <span class="bad">labels differ</span>"# };
            let distance = if pair.difference == 0.0 {
                "identical".to_string()
            } else {
                format!("differ by {:.1} of 255", pair.difference)
            };
            let side = |picture: &Thumbnail, split: &str, class: &str, id: &str| {
                format!(
                    r#"<div>{}{split}: <bdi title="{1}">{1}</bdi><div class="id"><bdi title="{2}">{2}</bdi></div></div>"#,
                    img(picture, &format!("{split} picture, {class}")),
                    text(class),
                    text(id)
                )
            };
            let _ = write!(
                items,
                r#"<li><div class="two">{}{}</div>{distance}, cosine {:.4}{differ}</li>"#,
                side(&pair.train, "train", train, &pair.ids.0),
                side(&pair.test, "test", test, &pair.ids.1),
                pair.similarity
            );
        }
        format!(
            r#"<p>{} of {} pairs, the nearest first.</p><ul class="thumbs twins">{items}</ul>{rule}"#,
            count(self.shown.len()),
            count(self.n_pairs)
        )
    }
}

fn name(classes: &[String], class: usize) -> &str {
    classes.get(class).map_or("?", String::as_str)
}

/// An `<img>` whose picture is within the page.
fn img(picture: &Thumbnail, alt: &str) -> String {
    let bytes = png(picture);
    if bytes.is_empty() {
        return r#"<div class="id">no picture</div>"#.into();
    }
    let crisp = picture.width.max(picture.height) <= CRISP_SIDE;
    format!(
        r#"<img{} width="{}" height="{}" src="data:image/png;base64,{}" alt="{}">"#,
        if crisp { r#" class="pixels""# } else { "" },
        picture.width,
        picture.height,
        base64(&bytes),
        text(alt)
    )
}

/// The picture as a PNG, made smaller where it is larger than needed. Nothing for one without pixels, or with too few.
fn png(picture: &Thumbnail) -> Vec<u8> {
    // Bytes beyond the last row would be an error to some that take them.
    let n_bytes = (picture.width as usize).saturating_mul(picture.height as usize).saturating_mul(3);
    let pixels = picture.rgb.get(..n_bytes).unwrap_or_default().to_vec();
    let Some(mut pixels) = RgbImage::from_raw(picture.width, picture.height, pixels).filter(|_| n_bytes > 0) else {
        return Vec::new();
    };
    let longest = picture.width.max(picture.height);
    if longest > MAX_SIDE {
        let scaled = |side: u32| (side * MAX_SIDE / longest).max(1);
        pixels =
            imageops::resize(&pixels, scaled(picture.width), scaled(picture.height), imageops::FilterType::Triangle);
    }
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::Adaptive);
    match encoder.write_image(pixels.as_raw(), pixels.width(), pixels.height(), ExtendedColorType::Rgb8) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

/// Base64 with padding (RFC 4648 §4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for nth in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * nth)) as usize & 63];
            out.push(if nth <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_equals_the_vectors_of_rfc_4648() {
        let expected = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (n, expected) in expected.into_iter().enumerate() {
            assert_eq!(base64(&b"foobar"[..n]), expected);
        }
        assert_eq!(base64(&[0xff, 0xef, 0xbe]), "/+++");
    }

    #[test]
    fn a_png_holds_the_pixels_and_large_pictures_are_made_smaller() {
        let picture = Thumbnail { width: 3, height: 2, rgb: (0..18).collect() };
        let decoded = image::load_from_memory(&png(&picture)).unwrap().to_rgb8();
        assert_eq!((decoded.dimensions(), decoded.into_raw()), ((3, 2), picture.rgb));
        let large = Thumbnail { width: 640, height: 320, rgb: vec![7; 640 * 320 * 3] };
        let decoded = image::load_from_memory(&png(&large)).unwrap();
        assert_eq!((decoded.width(), decoded.height()), (160, 80));
    }

    #[test]
    fn a_picture_with_too_few_bytes_is_none_and_one_with_too_many_is_shown() {
        for rgb in [Vec::new(), vec![7; 5]] {
            let none = img(&Thumbnail { width: 2, height: 1, rgb }, "a");
            assert!(!none.contains("<img") && none.contains("no picture"), "{none}");
        }
        assert!(img(&Thumbnail { width: 0, height: 3, rgb: vec![7; 5] }, "a").contains("no picture"));
        assert!(img(&Thumbnail { width: 2, height: 1, rgb: vec![7; 8] }, "a").contains("base64,iVBOR"));
    }
}
