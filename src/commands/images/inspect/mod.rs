//! `ecr inspect`: details of an image, its children and its companions.

mod measure;
mod page;

use std::process::ExitCode;

use clap::{ArgMatches, ValueHint};
use serde_json::{Value, json};

use self::measure::{Uncompressed, measure};
use self::page::page;
use super::super::argument_types::ReferenceText;
use super::super::registry::{usage, wrong};
use super::super::{Command, Context, block_on, command_args};
use super::children::{known_children, tell_fetched};
use super::content::{ImageReader, store};
use super::describe::{Images, graph, identifier};
use super::failures::{no_platform, unreadable};
use super::json::image_members;
use super::manifest_cache::ManifestCache;
use super::output::Output;
use super::progress;
use super::selection::Repository;
use crate::image::graph::Graph;
use crate::image::{Content, Digest, Manifest, Name, Platform, Reference, media_type};

/// The row of `ecr inspect`.
pub(in crate::commands) const COMMAND: Command = Command { name: "inspect", in_public: false, define, run };

/// The arguments of `ecr inspect`.
#[derive(Debug, clap::Args)]
struct InspectArgs {
    /// The image, as it is written on the command line.
    #[arg(help = "The image: [HOST/]REPOSITORY[:TAG|@DIGEST]", value_name = "REFERENCE")]
    reference: ReferenceText,
    /// The image for this platform, such as linux/arm64
    #[arg(long, value_name = "PLATFORM", value_hint = ValueHint::Other)]
    platform: Option<String>,
    /// Print the manifest, byte for byte
    #[arg(long, conflicts_with_all = ["config", "tree", "layers"])]
    raw: bool,
    /// Print the configuration, byte for byte
    #[arg(long, conflicts_with_all = ["tree", "layers"])]
    config: bool,
    /// Show what hangs on the image: platforms, signatures, attestations, and theirs
    #[arg(long)]
    tree: bool,
    /// Show each layer with its digest, its size and the step that made it
    #[arg(long)]
    layers: bool,
    /// With --layers: read every layer to tell its uncompressed size
    #[arg(long, requires = "layers")]
    measure: bool,
    /// Neither use nor keep manifests in the cache
    #[arg(long)]
    no_cache: bool,
}

fn define() -> clap::Command {
    let command = clap::Command::new("inspect").about("Show what an image is and what belongs to it").long_about(
        "Show what an image is and what belongs to it. Reads its manifest and its configuration; a manifest that is not \
         in the cache is fetched, which counts as a pull.",
    );
    command_args::define::<InspectArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, inspect)
}

/// An image with everything that was read of it.
struct Inspected {
    graph: Graph,
    position: usize,
    manifest: Manifest,
    /// The bytes of the configuration; of an index none.
    configuration: Option<Vec<u8>>,
    /// The layers without their compression; empty unless they were measured.
    uncompressed: Vec<Uncompressed>,
}

