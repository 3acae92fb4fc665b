//! The whole command line as one clap tree, built from the same tables: for man pages, completions, `--help`, and the
//! parsing of our own verbs. Building it takes longer than an operation may, so nothing on that path does.

use clap::{Arg, ArgAction, Command};

use crate::commands;
use crate::model::examples::examples;
use crate::model::help::{first_sentence, texts};
use crate::model::{Kind, Operation, Service, Shape, ecr, ecr_public, names::kebab};
use crate::ui::Name;

use super::completion_scripts::SHELLS;
use super::help::{common_help, custom_commands, shown};
use super::options::{Argument, GLOBALS, OUTPUTS, OptionTarget, arguments};
use super::own_examples::with_examples;

const ABOUT: &str = "Everything with Amazon ECR: each operation of the AWS CLI, image transfer, login, and an ECR on this machine";

/// Builds the whole tree: the operations of both services, the custom commands, and our own commands.
///
/// Nothing here is a clap struct, since it follows tables: operations and waiters the service model, `get-login` its
/// own argparse options, and `completions` the list of shells; `super::argparse` and `super::complete` parse them.
pub fn command() -> Command {
    let public = Command::new("public")
        .about("Commands of Amazon ECR Public")
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommands(service_commands(ecr_public()));
    root()
        .subcommands(commands::COMMANDS.iter().map(|command| with_examples((command.define)())))
        .subcommands(service_commands(ecr()))
        .subcommand(public)
        .subcommand(with_examples(
            Command::new("completions")
                .about("Print the completion script of a shell")
                .arg(Arg::new("shell").required(true).value_parser(SHELLS).help("The shell")),
        ))
        .subcommand(Command::new("help").about("Show help for all commands"))
}

/// The command line as far as parsing this one own command needs it.
pub(super) fn own_command(command: &commands::Command) -> Command {
    let outputs = OUTPUTS.iter().chain(&["markdown", "sarif", "junit", "html"]).copied();
    let outputs = clap::builder::PossibleValuesParser::new(outputs);
    root()
        .mut_arg("output", |arg| arg.value_parser(outputs))
        .subcommand(with_examples((command.define)().name(command.name)))
}

fn root() -> Command {
    Command::new("ecr")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .subcommand_required(true)
        .arg_required_else_help(false)
        .disable_help_subcommand(true)
        .args_override_self(true)
        .args(globals())
}

fn globals() -> impl Iterator<Item = Arg> {
    GLOBALS.iter().filter(|global| global.name != "version").map(|global| {
        let arg = Arg::new(global.name)
            .long(global.name)
            .help(global.help)
            .global(true)
            .help_heading("Global options");
        let arg = if global.takes_value() {
            arg.value_name("VALUE").value_parser(clap::builder::PossibleValuesParser::new(global.choices))
        } else {
            arg.action(ArgAction::SetTrue)
        };
        match (global.takes_value(), global.choices.is_empty()) {
            (true, true) => arg.value_parser(clap::builder::StringValueParser::new()),
            _ => arg,
        }
    })
}

fn service_commands(service: &'static Service) -> Vec<Command> {
    let texts = texts(service);
    let mut commands: Vec<Command> = service
        .operations()
        .map(|operation| {
            Command::new(kebab(operation.name))
                .about(first_sentence(texts.operation(operation.name)))
                .long_about(texts.operation(operation.name))
                .args_override_self(true)
                .args(args(service, operation))
                .after_help(examples_text(service, operation))
        })
        .collect();
    for (name, about) in custom_commands(service) {
        let mut command = Command::new(name).about(about);
        if name == "wait" {
            command =
                command.subcommand_required(true).disable_help_subcommand(true).subcommands(waiters(service));
        } else if name == "get-login" {
            command = command.args(super::get_login_password::get_login_args());
        }
        commands.push(command);
    }
    commands
}

/// The examples of an operation, as `--help` shows them below the options.
fn examples_text(service: &Service, operation: &Operation) -> String {
    let mut text = "Examples:".to_owned();
    for example in examples(service, operation.name) {
        text.push_str("\n  ");
        text.push_str(example.title);
        text.push('\n');
        for line in shown(example, Name::Ecr) {
            text.push_str("\n    ");
            text.push_str(&line);
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

fn waiters(service: &'static Service) -> impl Iterator<Item = Command> {
    service.waiters().filter_map(move |(name, waiter)| {
        let operation = service.operation(waiter.operation)?;
        let about = format!("Poll {} until it succeeds", kebab(operation.name));
        Some(Command::new(kebab(name)).about(about).args(args(service, operation)))
    })
}

fn args(service: &'static Service, operation: &Operation) -> Vec<Arg> {
    let mut args = Vec::new();
    for argument in arguments(service, operation) {
        let text = match argument.meaning {
            OptionTarget::Member(member) => {
                texts(service).member(operation.input.unwrap_or_default(), member)
            }
            other => common_help(other),
        };
        let arg = Arg::new(argument.name.clone()).long(argument.name.clone()).hide(argument.hidden);
        let arg = arg.help(first_sentence(text)).long_help(text).required(argument.required);
        if argument.kind == Kind::Boolean {
            let negative = format!("no-{}", argument.name);
            args.push(arg.action(ArgAction::SetTrue));
            args.push(
                Arg::new(negative.clone())
                    .long(negative)
                    .action(ArgAction::SetTrue)
                    .help(format!("The opposite of --{}.", argument.name)),
            );
            continue;
        }
        args.push(valued(arg, &argument, shape(service, operation, &argument)));
    }
    args
}

fn shape(service: &'static Service, operation: &Operation, argument: &Argument) -> Option<&'static Shape> {
    let OptionTarget::Member(member) = argument.meaning else { return None };
    let name = service.input(operation)?.members.get(member)?;
    Some(service.shape(name))
}

fn valued(arg: Arg, argument: &Argument, shape: Option<&'static Shape>) -> Arg {
    let arg = arg.value_name("VALUE");
    match (argument.meaning, argument.kind) {
        (OptionTarget::Skeleton, _) => arg.num_args(0..=1).value_parser(["input", "output", "yaml-input"]),
        (_, Kind::List) => arg.num_args(0..),
        _ => match shape {
            Some(shape) if !shape.values.is_empty() => arg.value_parser(shape.values.clone()),
            _ => arg,
        },
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_is_sound() {
        super::command().debug_assert();
    }
}
