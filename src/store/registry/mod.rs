//! Repository of any registry with the OCI distribution API (`/v2/`).
//!
//! oci-client (`oci-distribution`) says which host a name stands for. Requests go past it, over our own connections: it
//! has no say in redirects, sends the login to any realm that a registry names, keeps tokens that have expired, takes
//! bodies of any length into memory, and answers neither Retry-After nor a manifest's media type nor, for a blob, the
//! offset at which a broken transfer may go on.

mod blob_upload;
mod challenge;
mod error;
mod first;
mod listing;
mod pages;
mod pending;
mod read;
mod referrers;
mod resource;
mod token;
mod upload;
mod write;

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use oci_distribution::Reference;
use reqwest::Method;
use tokio::sync::Mutex;

use self::challenge::Challenge;
pub use self::error::Error;
use self::error::ResponseError;
use self::resource::Resource;
use self::token::Authentication;
pub use self::token::Renew;
use super::connections::Connections;
pub use super::connections::Network;
use super::retries::RetryCounter;
use super::{
    Buffers, Capabilities, ImageListing, Journal, PendingBlob, Reader, ResumeState, Retries, Source, Store,
    StoreFuture, TagFilter, TagListing, Written,
};
use crate::image::{Descriptor, Digest, Manifest, Name, Registry, RepositoryName, Tag};
use crate::retry::FailureCount;

const USER_AGENT: &str = concat!("ecr/", env!("CARGO_PKG_VERSION"));
/// Attempts of each request for which another attempt may help.
const ATTEMPTS: u32 = 6;
/// Limit of concurrent queries.
const QUESTIONS: usize = 128;

/// Login to a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// Not at all.
    Anonymous,
    /// With a name and a password.
    Password(String, String),
    /// With a refresh token, for which the registry's realm gives out others: docker's `identitytoken`.
    Identity(String),
    /// With a token that the registry itself takes: docker's `registrytoken`.
    Registry(String),
}

/// A repository of a registry.
pub struct Remote {
    is_anonymous: bool,
    host: String,
    repository: RepositoryName,
    answered: AtomicBool,
    /// The registry lists referrers itself, once that is known.
    lists_referrers: OnceLock<bool>,
    journal: Option<Journal>,
    reads: Arc<read::Reads>,
}

impl Remote {
    /// A repository. `plain` says that the registry is spoken to without TLS, which makes sense on this machine only.
    pub fn new(host: &str, repository: &RepositoryName, plain: bool, login: Login, network: Network) -> Self {
        let repository = official(host, repository);
        let reference = Reference::with_tag(host.to_owned(), repository.to_string(), "latest".to_owned());
        let is_anonymous = login == Login::Anonymous;
        let home = format!("https://{}", reference.resolve_registry()).parse().ok();
        let reads = read::Reads {
            host: reference.resolve_registry().to_owned(),
            is_secured: OnceLock::from(!plain),
            repository: repository.clone(),
            login: Mutex::new(login),
            renew: None,
            connections: Connections::new(network, home),
            pulling: Mutex::default(),
            pushing: Mutex::default(),
            listing: Mutex::default(),
            challenge: std::sync::Mutex::new(match Registry::of_host(host) {
                Some(Registry::Ecr { .. }) => Authentication::Challenges(Challenge::Basic),
                _ => Authentication::Unknown,
            }),
            retries: RetryCounter::default(),
            lanes: Arc::default(),
        };
        Self {
            is_anonymous,
            host: host.to_owned(),
            repository,
            answered: AtomicBool::new(false),
            lists_referrers: OnceLock::new(),
            journal: None,
            reads: Arc::new(reads),
        }
    }

    /// Returns a repository that finds out by itself whether the registry speaks TLS: for registries of this machine.
    #[must_use]
    pub fn with_scheme_found_out(mut self) -> Self {
        if let Some(reads) = Arc::get_mut(&mut self.reads) {
            reads.is_secured = OnceLock::new();
        }
        self
    }

    /// Records unfinished uploads in a journal, so that another run resumes them.
    #[must_use]
    pub fn with_journal(self, journal: Journal) -> Self {
        Self { journal: Some(journal), ..self }
    }

