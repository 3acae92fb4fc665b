//! Pulling: what comes is what was asked for, or nothing is left behind.

use std::path::Path;
use std::sync::Arc;

use ecr::image::{Digest, Name};
use ecr::store::{Layout, Memory, Shared};

use super::fake::Fake;
use super::server::{Server, body, offset, serve};
use super::{Options, archive_path, index, noise, options, run, single};

fn tagged() -> Options {
    Options { image: Name::tag("1").unwrap(), ..options(&["1"]) }
}

/// A fake with everything that a store has, its layers downloadable from a folder.
async fn filled(source: Arc<Memory>, folder: &Path) -> Fake {
    let fake = Fake::new();
    let (source, destination): (Shared, Shared) = (source, fake.store());
    run(&source, &destination, &options(&["1"])).await.unwrap();
    for (digest, bytes) in &fake.state().blobs {
        std::fs::write(folder.join(digest.split_once(':').unwrap().1), bytes).unwrap();
    }
    fake.state().downloads = format!("file://{}/", folder.display());
    fake
}

/// Every file below a folder, with its bytes.
fn tree(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in std::fs::read_dir(current).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                files.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn an_index_comes_back_byte_for_byte() {
    let (source, index, children) = index().await;
    let folder = tempfile::tempdir().unwrap();
    let fake = filled(source, folder.path()).await;
    let target = tempfile::tempdir().unwrap();
    let layout: Shared = Arc::new(Layout::new(target.path().join("layout")));
    let outcome = run(&(fake.store() as Shared), &layout, &tagged()).await.unwrap();
    assert_eq!((&outcome.digest, outcome.blobs), (index.digest(), 5));
    let files = tree(&target.path().join("layout"));
    assert_eq!(files.len(), 2 + 5 + 3, "the mark, the index, the blobs and the manifests");
    for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with("blobs/")) {
        assert_eq!(name, &format!("blobs/sha256/{}", Digest::of(bytes).hexadecimal()));
    }
    let found = layout.manifest(&Name::tag("1").unwrap()).await.unwrap();
    assert_eq!(found, index);
    for child in &children {
        assert_eq!(&layout.manifest(&Name::Digest(child.digest().clone())).await.unwrap(), child);
    }
    // A second pull finds everything there and changes nothing.
    let again = run(&(fake.store() as Shared), &layout, &tagged()).await.unwrap();
    assert_eq!((again.blobs, again.present), (0, 5));
    assert_eq!(tree(&target.path().join("layout")), files);
}

#[tokio::test]
async fn an_image_that_is_not_there_says_so() {
    let fake = Fake::new();
    let destination: Shared = Arc::new(Memory::new());
    let error = run(&(fake.store() as Shared), &destination, &tagged()).await.unwrap_err();
    assert_eq!(error.to_string(), "team/app has no image 1");
}

