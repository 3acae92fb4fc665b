//! `ecr push`: an image from this machine into a repository.

use std::process::ExitCode;

use clap::{ArgMatches, ValueHint};

use super::argument_types::ReferenceText;
use super::create::CreateArgs;
use super::location::{BareName, Location, Side};
use super::transfer_args::TransferArgs;
use super::transfer_command::TransferCommand;
use super::{Command, Context, command_args};

/// The row of `ecr push`.
pub(super) const COMMAND: Command = Command { name: "push", in_public: false, define, run };

/// The arguments of `ecr push`.
#[derive(Debug, clap::Args)]
struct PushArgs {
    /// An OCI image layout (a folder), an OCI or docker archive (a tar file, or - for standard input); oci:,
    /// oci-archive: or docker-archive: may precede the path, and :TAG follow it where it has several images;
    /// docker-daemon:NAME for an image of docker's or podman's engine; or any other place that copy knows
    #[arg(value_hint = ValueHint::AnyPath)]
    source: String,
    /// REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST, with or without the registry's host in front; without a tag,
    /// latest; or any other place that copy knows
    reference: ReferenceText,
    #[command(flatten)]
    transfer: TransferArgs,
    #[command(flatten)]
    create: CreateArgs,
}

fn define() -> clap::Command {
    command_args::define::<PushArgs>(
        clap::Command::new("push")
            .about("Push an image from an OCI layout or archive into a repository")
            .long_about(
                "Push an image from an OCI layout or archive into a repository, through the layer API of Amazon \
                 ECR. Layers that the repository has are not sent. Layers stay as they are, but for those of docker \
                 archives and engines that nobody compressed, which are compressed with gzip on the way. The digest \
                 of the image is written to standard output.",
            ),
    )
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, push)
}

fn push(context: &Context, args: &PushArgs) -> anyhow::Result<ExitCode> {
    let create = args.create.creation()?;
    let source = Location::open(&context.settings, &args.source, Side::Source, BareName::Path)?;
    let destination =
        Location::open(&context.settings, &args.reference, Side::Destination, BareName::Repository)?;
    TransferCommand {
        context,
        args: &args.transfer,
        sources: &[source],
        destination: &destination,
        unnamed: Some("latest"),
        create: create.as_ref(),
        done: "pushed",
    }
    .run()?;
    Ok(ExitCode::SUCCESS)
}
