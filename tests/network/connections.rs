//! Every kind of connection takes the same options: the API, registries, downloads of layers, the realms of tokens, STS,
//! and engines as far as they have such options.

use std::time::{Duration, Instant};

use serde_json::json;

use super::peers::{Peer, Unreachable};
use crate::harness::registry::{Serve, digest};
use crate::harness::{Machine, Outcome};

const TLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls");
const LAYER: &[u8] = b"layer";

/// Kind of connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Api,
    Registry,
    Download,
    Realm,
    Sts,
}

const KINDS: [Kind; 5] = [Kind::Api, Kind::Registry, Kind::Download, Kind::Realm, Kind::Sts];

/// An image of one layer: its layer's and its configuration's digest, its manifest.
fn image() -> (String, String) {
    let config = json!({"architecture": "amd64", "os": "linux"}).to_string();
    let blob = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()});
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type,
        "config": blob("application/vnd.oci.image.config.v1+json", config.as_bytes()),
        "layers": [blob("application/vnd.oci.image.layer.v1.tar", LAYER)],
    });
    (config, manifest.to_string())
}

/// A server with TLS, and an image `app:1` in it.
fn secured(machine: &Machine, certificate: &str) -> Serve {
    machine.ok("--local create-repository --repository-name app");
    let plain = Serve::start(machine, &["--anonymous"]);
    let (config, manifest) = image();
    plain.blob("app", LAYER);
    plain.blob("app", config.as_bytes());
    let answer = plain.manifest("app", "1", "application/vnd.oci.image.manifest.v1+json", &manifest);
    assert_eq!(answer.status, 201, "{}", answer.text());
    drop(plain);
    // Its readers may be told so on stderr, which nobody reads.
    let file = |ending: &str| format!("{TLS}/{certificate}.{ending}");
    Serve::start(machine, &["--anonymous", "--tls-certificate", &file("pem"), "--tls-key", &file("key")])
}

fn machine() -> Machine {
    let mut machine = super::machine();
    machine.write("home/.config/ecr/login.conf", "[here]\nmatch_host = 127.0.0.1*\nanonymous = true\n");
    machine.set("AWS_EC2_METADATA_DISABLED", "true");
    machine
}

/// Makes a connection of a kind to what is at `url`, which ends in no slash.
fn connect(kind: Kind, url: &str, variables: &[(&str, String)], options: &str) -> Outcome {
    let mut machine = machine();
    for (name, value) in variables {
        machine.set(name, value);
    }
    let host = url.split_once("://").unwrap().1;
    let first = first(kind, url);
    let at_first = first.as_ref().map(|peer| format!("http://{}", peer.address)).unwrap_or_default();
    let line = match kind {
        Kind::Api => format!("describe-repositories --endpoint-url {url}"),
        Kind::Registry => format!("copy docker://{host}/app:1 oci:out --endpoint-url {url}"),
        Kind::Download => format!("pull app:1 out --jobs 1 --endpoint-url {at_first}"),
        Kind::Realm => format!("copy docker://{}/app:1 oci:out", &at_first["http://".len()..]),
        Kind::Sts => {
            let role = "[profile role]\nrole_arn = arn:aws:iam::000000000000:role/r\ncredential_source = Environment\n";
            machine.write("home/.aws/config", role);
            machine.set("AWS_ENDPOINT_URL_STS", url);
            format!("describe-repositories --profile role --endpoint-url {at_first}")
        }
    };
    let line = format!("{line} {options}");
    machine.ecr(&line.split_whitespace().collect::<Vec<_>>())
}

/// Returns the server that is asked without TLS before, and names the URL that is asked then.
fn first(kind: Kind, url: &str) -> Option<Peer> {
    let (config, manifest) = image();
    let realm = format!("WWW-Authenticate: Bearer realm=\"{url}/token\"\r\n");
    let url = url.to_owned();
    let answered = |body: serde_json::Value| ("200 OK", String::new(), body.to_string());
    match kind {
        Kind::Api | Kind::Registry => None,
        Kind::Realm => Some(Peer::answering(move |_| ("401 Unauthorized", realm.clone(), String::new()))),
        Kind::Sts => Some(Peer::answering(move |_| answered(json!({"repositories": []})))),
        Kind::Download => Some(Peer::answering(move |head| {
            let blob = digest(config.as_bytes());
            if head.contains("batchgetimage") {
                let id = json!({"imageDigest": digest(manifest.as_bytes())});
                return answered(
                    json!({"images": [{"imageId": id, "imageManifest": manifest}], "failures": []}),
                );
            }
            answered(json!({"downloadUrl": format!("{url}/v2/app/blobs/{blob}?X-Amz-Signature=hunter2")}))
        })),
    }
}