fn inspect(context: &Context, arguments: &InspectArgs) -> anyhow::Result<ExitCode> {
    let output = Output::of(context)?;
    let reference: Reference = arguments.reference.parse().map_err(wrong)?;
    let platform: Option<Platform> =
        arguments.platform.as_deref().map(str::parse).transpose().map_err(wrong)?;
    let repository = Repository::of_reference(&context.settings, &reference)?;
    let cache = ManifestCache::open(&context.settings, arguments.no_cache);
    let (found, fetched) = block_on(progress::watch(
        &context.ui,
        None,
        read(&repository, &reference.name, platform.as_ref(), (&cache, arguments.measure)),
    ))?;
    tell_fetched(context, fetched);
    let inspected = match found {
        Inspection::Image(inspected) => inspected,
        Inspection::NoPlatform => {
            let platform = arguments.platform.as_deref().unwrap_or_default();
            return Ok(no_platform(context, &reference, &platform, false));
        }
        Inspection::Unreadable => return Ok(unreadable(context, &reference)),
    };
    if arguments.raw {
        context.ui.print_bytes(inspected.manifest.bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.config {
        let bytes = inspected.configuration.as_deref().ok_or_else(|| {
            usage(format!(
                "{reference} is an index, which has no configuration; choose an image with --platform"
            ))
        })?;
        context.ui.print_bytes(bytes)?;
        return Ok(ExitCode::SUCCESS);
    }
    let object = object(&repository, &inspected);
    let shown = page(context, arguments, &inspected);
    output.object(&object, &shown, &text(&repository, &inspected))?;
    Ok(ExitCode::SUCCESS)
}

/// Result of the inspection.
enum Inspection {
    Image(Box<Inspected>),
    NoPlatform,
    Unreadable,
}

async fn described_digest(repository: &Repository, name: &Name) -> anyhow::Result<Digest> {
    let input = json!({"repositoryName": repository.name, "imageIds": [identifier(name)]});
    let answer = repository.connection.call("DescribeImages", input).await?;
    Ok(answer["imageDetails"][0]["imageDigest"].as_str().unwrap_or_default().parse()?)
}

/// Reads an image, and how many manifests were fetched for it.
async fn read(
    repository: &Repository,
    name: &Name,
    platform: Option<&Platform>,
    (cache, is_measured): (&ManifestCache, bool),
) -> anyhow::Result<(Inspection, usize)> {
    // Asked first, and alone: the service's own words for what is absent.
    let digest = described_digest(repository, name).await?;
    let mut graph = graph(repository, Images::Any).await?;
    known_children(&mut graph, cache);
    let Some(mut position) = graph.position(&digest) else { return Ok((Inspection::Unreadable, 0)) };
    let mut fetched = 0;
    if let Some(platform) = platform {
        let reader = ImageReader { repository, graph: &graph, cache };
        let chosen = reader.for_platform(position, platform, 0).await?;
        fetched += chosen.fetched;
        match chosen.digest.and_then(|digest| graph.position(&digest)) {
            Some(found) => position = found,
            None if chosen.is_unreadable => return Ok((Inspection::Unreadable, fetched)),
            None => return Ok((Inspection::NoPlatform, fetched)),
        }
    }
    let reader = ImageReader { repository, graph: &graph, cache };
    let (manifest, is_fetched) = reader.manifest(position).await?;
    fetched += usize::from(is_fetched);
    let Some(manifest) = manifest else { return Ok((Inspection::Unreadable, fetched)) };
    let configuration = match manifest.content() {
        Content::Image { config, .. } => Some(reader.configuration(config).await?),
        Content::Index(_) => None,
    };
    let uncompressed = match manifest.content() {
        Content::Image { layers, .. } if is_measured => measure(&*store(reader.repository)?, layers).await?,
        _ => Vec::new(),
    };
    if configuration.is_none() {
        graph.set_children(position, &manifest);
        graph.link();
    }
    Ok((
        Inspection::Image(Box::new(Inspected { graph, position, manifest, configuration, uncompressed })),
        fetched,
    ))
}

impl Inspected {
    /// The configuration of an image that can be run, as data.
    fn config(&self) -> Option<Value> {
        let Content::Image { config, .. } = self.manifest.content() else { return None };
        let bytes = self.configuration.as_deref()?;
        media_type::is_configuration(&config.media_type).then(|| serde_json::from_slice(bytes).ok()).flatten()
    }
}

fn object(repository: &Repository, inspected: &Inspected) -> Value {
    let Inspected { graph, position, manifest, .. } = inspected;
    let companions = graph.companions(*position).map(|at| image_members(repository, graph, at));
    let mut object = json!({
        "image": image_members(repository, graph, *position),
        "manifest": serde_json::from_slice::<Value>(manifest.bytes()).unwrap_or_default(),
        "config": inspected.config(),
        "companions": companions.collect::<Vec<_>>(),
    });
    if let Content::Image { layers, .. } = manifest.content()
        && !inspected.uncompressed.is_empty()
    {
        let measured = layers.iter().zip(&inspected.uncompressed).map(|(layer, uncompressed)| {
            json!({
                "digest": layer.digest, "sizeInBytes": layer.size,
                "diffId": uncompressed.diff_id, "uncompressedSizeInBytes": uncompressed.bytes,
            })
        });
        object["layers"] = measured.collect();
    }
    object
}

/// Repository, digest, tags, type, size, platforms.
fn text(repository: &Repository, inspected: &Inspected) -> Vec<String> {
    let Inspected { graph, position, .. } = inspected;
    let image = graph.image(*position);
    let platforms: Vec<&str> = graph.children(*position).filter_map(|child| child.platform).collect();
    vec![
        repository.name.clone(),
        image.digest().to_string(),
        image.tags().collect::<Vec<_>>().join(","),
        graph.kind(*position).name().to_owned(),
        image.size().map(|size| size.to_string()).unwrap_or_default(),
        platforms.join(","),
    ]
}
