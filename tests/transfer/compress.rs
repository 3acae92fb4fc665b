//! Layers that are compressed on the way: what arrives, what the manifests say, and what is refused.

use std::io::Write as _;
use std::process::{Command, Stdio};

use ecr::transfer::compress::Compression;

use super::fake::Fake;
use super::*;

pub(super) const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// Bytes that compress well, in more than one block.
fn words(seed: u64) -> Vec<u8> {
    noise(10_000, seed).repeat(120)
}

/// Returns the output of a program for these bytes.
pub(super) fn piped(program: &str, arguments: &[&str], bytes: Vec<u8>) -> Vec<u8> {
    let mut command = Command::new(program);
    let mut child = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{program}");
    output.stdout
}

pub(super) fn compressed(with: &str, tags: &[&str]) -> Options {
    Options { compression: Some(with.parse::<Compression>().unwrap()), ..options(tags) }
}

/// An image of these layers, each with its media type and what it unpacks to; `docker` makes it docker's.
pub(super) async fn store_of(layers: &[(&str, Vec<u8>, &[u8])], docker: bool) -> (Arc<Memory>, Manifest) {
    let store = Arc::new(Memory::new());
    let identities: Vec<Digest> = layers.iter().map(|(_, _, plain)| Digest::of(plain)).collect();
    let config =
        json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": identities}});
    let config_type = if docker { media_type::DOCKER_CONFIGURATION } else { CONFIG };
    let config = store.add_blob(config_type, config.to_string());
    let layers: Vec<Descriptor> =
        layers.iter().map(|(media_type, bytes, _)| store.add_blob(media_type, bytes.clone())).collect();
    let media_type = if docker { media_type::DOCKER_MANIFEST } else { media_type::OCI_MANIFEST };
    let image = manifest(&json!({
        "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers,
        "annotations": {"kept": "yes"}
    }));
    store.put_image(&image, &["1".to_owned()]).await.unwrap();
    (store, image)
}

async fn root(store: &Memory, tag: &str) -> Manifest {
    store.manifest(&Name::tag(tag).unwrap()).await.unwrap()
}

