//! `ecr login`: passwords into docker's, podman's or helm's file, and everything around them.
//!
//! Decisions: without a HOST it is the identity's own registry in the configured region. The password comes from the
//! cache where it is good, and `--fresh` asks for a new one. `--local` is a file of its own (`login_embedded`). What was done is said on stderr; stdout is for `--print`,
//! `--dry-run`'s diff and the listings.

use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::{Map, json};

use super::login_args::{LoginArgs, PlaceArgs};
use super::login_hosts::{self, address, in_use, registry, rules};
use super::{Command, Context, command_args, login_embedded, login_setup};
use crate::auth::auth_file::{Change, Client};
use crate::auth::cached_token::CachedToken;
use crate::auth::ecr_registry::EcrRegistry;
use crate::auth::get_authorization_token::format_time;
use crate::auth::login::LoginContext;
use crate::auth::login_conf::EXAMPLE;
use crate::auth::login_error::LoginError;
use crate::auth::write_login::{self, CredentialLocation};
use crate::error::Error;

/// The row of `ecr login`.
pub(super) const COMMAND: Command = Command { name: "login", in_public: false, define, run };

const RULES: &str = "LOGIN.CONF

The file is found at ECR_LOGIN_CONFIG, $XDG_CONFIG_HOME/ecr/login.conf or ~/.config/ecr/login.conf. The first rule whose \
conditions all hold decides; where none does, the credentials are those that every AWS tool takes. Conditions are globs \
(*, ?), several of them separated by blanks: match_host, match_account, match_region. Then come registry (which registry a \
host of another name stands for), profile, role_arn with external_id and role_session_name, region, endpoint_url, and \
anonymous = true. 'ecr login --check HOST' shows what holds for a host. For example:";

fn define() -> clap::Command {
    let command = clap::Command::new("login")
        .about("Log in to registries, without docker")
        .long_about(
            "Log in to registries: write a password, valid for 12 hours, where docker, podman or helm looks for it. \
             Or, once and for all, make docker ask this program whenever it needs one (--helper). Which credentials \
             are used for which registry can be said in ~/.config/ecr/login.conf. With --local the password is for \
             the embedded ECR, at the address of its repository URIs.",
        )
        .after_long_help(format!(
            "{RULES}\n\n    {}",
            EXAMPLE.replace('\n', "\n    ").replace("    \n", "\n").trim_end()
        ));
    command_args::define::<LoginArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, login)
}

fn login(context: &Context, args: &LoginArgs) -> anyhow::Result<ExitCode> {
    let logins = LoginContext::open(&context.settings);
    let done = if args.check {
        login_setup::check(context, &logins, &args.places.hosts)
    } else if args.helper {
        login_setup::helper(context, &logins, args)
    } else if let Some(action) = &args.cache {
        login_setup::cache(context, &logins, action)
    } else {
        log_in(context, &logins, args)
    };
    context.ui.say(&logins.log.take_lines());
    if let Some(warning) = logins.warning() {
        context.ui.note(&format!("ecr: {warning}"));
    }
    done?;
    Ok(ExitCode::SUCCESS)
}

fn log_in(context: &Context, logins: &LoginContext<'_>, args: &LoginArgs) -> anyhow::Result<()> {
    if context.settings.local() {
        let (host, entry) = login_embedded::entry(context, args)?;
        return if args.dry_run {
            would_write(context, &args.places, &[host])
        } else {
            write(context, args, &[(host, entry)])
        };
    }
    let rules = rules(&context.settings)?;
    let hosts = args.places.hosts.clone();
    let hosts = if args.all { in_use(context, logins, &rules, hosts)? } else { hosts };
    let registries = if hosts.is_empty() {
        vec![login_hosts::own(context)?]
    } else {
        hosts.iter().map(|host| registry(&rules, &address(host)?)).collect::<anyhow::Result<_>>()?
    };
    if args.dry_run {
        let hosts: Vec<_> = registries.into_iter().map(|registry| registry.host).collect();
        return would_write(context, &args.places, &hosts);
    }
    let mut entries = Vec::new();
    for registry in &registries {
        let entry = password(logins, registry, args.fresh)?;
        let host = if registry.host.is_empty() { entry.registry.clone() } else { registry.host.clone() };
        if host.is_empty() {
            anyhow::bail!(Error::Other("the answer names no registry: say its HOST".to_owned()));
        }
        entries.push((host, entry));
    }
    write(context, args, &entries)
}

