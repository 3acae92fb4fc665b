//! Layouts, archives and manifests as other tools write them.

use std::fs;
use std::path::Path;

use super::compress::piped;
use super::fake::Fake;
use super::places::tar_of;
use super::{
    Arc, CONFIG, Descriptor, Digest, LAYER, Manifest, Memory, Name, Options, Shared, Store as _, TagListing,
    Value, archive_path, image, json, lay_out, manifest, media_type, noise, options, run, single,
};
use crate::harness::{Machine, Outcome, outcome};

const TAG: &str = "org.opencontainers.image.ref.name";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// A layout with these entries in its index, and the blobs and manifests of a store.
fn layout(path: &Path, store: &Memory, manifests: &[&Manifest], entries: &[Value]) {
    fs::create_dir_all(path.join("blobs/sha256")).unwrap();
    let write = |digest: &Digest, bytes: &[u8]| {
        fs::write(path.join("blobs/sha256").join(digest.hexadecimal()), bytes).unwrap();
    };
    for manifest in manifests {
        write(manifest.digest(), manifest.bytes());
        for blob in manifest.blobs() {
            write(&blob.digest, &store.blob(&blob.digest).unwrap());
        }
    }
    fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let index = json!({"schemaVersion": 2, "manifests": entries});
    fs::write(path.join("index.json"), index.to_string()).unwrap();
}

fn entry(manifest: &Manifest, tag: Option<&str>) -> Value {
    let mut entry = manifest.descriptor();
    if let Some(tag) = tag {
        entry.annotations.insert(TAG.to_owned(), json!(tag));
    }
    json!(entry)
}

/// The digest that arrives from a place for these platforms, or what is wrong.
async fn arrives(text: &str, platforms: &[&str]) -> Result<Digest, String> {
    let place = archive_path(text);
    let source = place.source().map_err(|error| error.to_string())?;
    let platforms = platforms.iter().map(|platform| platform.parse().unwrap()).collect();
    let wanted = Options { image: place.image.clone(), platforms, ..options(&["x"]) };
    let there: Shared = Arc::new(Memory::new());
    let outcome = run(&source, &there, &wanted).await.map_err(|error| error.to_string())?;
    Ok(outcome.digest)
}

/// skopeo 1.22.0 finds `localhost/app:1.0` by its whole name and by nothing else; the tag alone is our addition.
#[tokio::test]
async fn whole_names_as_skopeo_and_podman_write_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = Memory::new();
    let one = image(&store, "amd64", &[store.add_blob(LAYER, noise(100, 1))]).await;
    let two = image(&store, "amd64", &[store.add_blob(LAYER, noise(100, 2))]).await;
    let names = |first: &str, second: &str| [entry(&one, Some(first)), entry(&two, Some(second))];
    layout(folder.path(), &store, &[&one, &two], &names("localhost/app:1.0", "quay.io/team/app:2.0"));
    let text = folder.path().display().to_string();
    for (name, image) in [
        (":1.0", &one),
        (":localhost/app:1.0", &one),
        (":localhost/app", &one),
        (":2.0", &two),
        (":quay.io/team/app:2.0", &two),
    ] {
        assert_eq!(arrives(&format!("{text}{name}"), &[]).await.as_ref(), Ok(image.digest()), "{name}");
        assert_eq!(arrives(&format!("oci:{text}{name}"), &[]).await.as_ref(), Ok(image.digest()), "{name}");
    }
    assert_eq!(archive_path(&text).source().unwrap().tags().await.unwrap(), TagListing::of(["1.0", "2.0"]));
    assert_eq!(
        arrives(&format!("{text}:quay.io/app:2.0"), &[]).await.unwrap_err(),
        format!("{text} has no image of quay.io/app")
    );

    layout(folder.path(), &store, &[&one, &two], &names("localhost/app:1.0", "localhost/other:1.0"));
    assert_eq!(
        arrives(&format!("{text}:1.0"), &[]).await.unwrap_err(),
        format!(
            "{text} has several images 1.0: localhost/app:1.0 and localhost/other:1.0; choose one as {text}:NAME, with \
             its whole name"
        )
    );
    assert_eq!(&arrives(&format!("{text}:localhost/other:1.0"), &[]).await.unwrap(), two.digest());
}

