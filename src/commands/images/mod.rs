//! Commands about images that are in registries already: listing, looking up, choosing, measuring.
//!
//! Shared parts, also of commands that change something: the choice of repositories
//! ([`selection`]), calls to a registry ([`connection`], [`pacing`], [`pages`]), what it has ([`describe`],
//! [`children`], [`manifest_cache`]), what went wrong with a part ([`failures`]), and how the result is printed
//! ([`output`]).

pub(super) mod age;
pub(super) mod children;
pub(super) mod common_args;
pub(super) mod connection;
pub(super) mod content;
pub(super) mod describe;
mod digest;
mod du;
pub(super) mod failures;
mod find;
mod inspect;
pub(super) mod json;
mod latest;
mod list;
pub(super) mod manifest_cache;
pub(super) mod output;
pub(super) mod pacing;
pub(super) mod pages;
pub(super) mod progress;
mod public;
mod repos;
pub(super) mod selection;
pub(super) mod version;

use super::Command;

/// The row of this command.
pub(super) const LIST: Command = list::COMMAND;
/// The row of this command.
pub(super) const DIGEST: Command = digest::COMMAND;
/// The row of this command.
pub(super) const LATEST: Command = latest::COMMAND;
/// The row of this command.
pub(super) const REPOS: Command = repos::COMMAND;
/// The row of this command.
pub(super) const INSPECT: Command = inspect::COMMAND;
/// The row of this command.
pub(super) const DU: Command = du::COMMAND;
/// The row of this command.
pub(super) const FIND: Command = find::COMMAND;
