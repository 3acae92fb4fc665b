//! `ecr`: everything with Amazon ECR in one binary.
//!
//! A drop-in for `aws ecr` and `aws ecr-public`, image transfer, and an ECR on this machine. What the operations of
//! AWS are is data ([`model`]), and arguments, checks, output, help and the embedded server follow from it.
//!
//! An operation goes this way: [`cli`] finds out which one is meant and parses its words; [`args`] makes values of
//! them; [`service`] checks, signs and sends, or hands the request to [`local`] in this process; [`output`] prints the
//! answer. A command of our own ([`commands`]) replaces the middle, mostly by [`transfer`] between two [`store`]s. Any
//! error climbs to [`cli`], where [`error`] gives it its words and its exit code.
//!
//! | module | what it is | may import |
//! |---|---|---|
//! | [`model`] | what ECR is: the tables, names and texts | nothing of ours |
//! | [`escape`] | foreign text, made fit for a terminal | nothing of ours |
//! | [`platform`] | what systems do differently: modes, owners, links, signals | nothing of ours |
//! | [`ini`] | lines and sections of INI files, as the AWS CLI reads them | nothing of ours |
//! | [`image`] | OCI nouns: digest, descriptor, manifest, tag, reference, platform | escape |
//! | [`iam`] | policy documents and their evaluation | image |
//! | [`lifecycle`] | lifecycle policies: document, validation, evaluation | image |
//! | [`retention`] | which images may go: criteria, protection, plan | image |
//! | [`retry`] | waits before another attempt | nothing of ours |
//! | [`settings`] | options, environment and profile, resolved | ini, platform |
//! | [`network`] | what connections are made of: trust, proxies, timeouts, their log | settings |
//! | [`output`] | values to bytes: json, yaml, text, table, query | model |
//! | [`args`] | text to values: shorthand, JSON, files, blobs, skeletons | model |
//! | [`service`] | the API: configuration, calls, pages, waiters | model, network, platform, retry, settings |
//! | [`store`] | the homes of images: ECR, registries, layouts, archives | escape, image, model, network, platform, retry, service |
//! | [`transfer`] | copying images between stores | image, store |
//! | [`auth`] | logins: tokens, their cache, the protocols of docker and kubelet | image, ini, model, platform, retry, service, settings |
//! | [`local`] | the embedded ECR | iam, image, ini, lifecycle, model, platform, store |
//! | [`ui`] | terminal, pager, colour, progress | escape, image, platform, settings, transfer |
//! | [`error`] | errors to words and exit codes | everything but auth, commands and cli |
//! | [`commands`] | commands of our own | everything above |
//! | [`cli`] | arguments to invocation, help, dispatch | everything above |
//!
//! `tests/layering.rs` holds the sources to this table.
//!
//! What the code taught us, beyond the first design:
//!
//! - Two parsers. Operations go through a small port of argparse's behaviour ([`cli`]), because abbreviations, the
//!   order of errors and their texts are part of the contract and clap has others. Commands of our own go through clap, and
//!   one clap tree of everything feeds `--help` and the manual pages.
//! - HTTP is our own connector below the SDK's orchestrator ([`service`]): failures must be told apart, answers
//!   bounded, and no certificate loaded for `http://`.
//! - The query language is our own: jmespath.py's dialect, key order and error texts are another language than the
//!   `jmespath` crate's. So is the YAML emitter, as libyaml in Rust prints other escapes than libyaml in C.
//! - [`store::Store`] asks registries with `reqwest`, as `oci-client` follows redirects and reads bodies without bound,
//!   and sends the login to any realm that a registry names.

/// The integration tests' HTTP server and random numbers, for unit tests.
#[cfg(test)]
#[path = "../tests/harness"]
mod harness {
    pub(crate) mod http;
    pub(crate) mod random;
}

pub mod args;
pub mod auth;
pub mod cli;
pub mod commands;
pub mod error;
pub mod escape;
pub mod iam;
pub mod image;
pub mod ini;
pub mod lifecycle;
pub mod local;
pub mod model;
pub mod network;
pub mod output;
pub mod platform;
pub mod retention;
pub mod retry;
pub mod service;
pub mod settings;
pub mod store;
pub mod transfer;
pub mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program with these arguments (the program's own name first) and answers its exit code.
pub fn run(arguments: &[OsString]) -> ExitCode {
    // A credential helper is called for every image: its way goes past everything else.
    commands::by_another_name(arguments).unwrap_or_else(|| cli::run(arguments))
}
