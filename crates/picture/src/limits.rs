//! How large a picture may be, asked of its header before a single pixel is decoded.
//!
//! A PNG of a few kilobytes can promise gigabytes; the promise is what is checked here.

use crate::Rejected;

/// The largest picture that [`decode`](crate::decode) accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Width times height. Default 178 956 970, where Pillow begins to warn of a decompression bomb.
    pub max_pixels: u64,
    /// Width and height each, in pixels. Default 65 535, the most that a JPEG can state.
    pub max_side: u32,
    /// Bytes for the decoded samples and the RGB8 copy together. Default 1 GiB. A decoder's own
    /// scratch space comes on top: a progressive JPEG holds its coefficients, up to twice as much.
    pub max_alloc_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_pixels: 178_956_970, max_side: 65_535, max_alloc_bytes: 1 << 30 }
    }
}

/// Refuses a picture without pixels, which a GIF may be: nothing can be resized from it.
pub(crate) fn check_not_empty(width: u32, height: u32) -> Result<(), Rejected> {
    if width > 0 && height > 0 {
        return Ok(());
    }
    let detail = format!("{height}×{width} (height × width), so it has no pixels");
    Err(Rejected::Corrupt { format: "picture", detail })
}

impl Limits {
    /// Refuses an encoded picture of more bytes than a decoded one may have: it is not even read.
    ///
    /// # Errors
    /// [`Rejected::TooManyBytes`].
    pub fn check_bytes(&self, bytes: u64) -> Result<(), Rejected> {
        if bytes <= self.max_alloc_bytes {
            return Ok(());
        }
        Err(Rejected::TooManyBytes { bytes, limit: self.max_alloc_bytes })
    }

    /// Refuses a picture whose header states more than is allowed; `sample_bytes` is the size of
    /// the decoder's output.
    pub(crate) fn check(&self, (width, height): (u32, u32), sample_bytes: u64) -> Result<(), Rejected> {
        let too_large = |limit: String| Err(Rejected::TooLarge { width, height, limit });
        check_not_empty(width, height)?;
        let n_pixels = u64::from(width) * u64::from(height);
        if width > self.max_side || height > self.max_side {
            return too_large(format!("{} pixels a side", self.max_side));
        }
        if n_pixels > self.max_pixels {
            return too_large(format!("{} pixels", self.max_pixels));
        }
        if sample_bytes.saturating_add(n_pixels.saturating_mul(3)) > self.max_alloc_bytes {
            return too_large(format!("{} bytes of memory", self.max_alloc_bytes));
        }
        Ok(())
    }
}
