//! `ecr restore`: images brought back from the archive.

use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;
use serde_json::{Map, json};
use tokio::time::{Instant, sleep};

use super::super::images::age::duration;
use super::super::images::children::{fetch, tell_fetched};
use super::super::images::describe::{identifier_of, lookup_graph};
use super::super::images::failures::UNKNOWN;
use super::super::images::manifest_cache::ManifestCache;
use super::super::images::output::{Column, Output};
use super::super::images::selection::Repository;
use super::super::registry::usage;
use super::super::runtime::{Stop, block_on_finishing};
use super::super::{Command, Context, command_args};
use super::references::{NamedImages, ReferenceArgs};
use super::result::{ChangeReport, ItemResult, Row};
use crate::image::graph::{Graph, Status};
use crate::image::{Digest, Manifest, Name};
use crate::retry::Backoff;

/// The row of `ecr restore`.
pub(in crate::commands) const COMMAND: Command = Command { name: "restore", in_public: false, define, run };

/// The first and the longest time between two looks.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(15));

/// The arguments of `ecr restore`.
#[derive(Debug, clap::Args)]
struct RestoreArgs {
    #[command(flatten)]
    references: ReferenceArgs,
    /// Wait until they can be pulled, with what an index lists
    #[arg(long)]
    wait: bool,
    /// How long to wait; exit 3 where that is not enough
    #[arg(long, value_name = "DURATION", default_value = "30min", value_parser = duration, requires = "wait")]
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
    command_args::define::<RestoreArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, restore)
}

/// Image that is being restored, with its progress.
struct ImageToRestore {
    digest: Digest,
    tags: Vec<String>,
    is_index: bool,
    /// Whether the index's children were added to the work.
    is_expanded: bool,
    state: State,
}

/// Progress of an image's restoration.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// The image was never archived.
    Unchanged,
    /// Amazon ECR is restoring it.
    Activating,
    /// The image is active again.
    Restored,
    /// The image will not be restored.
    Not(ItemResult),
}

/// Images of one repository to restore.
struct Restoration<'a> {
    repository: &'a Repository,
    cache: &'a ManifestCache,
    stop: &'a Stop,
    images: Vec<ImageToRestore>,
    /// References without an image, and why.
    others: Vec<(String, ItemResult)>,
    fetched: usize,
}

