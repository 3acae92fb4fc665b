//! Requirements of the OCI distribution specification's conformance suite, as tests of our own: every way of uploading
//! a blob with every algorithm, and every kind of manifest through its whole life.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use crate::harness::Machine;
use crate::harness::registry::{Answer, Serve, digest, hex};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const UPLOADS: &str = "/v2/team/app/blobs/uploads/";

fn sha_512(content: &[u8]) -> String {
    format!("sha512:{}", hex(&Sha512::digest(content)))
}

fn open(machine: &mut Machine) -> Serve {
    let server = Serve::start(machine, &["--anonymous"]);
    machine.set("AWS_ENDPOINT_URL", format!("http://{}", server.address));
    machine.set("AWS_ACCESS_KEY_ID", "123456789012").set("AWS_SECRET_ACCESS_KEY", "secret");
    machine.set("AWS_REGION", "eu-west-1");
    let _ = machine.ok("create-repository --repository-name team/app");
    server
}

/// Begins an upload; answers where it goes on.
fn begin(server: &Serve) -> String {
    let begun = server.send(&format!("POST {UPLOADS}"), &[], b"");
    assert_eq!(begun.status, 202, "{}", begun.text());
    begun.header("location").unwrap().to_owned()
}

/// A chunk that says where it belongs.
fn chunk(server: &Serve, place: &str, from: usize, body: &[u8]) -> Answer {
    let range = format!("Content-Range: {from}-{}", from + body.len() - 1);
    server.send(&format!("PATCH {place}"), &[&range], body)
}

/// Sends a body in one PATCH that tells no length.
fn stream(server: &Serve, place: &str, body: &[u8]) -> Answer {
    let mut chunked = Vec::new();
    for piece in body.chunks(700) {
        chunked.extend(format!("{:x}\r\n", piece.len()).bytes());
        chunked.extend(piece);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    server.send(&format!("PATCH {place}"), &["Transfer-Encoding: chunked"], &chunked)
}

/// Uploads a blob in one of the ways that there are.
fn upload(server: &Serve, way: &str, content: &[u8], digest: &str) -> Answer {
    let half = content.len() / 2;
    let put = |place: &str, headers: &[&str], body: &[u8]| {
        server.send(&format!("PUT {place}?digest={digest}"), headers, body)
    };
    match way {
        "one request" => server.send(&format!("POST {UPLOADS}?digest={digest}"), &[], content),
        "a request and its content" => put(&begin(server), &[], content),
        "a stream" => {
            let place = begin(server);
            assert_eq!(stream(server, &place, content).status, 202);
            put(&place, &[], b"")
        }
        "chunks" => {
            let place = begin(server);
            for (from, body) in [(0, &content[..half]), (half, &content[half..])] {
                assert_eq!(chunk(server, &place, from, body).status, 202);
            }
            put(&place, &[], b"")
        }
        _ => {
            let place = begin(server);
            assert_eq!(chunk(server, &place, 0, &content[..half]).status, 202);
            let range = format!("Content-Range: {half}-{}", content.len() - 1);
            put(&place, &[&range], &content[half..])
        }
    }
}

const WAYS: [&str; 5] =
    ["one request", "a request and its content", "a stream", "chunks", "chunks, the last with the end"];

/// From content to its digest.
type Hash = fn(&[u8]) -> String;

#[test]
fn blobs_of_every_algorithm_are_uploaded_in_every_way() {
    let mut machine = Machine::new();
    let server = open(&mut machine);
    let algorithms: [(&str, Hash); 2] = [("sha256", digest), ("sha512", sha_512)];
    for (place, way) in WAYS.into_iter().enumerate() {
        for (algorithm, digest) in algorithms {
            let content = format!("{way} {algorithm} ").repeat(60 + place).into_bytes();
            let name = digest(&content);
            let wrong = upload(&server, way, &content, &digest(b"another"));
            assert_eq!(wrong.status, 400, "{way} {algorithm} {}", wrong.text());
            let path = format!("/v2/team/app/blobs/{name}");
            assert_eq!(server.send(&format!("HEAD {path}"), &[], b"").status, 404, "{way} {algorithm}");
            let stored = upload(&server, way, &content, &name);
            let told = (stored.status, stored.header("location"), stored.header("docker-content-digest"));
            assert_eq!(told, (201, Some(path.as_str()), Some(name.as_str())), "{way} {algorithm}");
            let head = server.send(&format!("HEAD {path}"), &[], b"");
            assert_eq!(head.header("content-length"), Some(content.len().to_string().as_str()));
            assert!(server.get(&path).body == content, "{way} {algorithm}");
            let part = server.send(&format!("GET {path}"), &["Range: bytes=-5"], b"");
            assert_eq!((part.status, part.body.as_slice()), (206, &content[content.len() - 5..]));
            // Once more is as good as the first time.
            assert_eq!(upload(&server, way, &content, &name).status, 201, "{way} {algorithm}");
            let delete = || server.send(&format!("DELETE {path}"), &[], b"").status;
            assert_eq!((delete(), delete(), server.get(&path).status), (202, 404, 404), "{way} {algorithm}");
        }
    }
}

#[test]
fn a_chunk_out_of_order_is_refused_and_the_upload_goes_on() {
    let mut machine = Machine::new();
    let server = open(&mut machine);
    let place = begin(&server);
    assert_eq!(chunk(&server, &place, 3, b"def").status, 416);
    assert_eq!(chunk(&server, &place, 0, b"abc").status, 202);
    assert_eq!(chunk(&server, &place, 0, b"abc").status, 416);
    let name = digest(b"abcdef");
    let last = server.send(&format!("PUT {place}?digest={name}"), &["Content-Range: 4-6"], b"efg");
    assert_eq!((last.status, last.header("range")), (416, Some("0-2")), "{}", last.text());
    let asked = server.get(&place);
    assert_eq!(
        (asked.status, asked.header("range"), asked.header("location")),
        (204, Some("0-2"), Some(&*place))
    );
    let last = server.send(&format!("PUT {place}?digest={name}"), &["Content-Range: 3-5"], b"def");
    assert_eq!(last.status, 201, "{}", last.text());
}

/// A kind of manifest: what it is called, its media type, itself, the artifact type that it has as a referrer.
struct Kind {
    name: &'static str,
    media_type: &'static str,
    manifest: Value,
    artifact_type: Option<&'static str>,
}

/// Descriptors of blobs and manifests in `team/app`, of which the manifests of all kinds are made.
struct Parts {
    config: Value,
    empty: Value,
    layer: Value,
    plain: Value,
    child: Value,
    other: Value,
    list: Value,
}

impl Parts {
    /// Pushes them.
    fn push(server: &Serve) -> Self {
        let described = |media_type: &str, content: &[u8]| {
            let name = server.blob("team/app", content);
            json!({ "mediaType": media_type, "digest": name, "size": content.len() })
        };
        let pushed = |media_type: &str, manifest: &Value| {
            let (text, name) = (manifest.to_string(), digest(manifest.to_string().as_bytes()));
            assert_eq!(server.manifest("team/app", &name, media_type, &text).status, 201);
            json!({ "mediaType": media_type, "digest": name, "size": text.len() })
        };
        let config = described(
            "application/vnd.oci.image.config.v1+json",
            br#"{"os":"linux","architecture":"amd64"}"#,
        );
        let layer = described("application/vnd.oci.image.layer.v1.tar+gzip", b"a layer");
        let plain = described("application/vnd.oci.image.layer.v1.tar", b"a plain layer");
        let child = pushed(IMAGE, &image(&config, &[&layer, &plain]));
        let other = pushed(IMAGE, &image(&config, &[&plain, &layer]));
        let list = pushed(INDEX, &index(&[&child]));
        Self { config, empty: described(EMPTY, b"{}"), layer, plain, child, other, list }
    }
}

fn image(config: &Value, layers: &[&Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers })
}

