//! Commands about images that are in registries already: listing, looking up, choosing, measuring.
//!
//! Shared parts, also of commands that change something: the choice of repositories
//! ([`selection`]), calls to a registry ([`connection`], [`rate_limiter`], [`pages`]), what it has ([`describe`],
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
pub(super) mod pages;
pub(super) mod progress;
mod public;
pub(super) mod rate_limiter;
mod repos;
pub(super) mod selection;
pub(super) mod version;

use super::Command;

/// `ecr images`.
pub(super) const LIST: Command = list::COMMAND;
/// `ecr digest`.
pub(super) const DIGEST: Command = digest::COMMAND;
/// `ecr latest`.
pub(super) const LATEST: Command = latest::COMMAND;
/// `ecr repos`.
pub(super) const REPOS: Command = repos::COMMAND;
/// `ecr inspect`.
pub(super) const INSPECT: Command = inspect::COMMAND;
/// `ecr du`.
pub(super) const DU: Command = du::COMMAND;
/// `ecr find`.
pub(super) const FIND: Command = find::COMMAND;
