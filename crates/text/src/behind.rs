//! What tokens add to the text before them.
//!
//! Always the difference of two decodings, with and without them: decoded alone, a token may lose
//! its space or be half a character.

use crate::{Result, Tokenizer};

/// What bytes that are no UTF-8 are decoded to, and so the bytes of an incomplete character.
pub(crate) const REPLACEMENT: char = '\u{fffd}';

/// Tokens that an incomplete character can have at most: a character has four bytes at most, a token one at least.
pub(crate) const MAX_INCOMPLETE: usize = 3;

/// Tokens decoded beyond what is asked for, so that the space that the cut may cost lies outside.
const SPARE_TOKENS: usize = 8;

/// The end of a text, cut in front of what its last token added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tail {
    /// Some text before the last token.
    pub before: String,
    /// What the last token added: nothing, if it is a special one. Where it completed a character,
    /// the whole character; where it began one, U+FFFD.
    pub added: String,
}

impl Tokenizer {
    /// The text that `new` adds behind `prompt`.
    ///
    /// If the prompt ends inside a character that `new` completes, the character is the first of
    /// the result.
    ///
    /// # Errors
    /// [`crate::Error::Unusable`] when the tokenizer's decoder fails.
    pub fn continuation(&self, prompt: &[u32], new: &[u32]) -> Result<String> {
        let mut all = self.decode(&[prompt, new].concat())?;
        match self.known_of(prompt, &all)? {
            Some(known) => Ok(all.split_off(known)),
            None => self.decode(new),
        }
    }

    /// What the last of `ids` added, and the text before it: `n_bytes` of it at least, if there is as much.
    ///
    /// This is what a stop string needs: it has to end within what the last token added, and begins
    /// less than its own length before that.
    ///
    /// # Errors
    /// [`crate::Error::Unusable`] when the tokenizer's decoder fails.
    pub fn tail(&self, ids: &[u32], n_bytes: usize) -> Result<Tail> {
        let Some((last, earlier)) = ids.split_last() else { return Ok(Tail::default()) };
        // Most tokens have a byte at least. Special ones have none: then more are looked at.
        let mut start = earlier.len().saturating_sub(n_bytes + SPARE_TOKENS);
        while start > 0 && self.decode(&earlier[start..])?.len() < n_bytes {
            start = start.saturating_sub(earlier.len() - start);
        }
        let mut all = self.decode(&ids[start..])?;
        // With byte fallback, a start inside a character spoils those behind it too.
        for _ in 0..MAX_INCOMPLETE {
            if start > 0 && all.starts_with(REPLACEMENT) {
                start -= 1;
                all = self.decode(&ids[start..])?;
            }
        }
        match self.known_of(&earlier[start..], &all)? {
            Some(known) => {
                let added = all.split_off(known);
                Ok(Tail { before: all, added })
            }
            None => Ok(Tail { before: self.decode(&earlier[start..])?, added: self.decode(&[*last])? }),
        }
    }

    /// How many bytes of `all` are the text of the ids that it begins with. An incomplete character at
    /// their end is not counted if what follows has completed it.
    fn known_of(&self, ids: &[u32], all: &str) -> Result<Option<usize>> {
        let text = self.decode(ids)?;
        if all.starts_with(&text) {
            return Ok(Some(text.len()));
        }
        // With byte fallback, one byte that fits nowhere turns those before it into replacements too:
        // then `all` does not begin with what was there before.
        let whole = self.decode(&ids[..self.whole_of(ids)?])?;
        Ok(all.starts_with(&whole).then_some(whole.len()))
    }

    /// The number of leading ids that end in a whole character; all of them if none such is near the end.
    pub(crate) fn whole_of(&self, ids: &[u32]) -> Result<usize> {
        for n_cut in 0..=MAX_INCOMPLETE.min(ids.len()) {
            if !self.decode(&ids[..ids.len() - n_cut])?.ends_with(REPLACEMENT) {
                return Ok(ids.len() - n_cut);
            }
        }
        Ok(ids.len())
    }
}
