//! Requests of a transfer, their order, and which of them wait for one another: each round trip has a reason.

use std::sync::Barrier;
use std::time::Duration;

use ecr::model;
use ecr::service::{Backend, Client, Request, ServiceError};
use ecr::store::ecr::{Ecr, Network, Repository};
use ecr::store::registry::Login;

use super::commands::{SAMPLE, remote};
use super::fake::Fake;
use super::registry::Registry;
use super::*;
use crate::harness::Machine;
use crate::harness::registry::Serve;

/// One blob after another, so that the order is known.
fn in_order(tag: &str) -> Options {
    Options { jobs: 1, ..options(&[tag]) }
}

/// The calls since the last time.
fn calls(fake: &Fake) -> Vec<String> {
    let log = std::mem::take(&mut fake.state().log);
    log.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn calls_of_the_api() {
    let (source, image) = single(&[noise(1000, 1)]).await;
    let source: Shared = source;
    let fake = Fake::new();
    let push = async |tag| {
        run(&source, &(fake.store() as Shared), &in_order(tag)).await.unwrap();
        calls(&fake)
    };
    let upload = ["InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload"];
    // The tag's own look-up and the question for layers are asked together.
    let asked = ["DescribeImages", "DescribeImages", "BatchCheckLayerAvailability"];
    assert_eq!(push("1").await, [&asked[..], &upload, &upload, &["PutImage"]].concat());
    assert_eq!(push("1").await, ["DescribeImages"], "what is there is only looked up");
    assert_eq!(push("2").await, ["DescribeImages", "DescribeImages", "PutImage"]);

    let folder = tempfile::tempdir().unwrap();
    for (digest, bytes) in &fake.state().blobs {
        std::fs::write(folder.path().join(digest.split_once(':').unwrap().1), bytes).unwrap();
    }
    fake.state().downloads = format!("file://{}/", folder.path().display());
    let target: Shared = Arc::new(Memory::new());
    let wanted = Options { image: Name::Digest(image.digest().clone()), ..in_order("1") };
    run(&(fake.store() as Shared), &target, &wanted).await.unwrap();
    assert_eq!(calls(&fake), ["BatchGetImage", "GetDownloadUrlForLayer", "GetDownloadUrlForLayer"]);
}

#[tokio::test]
async fn requests_to_a_registry() {
    let (source, image) = single(&[noise(1000, 1)]).await;
    let (source, registry): (Shared, _) = (source, Registry::start());
    let (root, blobs) = ("/v2/team/app", digests(image.blobs()));
    let push = async |tag| {
        run(&source, &registry.store(), &in_order(tag)).await.unwrap();
        let mut log = registry.log();
        // Whether there are blobs is asked of all at once.
        log.sort_by_key(|line| {
            let at =
                blobs.iter().position(|blob| line.starts_with("HEAD") && line.ends_with(&blob.to_string()));
            (!line.starts_with("HEAD"), at)
        });
        log
    };
    let [config, layer] = [&blobs[0], &blobs[1]];
    // A registry is not greeted, and that it wants no login is known from its first answer.
    assert_eq!(
        push("1").await,
        [
            format!("HEAD {root}/manifests/{}", image.digest()),
            format!("HEAD {root}/blobs/{config}"),
            format!("HEAD {root}/blobs/{layer}"),
            format!("POST {root}/blobs/uploads/"),
            format!("PUT /v2/upload/4?digest={}", config.to_string().replace(':', "%3A")),
            format!("POST {root}/blobs/uploads/"),
            format!("PUT /v2/upload/6?digest={}", layer.to_string().replace(':', "%3A")),
            format!("PUT {root}/manifests/1"),
        ]
    );
    registry.names_digests();
    assert_eq!(
        push("1").await,
        [format!("HEAD {root}/manifests/{}", image.digest()), format!("HEAD {root}/manifests/1")]
    );
    let target: Shared = Arc::new(Memory::new());
    let wanted = Options { image: Name::tag("1").unwrap(), ..in_order("1") };
    run(&registry.store(), &target, &wanted).await.unwrap();
    assert_eq!(
        registry.log(),
        [
            format!("GET {root}/manifests/1"),
            format!("GET {root}/blobs/{config}"),
            format!("GET {root}/blobs/{layer}"),
        ]
    );
}

/// A challenge comes with the first answer, and one token does for everything of its kind.
#[tokio::test]
async fn requests_to_a_registry_that_asks_for_tokens() {
    let (source, image) = single(&[noise(1000, 1)]).await;
    let (source, registry): (Shared, _) = (source, Registry::start());
    registry.asks_for_tokens();
    let login = Login::Password("me".to_owned(), "secret".to_owned());
    run(&source, &registry.store_of("team/app", login), &in_order("1")).await.unwrap();
    let made: Vec<String> = registry
        .log()
        .iter()
        .map(|line| line.split(['?', ':']).next().unwrap().replace("/v2/team/app", ""))
        .collect();
    let upload = ["POST /blobs/uploads/", "PUT /v2/upload/"];
    let is_upload = |line: &String| line.starts_with(upload[1]);
    let made: Vec<&str> = made.iter().map(|line| if is_upload(line) { upload[1] } else { line }).collect();
    let looked_up = ["HEAD /manifests/sha256", "GET /token", "HEAD /manifests/sha256"];
    let asked = ["HEAD /blobs/sha256", "HEAD /blobs/sha256", "GET /token"];
    assert_eq!(made, [&looked_up[..], &asked, &upload, &upload, &["PUT /manifests/1"]].concat());
    assert_eq!(image.blobs().count(), 2);
}

/// A fake that answers some operations only when as many callers wait for it as do not depend on one another.
struct Together {
    fake: Fake,
    waves: Vec<(&'static str, Barrier)>,
}

impl Backend for Together {
    fn answer(&self, request: Request) -> Result<Value, ServiceError> {
        for (_, barrier) in self.waves.iter().filter(|(operation, _)| *operation == request.operation) {
            barrier.wait();
        }
        self.fake.answer(request)
    }
}

fn together(fake: &Fake, waves: &[(&'static str, usize)]) -> Shared {
    let waves = waves.iter().map(|&(operation, callers)| (operation, Barrier::new(callers))).collect();
    let client = Client::in_process(model::ecr(), Arc::new(Together { fake: fake.clone(), waves }));
    let repository = Repository { registry: None, name: "team/app".parse().unwrap() };
    Arc::new(Ecr::new(client, repository, Network { first_wait: Duration::ZERO, ..Network::default() }))
}

#[tokio::test(flavor = "multi_thread")]
async fn small_layers_and_children_wait_for_nothing_but_their_own() {
    let layers: Vec<Vec<u8>> = (0..40).map(|seed| noise(1000, seed)).collect();
    let (source, _) = single(&layers).await;
    let fake = Fake::new();
    let wide = Options { jobs: 128, ..options(&["1"]) };
    let waves = [("InitiateLayerUpload", 41), ("UploadLayerPart", 41), ("CompleteLayerUpload", 41)];
    run(&(source as Shared), &together(&fake, &waves), &wide).await.unwrap();

    let (source, index, children) = index().await;
    let fake = Fake::new();
    let destination = together(&fake, &[("InitiateLayerUpload", 5)]);
    run(&(source as Shared), &destination, &wide).await.unwrap();
    assert_eq!(fake.count("PutImage"), 1 + children.len());
    // The children of an index are read together, and then written together.
    let folder = tempfile::tempdir().unwrap();
    for (digest, bytes) in &fake.state().blobs {
        std::fs::write(folder.path().join(digest.split_once(':').unwrap().1), bytes).unwrap();
    }
    fake.state().downloads = format!("file://{}/", folder.path().display());
    let names = Options { image: Name::Digest(children[0].digest().clone()), ..wide.clone() };
    run(&(fake.store() as Shared), &(Arc::new(Memory::new()) as Shared), &names).await.unwrap();
    let other = Fake::new();
    let read = Options { image: Name::Digest(index.digest().clone()), ..wide };
    let source = together(&fake, &[("GetDownloadUrlForLayer", 5)]);
    run(&source, &(other.store() as Shared), &read).await.unwrap();
    assert_eq!(other.count("PutImage"), 1 + children.len());
}

/// The requests of a command in the order in which they went out, as the log of `--debug` has them: an operation's name,
/// or method and path.
fn requests(machine: &Machine, line: &str) -> Vec<String> {
    let arguments: Vec<&str> = line.split_whitespace().chain(["--debug", "--quiet"]).collect();
    let outcome = machine.ecr(&arguments);
    assert_eq!(outcome.code, 0, "{}", outcome.transcript());
    let mut requests: Vec<String> = Vec::new();
    for line in outcome.stderr.lines() {
        if let Some((_, request)) = line.split_once("request ") {
            let (method, url) = request.split_once(' ').unwrap();
            requests.push(format!("{method} /{}", url.splitn(4, '/').nth(3).unwrap_or_default()));
        } else if let Some((_, target)) = line.split_once("x-amz-target: ") {
            let operation = target.rsplit('.').next().unwrap();
            operation.clone_into(requests.last_mut().unwrap());
        }
    }
    requests
}

/// Repositories are compared by one listing each; only images that differ are looked at.
#[test]
fn calls_of_a_sync() {
    let mut machine = Machine::new();
    let server = Serve::start(&machine, &[]);
    remote(&mut machine, &server);
    machine.ok(&format!("push {SAMPLE} team/app:1 --create --platform linux/amd64"));
    machine.ok("create-repository --repository-name backup/team/app");
    let sync = || requests(&machine, "sync team/app backup --jobs 1");
    let compared = ["ListImages", "ListImages"];
    let looked_up = ["BatchGetImage", "DescribeImages", "DescribeImages", "BatchCheckLayerAvailability"];
    let moved =
        ["GetDownloadUrlForLayer", "GET", "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload"];
    let made = sync();
    let made: Vec<&str> = made.iter().map(|request| request.split(' ').next().unwrap()).collect();
    let layers = made.iter().filter(|request| **request == "GET").count();
    assert_eq!(made[..6], [&compared[..], &looked_up].concat());
    let mut rest: Vec<&str> = made[6..].to_vec();
    assert_eq!(rest.pop(), Some("PutImage"));
    rest.sort_unstable();
    let mut expected: Vec<&str> = moved.iter().flat_map(|request| vec![*request; layers]).collect();
    expected.sort_unstable();
    assert_eq!(rest, expected);
    assert_eq!(sync(), compared, "what is the same is not looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_a_sync() {
    let (image, manifest) = single(&[noise(1000, 1)]).await;
    let (source, mirror) = (Registry::start(), Registry::start());
    run(&(image as Shared), &source.store(), &in_order("1")).await.unwrap();
    let machine = Machine::new();
    for registry in [&source, &mirror] {
        registry.names_digests();
        registry.log();
    }
    let (from, to) = (&source.address, &mirror.address);
    let sync = || {
        machine.ok(&format!("sync docker://{from}/team/app docker://{to}/backup --jobs 1 --quiet"));
        let mut to_mirror = mirror.log();
        // Whether there are blobs is asked of all at once.
        to_mirror.sort_by_key(|line| {
            (!line.starts_with("GET"), !line.starts_with("HEAD"), line.contains("/blobs/sha"))
        });
        (source.log(), to_mirror)
    };
    let (root, below, blobs) = ("/v2/team/app", "/v2/backup/team/app", digests(manifest.blobs()));
    let looked_at = vec![format!("GET {root}/tags/list?n=1000"), format!("HEAD {root}/manifests/1")];
    let (read, written) = sync();
    let blob = |digest: &Digest| format!("GET {root}/blobs/{digest}");
    let moved = [format!("GET {root}/manifests/{}", manifest.digest()), blob(&blobs[0]), blob(&blobs[1])];
    assert_eq!(read, [&looked_at[..], &moved].concat());
    let kinds: Vec<String> =
        written.iter().map(|line| line.split(['?', ':']).next().unwrap().replace(below, "")).collect();
    let kinds: Vec<&str> = kinds.iter().map(|line| line.trim_end_matches(char::is_numeric)).collect();
    let (asked, upload) = ("HEAD /blobs/sha", ["POST /blobs/uploads/", "PUT /v2/upload/"]);
    let looked_up = ["GET /tags/list", "HEAD /manifests/sha", asked, asked];
    assert_eq!(kinds, [&looked_up[..], &upload, &upload, &["PUT /manifests/"]].concat());
    // What is the same is not looked at, and the mirror is compared like the source.
    let at_mirror = looked_at.iter().map(|line| line.replace(root, below)).collect();
    assert_eq!(sync(), (looked_at, at_mirror));
}
