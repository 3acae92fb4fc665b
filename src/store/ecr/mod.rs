//! A repository of Amazon ECR, through ECR's own layer API.

mod calls;
mod download;
mod error;
mod quotas;
mod tags_and_referrers;
mod upload;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, try_join_all};
use serde_json::{Value, json};

use self::calls::Calls;
pub use self::error::Error;
use self::quotas::Quotas;
use super::connections::Connections;
pub use super::connections::Network;
use super::{
    Buffers, Capabilities, ImageListing, Journal, PendingBlob, Reader, ResumeState, Retries, Source, Store,
    StoreFuture, TagFilter, TagListing, TokenPages, Unreadable, Written,
};
use crate::image::{Descriptor, Digest, Manifest, Name, RepositoryName, Tag, media_type};
use crate::service::Client;
use crate::store;

/// The most digests that BatchCheckLayerAvailability takes at once.
const BATCH: usize = 100;
const MEBIBYTE: usize = 1024 * 1024;

/// Repository of Amazon ECR: its name and account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The account whose registry it is in; `None` for the caller's own.
    pub registry: Option<String>,
    /// Its name.
    pub name: RepositoryName,
}

/// A repository of Amazon ECR.
pub struct Ecr {
    calls: Arc<Calls>,
    origin: Arc<download::Layers>,
    journal: Option<Journal>,
}

impl Ecr {
    /// A repository, through this client.
    pub fn new(client: Client, repository: Repository, network: Network) -> Self {
        let files = client.is_in_process();
        let (endpoint, quotas) = (network.endpoint.clone(), Quotas::of(network.quota_file.as_deref()));
        let connections = Connections::new(network, endpoint);
        let calls = Arc::new(Calls::new(client, repository, connections.backoff(), quotas));
        let origin = Arc::new(download::Layers::new(Arc::clone(&calls), connections, files));
        Self { calls, origin, journal: None }
    }

    /// Records unfinished uploads in a journal and resumes them.
    #[must_use]
    pub fn with_journal(self, journal: Journal) -> Self {
        Self { journal: Some(journal), ..self }
    }

    async fn missing(&self, blobs: &[Descriptor]) -> Result<HashSet<Digest>, Error> {
        const OPERATION: &str = "BatchCheckLayerAvailability";
        let mut missing: HashSet<Digest> = blobs.iter().map(|blob| blob.digest.clone()).collect();
        let asked = blobs.chunks(BATCH).map(|some| {
            let digests: Vec<&Digest> = some.iter().map(|blob| &blob.digest).collect();
            self.calls.call(OPERATION, json!({"layerDigests": digests}))
        });
        for answer in try_join_all(asked).await? {
            for layer in list(&answer, "layers") {
                if text(layer, "layerAvailability") == Some("AVAILABLE")
                    && let Some(digest) = text(layer, "layerDigest").and_then(|text| text.parse().ok())
                {
                    missing.remove(&digest);
                }
            }
        }
        match blobs.iter().find(|blob| blob.size == 0 && missing.contains(&blob.digest)) {
            Some(empty) => Err(Error::Empty(empty.digest.clone())),
            None => Ok(missing),
        }
    }

    async fn get(&self, name: &Name) -> Result<Manifest, store::Error> {
        const OPERATION: &str = "BatchGetImage";
        let identifier = match name {
            Name::Unnamed => json!({"imageTag": "latest"}),
            Name::Tag(tag) => json!({"imageTag": tag}),
            Name::Digest(digest) => json!({"imageDigest": digest}),
        };
        let members = json!({"imageIds": [identifier], "acceptedMediaTypes": media_type::MANIFESTS});
        let answer = self.calls.call(OPERATION, members).await?;
        if let Some(failure) = list(&answer, "failures").first() {
            return Err(self.failure(name, failure));
        }
        let image = list(&answer, "images").first();
        let image = image.ok_or_else(|| self.calls.nonsense(OPERATION, "neither an image nor a failure"))?;
        let place = self.calls.place();
        let bytes = text(image, "imageManifest")
            .ok_or_else(|| self.calls.nonsense(OPERATION, "an image without its manifest"))?;
        let manifest =
            Manifest::parse(Bytes::copy_from_slice(bytes.as_bytes()), text(image, "imageManifestMediaType"))
                .map_err(store::Error::image(&place))?;
        let asked = match name {
            Name::Digest(digest) => Some(digest.clone()),
            _ => {
                image.get("imageId").and_then(|id| text(id, "imageDigest")).and_then(|text| text.parse().ok())
            }
        };
        match asked {
            Some(digest) if digest.algorithm().of(manifest.bytes()) != digest => {
                Err(store::Error::Mismatch {
                    place,
                    what: "manifest",
                    digest,
                    found: manifest.digest().clone(),
                })
            }
            _ => Ok(manifest),
        }
    }

