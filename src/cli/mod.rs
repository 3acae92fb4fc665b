//! Arguments to invocation, help, and dispatch.
//!
//! There are two parsers, each for what it is best at. The operations of AWS and the global options before them go
//! through `argparse`, driven by the tables in `options`, because their abbreviations, leftovers and texts are part of
//! what scripts rely on and clap cannot reproduce them. Our own verbs go through clap. The whole command line also
//! exists as one clap tree (`command`), for what clap is best at: man pages, completions and short help.
//!
//! This file finds out who is meant: which name we go by, which parser, which service, which operation. What then
//! happens is in `operation`, `wait`, `login`, `verb`, `help` and `forward`.

mod argparse;
mod command;
mod difflib;
mod forward;
mod globals;
mod help;
mod login;
mod operation;
mod options;
mod page;
mod present;
mod report;
mod session;
mod timestamps;
mod verb;
mod wait;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::commands;
use crate::error::Error;
use crate::model::{self, Service, names::kebab};
use crate::ui::{Name, Ui};

use argparse::{Arity, Opt, Parsed, Parser, Positional};
use page::Page;
use session::Session;

pub use command::command;

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
    let mut main = Parser { options: options::globals(name == Name::Ecr), positionals: Vec::new() };
    let first = main.first_argument(&words);
    match (name, first) {
        (Name::Ecr, Some(first)) => {
            if let Some(command) = commands::COMMANDS.iter().find(|command| command.name == first) {
                return verb::run(session, command, arguments);
            }
        }
        (Name::Aws, Some(first)) if !["ecr", "ecr-public"].contains(&first) => {
            return hand_over(session, arguments, first);
        }
        _ => {}
    }
    first_pass(session, &words)?;
    // A broken configuration file stops the AWS CLI here, whatever the command.
    session.settings.profiles()?;
    // `ecr OPERATION` is parsed as `aws ecr OPERATION` is: by a parser that first takes the service's name.
    let words = if name == Name::Ecr { [vec!["ecr".to_owned()], words].concat() } else { words };
    refuse_prompting(&words)?;
    main.positionals.push(Positional { name: "command", required: true, choices: None });
    let parsed = main.parse(&words).map_err(|mistake| Error::CommandLine(mistake.0))?;
    if parsed.stopped.is_some() {
        return version(session, arguments);
    }
    session.take_globals(&parsed)?;
    let private = parsed.one("command") == Some("ecr");
    let service = if private { model::ecr() } else { model::ecr_public() };
    let help = parsed.flag("help").is_some();
    serve(session, service, &parsed.rest, help)
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

/// Another service's command, or the AWS CLI's own, is the business of the next `aws`.
fn hand_over(session: &Session, arguments: &[OsString], command: &str) -> Result<ExitCode, Error> {
    if let Some(program) = forward::next_aws(&session.settings) {
        return forward::become_program(&program, arguments);
    }
    if command == "help" {
        return show(session, |page| {
            for service in model::services() {
                help::service(page, Name::Aws, service);
            }
        });
    }
    let known = model::services().map(|service| service.name);
    if !difflib::close_matches(command, known).is_empty() {
        return Err(Error::CommandLine(format!(
            "argument command: {}",
            argparse::invalid_choice(command, known.into_iter())
        )));
    }
    Err(Error::Usage(format!(
        "this aws is ecr, which knows `aws ecr` and `aws ecr-public` only, and there is no other aws on PATH that \
         `aws {command}` could be handed to"
    )))
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
        Err(_) if help => return verb::short_help(session, &[]),
        result => result?,
    };
    let operation = parsed.one("operation").unwrap_or_default();
    if operation == "public" && help::is_private(service) {
        return serve(session, model::ecr_public(), &parsed.rest, help);
    }
    if help {
        let public = (!help::is_private(service)).then_some("public");
        return verb::short_help(session, &public.into_iter().chain([operation]).collect::<Vec<_>>());
    }
    match operation {
        "help" => show(session, |page| help::service(page, session.ui.name(), service)),
        "get-login-password" => login::get_login_password(session, service, &parsed.rest),
        "get-login" => login::get_login(session, service, &parsed.rest),
        "wait" => wait::run(session, service, &parsed.rest),
        command => match service.operation_of_command(command) {
            Some(found) => operation::run(session, service, found, &parsed.rest),
            None => Err(Error::Other(format!("{command} is not a command"))),
        },
    }
}

/// Finds the operation among the words. What may be suggested for a misspelt one is what the AWS CLI would suggest;
/// under our own name, also what only we have.
fn parse_operation(session: &Session, service: &'static Service, words: &[String]) -> Result<Parsed, Error> {
    let private = help::is_private(service);
    let mut choices: Vec<String> = service.operations().map(|operation| kebab(operation.name)).collect();
    choices.extend(["get-login-password", "help"].map(String::from));
    if private {
        choices.push("wait".to_owned());
        // Version 1 had it and scripts may still call it, under either name.
        if session.ui.name() == Name::Ecr || words.iter().any(|word| word == "get-login") {
            choices.push("get-login".to_owned());
        }
    }
    if private && session.ui.name() == Name::Ecr {
        choices.push("public".to_owned());
        choices.extend(commands::COMMANDS.iter().map(|command| command.name.to_owned()));
    }
    let operation = Positional { name: "operation", required: true, choices: Some(choices) };
    let parser = Parser { options: Vec::new(), positionals: vec![operation] };
    parser.parse(words).map_err(|mistake| Error::CommandLine(mistake.0))
}

/// Shows a page of help, through a pager on a terminal.
fn show(session: &Session, write: impl FnOnce(&mut Page)) -> Result<ExitCode, Error> {
    let mut page = Page::new(session.ui.width(), session.ui.out_is_terminal());
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
