//! Networks and registries that work badly: every transfer ends well, and what is sent again has a limit.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ecr::transfer::progress::Event;

use super::commands::remote;
use super::limiter::{self, Excess};
use super::registry::{Registry, reply};
use super::*;
use crate::harness::Machine;
use crate::harness::registry::Serve;

/// Fault of a registry or its network, by the number of the request.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// Every fiftieth connection breaks without an answer.
    Resets,
    /// Every third call is one too many.
    Throttles,
    /// A connection ends after this many bytes of an answer.
    Cuts(usize),
    /// Two connections are served at the same time, each for one request.
    Crowded,
    /// Two connections are served at the same time, for as long as they are kept.
    Narrow,
    /// Every second answer takes its time.
    Late,
}

/// Hears how much moved again, and how much of each blob arrived.
#[derive(Default)]
struct Heard {
    again: Mutex<u64>,
    positions: Mutex<HashMap<Digest, u64>>,
}

impl Progress for Heard {
    fn hear(&self, event: Event<'_>) {
        match event {
            Event::Again(bytes) => *self.again.lock().unwrap() += bytes,
            Event::Arrived { digest, position } => {
                self.positions.lock().unwrap().insert(digest.clone(), position);
            }
            _ => {}
        }
    }
}

fn troubled(trouble: Trouble) -> Registry {
    let registry = Registry::start();
    registry.interfere(move |number, _| match trouble {
        Trouble::Resets if number % 50 == 7 => Some(Vec::new()),
        Trouble::Throttles if number % 3 == 0 => Some(reply("429 Too Many Requests", "", b"")),
        _ => None,
    });
    if let Trouble::Cuts(bytes) = trouble {
        registry.cut_answers(bytes);
    }
    if let Trouble::Crowded | Trouble::Narrow = trouble {
        registry.answer_at_once(2);
    }
    if let Trouble::Narrow = trouble {
        registry.keep_connections();
    }
    if let Trouble::Late = trouble {
        registry.answer_late(Duration::from_millis(100));
    }
    registry
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transfer_ends_well_and_little_moves_again() {
    let mut layers: Vec<Vec<u8>> = (0..30).map(|seed| noise(20_000, seed)).collect();
    layers.push(noise(10 << 20, 99));
    let all: u64 = layers.iter().map(|layer| layer.len() as u64).sum();
    let (source, image) = single(&layers).await;
    for trouble in [
        Trouble::Resets,
        Trouble::Throttles,
        Trouble::Cuts(1 << 20),
        Trouble::Crowded,
        Trouble::Narrow,
        Trouble::Late,
    ] {
        let registry = troubled(trouble);
        let wide = Options { jobs: 128, ..options(&["1"]) };
        let (up, down) = (Arc::new(Heard::default()), Arc::new(Heard::default()));
        let pushed = copy(&(source.clone() as Shared), &registry.store(), &wide, &(up.clone() as _)).await;
        pushed.unwrap_or_else(|error| panic!("{trouble:?}: {error}"));
        let target = Arc::new(Memory::new());
        let wanted = Options { image: Name::Digest(image.digest().clone()), ..wide };
        let pulled =
            copy(&registry.store(), &(target.clone() as Shared), &wanted, &(down.clone() as _)).await;
        pulled.unwrap_or_else(|error| panic!("{trouble:?}: {error}"));
        for blob in image.blobs() {
            assert_eq!(target.blob(&blob.digest), source.blob(&blob.digest), "{trouble:?}");
            assert_eq!(down.positions.lock().unwrap()[&blob.digest], blob.size, "{trouble:?}");
        }
        // Repeated bytes are reported, and have a limit.
        for heard in [&up, &down] {
            let again = *heard.again.lock().unwrap();
            assert!(again <= 3 * all, "{trouble:?}: {again}");
        }
    }
}

/// A part of a layer that was sent and did not arrive is sent again, which is told to the byte.
#[tokio::test]
async fn what_is_sent_again_is_told() {
    const SIZE: usize = 6 << 20;
    let (source, _) = single(&[noise(SIZE, 1)]).await;
    let registry = Registry::start();
    registry.state().cuts = vec![2_000_000];
    let heard = Arc::new(Heard::default());
    copy(&(source as Shared), &registry.store(), &options(&["1"]), &(heard.clone() as _)).await.unwrap();
    assert_eq!(registry.received(), [(0, SIZE), (2_000_000, SIZE - 2_000_000)]);
    assert_eq!(*heard.again.lock().unwrap(), (SIZE - 2_000_000) as u64);
}

/// A small layer counts as sent where its connection broke or the registry failed with it, and not where the registry
/// refused it before it was sent, or was not there.
#[tokio::test]
async fn only_what_was_sent_is_told_as_sent_again() {
    const SIZE: usize = 100_000;
    let broken = Vec::new();
    let refused = |status| reply(status, "", b"");
    let astray = reply("202 Accepted", "Location: http://127.0.0.1:1/upload\r\n", b"");
    for (method, answer, again) in [
        ("PUT", refused("429 Too Many Requests"), 0),
        ("PUT", refused("401 Unauthorized"), 0),
        ("PUT", refused("503 Service Unavailable"), 0),
        ("POST", astray, 0),
        ("PUT", refused("500 Internal Server Error"), SIZE),
        ("PUT", broken, SIZE),
    ] {
        let told = String::from_utf8_lossy(&answer).into_owned();
        let (memory, _) = single(&[noise(SIZE, 1)]).await;
        let registry = Registry::start();
        let is_first = AtomicBool::new(true);
        registry.interfere(move |_, request| {
            let is_layer = method == "POST" || request.body.len() == SIZE;
            let strikes = request.method == method && is_layer && is_first.swap(false, Ordering::Relaxed);
            strikes.then(|| answer.clone())
        });
        let heard = Arc::new(Heard::default());
        copy(&(memory as Shared), &registry.store(), &options(&["1"]), &(heard.clone() as _)).await.unwrap();
        assert_eq!(*heard.again.lock().unwrap(), again as u64, "{told}");
    }
}

/// Two connections at a time through whatever is in between: no transfer is slower than one stream at a time would be,
/// but for the moment until that is known. Where requests on connections that wait were left to themselves, each pair
/// of connections would have to be idle for a while before the next one came up, for ten seconds in all.
#[test]
fn few_connections_are_as_good_as_one_stream_at_a_time() {
    let mut machine = Machine::new();
    let layers: Vec<Vec<u8>> = (0..40).map(|seed| noise(20_000, seed)).collect();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (memory, _) = single(&layers).await;
        let layout: Shared = Arc::new(ecr::store::Layout::new(machine.path().join("image")));
        run(&(memory as Shared), &layout, &options(&["1"])).await.unwrap();
    });
    let server = Serve::start(&machine, &["--anonymous"]);
    for excess in [Excess::Waits, Excess::IsClosed] {
        let between = limiter::start(&server.address, 2, excess);
        remote(&mut machine, &Serve::at(&between));
        let timed = |round: &str, options: &str| {
            let registry = format!("docker://{between}");
            let (api, v2) = (
                format!("api-{round}-{excess:?}").to_lowercase(),
                format!("v2-{round}-{excess:?}").to_lowercase(),
            );
            machine.ok(&format!("create-repository --repository-name {api}"));
            machine.ok(&format!("create-repository --repository-name {v2}"));
            machine.ok(&format!("create-repository --repository-name {v2}-copy"));
            [
                format!("push ./image {api}:1"),
                format!("pull {api}:1 {api}"),
                format!("push ./image {registry}/{v2}:1"),
                format!("pull {registry}/{v2}:1 {v2}"),
                format!("copy {api}:1 {registry}/{v2}-copy:1"),
            ]
            .map(|line| {
                let begun = Instant::now();
                machine.ok(&format!("{line} --quiet {options}"));
                (line, begun.elapsed())
            })
        };
        let (alone, together) = (timed("alone", "--jobs 1"), timed("together", ""));
        for ((_, alone), (line, together)) in alone.iter().zip(together) {
            let limit = *alone * 3 / 2 + Duration::from_secs(2);
            assert!(together < limit, "{excess:?} {line}: {together:?}, one at a time {alone:?}");
        }
    }
}
