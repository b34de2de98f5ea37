//! Pictures: any bytes are decoded within the limits and brought to size, or rejected.
//!
//! The first byte picks the wanted size, the rest is the file. Under `cfg(fuzzing)` the PNG decoder passes over wrong
//! checksums by itself, so mutated files get past them.

use picture::{Filter, Fit, Limits, Resize, Scaler, Sizing, decode, dimensions};

/// Small, so that a picture within them costs little.
const LIMITS: Limits = Limits { max_pixels: 1 << 18, max_side: 2048, max_alloc_bytes: 8 << 20 };

/// The size that the first byte stands for.
#[must_use]
pub fn sizing(which: u8) -> Sizing {
    if which & 0x80 != 0 {
        return Sizing::AsTheyAre { height: 8, width: u32::from(which & 0x7f) };
    }
    let (height, width) = [(4, 4), (7, 3), (16, 16), (1, 1)][usize::from(which & 3)];
    let filter = [Filter::Box, Filter::Bilinear, Filter::Bicubic, Filter::Lanczos][usize::from(which >> 2 & 3)];
    let fit = if which & 0x10 == 0 { Fit::Squash } else { Fit::ShortestEdgeCrop };
    Sizing::Resized(Resize { height, width, fit, filter, enlarge: which & 0x20 != 0 })
}

/// Header, pixels, size: what they say of one picture has to agree.
pub fn target(data: &[u8]) {
    let Some((which, file)) = data.split_first() else { return };
    let sizing = sizing(*which);
    let header = dimensions(file);
    let decoded = decode(file, &LIMITS);
    if let Ok(picture) = &decoded {
        assert_eq!(header, Ok((picture.width, picture.height)), "header and picture have one size");
        assert_eq!(picture.pixels.len() as u64, u64::from(picture.width) * u64::from(picture.height) * 3);
        assert!(u64::from(picture.width) * u64::from(picture.height) <= LIMITS.max_pixels);
        assert!(picture.width.max(picture.height) <= LIMITS.max_side);
    }
    let (mut pixels, mut again) = (vec![0; sizing.n_bytes()], vec![1; sizing.n_bytes()]);
    let mut scaler = Scaler::default();
    let sized = sizing.pixels(file, &LIMITS, &mut scaler, &mut pixels);
    // In memory that held another picture.
    assert_eq!(sizing.pixels(file, &LIMITS, &mut scaler, &mut again), sized);
    match sized {
        Ok(()) => {
            assert!(decoded.is_ok());
            assert_eq!(pixels, again);
        }
        Err(rejected) => assert!(!rejected.reason().is_empty() && !rejected.to_string().is_empty()),
    }
}
