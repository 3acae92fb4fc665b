//! Declaration and parsing of every command's clap struct.

use std::process::ExitCode;

use clap::builder::Resettable;
use clap::{ArgMatches, Args, FromArgMatches};

use super::Context;
use super::registry::usage;

/// Adds the arguments that a clap struct declares.
pub(super) fn define<A: Args>(command: clap::Command) -> clap::Command {
    let about = Resettable::from(command.get_about().cloned());
    let long_about = Resettable::from(command.get_long_about().cloned());
    // clap takes the struct's doc comment for these, which is for readers of the code.
    A::augment_args(command).about(about).long_about(long_about)
}

/// Reads the arguments into the clap struct and runs the command.
pub(super) fn run<A: FromArgMatches>(
    context: &Context,
    matches: &ArgMatches,
    run: impl FnOnce(&Context, &A) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let arguments = A::from_arg_matches(matches).map_err(|error| usage(error.to_string()))?;
    run(context, &arguments)
}
