//! A scripted registry over `/v2/`, and transfers from and to it.

use std::collections::HashMap;
use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use ecr::image::Name;
use ecr::store::ecr::Network;
use ecr::store::registry::{Login, Remote};
use ecr::store::{Memory, Shared};

use super::*;
use crate::harness::http::{CLOSE, Request, listen, response};

/// Answers a request instead of the fake.
type Fault = Box<dyn Fn(&Request) -> Option<Vec<u8>> + Send>;
/// Changes the answer to any request, by its number from 1 on.
type Interference = Box<dyn Fn(usize, &Request) -> Option<Vec<u8>> + Send>;

#[derive(Default)]
pub(super) struct State {
    blobs: HashMap<String, Vec<u8>>,
    pub(super) manifests: HashMap<String, (String, Vec<u8>)>,
    log: Vec<String>,
    heads: Vec<String>,
    faults: Vec<Fault>,
    interference: Option<Interference>,
    /// The request whose answer is lost.
    lost: Option<usize>,
    bearer: bool,
    /// The registry says which digest a manifest has.
    pub(super) names_digests: bool,
    /// Received bytes of the blobs that are being uploaded.
    uploads: HashMap<String, Vec<u8>>,
    /// Bytes that the next PATCHes keep before they fail, from the last to the first.
    pub(super) cuts: Vec<usize>,
    /// The offset and the length of each PATCH that followed on what was there.
    received: Vec<(usize, usize)>,
    /// The most bytes of an answer that are sent.
    longest: Option<usize>,
    /// Delay of every second answer.
    late: Duration,
    /// A connection takes another request after an answer.
    keeps_connections: bool,
    mounts: bool,
    /// The registry lists referrers itself.
    pub(super) referrers: bool,
}

#[derive(Clone)]
pub(super) struct Registry {
    pub(super) address: String,
    state: Arc<Mutex<State>>,
    /// Number of further connections that may be served at the same time.
    crowd: Arc<(Mutex<usize>, Condvar)>,
}

impl Registry {
    pub(super) fn start() -> Self {
        let (listener, address) = listen();
        let registry = Self {
            address,
            state: Arc::default(),
            crowd: Arc::new((Mutex::new(usize::MAX), Condvar::new())),
        };
        let server = registry.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let server = server.clone();
                std::thread::spawn(move || server.serve_in_turn(connection.unwrap()));
            }
        });
        registry
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn fail(&self, fault: impl Fn(&Request) -> Option<Vec<u8>> + Send + 'static) {
        self.state().faults.push(Box::new(fault));
    }

    /// Answers requests instead of the fake.
    pub(super) fn interfere(&self, with: impl Fn(usize, &Request) -> Option<Vec<u8>> + Send + 'static) {
        self.state().interference = Some(Box::new(with));
    }

    /// Handles this request and drops the answer.
    pub(super) fn lose(&self, number: usize) {
        self.state().lost = Some(number);
    }

    /// Every answer breaks off after so many bytes.
    pub(super) fn cut_answers(&self, bytes: usize) {
        self.state().longest = Some(bytes);
    }

    /// No more than so many connections are served at the same time.
    pub(super) fn answer_at_once(&self, connections: usize) {
        *self.crowd.0.lock().unwrap() = connections;
    }

    /// Every second answer comes so late.
    pub(super) fn answer_late(&self, late: Duration) {
        self.state().late = late;
    }

    /// A connection takes another request after an answer.
    pub(super) fn keep_connections(&self) {
        self.state().keeps_connections = true;
    }

    /// The requests since the last time.
    pub(super) fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.state().log)
    }

    pub(super) fn names_digests(&self) {
        self.state().names_digests = true;
    }

    pub(super) fn asks_for_tokens(&self) {
        self.state().bearer = true;
    }

    /// The offset and the length of everything that arrived of large blobs.
    pub(super) fn received(&self) -> Vec<(usize, usize)> {
        self.state().received.clone()
    }

    /// Begins an upload at a place of the test's choice.
    pub(super) fn begin_upload(&self, place: &str) {
        self.state().uploads.insert(place.to_owned(), Vec::new());
    }

    pub(super) fn has(&self, digest: &str) -> bool {
        self.state().blobs.contains_key(digest)
    }

    /// Counts the uploads without an end.
    pub(super) fn unfinished(&self) -> usize {
        self.state().uploads.len()
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.state().heads.clone()
    }

    pub(super) fn store_of(&self, repository: &str, login: Login) -> Shared {
        let network = Network { first_wait: Duration::ZERO, ..Network::default() };
        Arc::new(Remote::new(&self.address, &repository.parse().unwrap(), true, login, network))
    }

    pub(super) fn store(&self) -> Shared {
        self.store_of("team/app", Login::Anonymous)
    }

    pub(super) fn count(&self, start: &str) -> usize {
        self.state().log.iter().filter(|line| line.starts_with(start)).count()
    }

    fn serve_in_turn(&self, connection: TcpStream) {
        let (free, freed) = &*self.crowd;
        *freed.wait_while(free.lock().unwrap(), |free| *free == 0).unwrap() -= 1;
        self.serve_all(connection);
        *free.lock().unwrap() += 1;
        freed.notify_one();
    }

    fn serve_all(&self, mut connection: TcpStream) {
        while let Some(request) = read(&connection) {
            if !self.serve(&request, &mut connection) {
                break;
            }
        }
    }

    /// Answers a request; false where the connection ends with it.
    fn serve(&self, request: &Request, connection: &mut TcpStream) -> bool {
        let mut state = self.state();
        state.log.push(format!("{} {}", request.method, request.path));
        state.heads.push(request.head.clone());
        let number = state.log.len();
        let mut answer = state.interference.as_ref().and_then(|with| with(number, request));
        if answer.is_none()
            && let Some(at) = state.faults.iter().position(|fault| {
                answer = fault(request);
                answer.is_some()
            })
        {
            drop(state.faults.remove(at));
        }
        let answer = answer.unwrap_or_else(|| state.answer(&self.address, request));
        if state.lost == Some(number) {
            return false;
        }
        let late = if number.is_multiple_of(2) { state.late } else { Duration::ZERO };
        let keeps = state.keeps_connections && state.longest.is_none();
        let sent = answer.len().min(state.longest.unwrap_or(usize::MAX));
        drop(state);
        std::thread::sleep(late);
        if keeps {
            let kept = String::from_utf8_lossy(&answer).find(CLOSE).map(|at| (at, at + CLOSE.len()));
            let (from, to) = kept.unwrap_or((answer.len(), answer.len()));
            return connection.write_all(&[&answer[..from], &answer[to..]].concat()).is_ok() && to > from;
        }
        let _ = connection.write_all(&answer[..sent]);
        false
    }
}

