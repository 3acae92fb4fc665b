//! Pull through cache: a scripted registry upstream, and clients of `ecr local` that pull what only it has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::harness::Machine;
use crate::harness::http::{Reply, Request, Server, response};
use crate::harness::registry::{Serve, digest};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LAYER: &[u8] = b"a layer that only upstream has";

/// A registry that was written for these tests alone; it notes what it is asked.
struct Upstream {
    address: String,
    state: Arc<Mutex<State>>,
    _server: Server,
}

#[derive(Default)]
struct State {
    /// Content by the end of its path: its media type and its bytes.
    content: HashMap<String, (String, Vec<u8>)>,
    log: Vec<String>,
    /// The status of every answer, where it is not to answer as it should.
    broken: Option<u16>,
    /// The `Authorization` that it insists on.
    login: Option<String>,
}

impl Upstream {
    fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| Reply::KeepAlive(shared.lock().unwrap().answer(request)));
        Self { address: server.address.clone(), state, _server: server }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn add(&self, path: &str, media_type: &str, content: &[u8]) {
        self.state().content.insert(path.to_owned(), (media_type.to_owned(), content.to_vec()));
    }

    /// Adds an image with a configuration of its own; answers its manifest's digest.
    fn image(&self, repository: &str, tag: &str, configuration: &str) -> String {
        let blob = |content: &[u8]| {
            self.add(&format!("{repository}/blobs/{}", digest(content)), "application/octet-stream", content);
            json!({ "mediaType": "a/b", "digest": digest(content), "size": content.len() })
        };
        let (config, layer) = (blob(configuration.as_bytes()), blob(LAYER));
        let manifest = json!({
            "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [layer]
        });
        self.manifest(repository, tag, IMAGE, &manifest)
    }

    fn manifest(&self, repository: &str, tag: &str, media_type: &str, manifest: &Value) -> String {
        let text = manifest.to_string();
        let digest = digest(text.as_bytes());
        for name in [tag, &digest] {
            self.add(&format!("{repository}/manifests/{name}"), media_type, text.as_bytes());
        }
        digest
    }

    fn count(&self, part: &str) -> usize {
        self.state().log.iter().filter(|line| line.contains(part)).count()
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Vec<u8> {
        let (method, path) = (&request.method, &request.path);
        self.log.push(format!("{method} {path}"));
        let say = |status: u16, headers: &str, body: &[u8]| {
            let mut bytes = response(&format!("{status} ."), headers, body);
            if method == "HEAD" {
                bytes.truncate(bytes.len() - body.len());
            }
            bytes
        };
        if let Some(status) = self.broken {
            return say(status, "", b"");
        }
        if self.login.as_ref().is_some_and(|login| !request.head.contains(login.as_str())) {
            return say(401, "WWW-Authenticate: Basic realm=\"x\"\r\n", b"");
        }
        if path == "/v2/" {
            return say(200, "", b"{}");
        }
        match self.content.iter().find(|(end, _)| path.ends_with(end.as_str())) {
            Some((_, (media_type, body))) => say(200, &format!("Content-Type: {media_type}\r\n"), body),
            None => say(404, "", br#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
        }
    }
}

/// A machine with a server and a rule `hub` for a registry upstream.
fn caching(upstream: &Upstream) -> (Machine, Serve) {
    let mut machine = Machine::new();
    let server = Serve::start(&machine, &["--anonymous"]);
    machine.set("AWS_ENDPOINT_URL", format!("http://{}", server.address));
    machine.set("AWS_ACCESS_KEY_ID", "111122223333").set("AWS_SECRET_ACCESS_KEY", "secret");
    machine.set("AWS_REGION", "eu-west-1");
    rule(&machine, "hub", &upstream.address, "");
    (machine, server)
}

fn rule(machine: &Machine, prefix: &str, address: &str, more: &str) {
    let _ = machine.ok(&format!(
        "create-pull-through-cache-rule --ecr-repository-prefix {prefix} --upstream-registry-url http://{address} {more}"
    ));
}

fn digests(machine: &Machine, repository: &str) -> String {
    machine.ok(&format!(
        "list-images --repository-name {repository} --query imageIds[].imageDigest --output text"
    ))
}

/// Pretends that all tags were looked up long ago.
fn age(machine: &Machine) {
    let database = rusqlite::Connection::open(machine.path().join("home/ecr/ecr.db")).unwrap();
    database.execute("UPDATE image_tag SET tagged_at = 0", []).unwrap();
}

#[test]
fn a_pull_fetches_and_keeps_missing_content() {
    let upstream = Upstream::start();
    let image = upstream.image("team/app", "1", "{}");
    let other = upstream.image("team/app", "other", r#"{"other":1}"#);
    let list = |digest: &str| json!({ "mediaType": IMAGE, "digest": digest, "size": 1 });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [list(&image), list(&other)] });
    let index = upstream.manifest("team/app", "all", INDEX, &index);
    let (machine, server) = caching(&upstream);
    let _ = machine.ok("create-repository-creation-template --prefix hub --applied-for PULL_THROUGH_CACHE \
         --resource-tags Key=from,Value=template");
    // Without an account, the registry with the rule is meant.
    let pulled = server.get("/v2/hub/team/app/manifests/all");
    assert_eq!((pulled.status, pulled.header("docker-content-digest")), (200, Some(index.as_str())));
    assert_eq!(pulled.header("content-type"), Some(INDEX));
    let blob = format!("/v2/hub/team/app/blobs/{}", digest(LAYER));
    assert_eq!(server.get(&blob).body, LAYER);
    let mut found: Vec<String> =
        digests(&machine, "hub/team/app").split_whitespace().map(str::to_owned).collect();
    let mut expected = vec![image.clone(), other, index];
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let arn = "arn:aws:ecr:eu-west-1:111122223333:repository/hub/team/app";
    assert_eq!(
        machine.ok(&format!("list-tags-for-resource --resource-arn {arn} --output text")),
        "TAGS\tfrom\ttemplate\n"
    );
    // The layer that both images have came once, and what is here does not come again.
    assert_eq!(upstream.count(&digest(LAYER)), 1);
    let asked = upstream.state().log.len();
    assert_eq!(server.get("/v2/hub/team/app/manifests/all").status, 200);
    assert_eq!(server.get(&format!("/v2/hub/team/app/manifests/{image}")).status, 200);
    assert_eq!(upstream.state().log.len(), asked);
    assert_eq!(machine.ok("local check"), "");
}

