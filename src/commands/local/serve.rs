//! `ecr local serve`: the embedded ECR as a server, until a signal ends it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{ArgMatches, ValueHint};

use super::{Context, Error};
use crate::commands::command_args;
use crate::commands::connect::reach;
use crate::commands::signals::Listener;
use crate::commands::threads;
use crate::image::host::is_account_id;
use crate::local::http::{Credentials, Log, Options, Rule, Server};
use crate::local::{DEFAULT_PORT, Local};
use crate::platform;
use crate::store::private_temporary;

/// The arguments of `ecr local serve`.
#[derive(Debug, clap::Args)]
struct ServeArgs {
    /// The port to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT)]
    port: u16,
    /// The address to listen on; one that other machines can reach needs --credentials or --trust-network
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// Let in whoever reaches the address, without checking signatures
    #[arg(
        long,
        conflicts_with = "credentials",
        long_help = "Let in whoever reaches the address, without checking signatures: for a network that is trusted, such as \
                     that of a CI job. Requests must be for an IP address, for a name without dots such as ecr, or for one of \
                     --hostname, so that no web page can reach the server under a name of its own."
    )]
    trust_network: bool,
    /// Serve HTTPS with this certificate chain, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Take only requests signed with a key of this file, which is like ~/.aws/credentials
    #[arg(
        long,
        value_name = "FILE",
        long_help = "Take only requests signed with a key of this file, which is like ~/.aws/credentials. Beside \
                     aws_access_key_id and aws_secret_access_key, a section may say whose the key is: principal_arn is the \
                     ARN of a user, a role, a session of a role or an account's root, and aws_account_id an account; may_assume \
                     lists the ARNs of roles that sts assume-role gives it."
    )]
    credentials: Option<PathBuf>,
    /// Carry out lifecycle policies now and then every so often, as 90s, 30m, 12h or 1d; never by default
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    lifecycle_every: Option<Duration>,
    /// How long an archived image is ACTIVATING before it is back, as 90s or 20m; not at all by default
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    restore_time: Option<Duration>,
    /// Wait for the disk, so that what is acknowledged survives a power cut and not only the process
    #[arg(long, conflicts_with = "ephemeral")]
    durable: bool,
    #[command(flatten)]
    behaviour: BehaviourArgs,
}

/// Arguments that `run` has too.
#[derive(Debug, clap::Args)]
pub(super) struct BehaviourArgs {
    /// Serve an empty store that is deleted at the end, instead of the folder
    #[arg(long)]
    pub(super) ephemeral: bool,
    /// The account of callers whose access key is not twelve digits
    #[arg(long, value_name = "ACCOUNT", value_hint = ValueHint::Other, value_parser = account)]
    account: Option<String>,
    /// Ask for no credentials in docker's registry API
    #[arg(long)]
    anonymous: bool,
    /// A further name under which clients reach the server
    #[arg(
        long = "hostname",
        value_name = "NAME",
        value_hint = ValueHint::Hostname,
        long_help = "A further name under which clients reach the server. One that checks no signatures takes requests for \
                     127.0.0.1, localhost, [::1] and the hosts of Amazon ECR only (with --trust-network also for any address and \
                     any name without dots), so that no web page can reach it under a name of its own. May be given more than \
                     once."
    )]
    hostnames: Vec<String>,
    /// Let registry and repository policies decide who may do what
    #[arg(
        long,
        long_help = "Let registry and repository policies decide who may do what, as IAM evaluates them. A caller may do \
                     everything in its own account's registry unless a policy denies it, and in another one what a policy \
                     allows. Without this, policies are checked and kept, and every caller may do everything. Nothing keeps \
                     --local from the store, as its user has the folder."
    )]
    enforce_policies: bool,
    /// Deviate from the registry specification where this service does
    #[arg(long, value_name = "SERVICE", value_parser = ["ecr"])]
    quirks: Option<String>,
    /// Rules by which requests fail.
    #[arg(
        long = "fault",
        value_name = "RULE",
        help = "Make requests fail: TARGET,ACTION[,count=N][,after=N][,every=N][,probability=P][,seed=N]",
        long_help = "Make requests fail: TARGET,ACTION[,count=N][,after=N][,every=N][,probability=P][,seed=N]. TARGET is an \
                     operation, the beginning of a path such as /v2/ or 'PATCH /v2/', or *. ACTION is one of throttle, error=STATUS, \
                     delay=MILLISECONDS, drop=BYTES (the connection breaks after so many bytes of the answer), \
                     truncate=BYTES (it ends there), stall=BYTES (it comes to a halt there), corrupt, expire-uploads and \
                     expire-tokens. every=N strikes each N-th of the requests that match. May be given more than once; the \
                     first rule that strikes decides."
    )]
    faults: Vec<Rule>,
    /// What to write to stderr: nothing, requests that failed on this machine, or all requests
    #[arg(long, value_name = "LEVEL", value_parser = ["off", "error", "info"], default_value = "error")]
    log_level: String,
}

