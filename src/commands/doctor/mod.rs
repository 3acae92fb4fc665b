//! `ecr doctor`: why a pull, a push or a login does not work.
//!
//! It looks from the inside out: this machine and its user, the credentials, the way to the service, the files of
//! docker, podman and helm, and then every call that a pull or a push makes, one at a time. Each thing that it can
//! find has an identifier ([`Finding`]) and a section in docs/doctor.md.

mod access;
mod cache;
mod docker;
mod finding;
mod helm;
mod helper;
mod identity;
mod image;
mod layer;
mod login_file;
mod machine;
mod network;
mod podman;
mod policy;
mod report;
mod scanning;
mod token;

use std::process::ExitCode;

use clap::{ArgMatches, ValueHint};

use super::argument_types::ReferenceText;
use super::images::output::Output;
use super::registry::{self, wrong};
use super::{Command, Context, block_on, command_args};
use crate::image::host::{self, Address, EcrHost};
use crate::image::{Reference, Registry};
use crate::service;
use crate::service::diagnosis::{CallerIdentity, Diagnosis};
use crate::settings::{Globals, Settings};

pub use finding::{Finding, Status};
use report::DoctorReport;

/// The row of `ecr doctor`.
pub(super) const COMMAND: Command = Command { name: "doctor", in_public: false, define, run };

/// Time limit of connecting, and of waiting for the next byte, in seconds, unless an option says otherwise.
const TIMEOUT_SECONDS: i64 = 10;

/// The arguments of `ecr doctor`.
#[derive(Debug, clap::Args)]
struct DoctorArgs {
    /// An image or a repository, as it is written on the command line.
    #[arg(help = "The image or repository: [HOST/]REPOSITORY[:TAG|@DIGEST]", value_name = "REFERENCE")]
    reference: Option<ReferenceText>,
    /// Also try what a push needs: asks for a layer that is not there, and begins an upload that is never completed
    #[arg(long, requires = "reference", conflicts_with = "policy")]
    push: bool,
    /// Print the IAM policy that a command needs, such as 'push --create', for the repository or for all; no call is
    /// made
    #[arg(long, value_name = "COMMAND", value_hint = ValueHint::Other)]
    policy: Option<String>,
}

fn define() -> clap::Command {
    let command = clap::Command::new("doctor").about("Find out why a pull, a push or a login does not work").long_about(
        "Find out why a pull, a push or a login does not work. Examined are the credentials, the way to the service, the \
         login files of docker, podman and helm, and with a REFERENCE each call that a pull makes: its manifest is \
         fetched, which counts as a pull. What is found has an identifier that docs/doctor.md explains. Nothing that is \
         printed holds a secret. Exits 0 if all is well, 1 if something failed, 3 if something cannot be told.",
    );
    command_args::define::<DoctorArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, doctor)
}

fn doctor(context: &Context, arguments: &DoctorArgs) -> anyhow::Result<ExitCode> {
    if let Some(command) = &arguments.policy {
        policy::print(context, command, arguments.reference.as_ref().map(|text| text.as_str()))?;
        return Ok(ExitCode::SUCCESS);
    }
    Output::of(context)?;
    let reference = arguments.reference.as_ref().map(|text| text.parse().map_err(wrong)).transpose()?;
    let mut examination = Examination::new(context, reference)?;
    block_on::<_, anyhow::Error>(async {
        examination.all(arguments.push).await;
        Ok(())
    })?;
    let report = examination.report;
    report.print(context)?;
    Ok(ExitCode::from(report.exit_code()))
}

/// One run of the doctor: its subject and findings.
struct Examination<'a> {
    context: &'a Context,
    /// Settings of calls to the registry: one attempt, with short time limits.
    settings: Settings,
    /// Configured region, regardless of the reference.
    configured_region: Option<String>,
    reference: Option<Reference>,
    report: DoctorReport,
    caller: Option<CallerIdentity>,
    region: Option<String>,
}