fn index(manifests: &[&Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests })
}

fn with(mut manifest: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("members are an object") };
    manifest.as_object_mut().unwrap().extend(more);
    manifest
}

fn kind(
    name: &'static str,
    media_type: &'static str,
    manifest: Value,
    artifact_type: Option<&'static str>,
) -> Kind {
    Kind { name, media_type, manifest, artifact_type }
}

fn images_and_indexes(parts: &Parts) -> Vec<Kind> {
    let Parts { config, layer, plain, child, other, list, .. } = parts;
    let foreign = json!({
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "digest": digest(b"far"),
        "size": 3, "urls": ["https://registry.test/far"],
    });
    let custom = with(image(config, &[layer]), json!({ "org.test": { "x": [1.50, null] } }));
    vec![
        kind("image", IMAGE, image(config, &[layer]), None),
        kind("uncompressed", IMAGE, image(config, &[plain]), None),
        kind("no layers", IMAGE, image(config, &[]), None),
        kind("index", INDEX, index(&[child, other]), None),
        kind("nested index", INDEX, index(&[list, child]), None),
        kind("empty index", INDEX, index(&[]), None),
        kind("custom fields", IMAGE, custom, None),
        kind("foreign layer", IMAGE, image(config, &[&foreign]), None),
    ]
}

fn artifacts(parts: &Parts) -> Vec<Kind> {
    let Parts { empty, plain, child, .. } = parts;
    let data = with(empty.clone(), json!({ "data": "e30=" }));
    let typed =
        |manifest: Value, artifact_type: &str| with(manifest, json!({ "artifactType": artifact_type }));
    vec![
        kind("artifact", IMAGE, typed(image(empty, &[plain]), "a/b"), None),
        kind("artifact index", INDEX, typed(index(&[child]), "a/index"), None),
        kind("artifact without layers", IMAGE, typed(image(empty, &[empty]), "a/none"), None),
        kind("data field", IMAGE, typed(image(&data, &[&data]), "a/data"), None),
    ]
}

