//! Where a path or a place on a hub is typed, a path may be any name that the system has.

use std::ffi::{OsStr, OsString};

use clap::builder::{OsStringValueParser, TypedValueParser};
use hub::{Location, ParseError};

/// Reads what was typed as a path, or as a place on a hub. What is no UTF-8 is a path.
///
/// # Errors
/// Those of [`Location`] where it is UTF-8.
pub fn parse_location(typed: &OsStr) -> Result<Location, ParseError> {
    match typed.to_str() {
        Some(text) => text.parse(),
        None => Ok(Location::Path(typed.into())),
    }
}

/// [`parse_location`] as clap wants it.
#[must_use]
pub fn location_parser() -> impl TypedValueParser<Value = Location> {
    OsStringValueParser::new().try_map(|typed: OsString| parse_location(&typed))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn any_name_is_a_path_and_a_place_on_a_hub_is_one() {
        let name = OsStr::from_bytes(b"a\xff.png");
        assert_eq!(parse_location(name), Ok(Location::Path(name.into())));
        assert!(parse_location("hf://o/n/x".as_ref()).unwrap().is_on_hub());
        assert!(parse_location("hf://o".as_ref()).is_err());
    }
}
