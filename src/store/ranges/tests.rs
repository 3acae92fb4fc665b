//! Downloads in ranges, from servers that answer them well and badly.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::{RequestBuilder, Response};

use super::super::connections::SendError;
use super::super::download::{Failure, ReadyRequest};
use super::*;
use crate::image::Digest;

/// How a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Ranges as they are asked for.
    Right,
    /// Everything, whatever is asked for.
    Whole,
    /// Ranges with another one in their head.
    OtherRange,
    /// Ranges of something that has changed.
    OtherVersion,
    /// Ranges of something that has another length.
    OtherLength,
    /// One of four answers comes to a halt in the middle.
    Halts,
    /// One of four answers breaks off in the middle.
    Breaks,
    /// Every answer breaks off after a while.
    BreaksAlways,
    /// Ranges of other bytes.
    OtherBytes,
}

/// A server of one blob, as long as the process lives.
struct Server {
    address: String,
    /// Bytes that it has sent of the blob.
    sent: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    fn start(blob: Vec<u8>, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let (sent, requests, blob) = (Arc::new(AtomicUsize::new(0)), Arc::default(), Arc::new(blob));
        let server = Self { address, sent: Arc::clone(&sent), requests: Arc::clone(&requests) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (blob, sent, requests) = (Arc::clone(&blob), Arc::clone(&sent), Arc::clone(&requests));
                // Whoever has read enough hangs up.
                std::thread::spawn(
                    move || while answer(&stream, &blob, manner, &sent, &requests).is_some() {},
                );
            }
        });
        server
    }
}

/// Answers one request; `None` where the connection is over.
#[expect(clippy::too_many_lines, reason = "one answer, from its request to its last byte")]
fn answer(
    mut stream: &TcpStream,
    blob: &[u8],
    manner: Manner,
    sent: &AtomicUsize,
    requests: &AtomicUsize,
) -> Option<()> {
    let mut range = None;
    let mut lines = BufReader::new(stream).lines();
    loop {
        let line = lines.next()?.ok()?;
        if line.is_empty() {
            break;
        }
        if let Some(wanted) = line.to_lowercase().strip_prefix("range: bytes=") {
            let (first, last) = wanted.split_once('-')?;
            range =
                Some((first.parse::<usize>().ok()?, last.parse().map_or(blob.len(), |last: usize| last + 1)));
        }
    }
    let number = requests.fetch_add(1, Ordering::SeqCst);
    let (first, end) = range.filter(|_| manner != Manner::Whole).unwrap_or((0, blob.len()));
    let mut head = "HTTP/1.1 200 OK\r\n".to_owned();
    if range.is_some() && manner != Manner::Whole {
        let first = if manner == Manner::OtherRange { first + 1 } else { first };
        let length = blob.len() + usize::from(manner == Manner::OtherLength);
        head =
            format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{}/{length}\r\n", end - 1);
    }
    let version = if manner == Manner::OtherVersion { number } else { 0 };
    write!(stream, "{head}ETag: \"{version}\"\r\nContent-Length: {}\r\n\r\n", end - first).ok()?;
    let changed: Vec<u8>;
    let mut bytes = &blob[first..end];
    if manner == Manner::OtherBytes && range.is_some() {
        changed = bytes.iter().map(|byte| !byte).collect();
        bytes = &changed;
    }
    let some = match manner {
        Manner::Halts | Manner::Breaks if number % 4 == 1 => bytes.len() / 2,
        Manner::BreaksAlways => bytes.len().min(1 << 20),
        _ => bytes.len(),
    };
    for piece in bytes[..some].chunks(1 << 16) {
        stream.write_all(piece).ok()?;
        sent.fetch_add(piece.len(), Ordering::SeqCst);
    }
    if some < bytes.len() {
        if manner == Manner::Halts {
            // Until the client hangs up.
            let _ = std::io::Read::read(&mut stream, &mut [0]);
        }
        return None;
    }
    Some(())
}

/// The server as a source of blobs.
struct Blobs {
    client: reqwest::Client,
    url: String,
    lanes: Arc<Lanes>,
}

impl Origin for Blobs {
    fn request<'a>(
        &'a self,
        _: &'a Descriptor,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ReadyRequest, Failure>> {
        let request = self.client.get(&self.url);
        Box::pin(async move { Ok(ReadyRequest { request, authorization: String::new() }) })
    }

    fn send(&self, request: RequestBuilder) -> BoxFuture<'_, Result<Response, SendError>> {
        Box::pin(async move { request.send().await.map_err(|error| SendError::from(&error)) })
    }

    fn backoff(&self) -> crate::retry::Backoff {
        crate::retry::Backoff::new(Duration::ZERO, Duration::ZERO)
    }

    fn lanes(&self) -> Arc<Lanes> {
        Arc::clone(&self.lanes)
    }

    fn count_retry(&self, _: bool) {}
}

