//! What each operation does. A handler is a function from a validated request to an answer; `routes` has the table.

pub(super) mod availability;
pub(super) mod deletion;
mod identifier;
pub(super) mod images;
pub(super) mod layers;
pub(super) mod listing;
mod manifest;
mod mutability;
mod paging;
pub(super) mod pushing;
pub(super) mod registry;
pub(super) mod repositories;
mod repository;
pub(super) mod tags;
#[cfg(test)]
mod tests;
