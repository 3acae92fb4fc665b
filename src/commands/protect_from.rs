//! `--protect-from`: files whose references protect images.

use std::path::Path;

use super::input::read_text_input;
use super::registry::usage;
use super::{Context, login_hosts};
use crate::image::host;
use crate::retention::references::References;

/// A file is read up to this size.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Reads the references in the files of `--protect-from`.
pub(super) fn references(context: &Context, files: &[String]) -> anyhow::Result<References> {
    if files.is_empty() {
        return Ok(References::default());
    }
    let rules = login_hosts::rules(&context.settings)?;
    let is_ecr =
        |name: &str| host::Address::parse(name).is_some_and(|address| rules.registry(&address).is_some());
    let mut all = References::default();
    for file in files {
        let text = read_text_input(Path::new(file), MAX_BYTES)
            .map_err(|error| usage(format!("--protect-from {file} cannot be read: {error}")))?;
        let name = if file == "-" { "standard input" } else { file };
        let found = References::read(&text, is_ecr)
            .map_err(|unclear| usage(format!("--protect-from {name}: {unclear}; nothing was changed")))?;
        if found.count == 0 {
            return Err(usage(format!(
                "--protect-from {name} has no reference to a registry of Amazon ECR and is no list of digests, so that it would protect nothing"
            )));
        }
        all.extend(found);
    }
    Ok(all)
}