fn restore(context: &Context, arguments: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let output = Output::of(context)?;
    let deadline = Instant::now()
        .checked_add(arguments.timeout)
        .ok_or_else(|| usage("--timeout is longer than there is time"))?;
    let named = arguments.references.read(&context.settings)?;
    let cache = ManifestCache::open(&context.settings, arguments.no_cache);
    block_on_finishing(|stop| async move {
        let (all, is_late) = stop
            .finish(&context.ui, restored(&named, &cache, &stop, arguments.wait.then_some(deadline)))
            .await;
        tell_fetched(context, all.iter().map(|restoration| restoration.fetched).sum());
        hint(context, &all);
        let rows = all.iter().flat_map(Restoration::rows).collect();
        let columns = vec![Column::wrapped("REPOSITORY"), Column::wrapped("TAGS"), Column::left("DIGEST")];
        let signal = stop.signal();
        let report =
            ChangeReport { member: "images", columns, rows, dry_run: false, more: Map::new(), signal };
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

/// Restores the images, waits until a deadline if one is given, and answers whether that was too short.
async fn restored<'a>(
    named: &'a [NamedImages],
    cache: &'a ManifestCache,
    stop: &'a Stop,
    deadline: Option<Instant>,
) -> (Vec<Restoration<'a>>, bool) {
    let mut all = Vec::new();
    for named in named {
        let repository = &named.repository;
        let (images, others) = (Vec::new(), Vec::new());
        let mut restoration = Restoration { repository, cache, stop, images, others, fetched: 0 };
        restoration.begin(&named.names).await;
        all.push(restoration);
    }
    let mut is_late = false;
    let Some(deadline) = deadline else { return (all, false) };
    for restoration in &mut all {
        match restoration.wait(deadline).await {
            Ok(is_back) => is_late |= !is_back,
            Err(error) => restoration.failed(restoration.repository.name.clone(), &error),
        }
    }
    (all, is_late)
}

/// Explains how to restore the children of an index whose manifest is not cached.
fn hint(context: &Context, all: &[Restoration<'_>]) {
    for Restoration { repository, images, .. } in all {
        let unknown =
            |image: &&ImageToRestore| image.is_index && !image.is_expanded && image.state.is_coming();
        for ImageToRestore { digest, .. } in images.iter().filter(unknown) {
            let name = format!("{}@{digest}", repository.name);
            context.ui.note(&format!(
                "what {name} lists cannot be read before it is back: `ecr restore {name} --wait` brings that back too"
            ));
        }
    }
}

impl State {
    /// Returns whether the image is active, or will be.
    fn is_coming(&self) -> bool {
        !matches!(self, Self::Not(_))
    }

    fn done(&self) -> ItemResult {
        match self {
            Self::Unchanged => ItemResult::Changed("unchanged"),
            Self::Activating => ItemResult::Changed("activating"),
            Self::Restored => ItemResult::Changed("restored"),
            Self::Not(done) => done.clone(),
        }
    }
}

impl Restoration<'_> {
    /// Restores the named images and their known children.
    async fn begin(&mut self, names: &[Name]) {
        let text = |repository: &Repository, name: &Name| match name {
            Name::Digest(digest) => format!("{}@{digest}", repository.name),
            name => format!("{}:{name}", repository.name),
        };
        let found = if self.stop.signal().is_some() {
            Err(ItemResult::NotReached)
        } else {
            lookup_graph(self.repository, names).await.map_err(|error| ItemResult::of(&error))
        };
        let graph = match found {
            Ok(graph) => graph,
            Err(done) => {
                let others = names.iter().map(|name| (text(self.repository, name), done.clone()));
                return self.others = others.collect();
            }
        };
        for name in names {
            let position = match name {
                Name::Digest(digest) => graph.position(digest),
                name => graph.tagged(&name.to_string()),
            };
            match position {
                Some(position) => self.restore(&graph, position).await,
                None => self.others.push((text(self.repository, name), ItemResult::Absent)),
            }
        }
        self.expand().await;
    }

    /// Notes that something about a reference failed.
    fn failed(&mut self, reference: String, error: &anyhow::Error) {
        self.others.push((reference, ItemResult::of(error)));
    }

    async fn restore(&mut self, graph: &Graph, position: usize) {
        let image = graph.image(position);
        let digest = image.digest();
        if self.images.iter().any(|known| known.digest == digest) {
            return;
        }
        let state = match image.status() {
            Status::Active => State::Unchanged,
            Status::Activating => State::Activating,
            Status::Archived if self.stop.signal().is_some() => State::Not(ItemResult::NotReached),
            Status::Archived => self.call(&digest).await,
        };
        let tags = image.tags().map(str::to_owned).collect();
        let is_index = graph.is_index(position);
        self.images.push(ImageToRestore { digest, tags, is_index, is_expanded: false, state });
    }

    async fn call(&self, digest: &Digest) -> State {
        let input = json!({
            "repositoryName": self.repository.name, "imageId": identifier_of(digest), "targetStorageClass": "STANDARD"
        });
        match self.repository.connection.call("UpdateImageStorageClass", input).await {
            Ok(_) => State::Activating,
            Err(error) if error.code() == Some("ImageNotFoundException") => State::Not(ItemResult::Absent),
            Err(error) => State::Not(ItemResult::of_error(&error)),
        }
    }

    /// Restores the children of the indexes whose manifests can be read: those in the cache, and those that are
    /// restored.
    async fn expand(&mut self) {
        let mut at = 0;
        while at < self.images.len() && self.stop.signal().is_none() {
            let image = &self.images[at];
            if image.is_index && !image.is_expanded && image.state.is_coming() {
                let digest = image.digest.clone();
                let listed = self.restore_listed(&digest, image.state != State::Activating).await;
                if let Err(error) = &listed {
                    self.failed(format!("{}@{digest}", self.repository.name), error);
                }
                // A failure is reported once, and not repeated.
                self.images[at].is_expanded = listed.unwrap_or(true);
            }
            at += 1;
        }
    }

    /// Restores the children of an index; false if its manifest cannot be read yet.
    async fn restore_listed(&mut self, index: &Digest, is_back: bool) -> anyhow::Result<bool> {
        let Some(manifest) = self.manifest(index, is_back).await? else { return Ok(false) };
        let names: Vec<Name> =
            manifest.children().into_iter().map(|child| Name::Digest(child.digest.clone())).collect();
        let graph = lookup_graph(self.repository, &names).await?;
        for position in 0..graph.len() {
            self.restore(&graph, position).await;
        }
        Ok(true)
    }

    async fn manifest(&mut self, digest: &Digest, is_back: bool) -> anyhow::Result<Option<Manifest>> {
        if let Some(manifest) = self.cache.get(digest, None) {
            return Ok(Some(manifest));
        }
        if !is_back {
            return Ok(None);
        }
        let graph = lookup_graph(self.repository, &[Name::Digest(digest.clone())]).await?;
        if graph.is_empty() {
            return Ok(None);
        }
        let found = fetch(self.repository, &graph, &[0], self.cache).await?;
        self.fetched += found.len();
        Ok(found.into_iter().next().map(|(_, manifest)| manifest))
    }

    /// Waits until all are back, or for a signal; false where that takes too long.
    async fn wait(&mut self, deadline: Instant) -> anyhow::Result<bool> {
        let mut looks = 0;
        loop {
            looks += 1;
            let pause = BACKOFF.wait(looks);
            let waiting = self.images.iter().filter(|image| image.state == State::Activating);
            let waiting: Vec<Name> = waiting.map(|image| Name::Digest(image.digest.clone())).collect();
            let now = lookup_graph(self.repository, &waiting).await?;
            for image in self.images.iter_mut().filter(|image| image.state == State::Activating) {
                match now.position(&image.digest).map(|position| now.image(position).status()) {
                    None => image.state = State::Not(ItemResult::Absent),
                    Some(Status::Active) => image.state = State::Restored,
                    Some(_) => {}
                }
            }
            self.expand().await;
            if !self.images.iter().any(|image| image.state == State::Activating) {
                return Ok(true);
            }
            if Instant::now() + pause > deadline {
                return Ok(false);
            }
            let pausing = async {
                sleep(pause).await;
                Ok(())
            };
            if self.stop.or(pausing).await.is_err() {
                return Ok(true);
            }
        }
    }

    fn rows(&self) -> Vec<Row> {
        let row = |digest: Option<&Digest>, tags: &[String], name: &str, done: ItemResult| {
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
                done,
            }
        };
        let images =
            self.images.iter().map(|image| row(Some(&image.digest), &image.tags, "", image.state.done()));
        images.chain(self.others.iter().map(|(name, done)| row(None, &[], name, done.clone()))).collect()
    }
}
