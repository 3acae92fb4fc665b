//! Arguments of `login` and `logout`.

use std::path::PathBuf;

use clap::{ArgGroup, ValueHint};

use crate::auth::auth_file::Client;
use crate::settings::Settings;

/// The registries and the files, which both take.
#[derive(Debug, clap::Args)]
pub(super) struct PlaceArgs {
    #[arg(value_name = "HOST", value_hint = ValueHint::Hostname, num_args = 0.., help = "The registries' hosts; yours in the region, if none.")]
    pub(super) hosts: Vec<String>,
    #[arg(long, help = "docker's file. This is the default.")]
    docker: bool,
    #[arg(long, help = "The file of podman, skopeo and buildah.")]
    podman: bool,
    #[arg(long, help = "helm's file.")]
    helm: bool,
    #[arg(long, value_name = "FILE", help = "Another file of the same form.")]
    file: Option<PathBuf>,
}

impl PlaceArgs {
    /// Returns the login files to write, with their clients.
    pub(super) fn files(&self, settings: &Settings) -> anyhow::Result<Vec<(Option<Client>, PathBuf)>> {
        let mut files = Vec::new();
        for client in self.clients() {
            files.push((Some(client), client.file(settings)?));
        }
        files.extend(self.file.iter().map(|file| (None, file.clone())));
        if files.is_empty() {
            files.push((Some(Client::Docker), Client::Docker.file(settings)?));
        }
        Ok(files)
    }

    /// Returns the clients whose options are given.
    fn clients(&self) -> impl Iterator<Item = Client> {
        Client::ALL.into_iter().filter(|client| match client {
            Client::Docker => self.docker,
            Client::Podman => self.podman,
            Client::Helm => self.helm,
        })
    }

    /// Returns whether the options name a file that `--helper` does not change.
    pub(super) fn names_another(&self) -> bool {
        self.file.is_some() || self.clients().any(|client| !client.takes_helper())
    }
}

/// The arguments of `ecr login`.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("what").args(["helper", "check", "cache", "print"])))]
pub(super) struct LoginArgs {
    #[command(flatten)]
    pub(super) places: PlaceArgs,
    #[arg(long, help = "Every registry of ECR that docker's file, login.conf and the cache name.")]
    pub(super) all: bool,
    #[arg(long, help = "Ask for a new password, whatever the cache has.")]
    pub(super) fresh: bool,
    #[arg(long, help = "Print the login file instead of writing it.")]
    pub(super) print: bool,
    #[arg(long, help = "Show as a diff what would change, and change nothing.")]
    pub(super) dry_run: bool,
    #[arg(long, help = "Make docker ask this program for the registries' passwords.")]
    pub(super) helper: bool,
    #[arg(long, requires = "helper", help = "With --helper: take it back.")]
    pub(super) undo: bool,
    #[arg(
        long,
        help = "Show which credentials are used for the registries, and whether login.conf is sound."
    )]
    pub(super) check: bool,
    #[arg(
        long,
        value_name = "ACTION",
        value_parser = ["list", "clear"],
        help = "List or clear the passwords that are kept."
    )]
    pub(super) cache: Option<String>,
}

/// The arguments of `ecr logout`.
#[derive(Debug, clap::Args)]
pub(super) struct LogoutArgs {
    #[command(flatten)]
    pub(super) places: PlaceArgs,
    #[arg(long, help = "Every registry of ECR that docker's file, login.conf and the cache name.")]
    pub(super) all: bool,
    #[arg(long, help = "Show as a diff what would change, and change nothing.")]
    pub(super) dry_run: bool,
}
