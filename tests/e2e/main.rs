//! End-to-end tests of the real programs, by theme. One binary, so that it links once.

mod bad_input;
mod cli;
mod contract;
mod interruption;
mod numbers;
mod pipeline;
mod program;
mod workspace;
