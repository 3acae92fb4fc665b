//! `ecr push`: an image from this machine into a repository.

use std::process::ExitCode;

use clap::{Arg, ArgMatches};

use super::create::{self, Creation};
use super::location::{BareName, Location, Side};
use super::transfer_command::{self, TransferCommand, TransferVerb};
use super::{Command, Context};

/// The row of `ecr push`.
pub(super) const COMMAND: Command = Command { name: "push", define, run };

fn define() -> clap::Command {
    transfer_command::arguments(
        clap::Command::new("push")
            .about("Push an image from an OCI layout or archive into a repository")
            .long_about(
                "Push an image from an OCI layout or archive into a repository, through the layer API of Amazon \
                 ECR. Layers that the repository has are not sent. Layers stay as they are, but for those of docker \
                 archives and engines that nobody compressed, which are compressed with gzip on the way. The digest \
                 of the image is written to standard output.",
            )
            .arg(Arg::new("source").value_name("SOURCE").required(true).help(
                "An OCI image layout (a folder), an OCI or docker archive (a tar file, or - for standard input); \
                 oci:, oci-archive: or docker-archive: may precede the path, and :TAG follow it where it has \
                 several images; docker-daemon:NAME for an image of docker's or podman's engine; or any other place \
                 that copy knows",
            ))
            .arg(Arg::new("reference").value_name("REFERENCE").required(true).help(
                "REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST, with or without the registry's host in front; \
                 without a tag, latest; or any other place that copy knows",
            )),
    )
    .arg(create::argument())
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let create = Creation::asked(matches)?;
    let source = Location::open(&context.settings, text("source"), Side::Source, BareName::Path)?;
    let destination =
        Location::open(&context.settings, text("reference"), Side::Destination, BareName::Repository)?;
    let (unnamed, create, verb) = (Some("latest"), create.as_ref(), TransferVerb { done: "pushed" });
    TransferCommand {
        context,
        matches,
        sources: &[source],
        destination: &destination,
        unnamed,
        create,
        verb,
    }
    .run()?;
    Ok(ExitCode::SUCCESS)
}
