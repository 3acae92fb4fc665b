//! `ecr rm`: images deleted whole, by name.

use std::process::ExitCode;

use clap::ArgMatches;

use super::super::consent::ConsentArgs;
use super::super::images::common_args::ReadingArgs;
use super::super::{Command, Context, command_args};
use super::by_name::{self, ByName};
use super::executor::Action;
use super::references::ReferenceArgs;

/// The row of `ecr rm`.
pub(in crate::commands) const COMMAND: Command = Command { name: "rm", in_public: true, define, run };

/// The arguments of `ecr rm`.
#[derive(Debug, clap::Args)]
struct RmArgs {
    #[command(flatten)]
    references: ReferenceArgs,
    /// Delete what an index lists along with it, as far as nothing else lists it and it has no tag; the default
    #[arg(long, overrides_with = "keep_children")]
    children: bool,
    /// Leave what an index lists
    #[arg(long, overrides_with = "children")]
    keep_children: bool,
    /// Delete signatures and other images that are about a deleted one along with it; the default
    #[arg(long, overrides_with = "keep_companions")]
    companions: bool,
    /// Leave signatures and other images that are about a deleted one
    #[arg(long, overrides_with = "companions")]
    keep_companions: bool,
    #[command(flatten)]
    consent: ConsentArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

fn define() -> clap::Command {
    let command = clap::Command::new("rm").about("Delete images, with all their tags").long_about(
        "Delete images whole, with all their tags, which the plan lists. A tag is resolved once, and the image deleted by \
         its digest. An image that another index lists is refused (exit 5). Reads all manifests of indexes of the \
         repository that are not in the cache, which counts as a pull of each. Repositories are deleted by \
         `ecr delete-repository`.",
    );
    command_args::define::<RmArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, rm)
}

fn rm(context: &Context, arguments: &RmArgs) -> anyhow::Result<ExitCode> {
    let wanted = ByName {
        references: &arguments.references,
        action: Action::Delete,
        children: !arguments.keep_children,
        companions: !arguments.keep_companions,
        consent: arguments.consent,
        reading: &arguments.reading,
    };
    by_name::run(context, &wanted)
}
