//! The program `head-train`; see the library for what it does.

use std::process::ExitCode;

use stage::FromStart::{HugePages, NoTelemetry};

fn main() -> ExitCode {
    stage::restart_with(&[HugePages, NoTelemetry]);
    stage::main(head_train::run)
}
