//! Global options: from parsed words to plain data. The AWS CLI checks their values in this order.

use crate::error::Error;
use crate::settings::Globals;

use super::argparse::{Parsed, python_int};

/// The global options of an operation's command line.
pub(super) fn read(parsed: &Parsed) -> Result<Globals, Error> {
    let mut globals = collect(|name| parsed.one(name).map(str::to_owned), |name| parsed.flag(name).is_some());
    globals.read_timeout = seconds(parsed.one("cli-read-timeout"))?;
    globals.connect_timeout = seconds(parsed.one("cli-connect-timeout"))?;
    Ok(globals)
}

/// The same from any parser, but for the timeouts, which can be wrong.
pub(super) fn collect(value: impl Fn(&str) -> Option<String>, flag: impl Fn(&str) -> bool) -> Globals {
    Globals {
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
    let number = python_int(text).ok_or_else(|| {
        Error::Other(format!("invalid literal for int() with base 10: {}", super::argparse::repr(text)))
    })?;
    Ok(Some(number.parse().unwrap_or(if number.starts_with('-') { i64::MIN } else { i64::MAX })))
}
