//! Logins: passwords for ECR's registries, where they are kept, and everybody who asks for one.

pub mod cache;
pub mod client_file;
mod credential_program;
pub mod diff;
pub mod docker_credentials;
pub mod entry;
pub mod expiry;
pub mod failure;
pub mod fetch;
pub mod helper;
pub mod helper_install;
pub mod identity;
pub mod json_text;
pub mod kubelet;
pub mod log;
pub mod login;
pub mod login_conf;
mod login_file;
pub mod metadata;
pub mod redact;
pub mod store_login;
pub mod target;
pub mod token;