/// Reads a request, whose head is in small letters then.
fn read(connection: &TcpStream) -> Option<Request> {
    let mut request = Request::read(&mut BufReader::new(connection))?;
    request.head.make_ascii_lowercase();
    Some(request)
}

pub(super) fn reply(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    response(status, &format!("{CLOSE}{headers}"), body)
}

impl State {
    fn answer(&mut self, address: &str, request: &Request) -> Vec<u8> {
        if let Some(query) = request.path.strip_prefix("/token?") {
            assert!(query.contains("scope=repository"), "{query}");
            let right = request.head.contains("authorization: basic bwu6c2vjcmv0");
            return if right {
                reply("200 OK", "", br#"{"token":"good"}"#)
            } else {
                reply("401 Unauthorized", "", br#"{"errors":[{"message":"who are you?"}]}"#)
            };
        }
        if self.bearer && !request.head.contains("authorization: bearer good") {
            let realm =
                format!("WWW-Authenticate: Bearer realm=\"http://{address}/token\",service=\"s\"\r\n");
            return reply("401 Unauthorized", &realm, b"");
        }
        let path = request.path.split('?').next().unwrap();
        if path == "/v2/" {
            return reply("200 OK", "", b"");
        }
        if let Some((_, digest)) = path.split_once("/blobs/sha256:") {
            return match self.blobs.get(&format!("sha256:{digest}")) {
                None => reply("404 Not Found", "", b""),
                Some(_) if request.method == "HEAD" => reply("200 OK", "", b""),
                Some(bytes) => super::server::serve(bytes.clone())(&request.head),
            };
        }
        if path.ends_with("/blobs/uploads/") {
            let mount = request.path.split_once("?mount=").map(|(_, rest)| rest.replace("%3A", ":"));
            if self.mounts
                && mount.is_some_and(|rest| self.blobs.contains_key(rest.split('&').next().unwrap()))
            {
                return reply("201 Created", "Location: /mounted\r\n", b"");
            }
            let place = format!("/v2/upload/{}", self.log.len());
            self.uploads.insert(place.clone(), Vec::new());
            return reply("202 Accepted", &format!("Location: {place}\r\n"), b"");
        }
        if path.starts_with("/v2/upload/") && request.method == "DELETE" {
            self.uploads.remove(path);
            return reply("204 No Content", "", b"");
        }
        if path.starts_with("/v2/upload/") && request.method == "GET" {
            let Some(upload) = self.uploads.get(path) else { return reply("404 Not Found", "", b"") };
            let last = upload.len().saturating_sub(1);
            return reply("204 No Content", &format!("Location: {path}\r\nRange: 0-{last}\r\n"), b"");
        }
        if path.starts_with("/v2/upload/") && request.method == "PATCH" {
            let Some(upload) = self.uploads.get_mut(path) else { return reply("404 Not Found", "", b"") };
            let range = request.head.split_once("content-range: ").map(|(_, rest)| rest);
            let first = range.map_or(0, |rest| rest.split('-').next().unwrap().parse().unwrap());
            if first != upload.len() {
                return reply("416 Requested Range Not Satisfiable", "", b"");
            }
            let kept = self.cuts.pop().unwrap_or(request.body.len());
            self.received.push((first, request.body.len()));
            upload.extend_from_slice(&request.body[..kept]);
            return if kept < request.body.len() {
                reply("503 Service Unavailable", "", b"")
            } else {
                reply("202 Accepted", &format!("Location: {path}\r\n"), b"")
            };
        }
        if path.starts_with("/v2/upload/") {
            let Some(sent) = self.uploads.remove(path) else { return reply("404 Not Found", "", b"") };
            let request = &Request { body: [sent, request.body.clone()].concat(), ..request.clone() };
            let digest = request.path.split_once("digest=").unwrap().1.replace("%3A", ":");
            if Digest::of(&request.body).to_string() != digest {
                return reply("400 Bad Request", "", br#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
            }
            self.blobs.insert(digest, request.body.clone());
            return reply("201 Created", "Location: /done\r\n", b"");
        }
        if path.ends_with("/tags/list") {
            let mut tags: Vec<&String> = self.manifests.keys().filter(|key| !key.contains(':')).collect();
            tags.sort();
            return reply("200 OK", "", json!({"name": "team/app", "tags": tags}).to_string().as_bytes());
        }
        if let Some((_, subject)) = path.split_once("/referrers/") {
            return self.referrers(subject, &request.path);
        }
        let name = path.rsplit_once("/manifests/").unwrap().1.to_owned();
        if request.method == "PUT" {
            let media_type = request.head.split_once("content-type: ").unwrap().1;
            let media_type = media_type.split("\r\n").next().unwrap().to_owned();
            let kept = (media_type, request.body.clone());
            self.manifests.insert(Digest::of(&request.body).to_string(), kept.clone());
            self.manifests.insert(name, kept);
            // As ECR has it: no Location.
            return reply("201 Created", "", b"");
        }
        match self.manifests.get(&name) {
            None => reply("404 Not Found", "", br#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
            Some((media_type, bytes)) => {
                let digest = if self.names_digests { Digest::of(bytes).to_string() } else { String::new() };
                let head = format!("Content-Type: {media_type}\r\nDocker-Content-Digest: {digest}\r\n");
                reply("200 OK", &head, bytes)
            }
        }
    }
}

impl State {
    /// One to a page.
    fn referrers(&self, subject: &str, path: &str) -> Vec<u8> {
        if !self.referrers {
            return reply("404 Not Found", "", b"");
        }
        let mut found: Vec<Value> = Vec::new();
        for (name, (media_type, bytes)) in self.manifests.iter().filter(|(name, _)| name.contains(':')) {
            let value: Value = serde_json::from_slice(bytes).unwrap();
            if value["subject"]["digest"] == subject {
                found.push(json!({"mediaType": media_type, "digest": name, "size": bytes.len()}));
            }
        }
        found.sort_by_key(|referrer| referrer["digest"].to_string());
        let from: usize = path.split_once("?from=").map_or(0, |(_, from)| from.parse().unwrap());
        let link = format!("Link: </v2/team/app/referrers/{subject}?from={}>; rel=\"next\"\r\n", from + 1);
        let link = if from + 1 < found.len() { link.as_str() } else { "" };
        let page = found.get(from..=from).unwrap_or_default();
        let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": page});
        reply("200 OK", link, index.to_string().as_bytes())
    }
}

#[tokio::test]
async fn an_index_goes_up_and_comes_back() {
    let registry = Registry::start();
    let (memory, index, children) = index().await;
    let source: Shared = memory.clone();
    let outcome = run(&source, &registry.store(), &options(&["1", "2"])).await.unwrap();
    assert_eq!((&outcome.digest, outcome.blobs, outcome.present), (index.digest(), 5, 0));
    assert_eq!(registry.store().tags().await.unwrap(), TagListing::of(["1", "2"]));

    let back = Arc::new(Memory::new());
    let shared: Shared = back.clone();
    let mut wanted = options(&["3"]);
    wanted.image = Name::tag("2").unwrap();
    run(&registry.store(), &shared, &wanted).await.unwrap();
    for blob in children.iter().flat_map(Manifest::blobs) {
        assert_eq!(back.blob(&blob.digest), memory.blob(&blob.digest));
    }
    assert_eq!(back.tags(), [("3".to_owned(), index.digest().clone())]);

    let uploads = registry.count("PUT /v2/upload");
    let again = run(&source, &registry.store(), &options(&["1"])).await.unwrap();
    assert_eq!((again.blobs, again.present, registry.count("PUT /v2/upload")), (0, 5, uploads));
}

#[tokio::test]
async fn tokens_are_asked_for_with_the_login() {
    let registry = Registry::start();
    registry.state().bearer = true;
    let (memory, _) = single(&[noise(3_000_000, 1)]).await;
    let source: Shared = memory;
    let login = Login::Password("me".to_owned(), "secret".to_owned());
    let store = registry.store_of("team/app", login);
    run(&source, &store, &options(&["1"])).await.unwrap();
    let back: Shared = Arc::new(Memory::new());
    let mut wanted = options(&["1"]);
    wanted.image = Name::tag("1").unwrap();
    run(&store, &back, &wanted).await.unwrap();

    let error = run(&source, &registry.store(), &options(&["1"])).await.unwrap_err();
    let place = format!("{}/team/app", registry.address);
    assert_eq!(
        error.to_string(),
        format!(
            "{place} refused to let us look for an image in (HTTP 401: who are you?); no login for {} was found in \
             docker's or podman's configuration",
            registry.address
        )
    );
}

#[tokio::test]
async fn a_blob_is_taken_over_from_a_neighbour() {
    let registry = Registry::start();
    registry.state().mounts = true;
    let (memory, image) = single(&[noise(1000, 1)]).await;
    let source: Shared = memory;
    run(&source, &registry.store(), &options(&["1"])).await.unwrap();
    registry
        .fail(|request| request.path.contains("other/blobs/sha256").then(|| reply("404 Not Found", "", b"")));
    registry
        .fail(|request| request.path.contains("other/blobs/sha256").then(|| reply("404 Not Found", "", b"")));
    registry
        .fail(|request| request.path.contains("other/manifests").then(|| reply("404 Not Found", "", b"")));
    let uploads = registry.count("PUT /v2/upload");
    let other = registry.store_of("team/other", Login::Anonymous);
    let mut wanted = options(&["1"]);
    wanted.image = Name::Digest(image.digest().clone());
    let outcome = run(&registry.store(), &other, &wanted).await.unwrap();
    assert_eq!((outcome.blobs, outcome.present), (0, 2));
    assert_eq!(registry.count("PUT /v2/upload"), uploads);
    assert_eq!(registry.count("POST /v2/team/other/blobs/uploads/?mount="), 2);
}

#[tokio::test]
async fn temporary_errors_are_retried_and_a_refusal_is_reported() {
    let registry = Registry::start();
    let (memory, _) = single(&[noise(2_500_000, 1)]).await;
    let source: Shared = memory;
    registry.fail(|request| (request.method == "PUT").then(|| reply("503 Service Unavailable", "", b"busy")));
    registry.fail(|request| (request.method == "POST").then(|| reply("429 Too Many Requests", "", b"")));
    run(&source, &registry.store(), &options(&["1"])).await.unwrap();

    // A download that breaks off goes on where it stopped.
    let layer = noise(2_500_000, 1);
    let path = format!("/blobs/{}", Digest::of(&layer));
    registry.fail(move |request| {
        let here = request.method == "GET" && request.path.ends_with(&path);
        here.then(|| super::server::body("200 OK", layer.len(), &layer[..1_000_000]))
    });
    let back: Shared = Arc::new(Memory::new());
    let mut wanted = options(&["1"]);
    wanted.image = Name::tag("1").unwrap();
    run(&registry.store(), &back, &wanted).await.unwrap();

    let no =
        || reply("400 Bad Request", "", br#"{"errors":[{"code":"TAG_INVALID","message":"not this tag"}]}"#);
    registry
        .fail(move |request| (request.method == "PUT" && request.path.ends_with("/manifests/9")).then(no));
    let error = run(&source, &registry.store(), &options(&["9"])).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}/team/app refused to let us push a manifest to: HTTP 400: not this tag", registry.address)
    );
}

#[tokio::test]
async fn a_manifest_without_an_end_is_not_read() {
    let registry = Registry::start();
    registry.fail(|request| {
        request.path.contains("/manifests/").then(|| reply("200 OK", "", &vec![b' '; 5 * 1024 * 1024]))
    });
    let back: Shared = Arc::new(Memory::new());
    let mut wanted = options(&["1"]);
    wanted.image = Name::tag("1").unwrap();
    let error = run(&registry.store(), &back, &wanted).await.unwrap_err();
    assert!(error.to_string().contains("is larger than the 4194304 bytes that registries take"), "{error}");
    let error = run(&registry.store(), &back, &wanted).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{}/team/app has no image 1", registry.address));
}

#[tokio::test]
async fn an_upload_that_broke_off_goes_on_where_it_stopped() {
    let registry = Registry::start();
    let size = 6_000_000;
    let (memory, image) = single(&[noise(size, 1)]).await;
    let source: Shared = memory;
    registry.state().cuts = vec![1_000_000, 2_000_000];
    let outcome = run(&source, &registry.store(), &options(&["1"])).await.unwrap();
    assert_eq!(&outcome.digest, image.digest());
    let offsets = [(0, size), (2_000_000, 4_000_000), (3_000_000, 3_000_000)];
    assert_eq!(registry.state().received, offsets);
    assert!(registry.state().blobs.contains_key(&Digest::of(&noise(size, 1)).to_string()));

    // Where the registry names an offset that it then refuses, everything is sent once more.
    let registry = Registry::start();
    registry.state().cuts = vec![2_000_000];
    registry.fail(|request| {
        let asked = request.method == "GET" && request.path.starts_with("/v2/upload");
        asked.then(|| reply("204 No Content", "Range: 0-99\r\n", b""))
    });
    run(&source, &registry.store(), &options(&["1"])).await.unwrap();
    assert_eq!(registry.state().received, [(0, size), (0, size)]);
}

#[tokio::test]
async fn a_token_that_expires_on_the_way_is_renewed() {
    let registry = Registry::start();
    registry.state().bearer = true;
    let (memory, _) = single(&[noise(6_000_000, 1)]).await;
    registry.fail(|request| (request.method == "PATCH").then(|| reply("401 Unauthorized", "", b"")));
    let login = Login::Password("me".to_owned(), "secret".to_owned());
    run(&(memory as Shared), &registry.store_of("team/app", login), &options(&["1"])).await.unwrap();
    assert_eq!(registry.state().received, [(0, 6_000_000)]);
}

#[tokio::test]
async fn a_damaged_file_that_a_registry_refuses_is_to_blame() {
    let registry = Registry::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout");
    let layer = noise(5_000_000, 1);
    let (memory, _) = single(std::slice::from_ref(&layer)).await;
    let layout: Shared = archive_path(path.to_str().unwrap()).destination().unwrap();
    run(&(memory as Shared), &layout, &options(&["1"])).await.unwrap();
    let digest = Digest::of(&layer);
    let mut damaged = layer;
    damaged[17] ^= 1;
    let blob = path.join("blobs/sha256").join(digest.hexadecimal());
    std::fs::write(blob, &damaged).unwrap();
    let error = run(&layout, &registry.store(), &options(&["1"])).await.unwrap_err().to_string();
    let found = Digest::of(&damaged);
    let expected =
        format!("blob {digest} in {} is damaged: its bytes have the digest {found}", path.display());
    assert_eq!(error, expected);
    let verified = ecr::transfer::Options { verify: true, ..options(&["1"]) };
    let puts = registry.count("PUT");
    let error = run(&layout, &registry.store(), &verified).await.unwrap_err().to_string();
    // The configuration was there already, and what is wrong is not offered.
    assert_eq!((error, registry.count("PUT")), (expected, puts));
}

#[tokio::test]
async fn a_manifest_that_the_tag_names_is_not_put_again() {
    let registry = Registry::start();
    let (memory, _) = single(&[noise(1000, 1)]).await;
    let source: Shared = memory;
    registry.state().names_digests = true;
    run(&source, &registry.store(), &options(&["1"])).await.unwrap();
    let puts = registry.count("PUT");
    run(&source, &registry.store(), &options(&["1"])).await.unwrap();
    assert_eq!(registry.count("PUT"), puts);
    // Another tag is put, and so is one whose image the registry does not say.
    run(&source, &registry.store(), &options(&["1", "2"])).await.unwrap();
    assert_eq!(registry.count("PUT"), puts + 1);
    registry.state().names_digests = false;
    run(&source, &registry.store(), &options(&["1"])).await.unwrap();
    assert_eq!(registry.count("PUT"), puts + 2);
}
