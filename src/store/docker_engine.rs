//! Docker engine, or podman's with the same API: images are saved from it and loaded into it as docker archives,
//! through its socket.
//!
//! An archive is read by offsets, and an engine gives and takes a stream. So the archive rests in a file meanwhile,
//! which nobody else can read and which is gone at the end.

mod address;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::TcpStream;

pub use self::address::EngineAddress;
use super::layout::write;
use super::{
    ArchivePath, ArchiveWriter, Capabilities, Format, Reader, Shared, Source, Store, StoreFuture, TagListing,
    Written,
};
use crate::image::{Descriptor, Digest, Manifest, Name};
use crate::network::{Network, log};
use crate::platform;

/// Limit of the bytes read from an engine's messages.
const MAX_MESSAGE: usize = 1024 * 1024;
/// Bytes per read of the archive.
const CHUNK_SIZE: usize = 1024 * 1024;

/// Error of a docker or podman engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No engine socket exists.
    #[error(
        "no docker or podman engine runs here: there is no socket at {0}; start one, or set DOCKER_HOST to its address"
    )]
    NotRunning(String),
    /// The address is neither a local socket nor a port of this machine.
    #[error(
        "cannot use the engine at {0}: expected {scheme}/PATH, or tcp://HOST:PORT on this machine, as whoever reaches \
         an engine over a network without a login owns its machine",
        scheme = platform::SOCKET_SCHEME
    )]
    UnsupportedAddress(String),
    /// The engine does not answer.
    #[error("cannot reach the engine at {place}: {reason}")]
    Unreachable {
        /// Its address.
        place: String,
        /// Reason for the failure.
        reason: String,
    },
    /// The engine does not have the image.
    #[error("the engine at {place} has no image {name}")]
    NoImage {
        /// Its address.
        place: String,
        /// The image.
        name: String,
    },
    /// The engine refuses the request.
    #[error("the engine at {place} cannot {doing} {name}: {reason}")]
    Refused {
        /// Its address.
        place: String,
        /// A verb.
        doing: &'static str,
        /// The image.
        name: String,
        /// Its message.
        reason: String,
    },
}

type Body = BoxBody<Bytes, io::Error>;

/// Engine as a source of one image, or as a destination.
pub struct Engine {
    address: EngineAddress,
    network: Network,
    name: String,
    /// Archive being transferred.
    archive: Shared,
    /// Folder of the archive to load.
    folder: Option<TempDir>,
}

impl Engine {
    /// Takes an image out of the engine.
    pub async fn source(address: EngineAddress, name: &str, network: &Network) -> Result<Self, super::Error> {
        let file = save(&address, name, network).await?;
        let place = ArchivePath::new(Some(Format::Docker), label(name));
        let opened = tokio::task::spawn_blocking(move || place.source_in(file)).await;
        let archive = opened.map_err(io::Error::other).map_err(spool_failed)??;
        Ok(Self { address, network: network.clone(), name: name.to_owned(), archive, folder: None })
    }

    /// Gets ready to put images into the engine. It is asked at once whether it is there.
    pub async fn destination(
        address: EngineAddress,
        name: &str,
        network: &Network,
    ) -> Result<Self, super::Error> {
        let ping = async { send(&address, Method::GET, "/_ping", None, network).await };
        let answer = in_time(network.read_timeout, ping, || address.silent()).await?;
        if answer.status() != StatusCode::OK {
            return Err(refusal(&address, "answer for", name, answer).await.into());
        }
        let folder = super::private_temporary("ecr-", &tempfile::env::temp_dir()).map_err(spool_failed)?;
        let archive = ArchiveWriter::docker(folder.path().join("image.tar"))?;
        let archive = Arc::new(archive.called("a temporary file for the engine"));
        let (name, network) = (name.to_owned(), network.clone());
        Ok(Self { address, network, name, archive, folder: Some(folder) })
    }

