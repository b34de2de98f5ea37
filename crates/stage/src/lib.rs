//! What all stage programs share: arguments, pipeline file, logs, progress, signals, exit codes.
//!
//! A stage program is `fn main() -> ExitCode { stage::main(run) }`. This crate turns what was
//! typed, the environment and the pipeline file into jobs, calls `run` for each, and reports the
//! outcome. It knows nothing about pictures, models or heads.

mod arguments;
mod begin;
mod exit;
mod fetch;
mod input_files;
mod invocation;
mod location;
mod log;
mod names;
mod outlook;
mod output;
mod pipeline;
mod printable;
mod program;
mod progress;
mod quantity;
mod report;
mod restart;
mod signals;

pub use arguments::Common;
pub use begin::{Started, begin};
pub use exit::{Exit, Failure};
pub use fetch::{Local, fetch, find_in_cache};
pub use input_files::{Content, Found, content, refuse_special_file, special_file, walk};
pub use invocation::{Job, StageArgs, main};
pub use location::{location_parser, parse_location};
pub use log::say;
pub use names::{name_as_text, path_as_text};
pub use outlook::{Outlook, Previewed, State, preview};
pub use output::{print_text, stdout_is_terminal};
pub use pipeline::STAGES;
pub use printable::printable;
pub use program::program;
pub use progress::Progress;
pub use quantity::{Fraction, MaxBad, parse_fraction};
pub use report::{Report, count, percent};
pub use restart::{FromStart, restart_with};
pub use signals::{Stopped, check_stop, wait_for};
