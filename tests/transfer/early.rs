//! Layers that are sent while they are still being compressed.

use std::sync::atomic::{AtomicUsize, Ordering};

use ecr::store::Journal;
use ecr::store::registry::{Login, Remote};
use ecr::transfer::compress::CompressionCache;
use tokio::sync::Notify;

use super::compress::{PLAIN, compressed, store_of};
use super::fake::{Fake, MEBIBYTE, refusal};
use super::halting::Halting;
use super::registry::{Registry, reply};
use super::*;

/// Bytes of a layer that come before it halts: more than its first part (5 MiB) and what may be on its way to it on any
/// machine, which is 9 blocks of 512 KiB in the memory of a transfer, and some pieces that wait for the compressor.
const BEFORE_HALT: usize = 20 * MEBIBYTE;

/// An image of a layer that compresses badly, so that much is sent of it; without a way to let it go it never stops.
async fn image_of(size: usize, go: Option<Arc<Notify>>) -> Shared {
    let layer = noise(size, 1);
    let (memory, _) = store_of(&[(PLAIN, layer.clone(), &layer)], false).await;
    match go {
        Some(go) => Arc::new(Halting::new(memory, go).after(BEFORE_HALT)),
        None => memory,
    }
}

const SIZE: usize = 23 * MEBIBYTE;

fn fast() -> Options {
    compressed("gzip:1", &["1"])
}

/// The layer as it is compressed where nothing is sent early, and its digest.
async fn packed() -> (String, usize) {
    let back = Arc::new(Memory::new());
    run(&image_of(SIZE, None).await, &(back.clone() as Shared), &fast()).await.unwrap();
    let image = back.manifest(&Name::tag("1").unwrap()).await.unwrap();
    let layer = image.blobs().nth(1).unwrap();
    (layer.digest.to_string(), usize::try_from(layer.size).unwrap())
}

