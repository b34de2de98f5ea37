//! Text as it comes, token by token, in whole characters.

use crate::behind::{MAX_INCOMPLETE, REPLACEMENT};
use crate::{Result, Tokenizer};

/// Tokens in the window at which it is cut. A decoding costs as much as the window is long.
const WINDOW: usize = 32;

/// Turns ids into text while they come.
///
/// All that [`Stream::push`] gives and then [`Stream::finish`] is, joined, the text of
/// [`Tokenizer::continuation`]. The exception: where a model writes bytes that are no UTF-8 and the
/// vocabulary has byte fallback, that decoding unsays characters given before, which a stream cannot.
#[derive(Debug)]
pub struct Stream<'a> {
    tokenizer: &'a Tokenizer,
    /// The last tokens.
    window: Vec<u32>,
    /// How the window's text begins: what was given, or belongs to the prompt.
    known: String,
    /// After which tokens of the window its text ended in a whole character, ascending.
    ends: Vec<usize>,
}

impl Tokenizer {
    /// A stream of what comes behind `prompt`.
    ///
    /// # Errors
    /// [`crate::Error::Unusable`] when the tokenizer's decoder fails.
    pub fn stream(&self, prompt: &[u32]) -> Result<Stream<'_>> {
        let ends = vec![self.whole_of(prompt)?];
        Ok(Stream { tokenizer: self, window: prompt.to_vec(), known: self.decode(prompt)?, ends })
    }
}

impl Stream<'_> {
    /// Takes the next token and gives the text that it settles: whole characters, or nothing yet.
    ///
    /// # Errors
    /// [`crate::Error::Unusable`] when the tokenizer's decoder fails.
    pub fn push(&mut self, id: u32) -> Result<Option<String>> {
        self.window.push(id);
        let new = self.advance(MAX_INCOMPLETE)?;
        Ok(Some(new).filter(|new| !new.is_empty()))
    }

    /// What was held back: a character that stayed incomplete, or nothing.
    ///
    /// # Errors
    /// [`crate::Error::Unusable`] when the tokenizer's decoder fails.
    pub fn finish(mut self) -> Result<String> {
        self.advance(0)
    }

    /// The text behind what is known, but for the last `max_held` characters if they may be incomplete.
    fn advance(&mut self, max_held: usize) -> Result<String> {
        let mut text = self.tokenizer.decode(&self.window)?;
        if !text.starts_with(&self.known) {
            // The prompt ended inside a character, or byte fallback takes back characters that were
            // given, perhaps until the next one is complete. What came since stands for itself.
            self.window.drain(..self.ends.last().copied().unwrap_or(0));
            self.ends = vec![0];
            self.known.clear();
            text = self.tokenizer.decode(&self.window)?;
        }
        let n_held = text.chars().rev().take_while(|c| *c == REPLACEMENT).take(max_held).count();
        let settled = &text[..text.len() - n_held * REPLACEMENT.len_utf8()];
        let new = settled.get(self.known.len()..).unwrap_or_default().to_string();
        if !new.is_empty() {
            self.known = settled.to_string();
            if n_held == 0 {
                self.ends.push(self.window.len());
                self.cut()?;
            }
        }
        Ok(new)
    }

    /// Forgets the oldest tokens of a long window. One that had a text stays in front: what happens to
    /// the first token of a text, such as the loss of its space, must not happen to the next one.
    fn cut(&mut self) -> Result<()> {
        let Some(&start) = self.ends.iter().rev().nth(1).filter(|_| self.window.len() >= WINDOW) else { return Ok(()) };
        self.window.drain(..start);
        self.known = self.tokenizer.decode(&self.window)?;
        self.ends = vec![self.window.len()];
        Ok(())
    }
}
