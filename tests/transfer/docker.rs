//! Docker archives: what is written, in whole, and every form that is read.

use std::fs;
use std::path::Path;

use super::places::tar_of;
use super::*;

fn place(folder: &Path, rest: &str) -> ArchivePath {
    archive_path(&format!("docker-archive:{}/{rest}", folder.display()))
}

/// The files of an archive in their order.
fn files(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(fs::File::open(path).unwrap());
    let read = |entry: std::io::Result<tar::Entry<'_, fs::File>>| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        (entry.path().unwrap().display().to_string(), bytes)
    };
    archive.entries().unwrap().map(read).collect()
}

async fn fetched(source: &Shared, name: Name) -> Result<Arc<Memory>, String> {
    let back = Arc::new(Memory::new());
    let wanted = Options { image: name, ..options(&["x"]) };
    run(source, &(back.clone() as Shared), &wanted).await.map(|_| back).map_err(|error| error.to_string())
}

fn tag(tag: &str) -> Name {
    Name::tag(tag).unwrap()
}

/// Writes the archive `a.tar` of two images with two names each.
async fn two_images(folder: &Path) -> [Manifest; 2] {
    let (one, first) = single(&[noise(1000, 1)]).await;
    let (two, second) = single(&[noise(2000, 2)]).await;
    let archive = place(folder, "a.tar").destination().unwrap();
    let add = async |store: Arc<Memory>, names: &[&str]| {
        ecr::transfer::add(&(store as Shared), &archive, &options(names), &silent()).await.unwrap();
    };
    add(one, &["host:5000/team/app:1", "app:latest"]).await;
    add(two, &["app:2", "other:1"]).await;
    archive.finish().await.unwrap();
    [first, second]
}

#[tokio::test]
async fn an_archive_has_the_blobs_of_all_images_once() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = two_images(folder.path()).await;
    let found = files(&folder.path().join("a.tar"));
    let blob = |digest: &Digest| format!("blobs/sha256/{}", digest.hexadecimal());
    let mut paths = vec!["oci-layout".to_owned()];
    for image in [&first, &second] {
        paths.extend(image.blobs().map(|part| blob(&part.digest)));
        paths.push(blob(image.digest()));
    }
    // Both have the same configuration.
    let config = blob(&first.blobs().next().unwrap().digest);
    let again = paths.iter().rposition(|path| *path == config).unwrap();
    paths.remove(again);
    paths.extend(["index.json", "manifest.json", "repositories"].map(ToOwned::to_owned));
    assert_eq!(found.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>(), paths);
}

#[tokio::test]
async fn an_archive_is_dockers_and_ocis_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = two_images(folder.path()).await;
    let found = files(&folder.path().join("a.tar"));
    let blob = |digest: &Digest| format!("blobs/sha256/{}", digest.hexadecimal());
    let config = blob(&first.blobs().next().unwrap().digest);
    let text = |name: &str| {
        let (_, bytes) = found.iter().find(|(path, _)| path == name).unwrap();
        serde_json::from_slice::<Value>(bytes).unwrap()
    };
    let layer = |image: &Manifest| image.blobs().nth(1).unwrap().digest.clone();
    assert_eq!(
        text("manifest.json"),
        json!([
            {"Config": config, "RepoTags": ["host:5000/team/app:1", "app:latest"], "Layers": [blob(&layer(&first))]},
            {"Config": config, "RepoTags": ["app:2", "other:1"], "Layers": [blob(&layer(&second))]}
        ])
    );
    let (low, top) = (layer(&first), layer(&second));
    assert_eq!(
        text("repositories"),
        json!({
            "host:5000/team/app": {"1": low.hexadecimal()},
            "app": {"latest": low.hexadecimal(), "2": top.hexadecimal()},
            "other": {"1": top.hexadecimal()}
        })
    );
    let entry = |image: &Manifest, name: &str, tag: &str| {
        json!({
            "mediaType": image.media_type(), "digest": image.digest(), "size": image.bytes().len(),
            "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag}
        })
    };
    assert_eq!(
        text("index.json")["manifests"],
        json!([
            entry(&first, "host:5000/team/app:1", "1"),
            entry(&first, "docker.io/library/app:latest", "latest"),
            entry(&second, "docker.io/library/app:2", "2"),
            entry(&second, "docker.io/library/other:1", "1")
        ])
    );
}

/// A tag that two repositories have needs its repository; each image comes back as it was.
#[tokio::test]
async fn an_image_of_an_archive_is_chosen_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = two_images(folder.path()).await;
    let whole = place(folder.path(), "a.tar").source().unwrap();
    let name = folder.path().join("a.tar").display().to_string();
    assert_eq!(
        fetched(&whole, tag("1")).await.unwrap_err(),
        format!(
            "{name} has several images 1: host:5000/team/app:1 and docker.io/library/other:1; choose one as {name}:NAME, \
             with its whole name"
        )
    );
    for (rest, digest) in [("other:1", &second), ("host:5000/team/app:1", &first), ("app:2", &second)] {
        let place = place(folder.path(), &format!("a.tar:{rest}"));
        let back = fetched(&place.source().unwrap(), place.image.clone()).await.unwrap();
        assert_eq!(back.tags(), [("x".to_owned(), digest.digest().clone())], "{rest}");
    }
    let missing = place(folder.path(), "a.tar:nobody:1");
    assert_eq!(
        fetched(&missing.source().unwrap(), missing.image.clone()).await.unwrap_err(),
        format!("{name} has no image of nobody")
    );
}

