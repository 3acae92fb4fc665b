//! `ecr logout`: passwords out of docker's, podman's or helm's file, and out of the cache.

use std::process::ExitCode;

use clap::ArgMatches;

use super::login_args::LogoutArgs;
use super::login_hosts::{address, in_use, rules};
use super::{Command, Context, command_args};
use crate::auth::auth_file::Client;
use crate::auth::login::LoginContext;
use crate::auth::write_login::{self, CredentialLocation};
use crate::error::Error;

/// The row of `ecr logout`.
pub(super) const COMMAND: Command = Command { name: "logout", in_public: false, define, run };

fn define() -> clap::Command {
    let command = clap::Command::new("logout")
        .about("Remove the passwords of registries")
        .long_about(
            "Remove the passwords of registries from the files of docker, podman or helm, and from the cache. A helper \
             that docker asks ('ecr login --helper') stays: --undo there takes it back.",
        );
    command_args::define::<LogoutArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, logout)
}

fn logout(context: &Context, args: &LogoutArgs) -> anyhow::Result<ExitCode> {
    let logins = LoginContext::open(&context.settings);
    let rules = rules(&context.settings)?;
    let hosts = args.places.hosts.clone();
    if hosts.is_empty() && !args.all {
        anyhow::bail!(Error::Usage("Which registry? Name its HOST, or say --all".to_owned()));
    }
    let hosts = if args.all { in_use(context, &logins, &rules, hosts)? } else { hosts };
    let dry_run = args.dry_run;
    for host in &hosts {
        let address = address(host)?;
        let mut found = false;
        for (client, file) in args.places.files(&context.settings)? {
            found |= out_of(context, client, &file, &address.to_string(), dry_run)?;
        }
        if let (false, Some(registry)) = (dry_run, rules.registry(&address)) {
            found |= logins.forget(&registry)? > 0;
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
    let change = write_login::remove_from_file(file, host, dry_run)?;
    super::login::told(context, &change);
    if dry_run {
        context.ui.print(&change.diff())?;
        return Ok(change.has_effect());
    }
    if let CredentialLocation::Program(program) = write_login::location_of(client, file, host)? {
        write_login::erase_with_program(&context.settings, &program, file, host)?;
        return Ok(true);
    }
    Ok(change.has_effect())
}
