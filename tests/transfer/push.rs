//! Pushing through ECR's layer API, with everything going wrong that can.

use std::sync::Arc;

use bytes::Bytes;
use ecr::image::{Digest, Manifest};
use ecr::service::ServiceError;
use ecr::store::{Memory, Shared};
use serde_json::{Value, json};

use super::fake::{Fake, MEBIBYTE, State, out_of_order, refusal};
use super::{LAYER, archive_path, image, index, noise, options, run, single};

/// Twelve MiB and a bit: three parts of 5 MiB.
const SIZE: usize = 12 * MEBIBYTE + 7;

async fn push_one(fake: &Fake) -> Result<Vec<u8>, String> {
    let layer = noise(SIZE, 7);
    let (source, image) = single(std::slice::from_ref(&layer)).await;
    let (source, destination): (Shared, Shared) = (source, fake.store());
    let outcome = run(&source, &destination, &options(&["1"])).await.map_err(|error| error.to_string())?;
    assert_eq!(&outcome.digest, image.digest());
    assert_eq!(fake.state().blobs.get(&Digest::of(&layer).to_string()), Some(&layer));
    assert_eq!(fake.state().tags.get("1"), Some(&image.digest().to_string()));
    Ok(layer)
}

fn ranges(fake: &Fake) -> Vec<String> {
    // The configuration goes in a part of its own.
    fake.calls("UploadLayerPart").into_iter().filter(|range| range.len() > 4).collect()
}

const IN_ORDER: [&str; 3] = ["0-5242879", "5242880-10485759", "10485760-12582918"];

#[tokio::test]
async fn parts_follow_each_other_and_manifests_come_last() {
    let fake = Fake::new();
    push_one(&fake).await.unwrap();
    assert_eq!(ranges(&fake), IN_ORDER);
    let log = fake.state().log.clone();
    // By digest, and by the tag that it is to get.
    assert_eq!(log[..3], ["DescribeImages", "DescribeImages", "BatchCheckLayerAvailability"]);
    assert!(log.last().unwrap().starts_with("PutImage sha256:"));
    assert_eq!(fake.count("PutImage"), 1);
}

#[tokio::test]
async fn the_services_part_size_is_used_within_the_limits_of_ecr_and_memory() {
    for (named, first) in [(6 * MEBIBYTE, "0-6291455"), (1, "0-5242879"), (100 * MEBIBYTE, "0-9437183")] {
        let fake = Fake::new();
        fake.state().part_size = named;
        push_one(&fake).await.unwrap();
        assert_eq!(ranges(&fake)[0], first);
    }
}

#[tokio::test]
async fn a_layer_that_an_image_has_twice_moves_once() {
    let (source, image) = single(&[noise(1000, 1), noise(2000, 2), noise(1000, 1)]).await;
    let fake = Fake::new();
    let outcome = run(&(source as Shared), &(fake.store() as Shared), &options(&["1"])).await.unwrap();
    assert_eq!((&outcome.digest, outcome.blobs, outcome.present), (image.digest(), 3, 0));
    assert_eq!((fake.count("InitiateLayerUpload"), fake.count("CompleteLayerUpload")), (3, 3));
}

#[tokio::test]
async fn an_index_follows_its_children_and_shared_layers_move_once() {
    let (source, index, children) = index().await;
    let fake = Fake::new();
    let (source, destination): (Shared, Shared) = (source, fake.store());
    let outcome = run(&source, &destination, &options(&["1", "latest"])).await.unwrap();
    assert_eq!((&outcome.digest, outcome.blobs, outcome.present), (index.digest(), 5, 0));
    assert_eq!(fake.count("InitiateLayerUpload"), 5);
    let short = |manifest: &Manifest| manifest.digest().to_string()[..13].to_owned();
    let (root, first, second) = (short(&index), short(&children[0]), short(&children[1]));
    assert_eq!(fake.calls("PutImage"), [first, second, format!("{root} 1"), format!("{root} latest")]);
    let kept = fake.state().manifests[&index.digest().to_string()].clone();
    assert_eq!(kept, (index.media_type().to_owned(), String::from_utf8(index.bytes().to_vec()).unwrap()));
}

