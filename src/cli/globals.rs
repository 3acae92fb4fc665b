//! Global options as plain data.

use crate::error::Error;
use crate::model::python;
use crate::settings::Globals;

/// The global options, from any parser; all but the timeouts, which can be wrong and are read later.
pub(super) fn collect(value: impl Fn(&str) -> Option<String>, flag: impl Fn(&str) -> bool) -> Globals {
    Globals {
        public: crate::settings::PublicRegistry::default(),
        debug: flag("debug"),
        endpoint_url: value("endpoint-url"),
        no_verify_ssl: flag("no-verify-ssl"),
        no_paginate: flag("no-paginate"),
        output: value("output"),
        query: value("query"),
        profile: value("profile"),
        region: value("region"),
        color: value("color"),
        no_sign_request: flag("no-sign-request"),
        ca_bundle: value("ca-bundle"),
        read_timeout: None,
        connect_timeout: None,
        binary_format: value("cli-binary-format"),
        no_pager: flag("no-cli-pager"),
        error_format: value("cli-error-format"),
        local: flag("local"),
        folder: value("folder").map(Into::into),
    }
}

/// A number of seconds as Python's `int()` reads it.
pub(super) fn seconds(text: Option<&str>) -> Result<Option<i64>, Error> {
    let Some(text) = text else { return Ok(None) };
    let number = python::int(text).ok_or_else(|| Error::Other(python::int_complaint(text)))?;
    Ok(Some(number.parse().unwrap_or(if number.starts_with('-') { i64::MIN } else { i64::MAX })))
}
