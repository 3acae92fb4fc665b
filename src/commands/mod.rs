//! Commands of our own: one file or folder each, and one row each in [`COMMANDS`].
//!
//! Those that read what a registry has are in `images` (`images`, `repos`, `latest`, `digest`, `find`, `inspect`, `du`),
//! those that change it in `change` (`tag`, `untag`, `rm`, `prune`, `archive`, `restore`). Both share the selection,
//! output and rate limits of `images`. `lifecycle`, `scan`, `doctor` and `local` have folders of their own.
//!
//! Most are single words. Operations of AWS all have a hyphen; of ours only `credential-helper` and
//! `credential-provider` have one, and no operation has these names.

pub mod argument_types;
mod change;
mod command_args;
mod connect;
mod consent;
mod copy;
mod create;
mod creation_template;
mod credential_helper;
mod credential_provider;
mod distribution;
pub mod doctor;
mod ecr_repository;
mod image_transfer;
mod images;
mod input;
mod lifecycle;
mod local;
mod location;
mod login;
mod login_args;
mod login_embedded;
mod login_hosts;
mod login_setup;
mod logout;
mod max_images;
pub mod permissions;
mod protect_from;
mod pull;
mod push;
mod registry;
mod report;
mod runtime;
mod scan;
mod signals;
mod summary;
mod sync;
mod transfer_args;
mod transfer_command;

use std::process::ExitCode;

use clap::ArgMatches;

use crate::settings::Settings;
use crate::ui::Ui;

pub use connect::connect;
pub use credential_helper::by_another_name;
pub use runtime::{block_on, block_on_threads, threads};

/// A command of our own.
#[derive(Debug)]
pub struct Command {
    /// Its name on the command line.
    pub name: &'static str,
    /// The command knows Amazon ECR Public: as `ecr public COMMAND`, and where a reference has its host.
    pub in_public: bool,
    /// Its arguments and texts.
    pub define: fn() -> clap::Command,
    /// Function that runs it.
    pub run: fn(&Context, &ArgMatches) -> anyhow::Result<ExitCode>,
}

/// Settings and terminal that every command gets besides its arguments.
#[derive(Debug)]
pub struct Context {
    /// Options, environment and profile.
    pub settings: Settings,
    /// The terminal.
    pub ui: Ui,
}

/// All commands of our own, in the order in which help lists them.
pub const COMMANDS: &[Command] = &[
    push::COMMAND,
    pull::COMMAND,
    copy::COMMAND,
    sync::COMMAND,
    images::LIST,
    images::REPOS,
    images::LATEST,
    images::DIGEST,
    images::FIND,
    images::INSPECT,
    images::DU,
    change::TAG,
    change::UNTAG,
    change::RM,
    change::PRUNE,
    change::ARCHIVE,
    change::RESTORE,
    doctor::COMMAND,
    lifecycle::COMMAND,
    scan::COMMAND,
    login::COMMAND,
    logout::COMMAND,
    credential_helper::COMMAND,
    credential_provider::COMMAND,
    local::COMMAND,
];

/// Returns the commands that may follow the word `public`.
pub fn of_public() -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().filter(|command| command.in_public)
}

/// Returns the names of the commands that know Amazon ECR Public, for messages.
pub fn public_names() -> String {
    of_public().map(|command| command.name).collect::<Vec<_>>().join(", ")
}
