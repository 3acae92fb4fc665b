//! Arguments to invocation, help, and dispatch.
//!
//! There are two parsers, each for what it is best at. The operations of AWS and the global options before them go
//! through `argparse`, driven by the tables in `options`, because their abbreviations, leftovers and texts are part of
//! what scripts rely on and clap cannot reproduce them. Commands of our own go through clap. The whole command line also
//! exists as one clap tree (`clap_tree`), for what clap is best at: man pages, completions and short help.
//!
//! This file finds out who is meant: which name we go by, which parser, which service, which operation. What then
//! happens is in `operation`, `wait`, `get_login_password`, `own_command`, `help` and `forward`.

mod alias;
mod argparse;
mod clap_tree;
mod complete;
mod completion_scripts;
mod debug;
mod difflib;
mod forward;
mod get_login_password;
mod globals;
mod help;
mod help_page;
mod operation;
mod options;
mod output;
mod overview;
mod own_command;
mod own_examples;
mod report;
mod session;
mod wait;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::commands;
use crate::error::Error;
use crate::model::{self, Service, names::kebab};
use crate::settings::PublicRegistry;
use crate::ui::{Name, Ui};

use alias::{Aliases, Step};
use argparse::{Arity, Opt, Parsed, Parser, Positional};
use help_page::Page;
use session::Session;

pub use clap_tree::command;
pub use completion_scripts::{SHELLS, completion};

/// The version of the AWS CLI whose behaviour this program has.
const AWS_CLI_VERSION: &str = "2.38.1";

/// Runs the program with these arguments, the program's own name first.
pub fn run(arguments: &[OsString]) -> ExitCode {
    let mut session = Session::new(Ui::new(name(arguments)));
    match dispatch(&mut session, arguments) {
        Ok(code) => code,
        Err(error) => report::report(&session, &error),
    }
}

/// The name that this program was called by.
fn name(arguments: &[OsString]) -> Name {
    let called = arguments.first().and_then(|first| Path::new(first).file_stem());
    if called.is_some_and(|called| called == "aws") { Name::Aws } else { Name::Ecr }
}

fn dispatch(session: &mut Session, arguments: &[OsString]) -> Result<ExitCode, Error> {
    let words: Vec<String> =
        arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let name = session.ui.name();
    if name == Name::Ecr {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] | ["--help" | "help"] => return session.page(&overview::page()),
            ["help", "operations"] => {
                return show(session, |page| help::service(page, Name::Ecr, model::ecr()));
            }
            _ => {}
        }
    }
    // `ecr help COMMAND` is `ecr COMMAND help`.
    if let (Name::Ecr, [help, command, ..]) = (name, words.as_slice())
        && (help == "help" && !command.starts_with('-'))
    {
        let mut turned: Vec<OsString> = arguments.to_vec();
        let help = turned.remove(1);
        turned.push(help);
        return dispatch(session, &turned);
    }
    let mut main = Parser { options: options::globals(name == Name::Ecr), positionals: Vec::new() };
    let first = main.first_argument(&words);
    if let (Name::Ecr, Some("complete")) = (name, words.first().map(String::as_str)) {
        return Ok(complete::run(session, &words[1..]));
    }
    if let (Name::Ecr, Some(first)) = (name, first)
        && let Some(command) = commands::COMMANDS.iter().find(|command| command.name == first)
    {
        session.is_own_command = true;
        let is_known = commands::OF_PUBLIC.contains(&first);
        let public = if is_known { PublicRegistry::Possible } else { PublicRegistry::Unknown };
        return own_command::run(session, command, arguments, public);
    }
    if name == Name::Ecr
        && let Some((command, arguments)) = public_command(&main, &words, arguments)
    {
        session.is_own_command = true;
        let known = commands::OF_PUBLIC;
        if !known.contains(&command.name) {
            let (name, known) = (command.name, known.join(", "));
            let told = format!("there is no `ecr public {name}`; these know Amazon ECR Public: {known}");
            return Err(Error::Usage(told));
        }
        return own_command::run(session, command, &arguments, PublicRegistry::Meant);
    }
    let aliases = Aliases::read(&session.settings);
    let mut commands = vec!["ecr".to_owned(), "ecr-public".to_owned()];
    if let (Name::Aws, Some(first)) = (name, first) {
        if !aliases.as_ref().is_ok_and(|aliases| aliases.lead_to(first, &OURS)) && !OURS.contains(&first) {
            if let Some(program) = forward::next_aws(&session.settings) {
                return forward::become_program(&program, arguments);
            }
            if first == "help" {
                return show_services(session);
            }
        }
        // The names of other services take a moment to list, so only what may be one of them is held against them.
        if !OURS.contains(&first) {
            commands = SERVICES.lines().chain(["help"]).map(str::to_owned).collect();
        }
    }
    first_pass(session, &words)?;
    // A broken configuration file stops the AWS CLI here, whatever the command, and so does a broken alias file.
    session.settings.profiles()?;
    session.aliases = aliases?;
    commands.extend(session.aliases.names(alias::TOP).map(str::to_owned));
    // `ecr OPERATION` is parsed as `aws ecr OPERATION` is: by a parser that first takes the service's name.
    let words = if name == Name::Ecr { [vec!["ecr".to_owned()], words].concat() } else { words };
    refuse_prompting(&words)?;
    main.positionals.push(Positional { name: "command", required: true, choices: Some(commands.clone()) });
    let parsed = main.parse(&words).map_err(|mistake| Error::CommandLine(mistake.0))?;
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
        "ecr" => serve(session, model::ecr(), &words, help),
        "ecr-public" => serve(session, model::ecr_public(), &words, help),
        other => Err(Error::Usage(format!(
            "this aws is ecr, which knows `aws ecr` and `aws ecr-public` only, and there is no other aws on PATH that \
             `aws {other}` could be handed to"
        ))),
    }
}

