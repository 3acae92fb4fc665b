//! What each operation does. A handler is a function from a validated request to an answer; `routes` has the table.

pub(super) mod accounts;
pub(super) mod archive;
pub(super) mod availability;
pub(super) mod backfill;
pub(super) mod deletion;
mod findings;
mod identifier;
pub(super) mod images;
pub(super) mod layers;
pub(super) mod lifecycle;
pub(super) mod listing;
mod manifest;
mod mutability;
mod paging;
pub(super) mod policies;
pub(super) mod pull_through;
pub(super) mod pushing;
pub(super) mod referrers;
pub(super) mod registry;
pub(super) mod replication;
pub(super) mod repositories;
mod repository;
pub(super) mod scanning;
pub(super) mod scans;
mod settings;
pub(super) mod signing;
pub(super) mod tags;
pub(super) mod templates;
#[cfg(test)]
mod tests;
pub(super) mod upstream;