fn referrers(parts: &Parts) -> Vec<Kind> {
    let Parts { config, empty, layer, child, list, .. } = parts;
    let absent = json!({ "mediaType": IMAGE, "digest": digest(b"nowhere"), "size": 7 });
    let about = |manifest: Value, artifact_type: &str, subject: &Value| {
        with(manifest, json!({ "artifactType": artifact_type, "subject": subject }))
    };
    let by_config = with(image(config, &[layer]), json!({ "subject": child }));
    let config_type = "application/vnd.oci.image.config.v1+json";
    vec![
        kind("with subject", IMAGE, about(image(empty, &[empty]), "a/sbom", child), Some("a/sbom")),
        kind("with subject by config", IMAGE, by_config, Some(config_type)),
        kind("index with subject", INDEX, about(index(&[list]), "a/list", child), Some("a/list")),
        kind("missing subject", IMAGE, about(image(empty, &[]), "a/lost", &absent), Some("a/lost")),
    ]
}

/// Pushes the blobs and children that manifests need; answers all kinds of them.
fn kinds(server: &Serve) -> Vec<Kind> {
    let parts = Parts::push(server);
    [images_and_indexes(&parts), artifacts(&parts), referrers(&parts)].into_iter().flatten().collect()
}

#[test]
fn manifests_of_every_kind_live_and_die() {
    let mut machine = Machine::new();
    let server = open(&mut machine);
    let ask = |method: &str, reference: &str| {
        server.send(&format!("{method} /v2/team/app/manifests/{reference}"), &[], b"")
    };
    for (number, kind) in kinds(&server).into_iter().enumerate() {
        let (text, tag) = (kind.manifest.to_string(), format!("kind-{number}"));
        let algorithms = [digest(text.as_bytes()), sha_512(text.as_bytes())];
        for name in &algorithms {
            let about = format!("{} {}", kind.name, &name[..6]);
            assert_eq!((ask("HEAD", name).status, ask("GET", &tag).status), (404, 404), "{about}");
            let put = server.manifest("team/app", name, kind.media_type, &text);
            let location = format!("/v2/team/app/manifests/{name}");
            let told = (put.status, put.header("location"), put.header("docker-content-digest"));
            assert_eq!(told, (201, Some(location.as_str()), Some(name.as_str())), "{about} {}", put.text());
            let subject = kind.manifest["subject"]["digest"].as_str();
            assert_eq!(put.header("oci-subject"), subject, "{about}");
            let got = ask("GET", name);
            assert!(got.status == 200 && got.body == text.as_bytes(), "{about}");
            assert_eq!(got.header("content-type"), Some(kind.media_type), "{about}");
            let head = ask("HEAD", name);
            let told = (head.status, head.header("content-length"), head.header("docker-content-digest"));
            assert_eq!(told, (200, Some(text.len().to_string().as_str()), Some(name.as_str())), "{about}");
            if let (Some(subject), Some(artifact_type)) = (subject, kind.artifact_type) {
                let path = format!("/v2/team/app/referrers/{subject}");
                let listed = |query: &str| {
                    let listed: Value =
                        serde_json::from_slice(&server.get(&format!("{path}{query}")).body).unwrap();
                    let all = listed["manifests"].as_array().unwrap().clone();
                    all.into_iter().find(|each| each["digest"] == name.as_str())
                };
                let expected = json!({
                    "mediaType": kind.media_type, "digest": name, "size": text.len(), "artifactType": artifact_type,
                });
                assert_eq!(listed("").as_ref(), Some(&expected), "{about}");
                assert_eq!(listed(&format!("?artifactType={artifact_type}")), Some(expected), "{about}");
                assert_eq!(listed("?artifactType=a/other"), None, "{about}");
                assert_eq!((ask("DELETE", name).status, listed("")), (202, None), "{about}");
            } else {
                assert_eq!(ask("DELETE", name).status, 202, "{about}");
            }
            assert_eq!((ask("GET", name).status, ask("DELETE", name).status), (404, 404), "{about}");
        }
        // By tag: the tag is listed, and goes without the image.
        assert_eq!(server.manifest("team/app", &tag, kind.media_type, &text).status, 201, "{}", kind.name);
        let tags = || server.get("/v2/team/app/tags/list").text();
        assert!(tags().contains(&format!("\"{tag}\"")), "{}", kind.name);
        let found = (ask("GET", &tag).body == text.as_bytes(), ask("HEAD", &tag).status);
        assert_eq!(found, (true, 200), "{}", kind.name);
        assert_eq!((ask("DELETE", &tag).status, ask("GET", &tag).status), (202, 404), "{}", kind.name);
        assert!(!tags().contains(&tag), "{}", kind.name);
        assert_eq!(ask("DELETE", &algorithms[0]).status, 202, "{}", kind.name);
    }
}
