//! Logins: passwords for ECR's registries, their cache, and the programs that ask for them.

mod atomic_replace;
pub mod auth_file;
pub mod cached_token;
mod credential_program;
pub mod diff;
pub mod ecr_registry;
pub mod expiry;
pub mod get_authorization_token;
pub mod helper;
pub mod helper_install;
pub mod identity;
pub mod json_text;
pub mod kubelet;
pub mod log;
pub mod login;
pub mod login_conf;
pub mod login_error;
pub mod metadata;
pub mod obtain_token;
pub mod read_login;
pub mod redact;

pub mod token_cache;
pub mod write_login;
