//! A cork: everything happens in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ecr::run(&std::env::args_os().collect::<Vec<_>>())
}