#[tokio::test]
async fn present_layers_are_not_sent_again() {
    let (source, _, _) = index().await;
    let fake = Fake::new();
    let (source, destination): (Shared, Shared) = (source, fake.store());
    let first = run(&source, &destination, &options(&["1"])).await.unwrap();
    fake.state().log.clear();
    let second = run(&source, &destination, &options(&["1"])).await.unwrap();
    assert_eq!((second.blobs, second.present), (0, first.blobs));
    assert_eq!(fake.state().log, ["DescribeImages"]);
    // A new tag is all that is missing.
    fake.state().log.clear();
    run(&source, &destination, &options(&["1", "2"])).await.unwrap();
    assert_eq!(fake.count("PutImage"), 1);
    assert_eq!(fake.state().tags.len(), 2);
}

#[tokio::test]
async fn layers_that_are_there_are_skipped_a_hundred_at_a_time() {
    let layers: Vec<Vec<u8>> = (0..120).map(|seed| noise(100, seed)).collect();
    let (source, _) = single(&layers).await;
    let fake = Fake::new();
    for layer in &layers[..110] {
        fake.state().blobs.insert(Digest::of(layer).to_string(), layer.clone());
    }
    let (source, destination): (Shared, Shared) = (source, fake.store());
    let outcome = run(&source, &destination, &options(&["1"])).await.unwrap();
    assert_eq!((outcome.blobs, outcome.present), (11, 110));
    assert_eq!((fake.count("BatchCheckLayerAvailability"), fake.count("InitiateLayerUpload")), (2, 11));
}

#[tokio::test]
async fn throttles_and_server_errors_pass() {
    let fake = Fake::new();
    for operation in
        ["DescribeImages", "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage"]
    {
        for (code, status) in [("ThrottlingException", 400), ("ServerException", 500), ("Unknown", 503)] {
            fake.fail(operation, move |_, _| Some(Err(refusal(code, status))));
        }
    }
    push_one(&fake).await.unwrap();
}

#[tokio::test]
async fn a_service_that_stays_busy_is_given_up() {
    let fake = Fake::new();
    for _ in 0..10 {
        fake.fail("PutImage", |_, _| Some(Err(refusal("ThrottlingException", 400))));
    }
    let error = push_one(&fake).await.unwrap_err();
    assert!(error.contains("ThrottlingException"), "{error}");
    assert_eq!(fake.count("PutImage"), 6);
}

/// The second part arrives, but its answer is lost, and the retry finds it there.
#[tokio::test]
async fn a_part_that_arrived_is_not_sent_again() {
    let fake = one_layer_fault(|request, state| {
        let bytes = &request.blob.as_ref().unwrap().1;
        state.uploads.get_mut(request.input["uploadId"].as_str().unwrap()).unwrap().extend_from_slice(bytes);
        Some(Err(refusal("ServerException", 500)))
    });
    push_one(&fake).await.unwrap();
    assert_eq!(ranges(&fake), [IN_ORDER[0], IN_ORDER[1], IN_ORDER[1], IN_ORDER[2]]);
}

/// The service kept part of a part.
#[tokio::test]
async fn an_offset_inside_the_part_is_where_it_goes_on() {
    let fake = one_layer_fault(|request, state| {
        let bytes = &request.blob.as_ref().unwrap().1;
        let upload = state.uploads.get_mut(request.input["uploadId"].as_str().unwrap()).unwrap();
        upload.extend_from_slice(&bytes[..1000]);
        Some(Err(out_of_order(5_242_880 + 999)))
    });
    push_one(&fake).await.unwrap();
    assert_eq!(ranges(&fake), [IN_ORDER[0], IN_ORDER[1], "5243880-10486759", "10486760-12582918"]);
}

/// The service lost what it had acknowledged.
#[tokio::test]
async fn an_offset_behind_the_part_is_gone_back_to() {
    let fake = one_layer_fault(|request, state| {
        let upload = state.uploads.get_mut(request.input["uploadId"].as_str().unwrap()).unwrap();
        upload.truncate(3000);
        Some(Err(out_of_order(2999)))
    });
    push_one(&fake).await.unwrap();
    assert_eq!(ranges(&fake)[2], "3000-5245879");
}

/// The service has all of the part, and somebody else's bytes behind it: ours, since it is the same layer.
#[tokio::test]
async fn an_offset_ahead_of_the_part_is_taken_up() {
    let layer = noise(SIZE, 7);
    let fake = one_layer_fault(move |request, state| {
        let upload = state.uploads.get_mut(request.input["uploadId"].as_str().unwrap()).unwrap();
        *upload = layer[..11_000_000].to_vec();
        Some(Err(out_of_order(10_999_999)))
    });
    push_one(&fake).await.unwrap();
    assert_eq!(ranges(&fake), [IN_ORDER[0], IN_ORDER[1], "11000000-12582918"]);
}