/// Writes the passwords into the login files, or prints them with `--print`.
fn write(context: &Context, args: &LoginArgs, entries: &[(String, CachedToken)]) -> anyhow::Result<()> {
    if args.print {
        let auths: Map<_, _> =
            entries.iter().map(|(host, entry)| (host.clone(), json!({ "auth": entry.token }))).collect();
        let text = serde_json::to_string_pretty(&json!({ "auths": auths }))?;
        return Ok(context.ui.print(&format!("{text}\n"))?);
    }
    for (client, file) in args.places.files(&context.settings)? {
        for (host, entry) in entries {
            write_one(context, client, &file, host, entry)?;
        }
    }
    Ok(())
}

/// A registry's password.
pub(super) fn password(
    logins: &LoginContext<'_>,
    registry: &EcrRegistry,
    fresh: bool,
) -> anyhow::Result<CachedToken> {
    if registry.anonymous() {
        anyhow::bail!(Error::Configuration {
            code: "Configuration",
            message: format!("login.conf says that {} is used without a login", registry.host),
        });
    }
    if fresh {
        logins.forget(registry)?;
    }
    logins.login(registry, None).map_err(|failure| {
        let whom = if registry.host.is_empty() {
            format!("ECR in {}", registry.region)
        } else {
            registry.host.clone()
        };
        anyhow::Error::from(error(
            &failure,
            &format!("login to {whom} failed: {}", logins.one_line(&failure)),
        ))
    })
}

/// A failure as the program's error, with its exit code.
fn error(failure: &LoginError, message: &str) -> Error {
    let message = message.to_owned();
    match failure {
        LoginError::NoCredentials { .. } | LoginError::Credentials { .. } => {
            Error::Configuration { code: "NoCredentials", message }
        }
        LoginError::Rules(_) | LoginError::Settings(_) => {
            Error::Configuration { code: "Configuration", message }
        }
        LoginError::Denied { .. } | LoginError::Refused { .. } | LoginError::Busy { .. } => {
            Error::Refused { text: message, members: Map::new() }
        }
        LoginError::Unreachable(_) | LoginError::Empty(_) => Error::Other(message),
    }
}

fn write_one(
    context: &Context,
    client: Option<Client>,
    file: &std::path::Path,
    host: &str,
    entry: &CachedToken,
) -> anyhow::Result<()> {
    let until = format_time(entry.expires);
    let whose = client.map(|client| format!("{}: ", client.name())).unwrap_or_default();
    let place = match write_login::location_of(client, file, host)? {
        CredentialLocation::OwnHelper => {
            let line =
                format!("{host}: nothing to write, {} asks the helper for it", whose.trim_end_matches(": "));
            context.ui.note(&line);
            return Ok(());
        }
        CredentialLocation::Program(program) => {
            let (user, password) = entry.login().unwrap_or_default();
            write_login::store_with_program(&context.settings, &program, file, host, (&user, &password))?;
            format!("docker-credential-{program}")
        }
        CredentialLocation::File => {
            told(context, &write_login::store_in_file(file, host, &entry.token, false)?);
            file.display().to_string()
        }
    };
    context.ui.note(&format!("Logged in to {host} until {until} ({whose}{place})"));
    Ok(())
}

/// Describes a change of the file's readers.
pub(super) fn told(context: &Context, change: &Change) {
    if let Some(note) = &change.note {
        context.ui.note(&format!("ecr: {note}"));
    }
}

fn would_write(context: &Context, places: &PlaceArgs, hosts: &[String]) -> anyhow::Result<()> {
    for (_, file) in places.files(&context.settings)? {
        let change = crate::auth::auth_file::change(&file, true, &|json| {
            for host in hosts {
                let host = if host.is_empty() { "(your registry)" } else { host };
                if write_login::credential_location(json, host) == CredentialLocation::File {
                    json.set(&["auths", host], &json!({ "auth": "(a new password)" }))?;
                }
            }
            Ok(())
        })?;
        context.ui.print(&change.diff())?;
    }
    Ok(())
}