#[tokio::test]
async fn a_whole_name_is_written_as_skopeo_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, image) = single(&[noise(100, 1)]).await;
    let layout = archive_path(folder.path().join("new").to_str().unwrap()).destination().unwrap();
    run(&(store as Shared), &layout, &options(&["localhost/app:1.0"])).await.unwrap();
    let index: Value =
        serde_json::from_slice(&fs::read(folder.path().join("new/index.json")).unwrap()).unwrap();
    // skopeo 1.22: skopeo copy … oci:new:localhost/app:1.0
    let expected = json!([{
        "mediaType": media_type::OCI_MANIFEST, "digest": image.digest(), "size": image.bytes().len(),
        "annotations": {TAG: "localhost/app:1.0"}
    }]);
    assert_eq!(index["manifests"], expected);
}

#[tokio::test]
async fn of_entries_without_a_name_a_platform_or_a_digest_chooses() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().display().to_string();
    let store = Memory::new();
    let layer = store.add_blob(LAYER, noise(100, 1));
    let amd = image(&store, "amd64", std::slice::from_ref(&layer)).await;
    let arm = image(&store, "arm64", std::slice::from_ref(&layer)).await;
    let other = image(&store, "arm64", &[layer.clone(), layer]).await;
    // As skopeo writes them: what they are for is in their configurations alone.
    layout(folder.path(), &store, &[&amd, &arm], &[entry(&amd, None), entry(&arm, None)]);
    for (platform, image) in [("linux/amd64", &amd), ("linux/arm64", &arm)] {
        assert_eq!(&arrives(&text, &[platform]).await.unwrap(), image.digest());
        assert_eq!(&arrives(&format!("{text}@{}", image.digest()), &[]).await.unwrap(), image.digest());
    }
    assert_eq!(
        arrives(&text, &[]).await.unwrap_err(),
        format!(
            "{text} has several images without a name; choose one with --platform, or as {text}@{}",
            amd.digest()
        )
    );
    let unknown = Digest::of(b"unknown");
    assert_eq!(
        arrives(&format!("{text}@{unknown}"), &[]).await.unwrap_err(),
        format!("{text} has no manifest {unknown}")
    );
    layout(
        folder.path(),
        &store,
        &[&amd, &arm, &other],
        &[entry(&amd, None), entry(&arm, None), entry(&other, None)],
    );
    assert_eq!(
        arrives(&text, &["linux/arm64"]).await.unwrap_err(),
        format!(
            "{text} has several images for linux/arm64: {} and {}; choose one by its digest",
            arm.digest(),
            other.digest()
        )
    );
}

