//! The other end of a benchmark, so fast that it hides nothing of the client: what is pushed is read and forgotten,
//! and what is pulled goes from a file into the socket by sendfile. It speaks as much of ECR's API and of `/v2/` as
//! transfers need.
//!
//! ```sh
//! cargo build --release --example sink
//! target/release/examples/sink serve [LAYOUT]    # prints its address; LAYOUT is what can be pulled as `full:latest`
//! target/release/examples/sink hash              # GB/s of SHA-256 and of base64 on one core
//! ```
#![allow(
    clippy::pedantic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a tool of the benchmarks"
)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const PART: u64 = 10 << 20;
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Manifests by repository and name: their media type and bytes.
type Manifests = Mutex<HashMap<String, (String, Vec<u8>)>>;

struct Sink {
    address: String,
    layout: Option<PathBuf>,
    manifests: Manifests,
    received: AtomicU64,
}

struct Head {
    method: String,
    path: String,
    headers: HashMap<String, String>,
}

type Connection = BufReader<TcpStream>;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["hash"] => hash(),
        ["serve"] => serve(None),
        ["serve", layout] => serve(Some(layout.into())),
        _ => println!("usage: sink serve [LAYOUT] | sink hash"),
    }
}

fn hash() {
    let bytes = vec![7u8; 10 << 20];
    let mut text = Vec::with_capacity(14 << 20);
    let rate = |work: &mut dyn FnMut()| {
        let begun = Instant::now();
        (0..50).for_each(|_| work());
        f64::from(50u32 * (10 << 20)) / begun.elapsed().as_secs_f64() / 1e9
    };
    let sha = rate(&mut || {
        black_box(Sha256::digest(black_box(&bytes)));
    });
    let base64 = rate(&mut || {
        text.clear();
        base64_simd::STANDARD.encode_append(black_box(&bytes), &mut text);
    });
    println!("{}", json!({"sha256": sha, "base64": base64}));
}

fn serve(layout: Option<PathBuf>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    println!("http://{address}");
    let sink = Arc::new(Sink { address, layout, manifests: Mutex::default(), received: AtomicU64::new(0) });
    for connection in listener.incoming().flatten() {
        let sink = Arc::clone(&sink);
        std::thread::spawn(move || {
            connection.set_nodelay(true).unwrap();
            let mut connection = BufReader::with_capacity(256 << 10, connection);
            // A client that goes away in the middle is not our trouble.
            while let Ok(Some(head)) = head(&mut connection) {
                if sink.answer(&head, &mut connection).is_err() {
                    break;
                }
            }
        });
    }
}

fn head(connection: &mut Connection) -> io::Result<Option<Head>> {
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, path) = (word(), word());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        connection.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    if headers.get("expect").is_some_and(|expected| expected == "100-continue") {
        connection.get_ref().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    Ok(Some(Head { method, path, headers }))
}

/// Reads a body. Its first bytes are kept, as many as `keep` says.
fn body(head: &Head, connection: &mut Connection, keep: usize) -> io::Result<(Vec<u8>, u64)> {
    let mut kept = Vec::new();
    let mut total = 0;
    let mut pass = |connection: &mut Connection, mut left: u64| -> io::Result<()> {
        total += left;
        while left > 0 {
            let bytes = connection.fill_buf()?;
            if bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let some = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            kept.extend_from_slice(&bytes[..some.min(keep - kept.len())]);
            connection.consume(some);
            left -= some as u64;
        }
        Ok(())
    };
    if let Some(length) = head.headers.get("content-length").and_then(|text| text.parse().ok()) {
        pass(connection, length)?;
    } else if head.headers.contains_key("transfer-encoding") {
        loop {
            let mut line = String::new();
            connection.read_line(&mut line)?;
            let size = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
            pass(connection, size)?;
            line.clear();
            connection.read_line(&mut line)?;
            if size == 0 {
                break;
            }
        }
    }
    Ok((kept, total))
}

fn reply(connection: &Connection, status: &str, headers: &str, body: &[u8]) -> io::Result<()> {
    let mut answer = format!("HTTP/1.1 {status}\r\n{headers}");
    if !headers.to_ascii_lowercase().contains("content-length") {
        let _ = write!(answer, "Content-Length: {}\r\n", body.len());
    }
    answer += "\r\n";
    let mut bytes = answer.into_bytes();
    bytes.extend_from_slice(body);
    connection.get_ref().write_all(&bytes)
}