#[test]
fn the_api_fetches_too() {
    let upstream = Upstream::start();
    let image = upstream.image("app", "1", "{}");
    let (mut machine, server) = caching(&upstream);
    let query = "--query [images[].imageId.imageDigest,failures[].failureCode] --output json";
    let got = machine
        .ok(&format!("batch-get-image --repository-name hub/app --image-ids imageTag=1 imageTag=2 {query}"));
    assert_eq!(serde_json::from_str::<Value>(&got).unwrap(), json!([[image], ["ImageNotFound"]]));
    let said = machine.fails(254, "batch-get-image --repository-name hub/none --image-ids imageTag=1");
    assert!(said.contains("(RepositoryNotFoundException)"), "{said}");
    // A layer of an image that was never asked for.
    let layer = b"alone";
    upstream.add(&format!("lone/blobs/{}", digest(layer)), "application/octet-stream", layer);
    let url = machine.ok(&format!(
        "get-download-url-for-layer --repository-name hub/lone --layer-digest {} --query downloadUrl --output text",
        digest(layer)
    ));
    let path = url.trim().strip_prefix(&format!("http://{}", server.address)).unwrap();
    assert_eq!(server.get(path).body, layer);
    // And without a server.
    let another = machine.path().join("another");
    machine.unset("AWS_ENDPOINT_URL").set("ECR_LOCAL_FOLDER", another);
    rule(&machine, "hub", &upstream.address, "--local");
    let got = machine
        .ok(&format!("--local batch-get-image --repository-name hub/app --image-ids imageTag=1 {query}"));
    assert_eq!(serde_json::from_str::<Value>(&got).unwrap(), json!([[image], []]));
    let _ = machine.ok("--local pull hub/app:1 oci:pulled");
}

