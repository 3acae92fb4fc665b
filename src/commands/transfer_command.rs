//! Code shared by `push`, `pull` and `copy`: the choice of images, and the messages about the transfer.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use super::create::Creation;
use super::image_transfer::ImageTransfer;
use super::location::Location;
use super::registry::{self, explained};
use super::summary::{self, Row};
use super::transfer_args::{CommonArgs, TransferArgs};
use super::{Context, block_on_threads};
use crate::error::Error;
use crate::escape::escape;
use crate::image::{Digest, Name, glob};
use crate::output;
use crate::store::{Buffers, ResumeState};
use crate::transfer::compress::CompressionCache;
use crate::transfer::progress::Progress;
use crate::transfer::{Options, Outcome};
use crate::ui::progress::{Display, Style, count};

/// Several ends of one kind, one destination.
pub(super) struct TransferCommand<'a> {
    pub(super) context: &'a Context,
    pub(super) args: &'a TransferArgs,
    pub(super) sources: &'a [Location],
    pub(super) destination: &'a Location,
    /// Name of the image if neither end gives one.
    pub(super) unnamed: Option<&'a str>,
    pub(super) create: Option<&'a Creation>,
    /// Participle for the last line, such as `pushed`.
    pub(super) done: &'static str,
}

/// One image to move.
struct Image<'a> {
    source: &'a Location,
    options: Options,
}

/// Returns the progress display that the options choose.
pub(super) fn display(context: &Context, args: &CommonArgs) -> Arc<Display> {
    let style = match args.progress.as_str() {
        _ if args.quiet => Style::Quiet,
        "json" => Style::Json,
        "lines" => Style::Lines,
        _ => Style::Auto,
    };
    Display::new(&context.ui, style)
}

/// Returns whether `--output` asks for JSON.
pub(super) fn wants_json(context: &Context) -> anyhow::Result<bool> {
    match context.settings.globals().output.as_deref() {
        None => Ok(false),
        Some("json") => Ok(true),
        Some(other) => {
            Err(registry::usage(format!("this command has no output {other}; expected json, or none at all")))
        }
    }
}

/// Prints a value to stdout as JSON.
pub(super) fn print_json(context: &Context, value: &Value) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    output::json::write(&mut bytes, value)?;
    bytes.push(b'\n');
    Ok(context.ui.print_bytes(&bytes)?)
}

/// Explains after an interrupt how to resume.
pub(super) fn after(display: &Display, error: &anyhow::Error, kept: ResumeState) {
    if matches!(error.downcast_ref::<Error>(), Some(Error::Interrupted(_))) {
        display.note(match kept {
            ResumeState::Bytes => {
                "interrupted; the same command goes on where this one stopped: what has arrived is kept"
            }
            ResumeState::Blobs => {
                "interrupted; the same command goes on from here: layers that arrived whole are kept"
            }
            ResumeState::Beginning => "interrupted; the archive is cut off and cannot be used",
            ResumeState::Nothing => "interrupted; nothing was written",
        });
    }
}

