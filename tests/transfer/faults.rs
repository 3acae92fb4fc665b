//! Faults at every stage over `/v2/`: whichever request of a push and a pull fails, both end well, and what has arrived
//! is not sent again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ecr::store::ecr::Network;
use ecr::store::registry::{Login, Remote};

use super::registry::{Registry, reply};
use super::*;

/// More than goes in one request, so that it is begun, sent and ended.
const LARGE: usize = 4_300_000;
const EXPIRED: &[u8] =
    br#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#;

fn alone() -> Options {
    Options { jobs: 1, ..options(&["1"]) }
}

/// Pushes an image and pulls it again; it must be the same.
async fn there_and_back(source: &Arc<Memory>, image: &Manifest, remote: &Shared) -> Result<(), String> {
    let shared: Shared = Arc::clone(source) as Shared;
    run(&shared, remote, &alone()).await.map_err(|error| format!("push: {error}"))?;
    let back = Arc::new(Memory::new());
    let wanted = Options { image: Name::tag("1").unwrap(), ..alone() };
    run(remote, &(Arc::clone(&back) as Shared), &wanted).await.map_err(|error| format!("pull: {error}"))?;
    assert_eq!(back.tags(), [("1".to_owned(), image.digest().clone())]);
    for blob in image.blobs() {
        assert!(back.blob(&blob.digest) == source.blob(&blob.digest));
    }
    Ok(())
}

/// Counts the requests of a transfer without faults.
async fn requests(source: &Arc<Memory>, image: &Manifest) -> usize {
    let registry = Registry::start();
    there_and_back(source, image, &registry.store()).await.unwrap();
    registry.count("")
}

/// A registry's repository whose login `AWS:old` can be renewed, and how often it was.
fn renewing(registry: &Registry) -> (Shared, Arc<AtomicUsize>) {
    let renewed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&renewed);
    let renew = move || {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Login::Password("AWS".to_owned(), "new".to_owned()))
    };
    let remote = remote(registry, Login::Password("AWS".to_owned(), "old".to_owned()));
    (Arc::new(remote.renewed_by(Arc::new(renew))), renewed)
}

#[tokio::test]
async fn any_request_may_fail() {
    let (source, image) = single(&[noise(LARGE, 1), noise(1000, 2)]).await;
    let requests = requests(&source, &image).await;
    assert!(requests >= 15, "{requests}");
    let no = |status: &str| reply(status, "Retry-After: 0\r\n", b"busy");
    for (what, answer) in [
        ("dropped", Vec::new()),
        ("500", no("500 Internal Server Error")),
        ("503", no("503 Service Unavailable")),
        ("429", no("429 Too Many Requests")),
    ] {
        for at in 1..=requests {
            let (registry, answer) = (Registry::start(), answer.clone());
            registry.interfere(move |number, _| (number == at).then(|| answer.clone()));
            let done = there_and_back(&source, &image, &registry.store()).await;
            done.unwrap_or_else(|error| panic!("{what} at request {at}: {error}"));
            assert!(registry.count("") > requests, "{what} at request {at}");
            assert_eq!(registry.received(), [(0, LARGE)], "{what} at request {at}");
        }
    }
}

/// The registry did what it was asked to, and its answer was lost.
#[tokio::test]
async fn any_answer_may_be_lost() {
    let (source, image) = single(&[noise(LARGE, 1), noise(1000, 2)]).await;
    for at in 1..=requests(&source, &image).await {
        let registry = Registry::start();
        registry.lose(at);
        let done = there_and_back(&source, &image, &registry.store()).await;
        done.unwrap_or_else(|error| panic!("request {at}: {error}"));
        assert_eq!(registry.received(), [(0, LARGE)], "request {at}");
    }
}

