//! Layouts and archives: what is read, what is written, and what is left alone.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ecr::image::{Digest, Name};
use ecr::store::{Memory, Shared, Store as _, TagListing};
use serde_json::{Value, json};

use super::{LAYER, archive_path, digests, image, index, noise, options, run, single};

fn destination(path: &Path) -> Result<Shared, String> {
    archive_path(path.to_str().unwrap()).destination().map_err(|error| error.to_string())
}

fn source(path: &Path) -> Result<Shared, String> {
    archive_path(path.to_str().unwrap()).source().map_err(|error| error.to_string())
}

/// Reads a location: returns the digest of its image, or the error.
async fn read(path: &str) -> Result<Digest, String> {
    let place = archive_path(path);
    let source = place.source().map_err(|error| error.to_string())?;
    let mut options = options(&[]);
    options.image = place.image.clone();
    let destination: Shared = Arc::new(Memory::new());
    run(&source, &destination, &options)
        .await
        .map(|outcome| outcome.digest)
        .map_err(|error| error.to_string())
}

fn index_of(layout: &Path) -> Value {
    serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap()
}

#[tokio::test]
async fn layouts_and_archives_hold_the_same_image() {
    let (memory, whole, _) = index().await;
    let folder = tempfile::tempdir().unwrap();
    let paths = ["layout", "one.tar", "two.tar"].map(|name| folder.path().join(name));
    let mut from: Shared = memory;
    for path in &paths {
        let to = destination(path).unwrap();
        assert_eq!(&run(&from, &to, &options(&["1"])).await.unwrap().digest, whole.digest());
        from = source(path).unwrap();
    }
    assert_eq!(&read(paths[2].to_str().unwrap()).await.unwrap(), whole.digest());
    assert_eq!(fs::read(&paths[1]).unwrap(), fs::read(&paths[2]).unwrap(), "the same image, the same bytes");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "no temporary files are left");
}

#[tokio::test]
async fn an_image_is_added_to_a_layout_and_a_tag_moves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout");
    let layout = destination(&path).unwrap();
    let (first, one) = single(&[noise(100, 1)]).await;
    let (second, two) = single(&[noise(100, 2)]).await;
    let (first, second): (Shared, Shared) = (first, second);
    run(&first, &layout, &options(&["1", "latest"])).await.unwrap();
    run(&second, &layout, &options(&["2", "latest"])).await.unwrap();
    let tags: Vec<(Value, Value)> = index_of(&path)["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (entry["annotations"]["org.opencontainers.image.ref.name"].clone(), entry["digest"].clone())
        })
        .collect();
    let entry = |tag: &str, digest: &Digest| (json!(tag), json!(digest));
    assert_eq!(tags, [entry("1", one.digest()), entry("2", two.digest()), entry("latest", two.digest())]);

    let text = path.display().to_string();
    assert_eq!(&read(&format!("{text}:1")).await.unwrap(), one.digest());
    assert_eq!(
        read(&text).await.unwrap_err(),
        format!("{text} has several images; choose one as {text}:TAG; it has 1, 2, latest")
    );
    assert_eq!(
        read(&format!("{text}:3")).await.unwrap_err(),
        format!("{text} has no image 3; it has 1, 2, latest")
    );
}

#[tokio::test]
async fn foreign_members_of_an_index_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout");
    let (memory, image) = single(&[noise(100, 1)]).await;
    let memory: Shared = memory;
    run(&memory, &destination(&path).unwrap(), &options(&[])).await.unwrap();
    let mut index = index_of(&path);
    index["annotations"] = json!({"kept": "yes"});
    index["manifests"][0]["artifactType"] = json!("text/plain");
    fs::write(path.join("index.json"), index.to_string()).unwrap();
    run(&memory, &destination(&path).unwrap(), &options(&["1"])).await.unwrap();
    let entry = json!({
        "mediaType": image.media_type(), "digest": image.digest(), "size": image.bytes().len(),
        "annotations": {"org.opencontainers.image.ref.name": "1"}
    });
    let expected = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry], "annotations": {"kept": "yes"}
    });
    assert_eq!(index_of(&path), expected);
}

