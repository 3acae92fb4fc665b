//! Commands that change a registry: tags that move and go, images that are deleted or archived.
//!
//! What they have in common: which images are meant ([`references`]), that nothing is sent before somebody agreed
//! ([`super::consent`]), where deletions go on to ([`replication`]), and that what was done is told whatever happens
//! ([`result`]).

mod archive;
mod by_name;
mod executor;
mod planned;
mod planned_rows;
mod prune;
mod references;
mod replication;
mod restore;
mod result;
mod rm;
mod tag;
mod tag_removal;
mod untag;

use super::Command;

/// `ecr tag`.
pub(super) const TAG: Command = tag::COMMAND;
/// `ecr untag`.
pub(super) const UNTAG: Command = untag::COMMAND;

/// `ecr rm`.
pub(super) const RM: Command = rm::COMMAND;
/// `ecr prune`.
pub(super) const PRUNE: Command = prune::COMMAND;

/// `ecr archive`.
pub(super) const ARCHIVE: Command = archive::COMMAND;
/// `ecr restore`.
pub(super) const RESTORE: Command = restore::COMMAND;

/// Exit code for a conflict: an immutable tag, an expectation that is not met, a limit.
const CONFLICT: u8 = 5;
