//! Which token comes next: logits processors, sampling, beam search, keyed draws, stop conditions.
//!
//! Slices in, tokens out. This crate knows nothing about files, models, tokenizers or batches: a row is
//! its own tokens (prompt, then generated) and the `f32 [vocab]` scores that a model gave for the next
//! one. The semantics are those of Hugging Face transformers' `generate` (5.23), whose class names the
//! docs give, with one difference: lengths and penalties count a row's own tokens and never padding, as
//! there is none.
//!
//! The usual path: [`Parameters::check`] once; then for each step of a row [`log_probability`] of the raw
//! logits for the record, [`Decoding::process`], [`Decoding::greedy`] or [`Decoding::sample`],
//! [`Decoding::ended`]. A prompt with beams has a [`BeamSearch`] in their place.
//!
//! Nothing here depends on threads, time or a shared generator. Exponentials are spelled out in `f32`
//! without fused operations, so results are the same on every processor; only `ln` and `powf` come from
//! the C library, each rounded from `f64` to `f32`.
#![forbid(unsafe_code)]

mod beam;
mod decoding;
mod draw;
mod ending;
mod error;
mod mass;
mod maxima;
mod parameters;
mod process;
mod softmax;
mod stop;
mod warp;

pub use beam::{Advance, BeamSearch, Hypothesis};
pub use decoding::Decoding;
pub use draw::DrawKey;
pub use ending::Ending;
pub use error::Error;
pub use parameters::{Beams, EarlyStopping, Parameters, Sampling, Strategy};
pub use softmax::log_probability;
pub use stop::StopStrings;

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;