    async fn load(&self) -> Result<(), super::Error> {
        self.archive.finish().await?;
        let Some(folder) = &self.folder else { return Ok(()) };
        let path = folder.path().join("image.tar");
        let file = match File::open(&path) {
            // No image was moved.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file.map_err(super::Error::io("read", &path))?,
        };
        let target = "/images/load?quiet=1";
        let answer = send(&self.address, Method::POST, target, Some(file), &self.network).await?;
        if !answer.status().is_success() {
            return Err(refusal(&self.address, "load", &self.name, answer).await.into());
        }
        // It says that all is well before it begins, and in a line of JSON what went wrong then.
        let said = words(answer).await;
        for line in said.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            if let Some(reason) = line.get("error").and_then(|error| error.as_str()) {
                let (place, name) = (self.address.place(), self.name.clone());
                return Err(Error::Refused { place, doing: "load", name, reason: reason.to_owned() }.into());
            }
        }
        Ok(())
    }
}

fn label(name: &str) -> String {
    format!("docker-daemon:{name}")
}

/// Returns the error of writing a temporary archive.
fn spool_failed(source: io::Error) -> super::Error {
    super::Error::io("write a temporary file in", &tempfile::env::temp_dir())(source)
}

/// Saves an image of an engine to a file without a name, which ends with the process.
async fn save(address: &EngineAddress, name: &str, network: &Network) -> Result<File, super::Error> {
    let mut file = Arc::new(tempfile::tempfile().map_err(spool_failed)?);
    let answer = send(address, Method::GET, &format!("/images/{name}/get"), None, network).await?;
    let name = name.to_owned();
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Err(Error::NoImage { place: address.place(), name }.into()),
        _ => return Err(refusal(address, "give", &name, answer).await.into()),
    }
    let mut body = answer.into_body();
    // An engine packs an image before it sends any of it, which takes as long as it takes.
    let mut limit = None;
    loop {
        let next = async { body.frame().await.transpose().map_err(|error| address.unreachable(&error)) };
        let Some(frame) = in_time(limit, next, || address.silent()).await? else { break };
        limit = network.read_timeout;
        if let Ok(bytes) = frame.into_data() {
            write(Arc::clone(&file), bytes).await.map_err(spool_failed)?;
        }
    }
    file.rewind().map_err(spool_failed)?;
    Arc::into_inner(file).ok_or_else(|| spool_failed(io::Error::other("it is still being written")))
}

async fn send(
    address: &EngineAddress,
    method: Method,
    target: &str,
    file: Option<File>,
    network: &Network,
) -> Result<Response<Incoming>, Error> {
    let unreachable = |error: &dyn std::fmt::Display| address.unreachable(error);
    let late = || address.unreachable(&"no connection within the time that --cli-connect-timeout allows");
    let connecting = async { connect(address).await.map_err(|error| unreachable(&error)) };
    let mut sender = in_time(network.connect_timeout, connecting, late).await?;
    let mut request = Request::builder().method(method).uri(target).header(HOST, "docker");
    let body = match file {
        None => Empty::new().map_err(|never| match never {}).boxed(),
        Some(file) => {
            let length = file.metadata().map_err(|error| unreachable(&error))?.len();
            request = request.header(CONTENT_TYPE, "application/x-tar").header(CONTENT_LENGTH, length);
            content(file)
        }
    };
    let request = request.body(body).map_err(|error| unreachable(&error))?;
    let (begun, logged) = (Instant::now(), &network.log);
    let url = format!("{}{target}", address.place());
    log::request(logged, request.method(), &url, request.headers(), b"");
    let answer = sender.send_request(request).await.map_err(|error| unreachable(&error));
    match &answer {
        Ok(answer) => log::answer(logged, begun.elapsed(), answer.status(), answer.headers(), b""),
        Err(error) => log::failure(logged, begun.elapsed(), error),
    }
    answer
}