#[tokio::test]
async fn of_an_index_an_archive_takes_one_platform() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _, children) = index().await;
    let store: Shared = store;
    let archive = || place(folder.path(), "a.tar").destination().unwrap();
    let arm = Options { platforms: vec!["linux/arm64".parse().unwrap()], ..options(&["app:1"]) };
    assert_eq!(&run(&store, &archive(), &arm).await.unwrap().digest, children[1].digest());
    let here = ecr::image::Platform::container_default();
    let own = usize::from(here.architecture != "amd64");
    assert_eq!(&run(&store, &archive(), &options(&["app:1"])).await.unwrap().digest, children[own].digest());

    let refused = async |platforms: &[&str]| {
        let platforms = platforms.iter().map(|platform| platform.parse().unwrap()).collect();
        let wanted = Options { platforms, ..options(&["app:1"]) };
        run(&store, &archive(), &wanted).await.unwrap_err().to_string()
    };
    assert_eq!(
        refused(&["linux/s390x"]).await,
        "memory has no image for linux/s390x; it has linux/amd64, linux/arm64"
    );
    let several = refused(&["linux/amd64", "linux/arm64"]).await;
    assert!(
        several.ends_with(": it is an index of several platforms; choose one with --platform"),
        "{several}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary files are left");
}

/// The archive that docker 29 saves of an image of which it pulled one platform: the whole index, and that
/// platform's content.
#[tokio::test]
async fn of_an_index_with_some_of_its_content_a_platform_is_to_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let (store, whole, children) = index().await;
    let amd = &children[0];
    let blob = |digest: &Digest| format!("blobs/sha256/{}", digest.hexadecimal());
    let mut entry = whole.descriptor();
    entry.annotations.insert("org.opencontainers.image.ref.name".to_owned(), json!("1"));
    let mut saved = vec![
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), json!({"schemaVersion": 2, "manifests": [entry]}).to_string().into_bytes()),
        ("manifest.json".to_owned(), b"[]".to_vec()),
        (blob(whole.digest()), whole.bytes().to_vec()),
        (blob(amd.digest()), amd.bytes().to_vec()),
        (blob(children[1].digest()), children[1].bytes().to_vec()),
    ];
    for part in amd.blobs() {
        saved.push((blob(&part.digest), store.blob(&part.digest).unwrap().to_vec()));
    }
    let path = folder.path().join("a.tar");
    let write = |saved: &[(String, Vec<u8>)]| {
        let files: Vec<(&str, Vec<u8>)> =
            saved.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
        tar_of(&path, &files);
    };
    write(&saved);
    // With docker's list and without: what ctr exports of one platform lacks the other's manifest too.
    for removed in [None, Some(2), Some(4)] {
        if let Some(removed) = removed {
            saved.remove(removed);
            write(&saved);
        }
        let source = archive_path(path.to_str().unwrap()).source().unwrap();
        let place = path.display();
        let digest = whole.digest();
        assert_eq!(
            fetched(&source, Name::Unnamed).await.err().unwrap(),
            format!(
                "{place} has only a part of {digest}: its index lists linux/arm64 without the content; choose what it \
                 has with --platform linux/amd64"
            )
        );
        let chosen = async |platform: &str| {
            let back = Arc::new(Memory::new());
            let wanted = Options { platforms: vec![platform.parse().unwrap()], ..options(&["x"]) };
            let outcome = run(&source, &(back.clone() as Shared), &wanted).await;
            outcome.map(|_| back.tags()).map_err(|error| error.to_string())
        };
        assert_eq!(chosen("linux/amd64").await.unwrap(), [("x".to_owned(), amd.digest().clone())]);
        assert_eq!(
            chosen("linux/arm64").await.unwrap_err(),
            format!(
                "{place} has no image for linux/arm64; it has linux/amd64, and its index lists linux/arm64 without the \
                 content"
            )
        );
    }
}

#[tokio::test]
async fn an_index_that_lists_nothing_leaves_it_to_manifest_json() {
    let folder = tempfile::tempdir().unwrap();
    let layer = noise(500, 1);
    let config =
        json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer)]}}).to_string();
    let list = json!([{"Config": "c.json", "RepoTags": null, "Layers": ["l.tar"]}]).to_string();
    let files = [
        ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json", br#"{"schemaVersion":2,"manifests":null}"#.to_vec()),
        ("manifest.json", list.into_bytes()),
        ("c.json", config.clone().into_bytes()),
        ("l.tar", layer.clone()),
    ];
    tar_of(&folder.path().join("a.tar"), &files);
    let back = fetched(&place(folder.path(), "a.tar").source().unwrap(), Name::Unnamed).await.unwrap();
    assert!(back.blob(&Digest::of(config.as_bytes())).is_some() && back.blob(&Digest::of(&layer)).is_some());
}

