//! Arguments to invocation, help, and dispatch.
//!
//! There are two parsers, each for what it is best at. The operations of AWS and the global options before them go
//! through `argparse`, driven by the tables in `options`, because their abbreviations, leftovers and texts are part of
//! what scripts rely on and clap cannot reproduce them. Commands of our own go through clap. The whole command line also
//! exists as one clap tree (`clap_tree`), for what clap is best at: man pages, completions and short help.
//!
//! `dispatch` finds the parser and the service by the name that this program was called by, and this file the service's
//! operation or custom command. What then happens is in `operation`, `wait`, `get_login_password`, `own_command`, `help`
//! and `forward`.

mod alias;
mod argparse;
mod clap_tree;
mod complete;
mod completion_scripts;
mod debug;
mod difflib;
mod dispatch;
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
use crate::ui::{Name, Ui};

use alias::Step;
use argparse::{Parsed, Parser, Positional};
use help_page::Page;
use session::Session;

pub use clap_tree::command;
pub use completion_scripts::{SHELLS, completion};

/// Runs the program with these arguments, the program's own name first.
pub fn run(arguments: &[OsString]) -> ExitCode {
    let mut session = Session::new(Ui::new(name(arguments)));
    match dispatch::dispatch(&mut session, arguments) {
        Ok(code) => code,
        Err(error) => report::report(&session, &error),
    }
}

/// The name that this program was called by.
fn name(arguments: &[OsString]) -> Name {
    let called = arguments.first().and_then(|first| Path::new(first).file_stem());
    if called.is_some_and(|called| called == "aws") { Name::Aws } else { Name::Ecr }
}

/// Runs an operation or a custom command of a service.
fn run_of_service(
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
        return run_of_service(session, model::ecr_public(), &parsed.rest, help);
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
        Some(Step::Words(words)) => return run_of_service(session, service, &words, help),
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

/// Returns the first word, if it is no option: the unknown name in the place of a command.
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