    fn failure(&self, name: &Name, failure: &Value) -> store::Error {
        if text(failure, "failureCode") == Some("ImageInaccessible") {
            let sign = if matches!(name, Name::Digest(_)) { '@' } else { ':' };
            return store::Error::Ecr(Error::Inaccessible {
                repository: self.calls.repository().clone(),
                image: format!("{sign}{name}"),
                reason: text(failure, "failureReason")
                    .unwrap_or("it is archived")
                    .trim_end_matches('.')
                    .to_owned(),
            });
        }
        let name = name.to_string();
        match (text(failure, "failureCode"), text(failure, "failureReason")) {
            (Some("ImageNotFound"), _) => {
                store::Error::NoImage { place: self.calls.place(), name, instead: String::new() }
            }
            (code, reason) => {
                let (code, reason) = (code.unwrap_or("a failure"), reason.unwrap_or("no reason"));
                self.calls.nonsense("BatchGetImage", &format!("{code} for {name}: {reason}")).into()
            }
        }
    }

    /// Returns the image's tags, if it is present and usable. DescribeImages and not BatchGetImage, which would count
    /// as a pull.
    async fn tags_of(&self, digest: &Digest) -> Result<Option<Vec<String>>, Error> {
        let members = json!({"imageIds": [{"imageDigest": digest}]});
        match self.calls.call("DescribeImages", members).await {
            Err(Error::Service(error)) if error.code() == Some("ImageNotFoundException") => Ok(None),
            // The rights that suffice for a push need not include this one; then the slower way finds out.
            Err(Error::Service(error)) if error.code() == Some("AccessDeniedException") => Ok(None),
            Err(error) => Err(error),
            Ok(answer) => Ok(list(&answer, "imageDetails")
                .first()
                .filter(|image| text(image, "imageStatus").is_none_or(|status| status == "ACTIVE"))
                .map(|image| {
                    let tags = list(image, "imageTags").iter().filter_map(Value::as_str);
                    tags.map(ToOwned::to_owned).collect()
                })),
        }
    }

    /// Lists all tags with their digests. An answer without a list is none.
    async fn list(&self, chosen: &TagFilter) -> Result<ImageListing, Error> {
        const OPERATION: &str = "ListImages";
        let nonsense = |reason: String| self.calls.nonsense(OPERATION, &reason);
        let (mut listing, mut pages) = (ImageListing::default(), TokenPages::default());
        loop {
            let members = json!({"filter": {"tagStatus": "TAGGED"}, "maxResults": 1000});
            let members = pages.input(members).map_err(nonsense)?;
            let answer = self.calls.call(OPERATION, members).await?;
            let images = answer.get("imageIds").and_then(Value::as_array);
            let images = images.ok_or_else(|| nonsense("no list of images".to_owned()))?;
            let goes_on = pages.page(&answer, images.len()).map_err(nonsense)?;
            for image in images {
                let Some(name) = text(image, "imageTag").filter(|name| chosen(name)) else { continue };
                let digest = text(image, "imageDigest").and_then(|digest| digest.parse().ok());
                match (name.parse(), digest) {
                    (Ok(tag), Some(digest)) => listing.images.push((tag, digest)),
                    (Err(_), _) => listing.unreadable.push(Unreadable::invalid(name.to_owned())),
                    (Ok(_), None) => {
                        let reason = "the service names no digest for it".to_owned();
                        listing.unreadable.push(Unreadable { name: name.to_owned(), reason });
                    }
                }
            }
            if !goes_on {
                return Ok(listing);
            }
        }
    }

    async fn put(&self, manifest: &Manifest, tag: Option<&str>) -> Result<(), Error> {
        const OPERATION: &str = "PutImage";
        let bytes = std::str::from_utf8(manifest.bytes())
            .map_err(|_| self.calls.nonsense(OPERATION, "a manifest that is not UTF-8"))?;
        let mut members = json!({
            "imageManifest": bytes,
            "imageManifestMediaType": manifest.media_type(),
            "imageDigest": manifest.digest(),
        });
        if let Some(tag) = tag {
            members["imageTag"] = json!(tag);
        }
        let answer = match self.calls.call(OPERATION, members).await {
            // The same manifest is there, under the same tag: what was wanted.
            Err(Error::Service(error)) if error.code() == Some("ImageAlreadyExistsException") => {
                return Ok(());
            }
            answer => answer?,
        };
        let kept = answer.pointer("/image/imageId/imageDigest").and_then(Value::as_str);
        if kept == Some(&manifest.digest().to_string()) {
            return Ok(());
        }
        let answer = format!("digest {}, expected {}", kept.unwrap_or("none"), manifest.digest());
        Err(self.calls.nonsense(OPERATION, &answer))
    }
}

