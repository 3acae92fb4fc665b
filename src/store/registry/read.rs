//! Reading from a registry: manifests whole and bounded, blobs from any offset.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use oci_distribution::RegistryOperation;
use oci_distribution::secrets::RegistryAuth;
use oci_distribution::{Client, Reference};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use reqwest::{Method, RequestBuilder, Response};
use tokio::sync::Mutex;
use url::Url;

use super::super::download::{Failure, Origin};
use super::super::http::Connections;
use super::error::Trouble;
use super::{Error, Remote};
use crate::image::{Descriptor, Digest, MAXIMUM_MANIFEST, Manifest, Name, media_type};
use crate::store;

/// The most bytes that are read of a body that says what is wrong.
const LONGEST_COMPLAINT: u64 = 64 * 1024;

/// What it takes to read from a repository.
pub(super) struct Reads {
    pub(super) client: Client,
    pub(super) login: RegistryAuth,
    pub(super) reference: Reference,
    /// The repository's URL.
    pub(super) base: String,
    pub(super) connections: Connections,
    /// What the last token was, as the header has it; empty where none is needed.
    pub(super) authorization: Mutex<Option<String>>,
}

impl Reads {
    async fn request(&self, method: Method, path: &str, renew: bool) -> Result<RequestBuilder, Trouble> {
        let authorization = self.authorization(renew).await?;
        self.authorized(method, path, authorization)
    }

    fn authorized(
        &self,
        method: Method,
        path: &str,
        authorization: String,
    ) -> Result<RequestBuilder, Trouble> {
        let broken = |reason: String| Trouble { status: None, reason, passing: false };
        let url: Url = format!("{}/{path}", self.base).parse().map_err(|_| broken("no URL".to_owned()))?;
        let request = self.connections.client(&url).map_err(broken)?.request(method, url);
        let request = request.header(USER_AGENT, super::USER_AGENT);
        Ok(if authorization.is_empty() { request } else { request.header(AUTHORIZATION, authorization) })
    }

    async fn authorization(&self, renew: bool) -> Result<String, Trouble> {
        let mut kept = self.authorization.lock().await;
        if let Some(authorization) = kept.as_ref().filter(|_| !renew) {
            return Ok(authorization.clone());
        }
        let authorization = self.authorize(RegistryOperation::Pull).await?;
        *kept = Some(authorization.clone());
        Ok(authorization)
    }

    async fn authorize(&self, operation: RegistryOperation) -> Result<String, Trouble> {
        let token = self.client.auth(&self.reference, &self.login, operation).await?;
        Ok(match (token, &self.login) {
            (Some(token), _) => format!("Bearer {token}"),
            (None, RegistryAuth::Basic(user, password)) => {
                format!("Basic {}", base64_simd::STANDARD.encode_to_string(format!("{user}:{password}")))
            }
            (None, _) => String::new(),
        })
    }

    /// Sends a request that changes something, and so takes other rights than a read.
    pub(super) async fn change(&self, method: Method, path: &str) -> Result<Response, Trouble> {
        let authorization = self.authorize(RegistryOperation::Push).await?;
        let request = self.authorized(method, path, authorization)?;
        request.send().await.map_err(|error| Trouble::connection(&error))
    }

    pub(super) async fn answer(&self, method: &Method, path: &str) -> Result<Response, Trouble> {
        let mut renew = false;
        loop {
            let request = self.request(method.clone(), path, renew).await?;
            let request = request.header(ACCEPT, media_type::MANIFESTS.join(", "));
            let response = request.send().await.map_err(|error| Trouble::connection(&error))?;
            if response.status() != 401 || renew {
                return Ok(response);
            }
            renew = true;
        }
    }
}

impl Origin for Reads {
    fn request<'a>(
        &'a self,
        blob: &'a Descriptor,
        failures: u32,
    ) -> BoxFuture<'a, Result<RequestBuilder, Failure>> {
        Box::pin(async move {
            let path = format!("blobs/{}", blob.digest);
            self.request(Method::GET, &path, failures > 0).await.map_err(|trouble| {
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
    pub(super) async fn holds(&self, digest: &Digest) -> Result<bool, Error> {
        let path = format!("manifests/{digest}");
        let ask = async || {
            let response = self.reads.answer(&Method::HEAD, &path).await?;
            match response.status().as_u16() {
                200 => Ok(true),
                404 => Ok(false),
                status => Err(Trouble::status(status, "")),
            }
        };
        self.repeated("look for an image in", ask).await
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
            let status = response.status().as_u16();
            let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let media_type =
                media_type.and_then(|text| text.split(';').next()).map(|text| text.trim().to_owned());
            let limit = if status == 200 { MAXIMUM_MANIFEST + 1 } else { LONGEST_COMPLAINT };
            let bytes = bounded(response, limit).await?;
            match status {
                200 => Ok(Some((bytes, media_type))),
                404 => Ok(None),
                status => Err(Trouble::status(status, &String::from_utf8_lossy(&bytes))),
            }
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