/// Compared with other tools: if the platform stands on the outer entry, skopeo 1.22.0 (`--override-arch`) and oras
/// 1.3.3 (`--platform`) choose the same way; on inner entries or in the configuration alone they find no image, or
/// another platform's.
#[tokio::test]
async fn a_platform_may_stand_on_any_level_of_nested_indexes() {
    let store = Arc::new(Memory::new());
    let mut images = Vec::new();
    for (architecture, seed) in [("amd64", 1), ("arm64", 2)] {
        let layer = store.add_blob(LAYER, noise(100, seed));
        let image = image(&store, architecture, &[layer]).await;
        store.put_manifest(&image).await.unwrap();
        images.push(image);
    }
    let platform = |architecture: &str| json!({"architecture": architecture, "os": "linux"});
    let listed = |image: &Manifest, architecture: Option<&str>| Descriptor {
        platform: architecture.map(platform),
        ..image.descriptor()
    };
    let index_of = |entries: Vec<Descriptor>| {
        manifest(&json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries}))
    };
    for (outer, inner) in [(true, false), (false, true), (true, true), (false, false)] {
        let mut entries = Vec::new();
        for (image, architecture) in images.iter().zip(["amd64", "arm64"]) {
            let index = index_of(vec![listed(image, inner.then_some(architecture))]);
            store.put_manifest(&index).await.unwrap();
            entries.push(listed(&index, outer.then_some(architecture)));
        }
        let root = index_of(entries);
        store.put_image(&root, &["1".to_owned()]).await.unwrap();
        let name = Name::tag("1").unwrap();
        for (image, architecture) in images.iter().zip(["linux/amd64", "linux/arm64"]) {
            let platforms = vec![architecture.parse().unwrap()];
            let wanted = Options { image: name.clone(), platforms: platforms.clone(), ..options(&["x"]) };
            let there: Shared = Arc::new(Memory::new());
            let outcome = run(&(store.clone() as Shared), &there, &wanted).await.unwrap();
            assert_eq!(&outcome.digest, image.digest(), "{architecture} {outer} {inner}");
            // An archive of docker's takes it as well.
            let folder = tempfile::tempdir().unwrap();
            let path = format!("docker-archive:{}", folder.path().join("a.tar").display());
            let archive = archive_path(&path).destination().unwrap();
            let wanted = Options { image: name.clone(), platforms, ..options(&["app:1"]) };
            let outcome = run(&(store.clone() as Shared), &archive, &wanted).await.unwrap();
            assert_eq!(&outcome.digest, image.digest(), "{architecture} {outer} {inner}");
        }
        let platforms = vec!["linux/amd64".parse().unwrap(), "linux/arm64".parse().unwrap()];
        let wanted = Options { image: name, platforms, ..options(&["x"]) };
        let there: Shared = Arc::new(Memory::new());
        let outcome = run(&(store.clone() as Shared), &there, &wanted).await.unwrap();
        assert_eq!(&outcome.digest, root.digest(), "all of it stays as it is");
    }
}

#[tokio::test]
async fn without_a_variant_the_entry_without_one_is_meant_wherever_it_stands() {
    let store = Arc::new(Memory::new());
    let mut entries = Vec::new();
    let mut digests = Vec::new();
    for (seed, platform) in [
        (1, json!({"architecture": "amd64", "os": "linux", "variant": "v3"})),
        (2, json!({"architecture": "amd64", "os": "linux"})),
        (3, json!({"architecture": "amd64", "os": "windows", "os.version": "10.0.17763.1"})),
        (4, json!({"architecture": "amd64", "os": "windows", "os.version": "10.0.20348.2"})),
    ] {
        let layer = store.add_blob(LAYER, noise(100, seed));
        let image = image(&store, "amd64", &[layer]).await;
        store.put_manifest(&image).await.unwrap();
        digests.push(image.digest().clone());
        entries.push(Descriptor { platform: Some(platform), ..image.descriptor() });
    }
    let index =
        manifest(&json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries}));
    store.put_image(&index, &["1".to_owned()]).await.unwrap();
    for (platform, number) in [
        ("linux/amd64", 1),
        ("linux/amd64/v3", 0),
        ("windows/amd64", 2),
        ("windows/amd64:10.0.20348", 3),
        ("windows/amd64:10.0.17763.1", 2),
    ] {
        let wanted = Options { platforms: vec![platform.parse().unwrap()], ..options(&["x"]) };
        let there: Shared = Arc::new(Memory::new());
        let outcome = run(&(store.clone() as Shared), &there, &wanted).await.unwrap();
        assert_eq!(outcome.digest, digests[number], "{platform}");
    }
}

#[tokio::test]
async fn an_index_of_blobs_moves_but_not_to_ecr() {
    // As buildkit exports a cache without image-manifest=true.
    let store = Arc::new(Memory::new());
    let layer = store.add_blob(LAYER, noise(100, 1));
    let config = store.add_blob("application/vnd.buildkit.cacheconfig.v0", "{}");
    let index = manifest(&json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [layer, config]
    }));
    store.put_image(&index, &["1".to_owned()]).await.unwrap();
    let there = Arc::new(Memory::new());
    let outcome =
        run(&(store.clone() as Shared), &(there.clone() as Shared), &options(&["x"])).await.unwrap();
    assert_eq!((&outcome.digest, outcome.blobs), (index.digest(), 2));
    assert!(there.blob(&layer.digest).is_some() && there.blob(&config.digest).is_some());
    let registry = super::registry::Registry::start();
    let outcome = run(&(store.clone() as Shared), &registry.store(), &options(&["x"])).await.unwrap();
    assert_eq!((&outcome.digest, outcome.blobs), (index.digest(), 2));

    let fake = Fake::new();
    let ecr: Shared = fake.store();
    let error = run(&(store as Shared), &ecr, &options(&["x"])).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "{} cannot take {}: it is an index of {LAYER}, and Amazon ECR takes indexes of images only; a build cache of \
             buildkit is exported for it with --cache-to type=registry,image-manifest=true",
            ecr.name(),
            index.digest()
        )
    );
}

