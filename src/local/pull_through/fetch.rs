//! Fetching: manifests and blobs arrive over the network, are verified, and become visible only then.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::task::spawn_blocking;

use crate::image::{self, Descriptor, Digest, Manifest, Name, Tag};
use crate::local::core::blobs::Mount;
use crate::local::core::error::Error as CoreError;
use crate::local::core::local::Local;
use crate::local::core::registry_id::{RepositoryRef, Scope};
use crate::local::core::request::{IfMissing, Request};
use crate::local::core::uploads::{FinishedUpload, NotOpened, Session, begin_upload, cancel_upload};
use crate::local::core::upstream::{
    UpstreamError, UpstreamErrorKind, UpstreamFetch, UpstreamItem, UpstreamRegistry,
};
use crate::local::pull_through::cache::{self, FetchedImage};
use crate::store::registry::{Error, Login, Remote};
use crate::store::{self, Reader, Store as _};

/// Blobs of one image at one time.
const BLOBS: usize = 4;

/// Bytes of a blob read and written at once.
const STEP: usize = 1024 * 1024;

/// Indexes within indexes.
const MAX_DEPTH: usize = 4;

/// Manifests that one index lists.
const MAX_MANIFESTS: usize = 1000;

/// Signatures and the like that are fetched for one image.
const MAX_REFERRERS: usize = 100;

/// Docker's name in its configuration for the host that AWS names for Docker Hub.
const DOCKER_HUB: (&str, &str) = ("registry-1.docker.io", "docker.io");