#[tokio::test]
async fn a_service_that_asks_for_the_same_byte_for_ever_is_given_up() {
    let fake = Fake::new();
    for _ in 0..100 {
        fake.fail("UploadLayerPart", |request, _| {
            (request.input["partLastByte"] == json!(5_242_879)).then(|| Err(out_of_order(-1)))
        });
    }
    let error = push_one(&fake).await.unwrap_err();
    assert!(error.ends_with("the service keeps asking for byte 0 after bytes 0 to 5242880"), "{error}");
}

#[tokio::test]
async fn an_offset_behind_the_end_of_the_layer_is_refused() {
    let fake = one_layer_fault(|_, _| Some(Err(out_of_order(99_999_999))));
    let error = push_one(&fake).await.unwrap_err();
    assert!(
        error.contains("the service keeps asking for byte 100000000 after bytes 5242880 to 10485760"),
        "{error}"
    );
}

/// A fault for the second part of the layer.
fn one_layer_fault(
    fault: impl Fn(&ecr::service::Request, &mut State) -> Option<Result<Value, ecr::service::ServiceError>>
    + Send
    + 'static,
) -> Fake {
    let fake = Fake::new();
    let fault = Arc::new(std::sync::Mutex::new((false, fault)));
    for _ in 0..4 {
        let fault = Arc::clone(&fault);
        fake.fail("UploadLayerPart", move |request, state| {
            let mut fault = fault.lock().unwrap();
            if fault.0 || request.input["partFirstByte"] != json!(5_242_880) {
                return None;
            }
            fault.0 = true;
            (fault.1)(request, state)
        });
    }
    fake
}

#[tokio::test]
async fn a_forgotten_upload_begins_again() {
    let fake = one_layer_fault(|_, state| {
        state.uploads.clear();
        Some(Err(refusal("UploadNotFoundException", 400)))
    });
    push_one(&fake).await.unwrap();
    assert_eq!(ranges(&fake), [IN_ORDER[0], IN_ORDER[1], IN_ORDER[0], IN_ORDER[1], IN_ORDER[2]]);
}

/// The upload is gone because another client completed the same layer.
#[tokio::test]
async fn a_layer_that_another_client_completed_is_present() {
    let layer = noise(SIZE, 7);
    let fake = one_layer_fault(move |_, state| {
        state.blobs.insert(Digest::of(&layer).to_string(), layer.clone());
        Some(Err(refusal("UploadNotFoundException", 400)))
    });
    push_one(&fake).await.unwrap();
    assert_eq!(ranges(&fake), [IN_ORDER[0], IN_ORDER[1]]);
}

#[tokio::test]
async fn a_layer_that_exists_at_its_completion_is_success() {
    let layer = noise(SIZE, 7);
    let fake = Fake::new();
    for _ in 0..2 {
        let layer = layer.clone();
        fake.fail("CompleteLayerUpload", move |request, state| {
            let digest = Digest::of(&layer).to_string();
            (request.input["layerDigests"] == json!([digest])).then(|| {
                state.blobs.insert(digest, layer.clone());
                Err(refusal("LayerAlreadyExistsException", 400))
            })
        });
    }
    push_one(&fake).await.unwrap();
}

#[tokio::test]
async fn an_image_without_its_repository_says_so() {
    let fake = Fake::new();
    fake.fail("DescribeImages", |_, _| Some(Err(refusal("RepositoryNotFoundException", 400))));
    let error = push_one(&fake).await.unwrap_err();
    assert!(error.starts_with("the repository team/app does not exist: "), "{error}");
}

#[tokio::test]
async fn a_blob_without_bytes_is_explained_before_anything_is_sent() {
    let (source, _) = single(&[noise(10, 1), Vec::new()]).await;
    let fake = Fake::new();
    let (source, destination): (Shared, Shared) = (source, fake.store());
    let error = run(&source, &destination, &options(&["1"])).await.unwrap_err().to_string();
    assert!(error.contains("has no bytes, and Amazon ECR cannot store such a blob"), "{error}");
    assert_eq!(fake.count("InitiateLayerUpload"), 0);
}