/// An archive as docker 24 saves it, of one layer, and the digest of that.
pub(super) fn saved(layer: &[u8], packed: Vec<u8>) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let identity = Digest::of(layer);
    let config = json!({
        "os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [identity]}
    });
    let list = json!([{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["l.tar"]}]);
    let path = folder.path().join("a.tar");
    let files = [
        ("c.json", config.to_string().into_bytes()),
        ("l.tar", packed),
        ("manifest.json", list.to_string().into_bytes()),
    ];
    tar_of(&path, &files);
    fs::read(path).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_are_read_through_gzip_zstd_and_xz() {
    let folder = tempfile::tempdir().unwrap();
    let layer = noise(10_000, 1);
    let archive = saved(&layer, layer.clone());
    let plain = folder.path().join("plain.tar");
    fs::write(&plain, &archive).unwrap();
    let expected = arrives(plain.to_str().unwrap(), &[]).await.unwrap();
    for tool in ["gzip", "zstd", "xz"] {
        // Whatever its name is.
        let path = folder.path().join(format!("{tool}.tar"));
        fs::write(&path, piped(tool, &["-c"], archive.clone())).unwrap();
        for prefix in ["", "docker-archive:"] {
            let text = format!("{prefix}{}:1", path.display());
            assert_eq!(arrives(&text, &[]).await.as_ref(), Ok(&expected), "{tool}");
        }
    }
    let cut = folder.path().join("cut.tar.gz");
    let mut bytes = piped("gzip", &["-c"], archive);
    bytes.truncate(bytes.len() / 2);
    fs::write(&cut, bytes).unwrap();
    let error = arrives(cut.to_str().unwrap(), &[]).await.unwrap_err();
    let wrong = format!("{} cannot be decompressed into a temporary file: ", cut.display());
    assert!(error.starts_with(&wrong), "{error}");
    let bzip2 = folder.path().join("bzip2.tar");
    fs::write(&bzip2, b"BZh91AY&SY").unwrap();
    assert_eq!(
        arrives(bzip2.to_str().unwrap(), &[]).await.unwrap_err(),
        format!(
            "{} cannot be decompressed into a temporary file: it is compressed with bzip2, which is not supported; \
             decompress it first",
            bzip2.display()
        )
    );
}

/// A run with something on standard input.
fn fed(machine: &Machine, arguments: &[&str], input: &[u8]) -> Outcome {
    let file = machine.write("input", input);
    let mut command = machine.command(env!("CARGO_BIN_EXE_ecr"), arguments);
    outcome(command.stdin(fs::File::open(file).unwrap()))
}