fn blob(size: usize) -> (Vec<u8>, Descriptor) {
    let bytes: Vec<u8> =
        (0..size).map(|at| (at / 251).to_le_bytes()[0] ^ (at % 253).to_le_bytes()[0]).collect();
    let descriptor = Descriptor::new("application/octet-stream", Digest::of(&bytes), bytes.len() as u64);
    (bytes, descriptor)
}

/// Reads a blob of 20 MiB and a bit from an offset on, with four connections more than one.
async fn fetched(manner: Manner, offset: usize, buffers: &Arc<Buffers>) -> (Vec<u8>, Vec<u8>, Server) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (bytes, descriptor) = blob((20 << 20) + 17);
    let server = Server::start(bytes.clone(), manner);
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let origin = Arc::new(Blobs { client, url: server.address.clone(), lanes: Lanes::allowing(4) });
    let mut reader = read(origin, &descriptor, offset as u64, Some(buffers));
    let mut found = Vec::new();
    loop {
        let before = found.len();
        found = reader.read(found, 700_001).await.unwrap();
        if found.len() - before < 700_001 {
            break;
        }
    }
    assert!(reader.read(Vec::new(), 1).await.unwrap().is_empty());
    (bytes, found, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_comes_in_order_however_its_ranges_are_answered() {
    for manner in [
        Manner::Right,
        Manner::Whole,
        Manner::OtherRange,
        Manner::OtherVersion,
        Manner::OtherLength,
        Manner::Halts,
        Manner::Breaks,
        Manner::BreaksAlways,
    ] {
        for offset in [0, 3_000_001] {
            let buffers = Buffers::new(16 << 20);
            let (bytes, found, server) = fetched(manner, offset, &buffers).await;
            assert!(
                found == bytes[offset..],
                "{manner:?} {offset}: {} of {}",
                found.len(),
                bytes.len() - offset
            );
            let sent = server.sent.load(Ordering::SeqCst);
            assert!(sent <= 3 * bytes.len(), "{manner:?} {offset}: {sent}");
            assert!(buffers.has_room(buffers.budget() * 3 / 5), "{manner:?}: all memory is given back");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_fetched_ahead_within_the_memory() {
    let buffers = Buffers::new(16 << 20);
    let (.., server) = fetched(Manner::Right, 0, &buffers).await;
    assert!(server.requests.load(Ordering::SeqCst) > 10);
    // Without memory there is one stream.
    let buffers = Buffers::new(1 << 20);
    let (.., server) = fetched(Manner::Right, 0, &buffers).await;
    assert_eq!(server.requests.load(Ordering::SeqCst), 1);
}

/// What is wrong in a range is found out by the blob's digest, like what is wrong in a stream.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_in_a_range_stay_wrong() {
    let (bytes, found, _) = fetched(Manner::OtherBytes, 0, &Buffers::new(16 << 20)).await;
    assert_eq!(found.len(), bytes.len());
    assert!(Digest::of(&found) != Digest::of(&bytes));
}

#[test]
fn the_first_bytes_do_not_make_a_stream_fast() {
    let verdict = Duration::from_millis(200);
    assert_eq!(lead(128 * 1024, Duration::from_micros(10), verdict), LEAD, "a piece that was there at once");
    assert_eq!(lead(3 * MEBIBYTE, Duration::from_millis(100), verdict), 6 * MEBIBYTE);
    assert_eq!(lead(100 * MEBIBYTE, Duration::from_secs(100), verdict), LEAD);
}

/// What a stream brings until it is known whether ranges are faster may turn out to be less than it seemed.
#[tokio::test]
async fn ranges_begin_nearer_where_the_stream_becomes_slower() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let descriptor = Descriptor::new("application/octet-stream", Digest::of(b""), 200 * MEBIBYTE);
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let url = "http://127.0.0.1:1/".to_owned();
    let origin = Arc::new(Blobs { client, url, lanes: Arc::default() });
    let mut reader = Ranged::new(origin, &descriptor, 0, &Buffers::new(16 << 20));
    let mut begins = |position: u64, seconds: u64| {
        reader.begun = Instant::now().checked_sub(Duration::from_secs(seconds));
        reader.position = position * MEBIBYTE;
        reader.employ();
        reader.ahead.queue().next / MEBIBYTE
    };
    assert_eq!(begins(40, 0), 40 + MAX_LEAD / MEBIBYTE, "as fast as can be");
    assert_eq!(begins(41, 60), 41 + LEAD / MEBIBYTE);
}