#[test]
fn referrers_come_from_upstream_too() {
    let upstream = Upstream::start();
    let image = upstream.image("app", "1", "{}");
    let (machine, server) = caching(&upstream);
    // A registry without the referrers API, with its index under a tag; what is listed and gone is left out.
    let empty =
        json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2 });
    upstream.add(&format!("app/blobs/{}", digest(b"{}")), "application/octet-stream", b"{}");
    let signature = json!({
        "schemaVersion": 2, "mediaType": IMAGE, "artifactType": "a/signature", "config": empty, "layers": [empty],
        "subject": { "mediaType": IMAGE, "digest": image, "size": 1 }, "annotations": { "by": "me" },
    });
    let signature = upstream.manifest("app", "signature", IMAGE, &signature);
    let entry = |digest: &str| json!({ "mediaType": IMAGE, "digest": digest, "size": 1 });
    let listing = json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry(&signature), entry(&digest(b"gone"))],
    });
    let tag = image.replace(':', "-");
    let _ = upstream.manifest("app", &tag, INDEX, &listing);
    assert_eq!(server.get("/v2/hub/app/manifests/1").status, 200);

    let list = format!(
        "list-image-referrers --repository-name hub/app --subject-id imageDigest={image} \
         --query referrers[].[digest,artifactType,annotations.by] --output text"
    );
    let path = format!("/v2/hub/app/referrers/{image}");
    let found = server.get(&path);
    let index: Value = serde_json::from_slice(&found.body).unwrap();
    assert_eq!(index["manifests"][0]["digest"], json!(signature));
    assert_eq!(index["manifests"][0]["artifactType"], "a/signature");
    assert_eq!(machine.ok(&list), format!("{signature}\ta/signature\tme\n"));
    // Once a day is enough.
    assert_eq!(upstream.count(&tag), 1);

    // If nothing is cached, the reason is reported.
    upstream.state().broken = Some(500);
    let other = list.replace(&image, &digest(b"other"));
    let said = machine.fails(254, &other);
    assert!(said.contains("(UnableToListUpstreamImageReferrersException)"), "{said}");
    // Who cannot be reached is left alone for a while, and what is here is listed.
    assert_eq!(machine.ok(&other), "");
    assert_eq!(machine.ok(&list), format!("{signature}\ta/signature\tme\n"));

    // Another registry of the store passes it on.
    let source = "111122223333.dkr.ecr.eu-west-1.amazonaws.com";
    let _ = machine.ok(&format!(
        "--region us-east-1 create-pull-through-cache-rule --ecr-repository-prefix ROOT --upstream-registry-url {source}"
    ));
    let _ = machine.ok("--region us-east-1 batch-get-image --repository-name hub/app --image-ids imageTag=1");
    let there = format!("--region us-east-1 {list}");
    assert_eq!(machine.ok(&there), format!("{signature}\ta/signature\tme\n"));
}

#[test]
fn fifty_pulls_at_once_fetch_once() {
    let upstream = Upstream::start();
    let _ = upstream.image("app", "1", "{}");
    let (_machine, server) = caching(&upstream);
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| assert_eq!(server.get("/v2/hub/app/manifests/1").status, 200));
        }
    });
    assert_eq!(upstream.count("GET /v2/app/manifests/1"), 1, "{:?}", upstream.state().log);
    assert_eq!(upstream.count(&digest(LAYER)), 1);
}

