//! `ecr restore`: images brought back from the archive.

use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;
use serde_json::{Map, json};
use tokio::time::{Instant, sleep};

use super::super::images::age::duration;
use super::super::images::children::{fetch, tell_fetched};
use super::super::images::describe::{identifier_of, looked_up};
use super::super::images::failures::UNKNOWN;
use super::super::images::manifest_cache::ManifestCache;
use super::super::images::output::{Column, Output};
use super::super::images::selection::Repository;
use super::super::{Command, Context, block_on};
use super::references::{self, Named};
use super::result::{Done, Report, Row};
use crate::image::graph::{Graph, Status};
use crate::image::{Digest, Manifest, Name};

/// The row of `ecr restore`.
pub(in crate::commands) const COMMAND: Command = Command { name: "restore", define, run };

/// The first and the longest time between two looks.
const LOOKS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// The arguments of `ecr restore`.
#[derive(Debug, clap::Args)]
struct RestoreArgs {
    /// The images, as they are written on the command line.
    #[arg(
        help = "Images: [HOST/]REPOSITORY:TAG or [HOST/]REPOSITORY@DIGEST, or - for such on standard input, one a line",
        value_name = "REFERENCE",
        required = true
    )]
    references: Vec<String>,
    /// Wait until they can be pulled, with what an index lists
    #[arg(long)]
    wait: bool,
    /// How long to wait; exit 3 where that is not enough
    #[arg(long, value_name = "DURATION", default_value = "30min", value_parser = duration)]
    timeout: Duration,
    /// Neither use nor keep manifests in the cache
    #[arg(long)]
    no_cache: bool,
}

fn define() -> clap::Command {
    let command = clap::Command::new("restore").about("Bring images back from the archive").long_about(
        "Bring images back from the archive, which takes up to 20 minutes: an index, then what it lists. What an index \
         lists is in its manifest, which can be read once the index is back, so that without --wait only what is known from \
         the cache comes back with it.",
    );
    super::super::images::define::<RestoreArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    super::super::images::run(context, matches, restore)
}

/// An image that is to come back.
struct Restored {
    digest: Digest,
    tags: Vec<String>,
    is_index: bool,
    /// Whether its children were seen to.
    is_expanded: bool,
    done: Done,
}

/// The images of one repository that are to come back.
struct Restoration<'a> {
    repository: &'a Repository,
    cache: &'a ManifestCache,
    images: Vec<Restored>,
    absent: Vec<String>,
    fetched: usize,
}

fn restore(context: &Context, arguments: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let output = Output::of(context)?;
    let named = references::read(&context.settings, &arguments.references)?;
    let cache = ManifestCache::open(&context.settings, arguments.no_cache);
    block_on(async {
        let mut all = Vec::new();
        for named in &named {
            all.push(Restoration::begin(named, &cache).await?);
        }
        let mut is_late = false;
        if arguments.wait {
            let deadline = Instant::now() + arguments.timeout;
            for restoration in &mut all {
                is_late |= !restoration.wait(deadline).await?;
            }
        }
        tell_fetched(context, all.iter().map(|restoration| restoration.fetched).sum());
        hint(context, &all);
        let rows = all.iter().flat_map(Restoration::rows).collect();
        let columns = vec![Column::wrapped("REPOSITORY"), Column::wrapped("TAGS"), Column::left("DIGEST")];
        let report =
            Report { member: "images", columns, rows, dry_run: false, more: Map::new(), signal: None };
        let code = report.print(context, &output)?;
        if is_late && code == ExitCode::SUCCESS {
            context.ui.note(&format!(
                "error: not all images are back after {}s; run the same again to go on waiting",
                arguments.timeout.as_secs()
            ));
            return Ok(ExitCode::from(UNKNOWN));
        }
        Ok(code)
    })
}

