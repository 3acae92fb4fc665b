//! A layer's way down: GetDownloadUrlForLayer, and a plain GET of what it names.
//!
//! The URL needs no credentials and carries none. It expires after an hour, and connections break: after either the
//! download goes on where it stopped, from a fresh URL.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::RANGE;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Response, StatusCode};
use serde_json::json;
use url::Url;

use super::super::files::{Extent, FileReader};
use super::super::{Answer, Reader};
use super::calls::Calls;
use super::{Error, Network, text};
use crate::image::{Descriptor, Digest};
use crate::store;

/// How often in a row a download may break off without a byte in between.
const ATTEMPTS: u32 = 5;
const MAXIMUM_REDIRECTS: usize = 5;
/// As long as nothing arrives.
const PATIENCE: Duration = Duration::from_mins(1);
const CONNECT_PATIENCE: Duration = Duration::from_secs(20);

/// HTTP connections, made when they are needed: loading root certificates takes longer than some whole pulls from
/// this machine.
pub(super) struct Connections {
    network: Network,
    files: bool,
    plain: OnceLock<Result<reqwest::Client, String>>,
    secure: OnceLock<Result<reqwest::Client, String>>,
}

impl Connections {
    /// `files` says whether the service may name files of this machine: one in this process may.
    pub(super) fn new(network: Network, files: bool) -> Self {
        Self { network, files, plain: OnceLock::new(), secure: OnceLock::new() }
    }

    fn client(&self, url: &Url) -> Result<&reqwest::Client, String> {
        let client = match url.scheme() {
            "https" => self.secure.get_or_init(|| self.build(true)),
            "http" => self.plain.get_or_init(|| self.build(false)),
            other => return Err(format!("the service named a URL of the kind {other}, expected https")),
        };
        client.as_ref().map_err(Clone::clone)
    }

    fn build(&self, secure: bool) -> Result<reqwest::Client, String> {
        // It fails only where a provider is installed already, and any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(redirects())
            .read_timeout(PATIENCE)
            .connect_timeout(CONNECT_PATIENCE);
        if !secure {
            builder = builder.tls_certs_only([]);
        } else if self.network.unverified {
            builder = builder.tls_danger_accept_invalid_certs(true);
        } else if let Some(path) = &self.network.ca_bundle {
            let unusable = |error: &dyn std::fmt::Display| format!("cannot use {}: {error}", path.display());
            let bundle = std::fs::read(path).map_err(|error| unusable(&error))?;
            let bundle = Certificate::from_pem_bundle(&bundle).map_err(|error| unusable(&error))?;
            builder = builder.tls_certs_only(bundle);
        }
        builder.build().map_err(|error| chain(&error))
    }
}

/// Redirects lead to https, or back to the host that was asked. Anything else could be made to ask this machine's
/// neighbours for what they tell nobody else.
fn redirects() -> Policy {
    Policy::custom(|attempt| {
        let same_host = attempt.previous().last().is_some_and(|previous| {
            (previous.host_str(), previous.port_or_known_default())
                == (attempt.url().host_str(), attempt.url().port_or_known_default())
        });
        if attempt.previous().len() > MAXIMUM_REDIRECTS {
            attempt.error("too many redirects")
        } else if attempt.url().scheme() == "https" || same_host {
            attempt.follow()
        } else {
            let refused =
                format!("refused to follow a redirect to {}", attempt.url().host_str().unwrap_or("?"));
            attempt.error(refused)
        }
    })
}

/// Opens a layer at an offset.
pub(super) async fn open(
    calls: Arc<Calls>,
    connections: Arc<Connections>,
    blob: &Descriptor,
    offset: u64,
) -> Result<Box<dyn Reader>, store::Error> {
    let download = Download {
        calls,
        connections,
        digest: blob.digest.clone(),
        size: blob.size,
        position: offset,
        response: None,
        rest: Bytes::new(),
        failures: 0,
    };
    let url = download.url().await?;
    if download.connections.files && url.scheme() == "file" {
        return download.file(&url);
    }
    Ok(Box::new(download))
}

struct Download {
    calls: Arc<Calls>,
    connections: Arc<Connections>,
    digest: Digest,
    size: u64,
    position: u64,
    response: Option<Response>,
    rest: Bytes,
    failures: u32,
}

/// Whether to go on after something failed.
enum Failure {
    /// It may work the next time.
    Passing(String),
    /// It will not.
    Final(Error),
}

