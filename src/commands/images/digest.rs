//! `ecr digest`: existence of an image, and its digest.

use std::process::ExitCode;

use clap::{ArgMatches, ValueHint};
use serde_json::json;

use super::super::argument_types::ReferenceText;
use super::super::registry::wrong;
use super::super::{Command, Context, block_on, command_args};
use super::children::tell_fetched;
use super::content::ImageReader;
use super::describe::{describe_by_name, identifier};
use super::failures::{NO, UNKNOWN, answer, has_code, is_missing_repository, no_platform};
use super::manifest_cache::ManifestCache;
use super::output::Output;
use super::selection::Repository;
use crate::image::graph::{Graph, Status};
use crate::image::{Digest, Name, Platform, Reference, media_type};

/// The row of `ecr digest`.
pub(in crate::commands) const COMMAND: Command = Command { name: "digest", in_public: true, define, run };

/// The arguments of `ecr digest`.
#[derive(Debug, clap::Args)]
struct DigestArgs {
    /// The image, as it is written on the command line.
    #[arg(help = "The image: [HOST/]REPOSITORY[:TAG|@DIGEST]", value_name = "REFERENCE")]
    reference: ReferenceText,
    /// Print HOST/REPOSITORY@DIGEST, ready for a deployment
    #[arg(long)]
    uri: bool,
    /// The image for this platform, such as linux/arm64. Reads the manifest, which counts as a pull
    #[arg(long, value_name = "PLATFORM", value_hint = ValueHint::Other)]
    platform: Option<String>,
    /// What an archived image is, which cannot be pulled: ok, or fail (exit 3)
    #[arg(long, value_name = "ok|fail", default_value = "ok", value_parser = ["ok", "fail"])]
    archived: String,
    /// Neither use nor keep manifests in the cache
    #[arg(long)]
    no_cache: bool,
}

fn define() -> clap::Command {
    let command = clap::Command::new("digest").about("Print the digest of an image, or exit 1 if there is none").long_about(
        "Print the digest of an image. Exits 1 where the image or its repository does not exist, and never 1 for another \
         reason: throttled, denied and unreachable are 253 to 255. Without the right to DescribeImages the manifest is \
         fetched instead, which counts as a pull.",
    );
    command_args::define::<DigestArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, digest)
}

/// An image that was found.
struct ResolvedImage {
    graph: Graph,
    digest: Digest,
    fetched: usize,
}

fn digest(context: &Context, arguments: &DigestArgs) -> anyhow::Result<ExitCode> {
    let output = Output::of(context)?;
    let reference: Reference = arguments.reference.parse().map_err(wrong)?;
    let platform: Option<Platform> =
        arguments.platform.as_deref().map(str::parse).transpose().map_err(wrong)?;
    let repository = Repository::of_reference(&context.settings, &reference)?;
    let found = block_on(async { find(&repository, &reference.name).await });
    let found = match found {
        Err(error) if is_missing_repository(&error) => {
            return Ok(answer(context, NO, &format!("the repository {} does not exist", repository.name)));
        }
        found => found?,
    };
    let Some(mut found) = found else {
        return Ok(answer(context, NO, &format!("{reference} does not exist")));
    };
    if found.graph.image(0).status() != Status::Active {
        if arguments.archived == "fail" {
            return Ok(answer(context, UNKNOWN, &format!("{reference} is archived and cannot be pulled")));
        }
        context.ui.note(&format!("warning: {reference} is archived and cannot be pulled"));
    }
    if let Some(platform) = platform {
        let cache = ManifestCache::open(&context.settings, arguments.no_cache);
        let chosen = block_on(async {
            let reader = ImageReader { repository: &repository, graph: &found.graph, cache: &cache };
            reader.for_platform(0, &platform, 0).await
        })?;
        found.fetched += chosen.fetched;
        let Some(digest) = chosen.digest else {
            return Ok(no_platform(context, &reference, &platform, chosen.is_unreadable));
        };
        found.digest = digest;
    }
    tell_fetched(context, found.fetched);
    print(&output, arguments, &repository, &found)?;
    Ok(ExitCode::SUCCESS)
}

fn print(
    output: &Output<'_>,
    arguments: &DigestArgs,
    repository: &Repository,
    found: &ResolvedImage,
) -> anyhow::Result<()> {
    let host = repository.connection.host(found.graph.account());
    let object = super::json::image_object(repository, &found.graph, &found.digest, host.as_deref(), None);
    let shown = if arguments.uri {
        let host =
            host.ok_or_else(|| anyhow::anyhow!("the region is not known, and so the registry's host"))?;
        format!("{host}/{}@{}", repository.name, found.digest)
    } else {
        found.digest.to_string()
    };
    output.object(&object, &format!("{shown}\n"), std::slice::from_ref(&shown))
}

/// Looks an image up; `None` where there is none.
async fn find(repository: &Repository, name: &Name) -> anyhow::Result<Option<ResolvedImage>> {
    let (details, fetched) = match describe_by_name(repository, std::slice::from_ref(name)).await {
        Err(error) if has_code(&error, "AccessDeniedException") => (fetch(repository, name).await?, 1),
        details => (details?.into_iter().next(), 0),
    };
    Ok(details.map(|detail| {
        let mut graph = Graph::default();
        graph.add(detail);
        graph.link();
        let digest = graph.image(0).digest();
        ResolvedImage { graph, digest, fetched }
    }))
}

/// Asks for the manifest, for principals that may pull but not describe. It counts as a pull.
async fn fetch(repository: &Repository, name: &Name) -> anyhow::Result<Option<crate::image::graph::Detail>> {
    const OPERATION: &str = "BatchGetImage";
    let input = json!({
        "repositoryName": repository.name, "imageIds": [identifier(name)], "acceptedMediaTypes": media_type::MANIFESTS
    });
    let answer = repository.connection.call(OPERATION, input).await?;
    if let Some(image) = answer["images"].as_array().and_then(|images| images.first()) {
        let detail = json!({
            "registryId": image["registryId"],
            "imageDigest": image["imageId"]["imageDigest"],
            "imageTags": image["imageId"].get("imageTag").into_iter().collect::<Vec<_>>(),
            "imageManifestMediaType": image["imageManifestMediaType"],
        });
        return Ok(Some(crate::image::graph::Detail::read(&detail)?));
    }
    let failure = &answer["failures"][0];
    match failure["failureCode"].as_str() {
        Some("ImageNotFound") => Ok(None),
        code => anyhow::bail!(
            "{OPERATION} failed for {}: {}: {}",
            repository.name,
            code.unwrap_or("no reason"),
            failure["failureReason"].as_str().unwrap_or_default()
        ),
    }
}