#[tokio::test]
async fn errors_of_damaged_layouts_name_the_file_and_the_expectation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout");
    let text = path.display().to_string();
    let fresh = async || {
        let _ = fs::remove_dir_all(&path);
        let (memory, image) = single(&[noise(100, 1)]).await;
        run(&(memory as Shared), &destination(&path).unwrap(), &options(&["1"])).await.unwrap();
        image
    };
    assert_eq!(
        read(&text).await.unwrap_err(),
        format!("cannot read {text}: No such file or directory (os error 2)")
    );

    fresh().await;
    fs::remove_file(path.join("oci-layout")).unwrap();
    assert_eq!(
        read(&text).await.unwrap_err(),
        format!("{text} is not an OCI image layout: it has no file oci-layout")
    );
    fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"9.0.0"}"#).unwrap();
    assert_eq!(
        read(&text).await.unwrap_err(),
        format!("{text} is not an OCI image layout: oci-layout says version 9.0.0, expected 1.0.0")
    );

    fresh().await;
    fs::write(path.join("index.json"), "{").unwrap();
    let error = read(&text).await.unwrap_err();
    let expected = format!("{text} is a damaged OCI image layout: index.json is not an image index: EOF");
    assert!(error.starts_with(&expected), "{error}");
    fs::remove_file(path.join("index.json")).unwrap();
    assert_eq!(
        read(&text).await.unwrap_err(),
        format!("{text} is a damaged OCI image layout: it has no file index.json")
    );

    let image = fresh().await;
    let file = |digest: &Digest| path.join("blobs/sha256").join(digest.hexadecimal());
    let layer = &image.blobs().nth(1).unwrap().digest;
    fs::write(file(layer), noise(100, 2)).unwrap();
    let found = Digest::of(&noise(100, 2));
    assert_eq!(
        read(&text).await.unwrap_err(),
        format!("blob {layer} in {text} is damaged: its bytes have the digest {found}")
    );
    fs::write(file(layer), noise(99, 1)).unwrap();
    assert_eq!(
        read(&text).await.unwrap_err(),
        format!("blob {layer} in {text} is damaged: it has 99 bytes, and its manifest says 100")
    );
    fs::remove_file(file(layer)).unwrap();
    assert_eq!(read(&text).await.unwrap_err(), format!("{text} has no blob {layer}"));
    fs::write(file(image.digest()), "{}").unwrap();
    let found = Digest::of(b"{}");
    assert_eq!(
        read(&text).await.unwrap_err(),
        format!("manifest {} in {text} is damaged: its bytes have the digest {found}", image.digest())
    );
    fs::remove_file(file(image.digest())).unwrap();
    assert_eq!(read(&text).await.unwrap_err(), format!("{text} has no manifest {}", image.digest()));
}

#[tokio::test]
async fn files_that_are_no_archives_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    let text = path.display().to_string();
    let mut bytes = Vec::new();
    for (content, expected) in [
        (b"".as_slice(), "is empty; expected an OCI or docker archive"),
        (&[0x1f, 0x8b, 8, 0], "cannot be decompressed into a temporary file: "),
        (b"neither tar nor anything else", "is not a tar file, or a damaged one: "),
    ] {
        fs::write(&path, content).unwrap();
        let error = read(&text).await.unwrap_err();
        assert!(error.starts_with(&format!("{text} {expected}")), "{error}");
    }
    // A file named by mistake is not quoted.
    fs::write(&path, format!("password=hunter2\n{}", "x".repeat(600))).unwrap();
    let error = read(&text).await.unwrap_err();
    assert!(
        error.contains("is not a tar file") && !error.contains("hunter2") && error.lines().count() == 1,
        "{error}"
    );
    let mut docker = tar::Builder::new(&mut bytes);
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    docker.append_data(&mut header, "manifest.json", &b"[]"[..]).unwrap();
    docker.finish().unwrap();
    drop(docker);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(
        read(&format!("oci-archive:{text}")).await.unwrap_err(),
        format!("{text} is a docker archive; expected an OCI archive")
    );
    assert_eq!(read(&text).await.unwrap_err(), format!("{text} has no image in it"));
    // It is not replaced either, nor is any other file.
    let error = destination(&path).err().unwrap();
    assert!(error.starts_with(&format!("{text} is there already and will not be replaced: ")), "{error}");
}