impl BehaviourArgs {
    /// The server's options at an address.
    pub(super) fn options(&self, context: &Context, address: SocketAddr) -> Options {
        let mut options = Options::loopback(0);
        options.address = address;
        if let Some(account) = &self.account {
            options.account.clone_from(account);
        }
        if let Some(region) = &context.settings.globals().region {
            options.region.clone_from(region);
        }
        options.anonymous = self.anonymous;
        options.enforces_policies = self.enforce_policies;
        options.quirks = self.quirks.is_some();
        options.hosts.clone_from(&self.hostnames);
        options.faults.clone_from(&self.faults);
        let (failures_only, ui) = (self.log_level == "error", context.ui.clone());
        options.log = (self.log_level != "off")
            .then(|| Log { failures_only, write: Arc::new(move |line| ui.note(line)) });
        options
    }
}

pub(super) fn define() -> clap::Command {
    let command = clap::Command::new("serve")
        .about("Serve the embedded ECR over HTTP on this machine")
        .long_about(
            "Serve the embedded ECR over HTTP on this machine, until Ctrl-C, SIGTERM or SIGHUP: Amazon ECR's API, and docker's \
             registry API for the repository URIs that it prints. The address is printed to stdout once requests are \
             answered. An access key of twelve digits is taken as the account; without --credentials signatures are not checked, as \
             only this machine, or with --trust-network only who is trusted, can reach the server.",
        );
    command_args::define::<ServeArgs>(command)
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

fn account(text: &str) -> Result<String, String> {
    if is_account_id(text) { Ok(text.to_owned()) } else { Err("an account has twelve digits".to_owned()) }
}

pub(super) fn run(context: &Context, folder: &Path, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, |context, args| serve(context, folder, args))
}

fn serve(context: &Context, folder: &Path, args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let options = server_options(context, args)?;
    let ephemeral = args.behaviour.ephemeral.then(ephemeral).transpose()?;
    let folder = ephemeral.as_ref().map_or(folder, tempfile::TempDir::path);
    let mut local = Local::open(folder)?.with_upstream_access(reach(&context.settings)?);
    if args.durable {
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

/// The server's options, with the files that they name.
fn server_options(context: &Context, args: &ServeArgs) -> anyhow::Result<Options> {
    let address = args.address;
    let is_signed = args.credentials.is_some() && !args.behaviour.anonymous;
    if !address.is_loopback() && !args.trust_network && !is_signed {
        let text = format!(
            "other machines can reach {address}: it takes --credentials FILE with the keys that requests must be signed \
             with, and no --anonymous; or --trust-network, which lets in whoever reaches it"
        );
        return Err(Error::Usage(text).into());
    }
    let mut options = args.behaviour.options(context, SocketAddr::from((address, args.port)));
    options.trusts_network = args.trust_network;
    if let Some(path) = &args.credentials {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        warn_of_readers(context, path, 0o077);
        let refused = |error| Error::Usage(format!("{}: {error}", path.display()));
        options.credentials = Some(Credentials::read(&text).map_err(refused)?);
    }
    options.lifecycle_every = args.lifecycle_every;
    options.restore_time = args.restore_time.unwrap_or_default();
    options.tls = args.tls_certificate.clone().zip(args.tls_key.clone());
    if let Some((_, key)) = &options.tls {
        // A group of their own for such keys is customary.
        warn_of_readers(context, key, 0o007);
    }
    Ok(options)
}

/// Warns of secrets that other users of this machine can read.
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