/// A source whose layer is not what its manifest says.
async fn damaged(change: impl Fn(&mut Vec<u8>)) -> String {
    let source = Arc::new(Memory::new());
    let mut bytes = noise(3000, 5);
    let layer = source.add_blob(LAYER, bytes.clone());
    let image = image(&source, "amd64", std::slice::from_ref(&layer)).await;
    ecr::store::Store::put_image(source.as_ref(), &image, &[]).await.unwrap();
    change(&mut bytes);
    source.insert_unverified(&layer.digest, Bytes::from(bytes));
    let fake = Fake::new();
    let (source, destination): (Shared, Shared) = (source, fake.store());
    let error = run(&source, &destination, &options(&["1"])).await.unwrap_err().to_string();
    assert_eq!(
        (fake.count("PutImage"), fake.state().blobs.contains_key(&layer.digest.to_string())),
        (0, false)
    );
    error.replace(&layer.digest.to_string(), "LAYER")
}

#[tokio::test]
async fn damaged_layers_are_found_before_they_are_completed() {
    let found = Digest::of(&{
        let mut bytes = noise(3000, 5);
        bytes[17] ^= 1;
        bytes
    });
    assert_eq!(
        damaged(|bytes| bytes[17] ^= 1).await,
        format!("blob LAYER in memory is damaged: its bytes have the digest {found}")
    );
    assert_eq!(
        damaged(|bytes| bytes.truncate(2000)).await,
        "blob LAYER in memory is damaged: it has 2000 bytes, and its manifest says 3000"
    );
    assert_eq!(
        damaged(|bytes| bytes.push(0)).await,
        "blob LAYER in memory is damaged: it has more than 3000 bytes, and its manifest says 3000"
    );
}

#[tokio::test]
async fn platforms_choose() {
    let (source, whole, children) = index().await;
    let source: Shared = source;
    let push = |platforms: &[&str]| {
        let mut options = options(&["1"]);
        options.platforms = platforms.iter().map(|platform| platform.parse().unwrap()).collect();
        let (source, fake) = (Arc::clone(&source), Fake::new());
        async move {
            let destination: Shared = fake.store();
            run(&source, &destination, &options).await.map_err(|error| error.to_string())
        }
    };
    let one = push(&["linux/arm64"]).await.unwrap();
    assert_eq!((&one.digest, one.rewritten, one.blobs), (children[1].digest(), false, 3));
    let both = push(&["linux/amd64", "linux/arm64"]).await.unwrap();
    assert_eq!((&both.digest, both.rewritten), (whole.digest(), false));
    let none = push(&["linux/amd64", "windows/amd64"]).await.unwrap_err();
    assert_eq!(none, "memory has no image for windows/amd64; it has linux/amd64, linux/arm64");
}

#[tokio::test]
async fn a_single_image_must_be_for_the_platform() {
    let (source, _) = single(&[noise(10, 1)]).await;
    let source: Shared = source;
    let destination: Shared = Arc::new(Memory::new());
    let mut wanted = options(&["1"]);
    wanted.platforms = vec!["linux/arm64".parse().unwrap()];
    let error = run(&source, &destination, &wanted).await.unwrap_err().to_string();
    assert_eq!(error, "memory has no image for linux/arm64; it has linux/amd64");
    wanted.platforms = vec!["linux/amd64".parse().unwrap()];
    run(&source, &destination, &wanted).await.unwrap();
}

/// The repository with a journal, for one run of several.
fn journaled(fake: &Fake, folder: &tempfile::TempDir) -> Shared {
    let journal = ecr::store::Journal::new(folder.path().to_owned(), String::new());
    Arc::new(fake.repository().with_journal(journal))
}

#[tokio::test]
async fn bytes_of_an_earlier_run_are_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new();
    let (memory, image) = single(&[noise(12 * MEBIBYTE, 1)]).await;
    let source: Shared = memory;
    let store = || journaled(&fake, &folder);
    // The first run gets as far as the second part; the third one is answered with a no that ends the run.
    for _ in 0..3 {
        fake.fail("UploadLayerPart", |_, _| None);
    }
    fake.fail("UploadLayerPart", |_, _| Some(Err(refusal("AccessDeniedException", 400))));
    let mut alone = options(&["1"]);
    alone.jobs = 1;
    run(&source, &store(), &alone).await.unwrap_err();
    let sent = fake.calls("UploadLayerPart").len();

    let outcome = run(&source, &store(), &alone).await.unwrap();
    assert_eq!(&outcome.digest, image.digest());
    let parts = fake.calls("UploadLayerPart");
    let size = 12 * MEBIBYTE;
    let question = format!("{}-{}", size + MEBIBYTE, size + MEBIBYTE);
    assert_eq!(parts[sent..], [question, format!("{}-{}", 10 * MEBIBYTE, size - 1)]);
    assert_eq!(fake.count("InitiateLayerUpload"), 2);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    // An upload that the service has forgotten begins again.
    let fake = Fake::new();
    let store = || journaled(&fake, &folder);
    for _ in 0..3 {
        fake.fail("UploadLayerPart", |_, _| None);
    }
    fake.fail("UploadLayerPart", |_, _| Some(Err(refusal("AccessDeniedException", 400))));
    run(&source, &store(), &alone).await.unwrap_err();
    fake.state().uploads.clear();
    run(&source, &store(), &alone).await.unwrap();
    assert_eq!(fake.count("InitiateLayerUpload"), 3);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The run ends between a part's arrival and the answer to it, or the service thinks otherwise about where the upload is.
