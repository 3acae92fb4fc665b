//! Reading from a registry: manifests whole and bounded, blobs from any offset.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use reqwest::{Method, Response};
use tokio::sync::Mutex;
use url::Url;

use super::super::download::{Asked, Failure, Origin};
use super::super::http::{Connections, retry_after};
use super::error::Trouble;
use super::token::{Renew, Right, with};
use super::{Error, Login, Remote};
use crate::image::{Descriptor, Digest, MAXIMUM_MANIFEST, Manifest, Name, media_type};
use crate::store;

/// The most bytes that are read of a body that says what is wrong.
const LONGEST_COMPLAINT: u64 = 64 * 1024;

/// What it takes to ask a registry about a repository.
pub(super) struct Reads {
    /// The repository's URL.
    pub(super) base: String,
    pub(super) repository: String,
    pub(super) login: Mutex<Login>,
    pub(super) renew: Option<Renew>,
    pub(super) connections: Connections,
    /// What the last token for reading was, as the header has it; empty where none is needed.
    pub(super) pulling: Mutex<Option<String>>,
    /// The same for writing.
    pub(super) pushing: Mutex<Option<String>>,
}

impl Reads {
    /// Asks for nothing but whether we are welcome.
    async fn greet(&self) -> Result<Response, Trouble> {
        let url = self.root()?;
        let client = self.connections.client(&url).map_err(Trouble::plain)?;
        let authorization = self.authorization(Right::Pull, None).await?;
        let request = client.get(url).header(USER_AGENT, super::USER_AGENT);
        with(request, &authorization).send().await.map_err(|error| Trouble::connection(&error))
    }

    /// Reads something.
    pub(super) async fn answer(&self, method: &Method, path: &str) -> Result<Response, Trouble> {
        let accept = media_type::MANIFESTS.join(", ");
        self.ask(Right::Pull, method, path, |request| request.header(ACCEPT, &accept)).await
    }
}

impl Origin for Reads {
    fn request<'a>(
        &'a self,
        blob: &'a Descriptor,
        stale: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Asked, Failure>> {
        let asked = async move {
            let url: Url = format!("{}/blobs/{}", self.base, blob.digest)
                .parse()
                .map_err(|_| Trouble::plain("no URL"))?;
            let client = self.connections.client(&url).map_err(Trouble::plain)?;
            let request = client.get(url).header(USER_AGENT, super::USER_AGENT);
            let authorization = self.authorization(Right::Pull, stale).await?;
            Ok(Asked { request: with(request, &authorization), authorization })
        };
        Box::pin(async move {
            asked.await.map_err(|trouble: Trouble| {
                if trouble.passing {
                    return Failure::Passing(trouble.reason);
                }
                let digest = blob.digest.clone();
                Failure::Final(store::Error::Download { digest, reason: trouble.reason })
            })
        })
    }

    fn first_wait(&self) -> Duration {
        self.connections.first_wait()
    }
}

impl Remote {
    /// Whether the registry is there and lets us in.
    pub async fn greet(&self) -> Result<(), Error> {
        let greeted = match self.reads.greet().await {
            Ok(response) if response.status() == 200 => Ok(()),
            Ok(response) => Err(refused(response).await),
            Err(trouble) => Err(trouble),
        };
        greeted.map_err(|trouble| trouble.explain(self.host.clone(), "enter", self.is_anonymous))
    }

    /// The size of a blob; `None` where the registry has none of this digest.
    pub async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let path = format!("blobs/{digest}");
        let ask = async || {
            let response = self.reads.answer(&Method::HEAD, &path).await?;
            let length = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
            match response.status().as_u16() {
                200 => match length.and_then(|text| text.parse().ok()) {
                    Some(length) => Ok(Some(length)),
                    None => Err(Trouble::status(200, "no Content-Length")),
                },
                404 => Ok(None),
                _ => Err(refused(response).await),
            }
        };
        self.repeated("look for a blob in", ask).await
    }

    pub(super) async fn holds(&self, digest: &Digest) -> Result<bool, Error> {
        let path = format!("manifests/{digest}");
        let ask = async || {
            let response = self.reads.answer(&Method::HEAD, &path).await?;
            match response.status().as_u16() {
                200 => Ok(true),
                404 => Ok(false),
                _ => Err(refused(response).await),
            }
        };
        self.repeated("look for an image in", ask).await
    }

    /// Whether a tag names an image, as far as the registry says what it names.
    pub(super) async fn is_named(&self, tag: &str, digest: &Digest) -> Result<bool, Error> {
        let path = format!("manifests/{tag}");
        let ask = async || {
            let response = match self.reads.answer(&Method::HEAD, &path).await {
                Err(trouble) if trouble.status == Some(403) => return Ok(false),
                answer => answer?,
            };
            let named = response.headers().get("docker-content-digest");
            let same = named.is_some_and(|named| named.as_bytes() == digest.to_string().as_bytes());
            match response.status().as_u16() {
                200 => Ok(same),
                // Whatever it has against the tag, it says so in full when that is put.
                400..=407 | 409..=428 | 430..500 => Ok(false),
                _ => Err(refused(response).await),
            }
        };
        self.repeated("look for a tag in", ask).await
    }

    pub(super) async fn get(&self, name: &Name) -> Result<Manifest, store::Error> {
        let asked = match name {
            Name::Unnamed => "latest".to_owned(),
            Name::Tag(tag) => tag.clone(),
            Name::Digest(digest) => digest.to_string(),
        };
        let path = format!("manifests/{asked}");
        let ask = async || {
            let response = self.reads.answer(&Method::GET, &path).await?;
            match response.status().as_u16() {
                200 => {}
                404 => return Ok(None),
                _ => return Err(refused(response).await),
            }
            let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let media_type =
                media_type.and_then(|text| text.split(';').next()).map(|text| text.trim().to_owned());
            Ok(Some((bounded(response, MAXIMUM_MANIFEST + 1).await?, media_type)))
        };
        let place = self.place();
        let missing =
            || store::Error::NoImage { place: self.place(), name: asked.clone(), instead: String::new() };
        let (bytes, media_type) = self.repeated("read from", ask).await?.ok_or_else(missing)?;
        // Some registries call every manifest plain JSON; then it has to say itself what it is.
        let media_type = media_type.filter(|text| media_type::MANIFESTS.contains(&text.as_str()));
        if let Name::Digest(digest) = name {
            let found = digest.algorithm().of(&bytes);
            if found != *digest {
                return Err(store::Error::Mismatch {
                    place,
                    what: "manifest",
                    digest: digest.clone(),
                    found,
                });
            }
        }
        Manifest::parse(bytes, media_type.as_deref()).map_err(store::Error::image(place))
    }
}

/// What a registry said instead of what was wanted.
pub(super) async fn refused(response: Response) -> Trouble {
    let (status, retry_after) = (response.status().as_u16(), retry_after(&response));
    let body = bounded(response, LONGEST_COMPLAINT).await.unwrap_or_default();
    Trouble { retry_after, ..Trouble::status(status, &String::from_utf8_lossy(&body)) }
}

/// A body, up to so many bytes of it.
pub(super) async fn bounded(mut response: Response, limit: u64) -> Result<Bytes, Trouble> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Trouble::connection(&error))? {
        let room = usize::try_from(limit).unwrap_or(usize::MAX) - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() as u64 == limit {
            break;
        }
    }
    Ok(bytes.freeze())
}
