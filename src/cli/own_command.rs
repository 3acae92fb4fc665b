//! Commands of our own, and short help, through clap.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::commands::{self, Context};
use crate::error::Error;
use crate::settings::{Globals, PublicRegistry};

use super::session::Session;
use super::{clap_tree, debug, globals};

/// Parses the command line of a command of our own, and runs it.
pub(super) fn run(
    session: &mut Session,
    command: &commands::Command,
    arguments: &[OsString],
    public: PublicRegistry,
) -> Result<ExitCode, Error> {
    let mut definition = clap_tree::own_command(command);
    if let Some(text) = long_help(&mut definition, arguments) {
        return session.page(&text);
    }
    let matches = match definition.try_get_matches_from_mut(arguments) {
        Ok(matches) => matches,
        Err(shown) if !shown.use_stderr() => return session.print(&shown.render().to_string()),
        Err(wrong) => return Err(Error::Usage(sentence(&wrong.render().to_string(), command.name))),
    };
    let Some((_, matches)) = matches.subcommand() else {
        return Err(Error::Usage(format!("{} was not understood", command.name)));
    };
    let value = |name: &str| matches.try_get_one::<String>(name).ok().flatten().cloned();
    let flag = |name: &str| matches.try_get_one::<bool>(name).ok().flatten().is_some_and(|given| *given);
    let mut given = Globals { public, ..globals::collect(value, flag) };
    session.settings = session.resolved(given.clone());
    session.settings.check_endpoint_option()?;
    given.read_timeout = globals::seconds(value("cli-read-timeout").as_deref())?;
    given.connect_timeout = globals::seconds(value("cli-connect-timeout").as_deref())?;
    session.settings = session.resolved(given);
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    debug::settings(&session.settings, &words);
    let context = Context { settings: session.settings.clone(), ui: session.ui.clone() };
    (command.run)(&context, matches).map_err(Error::from)
}

/// clap's message as one sentence: what is wrong, what it is like, and where the options are listed.
fn sentence(message: &str, command: &str) -> String {
    let text = message.strip_prefix("error: ").unwrap_or(message);
    let mut parts = Vec::new();
    for paragraph in text.split("\n\n") {
        let paragraph = paragraph.trim();
        if paragraph.starts_with("Usage:") || paragraph.starts_with("For more information") {
            continue;
        }
        let lines = paragraph.lines().map(str::trim).map(|line| line.strip_prefix("tip: ").unwrap_or(line));
        parts.push(lines.collect::<Vec<_>>().join(" "));
    }
    format!("{}; `ecr {command} --help` lists the options", parts.join("; "))
}

/// Text of `VERB help` and `VERB SUBCOMMAND help`.
fn long_help(definition: &mut clap::Command, arguments: &[OsString]) -> Option<String> {
    let words: Option<Vec<&str>> = arguments.iter().skip(1).map(|word| word.to_str()).collect();
    let words = words?;
    let path = words.strip_suffix(&["help"])?;
    Some(found(definition, path).ok()?.render_long_help().to_string())
}

/// `--help`: the short help of the command at this path, from the clap tree.
pub(super) fn short_help(session: &Session, path: &[&str]) -> Result<ExitCode, Error> {
    let mut tree = clap_tree::command();
    let text = found(&mut tree, path)?.render_help().to_string();
    session.print(&text)
}

/// The command at this path, with all that it inherits.
fn found<'a>(root: &'a mut clap::Command, path: &[&str]) -> Result<&'a mut clap::Command, Error> {
    root.build();
    path.iter().try_fold(root, |command, name| {
        command
            .find_subcommand_mut(name)
            .ok_or_else(|| Error::Usage(format!("there is no command {name}; `ecr help` lists all")))
    })
}