/// Waits for a future with a time limit; `None` is without limit.
async fn in_time<T>(
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, Error>>,
    late: impl FnOnce() -> Error,
) -> Result<T, Error> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(late())),
        None => work.await,
    }
}

async fn connect(address: &EngineAddress) -> io::Result<SendRequest<Body>> {
    match address {
        EngineAddress::Socket(path) => speak(TokioIo::new(platform::connect(path).await?)).await,
        EngineAddress::Tcp(place) => speak(TokioIo::new(TcpStream::connect(place).await?)).await,
    }
}

async fn speak<S>(stream: S) -> io::Result<SendRequest<Body>>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(stream).await.map_err(io::Error::other)?;
    // The error of a broken connection is passed on to the waiting request.
    tokio::spawn(connection);
    Ok(sender)
}

/// A file's bytes, read off the reactor.
fn content(file: File) -> Body {
    let pieces = stream::try_unfold(Arc::new(file), |file| async move {
        let reading = Arc::clone(&file);
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = Vec::with_capacity(CHUNK_SIZE);
            (&*reading).take(CHUNK_SIZE as u64).read_to_end(&mut piece).map(|_| piece)
        });
        let piece = read.await.map_err(io::Error::other).flatten()?;
        Ok::<_, io::Error>((!piece.is_empty()).then(|| (Frame::data(Bytes::from(piece)), file)))
    });
    BoxBody::new(StreamBody::new(pieces))
}

/// Returns the message of an engine's error response: JSON with a message, or plain text.
async fn refusal(
    address: &EngineAddress,
    doing: &'static str,
    name: &str,
    answer: Response<Incoming>,
) -> Error {
    let status = answer.status();
    let said = words(answer).await;
    let json: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
    let reason = match json.get("message").and_then(|message| message.as_str()) {
        Some(message) => message.to_owned(),
        None => status.to_string(),
    };
    Error::Refused { place: address.place(), doing, name: name.to_owned(), reason }
}

async fn words(answer: Response<Incoming>) -> String {
    let body = Limited::new(answer.into_body(), MAX_MESSAGE).collect().await;
    body.map_or_else(|_| String::new(), |body| String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

impl Store for Engine {
    fn name(&self) -> String {
        label(&self.name)
    }

    fn manifest<'a>(&'a self, name: &'a Name) -> StoreFuture<'a, Manifest> {
        self.archive.manifest(name)
    }

    fn candidates<'a>(&'a self, name: &'a Name) -> StoreFuture<'a, Vec<Descriptor>> {
        self.archive.candidates(name)
    }

    fn absent<'a>(&'a self, manifest: &'a Manifest) -> StoreFuture<'a, HashSet<Digest>> {
        self.archive.absent(manifest)
    }

    fn open<'a>(&'a self, blob: &'a Descriptor, offset: u64) -> StoreFuture<'a, Box<dyn Reader>> {
        self.archive.open(blob, offset)
    }

    fn prepare<'a>(&'a self, blobs: &'a [Descriptor]) -> StoreFuture<'a, HashSet<Digest>> {
        self.archive.prepare(blobs)
    }

    fn missing<'a>(&'a self, blobs: &'a [Descriptor]) -> StoreFuture<'a, HashSet<Digest>> {
        self.archive.missing(blobs)
    }

    fn write<'a>(&'a self, blob: &'a Descriptor, source: &'a Source) -> StoreFuture<'a, Written> {
        self.archive.write(blob, source)
    }

    fn put_manifest<'a>(&'a self, manifest: &'a Manifest) -> StoreFuture<'a, ()> {
        self.archive.put_manifest(manifest)
    }

    fn put_image<'a>(&'a self, manifest: &'a Manifest, tags: &'a [String]) -> StoreFuture<'a, ()> {
        self.archive.put_image(manifest, tags)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::DOCKER
    }

    fn tags(&self) -> StoreFuture<'_, TagListing> {
        self.archive.tags()
    }

    fn finish(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.load())
    }
}
