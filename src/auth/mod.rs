//! Logins: passwords for ECR's registries, where they are kept, and everybody who asks for one.

pub mod cache;
pub mod client_file;
pub mod diff;
pub mod entry;
pub mod failure;
pub mod fetch;
pub mod helper;
pub mod identity;
pub mod json_text;
pub mod kubelet;
pub mod log;
pub mod login;
pub mod metadata;
pub mod obtain;
pub mod redact;
pub mod rules;
pub mod setup;
pub mod stored;
pub mod target;
pub mod write;
