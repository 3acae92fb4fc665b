//! `ecr credential-helper ACTION`, and this program under the names of the two helpers.
//!
//! The way of a helper goes past everything else (no argument parser, no service model, no asynchronous runtime)
//! until a password is really asked for: docker calls it for every image.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::ArgMatches;

use super::{Command, Context, command_args, credential_provider};
use crate::auth::helper::{self, HelperOutput};
use crate::auth::helper_install::PROGRAM;
use crate::settings::{Globals, Settings};
use crate::ui::{Name, Ui};

/// The row of `ecr credential-helper`.
pub(super) const COMMAND: Command = Command { name: "credential-helper", in_public: false, define, run };

const ENVIRONMENT: &str = "ENVIRONMENT

AWS_ECR_CACHE_DIR names the folder in which passwords are kept (else $XDG_CACHE_HOME/ecr or ~/.cache/ecr); \
AWS_ECR_DISABLE_CACHE=1 keeps none. AWS_ECR_IGNORE_CREDS_STORAGE=true lets 'docker login' to any host succeed without \
keeping anything. AWS_ECR_PUBLIC_ANONYMOUS=1 leaves public.ecr.aws without a login. ECR_LOG=LEVEL writes a log to \
stderr, ECR_LOG=LEVEL:FILE to a file; the levels are error, info and debug, and secrets are blacked out. \
ECR_LOGIN_CONFIG names another login.conf, which 'ecr login --help' describes. Everything else is as for every AWS \
tool: AWS_PROFILE, AWS_CA_BUNDLE, HTTPS_PROXY and so on; the region comes from the host.";

const ACTIONS: [&str; 5] = ["get", "store", "erase", "list", "version"];

/// The arguments of `ecr credential-helper`.
#[derive(Debug, clap::Args)]
struct HelperArgs {
    #[arg(value_name = "ACTION", value_parser = ACTIONS, help = "What to do.")]
    action: String,
}

fn define() -> clap::Command {
    let command = clap::Command::new("credential-helper")
        .about("Speak the protocol of docker's credential helpers")
        .long_about(
            "Speak the protocol of docker's credential helpers: get and erase read a server's URL from stdin, store \
             reads credentials. docker itself calls this program as docker-credential-ecr-login (a link or a copy); \
             'ecr login --helper' sets that up. ECR_LOG=info shows on stderr what is decided and why.",
        )
        .after_long_help(ENVIRONMENT);
    command_args::define::<HelperArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, |context, args: &HelperArgs| {
        let action = std::slice::from_ref(&args.action);
        let answer = helper::run(&context.settings, "ecr credential-helper", action, &mut std::io::stdin());
        Ok(say(&context.ui, &answer))
    })
}

/// Runs this program as the credential helper that it was called as; `None` if it was not.
pub fn by_another_name(arguments: &[OsString]) -> Option<ExitCode> {
    let words: Vec<String> =
        arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let called = Path::new(arguments.first()?).file_stem()?.to_str()?;
    let settings = || Settings::resolve(Globals::default());
    let answer = match (called, words.first().map(String::as_str)) {
        (PROGRAM, _) => helper::run(&settings(), PROGRAM, &words, &mut std::io::stdin()),
        (credential_provider::PROGRAM, _) => credential_provider::as_program(&settings(), &words),
        // The same words as a verb take the short way too.
        (_, Some("credential-helper")) if words.len() == 2 && ACTIONS.contains(&words[1].as_str()) => {
            helper::run(&settings(), "ecr credential-helper", &words[1..], &mut std::io::stdin())
        }
        (_, Some("credential-provider")) if words.len() == 1 => {
            credential_provider::as_program(&settings(), &[])
        }
        _ => return None,
    };
    Some(say(&Ui::new(Name::Ecr), &answer))
}

/// Writes an answer to its streams. A client that does not read it has no use for an error either.
pub(super) fn say(ui: &Ui, answer: &HelperOutput) -> ExitCode {
    ui.say(&answer.stderr);
    let _ = ui.print(&answer.stdout);
    ExitCode::from(answer.code)
}
