//! Chooses parser and service for the arguments, by the name that this program was called by.

use std::ffi::OsString;
use std::process::ExitCode;

use super::alias::{self, Aliases, Step};
use super::argparse::{Arity, Opt, Parser, Positional};
use super::session::Session;
use super::{complete, debug, forward, help, options, overview, own_command, run_of_service, show};
use crate::commands::{self, COMMANDS};
use crate::error::Error;
use crate::model;
use crate::settings::PublicRegistry;
use crate::ui::Name;

/// The version of the AWS CLI whose behaviour this program has.
const AWS_CLI_VERSION: &str = "2.38.1";

/// The AWS CLI's commands that this program is.
const OURS: [&str; 2] = ["ecr", "ecr-public"];
/// The names of all commands of the AWS CLI, which are suggested for a misspelt one.
pub(super) const SERVICES: &str = include_str!("services.txt");

/// Runs the command that the arguments, the program's own name first, stand for.
pub(super) fn dispatch(session: &mut Session, arguments: &[OsString]) -> Result<ExitCode, Error> {
    let words = arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match session.ui.name() {
        Name::Ecr => dispatch_ecr(session, arguments, words),
        Name::Aws => dispatch_aws(session, arguments, words),
    }
}

/// Runs `ecr`: pages of help, commands of our own, and operations.
fn dispatch_ecr(
    session: &mut Session,
    arguments: &[OsString],
    words: Vec<String>,
) -> Result<ExitCode, Error> {
    let first_two: Vec<&str> = words.iter().map(String::as_str).take(2).collect();
    match first_two.as_slice() {
        [] => return session.page(&overview::page()),
        ["--help" | "help"] if words.len() == 1 => return session.page(&overview::page()),
        ["help", "operations"] if words.len() == 2 => {
            return show(session, |page| help::service(page, Name::Ecr, model::ecr()));
        }
        ["help", command] if !command.starts_with('-') => {
            // `ecr help COMMAND` is `ecr COMMAND help`.
            let mut turned: Vec<OsString> = arguments.to_vec();
            let help = turned.remove(1);
            turned.push(help);
            return dispatch(session, &turned);
        }
        ["complete", ..] => return Ok(complete::run(session, &words[1..])),
        _ => {}
    }
    let parser = Parser { options: options::globals(true), positionals: Vec::new() };
    if let Some(first) = parser.first_argument(&words)
        && let Some(command) = COMMANDS.iter().find(|command| command.name == first)
    {
        session.is_own_command = true;
        let public = if command.in_public { PublicRegistry::Possible } else { PublicRegistry::Unknown };
        return own_command::run(session, command, arguments, public);
    }
    if let Some((command, arguments)) = public_command(&parser, &words, arguments) {
        session.is_own_command = true;
        if !command.in_public {
            let (name, known) = (command.name, commands::public_names());
            let told = format!("there is no `ecr public {name}`; these know Amazon ECR Public: {known}");
            return Err(Error::Usage(told));
        }
        return own_command::run(session, command, &arguments, PublicRegistry::Meant);
    }
    let aliases = Aliases::read(&session.settings);
    dispatch_service(session, arguments, words, aliases, OURS.map(str::to_owned).to_vec())
}

/// Runs `aws`: our two services, and with another `aws` on `PATH` all others.
fn dispatch_aws(
    session: &mut Session,
    arguments: &[OsString],
    words: Vec<String>,
) -> Result<ExitCode, Error> {
    let parser = Parser { options: options::globals(false), positionals: Vec::new() };
    let aliases = Aliases::read(&session.settings);
    let mut commands = OURS.map(str::to_owned).to_vec();
    if let Some(first) = parser.first_argument(&words)
        && !OURS.contains(&first)
    {
        if !aliases.as_ref().is_ok_and(|aliases| aliases.lead_to_own_command(first, &OURS)) {
            if let Some(program) = forward::next_aws(&session.settings) {
                return forward::become_program(&program, arguments);
            }
            if first == "help" {
                return show_services(session);
            }
        }
        // The names of other services take a moment to list, so only what may be one of them is held against them.
        commands = SERVICES.lines().chain(["help"]).map(str::to_owned).collect();
    }
    dispatch_service(session, arguments, words, aliases, commands)
}

