//! `ecr copy`: images from any place to any other.

use std::process::ExitCode;

use clap::{ArgMatches, ValueHint};

use super::create::CreateArgs;
use super::location::{BareName, Location, Side};
use super::transfer_args::{SideArgs, TransferArgs};
use super::transfer_command::TransferCommand;
use super::{Command, Context, command_args};
use crate::store::scheme;

/// The row of `ecr copy`.
pub(super) const COMMAND: Command = Command { name: "copy", in_public: false, define, run };

/// The arguments of `ecr copy`.
#[derive(Debug, clap::Args)]
struct CopyArgs {
    #[arg(value_names = ["SOURCE", "DESTINATION"], value_hint = ValueHint::AnyPath, required = true, num_args = 2.., help = places())]
    places: Vec<String>,
    #[command(flatten)]
    transfer: TransferArgs,
    #[command(flatten)]
    create: CreateArgs,
    #[command(flatten)]
    sides: SideArgs,
}

fn places() -> String {
    format!(
        "The images to copy, and behind them the one place to copy them to: REPOSITORY[:TAG|@DIGEST]; a path, such as \
         ./folder or ./image.tar; - for an archive in a pipe; {}",
        scheme::help()
    )
}

fn define() -> clap::Command {
    command_args::define::<CopyArgs>(
        clap::Command::new("copy")
            .about("Copy images between repositories, other registries, layouts, archives and docker's engine")
            .long_about(
                "Copy images between repositories of Amazon ECR, other registries, OCI layouts and archives, \
                 whole and with their digests kept. A repository of Amazon ECR is reached through its own API, \
                 another host over /v2/. What begins like a path is one, and so is an archive that exists; whatever \
                 has a registry's host in front is a repository. \
                 :TAG, :REPOSITORY:TAG or @DIGEST may follow a path. docker-daemon: is the engine at DOCKER_HOST, or at \
                 its usual socket. Archives are read through gzip, zstd and xz. Docker's archives and \
                 engines take one platform of an image, this machine's or the one of --platform. Layers stay as \
                 they are without --compress, but for those of docker archives and engines that nobody compressed: \
                 on the way to a registry gzip compresses them. Logins for other registries are those of docker and podman. The digests of the \
                 images are written to standard output.",
            ),
    )
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, copy)
}

fn copy(context: &Context, args: &CopyArgs) -> anyhow::Result<ExitCode> {
    let (destination, sources) =
        args.places.split_last().map_or(("", &[][..]), |(last, rest)| (last.as_str(), rest));
    let create = args.create.creation()?;
    let from = args.sides.of_source(&context.settings);
    let sources: Vec<Location> = sources
        .iter()
        .map(|text| Location::open(&from, text, Side::Source, BareName::ExistingFile))
        .collect::<anyhow::Result<_>>()?;
    let to = args.sides.of_destination(&context.settings);
    let destination = Location::open(&to, destination, Side::Destination, BareName::ExistingFile)?;
    TransferCommand {
        context,
        args: &args.transfer,
        sources: &sources,
        destination: &destination,
        unnamed: None,
        create: create.as_ref(),
        done: "copied",
    }
    .run()?;
    Ok(ExitCode::SUCCESS)
}