fn types(manifest: &Manifest) -> Vec<&str> {
    manifest.blobs().map(|blob| blob.media_type.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_becomes_the_one_that_was_asked_for() {
    let (one, two, three) = (words(1), words(2), words(3));
    let gzip = piped("gzip", &["-c"], two.clone());
    let layers = [(PLAIN, one.clone(), &one[..]), (LAYER, gzip, &two), (PLAIN, three.clone(), &three)];
    let (store, old) = store_of(&layers, false).await;
    let source: Shared = store.clone();
    let back = Arc::new(Memory::new());
    let destination: Shared = back.clone();
    for (with, kind, unpack) in
        [("gzip", LAYER, "gzip"), ("zstd:5", "application/vnd.oci.image.layer.v1.tar+zstd", "zstd")]
    {
        let outcome = run(&source, &destination, &compressed(with, &[&with[..4]])).await.unwrap();
        let new = root(&back, &with[..4]).await;
        assert_eq!((&outcome.digest, outcome.compressed), (new.digest(), if with == "gzip" { 2 } else { 3 }));
        assert_eq!(types(&new), [CONFIG, kind, kind, kind]);
        let text = String::from_utf8(new.bytes().to_vec()).unwrap();
        assert!(text.ends_with(r#""annotations":{"kept":"yes"}}"#), "{text}");
        for (blob, (_, _, plain)) in new.blobs().skip(1).zip(&layers) {
            let bytes = back.blob(&blob.digest).unwrap();
            assert_eq!((Digest::of(&bytes), bytes.len() as u64), (blob.digest.clone(), blob.size));
            if unpack == "gzip" {
                assert!(piped("gzip", &["-dc"], bytes.to_vec()) == *plain);
            } else {
                assert_eq!(bytes[..4], [0x28, 0xb5, 0x2f, 0xfd]);
            }
        }
        // The same again finds everything there, under the same digest.
        let again = run(&source, &destination, &compressed(with, &["again"])).await.unwrap();
        assert_eq!((&again.digest, again.blobs, again.present), (new.digest(), 0, 4));
    }
    // zstd comes back as gzip, and without a level what is gzip already stays.
    let zstd: Shared = back.clone();
    let from_zstd = Options { image: Name::tag("zstd").unwrap(), ..compressed("gzip", &["1"]) };
    let third = Arc::new(Memory::new());
    run(&zstd, &(third.clone() as Shared), &from_zstd).await.unwrap();
    let from_gzip = Options { image: Name::tag("1").unwrap(), ..compressed("gzip", &["2"]) };
    let outcome = run(&(third as Shared), &destination, &from_gzip).await.unwrap();
    assert_eq!((outcome.compressed, outcome.rewritten), (0, false));
    // Layers are not changed unless asked for.
    assert_eq!(&run(&source, &destination, &options(&["as-it-was"])).await.unwrap().digest, old.digest());
}

#[tokio::test(flavor = "multi_thread")]
async fn dockers_manifest_becomes_one_of_oci_for_zstd_and_its_index_too() {
    let (one, two) = (words(1), words(2));
    let gzip_type = format!("{DOCKER_LAYER}.gzip");
    let layers =
        [(DOCKER_LAYER, one.clone(), &one[..]), (&gzip_type, piped("gzip", &["-c"], two.clone()), &two)];
    let (store, child) = store_of(&layers, true).await;
    let mut entry = child.descriptor();
    entry.platform = Some(json!({"os": "linux", "architecture": "amd64"}));
    let (attestation, _) = single(&[noise(100, 9)]).await;
    let about = attestation.manifest(&Name::Unnamed).await.unwrap();
    for blob in about.blobs() {
        store.insert_unverified(&blob.digest, attestation.blob(&blob.digest).unwrap());
    }
    store.put_manifest(&about).await.unwrap();
    let mut about = about.descriptor();
    about.annotations.insert("vnd.docker.reference.digest".to_owned(), json!(child.digest()));
    let index = manifest(&json!({
        "schemaVersion": 2, "mediaType": media_type::DOCKER_LIST, "manifests": [entry, about]
    }));
    store.put_image(&index, &["index".to_owned()]).await.unwrap();
    let source: Shared = store;
    let back = Arc::new(Memory::new());
    let destination: Shared = back.clone();
    let wanted = Name::tag("index").unwrap();
    let asked = |with: &str| Options { image: wanted.clone(), ..compressed(with, &[with]) };
    for (with, list, kind, blobs) in [
        (
            "gzip",
            media_type::DOCKER_LIST,
            media_type::DOCKER_MANIFEST,
            [media_type::DOCKER_CONFIGURATION, &gzip_type],
        ),
        (
            "zstd",
            media_type::OCI_INDEX,
            media_type::OCI_MANIFEST,
            [CONFIG, "application/vnd.oci.image.layer.v1.tar+zstd"],
        ),
    ] {
        run(&source, &destination, &asked(with)).await.unwrap();
        let index = root(&back, with).await;
        assert_eq!((index.media_type(), index.children()[0].media_type.as_str()), (list, kind));
        let image = back.manifest(&Name::Digest(index.children()[0].digest.clone())).await.unwrap();
        assert_eq!(types(&image), [blobs[0], blobs[1], blobs[1]]);
        assert_eq!(index.children()[0].platform(), Some("linux/amd64".parse().unwrap()));
        let about = index.children()[1].annotation("vnd.docker.reference.digest");
        assert_eq!(about, Some(image.digest().to_string().as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mismatching_layers_are_not_stored() {
    let (one, two) = (words(1), words(2));
    let fails = async |layers: &[(&str, Vec<u8>, &[u8])]| {
        let (store, _) = store_of(layers, false).await;
        let back = Arc::new(Memory::new());
        let error = run(&(store as Shared), &(back.clone() as Shared), &compressed("zstd", &["1"])).await;
        assert_eq!(back.tags(), []);
        error.unwrap_err().to_string()
    };
    let gzip = piped("gzip", &["-c"], one.clone());
    let digest = Digest::of(&gzip);
    assert_eq!(
        fails(&[(LAYER, gzip.clone(), &two)]).await,
        format!(
            "layer {digest} in memory decompresses to {}, and its image's configuration says {}",
            Digest::of(&one),
            Digest::of(&two)
        )
    );
    let cut = gzip[..gzip.len() - 9].to_vec();
    assert_eq!(
        fails(&[(LAYER, cut.clone(), &one)]).await,
        format!("layer {} in memory cannot be decompressed: incomplete deflate stream", Digest::of(&cut))
    );
    let (store, image) = store_of(&[(PLAIN, one.clone(), &one[..])], false).await;
    store.insert_unverified(&Digest::of(&one), two.clone());
    let error =
        run(&(store as Shared), &(Arc::new(Memory::new()) as Shared), &compressed("gzip", &["1"])).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        format!(
            "blob {} in memory is damaged: its bytes have the digest {}",
            Digest::of(&one),
            Digest::of(&two)
        )
    );
    // A digest that was asked for is that of what arrives.
    let (store, _) = store_of(&[(PLAIN, one.clone(), &one[..])], false).await;
    let expected = Options { expected: Some(image.digest().clone()), ..compressed("gzip", &[]) };
    let error = run(&(store as Shared), &(Arc::new(Memory::new()) as Shared), &expected).await;
    let error = error.unwrap_err().to_string();
    assert!(error.ends_with(&format!(", expected {}", image.digest())), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_of_a_docker_archive_are_compressed_for_a_registry_only() {
    let folder = tempfile::tempdir().unwrap();
    let one = words(1);
    let (store, image) = store_of(&[(PLAIN, one.clone(), &one[..])], false).await;
    let path = format!("docker-archive:{}/a.tar", folder.path().display());
    let archive = archive_path(&path).destination().unwrap();
    run(&(store as Shared), &archive, &options(&["app:1"])).await.unwrap();
    let archive = archive_path(&path).source().unwrap();
    let here: Shared = Arc::new(Memory::new());
    let outcome = run(&archive, &here, &options(&["1"])).await.unwrap();
    assert_eq!((&outcome.digest, outcome.compressed), (image.digest(), 0));

    let registry = super::registry::Registry::start();
    let remote = registry.store();
    let outcome = run(&archive, &remote, &options(&["1"])).await.unwrap();
    assert_eq!((outcome.compressed, outcome.blobs), (1, 2));
    let back = Arc::new(Memory::new());
    run(&remote, &(back.clone() as Shared), &Options { image: Name::tag("1").unwrap(), ..options(&["1"]) })
        .await
        .unwrap();
    let new = root(&back, "1").await;
    assert_eq!(types(&new), [CONFIG, LAYER]);
    let bytes = back.blob(&new.blobs().nth(1).unwrap().digest).unwrap();
    assert!(piped("gzip", &["-dc"], bytes.to_vec()) == one);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_cannot_move_is_found_before_anything_is_sent() {
    let fake = Fake::new();
    let destination: Shared = fake.store();
    let (one, two) = (words(1), words(2));
    let (first, _) = store_of(&[(PLAIN, one.clone(), &one)], false).await;
    let (second, _) = store_of(&[(PLAIN, two.clone(), &two)], false).await;
    let (first, second): (Shared, Shared) = (first, second);
    let digest = run(&first, &destination, &compressed("gzip", &["1"])).await.unwrap().digest;
    fake.state().repository = json!({"imageTagMutability": "IMMUTABLE"});
    fake.state().log.clear();
    let error = run(&second, &destination, &compressed("gzip", &["1"])).await.unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("team/app has the tag 1 for {digest} already, and keeps it")),
        "{error}"
    );
    let sends = ["InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage"];
    assert_eq!(sends.map(|operation| fake.count(operation)), [0; 4]);
    // Compressed the same way the first one is what the tag names.
    let again = run(&first, &destination, &compressed("gzip", &["1"])).await.unwrap();
    assert_eq!((again.digest, again.blobs), (digest, 0));
}
