//! What transformers 5.23 decides, value by value, and what draws and shares must hold for any input.
//!
//! Expected values are in `transformers.json`, made by `tests/peers/expected_processors.py` in the
//! repository's root; its `provenance` names the versions.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where anything fails")]

mod beams;
mod draws;
mod expected;
mod invariants;
mod processors;
mod stop_strings;
mod warpers;