/// The command of our own that `ecr public COMMAND` names, and the arguments without the word `public`.
fn public_command(
    main: &Parser,
    words: &[String],
    arguments: &[OsString],
) -> Option<(&'static commands::Command, Vec<OsString>)> {
    let place = words.iter().position(|word| word == "public")?;
    if main.first_argument(words) != Some("public") {
        return None;
    }
    let rest = [&words[..place], &words[place + 1..]].concat();
    let name = main.first_argument(&rest)?;
    let command = commands::COMMANDS.iter().find(|command| command.name == name)?;
    let mut arguments = arguments.to_vec();
    // The program's own name comes first.
    arguments.remove(place + 1);
    Some((command, arguments))
}

/// The AWS CLI's commands that this program is.
const OURS: [&str; 2] = ["ecr", "ecr-public"];
/// The names of all commands of the AWS CLI, which are suggested for a misspelt one.
const SERVICES: &str = include_str!("services.txt");

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

/// One service's part of the command line: its operations and custom commands.
fn serve(
    session: &mut Session,
    service: &'static Service,
    words: &[String],
    help: bool,
) -> Result<ExitCode, Error> {
    let parsed = match parse_operation(session, service, words) {
        Err(_) if help => {
            let public = (!help::is_private(service)).then_some("public");
            return own_command::short_help(session, &public.into_iter().collect::<Vec<_>>());
        }
        Err(_) if session.ui.name() == Name::Ecr && unknown_command(words).is_some() => {
            session.is_own_command = true;
            return Err(no_such_command(session, service, unknown_command(words).unwrap_or_default()));
        }
        result => result?,
    };
    let operation = parsed.one("operation").unwrap_or_default();
    if operation == "public" && help::is_private(service) {
        return serve(session, model::ecr_public(), &parsed.rest, help);
    }
    if help {
        let public = (!help::is_private(service)).then_some("public");
        return own_command::short_help(session, &public.into_iter().chain([operation]).collect::<Vec<_>>());
    }
    let section = format!("command {}", service.name);
    let exists = is_command(session, service, operation);
    let mut words = parsed.rest.clone();
    match alias::follow(session, &section, operation, &words, exists)? {
        None => {}
        Some(Step::Done(code)) => return Ok(code),
        Some(Step::Words(words)) => return serve(session, service, &words, help),
        Some(Step::Itself(rest)) => words = rest,
    }
    match operation {
        "completions" => completions(session, &words),
        "help" => show(session, |page| help::service(page, session.ui.name(), service)),
        "get-login-password" => get_login_password::get_login_password(session, service, &words),
        "get-login" => get_login_password::get_login(session, service, &words),
        "wait" => wait::run(session, service, &words),
        command => match service.operation_of_command(command) {
            Some(found) => operation::run(session, service, found, &words),
            None => Err(Error::Other(format!("{command} is not a command"))),
        },
    }
}