#[tokio::test]
async fn a_cut_archive_is_damaged_and_a_whole_one_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    let (memory, _) = single(&[noise(10_000, 1)]).await;
    run(&(memory as Shared), &destination(&path).unwrap(), &options(&["1"])).await.unwrap();
    let (memory, second) = single(&[noise(10_000, 2)]).await;
    run(&(memory as Shared), &destination(&path).unwrap(), &options(&["1"])).await.unwrap();
    let text = path.display().to_string();
    assert_eq!(&read(&text).await.unwrap(), second.digest());
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..8000]).unwrap();
    let error = read(&text).await.unwrap_err();
    assert!(error.starts_with(&format!("{text} is not a tar file, or a damaged one: ")), "{error}");
}

#[tokio::test]
async fn a_folder_with_something_else_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letter.txt"), "Dear").unwrap();
    let (memory, _) = single(&[noise(100, 1)]).await;
    let to = destination(folder.path()).unwrap();
    let error = run(&(memory as Shared), &to, &options(&["1"])).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "{} is not empty and not an OCI image layout (it has no file oci-layout); choose a new folder",
            folder.path().display()
        )
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout");
    let (memory, image) = single(&[noise(100, 1)]).await;
    run(&(memory as Shared), &destination(&path).unwrap(), &options(&["1"])).await.unwrap();
    let layer = image.blobs().nth(1).unwrap();
    let file = path.join("blobs/sha256").join(layer.digest.hexadecimal());
    let layout = source(&path).unwrap();
    let mut stream = ecr::store::Source::new(layout, layer.clone(), |_| {}).stream().await.unwrap();
    fs::write(&file, &noise(100, 1)[..50]).unwrap();
    let error = stream.read(Vec::new(), 100).await.unwrap_err().to_string();
    let expected = "changed while it was read; nothing was taken from it, so run the command again";
    assert_eq!(error, format!("{} {expected}", file.display()));
}

#[tokio::test]
async fn several_platforms_of_three_make_a_smaller_index() {
    let store = Arc::new(Memory::new());
    let mut entries = Vec::new();
    let mut images = Vec::new();
    for (architecture, seed) in [("amd64", 1), ("arm64", 2), ("s390x", 3)] {
        let layer = store.add_blob(LAYER, noise(100, seed));
        let image = image(&store, architecture, &[layer]).await;
        store.put_manifest(&image).await.unwrap();
        let mut entry = image.descriptor();
        entry.platform = Some(json!({"architecture": architecture, "os": "linux"}));
        entries.push(entry);
        images.push(image);
    }
    let index = super::manifest(&json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries
    }));
    store.put_image(&index, &[]).await.unwrap();
    let mut wanted = options(&["1"]);
    wanted.platforms = vec!["linux/s390x".parse().unwrap(), "linux/amd64".parse().unwrap()];
    let destination = Arc::new(Memory::new());
    let outcome = run(&(store as Shared), &(destination.clone() as Shared), &wanted).await.unwrap();
    assert!(outcome.rewritten);
    let moved = destination.manifest(&Name::tag("1").unwrap()).await.unwrap();
    assert_eq!(moved.digest(), &outcome.digest);
    assert_eq!(
        digests(moved.children().into_iter()),
        [images[0].digest().clone(), images[2].digest().clone()]
    );
}

