//! `ecr`: everything with Amazon ECR in one binary.

pub mod args;
pub mod auth;
pub mod cli;
pub mod commands;
pub mod error;
pub mod image;
pub mod local;
pub mod model;
pub mod output;
pub mod service;
pub mod settings;
pub mod store;

pub mod transfer;
pub mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program with these arguments (the program's own name first) and answers its exit code.
pub fn run(arguments: &[OsString]) -> ExitCode {
    // A credential helper is called for every image: its way goes past everything else.
    commands::by_another_name(arguments).unwrap_or_else(|| cli::run(arguments))
}
