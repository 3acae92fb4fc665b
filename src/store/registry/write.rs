//! Writing to a registry: blobs taken over from a neighbour or streamed in one PUT, and manifests.

use bytes::Bytes;
use futures_util::stream;
use oci_distribution::Reference;
use oci_distribution::errors::{OciDistributionError, Result as Answered};
use reqwest::header::HeaderValue;
use tokio::sync::mpsc::{self, Sender};

use super::super::stream::{Part, Parts};
use super::super::{Source, Written};
use super::error::Trouble;
use super::{ATTEMPTS, Error, Remote};
use crate::image::{Descriptor, Manifest};
use crate::store;

/// How much is read and sent at once.
const STEP: usize = 1024 * 1024;

impl Remote {
    pub(super) async fn upload(&self, blob: &Descriptor, source: &Source) -> Result<Written, store::Error> {
        if self.mounted(blob, source).await {
            return Ok(Written::Present);
        }
        for failures in 1.. {
            let trouble = match self.attempt(blob, source).await {
                Ok(()) => return Ok(Written::Moved),
                Err(Failure::Source(error)) => return Err(error),
                Err(Failure::Registry(trouble)) => trouble,
            };
            // A session that is unknown may be one that an earlier answer, lost on its way, had ended.
            let forgotten = trouble.status == Some(404);
            if failures >= ATTEMPTS || !(trouble.passing || forgotten) {
                return Err(self.trouble(trouble, "push to").into());
            }
            tokio::time::sleep(self.network.first_wait * 2u32.pow(failures - 1)).await;
            if self.has(blob).await? {
                return Ok(Written::Present);
            }
            source.arrived(0);
        }
        unreachable!("the last attempt returns")
    }

    /// Whether the registry took the blob over from another of its repositories. Where it does not, for whatever
    /// reason, the blob is sent.
    async fn mounted(&self, blob: &Descriptor, source: &Source) -> bool {
        let Some((host, repository)) = source.neighbour() else { return false };
        if host != self.host || repository == self.repository {
            return false;
        }
        let (host, repository) = (host.to_owned(), repository.to_owned());
        let from = Reference::with_tag(host, repository, "latest".to_owned());
        let to = self.reference("latest");
        self.client.mount_blob(&to, &from, &blob.digest.to_string()).await.is_ok()
    }

    /// One PUT. The last bytes are held back until all of them were verified, so that a registry never gets a whole
    /// blob that is not what it should be.
    async fn attempt(&self, blob: &Descriptor, source: &Source) -> Result<(), Failure> {
        let (sender, receiver) = mpsc::channel::<Answered<Bytes>>(1);
        let body = stream::unfold(receiver, async |mut receiver| {
            receiver.recv().await.map(|bytes| (bytes, receiver))
        });
        let (reference, digest) = (self.reference("latest"), blob.digest.to_string());
        let push = self.client.push_blob_stream(&reference, Box::pin(body), &digest, Some(blob.size));
        let (pushed, fed) = tokio::join!(push, self.feed(source, sender));
        fed.map_err(Failure::Source)?;
        pushed.map(|_| ()).map_err(|error| Failure::Registry(Trouble::of(error)))
    }

    async fn feed(&self, source: &Source, sender: Sender<Answered<Bytes>>) -> Result<(), store::Error> {
        let fed = self.send(source, &sender).await;
        if fed.is_err() {
            let ended = OciDistributionError::GenericError(Some("the source failed".to_owned()));
            // Nobody listens where the registry has answered already.
            let _ = sender.send(Err(ended)).await;
        }
        fed
    }

    async fn send(&self, source: &Source, sender: &Sender<Answered<Bytes>>) -> Result<(), store::Error> {
        let mut parts = Parts::new(source.stream_to_verifier().await?, source.buffers(), STEP);
        let mut last: Option<Part> = None;
        while let Some(part) = parts.next().await? {
            if let Some(before) = last.replace(part) {
                let end = before.end();
                if sender.send(Ok(before.bytes)).await.is_err() {
                    return Ok(());
                }
                source.arrived(end);
            }
        }
        parts.verify().await?;
        if let Some(last) = last {
            let _ = sender.send(Ok(last.bytes)).await;
        }
        Ok(())
    }

    pub(super) async fn put(&self, manifest: &Manifest, name: &str) -> Result<(), Error> {
        let reference = self.reference(name);
        let put = async || {
            let media_type = HeaderValue::from_str(manifest.media_type()).map_err(|error| Trouble {
                status: None,
                reason: error.to_string(),
                passing: false,
            })?;
            let answer =
                self.client.push_manifest_raw(&reference, manifest.bytes().clone(), media_type).await;
            answer.map(|_| ()).map_err(Trouble::of)
        };
        self.repeated("push a manifest to", put).await
    }
}

enum Failure {
    Source(store::Error),
    Registry(Trouble),
}
