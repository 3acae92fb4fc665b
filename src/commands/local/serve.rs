//! `ecr local serve`: the embedded ECR as a server, until a signal ends it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches};

use super::{Context, Error};
use crate::commands::connect::reach;
use crate::commands::signals::Listener;
use crate::commands::threads;
use crate::image::host::is_account_id;
use crate::local::http::{Credentials, Log, Options, Rule, Server};
use crate::local::{DEFAULT_PORT, Local};
use crate::platform;
use crate::store::private_temporary;

pub(super) fn define() -> clap::Command {
    clap::Command::new("serve")
        .about("Serve the embedded ECR over HTTP on this machine")
        .long_about(
            "Serve the embedded ECR over HTTP on this machine, until Ctrl-C, SIGTERM or SIGHUP: Amazon ECR's API, and docker's \
             registry API for the repository URIs that it prints. The address is printed to stdout once requests are \
             answered. An access key of twelve digits is taken as the account; without --credentials signatures are not checked, as \
             only this machine, or with --trust-network only who is trusted, can reach the server.",
        )
        .arg(
            Arg::new("port")
                .long("port")
                .value_name("PORT")
                .value_parser(clap::value_parser!(u16))
                .default_value(DEFAULT_PORT.to_string())
                .help("The port to listen on; 0 takes a free one"),
        )
        .arg(
            Arg::new("address")
                .long("address")
                .value_name("ADDRESS")
                .value_parser(clap::value_parser!(IpAddr))
                .default_value("127.0.0.1")
                .help(
                    "The address to listen on; one that other machines can reach needs --credentials or --trust-network",
                ),
        )
        .arg(
            Arg::new("trust-network")
                .long("trust-network")
                .action(ArgAction::SetTrue)
                .conflicts_with("credentials")
                .help("Let in whoever reaches the address, without checking signatures")
                .long_help(
                    "Let in whoever reaches the address, without checking signatures: for a network that is trusted, such as \
                     that of a CI job. Requests must be for an IP address, for a name without dots such as ecr, or for one of \
                     --hostname, so that no web page can reach the server under a name of its own.",
                ),
        )
        .arg(
            Arg::new("tls-certificate")
                .long("tls-certificate")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .requires("tls-key")
                .help("Serve HTTPS with this certificate chain, in PEM"),
        )
        .arg(
            Arg::new("tls-key")
                .long("tls-key")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .requires("tls-certificate")
                .help("The private key of the certificate, in PEM"),
        )
        .arg(
            Arg::new("credentials")
                .long("credentials")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Take only requests signed with a key of this file, which is like ~/.aws/credentials")
                .long_help(
                    "Take only requests signed with a key of this file, which is like ~/.aws/credentials. Beside \
                     aws_access_key_id and aws_secret_access_key, a section may say whose the key is: principal_arn is the \
                     ARN of a user, a role, a session of a role or an account's root, and aws_account_id an account; may_assume \
                     lists the ARNs of roles that sts assume-role gives it.",
                ),
        )
        .arg(
            Arg::new("lifecycle-every")
                .long("lifecycle-every")
                .value_name("DURATION")
                .value_parser(duration)
                .help("Carry out lifecycle policies now and then every so often, as 90s, 30m, 12h or 1d; never by default"),
        )
        .arg(
            Arg::new("restore-time")
                .long("restore-time")
                .value_name("DURATION")
                .value_parser(duration)
                .help("How long an archived image is ACTIVATING before it is back, as 90s or 20m; not at all by default"),
        )
        .arg(
            Arg::new("durable")
                .long("durable")
                .action(ArgAction::SetTrue)
                .conflicts_with("ephemeral")
                .help("Wait for the disk, so that what is acknowledged survives a power cut and not only the process"),
        )
        .args(behaviour())
}

/// Reads a number of seconds, minutes, hours or days.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a number and one of s, m, h and d, such as 12h".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: u32 = text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    if number == 0 { Err(wrong()) } else { Ok(Duration::from_secs(u64::from(number) * seconds)) }
}

/// The options that `run` has too.
pub(super) fn behaviour() -> Vec<Arg> {
    vec![
        Arg::new("ephemeral")
            .long("ephemeral")
            .action(ArgAction::SetTrue)
            .help("Serve an empty store that is deleted at the end, instead of the folder"),
        Arg::new("account")
            .long("account")
            .value_name("ACCOUNT")
            .value_parser(account)
            .help("The account of callers whose access key is not twelve digits"),
        Arg::new("anonymous")
            .long("anonymous")
            .action(ArgAction::SetTrue)
            .help("Ask for no credentials in docker's registry API"),
        Arg::new("hostname")
            .long("hostname")
            .value_name("NAME")
            .action(ArgAction::Append)
            .help("A further name under which clients reach the server")
            .long_help(
                "A further name under which clients reach the server. One that checks no signatures takes requests for \
                 127.0.0.1, localhost, [::1] and the hosts of Amazon ECR only (with --trust-network also for any address and \
                 any name without dots), so that no web page can reach it under a name of its own. May be given more than \
                 once.",
            ),
        Arg::new("enforce-policies")
            .long("enforce-policies")
            .action(ArgAction::SetTrue)
            .help("Let registry and repository policies decide who may do what")
            .long_help(
                "Let registry and repository policies decide who may do what, as IAM evaluates them. A caller may do \
                 everything in its own account's registry unless a policy denies it, and in another one what a policy \
                 allows. Without this, policies are checked and kept, and every caller may do everything. Nothing keeps \
                 --local from the store, as its user has the folder.",
            ),
        Arg::new("quirks")
            .long("quirks")
            .value_name("SERVICE")
            .value_parser(["ecr"])
            .help("Deviate from the registry specification where this service does"),
        Arg::new("fault")
            .long("fault")
            .value_name("RULE")
            .action(ArgAction::Append)
            .value_parser(clap::value_parser!(Rule))
            .help("Make requests fail: TARGET,ACTION[,count=N][,after=N][,probability=P][,seed=N]")
            .long_help(
                "Make requests fail: TARGET,ACTION[,count=N][,after=N][,probability=P][,seed=N]. TARGET is an operation, \
                 the beginning of a path such as /v2/ or 'PATCH /v2/', or *. ACTION is one of throttle, error=STATUS, \
                 delay=MILLISECONDS, drop=BYTES (the connection breaks after so many bytes of the answer), \
                 truncate=BYTES, corrupt, expire-uploads and expire-tokens. May be given more than once; the first rule \
                 that strikes decides.",
            ),
        Arg::new("log-level")
            .long("log-level")
            .value_name("LEVEL")
            .value_parser(["off", "error", "info"])
            .default_value("error")
            .help("What to write to stderr: nothing, requests that failed on this machine, or all requests"),
    ]
}

