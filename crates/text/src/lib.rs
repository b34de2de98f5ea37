//! Text to token ids and back, without ever breaking a character.
//!
//! This crate wraps `tokenizers`, the library behind transformers' fast tokenizers, so that ids are
//! the same as theirs. What it adds is the way back: a token is not a piece of text. It may hold
//! half a character (byte-level BPE), and what it looks like may depend on what stands before it
//! (SentencePiece drops the first space). So text is always decoded with its neighbours and compared.
//!
//! - `tokenizer` reads a tokenizer.json, encodes and decodes;
//! - `behind` tells what one or more tokens add to the text before them;
//! - `stream` does so token by token, and gives whole characters only.
//!
//! It knows no model, no file but the tokenizer's, and nothing about when to stop.

mod behind;
mod error;
mod stream;
mod tokenizer;

pub use behind::Tail;
pub use error::{Error, Result};
pub use stream::Stream;
pub use tokenizer::Tokenizer;