#[tokio::test]
async fn throttles_by_the_dozen_pass() {
    let (source, image) = single(&[noise(LARGE, 1)]).await;
    for seed in 1..7 {
        let registry = Registry::start();
        // A third of all requests.
        let chances = noise(1000, seed);
        registry.interfere(move |number, _| {
            let all = ["429 Too Many Requests", "500 Oh", "503 Service Unavailable"];
            let status = all.get(usize::from(chances[number + 50]) % 9)?;
            Some(reply(status, "", b""))
        });
        let done = there_and_back(&source, &image, &registry.store()).await;
        done.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(registry.received(), [(0, LARGE)]);
    }
}

/// Amazon ECR over `/v2/`: no realm, and 403 once the password has expired.
#[tokio::test]
async fn a_login_of_ecr_that_expires_anywhere_is_renewed_once() {
    let (source, image) = single(&[noise(LARGE, 1), noise(1000, 2)]).await;
    for at in 0..requests(&source, &image).await {
        let registry = Registry::start();
        registry.interfere(move |number, request| {
            // `AWS:old`, as the head is read here: in small letters.
            let is_old = request.head.contains("authorization: basic qvdtom9sza==");
            let body = if request.method == "HEAD" { b"" } else { EXPIRED };
            (is_old && number > at).then(|| reply("403 Forbidden", "", body))
        });
        let (remote, renewed) = renewing(&registry);
        let done = there_and_back(&source, &image, &remote).await;
        done.unwrap_or_else(|error| panic!("after request {at}: {error}"));
        assert_eq!(registry.received(), [(0, LARGE)], "after request {at}");
        assert_eq!(renewed.load(Ordering::Relaxed), 1, "after request {at}");
    }
}

