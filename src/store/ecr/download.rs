//! Download of a layer: GetDownloadUrlForLayer, and a plain GET of its URL.
//!
//! The URL needs no credentials and carries none. It expires after an hour, so it is asked for anew after a part of
//! that, or when it is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use reqwest::{RequestBuilder, Response};
use serde_json::json;
use url::Url;

use super::super::connections::{Connections, SendError};
use super::super::download::{Failure, Origin, ReadyRequest};
use super::super::files::{Extent, FileReader};
use super::super::folder::open_file;
use super::super::http::download_refusal;
use super::super::lanes::Lanes;
use super::super::{Buffers, Reader, ranges};
use super::calls::Calls;
use super::{Error, text};
use crate::image::{Descriptor, Digest};
use crate::retry::Backoff;
use crate::store;

/// Time that a URL is used.
const LASTING: Duration = Duration::from_mins(30);

/// The layers of a repository.
pub(super) struct Layers {
    calls: Arc<Calls>,
    connections: Connections,
    files: bool,
    lanes: Arc<Lanes>,
    /// Download URLs of layers, and the time of each answer.
    urls: Mutex<HashMap<Digest, (Url, Instant)>>,
}

impl Layers {
    /// Creates the source of layers; `files` says whether the service may name files of this machine: one in this
    /// process may.
    pub(super) fn new(calls: Arc<Calls>, connections: Connections, files: bool) -> Self {
        Self { calls, connections, files, lanes: Arc::default(), urls: Mutex::default() }
    }

    /// Returns the download URL of a layer; asked anew if a URL was refused or is old.
    async fn fresh_url(&self, blob: &Descriptor, refused: bool) -> Result<Url, Error> {
        let known = self.urls().get(&blob.digest).cloned();
        if let Some((url, _)) = known.filter(|(_, since)| !refused && since.elapsed() < LASTING) {
            return Ok(url);
        }
        let url = self.url(blob).await?;
        self.urls().insert(blob.digest.clone(), (url.clone(), Instant::now()));
        Ok(url)
    }

    fn urls(&self) -> MutexGuard<'_, HashMap<Digest, (Url, Instant)>> {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn url(&self, blob: &Descriptor) -> Result<Url, Error> {
        const OPERATION: &str = "GetDownloadUrlForLayer";
        let answer = self.calls.call(OPERATION, json!({"layerDigest": blob.digest})).await?;
        let url = text(&answer, "downloadUrl").and_then(|url| url.parse().ok());
        url.ok_or_else(|| self.calls.nonsense(OPERATION, "no downloadUrl"))
    }
}

impl Origin for Layers {
    fn request<'a>(
        &'a self,
        blob: &'a Descriptor,
        stale: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ReadyRequest, Failure>> {
        Box::pin(async move {
            let url =
                self.fresh_url(blob, stale.is_some()).await.map_err(|error| Failure::Final(error.into()))?;
            // What is in this process may name what it likes of this machine.
            let astray = if self.files { None } else { download_refusal(self.connections.endpoint(), &url) };
            if let Some(reason) = astray {
                return Err(Failure::Final(failed(blob, reason)));
            }
            let client = self.connections.client(&url);
            let request = client.map_err(|reason| Failure::Final(failed(blob, reason)))?.get(url);
            Ok(ReadyRequest { request, authorization: String::new() })
        })
    }

    fn send(&self, request: RequestBuilder) -> BoxFuture<'_, Result<Response, SendError>> {
        Box::pin(self.connections.send(request))
    }

    fn backoff(&self) -> Backoff {
        self.connections.backoff()
    }

    fn lanes(&self) -> Arc<Lanes> {
        Arc::clone(&self.lanes)
    }

    fn count_retry(&self, is_throttled: bool) {
        self.calls.retries.count(is_throttled);
    }
}

/// Opens a layer at an offset.
pub(super) async fn open(
    layers: Arc<Layers>,
    blob: &Descriptor,
    offset: u64,
    buffers: Option<&Arc<Buffers>>,
) -> Result<Box<dyn Reader>, store::Error> {
    if layers.files {
        let url = layers.fresh_url(blob, false).await?;
        if url.scheme() == "file" {
            return file(&url, blob, offset);
        }
    }
    Ok(ranges::read(layers, blob, offset, buffers))
}

fn file(url: &Url, blob: &Descriptor, offset: u64) -> Result<Box<dyn Reader>, store::Error> {
    let path = url.to_file_path().map_err(|()| failed(blob, "the service named no path"))?;
    let file = open_file(&path).map_err(store::Error::io("read", &path))?;
    Ok(Box::new(FileReader::new(Extent::whole(path, file)?, offset)))
}

fn failed(blob: &Descriptor, reason: impl Into<String>) -> store::Error {
    store::Error::Download { digest: blob.digest.clone(), reason: reason.into() }
}
