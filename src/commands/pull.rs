//! `ecr pull`: an image from a repository to this machine.

use std::process::ExitCode;

use clap::{ArgMatches, ValueHint};

use super::argument_types::ReferenceText;
use super::location::{BareName, Location, Side};
use super::transfer_args::TransferArgs;
use super::transfer_command::TransferCommand;
use super::{Command, Context, command_args};

/// The row of `ecr pull`.
pub(super) const COMMAND: Command = Command { name: "pull", in_public: false, define, run };

/// The arguments of `ecr pull`.
#[derive(Debug, clap::Args)]
struct PullArgs {
    /// REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST, with or without the registry's host in front; without a tag,
    /// latest; or any other place that copy knows
    reference: ReferenceText,
    /// A folder for an OCI image layout, to which the image is added, or a .tar file for an OCI archive (- for
    /// standard output); docker-archive:PATH for an archive that docker loads too, with one platform of the image;
    /// docker-daemon:NAME for docker's or podman's engine; oci: or oci-archive: may precede a path, and :TAG follow it
    /// to call the image something else; or any other place that copy knows
    #[arg(value_hint = ValueHint::AnyPath)]
    destination: String,
    #[command(flatten)]
    transfer: TransferArgs,
}

fn define() -> clap::Command {
    command_args::define::<PullArgs>(
        clap::Command::new("pull")
            .about("Pull an image from a repository into an OCI layout or archive")
            .long_about(
                "Pull an image from a repository into an OCI layout or archive. Every byte is verified before a \
                 file gets its name, and layers that a layout has are not fetched. The digest of the image is \
                 written to standard output.",
            ),
    )
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, pull)
}

fn pull(context: &Context, args: &PullArgs) -> anyhow::Result<ExitCode> {
    let source = Location::open(&context.settings, &args.reference, Side::Source, BareName::Repository)?;
    let destination =
        Location::open(&context.settings, &args.destination, Side::Destination, BareName::Path)?;
    TransferCommand {
        context,
        args: &args.transfer,
        sources: &[source],
        destination: &destination,
        unnamed: None,
        create: None,
        done: "pulled",
    }
    .run()?;
    Ok(ExitCode::SUCCESS)
}