#[tokio::test]
async fn a_login_that_many_layers_need_is_renewed_once() {
    let layers: Vec<Vec<u8>> = (0..12).map(|seed| noise(1000, seed)).collect();
    let (source, _) = single(&layers).await;
    let registry = Registry::start();
    registry.interfere(|number, request| {
        let is_old = request.head.contains("authorization: basic qvdtom9sza==");
        (is_old && number > 20).then(|| reply("401 Unauthorized", "", b""))
    });
    let (remote, renewed) = renewing(&registry);
    let many = Options { jobs: 8, ..options(&["1"]) };
    run(&(source as Shared), &remote, &many).await.unwrap();
    assert_eq!(renewed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn failed_renewals_are_reported() {
    let (source, image) = single(&[noise(1000, 2)]).await;
    let registry = Registry::start();
    registry.interfere(|number, _| (number > 1).then(|| reply("403 Forbidden", "", EXPIRED)));
    let remote = remote(&registry, Login::Password("AWS".to_owned(), "old".to_owned()));
    let remote: Shared =
        Arc::new(remote.renewed_by(Arc::new(|| Err("no credentials were found".to_owned()))));
    let error = there_and_back(&source, &image, &remote).await.unwrap_err();
    assert!(error.contains("(HTTP 401: no credentials were found); the login that was found"), "{error}");
}

/// Any other registry: a token of its realm, for reading and for writing.
#[tokio::test]
async fn a_token_that_expires_anywhere_is_renewed_once() {
    let (source, image) = single(&[noise(LARGE, 1), noise(1000, 2)]).await;
    let login = || Login::Password("me".to_owned(), "secret".to_owned());
    let registry = Registry::start();
    registry.asks_for_tokens();
    there_and_back(&source, &image, &registry.store_of("team/app", login())).await.unwrap();
    let (requests, tokens) = (registry.count(""), registry.count("GET /token"));
    assert_eq!(tokens, 2);
    for at in 0..requests {
        let registry = Registry::start();
        registry.asks_for_tokens();
        registry.interfere(move |number, request| {
            if number <= at {
                return None;
            }
            if request.path.starts_with("/token") {
                return Some(reply("200 OK", "", br#"{"access_token":"good-2"}"#));
            }
            let is_old = request.head.contains("authorization: bearer good\r\n");
            is_old.then(|| reply("401 Unauthorized", "", b""))
        });
        let remote = registry.store_of("team/app", login());
        let done = there_and_back(&source, &image, &remote).await;
        done.unwrap_or_else(|error| panic!("after request {at}: {error}"));
        assert_eq!(registry.received(), [(0, LARGE)], "after request {at}");
        let tokens = registry.count("GET /token");
        assert!(tokens <= 4, "after request {at}: {tokens} tokens");
    }
}

#[tokio::test]
async fn a_realm_that_is_busy_is_asked_again() {
    let (source, image) = single(&[noise(1000, 2)]).await;
    let registry = Registry::start();
    registry.asks_for_tokens();
    let busy = AtomicUsize::new(0);
    registry.interfere(move |_, request| {
        let is_busy = request.path.starts_with("/token") && busy.fetch_add(1, Ordering::Relaxed) < 3;
        is_busy.then(|| reply("503 Service Unavailable", "", b""))
    });
    let login = Login::Password("me".to_owned(), "secret".to_owned());
    there_and_back(&source, &image, &registry.store_of("team/app", login)).await.unwrap();
    assert_eq!(registry.count("GET /token"), 5);
}

/// A registry's 401 names where the login is to be sent: not just anywhere.
#[tokio::test]
async fn a_login_does_not_go_to_any_realm() {
    let (source, image) = single(&[noise(1000, 2)]).await;
    for (realm, host) in [
        ("http://169.254.169.254/latest/meta-data", "http://169.254.169.254"),
        ("http://10.0.0.1/token", "http://10.0.0.1"),
        ("http://example.com/token", "http://example.com"),
        ("ftp://127.0.0.1/token", "ftp://127.0.0.1"),
    ] {
        let registry = Registry::start();
        registry.interfere(move |_, _| {
            let header = format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"s\"\r\n");
            Some(reply("401 Unauthorized", &header, b""))
        });
        let remote = registry.store_of("team/app", Login::Password("me".to_owned(), "secret".to_owned()));
        let error = there_and_back(&source, &image, &remote).await.unwrap_err();
        let words = format!("refused to log in at {host}, which it names for that");
        assert!(error.ends_with(&words), "{error}");
        // The login was not sent, and the registry was asked for nothing but its realm.
        assert!(registry.heads().iter().all(|head| !head.contains("authorization")));
        assert_eq!(registry.count(""), 1);
    }
}

#[tokio::test]
async fn look_ups_and_manifests_wait_as_long_as_they_are_asked_to() {
    let (source, image) = single(&[noise(1000, 2)]).await;
    for (method, part) in
        [("HEAD", "/blobs/"), ("HEAD", "/manifests/"), ("PUT", "/manifests/"), ("GET", "/manifests/")]
    {
        let registry = Registry::start();
        let told = Mutex::new(None);
        let waited = Arc::new(Mutex::new(Duration::ZERO));
        let kept = Arc::clone(&waited);
        registry.interfere(move |_, request| {
            if request.method != method || !request.path.contains(part) {
                return None;
            }
            let mut told = told.lock().unwrap();
            if let Some((path, at)) = &*told {
                // Others are asked about meanwhile.
                if *path != request.path {
                    return None;
                }
                let mut kept = kept.lock().unwrap();
                if kept.is_zero() {
                    *kept = Instant::elapsed(at);
                }
                return None;
            }
            *told = Some((request.path.clone(), Instant::now()));
            Some(reply("429 Too Many Requests", "Retry-After: 1\r\n", b""))
        });
        there_and_back(&source, &image, &registry.store()).await.unwrap();
        let waited = *waited.lock().unwrap();
        assert!(waited >= Duration::from_secs(1), "{method} {part}: {waited:?}");
    }
}

fn remote(registry: &Registry, login: Login) -> Remote {
    let network = Network { first_wait: Duration::ZERO, ..Network::default() };
    Remote::new(&registry.address, &"team/app".parse().unwrap(), true, login, network)
}
