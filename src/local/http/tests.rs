//! The server as a client meets it, over a connection of its own for each request.

use crate::local::core::download_url;
use crate::local::store::time;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::local::core::local::Local;
use crate::local::core::server_info::ServerInfo;
use crate::local::core::store_usage::reset;
use crate::local::http::Server;
use crate::local::http::min_rate::Timeouts;
use crate::local::http::options::Log;
use crate::local::http::options::Options;

mod damage;
mod identity;
mod input;

/// A server on a folder of its own, stopped when dropped.
struct RunningServer {
    folder: TempDir,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An answer: its status, its head in lower case, its body.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl RunningServer {
    fn start() -> Self {
        Self::with(Self::options())
    }

    /// Returns the options of a server whose host is `registry.test`.
    fn options() -> Options {
        Options { hosts: vec!["registry.test".to_owned()], ..Options::loopback(0) }
    }

    fn with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = Local::open(folder.path()).unwrap();
        let mut running = Self::on(local, options);
        running.folder = folder;
        running
    }

    /// A server on an open store.
    fn on(local: Local, options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::bind(local, options).await.unwrap();
                let address = server.address();
                let ready = || tell.send(address).map_err(std::io::Error::other);
                server.run(ready, async { drop(stopped.await) }).await.unwrap();
            });
        });
        let address = told.recv().unwrap();
        Self { folder, address, stop: Some(stop), thread: Some(thread) }
    }

    /// Sends these bytes, with pauses in between, and reads the answer to its end; nothing where none came.
    fn send(&self, pieces: &[&[u8]]) -> Option<Answer> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        for piece in pieces {
            // A server that has answered may stop reading.
            let _ = stream.write_all(piece);
        }
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        Answer::of(&bytes)
    }

    fn request(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(
            stream,
            "{head}\r\nHost: registry.test:9\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .unwrap();
        // A server that refuses a large body may stop reading; its answer is there all the same.
        let _ = stream.write_all(body);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Answer::of(&bytes).unwrap()
    }

    fn get(&self, path: &str, header: &str) -> Answer {
        let header = if header.is_empty() { String::new() } else { format!("\r\n{header}") };
        self.request(&format!("GET {path} HTTP/1.1{header}"), b"")
    }

    fn post(&self, operation: &str, body: &[u8]) -> Answer {
        let head = format!(
            "POST / HTTP/1.1\r\nX-Amz-Target: AmazonEC2ContainerRegistry_V20150921.{operation}\r\nAuthorization: \
             AWS4-HMAC-SHA256 Credential=111122223333/20260101/eu-west-1/ecr/aws4_request, SignedHeaders=host, \
             Signature=0"
        );
        self.request(&head, body)
    }

    fn call(&self, operation: &str, input: &Value) -> Value {
        let answer = self.post(operation, input.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Pushes an image with this layer; answers the layer's download path.
    fn push(&self, content: &[u8]) -> String {
        let name = "team/app";
        let digest = digest(content);
        self.call("CreateRepository", &json!({ "repositoryName": name }));
        let upload = self.call("InitiateLayerUpload", &json!({ "repositoryName": name }))["uploadId"].clone();
        self.call(
            "UploadLayerPart",
            &json!({
                "layerPartBlob": base64_simd::STANDARD.encode_to_string(content), "repositoryName": name,
                "uploadId": upload, "partFirstByte": 0, "partLastByte": content.len() - 1,
            }),
        );
        let input = json!({ "repositoryName": name, "uploadId": upload, "layerDigests": [digest] });
        self.call("CompleteLayerUpload", &input);
        let manifest = json!({ "config": { "digest": digest, "size": content.len() } }).to_string();
        self.call(
            "PutImage",
            &json!({
                "repositoryName": name, "imageManifest": manifest,
                "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
            }),
        );
        let answer =
            self.call("GetDownloadUrlForLayer", &json!({ "repositoryName": name, "layerDigest": digest }));
        let url = answer["downloadUrl"].as_str().unwrap();
        url.strip_prefix("http://registry.test:9").unwrap().to_owned()
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
        assert!(!self.folder.path().join("server.json").exists(), "a stopped server removes its file");
    }
}

impl Answer {
    fn of(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, head, body: bytes[end + 4..].to_vec() })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

#[test]
fn a_server_is_found_by_its_folder() {
    let server = RunningServer::start();
    let server_info = ServerInfo::find(server.folder.path()).unwrap();
    assert_eq!(server_info.address, server.address.to_string());
    assert_eq!(server_info.pid, std::process::id());
    // In process, the address of a live server is the one that is printed.
    let local = Local::open(server.folder.path()).unwrap();
    assert_eq!(local.server_address(), Some(server.address.to_string()));
    let other = TempDir::new().unwrap();
    let text = std::fs::read_to_string(server.folder.path().join("server.json")).unwrap();
    std::fs::write(other.path().join("server.json"), text.replace(&server_info.instance, "another")).unwrap();
    assert_eq!(ServerInfo::find(other.path()), None);
}

#[test]
fn the_caller_is_who_signed() {
    let server = RunningServer::start();
    let made = server.call("CreateRepository", &json!({ "repositoryName": "team/app" }));
    assert_eq!(
        (&made["repository"]["repositoryArn"], &made["repository"]["repositoryUri"]),
        (
            &json!("arn:aws:ecr:eu-west-1:111122223333:repository/team/app"),
            &json!("registry.test:9/team/app")
        )
    );
    let head = "POST / HTTP/1.1\r\nX-Amz-Target: AmazonEC2ContainerRegistry_V20150921.DescribeRegistry";
    assert!(server.request(head, b"{}").text().starts_with(r#"{"registryId":"000000000000""#));
}

#[test]
fn refusals_have_the_form_of_the_service() {
    let server = RunningServer::start();
    let answer = server.post("ListImages", br#"{"repositoryName":"none"}"#);
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (
            400,
            "{\"__type\":\"RepositoryNotFoundException\",\"message\":\"The repository with name 'none' does not exist in \
             the registry with id '111122223333'\"}"
        )
    );
    assert_eq!(answer.header("content-type"), Some("application/x-amz-json-1.1"));
    assert!(answer.header("x-amzn-requestid").is_some());
    let code = |answer: Answer| {
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        (answer.status, body["__type"].as_str().unwrap().to_owned())
    };
    let told = |status, code: &str| (status, code.to_owned());
    assert_eq!(code(server.post("ListImages", b"{")), told(400, "SerializationException"));
    assert_eq!(code(server.post("ListImages", b"[]")), told(400, "SerializationException"));
    assert_eq!(code(server.post("ListImages", &vec![b'['; 1 << 20])), told(400, "SerializationException"));
    assert_eq!(code(server.post("Nonsense", b"{}")), told(400, "UnknownOperationException"));
    assert_eq!(code(server.request("POST / HTTP/1.1", b"{}")), told(400, "UnknownOperationException"));
    let broken = br#"{"layerPartBlob":"?","repositoryName":"ab"}"#;
    assert_eq!(code(server.post("UploadLayerPart", broken)), told(400, "SerializationException"));
    let large = vec![b' '; (32 << 20) + 1];
    assert_eq!(code(server.post("UploadLayerPart", &large)), told(413, "RequestEntityTooLargeException"));
    assert_eq!(server.call("DescribeRepositories", &json!({})), json!({ "repositories": [] }));
    assert_eq!(server.get("/", "").status, 404);
}

#[test]
fn an_escaped_blob_is_a_blob() {
    let server = RunningServer::start();
    server.call("CreateRepository", &json!({ "repositoryName": "team/app" }));
    let begun = server.call("InitiateLayerUpload", &json!({ "repositoryName": "team/app" }));
    let upload = begun["uploadId"].as_str().unwrap();
    let body = format!(
        r#"{{"repositoryName":"team\/app","uploadId":"{upload}","partFirstByte":0,"partLastByte":2,"layerPartBlob":"\/\/\/\/"}}"#
    );
    assert_eq!(server.post("UploadLayerPart", body.as_bytes()).status, 200);
    let input = json!({
        "repositoryName": "team/app", "uploadId": upload, "layerDigests": [digest(&[255, 255, 255])],
    });
    server.call("CompleteLayerUpload", &input);
}

#[test]
fn a_layer_is_downloaded_whole_and_in_ranges() {
    let server = RunningServer::start();
    let content: Vec<u8> = (0..1_500_000_u32).map(|number| (number % 251) as u8).collect();
    let path = server.push(&content);
    let whole = server.get(&path, "");
    assert_eq!((whole.status, whole.header("content-length")), (200, Some("1500000")));
    assert!(whole.body == content);
    let head = server.request(&format!("HEAD {path} HTTP/1.1"), b"");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("1500000"), 0));
    for (range, expected) in [
        ("bytes=5-9", 5..10),
        ("bytes=600000-", 600_000..1_500_000),
        ("bytes=-3", 1_499_997..1_500_000),
        ("bytes=1499999-9999999", 1_499_999..1_500_000),
        ("bytes=-9999999", 0..1_500_000),
    ] {
        let part = server.get(&path, &format!("Range: {range}"));
        let described = format!("bytes {}-{}/1500000", expected.start, expected.end - 1);
        assert_eq!((part.status, part.header("content-range")), (206, Some(described.as_str())), "{range}");
        assert!(part.body == content[expected], "{range}");
    }
    for range in ["bytes=1500000-", "bytes=9-5", "bytes=-0"] {
        let refused = server.get(&path, &format!("Range: {range}"));
        assert_eq!(
            (refused.status, refused.header("content-range")),
            (416, Some("bytes */1500000")),
            "{range}"
        );
    }
    for range in ["bytes=1-2,5-6", "lines=1-2", "bytes=x-y"] {
        assert_eq!(server.get(&path, &format!("Range: {range}")).status, 200, "{range}");
    }
}

#[test]
fn a_download_needs_a_signature_in_time() {
    let server = RunningServer::start();
    let path = server.push(b"content");
    let secret = Local::open(server.folder.path()).unwrap().read(download_url::secret).unwrap();
    let xml = |code: &str, message: &str| {
        let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
        format!("{declaration}<Error><Code>{code}</Code><Message>{message}</Message></Error>")
    };
    let ask = |path: &str| {
        let answer = server.get(path, "");
        (answer.status, answer.text())
    };
    assert_eq!(ask(&path), (200, "content".to_owned()));
    let expired = download_url::download_path(&secret, &digest(b"content"), time::now() / 1000 - 1);
    assert_eq!(ask(&expired), (403, xml("AccessDenied", "Request has expired")));
    let forged = xml("SignatureDoesNotMatch", "The signature does not match the URL");
    assert_eq!(ask(&path.replace("expires=", "expires=9")), (403, forged.clone()));
    assert_eq!(ask(&path.replace("signature=", "signature=0")), (403, forged));
    let bare = path.split('?').next().unwrap();
    assert_eq!(ask(bare), (403, xml("AccessDenied", "Access Denied")));
    let later = time::now() / 1000 + 60;
    let missing = (404, xml("NoSuchKey", "The specified key does not exist."));
    assert_eq!(ask(&download_url::download_path(&secret, &digest(b"none"), later)), missing);
    assert_eq!(ask(&download_url::download_path(&secret, "../../ecr.db", later)), missing);
}

#[test]
fn a_running_server_sees_a_reset() {
    let server = RunningServer::start();
    server.push(b"content");
    reset(server.folder.path()).unwrap();
    assert_eq!(server.call("DescribeRepositories", &json!({})), json!({ "repositories": [] }));
    server.push(b"content");
}

#[test]
fn a_port_is_taken_only_once() {
    let server = RunningServer::start();
    let local = Local::open(server.folder.path()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let port = server.address.port();
    let refused = runtime.block_on(Server::bind(local, Options::loopback(port))).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "cannot listen on 127.0.0.1:{port}: port {port} is in use; stop the program that uses it, or choose another \
             with --port (0 takes a free one)"
        )
    );
}
