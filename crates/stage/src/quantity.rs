//! Quantities that people type, parsed once into types.

use std::fmt;
use std::str::FromStr;

/// A number between 0 and 1, both included.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Fraction(pub f64);

/// Parses `0.1` or `10%`.
///
/// # Errors
/// A sentence when it is neither or lies outside 0 to 1.
pub fn parse_fraction(text: &str) -> Result<f64, String> {
    let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |n| (n, 100.0));
    let value =
        number.trim().parse::<f64>().map_err(|_| format!("expected a fraction such as 0.1 or 10%, found {text:?}"))?
            / scale;
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(format!("expected between 0 and 1 (0% and 100%), found {text}"))
    }
}

impl FromStr for Fraction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_fraction(text).map(Self)
    }
}

/// How many bad rows are borne: a number of rows (`20`) or a share (`1%`, `0.01`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxBad {
    /// At most so many rows.
    Rows(u64),
    /// At most this share of all rows.
    Share(f64),
}

impl MaxBad {
    /// The number of bad rows that is borne among `total`.
    #[must_use]
    pub fn rows(self, total: u64) -> u64 {
        match self {
            Self::Rows(n) => n,
            Self::Share(share) => (share * total as f64).floor() as u64,
        }
    }
}

impl FromStr for MaxBad {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<u64>() {
            Ok(n) => Ok(Self::Rows(n)),
            Err(_) => parse_fraction(text).map(Self::Share),
        }
    }
}

impl fmt::Display for MaxBad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(n) => write!(f, "{n}"),
            Self::Share(share) => write!(f, "{}%", share * 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_bad_is_rows_or_a_share() {
        assert_eq!("20".parse(), Ok(MaxBad::Rows(20)));
        assert_eq!("1%".parse::<MaxBad>().unwrap().rows(250), 2);
        assert_eq!("0.5".parse::<MaxBad>().unwrap().rows(5), 2);
        assert_eq!("0".parse::<MaxBad>().unwrap().rows(100), 0);
        assert!("-1".parse::<MaxBad>().is_err());
        assert!("150%".parse::<MaxBad>().is_err());
        assert!("some".parse::<MaxBad>().is_err());
    }
}