/// A member that is a list; empty where it is absent.
fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A member that is a string.
fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member).and_then(Value::as_str)
}

impl Store for Ecr {
    fn name(&self) -> String {
        self.calls.place()
    }

    fn manifest<'a>(&'a self, name: &'a Name) -> StoreFuture<'a, Manifest> {
        Box::pin(self.get(name))
    }

    fn open<'a>(&'a self, blob: &'a Descriptor, offset: u64) -> StoreFuture<'a, Box<dyn Reader>> {
        Box::pin(download::open(Arc::clone(&self.origin), blob, offset, None))
    }

    fn open_ahead<'a>(
        &'a self,
        blob: &'a Descriptor,
        offset: u64,
        buffers: &'a Arc<Buffers>,
    ) -> StoreFuture<'a, Box<dyn Reader>> {
        Box::pin(download::open(Arc::clone(&self.origin), blob, offset, Some(buffers)))
    }

    fn image_tags<'a>(&'a self, digest: &'a Digest) -> StoreFuture<'a, Option<Vec<String>>> {
        Box::pin(async move { Ok(self.tags_of(digest).await?) })
    }

    fn prepare<'a>(&'a self, blobs: &'a [Descriptor]) -> StoreFuture<'a, HashSet<Digest>> {
        Box::pin(async move { Ok(self.missing(blobs).await?) })
    }

    fn begin<'a>(&'a self, pending: &'a PendingBlob) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            tokio::select! {
                // An error here comes again when the layer is whole, and is reported then.
                _ = upload::begin(self, pending) => {}
                () = pending.stopped() => {}
            }
        })
    }

    fn abandon<'a>(&'a self, pending: &'a PendingBlob) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            // Uploads that are not completed go away by themselves; no operation ends them.
            if let Some(entry) = pending.take().and_then(|started| started.entry) {
                entry.remove();
            }
        })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::ECR
    }

    fn tags(&self) -> StoreFuture<'_, TagListing> {
        Box::pin(async move {
            let listing = self.list(&|_| true).await?;
            let tags = listing.images.into_iter().map(|(tag, _)| tag).collect();
            let invalid = listing.unreadable.into_iter().map(|unreadable| unreadable.name).collect();
            Ok(TagListing { tags, invalid, is_list: true })
        })
    }

    fn tags_with_digests<'a>(&'a self, chosen: &'a TagFilter) -> StoreFuture<'a, Option<ImageListing>> {
        Box::pin(async move {
            match self.list(chosen).await {
                Ok(listing) => Ok(Some(listing)),
                Err(Error::NoRepository { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
    }

    fn untag<'a>(&'a self, tags: &'a [Tag]) -> StoreFuture<'a, ()> {
        Box::pin(async move { Ok(self.remove(tags).await?) })
    }

    fn keeps(&self) -> ResumeState {
        if self.journal.is_some() { ResumeState::Bytes } else { ResumeState::Blobs }
    }

    fn retries(&self) -> Retries {
        self.calls.retries.all()
    }

    fn check_tags<'a>(&'a self, digest: &'a Digest, tags: &'a [String]) -> StoreFuture<'a, ()> {
        Box::pin(async move { Ok(self.immutable(digest, tags).await?) })
    }

    fn referrers<'a>(&'a self, subject: &'a Digest) -> StoreFuture<'a, Vec<Descriptor>> {
        Box::pin(async move { Ok(self.about(subject).await?) })
    }

    fn existing_referrers<'a>(&'a self, subject: &'a Digest) -> StoreFuture<'a, HashSet<Digest>> {
        Box::pin(async move {
            Ok(self.about(subject).await?.into_iter().map(|referrer| referrer.digest).collect())
        })
    }

    fn write<'a>(&'a self, blob: &'a Descriptor, source: &'a Source) -> StoreFuture<'a, Written> {
        Box::pin(upload::upload(self, blob, source))
    }

    fn put_manifest<'a>(&'a self, manifest: &'a Manifest) -> StoreFuture<'a, ()> {
        Box::pin(async move { Ok(self.put(manifest, None).await?) })
    }

    fn put_image<'a>(&'a self, manifest: &'a Manifest, tags: &'a [String]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            if tags.is_empty() {
                return Ok(self.put(manifest, None).await?);
            }
            for tag in tags {
                self.put(manifest, Some(tag)).await?;
            }
            Ok(())
        })
    }
}