impl Sink {
    fn answer(&self, head: &Head, connection: &mut Connection) -> io::Result<()> {
        if let Some(target) = head.headers.get("x-amz-target") {
            let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
            let keep = if operation == "UploadLayerPart" { 1024 } else { 8 << 20 };
            let (kept, total) = body(head, connection, keep)?;
            self.received.fetch_add(total, Ordering::Relaxed);
            return self.operation(&operation, &kept, connection);
        }
        let path = head.path.split('?').next().unwrap_or_default().to_owned();
        let keep = if path.contains("/manifests/") { 8 << 20 } else { 0 };
        let (kept, total) = body(head, connection, keep)?;
        self.received.fetch_add(total, Ordering::Relaxed);
        if path == "/received" {
            let received = self.received.load(Ordering::Relaxed).to_string();
            return reply(connection, "200 OK", "", received.as_bytes());
        }
        let Some(rest) = path.strip_prefix("/v2/").filter(|rest| !rest.is_empty()) else {
            return reply(connection, "200 OK", "", b"");
        };
        if let Some((repository, name)) = rest.split_once("/manifests/") {
            return self.manifest(head, repository, name, kept, connection);
        }
        match (head.method.as_str(), rest.rsplit_once("/blobs/")) {
            ("POST", _) => {
                let place = format!(
                    "Location: /v2/{}u\r\nRange: 0-0\r\n",
                    rest.trim_end_matches('/').to_owned() + "/"
                );
                reply(connection, "202 Accepted", &place, b"")
            }
            ("PATCH", _) => {
                let headers = format!("Location: {path}\r\nRange: 0-{}\r\n", total.saturating_sub(1));
                reply(connection, "202 Accepted", &headers, b"")
            }
            ("PUT", _) => {
                let digest = head.path.split("digest=").nth(1).unwrap_or_default().replace("%3A", ":");
                let headers = format!("Location: {path}\r\nDocker-Content-Digest: {digest}\r\n");
                reply(connection, "201 Created", &headers, b"")
            }
            (_, Some(("full", digest))) => self.blob(head, digest, connection),
            _ => reply(connection, "404 Not Found", "", b""),
        }
    }

    fn manifest(
        &self,
        head: &Head,
        repository: &str,
        name: &str,
        bytes: Vec<u8>,
        connection: &Connection,
    ) -> io::Result<()> {
        let key = |name: &str| format!("{repository} {name}");
        if head.method == "PUT" {
            let digest = digest(&bytes);
            let media_type = head.headers.get("content-type").cloned().unwrap_or_default();
            let mut manifests = self.manifests.lock().unwrap();
            manifests.insert(key(&digest), (media_type.clone(), bytes.clone()));
            manifests.insert(key(name), (media_type, bytes));
            let headers = format!("Location: {}\r\nDocker-Content-Digest: {digest}\r\n", head.path);
            return reply(connection, "201 Created", &headers, b"");
        }
        let known = self.manifests.lock().unwrap().get(&key(name)).cloned();
        let Some((media_type, bytes)) =
            known.or_else(|| (repository == "full").then(|| self.stored(name))?)
        else {
            return reply(connection, "404 Not Found", "", b"");
        };
        let headers = format!(
            "Content-Type: {media_type}\r\nDocker-Content-Digest: {}\r\nContent-Length: {}\r\n",
            digest(&bytes),
            bytes.len()
        );
        reply(connection, "200 OK", &headers, if head.method == "HEAD" { b"" } else { &bytes })
    }

