//! `ecr archive`: images put into the archive storage class.

use std::process::ExitCode;

use clap::ArgMatches;

use super::super::consent::ConsentArgs;
use super::super::images::common_args::ReadingArgs;
use super::super::{Command, Context, command_args};
use super::by_name::{self, ByName};
use super::executor::Action;
use super::references::ReferenceArgs;

/// The row of `ecr archive`.
pub(in crate::commands) const COMMAND: Command = Command { name: "archive", in_public: false, define, run };

/// The arguments of `ecr archive`.
#[derive(Debug, clap::Args)]
struct ArchiveArgs {
    #[command(flatten)]
    references: ReferenceArgs,
    #[command(flatten)]
    consent: ConsentArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

fn define() -> clap::Command {
    let command = clap::Command::new("archive").about("Put images into the archive, where they cannot be pulled").long_about(
        "Put images into the archive storage class, where they stay with their tags and cannot be pulled: an index, then \
         what it lists as far as nothing else needs it, and what is about them. They stay, and are paid for, for 90 days at \
         least; `ecr restore` brings them back. Reads all manifests of indexes of the repository that are not in the cache, \
         which counts as a pull of each.",
    );
    command_args::define::<ArchiveArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, archive)
}

fn archive(context: &Context, arguments: &ArchiveArgs) -> anyhow::Result<ExitCode> {
    let wanted = ByName {
        references: &arguments.references,
        action: Action::Archive,
        children: true,
        companions: true,
        consent: arguments.consent,
        reading: &arguments.reading,
    };
    by_name::run(context, &wanted)
}
