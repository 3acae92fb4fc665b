//! `ecr lifecycle`: lifecycle policies, checked, simulated, previewed and applied.

mod apply;
mod lint;
mod policy_text;
mod preview;
mod show;
mod simulate;

use std::process::ExitCode;

use clap::ArgMatches;

use super::registry::usage;
use super::{Command, Context};

/// The row of this command.
pub(super) const COMMAND: Command = Command { name: "lifecycle", in_public: false, define, run };

/// The commands of the group, in the order in which help lists them.
const COMMANDS: &[Command] =
    &[lint::COMMAND, simulate::COMMAND, preview::COMMAND, apply::COMMAND, show::COMMAND];

fn define() -> clap::Command {
    clap::Command::new("lifecycle")
        .about("Check, simulate, preview and apply lifecycle policies")
        .long_about(
            "Check, simulate, preview and apply lifecycle policies. A policy expires images by itself, within a day of its \
             change, and nothing brings them back: so look first at what it does.",
        )
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommands(COMMANDS.iter().map(|command| (command.define)()))
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let chosen = matches.subcommand().and_then(|(name, matches)| {
        COMMANDS.iter().find(|command| command.name == name).map(|command| (command, matches))
    });
    if let Some((command, matches)) = chosen {
        return (command.run)(context, matches);
    }
    let names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
    Err(usage(format!("`ecr lifecycle` takes one of {}", names.join(", "))))
}
