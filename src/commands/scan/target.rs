//! Images that a reference stands for: the image itself, or each platform's image of an index.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::images::connection::{Connection, RegistryAddress};
use super::super::images::content::ImageReader;
use super::super::images::describe::lookup_graph;
use super::super::images::manifest_cache::ManifestCache;
use super::super::images::selection::Repository;
use crate::image::graph::Kind;
use crate::image::{Content, Descriptor, Digest, Manifest, Name, Platform, Reference};
use crate::settings::Settings;

/// Platform that buildkit writes for an attestation.
const NO_PLATFORM: &str = "unknown/unknown";

/// The connections of one command, one for each registry.
pub(super) struct Connections<'a> {
    settings: &'a Settings,
    open: HashMap<String, Arc<Connection>>,
}

impl<'a> Connections<'a> {
    pub(super) fn new(settings: &'a Settings) -> Self {
        Self { settings, open: HashMap::new() }
    }

    /// The repository of a reference.
    pub(super) fn repository(&mut self, reference: &Reference) -> anyhow::Result<Repository> {
        let host = reference.registry.as_ref().map(|registry| registry.host().to_owned()).unwrap_or_default();
        if let Some(connection) = self.open.get(&host) {
            let connection = Arc::clone(connection);
            return Ok(Repository { connection, name: reference.repository.to_string() });
        }
        let connection = Connection::open(self.settings, &RegistryAddress::of(reference.registry.clone()))?;
        self.open.insert(host, Arc::clone(&connection));
        Ok(Repository { connection, name: reference.repository.to_string() })
    }
}

/// Image to scan, or the reason against it.
#[derive(Clone)]
pub(super) struct ScanTarget {
    /// Reference as written on the command line.
    pub(super) reference: String,
    pub(super) repository: Repository,
    /// `None` where the image is not there.
    pub(super) digest: Option<Digest>,
    pub(super) platform: Option<String>,
    /// Reason for which it has no findings to read.
    pub(super) missing: Option<String>,
}

impl ScanTarget {
    /// Display name for messages: the reference, and the platform of an index.
    pub(super) fn name(&self) -> String {
        let platform = self.platform.as_ref().map(|platform| format!(" ({platform})"));
        format!("{}{}", self.reference, platform.unwrap_or_default())
    }

    /// Returns whether the image may be for a platform; one without a platform may be for any.
    fn may_be_for(&self, wanted: &Platform) -> bool {
        let offered = self.platform.as_deref().and_then(|text| text.parse::<Platform>().ok());
        offered.is_none_or(|offered| wanted.accepts(&offered))
    }
}

/// The images of a reference, and how many manifests were fetched to find them.
pub(super) async fn of_reference(
    (reference, text): (&Reference, &str),
    repository: &Repository,
    platforms: &[Platform],
    cache: &ManifestCache,
) -> anyhow::Result<(Vec<ScanTarget>, usize)> {
    let (targets, seen, has_choice) = (Vec::new(), HashSet::new(), !platforms.is_empty());
    let mut found = TargetSearch { text, repository, cache, has_choice, targets, seen, fetched: 0 };
    let mut level = vec![(reference.name.clone(), None)];
    // Level by level, so that the children of an index take one call together.
    while !level.is_empty() {
        level = found.level(level).await?;
    }
    if found.targets.is_empty() {
        found.add(None, None, Some("it lists no image that could be scanned"));
    }
    if has_choice {
        found.choose(platforms);
    }
    Ok((found.targets, found.fetched))
}

/// Name of an image, with its platform in the index.
type IndexEntry = (Name, Option<String>);

/// The result for one reference so far.
struct TargetSearch<'a> {
    text: &'a str,
    repository: &'a Repository,
    cache: &'a ManifestCache,
    /// Only some platforms are wanted.
    has_choice: bool,
    targets: Vec<ScanTarget>,
    seen: HashSet<Name>,
    /// Number of manifests fetched.
    fetched: usize,
}

