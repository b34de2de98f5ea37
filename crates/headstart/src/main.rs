//! The program `headstart`; see the library for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    stage::program(headstart::run)
}
