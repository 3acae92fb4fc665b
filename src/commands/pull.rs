//! `ecr pull`: an image from a repository to this machine.

use std::process::ExitCode;

use clap::{Arg, ArgMatches};

use super::location::{BareName, Location, Side};
use super::transfer_command::{self, TransferCommand, TransferVerb};
use super::{Command, Context};

/// The row of `ecr pull`.
pub(super) const COMMAND: Command = Command { name: "pull", define, run };

fn define() -> clap::Command {
    transfer_command::arguments(
        clap::Command::new("pull")
            .about("Pull an image from a repository into an OCI layout or archive")
            .long_about(
                "Pull an image from a repository into an OCI layout or archive. Every byte is verified before a \
                 file gets its name, and layers that a layout has are not fetched. The digest of the image is \
                 written to standard output.",
            )
            .arg(Arg::new("reference").value_name("REFERENCE").required(true).help(
                "REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST, with or without the registry's host in front; \
                 without a tag, latest; or any other place that copy knows",
            ))
            .arg(Arg::new("destination").value_name("DESTINATION").required(true).help(
                "A folder for an OCI image layout, to which the image is added, or a .tar file for an OCI archive \
                 (- for standard output); docker-archive:PATH for an archive that docker loads too, with one \
                 platform of the image; docker-daemon:NAME for docker's or podman's engine; oci: or oci-archive: \
                 may precede a path, and :TAG follow it to call the image something else; or any other place that \
                 copy knows",
            )),
    )
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let source = Location::open(&context.settings, text("reference"), Side::Source, BareName::Repository)?;
    let destination =
        Location::open(&context.settings, text("destination"), Side::Destination, BareName::Path)?;
    let (unnamed, create, verb) = (None, None, TransferVerb { done: "pulled" });
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
