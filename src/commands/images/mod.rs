//! Commands about images that are in registries already: listing, looking up, choosing, measuring.
//!
//! What they have in common, and commands that change something have too: which repositories are meant
//! ([`selection`]), how a registry is called ([`connection`], [`pacing`], [`pages`]), what it has ([`describe`],
//! [`children`], [`manifest_cache`]), what went wrong with a part ([`failures`]), and how the result is printed
//! ([`output`]).

pub(super) mod age;
pub(super) mod children;
pub(super) mod common_args;
pub(super) mod connection;
pub(super) mod content;
pub(super) mod describe;
mod digest;
mod du;
pub(super) mod failures;
mod find;
mod inspect;
pub(super) mod json;
mod latest;
mod list;
pub(super) mod manifest_cache;
pub(super) mod output;
pub(super) mod pacing;
pub(super) mod pages;
pub(super) mod progress;
mod public;
mod repos;
pub(super) mod selection;
pub(super) mod version;

use std::process::ExitCode;

use clap::{ArgMatches, Args, FromArgMatches};

use super::registry::usage;
use super::{Command, Context};

/// The row of this command.
pub(super) const LIST: Command = list::COMMAND;
/// The row of this command.
pub(super) const DIGEST: Command = digest::COMMAND;
/// The row of this command.
pub(super) const LATEST: Command = latest::COMMAND;
/// The row of this command.
pub(super) const REPOS: Command = repos::COMMAND;
/// The row of this command.
pub(super) const INSPECT: Command = inspect::COMMAND;
/// The row of this command.
pub(super) const DU: Command = du::COMMAND;
/// The row of this command.
pub(super) const FIND: Command = find::COMMAND;

/// The arguments of a command as its clap struct declares them.
pub(super) fn define<A: Args>(command: clap::Command) -> clap::Command {
    let text = |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string).unwrap_or_default();
    let (about, long_about) = (text(command.get_about()), text(command.get_long_about()));
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
