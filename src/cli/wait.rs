//! `wait`: polls an operation until something is complete, and prints nothing.

use std::process::ExitCode;

use crate::commands::{self, block_on};
use crate::error::Error;
use crate::model::{Service, Waiter, names::kebab};
use crate::service::wait::wait as poll;

use super::alias::{self, Step};
use super::argparse::{Parser, Positional};
use super::help;
use super::operation::{self, Invocation, ParsedOperation};
use super::session::Session;

/// Runs `wait` with what follows it.
pub(super) fn run(
    session: &mut Session,
    service: &'static Service,
    words: &[String],
) -> Result<ExitCode, Error> {
    if words == ["help"] {
        return super::show(session, |page| help::waiters(page, session.ui.name(), service));
    }
    let section = format!("command {} wait", service.name);
    let mut choices: Vec<String> = service.waiters().map(|(name, _)| kebab(name)).collect();
    choices.extend(session.aliases.names(&section).map(str::to_owned));
    let subcommand = Positional { name: "subcommand", required: false, choices: Some(choices) };
    let parser = Parser { options: Vec::new(), positionals: vec![subcommand] };
    let parsed = parser.parse(words).map_err(|mistake| Error::CommandLine(mistake.0))?;
    let Some(chosen) = parsed.one("subcommand") else {
        if !parsed.rest.is_empty() {
            return Err(Error::Usage(format!("Unknown options: {}", parsed.rest.join(","))));
        }
        let (prefix, name) = (help::prefix(session.ui.name(), service), session.ui.name().text());
        let command = prefix.strip_prefix(name).unwrap_or_default().trim();
        let command = if command.is_empty() { "wait".to_owned() } else { format!("{command} wait") };
        return Err(Error::Usage(format!(
            "usage: {name} [options] {command} <subcommand> [parameters]\n{name}: [ERROR]: too few arguments"
        )));
    };
    // A waiter is not shadowed by an alias of its name.
    if !service.waiters().any(|(name, _)| kebab(name) == chosen) {
        match alias::follow(session, &section, chosen, &parsed.rest, false)? {
            Some(Step::Done(code)) => return Ok(code),
            Some(Step::Words(words) | Step::Itself(words)) => return run(session, service, &words),
            None => {}
        }
    }
    let Some((name, waiter)) = service.waiters().find(|(name, _)| kebab(name) == chosen) else {
        return Err(Error::Other(format!("{chosen} is not a waiter")));
    };
    let mut words = words.to_vec();
    if let Some(at) = words.iter().position(|word| word == chosen) {
        words.remove(at);
    }
    wait(session, service, (name, waiter), &words)
}

fn wait(
    session: &mut Session,
    service: &'static Service,
    (name, waiter): (&'static str, &'static Waiter),
    words: &[String],
) -> Result<ExitCode, Error> {
    let polled = service.operation(waiter.operation).expect("a waiter polls an operation of the model");
    let Invocation { input, skeleton, .. } = match operation::invocation(session, service, polled, words)? {
        ParsedOperation::Help => {
            return super::show(session, |page| {
                help::waiter(page, session.ui.name(), service, (name, waiter));
            });
        }
        ParsedOperation::Call(invocation) => invocation,
    };
    if let Some(kind) = skeleton {
        return operation::skeleton(session, service, polled, &kind, input);
    }
    let client = commands::connect(&session.settings, service).map_err(Error::from)?;
    let input = operation::decoded(session, service, polled, input)?;
    block_on(async { poll(&client, name, waiter, input).await.map_err(Error::from) })?;
    Ok(ExitCode::SUCCESS)
}