fn account(text: &str) -> Result<String, String> {
    if is_account_id(text) { Ok(text.to_owned()) } else { Err("an account has twelve digits".to_owned()) }
}

/// The options on the command line.
pub(super) fn options(context: &Context, matches: &ArgMatches, address: SocketAddr) -> Options {
    let mut options = Options::loopback(0);
    options.address = address;
    if let Some(account) = matches.get_one::<String>("account") {
        options.account.clone_from(account);
    }
    if let Some(region) = &context.settings.globals().region {
        options.region.clone_from(region);
    }
    options.anonymous = matches.get_flag("anonymous");
    options.enforces_policies = matches.get_flag("enforce-policies");
    options.quirks = matches.contains_id("quirks");
    options.hosts = matches.get_many("hostname").into_iter().flatten().cloned().collect();
    options.faults = matches.get_many("fault").into_iter().flatten().cloned().collect();
    let level = matches.get_one::<String>("log-level").map_or("error", String::as_str);
    let ui = context.ui.clone();
    options.log = (level != "off")
        .then(|| Log { failures_only: level == "error", write: Arc::new(move |line| ui.note(line)) });
    options
}

pub(super) fn run(context: &Context, folder: &Path, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let port = matches.get_one("port").copied().unwrap_or(DEFAULT_PORT);
    let address = matches.get_one("address").copied().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let trusts_network = matches.get_flag("trust-network");
    let signed = matches.contains_id("credentials") && !matches.get_flag("anonymous");
    if !address.is_loopback() && !trusts_network && !signed {
        let text = format!(
            "other machines can reach {address}: it takes --credentials FILE with the keys that requests must be signed \
             with, and no --anonymous; or --trust-network, which lets in whoever reaches it"
        );
        return Err(Error::Usage(text).into());
    }
    let mut options = options(context, matches, SocketAddr::from((address, port)));
    options.trusts_network = trusts_network;
    let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    if let Some(path) = path("credentials") {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        warn_of_readers(context, &path, 0o077);
        let none = || {
            Error::Usage(format!(
                "{}: every section needs aws_access_key_id and aws_secret_access_key, a key may be in one section only, and \
                 principal_arn and may_assume take ARNs of IAM",
                path.display()
            ))
        };
        options.credentials = Some(Credentials::read(&text).ok_or_else(none)?);
    }
    options.lifecycle_every = matches.get_one("lifecycle-every").copied();
    options.restore_time = matches.get_one("restore-time").copied().unwrap_or_default();
    options.tls = path("tls-certificate").zip(path("tls-key"));
    if let Some((_, key)) = &options.tls {
        // A group of their own for such keys is customary.
        warn_of_readers(context, key, 0o007);
    }
    let ephemeral = matches.get_flag("ephemeral").then(ephemeral).transpose()?;
    let folder = ephemeral.as_ref().map_or(folder, tempfile::TempDir::path);
    let mut local = Local::open(folder)?.with_upstream_access(reach(&context.settings)?);
    if matches.get_flag("durable") {
        local.make_durable();
    }
    runtime()?.block_on(async {
        // Installed before anyone can know that there is something to stop.
        let mut listener = Listener::new().context("signals cannot be received")?;
        let stop = async move {
            let _ = listener.signal().await;
        };
        let server = Server::bind(local, options).await?;
        let url = server.url();
        let ready = || {
            context.ui.note(&format!("serving {}; Ctrl-C stops", folder.display()));
            context.ui.print(&format!("{url}\n"))
        };
        server.run(ready, stop).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Tells of secrets that others on this machine can read.
fn warn_of_readers(context: &Context, path: &Path, others: u32) {
    let mode = std::fs::metadata(path).map_or(0, |facts| platform::mode(&facts) & 0o777);
    if mode & others != 0 {
        let path = path.display();
        context.ui.note(&format!(
            "warning: others can read or change {path} (mode {mode:04o}), which holds secrets: chmod 600 {path}"
        ));
    }
}

/// A folder that goes when it is dropped.
pub(super) fn ephemeral() -> anyhow::Result<tempfile::TempDir> {
    private_temporary("ecr-local-", &tempfile::env::temp_dir()).context("no temporary folder can be made")
}

pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    threads(8 * 1024 * 1024).enable_all().build().context("no threads can be started for the server")
}
