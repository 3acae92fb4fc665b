//! Registries that need a login, opened with what the helper says: its own server's, and copies in between.

use serde_json::{Value, json};

use super::server::{Manner, Server};
use super::*;
use crate::harness::registry::{Serve, digest};

const ALIAS: &str = "000000000000.dkr.ecr.us-east-1.amazonaws.com";

/// A machine with an embedded ECR that asks for a login, for which login.conf has a rule.
fn served() -> (Machine, Serve) {
    let mut machine = Machine::new();
    let server = Serve::start(&machine, &[]);
    let rule = format!(
        "[embedded]\nmatch_host = {0}\nregistry = {ALIAS}\nendpoint_url = http://{0}\n",
        server.address
    );
    machine.write("home/.config/ecr/login.conf", rule);
    machine.set("AWS_ACCESS_KEY_ID", "000000000000").set("AWS_SECRET_ACCESS_KEY", SECRET);
    machine.set("AWS_REGION", "us-east-1");
    let create =
        format!("--endpoint-url http://{} create-repository --repository-name team/app", server.address);
    machine.ok(&create);
    (machine, server)
}

/// An OCI layout of one image; answers the manifest's digest.
fn layout(machine: &Machine, name: &str) -> String {
    let blob = |content: &str| {
        let digest = digest(content.as_bytes());
        machine.write(&format!("{name}/blobs/sha256/{}", &digest["sha256:".len()..]), content);
        digest
    };
    let config =
        "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": blob(config),
            "size": config.len(),
        },
        "layers": [],
    })
    .to_string();
    let digest = blob(&manifest);
    let index = json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest,
        "size": manifest.len(),
    }]});
    machine.write(&format!("{name}/index.json"), index.to_string());
    machine.write(&format!("{name}/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
    digest
}

#[test]
fn what_the_helper_says_opens_the_registry() {
    let (machine, server) = served();
    assert_eq!(server.get("/v2/").status, 401);
    let got = helper(&machine, "get", &server.address);
    let answer: Value = serde_json::from_str(&got.stdout).unwrap();
    assert_eq!((&answer["ServerURL"], &answer["Username"]), (&json!(server.address), &json!("AWS")));
    let login = base64_simd::STANDARD.encode_to_string(format!("AWS:{}", answer["Secret"].as_str().unwrap()));
    assert_eq!(server.send("GET /v2/", &[&format!("Authorization: Basic {login}")], b"").status, 200);
    let wrong = base64_simd::STANDARD.encode_to_string("AWS:wrong");
    assert_eq!(server.send("GET /v2/", &[&format!("Authorization: Basic {wrong}")], b"").status, 401);
}

#[test]
fn a_copy_logs_in_by_login_conf_and_from_the_cache() {
    let (machine, server) = served();
    let pushed = layout(&machine, "image");
    let place = format!("docker://{}/team/app:1", server.address);
    machine.ok(&format!("copy oci:image {place}"));
    assert_eq!(cached(&machine, ".json").len(), 1);
    machine.ok(&format!("copy {place} oci:again:1"));
    let index = std::fs::read_to_string(machine.path().join("again/index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    assert_eq!(index["manifests"][0]["digest"], json!(pushed));
    // docker's own way: the helper writes nothing, the file of logins does.
    let said = machine.ecr(&["login", &server.address]);
    assert_eq!(said.code, 0, "{}", said.transcript());
    let file = std::fs::read_to_string(machine.path().join("home/.docker/config.json")).unwrap();
    assert!(file.contains(&server.address), "{file}");
}

#[test]
fn a_pull_asks_the_endpoint_that_the_form_of_the_host_names() {
    for (host, endpoint) in [
        ("123456789012.DKR.ECR.eu-west-1.AmazonAWS.com", "api.ecr.eu-west-1.amazonaws.com:443"),
        ("123456789012.dkr.ecr-fips.us-west-2.amazonaws.com:443", "ecr-fips.us-west-2.amazonaws.com:443"),
        ("123456789012.dkr-ecr.us-west-2.on.aws", "ecr.us-west-2.api.aws:443"),
        ("123456789012.dkr-ecr-fips.us-west-2.on.aws", "ecr-fips.us-west-2.api.aws:443"),
    ] {
        let proxy = Server::start(Manner::Refuses(403, "no"));
        let mut machine = machine(&proxy);
        machine.unset("AWS_ENDPOINT_URL").set("HTTPS_PROXY", proxy.url());
        for arguments in [
            ["pull", &format!("{host}/app:1"), "out"],
            ["copy", &format!("docker://{host}/app:1"), "oci:out"],
        ] {
            assert_ne!(machine.ecr(&arguments).code, 0);
            let asked: Vec<String> =
                proxy.requests().into_iter().map(|request| request.line().to_owned()).collect();
            assert!(asked.last().unwrap().contains(endpoint), "{host}: {asked:?}");
        }
    }
}

#[test]
fn a_login_with_local_opens_the_server_of_the_same_folder() {
    let machine = Machine::new();
    let server = Serve::start(&machine, &[]);
    let outcome = machine.ecr(&["--local", "login", "--file", "auth.json"]);
    assert_eq!(outcome.code, 0, "{}", outcome.transcript());
    assert!(
        outcome.stderr.starts_with(&format!("Logged in to {} until ", server.address)),
        "{}",
        outcome.transcript()
    );
    let file = std::fs::read_to_string(machine.path().join("auth.json")).unwrap();
    let file: Value = serde_json::from_str(&file).unwrap();
    let login = file["auths"][&server.address]["auth"].as_str().unwrap();
    assert_eq!(server.send("GET /v2/", &[&format!("Authorization: Basic {login}")], b"").status, 200);

    let outcome = machine.ecr(&["--local", "login", "--dry-run", "--file", "other.json"]);
    assert!(outcome.stdout.contains(&format!("\"{}\"", server.address)), "{}", outcome.transcript());
    assert!(!machine.path().join("other.json").exists());
    for argument in ["localhost:5700", "--all"] {
        assert_eq!(machine.ecr(&["--local", "login", argument]).code, 252, "{argument}");
    }
    // Where there is no store yet, a dry run makes none.
    let machine = Machine::new();
    let entries = || -> Vec<_> {
        std::fs::read_dir(machine.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    let before = entries();
    let outcome = machine.ecr(&["--local", "login", "--dry-run"]);
    assert_eq!(outcome.code, 252, "{}", outcome.transcript());
    assert_eq!(entries(), before, "nothing was made");
}
