//! `ecr credential-provider`: passwords for kubelet, and its configuration. Also as `ecr-credential-provider`.

use std::process::ExitCode;

use clap::{Arg, ArgMatches};

use super::{Command, Context, credential_helper};
use crate::auth::helper::Answer;
use crate::auth::kubelet::{self, Configuration};
use crate::error::Error;
use crate::settings::Settings;

/// The row of this verb.
pub(super) const COMMAND: Command = Command { name: "credential-provider", define, run };

/// The name under which kubelet's folder of providers has this program.
pub(super) const PROGRAM: &str = "ecr-credential-provider";

fn define() -> clap::Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    clap::Command::new("credential-provider")
        .about("Answer kubelet, which asks for an image's password")
        .long_about(
            "Answer kubelet: reads a CredentialProviderRequest from stdin and writes the response. 'config' prints \
             the configuration for kubelet's --image-credential-provider-config. Put a link named \
             ecr-credential-provider to this program into kubelet's --image-credential-provider-bin-dir.",
        )
        .disable_help_subcommand(true)
        .subcommand(
            clap::Command::new("config")
                .about("Print kubelet's configuration for this program")
                .arg(value("name", "NAME", "The program's name in kubelet's folder of providers.").default_value(PROGRAM))
                .arg(value("api-version", "VERSION", "v1, v1beta1 or v1alpha1.").default_value("v1"))
                .arg(value(
                    "audience",
                    "AUDIENCE",
                    "Let pods use the role of their service account, with tokens for this audience, such as \
                     sts.amazonaws.com.",
                ))
                .arg(value("cache", "FOLDER", "Keep passwords in this folder, so that many images ask once.")),
        )
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let Some((_, matches)) = matches.subcommand() else {
        return Ok(credential_helper::say(
            &context.ui,
            &kubelet::provide(&context.settings, &mut std::io::stdin()),
        ));
    };
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let wanted = Configuration {
        name: text("name").unwrap_or(PROGRAM),
        version: text("api-version").unwrap_or("v1"),
        audience: text("audience"),
        cache: text("cache"),
    };
    context.ui.print(&kubelet::configuration(wanted).map_err(Error::Usage)?)?;
    Ok(ExitCode::SUCCESS)
}

/// This program under kubelet's name for it.
pub(super) fn as_program(settings: &Settings, words: &[String]) -> Answer {
    match words.first().map(String::as_str) {
        Some("--version" | "-v" | "version") => Answer::success(format!(
            "{PROGRAM} ({}) {}\n",
            env!("CARGO_PKG_REPOSITORY"),
            env!("CARGO_PKG_VERSION")
        )),
        Some("--help" | "-h" | "help") => Answer::success(format!(
            "Usage: {PROGRAM}\nReads kubelet's CredentialProviderRequest from stdin. 'ecr credential-provider config' \
             prints the configuration.\n"
        )),
        // kubelet passes what its configuration says; the other provider of this name takes flags of its log.
        _ => kubelet::provide(settings, &mut std::io::stdin()),
    }
}
