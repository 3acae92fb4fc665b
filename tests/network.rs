//! Data that leaves the machine, and the messages about it.

mod connections;
mod peers;

use std::path::Path;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::harness::Machine;
use crate::harness::registry::hex;

/// A machine with keys, which gives up after one attempt.
fn machine() -> Machine {
    let mut machine = Machine::new();
    machine
        .set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .set("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
        .set("AWS_REGION", "us-east-1")
        .set("AWS_MAX_ATTEMPTS", "1");
    machine
}

/// Writes an OCI layout with one image of one layer, tagged `1`.
fn layout(folder: &Path) {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let put = |media_type: &str, bytes: &[u8]| {
        let digest = hex(&Sha256::digest(bytes));
        std::fs::write(blobs.join(&digest), bytes).unwrap();
        json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()})
    };
    let layer = put("application/vnd.oci.image.layer.v1.tar", b"layer");
    let rootfs = json!({"type": "layers", "diff_ids": [layer["digest"]]});
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).to_string();
    let config = put("application/vnd.oci.image.config.v1+json", config.as_bytes());
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer]});
    let mut manifest = put(media_type, manifest.to_string().as_bytes());
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "1"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
}

/// Every command, asked to say all that it does, says which URLs it asks and never the password in one.
#[test]
fn debug_logs_every_command_without_passwords_of_urls() {
    for command in [
        "describe-repositories",
        "images app",
        "login",
        "push layout app:1",
        "pull app:1 pulled",
        "copy app:1 oci:copied",
        "copy app:1 oci:copied --source-region eu-west-1",
        "sync app docker://127.0.0.1:1/mirror",
    ] {
        let machine = machine();
        let folder = machine.path().join("layout");
        layout(&folder);
        let line = format!("{command} --debug --endpoint-url http://me:hunter2@127.0.0.1:1");
        let said = machine.fails(255, &line);
        assert!(said.contains("request POST http://***:***@127.0.0.1:1/"), "{command}: {said}");
        assert!(!said.contains("hunter2"), "{command}: {said}");
    }
}

#[test]
fn invalid_urls_are_reported_without_their_passwords() {
    let machine = machine();
    let plain = |line: &str| machine.fails(255, line);
    assert_eq!(
        plain("describe-repositories --endpoint-url me:hunter2@host"),
        "\necr: [ERROR]: Invalid endpoint: ***@host\n"
    );
    assert_eq!(
        plain("describe-repositories --endpoint-url http://me:hun/ter2@host:80x/"),
        "\necr: [ERROR]: Could not connect to the endpoint URL: \"http://***:***@host:80x/\"\n"
    );
    machine.write("home/.config/ecr/login.conf", "[a]\nendpoint_url = me:hunter2@host\n");
    let said = machine.ecr(&["login", "--check"]);
    assert!(said.stderr.contains("'***@host' is no URL"), "{}", said.transcript());
}
