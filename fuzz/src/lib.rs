//! What each fuzz target does with its bytes. None of them may panic, hang or take memory without bound.

mod iam;
mod iam_model;
mod listing;
mod server;

use std::sync::LazyLock;

use bytes::Bytes;
use ecr::args::{Files, cli_input, shorthand};
use ecr::auth::read_login::{StoredLogin, login_in_auths};
use ecr::auth::write_login::{credential_location, forget, names_host};
use ecr::auth::{cached_token::CachedToken, json_text::JsonText};
use ecr::image::{Digest, Manifest, Reference, host::Address};
use ecr::local::{Caller, Local};
use ecr::model::{self, Service};
use ecr::output::Query;
use ecr::store::ArchiveReader;
use ecr::store::scheme::{self, Place};
use serde_json::{Map, Value, json};

pub use iam::compare as iam;
pub use listing::listing;
pub use server::{authorization, registry};

/// The targets by name.
pub const TARGETS: [(&str, fn(&[u8])); 17] = [
    ("authorization", server::authorization),
    ("manifest", manifest),
    ("operation", operation),
    ("registry", registry),
    ("policy", policy),
    ("iam", iam),
    ("lifecycle", lifecycle),
    ("shorthand", shorthand_text),
    ("query", query),
    ("yaml", yaml),
    ("json", json_input),
    ("archive", archive),
    ("tar_headers", tar_headers),
    ("client_file", client_file),
    ("docker_config", docker_config),
    ("reference", reference),
    ("listing", listing),
];

struct Store {
    local: Local,
    caller: Caller,
    _folder: tempfile::TempDir,
}

/// A store with the repository `aa`.
static STORE: LazyLock<Store> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let local = Local::open(folder.path()).expect("a new store");
    let caller = Caller::of_account("111122223333", "us-east-1");
    let store = Store { local, caller, _folder: folder };
    store.ask(model::ecr(), "CreateRepository", json!({ "repositoryName": "aa" }));
    store
});

impl Store {
    /// Asks, and sees to it that the machine never takes the blame.
    fn ask(&self, service: &'static Service, operation: &str, input: Value) {
        if let Err(fault) = self.local.answer(&self.caller, service, operation, input, None) {
            assert!(fault.status < 500, "{operation}: {fault:?}");
        }
    }
}

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

const TYPES: [&str; 3] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// Manifests, as the client and as the server reads them.
pub fn manifest(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let media_type = TYPES.get(usize::from(*first % 4)).copied();
    if let Ok(manifest) = Manifest::parse(Bytes::copy_from_slice(data), media_type) {
        assert_eq!(manifest.bytes().as_ref(), data);
        let _ =
            (manifest.subject(), manifest.referrer(), manifest.blobs().count(), manifest.children().len());
        let children: Vec<_> = manifest.children().into_iter().cloned().collect();
        let _ = manifest.with_children(&children);
    }
    let Some(text) = text(data) else { return };
    let mut input = json!({ "repositoryName": "aa", "imageManifest": text });
    if let Some(media_type) = media_type {
        input["imageManifestMediaType"] = json!(media_type);
    }
    STORE.ask(model::ecr(), "PutImage", input);
}

/// Inputs of every operation.
pub fn operation(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let mut operations: Vec<(&'static Service, &'static str)> = Vec::new();
    for service in [model::ecr(), model::ecr_public()] {
        operations.extend(service.operations().map(|operation| (service, operation.name)));
    }
    let (service, name) = operations[usize::from(*first) % operations.len()];
    if let Ok(input) = serde_json::from_slice(data) {
        STORE.ask(service, name, input);
    }
}

/// Policies: found sound or not, and put to the question whether they lock their author out.
pub fn policy(data: &[u8]) {
    let Some(text) = text(data) else { return };
    STORE.ask(model::ecr(), "SetRepositoryPolicy", json!({ "repositoryName": "aa", "policyText": text }));
    STORE.ask(model::ecr(), "PutRegistryPolicy", json!({ "policyText": text }));
}

/// Lifecycle policies, padded to the least length.
pub fn lifecycle(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let input = json!({ "repositoryName": "aa", "lifecyclePolicyText": format!("{text:100}") });
    STORE.ask(model::ecr(), "PutLifecyclePolicy", input.clone());
    STORE.ask(model::ecr(), "StartLifecyclePolicyPreview", input);
}

fn no_files() -> Files<'static> {
    Files { home: None, variable: &|_| None, encoding: None }
}

/// The AWS CLI's shorthand.
pub fn shorthand_text(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if text.contains('@') {
        return;
    }
    if let Ok(mut value) = shorthand::parse(text, no_files()) {
        let _ = shorthand::fit(model::ecr(), "CreateRepositoryRequest", &mut value);
    }
}

/// JMESPath, over a value that holds some of everything.
pub fn query(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let value = json!({ "a": [{ "b": 1, "c": "x" }, { "b": 2.5, "c": null }], "d": { "e": [[1], [2, [3]]] }, "f": "é" });
    if let Ok(query) = Query::compile(text) {
        let _ = query.evaluate(&value);
    }
}

