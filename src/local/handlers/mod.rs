//! What each operation does. A handler is a function from a validated request to an answer; `routes` has the table.

pub(in crate::local) mod accounts;
pub(in crate::local) mod archive;
pub(in crate::local) mod availability;
pub(in crate::local) mod backfill;
pub(in crate::local) mod deletion;
pub(in crate::local) mod findings;
pub(in crate::local) mod identifier;
pub(in crate::local) mod images;
pub(in crate::local) mod layers;
pub(in crate::local) mod lifecycle;
pub(in crate::local) mod listing;
pub(in crate::local) mod manifest;
pub(in crate::local) mod mutability;
pub(in crate::local) mod paging;
pub(in crate::local) mod policies;
pub(in crate::local) mod pushing;
pub(in crate::local) mod referrers;
pub(in crate::local) mod registry;
pub(in crate::local) mod replication;
pub(in crate::local) mod repositories;
pub(in crate::local) mod repository;
pub(in crate::local) mod scanning;
pub(in crate::local) mod scans;
pub(in crate::local) mod settings;
pub(in crate::local) mod signing;
pub(in crate::local) mod tags;
pub(in crate::local) mod templates;
#[cfg(test)]
mod tests;
pub(in crate::local) mod upstream;
