//! `ecr latest`: the tag of the newest image of a repository, or of the one with the highest version.

use std::cmp::Ordering;
use std::process::ExitCode;

use clap::{ArgMatches, ValueHint};
use semver::{Version, VersionReq};

use super::super::argument_types::RepositoryText;
use super::super::registry::{usage, wrong};
use super::super::{Command, Context, block_on, command_args};
use super::children::tell_fetched;
use super::content::ImageReader;
use super::describe::{Images, describe};
use super::failures::{NO, answer, unreadable};
use super::manifest_cache::ManifestCache;
use super::output::Output;
use super::progress;
use super::selection::Repository;
use super::version::version;
use crate::image::graph::{Detail, Graph, Time};
use crate::image::{Digest, Name, Platform, Reference, glob};

/// The row of `ecr latest`.
pub(in crate::commands) const COMMAND: Command = Command { name: "latest", in_public: true, define, run };

/// The arguments of `ecr latest`.
#[derive(Debug, clap::Args)]
struct LatestArgs {
    /// The repository, with or without the registry's host in front
    #[arg(value_name = "REPOSITORY")]
    repository: RepositoryText,
    /// Only tags that match one of these globs
    #[arg(long = "match", value_name = "GLOB", value_hint = ValueHint::Other)]
    matching: Vec<String>,
    /// No tags that match one of these globs
    #[arg(long, value_name = "GLOB", value_hint = ValueHint::Other)]
    exclude: Vec<String>,
    /// Only tags that are versions in this range, the highest first: '*', '1.2' (the same as ^1.2), '>=1, <3'.
    /// Pre-releases only where the range names one
    #[arg(long, value_name = "RANGE", value_hint = ValueHint::Other)]
    semver: Option<String>,
    /// Only images that have one for this platform, such as linux/arm64. Reads manifests, which counts as pulls
    #[arg(long, value_name = "PLATFORM", value_hint = ValueHint::Other)]
    platform: Option<String>,
    /// Print the digest instead of the tag
    #[arg(long, conflicts_with = "uri")]
    digest: bool,
    /// Print HOST/REPOSITORY@DIGEST, ready for a deployment
    #[arg(long)]
    uri: bool,
    /// Neither use nor keep manifests in the cache
    #[arg(long)]
    no_cache: bool,
}

fn define() -> clap::Command {
    let command = clap::Command::new("latest").about("Print the tag of the newest image of a repository").long_about(
        "Print the tag of the image that was pushed last, or with --semver of the one with the highest version. Archived \
         images, signatures and other images that are there for another one never count. Exits 1 where no image is left.",
    );
    command_args::define::<LatestArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, latest)
}

/// Conditions on tags.
struct TagFilter {
    matching: Vec<String>,
    exclude: Vec<String>,
    range: Option<VersionReq>,
}

/// An image that may be the answer. The greatest is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    version: Option<Version>,
    pushed: Option<Time>,
    digest: Digest,
    tag: String,
}

impl TagFilter {
    /// The image as a candidate, with its best tag: with a range the highest version, else the longest.
    fn candidate(&self, detail: &Detail) -> Option<Candidate> {
        let image = detail.image();
        if image.is_companion() {
            return None;
        }
        let best = image
            .tags()
            .filter(|tag| self.matching.is_empty() || glob::matches_any(&self.matching, tag))
            .filter(|tag| !glob::matches_any(&self.exclude, tag))
            .filter_map(|tag| match &self.range {
                None => Some((None, tag)),
                Some(range) => {
                    let version = version(tag).filter(|version| range.matches(version))?;
                    Some((Some(version), tag))
                }
            })
            .max_by(|one, other| (&one.0, one.1.len(), other.1).cmp(&(&other.0, other.1.len(), one.1)))?;
        Some(Candidate {
            version: best.0,
            pushed: image.pushed(),
            digest: image.digest(),
            tag: best.1.to_owned(),
        })
    }
}

impl Candidate {
    fn compare(&self, other: &Self) -> Ordering {
        (&self.version, self.pushed, &self.digest).cmp(&(&other.version, other.pushed, &other.digest))
    }
}

fn latest(context: &Context, arguments: &LatestArgs) -> anyhow::Result<ExitCode> {
    let output = Output::of(context)?;
    let reference: Reference = arguments.repository.parse().map_err(wrong)?;
    if reference.name != Name::Unnamed {
        return Err(usage(format!("'{}' names one image; expected a repository", *arguments.repository)));
    }
    let range = |text: &String| {
        let wrong =
            |error| usage(format!("--semver {text}: {error}; expected a range such as 1.2 or '>=1, <3'"));
        VersionReq::parse(text).map_err(wrong)
    };
    let wanted = TagFilter {
        matching: arguments.matching.clone(),
        exclude: arguments.exclude.clone(),
        range: arguments.semver.as_ref().map(range).transpose()?,
    };
    let platform: Option<Platform> =
        arguments.platform.as_deref().map(str::parse).transpose().map_err(wrong)?;
    let repository = Repository::of_reference(&context.settings, &reference)?;
    let cache = ManifestCache::open(&context.settings, arguments.no_cache);
    let chosen = block_on(progress::watch(
        &context.ui,
        None,
        choose(&repository, &wanted, platform.as_ref(), &cache),
    ))?;
    tell_fetched(context, chosen.fetched);
    if let Some(reference) = &chosen.unreadable {
        return Ok(unreadable(context, reference));
    }
    let Some((candidate, digest)) = chosen.image else {
        return Ok(answer(context, NO, &format!("no image of {} is left to choose from", repository.name)));
    };
    print(&output, arguments, &repository, (&chosen.graph, &candidate, &digest))?;
    Ok(ExitCode::SUCCESS)
}

