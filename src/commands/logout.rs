//! `ecr logout`: passwords out of docker's, podman's or helm's file, and out of the cache.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches};

use super::login::{files, places};
use super::login_hosts::{address, given, in_use, rules};
use super::{Command, Context};
use crate::auth::auth_file::{self, Client};
use crate::auth::login::LoginContext;
use crate::auth::write_login::{self, CredentialLocation};
use crate::error::Error;

/// The row of this verb.
pub(super) const COMMAND: Command = Command { name: "logout", define, run };

fn define() -> clap::Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    clap::Command::new("logout")
        .about("Remove the passwords of registries")
        .long_about(
            "Remove the passwords of registries from the files of docker, podman or helm, and from the cache. A helper \
             that docker asks ('ecr login --helper') stays: --undo there takes it back.",
        )
        .args(places())
        .arg(flag("all", "Every registry of ECR that docker's file, login.conf and the cache name."))
        .arg(flag("dry-run", "Show as a diff what would change, and change nothing."))
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let logins = LoginContext::open(&context.settings);
    let rules = rules(&context.settings)?;
    let hosts = given(matches);
    if hosts.is_empty() && !matches.get_flag("all") {
        anyhow::bail!(Error::Usage("Which registry? Name its HOST, or say --all".to_owned()));
    }
    let hosts = if matches.get_flag("all") { in_use(context, &logins, &rules, hosts)? } else { hosts };
    let dry_run = matches.get_flag("dry-run");
    for host in &hosts {
        let address = address(host)?;
        let mut found = false;
        for (client, file) in files(context, matches)? {
            found |= out_of(context, client, &file, &address.to_string(), dry_run)?;
        }
        if let (false, Some(target)) = (dry_run, rules.target(&address)) {
            found |= logins.forget(&target)? > 0;
        }
        if !dry_run {
            let what = if found { "Removed the login of" } else { "There was no login of" };
            context.ui.note(&format!("{what} {address}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn out_of(
    context: &Context,
    client: Option<Client>,
    file: &std::path::Path,
    host: &str,
    dry_run: bool,
) -> anyhow::Result<bool> {
    let change = write_login::out_of_file(file, host, dry_run)?;
    super::login::told(context, &change);
    if dry_run {
        context.ui.print(&change.diff())?;
        return Ok(change.is_one());
    }
    if client != Some(Client::Podman)
        && let CredentialLocation::Program(program) = write_login::home(&auth_file::read(file)?, host)
    {
        write_login::out_of_program(&context.settings, &program, file, host)?;
        return Ok(true);
    }
    Ok(change.is_one())
}