    /// Sets how to log in again when the login expires.
    #[must_use]
    pub fn renewed_by(mut self, renew: Renew) -> Self {
        if let Some(reads) = Arc::get_mut(&mut self.reads) {
            reads.renew = Some(renew);
        }
        self
    }

    fn place(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// A tag that is to be written or looked up here.
    fn tag(&self, text: &str) -> Result<Tag, super::Error> {
        text.parse().map_err(super::Error::image(self.place()))
    }

    fn explained(&self, error: ResponseError, doing: &'static str) -> Error {
        error.explain(self.place(), doing, self.is_anonymous)
    }

    /// Repeats `attempt` until it succeeds, as long as another attempt may help. If no request ever reached the
    /// registry, its address is wrong, and waiting does not help.
    async fn repeated<T, F>(&self, doing: &'static str, attempt: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, ResponseError>>,
    {
        let mut failures = FailureCount::new(ATTEMPTS);
        loop {
            let error = match attempt().await {
                Ok(value) => {
                    self.answered.store(true, Ordering::Relaxed);
                    return Ok(value);
                }
                Err(error) => error,
            };
            let lost = !error.unreached || self.answered.load(Ordering::Relaxed);
            failures.add(error.is_throttled());
            if failures.is_exhausted() || !error.passing || !lost {
                return Err(self.explained(error, doing));
            }
            self.reads.retries.count(error.is_throttled());
            tokio::time::sleep(self.pause(&error, failures.all())).await;
        }
    }

    /// Returns the wait after the `failures`-th failure in a row.
    fn pause(&self, error: &ResponseError, failures: u32) -> Duration {
        self.reads.connections.backoff().wait_at_least(failures, error.retry_after)
    }

    async fn has(&self, blob: &Descriptor) -> Result<bool, Error> {
        let ask = async || {
            let response = self.reads.answer(&Method::HEAD, Resource::Blob(&blob.digest)).await?;
            match response.status().as_u16() {
                200 => Ok(true),
                404 | 405 | 501 => Ok(false),
                _ => Err(read::refused(response).await),
            }
        };
        self.repeated("look for a blob in", ask).await
    }

    async fn missing(&self, blobs: &[Descriptor]) -> Result<HashSet<Digest>, Error> {
        let mut missing = HashSet::new();
        let mut others = blobs;
        // The first challenge is waited for: the token that it takes serves all others.
        if self.reads.is_unasked()
            && let Some((first, rest)) = blobs.split_first()
        {
            if !self.has(first).await? {
                missing.insert(first.digest.clone());
            }
            others = rest;
        }
        let ask = |blob| -> BoxFuture<'_, _> { Box::pin(async move { (blob, self.has(blob).await) }) };
        let questions: Vec<BoxFuture<'_, (&Descriptor, _)>> = others.iter().map(ask).collect();
        let mut answers = stream::iter(questions).buffer_unordered(QUESTIONS);
        while let Some((blob, here)) = answers.next().await {
            if !here? {
                missing.insert(blob.digest.clone());
            }
        }
        Ok(missing)
    }
}

/// Adds `library/` to names without an owner on Docker Hub.
fn official(host: &str, repository: &RepositoryName) -> RepositoryName {
    let library = (host == "docker.io" && !repository.contains('/')).then(|| format!("library/{repository}"));
    library.and_then(|name| name.parse().ok()).unwrap_or_else(|| repository.clone())
}

impl Store for Remote {
    fn name(&self) -> String {
        self.place()
    }

    fn manifest<'a>(&'a self, name: &'a Name) -> StoreFuture<'a, Manifest> {
        Box::pin(self.get(name))
    }

    fn open<'a>(&'a self, blob: &'a Descriptor, offset: u64) -> StoreFuture<'a, Box<dyn Reader>> {
        Box::pin(async move { Ok(super::ranges::read(Arc::clone(&self.reads) as _, blob, offset, None)) })
    }

    fn open_ahead<'a>(
        &'a self,
        blob: &'a Descriptor,
        offset: u64,
        buffers: &'a Arc<Buffers>,
    ) -> StoreFuture<'a, Box<dyn Reader>> {
        let origin = Arc::clone(&self.reads) as _;
        Box::pin(async move { Ok(super::ranges::read(origin, blob, offset, Some(buffers))) })
    }

