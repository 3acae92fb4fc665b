//! What `push`, `pull` and `copy` share: arguments, the images that are meant, and the transfer itself.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches};
use serde_json::json;

use super::ends::End;
use super::registry::{self, Target, explained};
use super::{Context, block_on_threads};
use crate::image::{Digest, Name};
use crate::store::{self, Shared, ecr};
use crate::transfer::compress::Compression;
use crate::transfer::progress::Progress;
use crate::transfer::{self, Options, Outcome};
use crate::ui::progress::{Display, Style, count, human};

/// What is done, as the last line says it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verb {
    pub(super) done: &'static str,
}

/// The arguments that all of them take.
pub(super) fn arguments(command: clap::Command) -> clap::Command {
    command
        .arg(registry::platform_argument())
        .arg(
            Arg::new("tag")
                .long("tag")
                .value_name("TAG")
                .action(ArgAction::Append)
                .help("A further tag for the image; repeat it for several"),
        )
        .arg(
            Arg::new("all-tags")
                .long("all-tags")
                .action(ArgAction::SetTrue)
                .conflicts_with_all(["tag", "match"])
                .help("Every tag of the source, each under its own name"),
        )
        .arg(
            Arg::new("match")
                .long("match")
                .value_name("GLOB")
                .action(ArgAction::Append)
                .conflicts_with("tag")
                .help("The tags of the source that match, such as 'v1.*'; repeat it for several"),
        )
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Only say what would move, and what is there already"),
        )
        .arg(
            Arg::new("progress")
                .long("progress")
                .value_name("STYLE")
                .value_parser(["auto", "lines", "json"])
                .default_value("auto")
                .help("How to show it: bars on a terminal and lines elsewhere, or lines, or JSON lines on stderr"),
        )
        .arg(
            Arg::new("quiet").long("quiet").action(ArgAction::SetTrue).help("Nothing but the digest, and errors"),
        )
        .arg(
            Arg::new("compress")
                .long("compress")
                .value_name("METHOD")
                .value_parser(str::parse::<Compression>)
                .help("Compress the layers with gzip or zstd, at a level (zstd:9) even where they are compressed so"),
        )
        .arg(registry::jobs_argument())
}

/// The argument `--create`.
pub(super) fn create_argument() -> Arg {
    Arg::new("create").long("create").action(ArgAction::SetTrue).help("Create the repository if need be")
}

/// Several ends of one kind, one destination.
pub(super) struct Job<'a> {
    pub(super) context: &'a Context,
    pub(super) matches: &'a ArgMatches,
    pub(super) sources: &'a [End],
    pub(super) destination: &'a End,
    /// What the image is called where neither end says it.
    pub(super) unnamed: Option<&'a str>,
    pub(super) create: bool,
    pub(super) verb: Verb,
}

/// One image to move.
struct Image<'a> {
    source: &'a End,
    options: Options,
}