/// Lets the rest of a layer come when the second upload begins: the first is that of the configuration.
fn let_go_at_the_second_upload(registry: &Registry, go: Arc<Notify>) {
    let begun = AtomicUsize::new(0);
    registry.interfere(move |_, request| {
        let begins = request.method == "POST" && request.path.ends_with("/uploads/");
        if begins && begun.fetch_add(1, Ordering::Relaxed) == 1 {
            go.notify_one();
        }
        None
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_gets_a_layer_before_it_is_whole() {
    let (digest, size) = packed().await;
    let registry = Registry::start();
    let go = Arc::new(Notify::new());
    let_go_at_the_second_upload(&registry, Arc::clone(&go));
    let source = image_of(SIZE, Some(go)).await;
    let outcome = run(&source, &registry.store(), &fast()).await.unwrap();
    assert_eq!((outcome.compressed, outcome.blobs, outcome.bytes > size as u64), (1, 2, true));
    assert_eq!((registry.received(), registry.unfinished()), (vec![(0, size)], 0));
    assert!(registry.has(&digest));
    let patch = registry.heads().into_iter().find(|head| head.starts_with("patch ")).unwrap();
    assert!(patch.contains("transfer-encoding: chunked") && !patch.contains("content-length"), "{patch}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_has_the_layer_already_is_not_left_with_half_of_it() {
    let registry = Registry::start();
    run(&image_of(SIZE, None).await, &registry.store(), &fast()).await.unwrap();
    let go = Arc::new(Notify::new());
    let released = Arc::clone(&go);
    registry.interfere(move |_, request| {
        if request.method == "POST" {
            released.notify_one();
        }
        None
    });
    let source = image_of(SIZE, Some(go)).await;
    let outcome = run(&source, &registry.store(), &fast()).await.unwrap();
    assert_eq!((outcome.compressed, outcome.blobs, outcome.present), (1, 0, 2));
    assert_eq!(registry.unfinished(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_uploads_resume_and_refused_ones_restart() {
    let (digest, size) = packed().await;
    let source = image_of(SIZE, None).await;
    let registry = Registry::start();
    registry.state().cuts = vec![2_000_000];
    run(&source, &registry.store(), &fast()).await.unwrap();
    assert_eq!(registry.received(), [(0, size), (2_000_000, size - 2_000_000)]);
    assert!(registry.has(&digest));

    let registry = Registry::start();
    registry.interfere(|_, request| {
        let unmeasured = request.head.contains("transfer-encoding: chunked");
        unmeasured.then(|| reply("411 Length Required", "", b""))
    });
    run(&source, &registry.store(), &fast()).await.unwrap();
    assert_eq!((registry.received(), registry.unfinished()), (vec![(0, size)], 0));
    assert!(registry.has(&digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_does_not_send_present_bytes_again() {
    let (digest, size) = packed().await;
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::start();
    let source = image_of(SIZE, None).await;
    let store = || -> Shared {
        let journal = Journal::new(folder.path().to_owned(), String::new());
        let network = ecr::store::ecr::Network::default();
        let remote =
            Remote::new(&registry.address, &"team/app".parse().unwrap(), true, Login::Anonymous, network);
        Arc::new(remote.with_journal(journal))
    };
    registry.interfere(|_, request| {
        let ends = request.method == "PUT"
            && request.path.contains("/upload/")
            && request.head.contains("content-length: 0");
        ends.then(|| reply("403 Forbidden", "", b""))
    });
    run(&source, &store(), &fast()).await.unwrap_err();
    assert_eq!((registry.received(), registry.unfinished()), (vec![(0, size)], 1));
    registry.interfere(|_, _| None);
    run(&source, &store(), &fast()).await.unwrap();
    assert_eq!((registry.received(), registry.unfinished()), (vec![(0, size)], 0));
    assert!(registry.has(&digest));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_turns_out_to_be_wrong_leaves_nothing_behind() {
    let layer = noise(SIZE, 1);
    let (found, other) = (Digest::of(&layer), Digest::of(b"something else"));
    let zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
    let (memory, _) = store_of(&[(zstd, layer, b"something else")], false).await;
    let go = Arc::new(Notify::new());
    let registry = Registry::start();
    let_go_at_the_second_upload(&registry, Arc::clone(&go));
    let source: Shared = Arc::new(Halting::new(memory, go).after(BEFORE_HALT));
    let error = run(&source, &registry.store(), &fast()).await;
    let expected = format!("decompresses to {found}, and its image's configuration says {other}");
    assert!(error.unwrap_err().to_string().contains(&expected));
    assert_eq!(registry.unfinished(), 0);
}

/// Of 5 MiB, but for the last.
fn parts_of(size: usize) -> Vec<String> {
    let firsts = (0..size).step_by(5 * MEBIBYTE);
    firsts.map(|first| format!("{first}-{}", (first + 5 * MEBIBYTE).min(size) - 1)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ecr_gets_parts_of_a_layer_before_it_is_whole() {
    let (digest, size) = packed().await;
    let parts = parts_of(size);
    let fake = Fake::new();
    let go = Arc::new(Notify::new());
    let released = Arc::clone(&go);
    fake.fail("UploadLayerPart", |_, _| None);
    fake.fail("UploadLayerPart", move |_, _| {
        released.notify_one();
        None
    });
    let source = image_of(SIZE, Some(go)).await;
    run(&source, &(fake.store() as Shared), &fast()).await.unwrap();
    // The configuration is a part of its own.
    assert_eq!(fake.calls("UploadLayerPart")[1..], parts);
    assert_eq!(fake.count("CompleteLayerUpload"), 2);
    assert!(fake.state().blobs.contains_key(&digest));

    // Once more, and the layer is there already.
    let go = Arc::new(Notify::new());
    let released = Arc::clone(&go);
    fake.fail("UploadLayerPart", move |_, _| {
        released.notify_one();
        None
    });
    let source = image_of(SIZE, Some(go)).await;
    let again = Options { tags: vec!["2".to_owned()], ..fast() };
    let outcome = run(&source, &(fake.store() as Shared), &again).await.unwrap();
    assert_eq!((outcome.blobs, outcome.present, fake.count("CompleteLayerUpload")), (0, 2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_fails_early_is_sent_when_the_layer_is_whole() {
    let (digest, size) = packed().await;
    let fake = Fake::new();
    for _ in 0..2 {
        fake.fail("UploadLayerPart", |_, _| None);
    }
    fake.fail("UploadLayerPart", |_, _| Some(Err(refusal("ServerException", 500))));
    let source = image_of(SIZE, None).await;
    run(&source, &(fake.store() as Shared), &fast()).await.unwrap();
    let question = format!("{0}-{0}", size + MEBIBYTE);
    let parts = parts_of(size);
    let calls = fake.calls("UploadLayerPart");
    assert_eq!(calls[1..], [&parts[..2], &[question], &parts[1..]].concat());
    assert!(fake.state().blobs.contains_key(&digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_layer_is_cached_and_looked_for_at_the_destination() {
    let folder = tempfile::tempdir().unwrap();
    let plain = noise(100_000, 1);
    let (memory, _) = store_of(&[(PLAIN, plain.clone(), &plain)], false).await;
    let layer = Digest::of(&plain);
    let source: Shared = memory.clone();
    let cache = Some(CompressionCache::new(folder.path().join("layers")));
    let remembering = || Options { cache: cache.clone(), ..fast() };
    let destination: Shared = Arc::new(Memory::new());
    let first = run(&source, &destination, &remembering()).await.unwrap();
    assert_eq!((first.compressed, first.blobs, first.present), (1, 2, 0));
    // From now on the layer cannot be compressed any more.
    memory.insert_unverified(&layer, noise(100_000, 2));
    let again = run(&source, &destination, &remembering()).await.unwrap();
    assert_eq!((again.compressed, again.blobs, again.present), (1, 0, 2));
    assert_eq!((&again.digest, again.bytes), (&first.digest, 0));
    // Where it is not, or is to become something else, nothing that is remembered helps.
    let elsewhere: Shared = Arc::new(Memory::new());
    run(&source, &elsewhere, &remembering()).await.unwrap_err();
    let harder = Options { compression: Some("gzip:9".parse().unwrap()), ..remembering() };
    run(&source, &destination, &harder).await.unwrap_err();
    memory.insert_unverified(&layer, plain);
    run(&source, &elsewhere, &remembering()).await.unwrap();
}