/// Returns whether the last request to a URL was answered, by the log of `--debug`.
fn is_answered(outcome: &Outcome, url: &str) -> bool {
    let log: Vec<&str> =
        outcome.stderr.lines().filter(|line| line.contains("request ") || line.contains("answer")).collect();
    let asked = log.iter().rposition(|line| line.contains("request ") && line.contains(url));
    asked.is_some_and(|at| {
        log[at..].iter().any(|line| line.contains(" answer ") && !line.contains("no answer"))
    })
}

/// Runs a check for every kind at once: some wait for a second, several times.
fn for_every_kind(check: impl Fn(Kind) + Sync) {
    std::thread::scope(|scope| {
        for kind in KINDS {
            let check = &check;
            scope.spawn(move || check(kind));
        }
    });
}

#[test]
fn the_store_is_read_directly_beside_a_server_with_an_untrusted_certificate() {
    let machine = machine();
    let _server = secured(&machine, "server");
    machine.ok("--local pull app:1 out");
}

#[test]
fn trust_is_the_same_for_every_connection() {
    let (one, other) = (machine(), machine());
    let (signed, own) = (secured(&one, "server"), secured(&other, "self-signed"));
    let unknown =
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate";
    let own_bundle = format!("--ca-bundle {TLS}/self-signed.pem");
    let file = format!("--ca-bundle {TLS}/folder/24934735.0");
    let folder = format!("--ca-bundle {TLS}/folder");
    for_every_kind(|kind| {
        for (server, options, reason) in [
            (&signed, file.as_str(), None),
            (&signed, &folder, None),
            (&own, &own_bundle, None),
            (&signed, "--no-verify-ssl", None),
            (&own, "--no-verify-ssl", None),
            (&signed, &own_bundle, Some(unknown)),
            (&own, &file, Some("CERTIFICATE_VERIFY_FAILED")),
        ] {
            let url = format!("https://{}", server.address);
            let outcome = connect(kind, &url, &[], &format!("{options} --debug"));
            let said = outcome.transcript();
            assert_eq!(is_answered(&outcome, &url), reason.is_none(), "{kind:?} {options}\n{said}");
            assert!(reason.is_none_or(|reason| said.contains(reason)), "{kind:?} {options}\n{said}");
            for foreign in ["CaUsedAsEndEntity", "UnknownIssuer", "hunter2"] {
                assert!(!said.contains(foreign), "{kind:?} {options}\n{said}");
            }
            let is_whole = matches!(kind, Kind::Api | Kind::Registry);
            assert!(!is_whole || (outcome.code == 0) == reason.is_none(), "{kind:?} {options}\n{said}");
        }
    });
}

#[test]
fn proxies_and_their_exceptions_are_the_same_for_every_connection() {
    let one = machine();
    let server = secured(&one, "server");
    let url = format!("https://{}", server.address);
    let options = format!("--ca-bundle {TLS}/folder --debug");
    for_every_kind(|kind| {
        let refuse = |_: &str| ("403 Forbidden", String::new(), String::new());
        for no_proxy in ["", "elsewhere", "127.0.0.1", "0.0.1", "*"] {
            let proxy = Peer::answering(refuse);
            let variables = [
                ("HTTPS_PROXY", format!("http://me:hunter2@{}", proxy.address)),
                ("NO_PROXY", no_proxy.to_owned()),
            ];
            let outcome = connect(kind, &url, &variables, &options);
            let (said, asked) = (outcome.transcript(), proxy.heads());
            let bypassed = !matches!(no_proxy, "" | "elsewhere");
            assert_eq!(is_answered(&outcome, &url), bypassed, "{kind:?} {no_proxy}\n{said}");
            assert_eq!(asked.is_empty(), bypassed, "{kind:?} {no_proxy}\n{said}");
            let tunnel = format!("connect {} http/1.1", server.address);
            // me:hunter2
            let login = "proxy-authorization: basic bwu6ahvudgvymg==";
            let is_fine = |head: &String| head.starts_with(&tunnel) && head.contains(login);
            assert!(asked.iter().all(is_fine), "{kind:?} {asked:?}");
            assert!(!said.contains("hunter2"), "{kind:?} {said}");
            assert!(bypassed || said.contains(&format!("http://{}", proxy.address)), "{kind:?} {said}");
        }
    });
}