impl TargetSearch<'_> {
    /// Adds an image, once for each platform.
    fn add(&mut self, digest: Option<Digest>, platform: Option<String>, missing: Option<&str>) {
        let is_same =
            |other: &ScanTarget| digest.is_some() && other.digest == digest && other.platform == platform;
        if self.targets.iter().any(is_same) {
            return;
        }
        self.targets.push(ScanTarget {
            reference: self.text.to_owned(),
            repository: self.repository.clone(),
            digest,
            platform,
            missing: missing.map(str::to_owned),
        });
    }

    /// Looks these images up, and returns the children of the indexes among them.
    async fn level(&mut self, level: Vec<IndexEntry>) -> anyhow::Result<Vec<IndexEntry>> {
        let is_first = self.seen.is_empty();
        let mut asked = HashSet::new();
        let names = level.iter().map(|(name, _)| name.clone()).filter(|name| asked.insert(name.clone()));
        let names: Vec<Name> = names.collect();
        let graph = lookup_graph(self.repository, &names).await?;
        let reader = ImageReader { repository: self.repository, graph: &graph, cache: self.cache };
        let mut below = Vec::new();
        for (name, platform) in level {
            let position = match &name {
                Name::Digest(digest) => graph.position(digest),
                _ => (!graph.is_empty()).then_some(0),
            };
            let Some(position) = position else {
                let digest = if let Name::Digest(digest) = name { Some(digest) } else { None };
                self.add(digest, platform, Some("it is not in the repository"));
                continue;
            };
            if graph.is_index(position) {
                if self.seen.insert(name) {
                    below.extend(self.listed(&reader, position, platform).await?);
                }
            } else if is_first || may_be_run(graph.kind(position), platform.is_some()) {
                let mut platform = platform;
                if self.has_choice && platform.is_none() {
                    platform = self.platform_of(&reader, position).await?;
                }
                self.add(Some(graph.image(position).digest()), platform, None);
            }
        }
        Ok(below)
    }

    /// The images that an index lists; one that lists none is told of.
    async fn listed(
        &mut self,
        reader: &ImageReader<'_>,
        position: usize,
        platform: Option<String>,
    ) -> anyhow::Result<Vec<IndexEntry>> {
        let (manifest, is_fetched) = reader.manifest(position).await?;
        self.fetched += usize::from(is_fetched);
        let missing = match manifest.as_ref().map(images_of) {
            None => "what the index lists is not known: it is archived, or gone meanwhile",
            Some(images) if images.is_empty() => "the index lists no image",
            Some(images) => return Ok(images),
        };
        self.add(Some(reader.graph.image(position).digest()), platform, Some(missing));
        Ok(Vec::new())
    }

    /// Returns the platform in an image's own configuration.
    async fn platform_of(
        &mut self,
        reader: &ImageReader<'_>,
        position: usize,
    ) -> anyhow::Result<Option<String>> {
        let (manifest, is_fetched) = reader.manifest(position).await?;
        self.fetched += usize::from(is_fetched);
        let Some(Content::Image { config, .. }) = manifest.as_ref().map(Manifest::content) else {
            return Ok(None);
        };
        let own = Platform::of_configuration(&reader.configuration(config).await?);
        Ok(own.map(|own| own.to_string()))
    }

    /// Keeps the images for these platforms, each of which has to be there.
    fn choose(&mut self, platforms: &[Platform]) {
        self.targets.retain(|target| platforms.iter().any(|platform| target.may_be_for(platform)));
        for platform in platforms {
            if !self.targets.iter().any(|target| target.may_be_for(platform)) {
                self.add(None, Some(platform.to_string()), Some("it has no image for this platform"));
            }
        }
    }
}

/// Returns whether a child of an index may be run, so that its findings count. A child with a platform always may:
/// tags, which anybody can set, also decide its kind. An index may also list non-images, such as an index of SOCI.
fn may_be_run(kind: Kind, has_platform: bool) -> bool {
    match kind {
        Kind::Soci => false,
        Kind::Attestation | Kind::Artifact => has_platform,
        _ => true,
    }
}

/// Entries of an index except attestations, with their platforms.
fn images_of(index: &Manifest) -> Vec<(Name, Option<String>)> {
    let platform = |child: &Descriptor| child.platform().map(|platform| platform.to_string());
    let children = index.children().into_iter().map(|child| (child, platform(child)));
    let images = children.filter(|(_, platform)| platform.as_deref() != Some(NO_PLATFORM));
    images.map(|(child, platform)| (Name::Digest(child.digest.clone()), platform)).collect()
}
