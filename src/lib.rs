//! `ecr`: everything with Amazon ECR in one binary.

pub mod args;
pub mod auth;
pub mod image;
pub mod local;
pub mod model;
pub mod service;
pub mod settings;
pub mod store;
pub mod transfer;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program with these arguments (the program's own name first) and answers its exit code.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let _ = arguments;
    ExitCode::SUCCESS
}