fn print(
    output: &Output<'_>,
    arguments: &LatestArgs,
    repository: &Repository,
    (graph, candidate, digest): (&Graph, &Candidate, &Digest),
) -> anyhow::Result<()> {
    let host = repository.connection.host(graph.account());
    let object = super::json::image_object(repository, graph, digest, host.as_deref(), Some(&candidate.tag));
    let shown = if arguments.uri {
        let host =
            host.ok_or_else(|| anyhow::anyhow!("the region is not known, and so the registry's host"))?;
        format!("{host}/{}@{digest}", repository.name)
    } else if arguments.digest {
        digest.to_string()
    } else {
        candidate.tag.clone()
    };
    output.object(&object, &format!("{shown}\n"), std::slice::from_ref(&shown))
}

/// Chosen candidate, with the digest for the requested platform.
#[derive(Default)]
struct Chosen {
    graph: Graph,
    image: Option<(Candidate, Digest)>,
    fetched: usize,
    /// Image whose manifest cannot be read, so that it is unknown whether it is the greatest for the platform.
    unreadable: Option<String>,
}

/// Finds the greatest candidate.
async fn choose(
    repository: &Repository,
    wanted: &TagFilter,
    platform: Option<&Platform>,
    cache: &ManifestCache,
) -> anyhow::Result<Chosen> {
    match platform {
        None => greatest(repository, wanted).await,
        Some(platform) => greatest_for_platform(repository, wanted, platform, cache).await,
    }
}

/// Finds the greatest candidate, and keeps only one image at a time.
async fn greatest(repository: &Repository, wanted: &TagFilter) -> anyhow::Result<Chosen> {
    let mut best: Option<(Candidate, Detail)> = None;
    describe(repository, Images::Tagged, |detail| {
        let Some(candidate) = wanted.candidate(&detail) else { return Ok(()) };
        if best.as_ref().is_none_or(|(known, _)| candidate.compare(known) == Ordering::Greater) {
            best = Some((candidate, detail));
        }
        Ok(())
    })
    .await?;
    let Some((candidate, detail)) = best else { return Ok(Chosen::default()) };
    let mut graph = Graph::default();
    graph.add(detail);
    graph.link();
    let digest = candidate.digest.clone();
    Ok(Chosen { graph, image: Some((candidate, digest)), ..Chosen::default() })
}

/// Finds the greatest candidate that has an image for a platform.
async fn greatest_for_platform(
    repository: &Repository,
    wanted: &TagFilter,
    platform: &Platform,
    cache: &ManifestCache,
) -> anyhow::Result<Chosen> {
    let mut all = Vec::new();
    let mut graph = Graph::default();
    describe(repository, Images::Tagged, |detail| {
        if let Some(candidate) = wanted.candidate(&detail) {
            all.push(candidate);
            graph.add(detail);
        }
        Ok(())
    })
    .await?;
    graph.link();
    all.sort_by(|one, other| other.compare(one));
    let mut fetched = 0;
    let reader = ImageReader { repository, graph: &graph, cache };
    let mut image = None;
    for candidate in all {
        let Some(position) = graph.position(&candidate.digest) else { continue };
        let chosen = reader.for_platform(position, platform, 0).await?;
        fetched += chosen.fetched;
        if chosen.digest.is_none() && chosen.is_unreadable {
            let unreadable = Some(format!("{}:{}", repository.name, candidate.tag));
            return Ok(Chosen { fetched, unreadable, ..Chosen::default() });
        }
        if let Some(digest) = chosen.digest {
            image = Some((candidate, digest));
            break;
        }
    }
    Ok(Chosen { graph, image, fetched, unreadable: None })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn best(range: Option<&str>, matching: &[&str], tags: &[&str]) -> Option<String> {
        let wanted = TagFilter {
            matching: matching.iter().map(|glob| (*glob).to_owned()).collect(),
            exclude: vec!["*-dev".to_owned()],
            range: range.map(|range| range.parse().unwrap()),
        };
        let detail = json!({"imageDigest": Digest::of(b"x"), "imageTags": tags});
        wanted.candidate(&Detail::read(&detail).unwrap()).map(|candidate| candidate.tag)
    }

    #[test]
    fn the_tag_of_an_image() {
        let tags = ["1", "1.2", "1.2.3", "latest", "1.2.4-dev", "2.0.0-rc.1"];
        assert_eq!(best(None, &[], &tags).as_deref(), Some("2.0.0-rc.1"));
        assert_eq!(best(None, &["1*"], &tags).as_deref(), Some("1.2.3"));
        assert_eq!(best(Some("*"), &[], &tags).as_deref(), Some("1.2.3"));
        assert_eq!(best(Some("1.2"), &["?.?"], &tags).as_deref(), Some("1.2"));
        assert_eq!(best(Some(">=2.0.0-rc"), &[], &tags).as_deref(), Some("2.0.0-rc.1"));
        assert_eq!(best(Some("3"), &[], &tags), None);
        assert_eq!(best(None, &["x*"], &tags), None);
        assert_eq!(best(Some("1"), &[], &["1.0", "v1.0", "1.0.0"]).as_deref(), Some("1.0.0"));
        assert_eq!(best(None, &[], &["b", "a"]).as_deref(), Some("a"));
        let companion = format!("sha256-{}.sig", "a".repeat(64));
        assert_eq!(best(None, &[], &[&companion]), None);
    }
}