/// Reads the global options and the service's name, which is one of `commands` or an alias, and runs its command.
fn dispatch_service(
    session: &mut Session,
    arguments: &[OsString],
    words: Vec<String>,
    aliases: Result<Aliases, Error>,
    mut commands: Vec<String>,
) -> Result<ExitCode, Error> {
    let name = session.ui.name();
    first_pass(session, &words)?;
    // A broken configuration file stops the AWS CLI here, whatever the command, and so does a broken alias file.
    session.settings.profiles()?;
    session.aliases = aliases?;
    commands.extend(session.aliases.names(alias::TOP).map(str::to_owned));
    // `ecr OPERATION` is parsed as `aws ecr OPERATION` is: by a parser that first takes the service's name.
    let words = if name == Name::Ecr { [vec!["ecr".to_owned()], words].concat() } else { words };
    refuse_prompting(&words)?;
    let command = Positional { name: "command", required: true, choices: Some(commands.clone()) };
    let parser = Parser { options: options::globals(name == Name::Ecr), positionals: vec![command] };
    let parsed = parser.parse(&words).map_err(|mistake| Error::CommandLine(mistake.0))?;
    if parsed.stopped.is_some() {
        return version(session, arguments);
    }
    session.take_globals(&parsed)?;
    debug::settings(&session.settings, &words);
    let help = parsed.flag("help").is_some();
    let mut command = parsed.one("command").unwrap_or_default().to_owned();
    let mut words = parsed.rest;
    if name == Name::Aws {
        match alias::follow_command(session, command, words, &commands)? {
            (_, Step::Done(code)) => return Ok(code),
            (found, Step::Words(found_words) | Step::Itself(found_words)) => {
                (command, words) = (found, found_words);
            }
        }
    }
    match command.as_str() {
        "ecr" => run_of_service(session, model::ecr(), &words, help),
        "ecr-public" => run_of_service(session, model::ecr_public(), &words, help),
        other => Err(Error::Usage(format!(
            "this aws is ecr, which knows `aws ecr` and `aws ecr-public` only, and there is no other aws on PATH that \
             `aws {other}` could be handed to"
        ))),
    }
}

/// Returns the command of our own that `ecr public COMMAND` names, and the arguments without the word `public`.
fn public_command(
    parser: &Parser,
    words: &[String],
    arguments: &[OsString],
) -> Option<(&'static commands::Command, Vec<OsString>)> {
    let place = words.iter().position(|word| word == "public")?;
    if parser.first_argument(words) != Some("public") {
        return None;
    }
    let rest = [&words[..place], &words[place + 1..]].concat();
    let name = parser.first_argument(&rest)?;
    let command = commands::COMMANDS.iter().find(|command| command.name == name)?;
    let mut arguments = arguments.to_vec();
    // The program's own name comes first.
    arguments.remove(place + 1);
    Some((command, arguments))
}

/// The AWS CLI looks for these two options before anything else, so their faults have a usage text of their own.
fn first_pass(session: &mut Session, words: &[String]) -> Result<(), Error> {
    let options = vec![Opt::new("profile", Arity::One), Opt::new("debug", Arity::Flag(true))];
    match (Parser { options, positionals: Vec::new() }).parse(words) {
        Ok(_) => Ok(()),
        Err(mistake) => {
            session.errors_are_plain = true;
            let name = session.ui.name().text();
            Err(Error::Usage(format!("{}\n\nusage: {name} [--profile PROFILE] [--debug]\n", mistake.0)))
        }
    }
}

fn refuse_prompting(words: &[String]) -> Result<(), Error> {
    let has = |word: &str| words.iter().any(|given| given == word);
    if !has("--cli-auto-prompt") {
        return Ok(());
    }
    if has("--no-cli-auto-prompt") {
        return Err(Error::Usage(
            "Both --cli-auto-prompt and --no-cli-auto-prompt cannot be specified at the same time."
                .to_owned(),
        ));
    }
    if has("help") || has("--version") {
        return Ok(());
    }
    Err(Error::Other(
        "--cli-auto-prompt is not supported; `help` after any command lists its options".to_owned(),
    ))
}

fn show_services(session: &Session) -> Result<ExitCode, Error> {
    show(session, |page| {
        for service in model::services() {
            help::service(page, Name::Aws, service);
        }
    })
}

fn version(session: &Session, arguments: &[OsString]) -> Result<ExitCode, Error> {
    let own = env!("CARGO_PKG_VERSION");
    if session.ui.name() == Name::Ecr {
        return session.print(&format!("ecr {own}\n"));
    }
    if let Some(program) = forward::next_aws(&session.settings) {
        return forward::become_program(&program, arguments);
    }
    let environment = session.settings.variable("AWS_EXECUTION_ENV").map(|name| format!(" exec-env/{name}"));
    let platform = session.settings.platform();
    session.print(&format!(
        "aws-cli/{AWS_CLI_VERSION} ecr/{own} {platform}{}\n",
        environment.unwrap_or_default()
    ))
}
