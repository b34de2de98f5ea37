//! The program `classify`; see the library for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    stage::restart_with(&[stage::FromStart::NoTelemetry]);
    stage::main(classify::run)
}