    /// A registry takes a manifest only with everything it lists. Which tags name it cannot be asked, and to put a
    /// manifest under a tag that it has already changes nothing.
    fn image_tags<'a>(&'a self, digest: &'a Digest) -> StoreFuture<'a, Option<Vec<String>>> {
        Box::pin(async move { Ok(self.holds(digest).await?.then(Vec::new)) })
    }

    fn tags_naming<'a>(&'a self, digest: &'a Digest, tags: &'a [String]) -> StoreFuture<'a, Vec<String>> {
        Box::pin(async move {
            let mut named = Vec::new();
            for tag in tags {
                if self.is_named(&self.tag(tag)?, digest).await? {
                    named.push(tag.clone());
                }
            }
            Ok(named)
        })
    }

    fn prepare<'a>(&'a self, blobs: &'a [Descriptor]) -> StoreFuture<'a, HashSet<Digest>> {
        Box::pin(async move { Ok(self.missing(blobs).await?) })
    }

    fn write<'a>(&'a self, blob: &'a Descriptor, source: &'a Source) -> StoreFuture<'a, Written> {
        Box::pin(self.upload(blob, source))
    }

    fn begin<'a>(&'a self, pending: &'a PendingBlob) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let _ = self.upload_pending(pending).await;
        })
    }

    fn abandon<'a>(&'a self, pending: &'a PendingBlob) -> BoxFuture<'a, ()> {
        Box::pin(self.forget(pending))
    }

    fn put_manifest<'a>(&'a self, manifest: &'a Manifest) -> StoreFuture<'a, ()> {
        Box::pin(async move { Ok(self.put(manifest, Resource::Manifest(manifest.digest())).await?) })
    }

    fn put_image<'a>(&'a self, manifest: &'a Manifest, tags: &'a [String]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            if tags.is_empty() {
                return Ok(self.put(manifest, Resource::Manifest(manifest.digest())).await?);
            }
            let tags: Vec<Tag> = tags.iter().map(|tag| self.tag(tag)).collect::<Result<_, _>>()?;
            for tag in &tags {
                self.put(manifest, Resource::Tag(tag)).await?;
            }
            Ok(())
        })
    }

    fn retries(&self) -> Retries {
        self.reads.retries.all()
    }

    fn keeps(&self) -> ResumeState {
        if self.journal.is_some() { ResumeState::Bytes } else { ResumeState::Blobs }
    }

    fn referrers<'a>(&'a self, subject: &'a Digest) -> StoreFuture<'a, Vec<Descriptor>> {
        Box::pin(self.about(subject))
    }

    fn existing_referrers<'a>(&'a self, subject: &'a Digest) -> StoreFuture<'a, HashSet<Digest>> {
        Box::pin(async move {
            Ok(self.about(subject).await?.into_iter().map(|referrer| referrer.digest).collect())
        })
    }

    fn put_referrer<'a>(&'a self, manifest: &'a Manifest) -> StoreFuture<'a, ()> {
        Box::pin(self.attach(manifest))
    }

    fn mount_source(&self) -> Option<(&str, &str)> {
        Some((&self.host, &self.repository))
    }

    fn capabilities(&self) -> Capabilities {
        match Registry::of_host(&self.host) {
            Some(Registry::Ecr { .. }) => Capabilities::ECR,
            _ => Capabilities::REGISTRY,
        }
    }

    fn tags(&self) -> StoreFuture<'_, TagListing> {
        Box::pin(async move {
            let missing = || Error::NoRepository { place: self.place() };
            Ok(self.list().await?.ok_or_else(missing)?)
        })
    }

    fn tags_with_digests<'a>(&'a self, chosen: &'a TagFilter) -> StoreFuture<'a, Option<ImageListing>> {
        Box::pin(async move { Ok(self.chosen(chosen).await?) })
    }

    fn untag<'a>(&'a self, tags: &'a [Tag]) -> StoreFuture<'a, ()> {
        Box::pin(async move { Ok(self.remove(tags).await?) })
    }
}