#[tokio::test]
async fn the_service_knows_best_where_an_upload_is() {
    type Answer = fn() -> Result<Value, ServiceError>;
    /// Bytes that the service has, its deviating answer, the parts sent then, and the number of uploads begun in all.
    type Case<'a> = (&'a [u8], Option<Answer>, &'a [&'a str], usize);
    let layer = noise(12 * MEBIBYTE, 1);
    let question = format!("{0}-{0}", 13 * MEBIBYTE);
    let all = ["0-5242879", "5242880-10485759", "10485760-12582911"];
    let takes_whatever_comes: Answer = || Ok(json!({}));
    let says_something_else: Answer = || Err(refusal("InvalidLayerException", 400));
    let cases: [Case<'_>; 5] = [
        (&layer[..10 * MEBIBYTE], None, &all[2..], 2),
        (&layer, None, &[], 2),
        (b"", None, &all, 2),
        (&layer[..5 * MEBIBYTE], Some(takes_whatever_comes), &all, 3),
        (&layer[..5 * MEBIBYTE], Some(says_something_else), &all, 3),
    ];
    for (kept, answer, expected, begun) in cases {
        let folder = tempfile::tempdir().unwrap();
        let fake = Fake::new();
        let (memory, image) = single(std::slice::from_ref(&layer)).await;
        let source: Shared = memory;
        let store = || journaled(&fake, &folder);
        fake.fail("UploadLayerPart", |_, _| None);
        fake.fail("UploadLayerPart", |_, _| None);
        fake.fail("UploadLayerPart", |_, _| Some(Err(refusal("AccessDeniedException", 400))));
        let mut alone = options(&["1"]);
        alone.jobs = 1;
        run(&source, &store(), &alone).await.unwrap_err();
        let sent = fake.calls("UploadLayerPart").len();
        fake.state().uploads.values_mut().for_each(|upload| *upload = kept.to_vec());
        if let Some(answer) = answer {
            fake.fail("UploadLayerPart", move |_, _| Some(answer()));
        }

        let outcome = run(&source, &store(), &alone).await.unwrap();
        assert_eq!(&outcome.digest, image.digest());
        let parts = fake.calls("UploadLayerPart");
        assert_eq!(parts[sent], question);
        assert_eq!(parts[sent + 1..], *expected);
        assert_eq!(fake.count("InitiateLayerUpload"), begun);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_damaged_file_that_ecr_refuses_is_to_blame() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout");
    let layer = noise(6 * MEBIBYTE, 1);
    let (memory, _) = single(std::slice::from_ref(&layer)).await;
    let layout: Shared = archive_path(path.to_str().unwrap()).destination().unwrap();
    run(&(memory as Shared), &layout, &options(&["1"])).await.unwrap();
    let digest = Digest::of(&layer);
    let mut damaged = layer;
    damaged[17] ^= 1;
    std::fs::write(path.join("blobs/sha256").join(digest.hexadecimal()), &damaged).unwrap();
    let found = Digest::of(&damaged);
    let expected =
        format!("blob {digest} in {} is damaged: its bytes have the digest {found}", path.display());
    for (verify, completed) in [(false, 2), (true, 1)] {
        let fake = Fake::new();
        let options = ecr::transfer::Options { verify, ..options(&["1"]) };
        let error = run(&layout, &(fake.store() as Shared), &options).await.unwrap_err().to_string();
        assert_eq!(error, expected);
        // With --verify the layer is never completed; in either case there is no image.
        assert!(fake.count("CompleteLayerUpload") <= completed);
        assert_eq!(
            (fake.count("PutImage"), fake.state().blobs.contains_key(&digest.to_string())),
            (0, false)
        );
    }
}
