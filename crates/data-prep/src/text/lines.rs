//! A file of lines: where each one is, and its bytes.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Context;
use stage::{Exit, check_stop};

use crate::text::source::Raw;

/// What some programs put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    /// No more than `u32::MAX`, which is more than is ever read.
    pub(crate) bytes: u32,
    /// Lines before it.
    pub(crate) number: u32,
}

/// A file that stays open between index and reading.
#[derive(Debug)]
pub(crate) struct Lines {
    pub(crate) file: File,
    pub(crate) places: Vec<Place>,
}

impl Lines {
    /// The bytes of one line, unless they are more than `max_bytes`.
    pub(crate) fn read(&self, row: usize, max_bytes: usize) -> std::io::Result<Raw> {
        let place = self.places[row];
        if place.bytes as usize > max_bytes {
            return Ok(Raw::TooLong(u64::from(place.bytes)));
        }
        let mut bytes = vec![0; place.bytes as usize];
        self.file.read_exact_at(&mut bytes, place.offset)?;
        Ok(Raw::Line { bytes, offset: place.offset })
    }
}

/// Calls `see` with every line and the first `max_bytes` of it, in bounded memory. The end of a
/// line is `\n` or `\r\n`; one at the end of the file begins no other line.
pub(crate) fn scan(
    mut file: &File,
    path: &Path,
    max_bytes: usize,
    mut see: impl FnMut(Place, &[u8]),
) -> anyhow::Result<()> {
    let cannot_read = || format!("cannot read {}", path.display());
    file.rewind().with_context(cannot_read)?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut line = Vec::new();
    let (mut offset, mut bytes, mut number) = (0u64, 0u64, 0u32);
    // One byte more than is wanted may be the `\r`.
    let keep = max_bytes + 1;
    loop {
        check_stop()?;
        let buffer = match reader.fill_buf() {
            Ok(buffer) => buffer,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(e).with_context(cannot_read),
        };
        let is_end = buffer.is_empty();
        let mut rest = buffer;
        if offset == 0 && bytes == 0 && rest.starts_with(BYTE_ORDER_MARK) {
            rest = &rest[BYTE_ORDER_MARK.len()..];
            offset = BYTE_ORDER_MARK.len() as u64;
        }
        while !rest.is_empty() || is_end {
            let end = rest.iter().position(|b| *b == b'\n');
            let piece = &rest[..end.unwrap_or(rest.len())];
            line.extend_from_slice(&piece[..piece.len().min(keep.saturating_sub(line.len()))]);
            bytes += piece.len() as u64;
            if end.is_some() || (is_end && bytes > 0) {
                let is_kept = line.len() as u64 == bytes;
                let content = if is_kept { line.strip_suffix(b"\r").unwrap_or(&line) } else { &line };
                let n_bytes = if is_kept { content.len() as u64 } else { bytes };
                let n_bytes = u32::try_from(n_bytes).unwrap_or(u32::MAX);
                see(Place { offset, bytes: n_bytes, number }, &content[..content.len().min(max_bytes)]);
                number = number
                    .checked_add(1)
                    .ok_or_else(|| Exit::BadData.error(format!("{}: more than 2³² lines", path.display())))?;
                offset += bytes + 1;
                bytes = 0;
                line.clear();
            }
            rest = end.map_or(&[], |end| &rest[end + 1..]);
            if is_end {
                return Ok(());
            }
        }
        let n_read = buffer.len();
        reader.consume(n_read);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn lines(content: &[u8], max_bytes: usize) -> Vec<(u64, u32, u32, Vec<u8>)> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let mut found = Vec::new();
        scan(&file, Path::new("x"), max_bytes, |place, bytes| {
            found.push((place.offset, place.bytes, place.number, bytes.to_vec()));
        })
        .unwrap();
        found
    }

    #[test]
    fn ends_of_lines_and_of_the_file() {
        let row = |offset, number, text: &str| (offset, text.len() as u32, number, text.as_bytes().to_vec());
        assert_eq!(lines(b"", 9), []);
        assert_eq!(lines(b"\n", 9), [row(0, 0, "")]);
        assert_eq!(lines(b"a\n\nbc", 9), [row(0, 0, "a"), row(2, 1, ""), row(3, 2, "bc")]);
        assert_eq!(lines(b"a\r\n\r\nb\rc\r\n", 9), [row(0, 0, "a"), row(3, 1, ""), row(5, 2, "b\rc")]);
        assert_eq!(lines(b"\xef\xbb\xbfa\nb\n", 9), [row(3, 0, "a"), row(5, 1, "b")]);
    }

    #[test]
    fn a_long_line_is_measured_and_not_kept() {
        assert_eq!(lines(b"abcdef\r\ngh\n", 3), [(0, 7, 0, b"abc".to_vec()), (8, 2, 1, b"gh".to_vec())]);
        assert_eq!(lines(b"abc\r\nabcd\n", 3), [(0, 3, 0, b"abc".to_vec()), (5, 4, 1, b"abc".to_vec())]);
        // Longer than the buffer, with an end that is its first byte.
        let long = [vec![b'x'; 1 << 20], b"\ny".to_vec()].concat();
        let found = lines(&long, 2);
        assert_eq!(found, [(0, 1 << 20, 0, b"xx".to_vec()), ((1 << 20) + 1, 1, 1, b"y".to_vec())]);
    }
}