#[test]
fn a_tag_is_looked_up_again_after_a_day() {
    let upstream = Upstream::start();
    let old = upstream.image("app", "1", "{}");
    let (machine, server) = caching(&upstream);
    let pulled = || {
        let answer = server.get("/v2/hub/app/manifests/1");
        let head = server.send("HEAD /v2/hub/app/manifests/1", &[], b"");
        assert_eq!(answer.header("docker-content-digest"), head.header("docker-content-digest"));
        answer.header("docker-content-digest").unwrap_or_default().to_owned()
    };
    assert_eq!(pulled(), old);
    let new = upstream.image("app", "1", r#"{"new":1}"#);
    assert_eq!(pulled(), old);
    // What cannot be looked up stays, and the registry is not asked again at once.
    upstream.state().broken = Some(403);
    age(&machine);
    assert_eq!(pulled(), old);
    upstream.state().broken = None;
    assert_eq!(pulled(), new);
    let asked = upstream.count("manifests/1");
    assert_eq!(pulled(), new);
    assert_eq!(upstream.count("manifests/1"), asked);
    // A tag that is gone upstream stays here.
    age(&machine);
    upstream.state().content.clear();
    assert_eq!(pulled(), new);
    assert_eq!(upstream.count("manifests/1"), asked + 1);
}

#[test]
fn refusals_and_damage_of_upstream_are_reported() {
    let upstream = Upstream::start();
    let _ = upstream.image("app", "1", "{}");
    let (machine, server) = caching(&upstream);
    rule(&machine, "gone", "127.0.0.1:1", "");
    assert_eq!(server.get("/v2/gone/app/manifests/1").status, 502);
    let said = machine.fails(254, "batch-get-image --repository-name gone/app --image-ids imageTag=1");
    assert!(said.contains("(UnableToGetUpstreamImageException)"), "{said}");
    // A blob whose bytes are others is not here afterwards, and its image is not either.
    upstream.add(&format!("app/blobs/{}", digest(LAYER)), "a/b", &LAYER.to_ascii_uppercase());
    let refused = server.get("/v2/hub/app/manifests/1");
    assert_eq!(refused.status, 502, "{}", refused.text());
    assert_eq!(server.send(&format!("HEAD /v2/hub/app/blobs/{}", digest(LAYER)), &[], b"").status, 404);
    assert_eq!(machine.ok("list-images --repository-name hub/app --query imageIds --output json"), "[]\n");
    assert_eq!(machine.ok("local check"), "");
    let valid = |prefix: &str| {
        let line = "validate-pull-through-cache-rule --query [isValid,failure] --output json --ecr-repository-prefix";
        serde_json::from_str::<Value>(&machine.ok(&format!("{line} {prefix}"))).unwrap()
    };
    assert_eq!(valid("hub"), json!([true, null]));
    assert_eq!(valid("gone")[0], json!(false));
    upstream.state().broken = Some(403);
    let expected = format!(
        "{0} refused to let us enter (HTTP 403); no login for {0} was found in docker's or podman's configuration",
        upstream.address
    );
    assert_eq!(valid("hub"), json!([false, expected]));
}

#[test]
fn a_secret_is_the_login_that_docker_keeps() {
    let upstream = Upstream::start();
    let _ = upstream.image("library/app", "1", "{}");
    upstream.state().login = Some("Basic dXNlcjpwYXNz".to_owned());
    let (machine, server) = caching(&upstream);
    let secret = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:ecr-pullthroughcache/x";
    let more = format!(
        "--credential-arn {secret} --upstream-registry docker-hub --upstream-repository-prefix library"
    );
    rule(&machine, "private", &upstream.address, &more);
    let valid = "validate-pull-through-cache-rule --query isValid --output text --ecr-repository-prefix";
    assert_eq!(server.get("/v2/private/app/manifests/1").status, 502);
    assert_eq!(machine.ok(&format!("{valid} private")), "False\n");
    let auths = json!({ "auths": { &upstream.address: { "auth": "dXNlcjpwYXNz" } } });
    machine.write("home/.docker/config.json", auths.to_string());
    assert_eq!(machine.ok(&format!("{valid} private")), "True\n");
    assert_eq!(server.get("/v2/private/app/manifests/1").status, 200);
    // A rule without a secret does not get it.
    assert_eq!(machine.ok(&format!("{valid} hub")), "False\n");
    assert_eq!(server.get("/v2/hub/library/app/manifests/1").status, 502);
}

#[test]
fn another_registry_of_the_store_can_be_upstream() {
    let upstream = Upstream::start();
    let image = upstream.image("app", "1", "{}");
    let (machine, server) = caching(&upstream);
    assert_eq!(server.get("/v2/hub/app/manifests/1").status, 200);
    let source = "111122223333.dkr.ecr.eu-west-1.amazonaws.com";
    let _ = machine.ok(&format!(
        "--region us-east-1 create-pull-through-cache-rule --ecr-repository-prefix ROOT --upstream-registry-url {source}"
    ));
    let query = "--query images[].imageId.imageDigest --output text";
    let line = format!(
        "batch-get-image --region us-east-1 --repository-name hub/app --image-ids imageTag=1 {query}"
    );
    assert_eq!(machine.ok(&line), format!("{image}\n"));
    assert_eq!(upstream.count("manifests/1"), 1);
    let valid =
        "validate-pull-through-cache-rule --region us-east-1 --ecr-repository-prefix ROOT --query isValid";
    assert_eq!(machine.ok(&format!("{valid} --output text")), "True\n");
    let said = machine.fails(254, &line.replace("hub/app", "hub/none"));
    assert!(said.contains("(RepositoryNotFoundException)"), "{said}");
}

#[test]
fn a_policy_can_forbid_to_fetch() {
    let upstream = Upstream::start();
    let _ = upstream.image("app", "1", "{}");
    let mut machine = Machine::new();
    let server = Serve::start(&machine, &["--anonymous", "--enforce-policies", "--account", "111122223333"]);
    machine.set("AWS_ENDPOINT_URL", format!("http://{}", server.address));
    machine.set("AWS_ACCESS_KEY_ID", "111122223333").set("AWS_SECRET_ACCESS_KEY", "secret");
    machine.set("AWS_REGION", "us-east-1");
    rule(&machine, "hub", &upstream.address, "");
    let policy = |action: &str| {
        let statement = json!({
            "Sid": "a", "Effect": "Deny", "Principal": "*", "Action": [action],
            "Resource": "arn:aws:ecr:us-east-1:111122223333:repository/hub/*",
        });
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
        let _ = machine.ok(&format!("put-registry-policy --policy-text {policy}"));
    };
    policy("ecr:BatchImportUpstreamImage");
    let said = machine.fails(254, "batch-get-image --repository-name hub/app --image-ids imageTag=1");
    assert!(
        said.contains("(AccessDeniedException)") && said.contains("ecr:BatchImportUpstreamImage"),
        "{said}"
    );
    assert_eq!(server.get("/v2/hub/app/manifests/1").status, 403);
    assert_eq!(server.get(&format!("/v2/hub/app/blobs/{}", digest(LAYER))).status, 403);
    assert!(upstream.state().log.is_empty());
    // Fetched images need no permission to push.
    policy("ecr:PutImage");
    assert_eq!(server.get("/v2/hub/app/manifests/1").status, 200);
}
