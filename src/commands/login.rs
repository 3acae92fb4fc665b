//! `ecr login`: passwords into docker's, podman's or helm's file, and everything around them.
//!
//! Decisions: without a HOST it is the identity's own registry in the configured region. The password comes from the
//! cache where it is good, and `--fresh` asks for a new one. What was done is said on stderr; stdout is for `--print`,
//! `--dry-run`'s diff and the listings.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches};
use serde_json::{Map, json};

use super::login_hosts::{self, address, in_use, rules, target};
use super::{Command, Context, login_setup};
use crate::auth::auth_file::{Change, Client};
use crate::auth::cached_token::CachedToken;
use crate::auth::get_authorization_token::moment;
use crate::auth::login::LoginContext;
use crate::auth::login_conf::EXAMPLE;
use crate::auth::login_error::LoginError;
use crate::auth::target::Target;
use crate::auth::write_login::{self, CredentialLocation};
use crate::error::Error;

/// The row of this verb.
pub(super) const COMMAND: Command = Command { name: "login", define, run };

const RULES: &str = "LOGIN.CONF

The file is found at ECR_LOGIN_CONFIG, $XDG_CONFIG_HOME/ecr/login.conf or ~/.config/ecr/login.conf. The first rule whose \
conditions all hold decides; where none does, the credentials are those that every AWS tool takes. Conditions are globs \
(*, ?), several of them separated by blanks: match_host, match_account, match_region. Then come registry (which registry a \
host of another name stands for), profile, role_arn with external_id and role_session_name, region, endpoint_url, and \
anonymous = true. 'ecr login --check HOST' shows what holds for a host. For example:";

fn define() -> clap::Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    clap::Command::new("login")
        .about("Log in to registries, without docker")
        .long_about(
            "Log in to registries: write a password, valid for 12 hours, where docker, podman or helm looks for it. \
             Or, once and for all, make docker ask this program whenever it needs one (--helper). Which credentials \
             are used for which registry can be said in ~/.config/ecr/login.conf.",
        )
        .after_long_help(format!(
            "{RULES}\n\n    {}",
            EXAMPLE.replace('\n', "\n    ").replace("    \n", "\n").trim_end()
        ))
        .args(places())
        .arg(flag("all", "Every registry of ECR that docker's file, login.conf and the cache name."))
        .arg(flag("fresh", "Ask for a new password, whatever the cache has."))
        .arg(flag("print", "Print the login file instead of writing it."))
        .arg(flag("dry-run", "Show as a diff what would change, and change nothing."))
        .arg(flag("helper", "Make docker ask this program for the registries' passwords."))
        .arg(flag("undo", "With --helper: take it back.").requires("helper"))
        .arg(flag("check", "Show which credentials are used for the registries, and whether login.conf is sound."))
        .arg(
            Arg::new("cache")
                .long("cache")
                .value_name("ACTION")
                .value_parser(["list", "clear"])
                .help("List or clear the passwords that are kept."),
        )
        .group(ArgGroup::new("what").args(["helper", "check", "cache", "print"]))
}

/// The registries and the files, which `logout` has too.
pub(super) fn places() -> [Arg; 5] {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    [
        Arg::new("host")
            .value_name("HOST")
            .num_args(0..)
            .help("The registries' hosts; yours in the region, if none."),
        flag("docker", "docker's file. This is the default."),
        flag("podman", "The file of podman, skopeo and buildah."),
        flag("helm", "helm's file."),
        Arg::new("file").long("file").value_name("FILE").help("Another file of the same form."),
    ]
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let logins = LoginContext::open(&context.settings);
    let done = if matches.get_flag("check") {
        login_setup::check(context, &logins, matches)
    } else if matches.get_flag("helper") {
        login_setup::helper(context, &logins, matches)
    } else if let Some(action) = matches.get_one::<String>("cache") {
        login_setup::cache(context, &logins, action)
    } else {
        log_in(context, &logins, matches)
    };
    context.ui.say(&logins.log.take_lines());
    if let Some(warning) = logins.warning() {
        context.ui.note(&format!("ecr: {warning}"));
    }
    done?;
    Ok(ExitCode::SUCCESS)
}

/// The files that are meant, and whose they are.
pub(super) fn files(
    context: &Context,
    matches: &ArgMatches,
) -> anyhow::Result<Vec<(Option<Client>, PathBuf)>> {
    let mut files = Vec::new();
    for client in [Client::Docker, Client::Podman, Client::Helm] {
        if matches.get_flag(client.name()) {
            files.push((Some(client), client.file(&context.settings)?));
        }
    }
    if let Some(file) = matches.get_one::<String>("file") {
        files.push((None, PathBuf::from(file)));
    }
    if files.is_empty() {
        files.push((Some(Client::Docker), Client::Docker.file(&context.settings)?));
    }
    Ok(files)
}