impl Job<'_> {
    /// Moves everything that is meant, and says on stdout which images that were.
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let quiet = self.matches.get_flag("quiet");
        let style = match (quiet, self.matches.get_one::<String>("progress").map(String::as_str)) {
            (true, _) => Style::Quiet,
            (_, Some("json")) => Style::Json,
            (_, Some("lines")) => Style::Lines,
            _ => Style::Auto,
        };
        let display = Display::new(&self.context.ui, style);
        let progress: Arc<dyn Progress> = display.clone();
        let moved = block_on_threads(self.everything(&progress, &display));
        display.end();
        let digests = moved?;
        self.destination.deliver()?;
        for digest in digests {
            if self.destination.takes_stdout() {
                display.note(&digest.to_string());
            } else {
                self.context.ui.print(&format!("{digest}\n"))?;
            }
        }
        Ok(())
    }

    async fn everything(
        &self,
        progress: &Arc<dyn Progress>,
        display: &Display,
    ) -> anyhow::Result<Vec<Digest>> {
        let images = self.images().await?;
        let dry_run = self.matches.get_flag("dry-run");
        let started = Instant::now();
        let mut total: Option<Outcome> = None;
        let mut digests: Vec<Digest> = Vec::new();
        for image in &images {
            if images.len() > 1 {
                display.note(&format!("{}:", described(image)));
            }
            let outcome =
                if dry_run { self.survey(image, progress).await? } else { self.one(image, progress).await? };
            if outcome.rewritten {
                display.note(
                    "the index was rewritten for the chosen platforms, so its digest is another one than at \
                     the source",
                );
            }
            if outcome.compressed > 0 {
                let layers = count(outcome.compressed, "layer");
                display
                    .note(&format!("compressed {layers}, so the digest is another one than at the source"));
            }
            if !digests.contains(&outcome.digest) {
                digests.push(outcome.digest.clone());
            }
            total = Some(match total {
                None => outcome,
                Some(before) => Outcome {
                    blobs: before.blobs + outcome.blobs,
                    bytes: before.bytes + outcome.bytes,
                    present: before.present + outcome.present,
                    ..outcome
                },
            });
        }
        if !dry_run {
            self.destination.store.finish().await.map_err(|error| explained(error.into()))?;
        }
        if let Some(total) = total {
            self.report(display, &total, images.len(), started, dry_run);
        }
        Ok(digests)
    }

    /// The last line, on stderr.
    fn report(&self, display: &Display, total: &Outcome, images: usize, started: Instant, dry_run: bool) {
        let seconds = started.elapsed().as_secs_f64();
        let there = match total.present {
            0 => String::new(),
            present => format!(", {present} there already"),
        };
        let images = if images > 1 { format!("{} with ", count(images, "image")) } else { String::new() };
        let what = format!("{images}{}, {}{there}", count(total.blobs, "blob"), human(total.bytes));
        if dry_run {
            display.summary(&format!("would have {} {what}", self.verb.done), total, None);
            return;
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rate for a person to read"
        )]
        let rate = (total.bytes as f64 / seconds.max(0.001)) as u64;
        let rate = if total.bytes == 0 { String::new() } else { format!(", {}/s", human(rate)) };
        display.summary(&format!("{} {what}, in {seconds:.1} s{rate}", self.verb.done), total, Some(seconds));
    }

    async fn images(&self) -> anyhow::Result<Vec<Image<'_>>> {
        let globs: Vec<&String> = self.matches.get_many("match").into_iter().flatten().collect();
        let by_tags = self.matches.get_flag("all-tags") || !globs.is_empty();
        if (by_tags || self.sources.len() > 1) && self.destination.name != Name::Unnamed {
            return Err(registry::usage("several images keep their tags; name a destination without one"));
        }
        let mut images = Vec::new();
        for source in self.sources {
            if !by_tags {
                let options = self.options(source, source.name.clone(), self.tags(&source.name)?)?;
                images.push(Image { source, options });
                continue;
            }
            if source.name != Name::Unnamed {
                return Err(registry::usage("the source already names one image; expected all its tags"));
            }
            let mut tags = source.store.tags().await.map_err(|error| explained(error.into()))?;
            tags.sort();
            tags.retain(|tag| globs.is_empty() || globs.iter().any(|glob| matches(glob, tag)));
            if tags.is_empty() {
                anyhow::bail!("{} has no tag that matches", source.store.name());
            }
            for tag in tags {
                let options = self.options(source, Name::Tag(tag.clone()), vec![tag])?;
                images.push(Image { source, options });
            }
        }
        Ok(images)
    }

    fn options(&self, source: &End, image: Name, tags: Vec<String>) -> anyhow::Result<Options> {
        let tags = self.destination.names(source, tags);
        let expected = match &self.destination.name {
            Name::Digest(digest) => Some(digest.clone()),
            _ => None,
        };
        let (platforms, jobs) = (registry::platforms(self.matches)?, registry::jobs(self.matches));
        let compression = self.matches.get_one("compress").copied();
        Ok(Options { image, expected, platforms, tags, jobs, compression })
    }

    /// The destination's tag, else the source's or the one for what has none, and those of `--tag`.
    fn tags(&self, source: &Name) -> anyhow::Result<Vec<String>> {
        let mut tags: Vec<String> = Vec::new();
        if let Name::Tag(tag) = &self.destination.name {
            tags.push(tag.clone());
        }
        for tag in self.matches.get_many::<String>("tag").into_iter().flatten() {
            Name::tag(tag).map_err(registry::wrong)?;
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        if tags.is_empty() && self.destination.name == Name::Unnamed {
            match (self.unnamed, source) {
                (Some(tag), _) => tags.push(tag.to_owned()),
                (None, Name::Tag(tag)) => tags.push(tag.clone()),
                (None, Name::Unnamed) => tags.push("latest".to_owned()),
                (None, Name::Digest(_)) => {}
            }
        }
        Ok(tags)
    }

    async fn one(&self, image: &Image<'_>, progress: &Arc<dyn Progress>) -> anyhow::Result<Outcome> {
        let (source, destination) = (&image.source.store, &self.destination.store);
        let copy = || transfer::add(source, destination, &image.options, progress);
        match (copy().await, &self.destination.target) {
            (Err(error), Some(target)) if self.create && is_no_repository(&error, destination) => {
                create_repository(target).await?;
                copy().await.map_err(explained)
            }
            (
                Err(transfer::Error::Store(store::Error::Ecr(ecr::Error::NoRepository {
                    repository,
                    source,
                }))),
                _,
            ) => {
                let hint = if self.destination.target.is_some() { "; --create creates it" } else { "" };
                let words = format!("the repository {repository} does not exist{hint}");
                Err(anyhow::Error::from(source).context(words))
            }
            (result, _) => result.map_err(explained),
        }
    }

    async fn survey(&self, image: &Image<'_>, progress: &Arc<dyn Progress>) -> anyhow::Result<Outcome> {
        let (source, destination) = (&image.source.store, &self.destination.store);
        let survey = |there| transfer::survey(source, there, &image.options, progress);
        match survey(Some(destination)).await {
            Err(error) if self.create && is_no_repository(&error, destination) => {
                survey(None).await.map_err(explained)
            }
            result => result.map_err(explained),
        }
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

/// Whether it is the destination whose repository does not exist.
fn is_no_repository(error: &transfer::Error, destination: &Shared) -> bool {
    matches!(
        error,
        transfer::Error::Store(store::Error::Ecr(ecr::Error::NoRepository { repository, .. }))
            if *repository == destination.name()
    )
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

/// Whether a tag matches a glob: `*` stands for any characters and `?` for one.
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut at, mut here) = (0, 0);
    // Where to go on when what follows the last star did not fit: one character further.
    let mut back: Option<(usize, usize)> = None;
    while here < text.len() {
        match glob.get(at) {
            Some('*') => {
                back = Some((at + 1, here));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == text[here] => {
                at += 1;
                here += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    (at, here) = (star, from + 1);
                    back = Some((star, from + 1));
                }
                None => return false,
            },
        }
    }
    glob[at..].iter().all(|&rest| rest == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn globs() {
        for (glob, text, fits) in [
            ("*", "", true),
            ("v1.*", "v1.2.3", true),
            ("v1.*", "v10", false),
            ("*-alpine", "3.1-alpine", true),
            ("*a*b", "xaxxab", true),
            ("*a*b", "xaxxabc", false),
            ("1.?", "1.5", true),
            ("1.?", "1.", false),
            ("latest", "latest", true),
        ] {
            assert_eq!(matches(glob, text), fits, "{glob} {text}");
        }
    }
}
