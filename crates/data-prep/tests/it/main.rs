//! `data-prep` run as a program on small sources made in code; what it writes is read back.

#![allow(clippy::unwrap_used, reason = "a test ends where anything fails")]

mod faults;
mod leaks;
mod program;
mod resume;
mod sources;
mod text;
