//! How often a request that fails is repeated, by its kind and by the failure.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::registry::{Registry, reply};
use super::*;
use crate::harness::http::Request;

/// The requests of a kind that a registry gets when it answers each of them with this status.
async fn asked(kind: &str, status: &'static str) -> usize {
    let (count, error) = asked_until_failure(kind, move |_| reply(status, "", b"")).await;
    assert!(error.is_some() || (kind == "untag" && status.starts_with("404")), "{kind} {status}");
    count
}

/// The requests of a kind that a registry gets when it answers them like this, by their number from 1 on, and the error
/// in the end.
async fn asked_until_failure(
    kind: &str,
    answer: impl Fn(usize) -> Vec<u8> + Send + 'static,
) -> (usize, Option<String>) {
    let registry = Registry::start();
    let (memory, image) = single(&[noise(1000, 1), noise(5_000_000, 2)]).await;
    let source: Shared = memory;
    let layer = image.blobs().nth(1).unwrap().digest.to_string();
    if kind != "upload" && kind != "manifest" && kind != "patch" && kind != "end" {
        run(&source, &registry.store(), &options(&["1"])).await.unwrap();
    }
    if kind == "token" {
        registry.asks_for_tokens();
    }
    let is_meant = {
        let kind = kind.to_owned();
        move |request: &Request| {
            let (method, path) = (request.method.as_str(), request.path.as_str());
            match kind.as_str() {
                "read" => method == "GET" && path.contains("/manifests/"),
                "list" => path.contains("/tags/list"),
                "blob" => method == "GET" && path.ends_with(&layer),
                "upload" => method == "POST" && path.ends_with("/blobs/uploads/"),
                "patch" => method == "PATCH",
                "end" => method == "PUT" && path.contains("digest="),
                "manifest" => method == "PUT" && path.contains("/manifests/"),
                "untag" => method == "DELETE",
                _ => path.starts_with("/token"),
            }
        }
    };
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    registry.interfere(move |_, request| {
        is_meant(request).then(|| answer(counted.fetch_add(1, Ordering::Relaxed) + 1))
    });
    let store = registry.store();
    let error = match kind {
        "list" => store.tags().await.err().map(|error| error.to_string()),
        "untag" => store.untag(&["1".parse().unwrap()]).await.err().map(|error| error.to_string()),
        "read" => store.manifest(&Name::tag("1").unwrap()).await.err().map(|error| error.to_string()),
        "blob" | "token" => {
            let back: Shared = Arc::new(Memory::new());
            let wanted = Options { image: Name::tag("1").unwrap(), jobs: 1, ..options(&["1"]) };
            run(&store, &back, &wanted).await.err().map(|error| error.to_string())
        }
        _ => run(&source, &store, &Options { jobs: 1, ..options(&["1"]) })
            .await
            .err()
            .map(|error| error.to_string()),
    };
    (count.load(Ordering::Relaxed), error)
}

const TEMPORARY: [&str; 6] = [
    "408 Request Timeout",
    "429 Too Many Requests",
    "500 Internal Server Error",
    "502 Bad Gateway",
    "503 Service Unavailable",
    "504 Gateway Timeout",
];
const FINAL: [&str; 16] = [
    "400 Bad Request",
    "402 Payment Required",
    "403 Forbidden",
    "404 Not Found",
    "405 Method Not Allowed",
    "406 Not Acceptable",
    "409 Conflict",
    "410 Gone",
    "413 Content Too Large",
    "415 Unsupported Media Type",
    "418 I'm a teapot",
    "451 Unavailable For Legal Reasons",
    "501 Not Implemented",
    "505 HTTP Version Not Supported",
    "507 Insufficient Storage",
    "511 Network Authentication Required",
];

/// Only what can change is asked again: time-outs, limits, and a service or its gateway that is down for now (as botocore
/// and go-containerregistry have it: 408, 429, 500, 502, 503, 504). What nobody allows, knows or does is final; a login
/// and a download's URL may have expired, once.
#[tokio::test]
async fn only_temporary_statuses_are_retried() {
    let mut wrong = Vec::new();
    let mut note = |kind: &str, status: &str, found: usize, expected: usize| {
        if found != expected {
            wrong.push(format!("{kind} {status} {found} {expected}"));
        }
    };
    for (kind, attempts) in [
        ("read", 6),
        ("list", 6),
        ("untag", 6),
        ("manifest", 6),
        ("token", 6),
        ("blob", 5),
        ("upload", 8),
        ("patch", 8),
        ("end", 8),
    ] {
        for status in TEMPORARY {
            let is_throttled = status.starts_with("429");
            note(kind, status, asked(kind, status).await, if is_throttled { 10 } else { attempts });
        }
        for status in FINAL {
            // The link of a download may have expired (403), and an upload may be one that nobody knows any more (404).
            let twice = (kind == "blob" && status.starts_with("403"))
                || (["patch", "end"].contains(&kind) && status.starts_with("404"));
            note(kind, status, asked(kind, status).await, if twice { 2 } else { 1 });
        }
        let unauthorized = asked(kind, "401 Unauthorized").await;
        // The first request has no authentication; then a new login is tried once.
        let expected = match kind {
            "token" => 1,
            "read" | "list" => 3,
            _ => 2,
        };
        note(kind, "401", unauthorized, expected);
    }
    assert!(wrong.is_empty(), "kind, status, requests, expected:\n{}", wrong.join("\n"));
}

const SLOW_DOWN: &[u8] = br#"<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"#;

/// Throttled requests and other failures have limits of their own: neither uses up what the other is allowed.
#[tokio::test]
async fn throttles_and_other_failures_are_counted_apart() {
    for (kind, attempts) in [("read", 6), ("blob", 5), ("patch", 8), ("end", 8)] {
        let (count, error) = asked_until_failure(kind, move |number| match number {
            ..=7 => reply("429 Too Many Requests", "", b""),
            _ => reply("500 Internal Server Error", "", b""),
        })
        .await;
        assert_eq!(count, 7 + attempts, "{kind} {error:?}");
        if kind == "blob" {
            assert!(error.unwrap().contains("(12 attempts)"));
        }
        let (count, _) = asked_until_failure(kind, move |number| match number {
            2 => reply("500 Internal Server Error", "", b""),
            _ => reply("429 Too Many Requests", "", b""),
        })
        .await;
        assert_eq!(count, 11, "{kind}");
    }
}

/// S3 says with 503 that requests are too many; a server that is down says the same, and is not asked longer for it.
#[tokio::test]
async fn only_503_that_asks_for_patience_is_a_throttle() {
    let far = |code: &str| format!("<Error>{}<Code>{code}</Code></Error>", " ".repeat(8 * 1024)).into_bytes();
    for (headers, body, attempts) in [
        ("", SLOW_DOWN.to_vec(), 10),
        ("Retry-After: 0\r\n", Vec::new(), 10),
        ("", b"<Error><Code>ServiceUnavailable</Code></Error>".to_vec(), 5),
        ("", b"<html>SlowDown</html>".to_vec(), 5),
        ("", far("SlowDown"), 5),
    ] {
        let answer = reply("503 Service Unavailable", headers, &body);
        let (count, error) = asked_until_failure("blob", move |_| answer.clone()).await;
        assert_eq!(count, attempts, "{headers} {}", String::from_utf8_lossy(&body));
        assert!(error.unwrap().contains(&format!("({attempts} attempts)")));
    }
}
