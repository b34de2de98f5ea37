//! Stop strings, compared byte by byte. Turning tokens into bytes is the caller's.

use crate::{Error, Result};

/// Strings at which a sequence is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopStrings(Vec<String>);

impl StopStrings {
    /// # Errors
    /// [`Error::Empty`] for an empty string, which would stop every sequence at once.
    pub fn new(strings: Vec<String>) -> Result<Self> {
        match strings.iter().position(String::is_empty) {
            Some(position) => Err(Error::Empty { what: "stop string", position, unit: "byte" }),
            None => Ok(Self(strings)),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes before the last token can matter: one less than the longest string has.
    pub fn reach(&self) -> usize {
        self.0.iter().map(String::len).max().unwrap_or(1) - 1
    }

    /// The first string of the list that occurs in the text and touches the bytes of its last token: it may begin
    /// in the text `before`, prompt included, and the token may run past its end (StopStringCriteria). `before`
    /// need not be longer than [`Self::reach`]; a longer one's end is used.
    pub fn matched(&self, before: &[u8], last: &[u8]) -> Option<&str> {
        let near = &before[before.len().saturating_sub(self.reach())..];
        let text = [near, last].concat();
        let touches = |string: &&String| {
            // From where a whole string no longer fits into what comes before.
            let start = near.len().saturating_sub(string.len() - 1);
            text[start..].windows(string.len()).any(|window| window == string.as_bytes())
        };
        self.0.iter().find(touches).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(stops: &[&str], before: &str, last: &str) -> Option<String> {
        let stops = StopStrings::new(stops.iter().map(ToString::to_string).collect()).unwrap();
        stops.matched(before.as_bytes(), last.as_bytes()).map(str::to_string)
    }

    #[test]
    fn the_examples_of_transformers() {
        // From the documentation of StopStringCriteria.
        for (before, last) in
            [("st", "op"), ("", "stop"), ("st", "opera"), ("sto", "pper"), ("las", "topper"), ("sto", "pped")]
        {
            assert_eq!(matched(&["stop"], before, last), Some("stop".into()), "{before}|{last}");
        }
        for (before, last) in [("stop", "at"), ("stop", ""), ("stopera", "tion"), ("s", "to")] {
            assert_eq!(matched(&["stop"], before, last), None, "{before}|{last}");
        }
    }

    #[test]
    fn a_short_string_wholly_before_the_last_token_is_passed_over() {
        assert_eq!(matched(&["a longer string", "ab"], "ab", "c"), None);
        assert_eq!(matched(&["a longer string", "ab"], "ab", "cab"), Some("ab".into()));
    }

    #[test]
    fn the_first_of_the_list_is_named() {
        assert_eq!(matched(&["b", "ab"], "a", "b"), Some("b".into()));
        assert_eq!(matched(&["ab", "b"], "a", "b"), Some("ab".into()));
        assert_eq!(matched(&["xyz", "b"], "a", "b"), Some("b".into()));
        assert_eq!(matched(&[], "a", "b"), None);
        assert!(StopStrings::new(vec!["a".into(), String::new()]).is_err());
        assert_eq!(StopStrings::new(vec![]).unwrap().reach(), 0);
    }
}