fn log_in(context: &Context, logins: &LoginContext<'_>, matches: &ArgMatches) -> anyhow::Result<()> {
    if context.settings.local() {
        anyhow::bail!(Error::Usage(
            "--local needs no login. For docker on 'ecr local serve', say --endpoint-url http://localhost:PORT"
                .to_owned()
        ));
    }
    let rules = rules(&context.settings)?;
    let hosts = login_hosts::given(matches);
    let hosts = if matches.get_flag("all") { in_use(context, logins, &rules, hosts)? } else { hosts };
    let targets = if hosts.is_empty() {
        vec![login_hosts::own(context)?]
    } else {
        hosts.iter().map(|host| target(&rules, &address(host)?)).collect::<anyhow::Result<_>>()?
    };
    if matches.get_flag("dry-run") {
        return would_write(context, matches, &targets);
    }
    let mut entries = Vec::new();
    for target in &targets {
        let entry = password(logins, target, matches.get_flag("fresh"))?;
        let host = if target.host.is_empty() { entry.registry.clone() } else { target.host.clone() };
        if host.is_empty() {
            anyhow::bail!(Error::Other("the answer names no registry: say its HOST".to_owned()));
        }
        entries.push((host, entry));
    }
    if matches.get_flag("print") {
        let auths: Map<_, _> =
            entries.into_iter().map(|(host, entry)| (host, json!({ "auth": entry.token }))).collect();
        let text = serde_json::to_string_pretty(&json!({ "auths": auths }))?;
        return Ok(context.ui.print(&format!("{text}\n"))?);
    }
    for (client, file) in files(context, matches)? {
        for (host, entry) in &entries {
            write_one(context, client, &file, host, entry)?;
        }
    }
    Ok(())
}

/// A registry's password.
pub(super) fn password(
    logins: &LoginContext<'_>,
    target: &Target,
    fresh: bool,
) -> anyhow::Result<CachedToken> {
    if target.anonymous() {
        anyhow::bail!(Error::Configuration {
            code: "Configuration",
            message: format!("login.conf says that {} is used without a login", target.host),
        });
    }
    if fresh {
        logins.forget(target)?;
    }
    logins.login(target, None).map_err(|failure| {
        let whom =
            if target.host.is_empty() { format!("ECR in {}", target.region) } else { target.host.clone() };
        anyhow::Error::from(error(&failure, &format!("login to {whom} failed: {}", logins.said(&failure))))
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
    let until = moment(entry.expires);
    let home = if client == Some(Client::Podman) {
        // podman's file may name helpers too, but never a store.
        CredentialLocation::File
    } else {
        write_login::home(&crate::auth::auth_file::read(file)?, host)
    };
    let whose = client.map(|client| format!("{}: ", client.name())).unwrap_or_default();
    let place = match home {
        CredentialLocation::Ours => {
            let line =
                format!("{host}: nothing to write, {} asks the helper for it", whose.trim_end_matches(": "));
            context.ui.note(&line);
            return Ok(());
        }
        CredentialLocation::Program(program) => {
            let (user, password) = entry.login().unwrap_or_default();
            write_login::into_program(&context.settings, &program, file, host, (&user, &password))?;
            format!("docker-credential-{program}")
        }
        CredentialLocation::File => {
            told(context, &write_login::into_file(file, host, &entry.token, false)?);
            file.display().to_string()
        }
    };
    context.ui.note(&format!("Logged in to {host} until {until} ({whose}{place})"));
    Ok(())
}

/// Says what a change did to who can read the file.
pub(super) fn told(context: &Context, change: &Change) {
    if let Some(note) = &change.note {
        context.ui.note(&format!("ecr: {note}"));
    }
}

fn would_write(context: &Context, matches: &ArgMatches, targets: &[Target]) -> anyhow::Result<()> {
    for (_, file) in files(context, matches)? {
        let change = crate::auth::auth_file::change(&file, true, &|json| {
            for target in targets {
                let host = if target.host.is_empty() { "(your registry)" } else { &target.host };
                if write_login::home(json, host) == CredentialLocation::File {
                    json.set(&["auths", host], &json!({ "auth": "(a new password)" }))?;
                }
            }
            Ok(())
        })?;
        context.ui.print(&change.diff())?;
    }
    Ok(())
}
