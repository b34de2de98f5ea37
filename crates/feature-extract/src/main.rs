//! The program `feature-extract`; see the library for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    stage::restart_with(&[stage::FromStart::NoTelemetry]);
    stage::main(feature_extract::run)
}