#[test]
fn a_compressed_archive_comes_by_standard_input() {
    let machine = Machine::new();
    let layer = noise(10_000, 1);
    let packed = piped("gzip", &["-c"], saved(&layer, layer.clone()));
    let push = fed(&machine, &["--local", "push", "-", "team/app:1", "--create"], &packed);
    assert_eq!(push.code, 0, "{}", push.transcript());
    let push = fed(&machine, &["--local", "push", "docker-archive:-:other:2", "team/app:1"], &packed);
    assert_eq!(
        (push.code, push.stderr.trim()),
        (255, "error: - has no image of other"),
        "{}",
        push.transcript()
    );
    let write = machine.fails(255, "--local pull team/app:1 image.tar.gz");
    assert!(
        write.contains("image.tar.gz cannot be written: archives are not compressed as a whole"),
        "{write}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_xz_compressed_become_those_of_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let layer = noise(10_000, 1);
    let path = folder.path().join("a.tar");
    fs::write(&path, saved(&layer, piped("xz", &["-c"], layer.clone()))).unwrap();
    let source = archive_path(path.to_str().unwrap()).source().unwrap();
    let there = Arc::new(Memory::new());
    let outcome = run(&source, &(there.clone() as Shared), &options(&["x"])).await.unwrap();
    assert_eq!(outcome.compressed, 1);
    let image = there.manifest(&Name::Digest(outcome.digest)).await.unwrap();
    let moved = image.blobs().nth(1).unwrap();
    assert_eq!(moved.media_type, LAYER);
    assert!(piped("gzip", &["-dc"], there.blob(&moved.digest).unwrap().to_vec()) == layer);
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_gets_layers_that_every_engine_loads() {
    let folder = tempfile::tempdir().unwrap();
    let layer = noise(10_000, 1);
    let store = Arc::new(Memory::new());
    let config = json!({
        "os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer)]}
    });
    let config = store.add_blob(CONFIG, config.to_string());
    let listed = |media_type: &str| {
        let layer = store.add_blob(media_type, piped("zstd", &["-c"], layer.clone()));
        manifest(&json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": [layer]
        }))
    };
    let (image, encrypted) = (listed(ZSTD), listed(&format!("{ZSTD}+encrypted")));
    store.put_image(&image, &["1".to_owned()]).await.unwrap();
    store.put_image(&encrypted, &["2".to_owned()]).await.unwrap();
    let path = folder.path().join("a.tar");
    let archive = archive_path(&format!("docker-archive:{}", path.display())).destination().unwrap();
    let wanted = |tag: &str| Options { image: Name::tag(tag).unwrap(), ..options(&["app:1"]) };
    let error = run(&(store.clone() as Shared), &archive, &wanted("2")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} cannot take {}: its layers are encrypted, and docker's archives and engines take them only decrypted",
            path.display(),
            encrypted.digest()
        )
    );
    let zstd = Options { compression: Some("zstd".parse().unwrap()), ..wanted("1") };
    let error = run(&(store.clone() as Shared), &archive, &zstd).await.unwrap_err();
    assert!(error.to_string().ends_with("; leave out --compress zstd"), "{error}");
    let outcome = run(&(store as Shared), &archive, &wanted("1")).await.unwrap();
    assert_eq!(outcome.compressed, 1);
    let mut tar = tar::Archive::new(fs::File::open(&path).unwrap());
    let name = format!("blobs/sha256/{}", Digest::of(&layer).hexadecimal());
    let found =
        tar.entries().unwrap().map(Result::unwrap).find(|entry| entry.path().unwrap().ends_with(&name));
    assert_eq!(found.unwrap().size(), layer.len() as u64);
}

#[tokio::test]
async fn paths_and_links_in_docker_archives_begin_at_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    let layer = noise(1000, 1);
    let config = json!({
        "os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer)]}
    });
    let config = config.to_string().into_bytes();
    let list = |layer: &str| {
        let list = json!([{"Config": "c.json", "RepoTags": ["app:1"], "Layers": [layer]}]);
        list.to_string().into_bytes()
    };
    // As pack writes them: "/l.tar" (podman#8132).
    let mut files =
        vec![("c.json", config.clone()), ("l.tar", layer.clone()), ("manifest.json", list("/l.tar"))];
    tar_of(&path, &files);
    let expected = arrives(path.to_str().unwrap(), &[]).await.unwrap();
    files[2].1 = list("./l.tar");
    tar_of(&path, &files);
    assert_eq!(arrives(path.to_str().unwrap(), &[]).await.unwrap(), expected);
    // A symbolic link that leads to the root, and not into its own folder (containerd#12890).
    let mut archive = tar::Builder::new(fs::File::create(&path).unwrap());
    for (name, bytes) in [("c.json", config), ("l.tar", layer), ("manifest.json", list("top/layer.tar"))] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    archive.append_link(&mut header, "top/layer.tar", "l.tar").unwrap();
    archive.into_inner().unwrap();
    assert_eq!(arrives(path.to_str().unwrap(), &[]).await.unwrap(), expected);
}

