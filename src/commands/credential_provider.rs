//! `ecr credential-provider`: passwords for kubelet, and its configuration. Also as `ecr-credential-provider`.

use std::process::ExitCode;

use clap::{ArgMatches, ValueHint};

use super::{Command, Context, command_args, credential_helper};
use crate::auth::helper::HelperOutput;
use crate::auth::kubelet::{self, Configuration};
use crate::error::Error;
use crate::settings::Settings;

/// The row of `ecr credential-provider`.
pub(super) const COMMAND: Command = Command { name: "credential-provider", in_public: false, define, run };

/// The name under which kubelet's folder of providers has this program.
pub(super) const PROGRAM: &str = "ecr-credential-provider";

/// The arguments of `ecr credential-provider config`.
#[derive(Debug, clap::Args)]
struct ConfigArgs {
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other, default_value = PROGRAM, help = "The program's name in kubelet's folder of providers.")]
    name: String,
    #[arg(long, value_name = "VERSION", value_hint = ValueHint::Other, default_value = "v1", help = "v1, v1beta1 or v1alpha1.")]
    api_version: String,
    #[arg(
        long,
        value_name = "AUDIENCE",
        value_hint = ValueHint::Other,
        help = "Let pods use the role of their service account, with tokens for this audience, such as sts.amazonaws.com."
    )]
    audience: Option<String>,
    #[arg(
        long,
        value_name = "FOLDER",
        value_hint = ValueHint::DirPath,
        help = "Keep passwords in this folder, so that many images ask once."
    )]
    cache: Option<String>,
}

fn define() -> clap::Command {
    clap::Command::new("credential-provider")
        .about("Answer kubelet, which asks for an image's password")
        .long_about(
            "Answer kubelet: reads a CredentialProviderRequest from stdin and writes the response. 'config' prints \
             the configuration for kubelet's --image-credential-provider-config. Put a link named \
             ecr-credential-provider to this program into kubelet's --image-credential-provider-bin-dir.",
        )
        .disable_help_subcommand(true)
        .subcommand(command_args::define::<ConfigArgs>(
            clap::Command::new("config").about("Print kubelet's configuration for this program"),
        ))
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let Some((_, matches)) = matches.subcommand() else {
        return Ok(credential_helper::say(
            &context.ui,
            &kubelet::provide(&context.settings, &mut std::io::stdin()),
        ));
    };
    command_args::run(context, matches, print_configuration)
}

fn print_configuration(context: &Context, args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let wanted = Configuration {
        name: &args.name,
        version: &args.api_version,
        audience: args.audience.as_deref(),
        cache: args.cache.as_deref(),
    };
    context.ui.print(&kubelet::configuration(wanted).map_err(Error::Usage)?)?;
    Ok(ExitCode::SUCCESS)
}

/// This program under kubelet's name for it.
pub(super) fn as_program(settings: &Settings, words: &[String]) -> HelperOutput {
    match words.first().map(String::as_str) {
        Some("--version" | "-v" | "version") => HelperOutput::success(format!(
            "{PROGRAM} ({}) {}\n",
            env!("CARGO_PKG_REPOSITORY"),
            env!("CARGO_PKG_VERSION")
        )),
        Some("--help" | "-h" | "help") => HelperOutput::success(format!(
            "Usage: {PROGRAM}\nReads kubelet's CredentialProviderRequest from stdin. 'ecr credential-provider config' \
             prints the configuration.\n"
        )),
        // kubelet passes what its configuration says; the other provider of this name takes flags of its log.
        _ => kubelet::provide(settings, &mut std::io::stdin()),
    }
}