#[test]
fn every_connection_heeds_the_timeouts() {
    for_every_kind(|kind| {
        let (silent, unreachable) = (Peer::silent(), Unreachable::new());
        for (address, option, ours, of_aws) in [
            (&silent.address, "--cli-read-timeout", "nothing arrived within", "Read timeout on endpoint URL"),
            (
                &unreachable.address,
                "--cli-connect-timeout",
                "cannot connect within",
                "Connect timeout on endpoint URL",
            ),
        ] {
            let begun = Instant::now();
            let outcome = connect(kind, &format!("http://{address}"), &[], &format!("{option} 1"));
            let (taken, said) = (begun.elapsed(), outcome.transcript());
            assert!(taken > Duration::from_millis(900), "{kind:?} {option} {taken:?}\n{said}");
            assert!(taken < Duration::from_secs(50), "{kind:?} {option} {taken:?}\n{said}");
            let words = match kind {
                Kind::Api => of_aws,
                Kind::Sts => "takes too long",
                Kind::Registry | Kind::Download | Kind::Realm => ours,
            };
            assert!(said.contains(words), "{kind:?} {option}\n{said}");
        }
    });
}

#[test]
fn an_engine_heeds_the_timeouts_and_is_logged() {
    let (silent, unreachable) = (Peer::silent(), Unreachable::new());
    let mut machine = super::machine();
    super::layout(&machine.path().join("layout"));
    for (address, option, reason) in [
        (
            &silent.address,
            "--cli-read-timeout",
            "nothing arrived within the time that --cli-read-timeout allows",
        ),
        (
            &unreachable.address,
            "--cli-connect-timeout",
            "no connection within the time that --cli-connect-timeout allows",
        ),
    ] {
        machine.set("DOCKER_HOST", format!("tcp://{address}"));
        let said = machine.fails(255, &format!("copy oci:layout:1 docker-daemon:app {option} 1"));
        assert_eq!(said, format!("error: cannot reach the engine at {address}: {reason}\n"));
    }
    machine.set("DOCKER_HOST", format!("tcp://{}", silent.address)).set("HTTP_PROXY", "http://127.0.0.1:1");
    let said = machine.fails(255, "copy oci:layout:1 docker-daemon:app --cli-read-timeout 1 --debug");
    assert!(said.contains(&format!("request GET {}/_ping", silent.address)), "{said}");
}

/// TLS if the server speaks it, else none, as docker, crane and skopeo do.
#[test]
fn a_local_registry_with_tls_is_asked_with_tls() {
    let (one, other) = (machine(), machine());
    let secured = secured(&one, "server");
    let plain = {
        other.ok("--local create-repository --repository-name app");
        Serve::start(&other, &["--anonymous"])
    };
    let port = |server: &Serve| server.address.rsplit(':').next().unwrap().to_owned();
    for (number, host) in
        [secured.address.clone(), format!("localhost:{}", port(&secured))].iter().enumerate()
    {
        for (kind, place) in [("v2", format!("docker://{host}/app:1")), ("api", format!("{host}/app:1"))] {
            let line = format!("copy {place} oci:{kind}{number}");
            let refused = one.ecr(&line.split(' ').collect::<Vec<_>>());
            assert_ne!(refused.code, 0, "{line}");
            assert!(refused.stderr.contains("CERTIFICATE_VERIFY_FAILED"), "{}", refused.transcript());
            one.ok(&format!("{line} --ca-bundle {TLS}/folder"));
        }
    }
    // A list of two pages: the second is asked for as the first request has found out.
    super::layout(&one.path().join("layout"));
    one.ok("--local push oci:layout app:second");
    for image in ["1", "second"] {
        let tags: Vec<String> = (0..600).map(|number| format!("{image}-{number}")).collect();
        one.ok(&format!("--local tag app:{image} {}", tags.join(" ")));
    }
    let source = format!("docker://{}/app", secured.address);
    one.ok(&format!("copy {source} oci:pages --match second-599 --ca-bundle {TLS}/folder"));
    super::layout(&other.path().join("layout"));
    for (number, host) in [plain.address.clone(), format!("localhost:{}", port(&plain))].iter().enumerate() {
        for (kind, place) in [("v2", format!("docker://{host}/app")), ("api", format!("{host}/app"))] {
            other.ok(&format!("copy oci:layout {place}:{kind}{number}"));
        }
    }
}
