//! What all stage programs share: arguments, pipeline file, logs, progress, signals, exit codes.
//!
//! A stage program is `fn main() -> ExitCode { stage::main(run) }`. This crate turns what was
//! typed, the environment and the pipeline file into jobs, calls `run` for each, and reports the
//! outcome. It knows nothing about pictures, models or heads.

mod arguments;
mod begin;
mod exit;
mod huge_pages;
mod invocation;
mod log;
mod output;
mod pipeline;
mod progress;
mod quantity;
mod report;
mod signals;

pub use arguments::Common;
pub use begin::{Started, begin};
pub use exit::{Exit, Failure};
pub use huge_pages::restart_with_huge_pages;
pub use invocation::{Job, StageArgs, main};
pub use log::say;
pub use output::{print_text, stdout_is_terminal};
pub use pipeline::STAGES;
pub use progress::Progress;
pub use quantity::{Fraction, MaxBad, parse_fraction};
pub use report::{Report, count, percent};
pub use signals::{Stopped, check_stop};