#[tokio::test]
async fn an_index_of_soci_beside_its_image_is_not_the_image() {
    // As SOCI version 2 lists it, for the platform of its image (skopeo#2708).
    let store = Arc::new(Memory::new());
    let layer = store.add_blob(LAYER, noise(100, 1));
    let wanted = image(&store, "amd64", std::slice::from_ref(&layer)).await;
    let index = image(&store, "amd64", &[layer.clone(), layer]).await;
    let platform = Some(json!({"architecture": "amd64", "os": "linux"}));
    let mut soci = Descriptor { platform: platform.clone(), ..index.descriptor() };
    soci.other.insert("artifactType".to_owned(), json!("application/vnd.amazon.soci.index.v2+json"));
    let entries = [soci, Descriptor { platform, ..wanted.descriptor() }];
    for image in [&wanted, &index] {
        store.put_manifest(image).await.unwrap();
    }
    let root =
        manifest(&json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries}));
    store.put_image(&root, &["1".to_owned()]).await.unwrap();
    let platforms = vec!["linux/amd64".parse().unwrap()];
    let there: Shared = Arc::new(Memory::new());
    let outcome = run(&(store as Shared), &there, &Options { platforms, ..options(&["x"]) }).await.unwrap();
    assert_eq!(&outcome.digest, wanted.digest());
}

#[test]
fn a_tag_that_ends_in_tar_is_a_tag() {
    let machine = Machine::new();
    lay_out(&machine.path().join("build"), "1", &[noise(100, 1)]);
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:v1.tar";
    for reference in [host, "team/app:v1.tar"] {
        machine.ok(&format!("--local push build {reference} --create"));
        let pulled = machine.ok(&format!("--local pull {reference} out"));
        assert_eq!(pulled, machine.ok(&format!("--local copy {reference} ./again.tar")));
    }
    let listed = machine
        .ok("--local list-images --repository-name team/app --query imageIds[].imageTag --output text");
    assert_eq!(listed, "v1.tar\n");
    let mut found: Vec<String> = fs::read_dir(machine.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("tar") || name.contains("amazonaws") || name == "team")
        .collect();
    found.sort();
    assert_eq!(found, ["again.tar"]);
    let usage = machine.fails(252, "--local copy team/app:v1.tar new.tar");
    assert!(usage.contains("there is no file new.tar, and it is no usual name of a repository"), "{usage}");
}

#[test]
fn schemes_of_other_tools_are_named_with_ours() {
    let machine = Machine::new();
    for (place, words) in [
        ("dir:no/such", "the scheme dir: is not supported; write the image as oci:PATH"),
        ("dir:/no/such", "the scheme dir: is not supported; write the image as oci:PATH"),
        (
            "containers-storage:localhost/app:1",
            "the scheme containers-storage: is not supported; save it with 'podman save --format oci-archive' and use \
             oci-archive:PATH",
        ),
        ("oci:build:UPPER:1", "'UPPER:1' behind the path build is no name of an image"),
    ] {
        let said = machine.fails(252, &format!("--local push {place} app"));
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_creation_template_makes_the_repository_of_a_push() {
    let machine = Machine::new();
    lay_out(&machine.path().join("build"), "1", &[noise(100, 1)]);
    machine.ok("--local create-repository-creation-template --prefix team --applied-for CREATE_ON_PUSH \
         --image-tag-mutability IMMUTABLE --resource-tags Key=a,Value=b");
    machine.fails(254, "--local push build other/app:1");
    machine.ok("--local push build team/one:1 --dry-run");
    machine.fails(254, "--local describe-repositories --repository-names team/one");
    machine.ok("--local push build team/one:1");
    machine.ok("--local push build team/two:1 --create");
    machine.write("own.yaml", "imageTagMutability: MUTABLE\n");
    machine.ok("--local push build team/three:1 --create=own.yaml");
    let found = machine.ok(
        "--local describe-repositories --query sort_by(repositories,&repositoryName)[].imageTagMutability --output text",
    );
    assert_eq!(found, "IMMUTABLE\tMUTABLE\tIMMUTABLE\n");
}