impl<'a> Examination<'a> {
    fn new(context: &'a Context, reference: Option<Reference>) -> anyhow::Result<Self> {
        let mut globals = context.settings.globals().clone();
        globals.connect_timeout = globals.connect_timeout.or(Some(TIMEOUT_SECONDS));
        globals.read_timeout = globals.read_timeout.or(Some(TIMEOUT_SECONDS));
        let once = context.settings.variable("AWS_MAX_ATTEMPTS").unwrap_or_else(|| "1".to_owned());
        let settings = context.settings.with_changes(globals, &[("AWS_MAX_ATTEMPTS", Some(&once))]);
        let registry = reference.as_ref().and_then(|reference| reference.registry.as_ref());
        // A profile that is not there is a finding, and not the end.
        let configured_region = settings.region().ok().flatten().filter(|region| !region.is_empty());
        let settings = match registry {
            Some(Registry::Other(host)) if is_public(host) => settings,
            registry => registry::settings_of(&settings, registry).or_else(|error| {
                let is_finding = error.chain().any(<dyn std::error::Error>::is::<crate::settings::Error>);
                if is_finding { Ok(settings.clone()) } else { Err(error) }
            })?,
        };
        let region = settings.region().ok().flatten().filter(|region| !region.is_empty());
        let report = DoctorReport::default();
        Ok(Self { context, settings, configured_region, reference, report, caller: None, region })
    }

    async fn all(&mut self, push: bool) {
        self.hide_variables();
        machine::examine(self);
        let is_called = self.service().await;
        let hosts = self.hosts();
        docker::examine(self, &hosts);
        podman::examine(self, &hosts);
        helm::examine(self, &hosts);
        cache::examine(self, &hosts);
        if is_called && !self.is_public() {
            image::examine(self, push).await;
        }
    }

    /// Examines credentials and network; answers whether the service can be called.
    async fn service(&mut self) -> bool {
        if !identity::profile(self) {
            return false;
        }
        match self.diagnosis().await {
            Ok(diagnosis) => {
                let has_credentials = identity::examine(self, &diagnosis).await;
                network::examine(self, &diagnosis).await && has_credentials
            }
            Err(error) => {
                identity::invalid(self, &error.to_string());
                false
            }
        }
    }

    /// Prepares the calls to the service. The region of an EC2 instance counts where none is configured.
    async fn diagnosis(&mut self) -> Result<Diagnosis, service::Error> {
        let diagnosis = Diagnosis::new(&self.settings)?;
        if self.region.is_some() || self.settings.local() {
            return Ok(diagnosis);
        }
        self.region = diagnosis.region_of_instance().await.ok().flatten();
        if self.region.is_none() {
            return Ok(diagnosis);
        }
        let globals = Globals { region: self.region.clone(), ..self.settings.globals().clone() };
        self.settings = self.settings.with_globals(globals);
        Diagnosis::new(&self.settings)
    }

    /// Returns whether the reference is in the public gallery.
    fn is_public(&self) -> bool {
        let registry = self.reference.as_ref().and_then(|reference| reference.registry.as_ref());
        matches!(registry, Some(Registry::Other(host)) if is_public(host))
    }

    /// The host that docker asks, where it is known: the reference's, or that of the caller's own registry.
    fn host(&self) -> Option<String> {
        let registry = self.reference.as_ref().and_then(|reference| reference.registry.as_ref());
        if let Some(registry) = registry {
            return Address::parse(registry.host()).map(|address| address.to_string());
        }
        if self.settings.local() {
            return None;
        }
        if let Ok(Some(endpoint)) = self.settings.endpoint("ecr") {
            return Address::parse(&endpoint).map(|address| address.to_string());
        }
        let (caller, region) = (self.caller.as_ref()?, self.region.as_ref()?);
        Some(host::of_registry(&caller.account, region))
    }

    /// The hosts whose logins are looked at: the one that is known, else all of ECR that a login file names.
    fn hosts(&self) -> Vec<String> {
        match self.host() {
            Some(host) => vec![host],
            None => login_file::hosts(&self.settings),
        }
    }

    /// Remembers the secrets of the environment and the profile.
    fn hide_variables(&mut self) {
        const SECRET: [&str; 6] = [
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_SECURITY_TOKEN",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            "AWS_BEARER_TOKEN",
        ];
        const KEYS: [&str; 3] = ["aws_secret_access_key", "aws_session_token", "aws_security_token"];
        for name in SECRET {
            if let Some(value) = self.settings.filled_variable(name) {
                self.report.hide(&value);
            }
        }
        let section = self.settings.profile_section().ok().flatten().cloned().unwrap_or_default();
        for secret in KEYS.iter().filter_map(|key| section.get(*key)?.text()) {
            self.report.hide(secret);
        }
        let proxies = self.settings.proxies();
        for proxy in [proxies.http, proxies.https].into_iter().flatten() {
            let login = proxy
                .rsplit_once('@')
                .map(|(login, _)| login.rsplit("://").next().unwrap_or(login).to_owned());
            login.iter().flat_map(|login| login.split(':')).for_each(|part| self.report.hide(part));
        }
    }
}

fn is_public(host: &str) -> bool {
    let address = Address::parse(host);
    matches!(address.as_ref().and_then(Address::ecr), Some(EcrHost::Public { .. }))
}