impl TransferCommand<'_> {
    /// Copies all chosen images, and prints them to stdout.
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let json = wants_json(self.context)?;
        if json && self.destination.takes_stdout() {
            return Err(registry::usage("the archive goes to standard output, so --output json cannot"));
        }
        if self.destination.target.is_none() && self.create.is_some_and(Creation::has_file) {
            return Err(registry::usage(
                "--create=FILE is for repositories of Amazon ECR through its own API",
            ));
        }
        let display = display(self.context, &self.args.common);
        let progress: Arc<dyn Progress> = display.clone();
        let moved = block_on_threads(self.copy_all(&progress, &display));
        display.end();
        let (rows, verdict) =
            moved.inspect_err(|error| after(&display, error, self.destination.store.keeps()))?;
        if json {
            let rows = Value::Array(rows.iter().map(Row::value).collect());
            print_json(self.context, &rows)?;
            return verdict;
        }
        let mut digests: Vec<&Digest> = Vec::new();
        for digest in rows.iter().map(|row| &row.outcome.digest) {
            if digests.contains(&digest) {
                continue;
            }
            digests.push(digest);
            if self.destination.takes_stdout() {
                display.note(&digest.to_string());
            } else {
                self.context.ui.print(&format!("{digest}\n"))?;
            }
        }
        verdict
    }

    /// Copies all images. Returns a row for each, and the error of those that `--keep-going` left behind.
    async fn copy_all(
        &self,
        progress: &Arc<dyn Progress>,
        display: &Display,
    ) -> anyhow::Result<(Vec<Row>, anyhow::Result<()>)> {
        let keep_going = self.args.keep_going;
        let mut failures = Failures { keep_going, display, all: Vec::new() };
        let images = self.images(&mut failures).await?;
        // With --keep-going a tag that cannot move stops nothing but itself.
        if !keep_going {
            self.check_tags(&images).await?;
        }
        let dry_run = self.args.common.dry_run;
        let began = Instant::now();
        let elapsed = |began: Instant| (!dry_run).then(|| began.elapsed().as_secs_f64());
        let mut rows: Vec<Row> = Vec::new();
        for image in &images {
            let began = Instant::now();
            if images.len() > 1 {
                display.note(&format!("{}:", described(image)));
            }
            let outcome = match self.copy_image(image, progress).await {
                Ok(outcome) => outcome,
                Err(error) if images.len() == 1 => return Err(error),
                Err(error) => {
                    failures.bear(error.context(format!("cannot copy {}", described(image))))?;
                    continue;
                }
            };
            self.note_changes(display, image, &outcome);
            let name = self.destination.label(&image.options.tags, &outcome.digest);
            rows.push(Row { image: name, outcome, seconds: elapsed(began) });
        }
        if !dry_run {
            self.destination.store.finish().await.map_err(|error| explained(error.into()))?;
        }
        let seconds = elapsed(began);
        let table = summary::table(&self.context.ui, &rows, seconds, self.done);
        display.summary(&table, &summary::event(&rows, seconds));
        Ok((rows, failures.verdict(images.len())))
    }

    /// Copies one image, or with `--dry-run` plans that.
    async fn copy_image(&self, image: &Image<'_>, progress: &Arc<dyn Progress>) -> anyhow::Result<Outcome> {
        let (source, create) = (&image.source.store, self.create);
        let transfer = ImageTransfer { source, destination: self.destination, create };
        if self.args.common.dry_run {
            transfer.survey(&image.options, progress).await
        } else {
            transfer.copy_image(&image.options, progress).await
        }
    }

    /// Notes why an image has another digest than at the source.
    fn note_changes(&self, display: &Display, image: &Image<'_>, outcome: &Outcome) {
        if outcome.rewritten {
            display.note(
                "the index was rewritten for the chosen platforms, so its digest is another one than at the source",
            );
        }
        if outcome.compressed > 0 {
            let layers = count(outcome.compressed, "layer");
            let is_docker = self.destination.store.capabilities().is_docker_format;
            let decompresses = is_docker && image.options.compression.is_none();
            let done = if decompresses { "decompressed" } else { "compressed" };
            display.note(&format!("{done} {layers}, so the digest is another one than at the source"));
        }
    }

    /// Finds out, where several images go to ECR, which tags cannot move, before the first image does. It takes one
    /// listing, and a question for each tag that is there.
    async fn check_tags(&self, images: &[Image<'_>]) -> anyhow::Result<()> {
        if images.len() < 2 || self.destination.target.is_none() {
            return Ok(());
        }
        let wanted: HashSet<String> = images.iter().flat_map(|image| image.options.tags.clone()).collect();
        let there = self.destination.store.tags_with_digests(&move |tag| wanted.contains(tag)).await;
        let there = there.map_err(|error| explained(error.into()))?.unwrap_or_default().images;
        let there: HashMap<String, Digest> =
            there.into_iter().map(|(tag, digest)| (tag.into(), digest)).collect();
        for Image { source, options } in images {
            let known: Vec<&String> = options.tags.iter().filter(|tag| there.contains_key(*tag)).collect();
            // Of what is cut down for platforms or compressed on its way only the plan knows the digest.
            let changes = !options.platforms.is_empty() || options.compression.is_some();
            if known.is_empty() || changes || source.store.capabilities().is_docker_format {
                continue;
            }
            let moved = async {
                let manifest = source.store.manifest(&options.image).await?;
                let moves = |tag: &&&String| there[**tag] != *manifest.digest();
                let moved: Vec<String> = known.iter().filter(moves).map(|tag| (*tag).clone()).collect();
                self.destination.store.check_tags(manifest.digest(), &moved).await
            };
            moved.await.map_err(|error| explained(error.into()))?;
        }
        Ok(())
    }

    async fn images(&self, failures: &mut Failures<'_>) -> anyhow::Result<Vec<Image<'_>>> {
        let globs = &self.args.globs;
        let by_tags = self.args.all_tags || !globs.is_empty();
        if (by_tags || self.sources.len() > 1) && self.destination.name != Name::Unnamed {
            return Err(registry::usage("several images keep their tags; name a destination without one"));
        }
        let mut images = Vec::new();
        let buffers = self.args.common.buffers();
        for source in self.sources {
            if !by_tags {
                let options =
                    self.options(source, source.name.clone(), self.tags(&source.name)?, &buffers)?;
                images.push(Image { source, options });
                continue;
            }
            if source.name != Name::Unnamed {
                return Err(registry::usage("the source already names one image; expected all its tags"));
            }
            let mut listing = source.store.tags().await.map_err(|error| explained(error.into()))?;
            listing.retain(|tag| globs.is_empty() || globs.iter().any(|glob| glob::matches(glob, tag)));
            if listing.tags.is_empty() && listing.invalid.is_empty() {
                anyhow::bail!("{} has no tag that matches", source.store.name());
            }
            for name in &listing.invalid {
                let place = source.store.name();
                failures.bear(anyhow::anyhow!("{place} lists {}, which is no tag", escape(name)))?;
            }
            listing.tags.sort();
            for tag in listing.tags {
                let tags = vec![tag.to_string()];
                let options = self.options(source, Name::Tag(tag), tags, &buffers)?;
                images.push(Image { source, options });
            }
        }
        Ok(images)
    }

    fn options(
        &self,
        source: &Location,
        image: Name,
        tags: Vec<String>,
        buffers: &Arc<Buffers>,
    ) -> anyhow::Result<Options> {
        let tags = self.destination.names(source, tags);
        let expected = match &self.destination.name {
            Name::Digest(digest) => Some(digest.clone()),
            _ => None,
        };
        let (platforms, compression) = (self.args.platforms()?, self.args.compress);
        let cache = self.context.settings.cache_folder();
        let cache = cache.map(|folder| CompressionCache::new(folder.join("ecr").join("layers")));
        let CommonArgs { referrers, verify, .. } = self.args.common;
        let (buffers, jobs) = (Arc::clone(buffers), self.args.common.jobs());
        Ok(Options { image, expected, platforms, tags, referrers, jobs, buffers, verify, compression, cache })
    }

    /// Returns the destination's tag, else the source's or the default one, and those of `--tag`.
    fn tags(&self, source: &Name) -> anyhow::Result<Vec<String>> {
        let mut tags: Vec<String> = Vec::new();
        if let Name::Tag(tag) = &self.destination.name {
            tags.push(tag.to_string());
        }
        for tag in &self.args.tags {
            Name::tag(tag).map_err(registry::wrong)?;
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        if tags.is_empty() && self.destination.name == Name::Unnamed {
            match (self.unnamed, source) {
                (Some(tag), _) => tags.push(tag.to_owned()),
                (None, Name::Tag(tag)) => tags.push(tag.to_string()),
                (None, Name::Unnamed) => tags.push("latest".to_owned()),
                (None, Name::Digest(_)) => {}
            }
        }
        Ok(tags)
    }
}

/// Images that could not be moved while others were.
struct Failures<'a> {
    keep_going: bool,
    display: &'a Display,
    all: Vec<anyhow::Error>,
}

impl Failures<'_> {
    /// Notes a failure with `--keep-going`; without it, and after an interrupt, it is the end.
    fn bear(&mut self, error: anyhow::Error) -> anyhow::Result<()> {
        if !self.keep_going || matches!(error.downcast_ref::<Error>(), Some(Error::Interrupted(_))) {
            return Err(error);
        }
        self.display.note(&format!("{error:#}"));
        self.all.push(error);
        Ok(())
    }

    /// An error where there were failures: its exit code is that of the first.
    fn verdict(mut self, images: usize) -> anyhow::Result<()> {
        if self.all.is_empty() {
            return Ok(());
        }
        let failed = self.all.len();
        let of = images.max(failed);
        Err(self
            .all
            .swap_remove(0)
            .context(format!("{failed} of {of} images were not copied; the first of them")))
    }
}

fn described(image: &Image<'_>) -> String {
    let place = image.source.store.name();
    match &image.options.image {
        Name::Unnamed => place,
        Name::Tag(tag) => format!("{place}:{tag}"),
        Name::Digest(digest) => format!("{place}@{digest}"),
    }
}
