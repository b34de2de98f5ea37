//! The program `data-prep`; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    stage::main(data_prep::run)
}