#[tokio::test]
async fn mismatching_bytes_leave_nothing_behind() {
    let layer = noise(5000, 9);
    let (source, image) = single(std::slice::from_ref(&layer)).await;
    let digest = Digest::of(&layer);
    let found = Digest::of(&noise(5000, 10));
    for (bytes, expected) in [
        (noise(5000, 10), format!("blob {digest} in team/app is damaged: its bytes have the digest {found}")),
        (
            layer[..4000].to_vec(),
            format!("blob {digest} in team/app is damaged: it has 4000 bytes, and its manifest says 5000"),
        ),
        (
            [layer.clone(), vec![0]].concat(),
            format!(
                "blob {digest} in team/app is damaged: it has more than 5000 bytes, and its manifest says 5000"
            ),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let fake = filled(Arc::clone(&source), folder.path()).await;
        std::fs::write(folder.path().join(digest.hexadecimal()), bytes).unwrap();
        let target = tempfile::tempdir().unwrap();
        for name in ["layout", "archive.tar"] {
            let place = archive_path(target.path().join(name).to_str().unwrap());
            let destination = place.destination().unwrap();
            let error = run(&(fake.store() as Shared), &destination, &tagged()).await.unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let names: Vec<String> = tree(target.path()).into_iter().map(|(name, _)| name).collect();
        let config = image.blobs().next().unwrap().digest.hexadecimal().to_owned();
        let kept =
            [format!("layout/blobs/sha256/{config}"), "layout/index.json".into(), "layout/oci-layout".into()];
        assert!(names.iter().all(|name| kept.contains(name)), "{names:?}");
    }
}

/// A fake whose one layer comes from a server, and the layer.
async fn served(make: impl FnOnce(&[u8]) -> Server) -> (Fake, Vec<u8>, Server) {
    let layer = noise(50_000, 9);
    let (source, image) = single(std::slice::from_ref(&layer)).await;
    let folder = tempfile::tempdir().unwrap();
    let fake = filled(source, folder.path()).await;
    // The configuration is at the destination already, so that all requests are for the layer.
    assert_eq!(image.blobs().count(), 2);
    let server = make(&layer);
    fake.state().downloads = format!("http://{}/", server.address);
    (fake, layer, server)
}

async fn pull_layer(fake: &Fake, layer: &[u8]) -> Result<(), String> {
    let memory = Arc::new(Memory::new());
    memory.add_blob(super::CONFIG, r#"{"architecture":"amd64","os":"linux"}"#);
    let destination: Shared = memory.clone();
    let result = run(&(fake.store() as Shared), &destination, &tagged()).await;
    let digest = Digest::of(layer);
    assert_eq!(memory.blob(&digest).is_some(), result.is_ok());
    result.map(|_| ()).map_err(|error| error.to_string().replace(&digest.to_string(), "LAYER"))
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_stopped() {
    let (fake, layer, server) = served(|layer| {
        let (first, second) = (layer.to_vec(), layer.to_vec());
        Server::start(vec![
            Box::new(move |_| body("200 OK", 50_000, &first[..20_000])),
            Box::new(|_| body("503 Slow Down", 0, b"")),
            Box::new(move |head| {
                let offset = offset(head).unwrap();
                body("206 Partial Content", 50_000 - offset, &second[offset..offset + 10_000])
            }),
            // The URL expired.
            Box::new(|_| body("403 Forbidden", 0, b"")),
            serve(layer.to_vec()),
        ])
    })
    .await;
    pull_layer(&fake, &layer).await.unwrap();
    let offsets: Vec<_> = server.heads().iter().map(|head| offset(head)).collect();
    assert_eq!(offsets, [None, Some(20_000), Some(20_000), Some(30_000), Some(30_000)]);
    assert_eq!(fake.count("GetDownloadUrlForLayer"), 2, "a URL serves until it is refused");
    assert!(server.heads().iter().all(|head| !head.contains("authorization")));
}

#[tokio::test]
async fn a_download_that_never_goes_on_is_given_up() {
    let (fake, layer, _server) =
        served(|_| Server::start((0..5).map(|_| Box::new(|_: &str| body("500 Oh", 0, b"")) as _).collect()))
            .await;
    let error = pull_layer(&fake, &layer).await.unwrap_err();
    assert_eq!(
        error,
        "cannot download blob LAYER: the server answered 500 Internal Server Error, expected 200 OK (5 attempts)"
    );
}

#[tokio::test]
async fn wrong_lengths_and_answers_are_refused_at_once() {
    let too_long = [noise(50_000, 9), noise(10, 1)].concat();
    let chunked = |bytes: &[u8]| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        let size = format!("{:x}\r\n", bytes.len());
        [head.as_bytes(), size.as_bytes(), bytes, b"\r\n0\r\n\r\n"].concat()
    };
    let unannounced = chunked(&too_long);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            body("200 OK", too_long.len(), &too_long),
            "cannot download blob LAYER: the server offers 50010 bytes, and 50000 are missing",
        ),
        (
            unannounced,
            "blob LAYER in team/app is damaged: it has more than 50000 bytes, and its manifest says 50000",
        ),
        (
            body("404 Not Found", 0, b""),
            "cannot download blob LAYER: the server answered 404 Not Found, expected 200 OK",
        ),
    ];
    for (answer, expected) in cases {
        let (fake, layer, _server) = served(|_| Server::start(vec![Box::new(move |_| answer.clone())])).await;
        assert_eq!(pull_layer(&fake, &layer).await.unwrap_err(), expected);
    }
}

fn redirect(target: &str) -> Vec<u8> {
    format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .into_bytes()
}

#[tokio::test]
async fn redirects_stay_with_their_host() {
    let (fake, layer, server) =
        served(|layer| Server::start(vec![Box::new(|_| redirect("/elsewhere")), serve(layer.to_vec())]))
            .await;
    pull_layer(&fake, &layer).await.unwrap();
    assert!(server.heads()[1].starts_with("get /elsewhere "));

    let (fake, layer, _server) =
        served(|_| Server::start(vec![Box::new(|_| redirect("http://169.254.169.254/latest/meta-data"))]))
            .await;
    let error = pull_layer(&fake, &layer).await.unwrap_err();
    let expected =
        "cannot download blob LAYER: the connection failed: refused to follow a redirect to 169.254.169.254";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn the_service_may_not_name_another_kind_of_url() {
    let (fake, layer, _server) = served(|_| Server::start(vec![])).await;
    fake.state().downloads = "ftp://127.0.0.1/".to_owned();
    let error = pull_layer(&fake, &layer).await.unwrap_err();
    assert_eq!(error, "cannot download blob LAYER: a URL of the kind ftp was named, expected https");
}

#[tokio::test]
async fn a_manifest_that_is_not_the_one_asked_for_is_refused() {
    let (source, image) = single(&[noise(10, 1)]).await;
    let folder = tempfile::tempdir().unwrap();
    let fake = filled(source, folder.path()).await;
    fake.state().manifests.get_mut(&image.digest().to_string()).unwrap().1.push(' ');
    let destination: Shared = Arc::new(Memory::new());
    let error = run(&(fake.store() as Shared), &destination, &tagged()).await.unwrap_err().to_string();
    assert!(
        error.starts_with(&format!(
            "manifest {} in team/app is damaged: its bytes have the digest",
            image.digest()
        )),
        "{error}"
    );
}

/// Leaves a partial layer, as an interrupted run does.
fn leave(layout: &Path, digest: &Digest, bytes: &[u8]) {
    std::fs::write(layout.join(format!(".unfinished-sha256-{}", digest.hexadecimal())), bytes).unwrap();
}

#[tokio::test]
async fn bytes_fetched_by_an_earlier_run_are_not_fetched_again() {
    let layer = noise(3_000_000, 1);
    let digest = Digest::of(&layer);
    let (source, _) = single(std::slice::from_ref(&layer)).await;
    let files = tempfile::tempdir().unwrap();
    let fake = filled(source, files.path()).await;
    let target = tempfile::tempdir().unwrap();
    let mut damaged = layer[..2_000_000].to_vec();
    damaged[1000] ^= 1;
    // What is left is right; is damaged, so that everything is fetched once more; and is all there is.
    for (name, left, ranges) in [
        ("right", &layer[..2_000_000], vec![Some(2_000_000)]),
        ("damaged", &damaged[..], vec![Some(2_000_000), None]),
        ("whole", &layer[..], vec![]),
        ("too-long", &[layer.clone(), vec![0]].concat(), vec![None]),
    ] {
        let path = target.path().join(name);
        let layout: Shared = Arc::new(Layout::new(&path));
        layout.prepare(&[]).await.unwrap();
        leave(&path, &digest, left);
        let server = Server::start(ranges.iter().map(|_| serve(layer.clone())).collect());
        let address = server.address.clone();
        let layer_digest = digest.to_string();
        let url = format!("http://{address}/");
        let script = move |request: &ecr::service::Request, _: &mut super::fake::State| {
            (request.input["layerDigest"] == layer_digest.as_str())
                .then(|| Ok(serde_json::json!({"downloadUrl": url, "layerDigest": layer_digest})))
        };
        for _ in 0..6 {
            fake.fail("GetDownloadUrlForLayer", script.clone());
        }
        run(&(fake.store() as Shared), &layout, &Options { jobs: 1, ..tagged() }).await.unwrap();
        let asked: Vec<Option<usize>> = server.heads().iter().map(|head| offset(head)).collect();
        assert_eq!(asked, ranges, "{name}");
        let names: Vec<String> = tree(&path).into_iter().map(|(name, _)| name).collect();
        assert!(names.iter().all(|name| !name.contains("unfinished")), "{names:?}");
        assert_eq!(std::fs::read(path.join("blobs/sha256").join(digest.hexadecimal())).unwrap(), layer);
        fake.forget_faults();
    }
}
