//! Damaged blobs and manifests.

use std::sync::{Arc, Mutex};

use super::*;
use crate::image::Digest;

/// Starts a server that asks for no credentials, with its log.
fn logging() -> (RunningServer, Arc<Mutex<Vec<String>>>) {
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&lines);
    let write = Arc::new(move |line: &str| kept.lock().unwrap().push(line.to_owned()));
    let log = Some(Log { failures_only: true, write });
    let options = Options { anonymous: true, log, ..RunningServer::options() };
    (RunningServer::with(options), lines)
}

fn content() -> Vec<u8> {
    (0..1_500_000_u32).map(|number| (number % 251) as u8).collect()
}

/// Changes one byte of a blob's file.
fn spoil(server: &RunningServer, digest: &str) -> Vec<u8> {
    let hex = digest.trim_start_matches("sha256:");
    let path = server.folder.path().join("blobs/sha256").join(&hex[..2]).join(hex);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[7] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    bytes
}

#[test]
fn a_damaged_blob_never_arrives_whole() {
    let (server, lines) = logging();
    let content = content();
    let digest = digest(&content);
    let signed = server.push(&content);
    let blob = format!("/v2/team/app/blobs/{digest}");
    for path in [&signed, &blob] {
        assert!(server.get(path, "").body == content);
    }
    let spoilt = spoil(&server, &digest);
    let told = format!(
        "{digest} is damaged on the disk, where it has the digest {}; push it again (`ecr local check` lists all)",
        Digest::of(&spoilt)
    );
    for path in [&signed, &blob] {
        let whole = server.get(path, "");
        assert_eq!(whole.header("content-length"), Some("1500000"));
        assert!(whole.body.len() < content.len(), "the last bytes stay here");
        let part = server.get(path, "Range: bytes=1000000-1000009");
        assert!(part.status == 500 && part.text().contains(&told), "{}", part.text());
    }
    let noted = lines.lock().unwrap().clone();
    let (reasons, refused): (Vec<&String>, Vec<&String>) = noted.iter().partition(|line| **line == told);
    assert!(reasons.len() == 4 && refused.len() == 2, "{noted:?}");
    assert!(refused.iter().all(|line| line.starts_with("GET /") && line.contains(" 500 ")), "{refused:?}");
    assert_eq!(server.get("/healthz", "").status, 200);
    // Pushing it again mends it, though a file of its size is there.
    let upload = format!("POST /v2/team/app/blobs/uploads/?digest={digest} HTTP/1.1");
    assert_eq!(server.request(&upload, &content).status, 201);
    for path in [&signed, &blob] {
        assert!(server.get(path, "").body == content);
    }
}

#[test]
fn a_store_that_was_opened_anew_is_read_with_care() {
    let (server, lines) = logging();
    let content = content();
    let path = server.push(&content);
    server.call("DescribeRepositories", &json!({}));
    // Nothing is known of the file any more, as after a restart: read in parts, then whole.
    let hex = digest(&content).trim_start_matches("sha256:").to_owned();
    let file = server.folder.path().join("blobs/sha256").join(&hex[..2]).join(hex);
    std::fs::write(&file, &content).unwrap();
    let part = server.get(&path, "Range: bytes=5-9");
    assert!(part.status == 206 && part.body == content[5..10]);
    assert!(server.get(&path, "").body == content);
    assert!(lines.lock().unwrap().is_empty());
}

#[test]
fn a_damaged_manifest_is_not_handed_out() {
    let (server, lines) = logging();
    server.push(b"content");
    let local = Local::open(server.folder.path()).unwrap();
    let manifests = local.write(|transaction| {
        let digest: String = transaction.query_row("SELECT digest FROM image", [], |row| row.get(0))?;
        transaction.execute("UPDATE manifest SET content = CAST('{}' AS BLOB)", [])?;
        Ok(digest)
    });
    let digest = manifests.unwrap();
    let asked = json!({ "repositoryName": "team/app", "imageIds": [{ "imageDigest": digest }] });
    let told = format!(
        "the manifest {digest} is damaged on the disk, where it has the digest {}",
        Digest::of(b"{}")
    );
    let answer = server.post("BatchGetImage", asked.to_string().as_bytes());
    assert!(answer.status == 500 && answer.text().contains(&told), "{}", answer.text());
    let answer = server.get(&format!("/v2/team/app/manifests/{digest}"), "");
    assert!(answer.status == 500 && answer.text().contains(&told), "{}", answer.text());
    let lines = lines.lock().unwrap();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.contains(&told)), "{lines:?}");
}