/// A tar file of these files; what starts with `->` is a link.
pub(super) fn tar_of(path: &Path, files: &[(&str, Vec<u8>)]) {
    let mut tar = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        if let Some(target) = content.strip_prefix(b"->") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, name, std::str::from_utf8(target).unwrap()).unwrap();
        } else {
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, &content[..]).unwrap();
        }
    }
    tar.finish().unwrap();
}

/// The files of a docker archive: two images of the layers `plain`, `packed` and a link to `plain`.
fn docker_archive(plain: &[u8], packed: &[u8]) -> [(&'static str, Vec<u8>); 6] {
    let identity = Digest::of(b"what the packed layer unpacks to");
    let config = |os: &str| {
        let identities = json!([Digest::of(plain), identity, Digest::of(plain)]);
        json!({"os": os, "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": identities}})
            .to_string()
            .into_bytes()
    };
    let layers = ["one/layer.tar", "two.tar.gz", "three/layer.tar"];
    let list = json!([
        {"Config": "a.json", "RepoTags": ["host:5000/team/app:1", "app:2"], "Layers": layers},
        {"Config": "b.json", "RepoTags": null, "Layers": layers},
    ]);
    [
        ("one/layer.tar", plain.to_vec()),
        ("two.tar.gz", packed.to_vec()),
        ("three/layer.tar", b"->../one/layer.tar".to_vec()),
        ("a.json", config("linux")),
        ("b.json", config("windows")),
        ("manifest.json", list.to_string().into_bytes()),
    ]
}

#[tokio::test]
async fn a_docker_archive_is_read_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    let text = path.display().to_string();
    let plain = noise(5000, 1);
    let packed = [&[0x1f, 0x8b], &noise(3000, 2)[..]].concat();
    let files = docker_archive(&plain, &packed);
    tar_of(&path, &files);
    let source = archive_path(&format!("docker-archive:{text}")).source().unwrap();
    assert_eq!(source.tags().await.unwrap(), TagListing::of(["1", "2"]));
    let back = Arc::new(Memory::new());
    let wanted = Name::tag("2").unwrap();
    let outcome =
        run(&source, &(back.clone() as Shared), &ecr::transfer::Options { image: wanted, ..options(&["x"]) })
            .await
            .unwrap();
    assert_eq!((outcome.blobs, outcome.bytes), (3, 5000 + 3002 + files[3].1.len() as u64));
    let manifest = back.manifest(&Name::tag("x").unwrap()).await.unwrap();
    let found: Vec<(&str, Digest)> =
        manifest.blobs().map(|blob| (blob.media_type.as_str(), blob.digest.clone())).collect();
    let layer = "application/vnd.oci.image.layer.v1.tar";
    let gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
    let expected = [
        ("application/vnd.oci.image.config.v1+json", Digest::of(&files[3].1)),
        (layer, Digest::of(&plain)),
        (gzip, Digest::of(&packed)),
        (layer, Digest::of(&plain)),
    ];
    assert_eq!(found, expected);
    let several = format!(
        "{text} has several images; choose one as {text}:REPOSITORY:TAG; it has host:5000/team/app:1, app:2"
    );
    assert_eq!(read(&text).await.unwrap_err(), several);
}

#[tokio::test]
async fn a_layer_that_is_not_what_the_configuration_says_does_not_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    let text = path.display().to_string();
    let plain = noise(5000, 1);
    let mut damaged = docker_archive(&plain, &[0x1f, 0x8b]);
    damaged[0].1[17] ^= 1;
    tar_of(&path, &damaged);
    let source = archive_path(&format!("{text}:1")).source().unwrap();
    let wanted = ecr::transfer::Options { image: Name::tag("1").unwrap(), ..options(&["x"]) };
    let error = run(&source, &(Arc::new(Memory::new()) as Shared), &wanted).await.unwrap_err();
    assert!(
        error.to_string().starts_with(&format!("blob {} in {text} is damaged", Digest::of(&plain))),
        "{error}"
    );
}