/// Prints the completion script of a shell.
fn completions(session: &Session, words: &[String]) -> Result<ExitCode, Error> {
    let shells = SHELLS.join(", ");
    match words {
        [word] if word == "help" => show(session, |page| {
            let about = format!("Prints the completion script of a shell: {shells}.");
            help::custom(page, "ecr completions <shell>", &about, &[]);
        }),
        [shell] => match completion(shell) {
            Some((_, script)) => session.print(script),
            None => {
                Err(Error::Usage(format!("there is no completion script for {shell}, only for {shells}")))
            }
        },
        _ => Err(Error::Usage(format!("ecr completions needs the name of one shell: {shells}"))),
    }
}

/// The word that stands where a command is expected.
fn unknown_command(words: &[String]) -> Option<&str> {
    words.first().map(String::as_str).filter(|word| !word.starts_with('-'))
}

fn no_such_command(session: &Session, service: &'static Service, word: &str) -> Error {
    let names = command_names(session, service);
    let near = difflib::close_matches(word, names.iter().map(String::as_str));
    let near = near.first().map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    let list = if help::is_private(service) { "`ecr --help`" } else { "`ecr public help`" };
    let near = if near.is_empty() { ";".to_owned() } else { near };
    Error::Usage(format!("there is no command {word}{near} {list} lists the commands"))
}

/// Finds the operation among the words. What may be suggested for a misspelt one is what the AWS CLI would suggest;
/// under our own name, also what only we have.
fn parse_operation(session: &Session, service: &'static Service, words: &[String]) -> Result<Parsed, Error> {
    let mut choices = command_names(session, service);
    // Version 1 had it and scripts may still call it, under either name.
    if help::is_private(service) && words.iter().any(|word| word == "get-login") {
        choices.push("get-login".to_owned());
    }
    choices.extend(session.aliases.names(&format!("command {}", service.name)).map(str::to_owned));
    let operation = Positional { name: "operation", required: true, choices: Some(choices) };
    let parser = Parser { options: Vec::new(), positionals: vec![operation] };
    parser.parse(words).map_err(|mistake| Error::CommandLine(mistake.0))
}

fn command_names(session: &Session, service: &'static Service) -> Vec<String> {
    let mut names: Vec<String> = service.operations().map(|operation| kebab(operation.name)).collect();
    names.extend(["get-login-password", "help"].map(String::from));
    if !help::is_private(service) {
        return names;
    }
    names.push("wait".to_owned());
    if session.ui.name() == Name::Ecr {
        names.extend(["completions", "get-login", "public"].map(String::from));
        names.extend(commands::COMMANDS.iter().map(|command| command.name.to_owned()));
    }
    names
}

fn is_command(session: &Session, service: &'static Service, name: &str) -> bool {
    service.operation_of_command(name).is_some()
        || command_names(session, service).iter().any(|command| command == name)
}

/// Shows a page of help, through a pager on a terminal.
fn show(session: &Session, write: impl FnOnce(&mut Page)) -> Result<ExitCode, Error> {
    let bold = session.ui.out_is_terminal() && !session.settings.no_color();
    let mut page = Page::new(session.ui.width(), bold);
    write(&mut page);
    session.page(&page.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_that_of_the_program_file() {
        for (called, expected) in [
            ("aws", Name::Aws),
            ("/usr/bin/aws", Name::Aws),
            ("ecr", Name::Ecr),
            ("target/debug/ecr", Name::Ecr),
        ] {
            assert_eq!(name(&[called.into()]), expected, "{called}");
        }
        assert_eq!(name(&[]), Name::Ecr);
    }
}
