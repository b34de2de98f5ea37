//! End-to-end tests of the real programs, by theme. One binary, so that it links once.

#![allow(clippy::unwrap_used, clippy::panic)] // In a test they are how it fails.

mod bad_input;
mod classify;
mod classify_inputs;
mod classify_names;
mod cli;
mod contract;
mod export;
mod faults;
mod generate;
mod headstart;
mod hostile_pictures;
mod hub;
mod inspect_hub;
mod int8;
mod interruption;
mod memory_limit;
mod numbers;
mod odd_inputs;
mod pipeline;
mod program;
mod report;
mod report_splits;
mod special_files;
mod workspace;