/// Inputs as YAML.
pub fn yaml(data: &[u8]) {
    let Some(text) = text(data).filter(|text| !text.contains("://")) else { return };
    let _ = cli_input::merge(&mut Map::new(), None, Some(text), no_files());
}

/// Inputs as JSON.
pub fn json_input(data: &[u8]) {
    let Some(text) = text(data).filter(|text| !text.contains("://")) else { return };
    let _ = cli_input::merge(&mut Map::new(), Some(text), None, no_files());
}

/// Tar files as images: OCI archives and docker archives.
pub fn archive(data: &[u8]) {
    static FOLDER: LazyLock<tempfile::TempDir> =
        LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));
    let path = FOLDER.path().join("archive.tar");
    std::fs::write(&path, data).expect("a temporary file");
    let _ = ArchiveReader::open(&path);
    for format in ["oci-archive", "docker-archive"] {
        open(&format!("{format}:{}", path.display()));
    }
}

/// Tar headers whose checksums are right, of every kind, with sizes and names as the data say.
pub fn tar_headers(data: &[u8]) {
    static FOLDER: LazyLock<tempfile::TempDir> =
        LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));
    const KINDS: &[u8] = b"0LKxgS1257D\0";
    let mut archive = Vec::new();
    for piece in data.chunks(40) {
        let (kind, shape, words) =
            (piece[0], piece.get(1).copied().unwrap_or(0), piece.get(2..).unwrap_or_default());
        let mut header = [0; 512];
        header[156] = KINDS[usize::from(kind) % KINDS.len()];
        header[257..263].copy_from_slice(if shape & 1 == 0 { b"ustar\0" } else { b"ustar " });
        // The name and, for links, the target; a sparse file's map lies where the prefix is.
        let place = [0, 157, 345, 386][usize::from(shape >> 1) % 4];
        header[place..place + words.len()].copy_from_slice(words);
        match shape >> 3 & 3 {
            0 => header[124..136].copy_from_slice(format!("{:011o}\0", words.len()).as_bytes()),
            1 => header[124..136].copy_from_slice(b"77777777777\0"),
            2 => header[124..124 + words.len().min(12)].copy_from_slice(&words[..words.len().min(12)]),
            _ => header[124..136]
                .copy_from_slice(&[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, kind]),
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend_from_slice(&header);
        if shape >> 5 & 1 == 0 {
            archive.extend_from_slice(words);
            archive.resize(archive.len().next_multiple_of(512), 0);
        }
    }
    let path = FOLDER.path().join("headers.tar");
    std::fs::write(&path, archive).expect("a temporary file");
    let _ = ArchiveReader::open(&path);
    open(&format!("docker-archive:{}", path.display()));
}

/// Configurations of docker and podman, and kept tokens.
pub fn client_file(data: &[u8]) {
    if let Some(entry) = CachedToken::read(data) {
        let _ = (entry.freshness(0), entry.login());
    }
    let Some(text) = text(data) else { return };
    let _ = ecr::auth::cached_token::login(text);
    let Ok(mut file) = JsonText::read(text) else { return };
    let _ = file.keys(&["auths"]);
    if file.set(&["auths", "a.b"], &json!({ "auth": "eA==" })).is_ok() {
        assert_eq!(file.get(&["auths", "a.b", "auth"]), Some(json!("eA==")));
        file.remove(&["auths", "a.b"]);
        file.remove_if_empty(&["auths"]);
        assert!(JsonText::read(file.text()).is_ok());
    }
}

/// docker's and podman's files: a login that is looked for is the one that was written, and what is found never
/// depends on another host's entry.
pub fn docker_config(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(mut file) = JsonText::read(text) else { return };
    for host in ["docker.io", "h.example", "h.example:5000", "", "[::1]:5000", "a/b"] {
        for repository in ["", "/", "app", "team/app", "team//app/", "é/\u{0}"] {
            let _ = login_in_auths(&file, host, repository);
        }
        let _ = (credential_location(&file, host), forget(&mut file.clone(), host));
    }
    let keys = file.keys(&["auths"]);
    for key in &keys {
        let _ = (names_host(key, "h.example"), login_in_auths(&file, key, "team/app"));
    }
    let login = json!({ "username": "me", "password": "pw" });
    if file.set(&["auths", "fuzz.example/team"], &login).is_ok()
        && !keys.iter().any(|key| key.contains("fuzz"))
    {
        let expected = Some(StoredLogin::Password("me".to_owned(), "pw".to_owned()));
        assert_eq!(login_in_auths(&file, "fuzz.example", "team/app"), expected);
        assert_eq!(login_in_auths(&file, "fuzz.example", "teams"), None);
        assert!(JsonText::read(file.text()).is_ok());
    }
}

/// Names of images, hosts and digests.
pub fn reference(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(reference) = text.parse::<Reference>() {
        let _ = reference.to_string();
    }
    if let Some(address) = Address::parse(text) {
        let _ = (address.ecr(), address.to_string());
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
        let _ = digest.short();
    }
}

/// Opens an archive to read from, whatever comes of it.
fn open(text: &str) {
    if let Ok(Some(Place::Path(path))) = scheme::parse(text) {
        let _ = path.source();
    }
}
