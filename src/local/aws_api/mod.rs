//! The API of Amazon ECR and Amazon ECR Public: operations as JSON, to the core and back. Each operation is a function
//! from a validated request to an answer; `operations` has the table.

pub(in crate::local) mod account_settings;
pub(in crate::local) mod authorization;
pub(in crate::local) mod authorization_token;
pub(in crate::local) mod backfill;
pub(in crate::local) mod batch_get_image;
pub(in crate::local) mod call;
pub(in crate::local) mod delete_images;
pub(in crate::local) mod dispatch;
pub(in crate::local) mod error;
pub(in crate::local) mod extensions;
pub(in crate::local) mod findings;
pub(in crate::local) mod image_id;
pub(in crate::local) mod image_signing;
pub(in crate::local) mod layer_availability;
pub(in crate::local) mod layer_uploads;
pub(in crate::local) mod lifecycle;
pub(in crate::local) mod limits;
pub(in crate::local) mod list_images;
pub(in crate::local) mod operations;
pub(in crate::local) mod paging;
pub(in crate::local) mod policies;
pub(in crate::local) mod pull_through_rules;
pub(in crate::local) mod put_image;
pub(in crate::local) mod referrers;
pub(in crate::local) mod replication;
pub(in crate::local) mod repositories;
pub(in crate::local) mod repository;
pub(in crate::local) mod resource_tags;
pub(in crate::local) mod responses;
pub(in crate::local) mod scanning;
pub(in crate::local) mod scans;
pub(in crate::local) mod storage_class;
pub(in crate::local) mod tag_mutability;
pub(in crate::local) mod templates;
#[cfg(test)]
mod tests;
pub(in crate::local) mod validate;
