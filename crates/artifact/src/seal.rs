//! JSON that carries its own digest, so that a flipped bit in it does not pass for another value.
//!
//! The last key, `blake3`, is the digest of the whole text with the value of that key empty.

use serde::Serialize;

use crate::{Digest, Error, Result};

/// What a text says about itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    /// Its bytes are those that were sealed.
    Intact,
    /// They are not.
    Broken { expected: String, found: String },
    /// There is no digest at its end: it was cut, or never sealed.
    Absent,
}

/// `value`, which must be a JSON object with at least one key, as sealed JSON: over several lines, or in one.
pub(crate) fn seal<T: Serialize>(value: &T, pretty: bool) -> Result<String> {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    let text = text.map_err(|e| Error::Bug(e.to_string()))?;
    let body = text.strip_suffix('}').map(str::trim_end);
    let body = body.ok_or_else(|| Error::Bug("only a JSON object can be sealed".to_string()))?;
    let (front, back) = if pretty { (",\n  \"blake3\": \"", "\"\n}\n") } else { (",\"blake3\":\"", "\"}") };
    let digest = Digest::of(format!("{body}{front}{back}").as_bytes());
    Ok(format!("{body}{front}{digest}{back}"))
}

/// Compares a text with the digest at its end.
pub(crate) fn check(text: &[u8]) -> Seal {
    const KEY: &[u8] = b"\"blake3\":";
    const HEX: usize = 64;
    let Some(key) = text.windows(KEY.len()).rposition(|window| window == KEY) else { return Seal::Absent };
    let after = key + KEY.len();
    let start = after + text[after..].iter().take_while(|byte| **byte == b' ').count() + 1;
    let (Some(hex), Some(rest)) = (text.get(start..start + HEX), text.get(start + HEX..)) else { return Seal::Absent };
    let mut whole = text[..start].to_vec();
    whole.extend_from_slice(rest);
    let (expected, found) = (String::from_utf8_lossy(hex).into_owned(), Digest::of(&whole).to_string());
    if expected == found { Seal::Intact } else { Seal::Broken { expected, found } }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_sealed_is_json_and_intact() {
        for value in [json!({ "a": 1.5, "parts": [{ "blake3": "x" }] }), json!({ "z": { "blake3": "}" } })] {
            for pretty in [true, false] {
                let text = seal(&value, pretty).unwrap();
                assert_eq!(check(text.as_bytes()), Seal::Intact);
                let mut read: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(read.as_object_mut().unwrap().remove("blake3").unwrap().as_str().unwrap().len(), 64);
                assert_eq!(read, value);
            }
        }
    }

    #[test]
    fn no_flipped_bit_and_no_cut_stays_intact() {
        let text = seal(&json!({ "rows": 100, "parts": [{ "blake3": "0" }] }), true).unwrap().into_bytes();
        for bit in 0..text.len() * 8 {
            let mut damaged = text.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(check(&damaged), Seal::Intact, "bit {bit}");
        }
        for length in 0..text.len() {
            assert_ne!(check(&text[..length]), Seal::Intact, "{length} bytes");
        }
        assert_eq!(check(b"{}"), Seal::Absent);
        assert_eq!(check(b"\"blake3\":"), Seal::Absent);
    }
}