/// Fetches one item and stores it.
pub(in crate::local) async fn fetch(
    local: &Arc<Local>,
    need: &UpstreamFetch,
    wanted: &UpstreamItem,
) -> Result<(), UpstreamError> {
    match &need.rule.home {
        UpstreamRegistry::SameStore(source) => {
            let (local, need, wanted, source) =
                (Arc::clone(local), need.clone(), wanted.clone(), source.clone());
            blocking(move || neighbour(&local, &need, &wanted, &source)).await
        }
        UpstreamRegistry::Remote { host, plain } => {
            let login = login(local, host, need.rule.has_secret).await?;
            let network = local.upstreams.access().network.clone();
            let repository = need.rule.repository.parse().map_err(|error: image::Error| {
                UpstreamError::new(UpstreamErrorKind::Missing, error.to_string())
            })?;
            let remote = Remote::new(host, &repository, *plain, login, network);
            let fetch = Fetch { local: Arc::clone(local), need: need.clone(), remote };
            match wanted {
                UpstreamItem::Image(name) => fetch.image(name).await,
                UpstreamItem::Layer(digest) => fetch.layer(digest).await,
                UpstreamItem::Referrers(subject) => fetch.referrers(subject).await,
                UpstreamItem::Access => Ok(fetch.remote.greet().await.map_err(store::Error::from)?),
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UpstreamError> + Send + 'static,
) -> Result<T, UpstreamError> {
    let failed = |_| {
        Err(UpstreamError::new(
            UpstreamErrorKind::LocalStorage,
            "the embedded ECR failed on what is upstream",
        ))
    };
    spawn_blocking(work).await.unwrap_or_else(failed)
}

/// Takes an image over from another registry of the store.
fn neighbour(
    local: &Local,
    need: &UpstreamFetch,
    wanted: &UpstreamItem,
    source: &Scope,
) -> Result<(), UpstreamError> {
    let of = RepositoryRef { scope: source.clone(), name: need.rule.repository.clone() };
    let target = RepositoryRef { scope: need.scope.clone(), name: need.repository.clone() };
    let found = match wanted {
        UpstreamItem::Image(name) => cache::take_over(local, &of, name, &target)?,
        // Its image brings it along; a layer alone is not fetched.
        UpstreamItem::Layer(_) => false,
        UpstreamItem::Referrers(subject) => {
            let listed = cache::about(local, source, &need.rule.repository, &subject.to_string())?;
            for digest in listed.into_iter().filter_map(|digest| digest.parse().ok()).map(Name::Digest) {
                cache::take_over(local, &of, &digest, &target)?;
            }
            true
        }
        UpstreamItem::Access => cache::is_in_use(local, source)?,
    };
    let missing = || {
        let what = match wanted {
            UpstreamItem::Access => "is empty".to_owned(),
            _ => format!("has nothing of this name in the repository {}", need.rule.repository),
        };
        UpstreamError::new(UpstreamErrorKind::Missing, format!("{} {what}", need.rule.home))
    };
    if found { Ok(()) } else { Err(missing()) }
}

/// The login for a host, where the rule asks for one.
async fn login(local: &Arc<Local>, host: &str, has_secret: bool) -> Result<Login, UpstreamError> {
    let find = local.upstreams.access().login.clone().filter(|_| has_secret);
    let Some(find) = find else { return Ok(Login::Anonymous) };
    let host = if host == DOCKER_HUB.0 { DOCKER_HUB.1 } else { host }.to_owned();
    let denied = |reason: String| UpstreamError::new(UpstreamErrorKind::Denied, reason);
    blocking(move || match find(&host).map_err(denied)? {
        Some(login) => Ok(login),
        None => Err(denied(format!(
            "no login for {host} was found in docker's or podman's configuration, which stands for the secret of \
             credentialArn here"
        ))),
    })
    .await
}

/// Fetch from one upstream repository, with its destination.
struct Fetch {
    local: Arc<Local>,
    need: UpstreamFetch,
    remote: Remote,
}

impl Fetch {
    async fn image(&self, name: &Name) -> Result<(), UpstreamError> {
        // Who looked for it here may have been overtaken by a fetch that landed meanwhile.
        let wanted = name.clone();
        let is_fresh =
            self.here(move |local, need| cache::is_fresh(local, &need.scope, &need.repository, &wanted));
        if is_fresh.await? {
            return Ok(());
        }
        let found = self.remote.manifest(name).await.map_err(UpstreamError::from);
        if let (Err(UpstreamError { kind: UpstreamErrorKind::Missing, .. }), Name::Tag(tag)) = (&found, name)
        {
            // What is here stays, and is not looked up again at once.
            let tag = tag.clone();
            self.here(move |local, need| cache::looked_up(local, &need.scope, &need.repository, &tag))
                .await?;
        }
        let manifest = found?;
        self.here(|local, need| cache::prepare(local, &need.scope, &need.repository)).await?;
        let digest = match name {
            Name::Digest(digest) => digest.clone(),
            _ => manifest.digest().clone(),
        };
        let tag = match name {
            Name::Tag(tag) => Some(tag.clone()),
            _ => None,
        };
        self.keep(manifest, digest, tag, 0).await
    }

    async fn referrers(&self, subject: &Digest) -> Result<(), UpstreamError> {
        let listed = self.remote.referrers(subject).await.map_err(UpstreamError::from)?;
        for referrer in listed.into_iter().take(MAX_REFERRERS) {
            if self.has(&referrer.digest).await? {
                continue;
            }
            let found = self.remote.manifest(&Name::Digest(referrer.digest.clone())).await;
            let manifest = match found.map_err(UpstreamError::from) {
                // It was listed and is gone.
                Err(UpstreamError { kind: UpstreamErrorKind::Missing, .. }) => continue,
                found => found?,
            };
            self.here(|local, need| cache::prepare(local, &need.scope, &need.repository)).await?;
            self.keep(manifest, referrer.digest, None, 0).await?;
        }
        Ok(())
    }

    /// Keeps an image, after everything that it lists.
    fn keep(
        &self,
        manifest: Manifest,
        digest: Digest,
        tag: Option<Tag>,
        depth: usize,
    ) -> BoxFuture<'_, Result<(), UpstreamError>> {
        Box::pin(async move {
            if !self.has(&digest).await? {
                self.children(&manifest, depth).await?;
                self.blobs(&manifest).await?;
            }
            let (media_type, bytes) = (manifest.media_type().to_owned(), manifest.bytes().clone());
            self.here(move |local, need| {
                let image = FetchedImage { media_type: &media_type, bytes: &bytes, digest: &digest };
                cache::put(local, &need.scope, &need.repository, &image, tag.as_deref())
            })
            .await
        })
    }

    async fn has(&self, digest: &Digest) -> Result<bool, UpstreamError> {
        let digest = digest.to_string();
        self.here(move |local, need| cache::has(local, &need.scope, &need.repository, &digest)).await
    }

    async fn children(&self, manifest: &Manifest, depth: usize) -> Result<(), UpstreamError> {
        let unusable = |reason: String| UpstreamError::new(UpstreamErrorKind::Unavailable, reason);
        let listed: Vec<Digest> = manifest.children().iter().map(|child| child.digest.clone()).collect();
        if !listed.is_empty() && (depth >= MAX_DEPTH || listed.len() > MAX_MANIFESTS) {
            let digest = manifest.digest();
            return Err(unusable(format!(
                "the index {digest} lists more than {MAX_MANIFESTS} manifests, or lies more than {MAX_DEPTH} deep"
            )));
        }
        for digest in listed {
            if self.has(&digest).await? {
                continue;
            }
            let name = Name::Digest(digest.clone());
            let child = self.remote.manifest(&name).await.map_err(|error| unusable(error.to_string()))?;
            self.keep(child, digest, None, depth + 1).await?;
        }
        Ok(())
    }

    async fn blobs(&self, manifest: &Manifest) -> Result<(), UpstreamError> {
        let mut blobs: Vec<Descriptor> = Vec::new();
        for blob in manifest.blobs() {
            // Layers that may not be distributed lie elsewhere.
            let is_foreign =
                [".foreign.", "nondistributable"].iter().any(|word| blob.media_type.contains(word));
            if !is_foreign && !blobs.iter().any(|other| other.digest == blob.digest) {
                blobs.push(blob.clone());
            }
        }
        let fetches: Vec<BoxFuture<'_, Result<(), UpstreamError>>> =
            blobs.into_iter().map(|blob| -> BoxFuture<'_, _> { Box::pin(self.blob(blob)) }).collect();
        stream::iter(fetches).buffer_unordered(BLOBS).try_collect().await
    }

    async fn layer(&self, digest: &Digest) -> Result<(), UpstreamError> {
        let size = self.remote.blob_size(digest).await.map_err(store::Error::from)?;
        let missing = || {
            UpstreamError::new(
                UpstreamErrorKind::Missing,
                format!("{} has no blob {digest}", self.remote.name()),
            )
        };
        let blob = Descriptor::new("application/octet-stream", digest.clone(), size.ok_or_else(missing)?);
        self.here(|local, need| cache::prepare(local, &need.scope, &need.repository)).await?;
        self.blob(blob).await
    }

    /// Takes a blob over from another repository of the registry, or fetches it.
    async fn blob(&self, blob: Descriptor) -> Result<(), UpstreamError> {
        let digest = blob.digest.clone();
        let mount = move |local: &Local, need: &UpstreamFetch| {
            let mount = Mount { digest: &digest, source: None, used_only: false };
            Request::of_service(local).mount(&need.reference(), &mount)
        };
        if self.here(mount).await? {
            return Ok(());
        }
        let mut reader = self.remote.open(&blob, 0).await?;
        let mut session = self.here(open).await?;
        let id = session.id.clone();
        let received = loop {
            match next(&mut reader).await {
                Ok(bytes) if bytes.is_empty() => break Ok(session),
                Ok(bytes) => {
                    let write = move |_: &Local, _: &UpstreamFetch| session.write(&bytes).map(|()| session);
                    session = match self.here(write).await {
                        Ok(session) => session,
                        Err(failure) => break Err(failure),
                    };
                }
                Err(failure) => break Err(failure),
            }
        };
        let completed = match received {
            Ok(session) => self.here(move |local, _| complete(local, session, &blob.digest)).await,
            Err(failure) => Err(failure),
        };
        if completed.is_err() {
            // Nobody knows of the session, so nobody could go on with it; one that is left is forgotten in a day.
            let _ = self.here(move |local, need| cancel_upload(local, &need.reference(), &id)).await;
        }
        completed
    }

    /// Runs `work` with the store, on a thread that may wait for the disk.
    async fn here<T: Send + 'static, E: Into<UpstreamError>>(
        &self,
        work: impl FnOnce(&Local, &UpstreamFetch) -> Result<T, E> + Send + 'static,
    ) -> Result<T, UpstreamError> {
        let (local, need) = (Arc::clone(&self.local), self.need.clone());
        blocking(move || work(&local, &need).map_err(Into::into)).await
    }
}

fn open(local: &Local, need: &UpstreamFetch) -> Result<Session, UpstreamError> {
    let id = begin_upload(&Request::of_service(local), &need.reference(), IfMissing::Fail)?;
    let failed = |why: NotOpened| {
        UpstreamError::new(
            UpstreamErrorKind::LocalStorage,
            match why {
                NotOpened::Busy => "another request is writing to the upload".to_owned(),
                NotOpened::Missing => format!("there is no upload {id} in the repository"),
            },
        )
    };
    Session::open(local, &need.reference(), &id)?.map_err(failed)
}

/// Turns a session into a blob, if its bytes match the digest.
fn complete(local: &Local, session: Session, digest: &Digest) -> Result<(), UpstreamError> {
    let ended = || UpstreamError::new(UpstreamErrorKind::LocalStorage, "the upload has ended meanwhile");
    let finished: FinishedUpload = session.finish(&Request::of_service(local), false)?.ok_or_else(ended)?;
    let found = finished.digest(local, digest.algorithm())?;
    if found != *digest {
        let text = format!("what upstream sent for {digest} is {found}");
        return Err(UpstreamError::new(UpstreamErrorKind::Unavailable, text));
    }
    if finished.store(local, digest)? { Ok(()) } else { Err(ended()) }
}

async fn next(reader: &mut Box<dyn Reader>) -> Result<Vec<u8>, UpstreamError> {
    Ok(reader.read(Vec::with_capacity(STEP), STEP).await?)
}

impl From<store::Error> for UpstreamError {
    fn from(error: store::Error) -> Self {
        let kind = match &error {
            store::Error::NoImage { .. } | store::Error::Missing { .. } => UpstreamErrorKind::Missing,
            store::Error::Registry(Error::Unauthorized { .. }) => UpstreamErrorKind::Denied,
            store::Error::Registry(Error::Throttled { .. }) => UpstreamErrorKind::Throttled,
            _ => UpstreamErrorKind::Unavailable,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<CoreError> for UpstreamError {
    fn from(error: CoreError) -> Self {
        Self::new(UpstreamErrorKind::LocalStorage, error.message)
    }
}