impl Download {
    async fn url(&self) -> Result<Url, Error> {
        const OPERATION: &str = "GetDownloadUrlForLayer";
        let answer = self.calls.call(OPERATION, json!({"layerDigest": self.digest})).await?;
        let url = text(&answer, "downloadUrl").and_then(|url| url.parse().ok());
        url.ok_or_else(|| self.calls.nonsense(OPERATION, "no downloadUrl"))
    }

    fn failed(&self, reason: impl Into<String>) -> Error {
        Error::Download { digest: self.digest.clone(), reason: reason.into() }
    }

    fn file(&self, url: &Url) -> Result<Box<dyn Reader>, store::Error> {
        let path = url.to_file_path().map_err(|()| self.failed("the service named no path"))?;
        let file = std::fs::File::open(&path).map_err(store::Error::io("read", &path))?;
        let size = file.metadata().map_err(store::Error::io("read", &path))?.len();
        let extent = Extent { path, file, start: 0, size };
        Ok(Box::new(FileReader::open(extent, self.position)?))
    }

    /// Asks for the rest, from a URL that is fresh each time.
    async fn request(&self) -> Result<Response, Failure> {
        let url = self.url().await.map_err(Failure::Final)?;
        let client = self.connections.client(&url).map_err(|reason| Failure::Final(self.failed(reason)))?;
        let mut request = client.get(url);
        if self.position > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.position));
        }
        let response = request.send().await.map_err(|error| {
            let reason = chain(&error);
            if error.is_redirect() { Failure::Final(self.failed(reason)) } else { Failure::Passing(reason) }
        })?;
        self.check(response)
    }

    fn check(&self, response: Response) -> Result<Response, Failure> {
        let expected = if self.position > 0 { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let status = response.status();
        if status != expected {
            let reason = format!("the server answered {status}, expected {expected}");
            // 403 is what an expired URL gives, and a URL may expire on the way.
            let passing = status.is_server_error() || matches!(status.as_u16(), 403 | 408 | 429);
            return Err(if passing { Failure::Passing(reason) } else { Failure::Final(self.failed(reason)) });
        }
        let rest = self.size - self.position;
        match response.content_length() {
            Some(length) if length != rest => {
                let reason = format!("the server offers {length} bytes, and {rest} are missing");
                Err(Failure::Final(self.failed(reason)))
            }
            _ => Ok(response),
        }
    }

    /// The next bytes as they come; none at the end.
    async fn chunk(&mut self) -> Result<Bytes, Error> {
        loop {
            let failure = match self.next().await {
                Ok(bytes) => {
                    self.failures = 0;
                    self.position += bytes.len() as u64;
                    return Ok(bytes);
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(reason)) => reason,
            };
            self.response = None;
            self.failures += 1;
            if self.failures >= ATTEMPTS {
                return Err(self.failed(format!("{failure} ({ATTEMPTS} attempts)")));
            }
            tokio::time::sleep(self.connections.network.first_wait * 2u32.pow(self.failures)).await;
        }
    }

    async fn next(&mut self) -> Result<Bytes, Failure> {
        if self.response.is_none() {
            if self.position >= self.size {
                return Ok(Bytes::new());
            }
            self.response = Some(self.request().await?);
        }
        let Some(response) = self.response.as_mut() else { return Ok(Bytes::new()) };
        match response.chunk().await {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) if self.position < self.size => {
                Err(Failure::Passing(format!("the server stopped after {} bytes", self.position)))
            }
            Ok(None) => Ok(Bytes::new()),
            Err(error) => Err(Failure::Passing(chain(&error))),
        }
    }
}

impl Reader for Download {
    fn read(&mut self, mut buffer: Vec<u8>, limit: usize) -> Answer<'_, Vec<u8>> {
        Box::pin(async move {
            let full = buffer.len() + limit;
            while buffer.len() < full {
                if self.rest.is_empty() {
                    self.rest = self.chunk().await?;
                }
                if self.rest.is_empty() {
                    break;
                }
                let some = self.rest.split_to(self.rest.len().min(full - buffer.len()));
                buffer.extend_from_slice(&some);
            }
            Ok(buffer)
        })
    }
}

/// An error with its causes. The URL stays out of it: it holds a signature that works for an hour.
fn chain(error: &reqwest::Error) -> String {
    let mut words = match std::error::Error::source(error) {
        Some(_) if error.is_connect() => "cannot connect".to_owned(),
        Some(_) if error.is_timeout() => "timed out".to_owned(),
        Some(_) => "the connection failed".to_owned(),
        None => return "the connection failed".to_owned(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}