fn json_of(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// The identifiers of the layers in [`legacy_archive`].
fn legacy_layers() -> [String; 2] {
    ["1".repeat(64), "2".repeat(64)]
}

/// The files of an archive as docker wrote it before there was a `manifest.json`: an image of two layers.
fn legacy_archive(low: &[u8], top: &[u8]) -> Vec<(String, Vec<u8>)> {
    let [one, two] = legacy_layers();
    let bottom = json!({
        "id": one, "created": "2014-01-01T00:00:00Z", "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) ADD"]},
        "architecture": "amd64", "os": "linux", "Size": 3000
    });
    let upper = json!({
        "id": two, "parent": one, "created": "2014-01-02T00:00:00Z", "author": "somebody",
        "config": {"Cmd": ["/bin/sh"]}, "architecture": "amd64", "os": "linux", "Size": 4000
    });
    let path = |layer: &str, name: &str| format!("{layer}/{name}");
    vec![
        (path(&one, "VERSION"), b"1.0".to_vec()),
        (path(&one, "json"), json_of(&bottom)),
        (path(&one, "layer.tar"), low.to_vec()),
        (path(&two, "VERSION"), b"1.0".to_vec()),
        (path(&two, "json"), json_of(&upper)),
        (path(&two, "layer.tar"), top.to_vec()),
        ("repositories".to_owned(), json_of(&json!({"team/app": {"1": two, "old": one}}))),
    ]
}

/// Writes files into the archive `a.tar`.
fn write(folder: &Path, files: &[(String, Vec<u8>)]) {
    let files: Vec<(&str, Vec<u8>)> =
        files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
    tar_of(&folder.join("a.tar"), &files);
}

#[tokio::test]
async fn archives_from_before_manifest_json_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (low, top) = (noise(3000, 1), noise(4000, 2));
    write(folder.path(), &legacy_archive(&low, &top));
    let source = place(folder.path(), "a.tar:team/app").source().unwrap();
    assert_eq!(source.tags().await.unwrap(), TagListing::of(["1", "old"]));
    let back = fetched(&source, tag("1")).await.unwrap();
    let image = back.manifest(&tag("x")).await.unwrap();
    assert_eq!(digests(image.blobs().skip(1)), [Digest::of(&low), Digest::of(&top)]);
    let config = back.blob(&image.blobs().next().unwrap().digest).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&config).unwrap(),
        json!({
            "created": "2014-01-02T00:00:00Z", "author": "somebody", "config": {"Cmd": ["/bin/sh"]},
            "architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(&low), Digest::of(&top)]},
            "history": [
                {"created": "2014-01-01T00:00:00Z", "created_by": "/bin/sh -c #(nop) ADD"},
                {"created": "2014-01-02T00:00:00Z", "author": "somebody"}
            ]
        })
    );
}

/// Layers that are their own ancestors have no end, and a link that leads out leads nowhere.
#[tokio::test]
async fn layers_of_an_old_archive_end_and_stay_inside() {
    let folder = tempfile::tempdir().unwrap();
    let ([one, two], files) = (legacy_layers(), legacy_archive(b"low", b"top"));
    let mut endless = files.clone();
    endless[1].1 = json_of(&json!({"id": one, "parent": two}));
    write(folder.path(), &endless);
    let error = |error: ecr::store::Error| error.to_string();
    let name = folder.path().join("a.tar").display().to_string();
    let failed = place(folder.path(), "a.tar").source().map(|_| ()).map_err(error).unwrap_err();
    assert_eq!(failed, format!("{name} is a damaged docker archive: {two}/json: its layers have no end"));
    for outside in ["->/etc/passwd", "->../../etc/passwd"] {
        let mut linked = files.clone();
        linked[2].1 = outside.as_bytes().to_vec();
        write(folder.path(), &linked);
        let failed = place(folder.path(), "a.tar").source().map(|_| ()).map_err(error).unwrap_err();
        assert_eq!(failed, format!("{name} is a damaged docker archive: {one}/layer.tar: it is missing"));
    }
}

#[tokio::test]
async fn only_docker_archives_are_replaced_by_docker_archives() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letter.txt"), "Dear").unwrap();
    let error = place(folder.path(), "letter.txt").destination().err().unwrap().to_string();
    assert!(error.contains("is there already and will not be replaced: "), "{error}");
    tar_of(&folder.path().join("old.tar"), &[("manifest.json", b"[]".to_vec())]);
    let (store, image) = single(&[noise(100, 1)]).await;
    let archive = place(folder.path(), "old.tar").destination().unwrap();
    run(&(store as Shared), &archive, &options(&["app:1"])).await.unwrap();
    let back = fetched(&place(folder.path(), "old.tar").source().unwrap(), tag("1")).await.unwrap();
    assert_eq!(back.tags(), [("x".to_owned(), image.digest().clone())]);
}
