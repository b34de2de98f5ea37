//! The program `classify`; see the library for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    stage::main(classify::run)
}
