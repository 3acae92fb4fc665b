//! `ecr local run -- COMMAND`: a command with a server for as long as it runs.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{ExitCode, ExitStatus};

use anyhow::Context as _;
use clap::{ArgMatches, ValueHint};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use super::serve::BehaviourArgs;
use super::{Context, Error, serve};
use crate::commands::command_args;
use crate::commands::connect::reach;
use crate::commands::signals::Listener;
use crate::local::Local;
use crate::local::http::Server;
use crate::platform;

/// The arguments of `ecr local run`.
#[derive(Debug, clap::Args)]
struct RunArgs {
    #[command(flatten)]
    behaviour: BehaviourArgs,
    /// The command and its arguments
    #[arg(
        value_name = "COMMAND",
        value_hint = ValueHint::CommandWithArguments,
        num_args = 1..,
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

pub(super) fn define() -> clap::Command {
    let command = clap::Command::new("run")
        .about("Run a command with the embedded ECR at its service")
        .long_about(
            "Run a command with the embedded ECR at its service: a server starts on a free port and stops when the command \
             ends, whose exit code is passed on. The command finds AWS_ENDPOINT_URL_ECR, AWS_ENDPOINT_URL_ECR_PUBLIC, \
             AWS_ENDPOINT_URL_STS, AWS_REGION and credentials in its environment, and in ECR_REGISTRY the HOST:PORT to log in to and to push to.",
        );
    command_args::define::<RunArgs>(command)
}

pub(super) fn run(context: &Context, folder: &Path, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, |context, args| run_command(context, folder, args))
}

fn run_command(context: &Context, folder: &Path, args: &RunArgs) -> anyhow::Result<ExitCode> {
    let options = args.behaviour.options(context, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let ephemeral = args.behaviour.ephemeral.then(serve::ephemeral).transpose()?;
    let local = Local::open(ephemeral.as_ref().map_or(folder, tempfile::TempDir::path))?
        .with_upstream_access(reach(&context.settings)?);
    let (program, words) = args.command.split_first().context("the command is empty")?;
    let mut command = Command::new(program);
    command.args(words);
    serve::runtime()?.block_on(async {
        // Before the command can be told anything, so that nothing ends this process alone.
        let _listener = Listener::new().context("signals cannot be received")?;
        let mut signals = Signals::new(context.ui.in_is_terminal()).context("signals cannot be received")?;
        let (account, region) = (options.account.clone(), options.region.clone());
        let server = Server::bind(local, options).await?;
        let address = server.address().to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, ready) = oneshot::channel();
        let announce = || tell.send(()).map_err(|()| std::io::ErrorKind::BrokenPipe.into());
        let serving = server.run(announce, async { drop(stopped.await) });
        let work = async {
            let _ = ready.await;
            environment(&mut command, &address, &account, &region);
            let failed = |error| Error::Other(format!("cannot run {}: {error}", program.to_string_lossy()));
            let status = signals.pass_to(command.spawn().map_err(failed)?).await;
            drop(stop);
            Ok::<_, anyhow::Error>(status?)
        };
        // The server ends only when the work does, or when it could not begin.
        tokio::pin!(serving, work);
        let mut done = None;
        loop {
            tokio::select! {
                served = &mut serving => {
                    served?;
                    return match done {
                        Some(status) => Ok(code(status)),
                        None => work.await.map(code),
                    };
                }
                status = &mut work, if done.is_none() => done = Some(status?),
            }
        }
    })
}

fn environment(command: &mut Command, address: &str, account: &str, region: &str) {
    let endpoint = format!("http://{address}");
    for name in ["AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_ECR_PUBLIC", "AWS_ENDPOINT_URL_STS"] {
        command.env(name, &endpoint);
    }
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        command.env(name, region);
    }
    command
        .env("AWS_ACCESS_KEY_ID", account)
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("ECR_REGISTRY", address);
    // What would take the place of these, or ask for something that is not on this machine.
    for name in [
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "ECR_LOCAL",
    ] {
        command.env_remove(name);
    }
}

/// The exit code of a command; 128 and the signal where one ended it, as shells have it.
fn code(status: ExitStatus) -> ExitCode {
    let signal = platform::signal_of(status);
    let code = status.code().or(signal.map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1))
}

/// Signals that are the command's affair.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    /// Stdin is a terminal, which sends Ctrl-C to the child by itself.
    is_terminal: bool,
}

#[cfg(unix)]
impl Signals {
    fn new(is_terminal: bool) -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            is_terminal,
        })
    }

    /// Waits for a command, passing signals on to it meanwhile.
    async fn pass_to(&mut self, mut child: Child) -> std::io::Result<ExitStatus> {
        use rustix::process::{Pid, Signal, kill_process};
        let process = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        loop {
            let signal = tokio::select! {
                status = child.wait() => return status,
                _ = self.terminate.recv() => Signal::TERM,
                _ = self.hang_up.recv() => Signal::HUP,
                _ = self.interrupt.recv() => {
                    if self.is_terminal {
                        continue;
                    }
                    Signal::INT
                }
            };
            if let Some(process) = process {
                // A command that is gone already is what the next round finds.
                let _ = kill_process(process, signal);
            }
        }
    }
}

/// Stand-in for Unix signals: without them there is only Ctrl-C, which every process of the console receives.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[allow(clippy::unnecessary_wraps, reason = "it can fail where there are signals")]
    fn new(_is_terminal: bool) -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn pass_to(&mut self, mut child: Child) -> std::io::Result<ExitStatus> {
        loop {
            tokio::select! {
                status = child.wait() => return status,
                _ = tokio::signal::ctrl_c() => {}
            }
        }
    }
}
