//! `ecr pull`: an image from a repository to this machine.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Arg, ArgMatches};

use super::registry::{self, Target, explained};
use super::{Command, Context, block_on_threads};
use crate::image::Name;
use crate::store::Place;
use crate::transfer::progress::Progress;
use crate::transfer::{self, Options};
use crate::ui::progress::Display;

/// The row of `ecr pull`.
pub(super) const COMMAND: Command = Command { name: "pull", define, run };

fn define() -> clap::Command {
    clap::Command::new("pull")
        .about("Pull an image from a repository into an OCI layout or archive")
        .long_about(
            "Pull an image from a repository into an OCI layout or archive. Every byte is verified before a file \
             gets its name, and layers that a layout has are not fetched. The digest of the image is written to \
             standard output.",
        )
        .arg(Arg::new("reference").value_name("REFERENCE").required(true).help(
            "REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST, with or without the registry's host in front; without \
             a tag, latest",
        ))
        .arg(Arg::new("destination").value_name("DESTINATION").required(true).help(
            "A folder for an OCI image layout, to which the image is added, or a .tar file for an OCI archive; oci: \
             or oci-archive: may precede the path, and :TAG follow it to call the image something else",
        ))
        .arg(registry::platform_argument())
        .arg(registry::jobs_argument())
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let place = Place::parse(text("destination"));
    let target = Target::connect(&context.settings, text("reference"))?;
    let tag = place.tag.clone().or_else(|| match &target.name {
        Name::Tag(tag) => Some(tag.clone()),
        Name::Unnamed => Some("latest".to_owned()),
        Name::Digest(_) => None,
    });
    let options = Options {
        image: target.name.clone(),
        expected: None,
        platforms: registry::platforms(matches)?,
        tags: tag.into_iter().collect(),
        jobs: registry::jobs(matches),
    };
    let destination = place.destination().map_err(|error| explained(error.into()))?;
    let source = target.store();
    let display = Display::new(&context.ui);
    let started = Instant::now();
    let progress: Arc<dyn Progress> = display.clone();
    let pulled = block_on_threads(async {
        transfer::copy(&source, &destination, &options, &progress).await.map_err(explained)
    });
    display.end();
    let outcome = pulled?;
    registry::report(context, &outcome, started, "pulled");
    context.ui.print(&format!("{}\n", outcome.digest))?;
    Ok(ExitCode::SUCCESS)
}
