//! Options, environment and profile, resolved once into plain data. The only module that reads the environment.

use std::path::PathBuf;

/// The options that every operation takes, as they were given; `None` where they were not.
#[derive(Debug, Clone, Default)]
pub struct Globals {
    /// `--debug`
    pub debug: bool,
    /// `--endpoint-url`
    pub endpoint_url: Option<String>,
    /// `--no-verify-ssl`
    pub no_verify_ssl: bool,
    /// `--no-paginate`
    pub no_paginate: bool,
    /// `--output`
    pub output: Option<String>,
    /// `--query`
    pub query: Option<String>,
    /// `--profile`
    pub profile: Option<String>,
    /// `--region`
    pub region: Option<String>,
    /// `--color`
    pub color: Option<String>,
    /// `--no-sign-request`
    pub no_sign_request: bool,
    /// `--ca-bundle`
    pub ca_bundle: Option<String>,
    /// `--cli-read-timeout`, seconds; 0 is for ever
    pub read_timeout: Option<i64>,
    /// `--cli-connect-timeout`, seconds; 0 is for ever
    pub connect_timeout: Option<i64>,
    /// `--cli-binary-format`
    pub binary_format: Option<String>,
    /// `--no-cli-pager`
    pub no_pager: bool,
    /// `--cli-error-format`
    pub error_format: Option<String>,
    /// `--local`: use the embedded ECR (not part of the AWS CLI)
    pub local: bool,
    /// `--folder` of the embedded ECR
    pub folder: Option<PathBuf>,
}
