//! Does a JPEG go on to its end? Segments only; no entropy decoding here.
//!
//! The decoder behind `image` is lenient: where the data stops it fills the rest with grey and
//! reports success. Pillow refuses every JPEG without an end marker, and so does this.

const SOS: u8 = 0xDA;
const EOI: u8 = 0xD9;

/// Checks that the JPEG in `bytes` reaches its end marker (EOI); the error says where it stopped.
///
/// Segments are stepped over by their length, so the EOI of a thumbnail inside EXIF does not count.
/// Whatever follows the first EOI is ignored: trailing bytes are common and harmless.
pub(crate) fn check_end(bytes: &[u8]) -> Result<(), String> {
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
    bytes.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0xFF))
}

/// Offset of the marker that ends entropy-coded data: the next one that is not a restart.
fn after_scan(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0xFF | 0xD0..=0xD7))
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn trailing_bytes_are_ignored() {
        assert_eq!(check_end(&[&WHOLE[..], b"trailing \xFF\xDA"].concat()), Ok(()));
    }
}
