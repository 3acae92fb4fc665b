//! `ecr doctor`: why a pull, a push or a login does not work.

mod policy;

use std::process::ExitCode;

use clap::ArgMatches;

use super::{Command, Context, images};

/// The row of `ecr doctor`.
pub(super) const COMMAND: Command = Command { name: "doctor", define, run };

/// The arguments of `ecr doctor`.
#[derive(Debug, clap::Args)]
struct DoctorArgs {
    /// An image or a repository, as it is written on the command line.
    #[arg(help = "The image or repository: [HOST/]REPOSITORY[:TAG|@DIGEST]", value_name = "REFERENCE")]
    reference: Option<String>,
    /// Print the IAM policy that a command needs, such as 'push --create', for the repository or for all; no call is
    /// made
    #[arg(long, value_name = "COMMAND", required = true)]
    policy: Option<String>,
}

fn define() -> clap::Command {
    let command = clap::Command::new("doctor").about("Print the IAM policy that a command needs").long_about(
        "Print the IAM policy that a command of this program needs, with the options that are written behind it. What \
         it can use beyond that is said on stderr.",
    );
    images::define::<DoctorArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    images::run(context, matches, doctor)
}

fn doctor(context: &Context, arguments: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let command = arguments.policy.as_deref().unwrap_or_default();
    policy::print(context, command, arguments.reference.as_deref())?;
    Ok(ExitCode::SUCCESS)
}
