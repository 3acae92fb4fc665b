//! `ecr copy`: images from any place to any other.

use std::process::ExitCode;

use clap::{Arg, ArgMatches};

use super::create::{self, Creation};
use super::location::{self, BareName, Location, Side};
use super::transfer_command::{self, TransferCommand, TransferVerb};
use super::{Command, Context};
use crate::store::scheme;

/// The row of `ecr copy`.
pub(super) const COMMAND: Command = Command { name: "copy", define, run };

fn define() -> clap::Command {
    let command = transfer_command::arguments(
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
            )
            .arg(
                Arg::new("places")
                    .value_names(["SOURCE", "DESTINATION"])
                    .required(true)
                    .num_args(2..)
                    .help(format!(
                        "The images to copy, and behind them the one place to copy them to: REPOSITORY[:TAG|@DIGEST]; a \
                         path, such as ./folder or ./image.tar; - for an archive in a pipe; {}",
                        scheme::help()
                    )),
            ),
    )
    .arg(create::argument());
    location::accounts(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let mut places: Vec<&String> = matches.get_many("places").into_iter().flatten().collect();
    let destination = places.pop().map_or("", String::as_str);
    let create = Creation::asked(matches)?;
    let settings = |side| location::settings_by(&context.settings, matches, side);
    let from = settings(Side::Source);
    let sources: Vec<Location> = places
        .into_iter()
        .map(|text| Location::open(&from, text, Side::Source, BareName::ExistingFile))
        .collect::<anyhow::Result<_>>()?;
    let destination =
        Location::open(&settings(Side::Destination), destination, Side::Destination, BareName::ExistingFile)?;
    let (unnamed, create, verb) = (None, create.as_ref(), TransferVerb { done: "copied" });
    TransferCommand { context, matches, sources: &sources, destination: &destination, unnamed, create, verb }
        .run()?;
    Ok(ExitCode::SUCCESS)
}