    /// A manifest of the layout; every tag is its first image.
    fn stored(&self, name: &str) -> Option<(String, Vec<u8>)> {
        let layout = self.layout.as_ref()?;
        let digits = if let Some(digits) = name.strip_prefix("sha256:") {
            digits.to_owned()
        } else {
            let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).ok()?).ok()?;
            index["manifests"][0]["digest"].as_str()?.strip_prefix("sha256:")?.to_owned()
        };
        let bytes = fs::read(layout.join("blobs/sha256").join(digits)).ok()?;
        let value: Value = serde_json::from_slice(&bytes).ok()?;
        let media_type = if value.get("manifests").is_some() { INDEX } else { MANIFEST };
        Some((media_type.to_owned(), bytes))
    }

    fn blob(&self, head: &Head, digest: &str, connection: &mut Connection) -> io::Result<()> {
        let path = self.layout.as_ref().map(|layout| layout.join("blobs/sha256").join(&digest[7..]));
        let Some(mut file) = path.and_then(|path| File::open(path).ok()) else {
            return reply(connection, "404 Not Found", "", b"");
        };
        let size = file.metadata()?.len();
        let range = head
            .headers
            .get("range")
            .and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse().ok());
        let start = range.unwrap_or(0);
        let status = if range.is_some() { "206 Partial Content" } else { "200 OK" };
        let mut headers =
            format!("Content-Type: application/octet-stream\r\nDocker-Content-Digest: {digest}\r\n");
        let _ = write!(headers, "Content-Length: {}\r\n", size - start);
        if range.is_some() {
            let _ = write!(headers, "Content-Range: bytes {start}-{}/{size}\r\n", size - 1);
        }
        reply(connection, status, &headers, b"")?;
        if head.method == "HEAD" {
            return Ok(());
        }
        file.seek(SeekFrom::Start(start))?;
        // From a file into a socket std copies with sendfile.
        io::copy(&mut file.take(size - start), &mut connection.get_ref()).map(|_| ())
    }

    fn operation(&self, operation: &str, kept: &[u8], connection: &Connection) -> io::Result<()> {
        let input: Value = serde_json::from_slice(kept).unwrap_or_default();
        let ok = |value: Value| {
            reply(
                connection,
                "200 OK",
                "Content-Type: application/x-amz-json-1.1\r\n",
                value.to_string().as_bytes(),
            )
        };
        let no = |code: &str| {
            let body = json!({"__type": code, "message": "nothing is kept here"}).to_string();
            reply(
                connection,
                "400 Bad Request",
                "Content-Type: application/x-amz-json-1.1\r\n",
                body.as_bytes(),
            )
        };
        match operation {
            "InitiateLayerUpload" => ok(json!({"uploadId": "an-upload-of-the-sink", "partSize": PART})),
            "UploadLayerPart" => {
                let text = String::from_utf8_lossy(kept);
                let last = text.split("\"partLastByte\":").nth(1).unwrap_or_default().trim_start();
                let digits: String = last.chars().take_while(char::is_ascii_digit).collect();
                ok(
                    json!({"uploadId": "an-upload-of-the-sink", "lastByteReceived": digits.parse::<u64>().unwrap_or(0)}),
                )
            }
            "CompleteLayerUpload" => {
                ok(json!({"uploadId": input["uploadId"], "layerDigest": input["layerDigests"][0]}))
            }
            "BatchCheckLayerAvailability" => {
                let digests = input["layerDigests"].as_array().cloned().unwrap_or_default();
                let layer =
                    |digest: &Value| json!({"layerDigest": digest, "layerAvailability": "UNAVAILABLE"});
                ok(json!({"layers": digests.iter().map(layer).collect::<Vec<_>>(), "failures": []}))
            }
            "PutImage" => {
                let identifier = json!({"imageDigest": input["imageDigest"], "imageTag": input["imageTag"]});
                ok(json!({"image": {"repositoryName": input["repositoryName"], "imageId": identifier}}))
            }
            "BatchGetImage" => {
                let identifier = &input["imageIds"][0];
                let name = identifier["imageDigest"]
                    .as_str()
                    .or(identifier["imageTag"].as_str())
                    .unwrap_or("latest");
                let Some((media_type, bytes)) = self.stored(name) else {
                    return no("ImageNotFoundException");
                };
                ok(json!({"images": [{
                    "imageId": {"imageDigest": digest(&bytes)}, "imageManifestMediaType": media_type,
                    "imageManifest": String::from_utf8_lossy(&bytes),
                }], "failures": []}))
            }
            "GetDownloadUrlForLayer" => {
                let digest = input["layerDigest"].as_str().unwrap_or_default();
                ok(
                    json!({"downloadUrl": format!("http://{}/v2/full/blobs/{digest}", self.address), "layerDigest": digest}),
                )
            }
            "DescribeImages" => no("ImageNotFoundException"),
            _ => no("InvalidParameterException"),
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