/// Says how to bring back what an index lists, where that is not known.
fn hint(context: &Context, all: &[Restoration<'_>]) {
    for restoration in all {
        for image in restoration.images.iter().filter(|image| image.is_index && !image.is_expanded) {
            if matches!(image.done, Done::Yes(_)) {
                context.ui.note(&format!(
                    "what {}@{} lists cannot be read before it is back: `ecr restore {}@{} --wait` brings that back too",
                    restoration.repository.name, image.digest, restoration.repository.name, image.digest
                ));
            }
        }
    }
}

impl<'a> Restoration<'a> {
    /// Restores the images that are named, and what is known to be listed by them.
    async fn begin(named: &'a Named, cache: &'a ManifestCache) -> anyhow::Result<Self> {
        let repository = &named.repository;
        let graph = looked_up(repository, &named.names).await?;
        let mut restoration = Self { repository, cache, images: Vec::new(), absent: Vec::new(), fetched: 0 };
        for name in &named.names {
            let (position, text) = match name {
                Name::Digest(digest) => (graph.position(digest), format!("@{digest}")),
                name => (graph.tagged(&name.to_string()), format!(":{name}")),
            };
            match position {
                Some(position) => restoration.restore(&graph, position).await?,
                None => restoration.absent.push(format!("{}{text}", repository.name)),
            }
        }
        restoration.expand().await?;
        Ok(restoration)
    }

    async fn restore(&mut self, graph: &Graph, position: usize) -> anyhow::Result<()> {
        let image = graph.image(position);
        let digest = image.digest();
        if self.images.iter().any(|known| known.digest == digest) {
            return Ok(());
        }
        let done = match image.status() {
            Status::Active => Done::Yes("unchanged"),
            Status::Activating => Done::Yes("activating"),
            Status::Archived => self.call(&digest).await,
        };
        let tags = image.tags().map(str::to_owned).collect();
        self.images.push(Restored {
            digest,
            tags,
            is_index: graph.is_index(position),
            is_expanded: false,
            done,
        });
        Ok(())
    }

    async fn call(&self, digest: &Digest) -> Done {
        let input = json!({
            "repositoryName": self.repository.name, "imageId": identifier_of(digest), "targetStorageClass": "STANDARD"
        });
        match self.repository.connection.call("UpdateImageStorageClass", input).await {
            Ok(_) => Done::Yes("activating"),
            Err(error) if error.code() == Some("ImageNotFoundException") => Done::Absent,
            Err(error) => Done::of_error(&error),
        }
    }

    /// Restores what the indexes list whose manifests can be read: those in the cache, and those that are back.
    async fn expand(&mut self) -> anyhow::Result<()> {
        let mut at = 0;
        while at < self.images.len() {
            let image = &self.images[at];
            if image.is_index && !image.is_expanded && matches!(image.done, Done::Yes(_)) {
                let is_back = image.done != Done::Yes("activating");
                let digest = image.digest.clone();
                if let Some(manifest) = self.manifest(&digest, is_back).await? {
                    self.images[at].is_expanded = true;
                    self.restore_listed(&manifest).await?;
                }
            }
            at += 1;
        }
        Ok(())
    }

    async fn manifest(&mut self, digest: &Digest, is_back: bool) -> anyhow::Result<Option<Manifest>> {
        if let Some(manifest) = self.cache.get(digest, None) {
            return Ok(Some(manifest));
        }
        if !is_back {
            return Ok(None);
        }
        let graph = looked_up(self.repository, &[Name::Digest(digest.clone())]).await?;
        if graph.is_empty() {
            return Ok(None);
        }
        let found = fetch(self.repository, &graph, &[0], self.cache).await?;
        self.fetched += found.len();
        Ok(found.into_iter().next().map(|(_, manifest)| manifest))
    }

    async fn restore_listed(&mut self, manifest: &Manifest) -> anyhow::Result<()> {
        let names: Vec<Name> =
            manifest.children().into_iter().map(|child| Name::Digest(child.digest.clone())).collect();
        let graph = looked_up(self.repository, &names).await?;
        for position in 0..graph.len() {
            self.restore(&graph, position).await?;
        }
        Ok(())
    }

    /// Waits until all are back; false where that takes too long.
    async fn wait(&mut self, deadline: Instant) -> anyhow::Result<bool> {
        let mut pause = LOOKS.0;
        loop {
            let waiting: Vec<Name> = self
                .images
                .iter()
                .filter(|image| image.done == Done::Yes("activating"))
                .map(|image| Name::Digest(image.digest.clone()))
                .collect();
            let now = looked_up(self.repository, &waiting).await?;
            for image in self.images.iter_mut().filter(|image| image.done == Done::Yes("activating")) {
                let position = now.position(&image.digest);
                if position.is_some_and(|position| now.image(position).status() == Status::Active) {
                    image.done = Done::Yes("restored");
                }
            }
            self.expand().await?;
            let left = self.images.iter().any(|image| image.done == Done::Yes("activating"));
            if !left {
                return Ok(true);
            }
            if Instant::now() + pause > deadline {
                return Ok(false);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOKS.1);
        }
    }

    fn rows(&self) -> Vec<Row> {
        let row = |digest: Option<&Digest>, tags: &[String], name: &str, done: &Done| {
            let mut members = Map::new();
            members.insert("repositoryName".to_owned(), json!(self.repository.name));
            match digest {
                Some(digest) => {
                    members.insert("imageDigest".to_owned(), json!(digest));
                    members.insert("imageTags".to_owned(), json!(tags));
                }
                None => drop(members.insert("reference".to_owned(), json!(name))),
            }
            let shown = digest.map_or_else(|| name.to_owned(), |digest| digest.short().to_owned());
            Row {
                members,
                cells: vec![
                    self.repository.name.clone(),
                    if tags.is_empty() { "-".to_owned() } else { tags.join(", ") },
                    shown,
                ],
                text: vec![
                    self.repository.name.clone(),
                    digest.map_or_else(|| name.to_owned(), ToString::to_string),
                    tags.join(","),
                ],
                done: done.clone(),
            }
        };
        let images = self.images.iter().map(|image| row(Some(&image.digest), &image.tags, "", &image.done));
        images.chain(self.absent.iter().map(|name| row(None, &[], name, &Done::Absent))).collect()
    }
}
