//! `ecr push`: an image from this machine into a repository.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches};
use serde_json::json;

use super::registry::{self, Target, explained};
use super::{Command, Context, block_on_threads};
use crate::image::Name;
use crate::store::{self, Place, Shared, ecr};
use crate::transfer::progress::Progress;
use crate::transfer::{self, Options, Outcome};
use crate::ui::progress::Display;

/// The row of `ecr push`.
pub(super) const COMMAND: Command = Command { name: "push", define, run };

fn define() -> clap::Command {
    clap::Command::new("push")
        .about("Push an image from an OCI layout or archive into a repository")
        .long_about(
            "Push an image from an OCI layout or archive into a repository, through the layer API of Amazon ECR. \
             Layers that the repository has are not sent. The digest of the image is written to standard output.",
        )
        .arg(Arg::new("source").value_name("SOURCE").required(true).help(
            "An OCI image layout (a folder) or an OCI archive (a tar file); oci: or oci-archive: may precede the \
             path, and :TAG follow it where it has several images",
        ))
        .arg(Arg::new("reference").value_name("REFERENCE").required(true).help(
            "REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST, with or without the registry's host in front; without \
             a tag, latest",
        ))
        .arg(registry::platform_argument())
        .arg(
            Arg::new("tag")
                .long("tag")
                .value_name("TAG")
                .action(ArgAction::Append)
                .help("A further tag for the image; repeat it for several"),
        )
        .arg(Arg::new("create").long("create").action(ArgAction::SetTrue).help("Create the repository if need be"))
        .arg(registry::jobs_argument())
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let place = Place::parse(text("source"));
    let target = Target::connect(&context.settings, text("reference"))?;
    let options = Options {
        image: place.image(),
        expected: match &target.name {
            Name::Digest(digest) => Some(digest.clone()),
            _ => None,
        },
        platforms: registry::platforms(matches)?,
        tags: tags(&target.name, matches)?,
        jobs: registry::jobs(matches),
    };
    let source = place.source().map_err(|error| explained(error.into()))?;
    let display = Display::new(&context.ui);
    let started = Instant::now();
    let progress: Arc<dyn Progress> = display.clone();
    let pushed = block_on_threads(push(&source, &target, &options, matches.get_flag("create"), &progress));
    display.end();
    let outcome = pushed?;
    registry::report(context, &outcome, started, "pushed");
    context.ui.print(&format!("{}\n", outcome.digest))?;
    Ok(ExitCode::SUCCESS)
}

/// The tag of the reference and those of `--tag`; `latest` where there is neither a tag nor a digest.
fn tags(name: &Name, matches: &ArgMatches) -> anyhow::Result<Vec<String>> {
    let mut tags: Vec<String> = Vec::new();
    if let Name::Tag(tag) = name {
        tags.push(tag.clone());
    }
    for tag in matches.get_many::<String>("tag").into_iter().flatten() {
        Name::tag(tag).map_err(registry::wrong)?;
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    if tags.is_empty() && *name == Name::Unnamed {
        tags.push("latest".to_owned());
    }
    Ok(tags)
}

async fn push(
    source: &Shared,
    target: &Target,
    options: &Options,
    create: bool,
    progress: &Arc<dyn Progress>,
) -> anyhow::Result<Outcome> {
    let destination = target.store();
    match transfer::copy(source, &destination, options, progress).await {
        Err(transfer::Error::Store(store::Error::Ecr(ecr::Error::NoRepository { .. }))) if create => {
            create_repository(target).await?;
            transfer::copy(source, &destination, options, progress).await.map_err(explained)
        }
        Err(transfer::Error::Store(store::Error::Ecr(ecr::Error::NoRepository { repository, source }))) => {
            let words = format!("the repository {repository} does not exist; --create creates it");
            Err(anyhow::Error::from(source).context(words))
        }
        result => result.map_err(explained),
    }
}

async fn create_repository(target: &Target) -> anyhow::Result<()> {
    let mut input = json!({"repositoryName": target.repository.name});
    if let Some(registry) = &target.repository.registry {
        input = json!({"registryId": registry, "repositoryName": target.repository.name});
    }
    match target.client.call("CreateRepository", input).await {
        // Somebody else was quicker.
        Err(error) if error.code() == Some("RepositoryAlreadyExistsException") => Ok(()),
        result => result.map(|_| ()).context("cannot create the repository"),
    }
}
