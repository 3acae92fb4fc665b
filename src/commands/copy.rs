//! `ecr copy`: images from any place to any other.

use std::process::ExitCode;

use clap::{Arg, ArgMatches};

use super::create::{self, Creation};
use super::location::{self, BareName, Location, Side};
use super::transfer_command::{self, TransferCommand, Verb};
use super::{Command, Context};

/// The row of `ecr copy`.
pub(super) const COMMAND: Command = Command { name: "copy", define, run };

fn define() -> clap::Command {
    let command = transfer_command::arguments(
        clap::Command::new("copy")
            .about("Copy images between repositories, other registries, layouts, archives and docker's engine")
            .long_about(
                "Copy images between repositories of Amazon ECR, other registries, OCI layouts and archives, \
                 whole and with their digests kept. A place is a REPOSITORY, with or without an ECR host in front \
                 (through ECR's own API); docker://HOST/REPOSITORY, or a host that is not ECR's (any OCI \
                 registry); oci:PATH, oci-archive:PATH, docker-archive:PATH, or what looks like a path, such as \
                 ./folder and image.tar; docker-daemon:NAME for docker's or podman's engine (at DOCKER_HOST, or \
                 its usual socket); and - for an archive that comes by standard input or goes to standard output. \
                 :TAG or @DIGEST may follow, and :REPOSITORY:TAG behind a docker archive. Docker's archives and \
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
                    .help("The images to copy, and behind them the one place to copy them to"),
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
        .map(|text| Location::open(&from, text, Side::Source, BareName::Repository))
        .collect::<anyhow::Result<_>>()?;
    let destination =
        Location::open(&settings(Side::Destination), destination, Side::Destination, BareName::Repository)?;
    let (unnamed, create, verb) = (None, create.as_ref(), Verb { done: "copied" });
    TransferCommand { context, matches, sources: &sources, destination: &destination, unnamed, create, verb }
        .run()?;
    Ok(ExitCode::SUCCESS)
}
