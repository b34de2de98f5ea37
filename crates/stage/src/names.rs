//! Names as the system has them (bytes) to text that ids and messages are made of, so that no two become one.

use std::path::Path;

/// A name as text, from which the name can be told again.
///
/// Bytes that are no UTF-8 become `%` and two upper-case hexadecimal digits. A `%` that would then be read so becomes
/// `%25`: one in front of such digits of a byte above 127, with or without `25` between. All other names, `100%.png`
/// and `a%20b.png` among them, stay as they are.
#[must_use]
pub fn name_as_text(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some((before, after)) = rest.split_once('%') {
            text += before;
            text += if is_byte(after) { "%25" } else { "%" };
            rest = after;
        }
        text += rest;
        chunk.invalid().iter().for_each(|byte| text += &format!("%{byte:02X}"));
    }
    text
}

/// A whole path as text, by [`name_as_text`].
#[must_use]
pub fn path_as_text(path: &Path) -> String {
    name_as_text(path.as_os_str().as_encoded_bytes())
}

/// Whether text behind a `%` reads as a byte that is no UTF-8, or as a `%` that was written out in front of one.
fn is_byte(text: &str) -> bool {
    let digits = text.trim_start_matches("25").as_bytes();
    matches!(digits, [b'8' | b'9' | b'A'..=b'F', b'0'..=b'9' | b'A'..=b'F', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The way back, for the tests.
    fn name_of(text: &str) -> Vec<u8> {
        let mut name = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            name.extend(before.as_bytes());
            rest = match (is_byte(after), after.strip_prefix("25")) {
                (true, Some(literal)) => {
                    // What follows a `%` that was written out is text.
                    let end = literal.find('%').unwrap_or(literal.len());
                    name.push(b'%');
                    name.extend(&literal.as_bytes()[..end]);
                    &literal[end..]
                }
                (true, None) => {
                    name.push(u8::from_str_radix(&after[..2], 16).unwrap());
                    &after[2..]
                }
                (false, _) => {
                    name.push(b'%');
                    after
                }
            };
        }
        name.extend(rest.as_bytes());
        name
    }

    #[test]
    fn only_what_is_no_utf8_or_looks_so_is_written_out() {
        let names = [&b"a\xff.png"[..], b"a\xfe.png", b"a\xe2\x82.png", b"a%FF.png", b"a%25FF.png"];
        let expected = ["a%FF.png", "a%FE.png", "a%E2%82.png", "a%25FF.png", "a%2525FF.png"];
        assert_eq!(names.map(name_as_text), expected);
        for same in ["ä%.png", "100%", "a%20b.png", "a%ff.png", "%25", "%7F", "今天/x.png"] {
            assert_eq!(name_as_text(same.as_bytes()), same);
        }
    }

    #[test]
    fn every_name_can_be_told_again() {
        // All names of up to six of these bytes: those that the rule is about, and a character of two bytes.
        const BYTES: [u8; 8] = [b'%', b'2', b'5', b'F', b'8', 0xff, 0xc3, 0xa4];
        for length in 0..=6 {
            for number in 0..BYTES.len().pow(length) {
                let digit = |place| BYTES[number / BYTES.len().pow(place) % BYTES.len()];
                let name: Vec<u8> = (0..length).map(digit).collect();
                assert_eq!(name_of(&name_as_text(&name)), name, "{}", name_as_text(&name));
            }
        }
    }
}
