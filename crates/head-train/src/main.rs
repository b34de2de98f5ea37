//! The program `head-train`; see the library for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    stage::restart_with_huge_pages();
    stage::main(head_train::run)
}
