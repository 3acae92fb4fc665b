//! Layouts and destinations that somebody else prepared: nothing is written through a link, nothing that a link leads
//! to is given out unless it is what it should be, and neither pipes nor devices hold anybody up.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::*;
use crate::harness::{Machine, Outcome};

/// A file of the user's that nobody may read or change.
const PRECIOUS: &str = "precious";

/// Prepares something at a path.
type Trap<'a> = &'a dyn Fn(&Path);

struct Prepared {
    machine: Machine,
    /// The blob of the layer, of 2 MiB.
    layer: Digest,
    digest: String,
}

impl Prepared {
    /// A machine with a layout `image` and a file of the user's.
    fn new() -> Self {
        let machine = Machine::new();
        let bytes = noise(2 * 1024 * 1024, 7);
        let digest = lay_out(&machine.path().join("image"), "1", std::slice::from_ref(&bytes));
        machine.write("home/precious", PRECIOUS);
        Self { machine, layer: Digest::of(&bytes), digest }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.machine.path().join(name)
    }

    fn precious(&self) -> PathBuf {
        self.path("home/precious")
    }

    fn blob(&self, layout: &str) -> PathBuf {
        self.path(layout).join("blobs/sha256").join(self.layer.hexadecimal())
    }

    fn unfinished(&self, layout: &str) -> PathBuf {
        self.path(layout).join(format!(".unfinished-sha256-{}", self.layer.hexadecimal()))
    }

    /// Copies the image to a layout.
    fn pull(&self, to: &str) -> Outcome {
        self.machine.ecr(&["copy", "oci:image:1", &format!("oci:{to}:1"), "--quiet"])
    }

    /// An empty layout.
    fn empty(&self, name: &str) {
        fs::create_dir(self.path(name)).unwrap();
        fs::write(self.path(name).join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        fs::write(self.path(name).join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
    }

    fn assert_untouched(&self) {
        assert_eq!(fs::read_to_string(self.precious()).unwrap(), PRECIOUS);
        assert_eq!(fs::metadata(self.precious()).unwrap().nlink(), 1);
    }

    fn assert_whole(&self, layout: &str) {
        assert!(fs::symlink_metadata(self.blob(layout)).unwrap().is_file());
        let bytes = fs::read(self.blob(layout)).unwrap();
        assert_eq!(Digest::of(&bytes), self.layer);
    }
}

#[test]
fn an_unfinished_blob_that_is_not_the_users_own_file_is_not_written_to() {
    let prepared = Prepared::new();
    let traps: [(&str, Trap<'_>); 5] = [
        ("link", &|path| symlink(prepared.precious(), path).unwrap()),
        ("dangling", &|path| symlink(prepared.path("home/new"), path).unwrap()),
        ("another-name", &|path| fs::hard_link(prepared.precious(), path).unwrap()),
        ("pipe", &|path| {
            assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        }),
        ("wide", &|path| {
            fs::write(path, "").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
        }),
    ];
    for (name, trap) in traps {
        prepared.empty(name);
        trap(&prepared.unfinished(name));
        let pulled = prepared.pull(name);
        assert_eq!((pulled.code, pulled.stdout.trim()), (0, &*prepared.digest), "{name}: {pulled:?}");
        assert_eq!(fs::read_to_string(prepared.precious()).unwrap(), PRECIOUS, "{name}");
        assert!(!prepared.path("home/new").exists(), "{name}");
        prepared.assert_whole(name);
        let _ = fs::remove_file(prepared.unfinished(name));
    }
    prepared.assert_untouched();
}

#[test]
fn folders_and_lists_that_are_links_are_refused_and_blobs_replaced() {
    let prepared = Prepared::new();
    let elsewhere = prepared.path("home/elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let not_followed = "it is a symbolic link, which is not followed here";
    let traps: [(&str, Trap<'_>, String); 5] = [
        ("blobs", &|path| symlink(&elsewhere, path.join("blobs")).unwrap(), {
            format!("cannot write in blobs/blobs: {not_followed}")
        }),
        (
            "algorithm",
            &|path| {
                fs::create_dir(path.join("blobs")).unwrap();
                symlink(&elsewhere, path.join("blobs/sha256")).unwrap();
            },
            format!("cannot write in algorithm/blobs/sha256: {not_followed}"),
        ),
        (
            "index",
            &|path| {
                fs::rename(path.join("index.json"), elsewhere.join("index.json")).unwrap();
                symlink(elsewhere.join("index.json"), path.join("index.json")).unwrap();
            },
            format!("cannot read index/index.json: {not_followed}"),
        ),
        (
            "mark",
            &|path| {
                fs::rename(path.join("oci-layout"), elsewhere.join("oci-layout")).unwrap();
                symlink(elsewhere.join("oci-layout"), path.join("oci-layout")).unwrap();
            },
            format!("cannot read mark/oci-layout: {not_followed}"),
        ),
        (
            "dangling",
            &|path| {
                fs::remove_file(path.join("index.json")).unwrap();
                symlink(elsewhere.join("none"), path.join("index.json")).unwrap();
            },
            format!("cannot read dangling/index.json: {not_followed}"),
        ),
    ];
    for (name, trap, expected) in traps {
        prepared.empty(name);
        trap(&prepared.path(name));
        let pulled = prepared.pull(name);
        assert_eq!(pulled.code, 255, "{name}: {pulled:?}");
        assert!(pulled.stderr.contains(&expected), "{name}: {}", pulled.stderr);
    }
    assert_eq!(
        fs::read_dir(&elsewhere).unwrap().count(),
        2,
        "index.json and oci-layout, which were moved there"
    );
    prepared.empty("blob");
    fs::create_dir_all(prepared.path("blob/blobs/sha256")).unwrap();
    symlink(prepared.precious(), prepared.blob("blob")).unwrap();
    assert_eq!(prepared.pull("blob").code, 0);
    prepared.assert_whole("blob");
    prepared.assert_untouched();
}

#[test]
fn a_destination_may_be_a_link_and_files_get_usual_modes() {
    let prepared = Prepared::new();
    fs::create_dir(prepared.path("images")).unwrap();
    symlink(prepared.path("images"), prepared.path("out")).unwrap();
    assert_eq!(prepared.pull("out").code, 0);
    prepared.assert_whole("images");
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    for name in ["oci-layout", "index.json"] {
        assert_eq!(mode(&prepared.path("images").join(name)) & 0o133, 0, "{name}");
    }
    assert_eq!(mode(&prepared.blob("images")) & 0o133, 0);
}

#[test]
fn targets_of_links_are_hashed_before_use() {
    let prepared = Prepared::new();
    let secret = noise(2 * 1024 * 1024, 8);
    fs::write(prepared.path("home/secret"), &secret).unwrap();
    let blob = prepared.blob("image");
    let outside = prepared.path("home/outside");
    let copy = |prepared: &Prepared| {
        let mut command =
            prepared.machine.command(env!("CARGO_BIN_EXE_ecr"), &["copy", "oci:image", "-", "--quiet"]);
        command.output().unwrap()
    };
    // Another name for the right bytes, and a link to them, are as good as a file.
    fs::hard_link(&blob, &outside).unwrap();
    assert!(copy(&prepared).status.success());
    fs::remove_file(&blob).unwrap();
    symlink(&outside, &blob).unwrap();
    assert!(copy(&prepared).status.success());
    let traps: [&dyn Fn(); 2] = [&|| symlink(prepared.path("home/secret"), &blob).unwrap(), &|| {
        fs::hard_link(prepared.path("home/secret"), &blob).unwrap();
    }];
    for trap in traps {
        fs::remove_file(&blob).unwrap();
        trap();
        let output = copy(&prepared);
        assert_eq!(output.status.code(), Some(255));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains(&format!("blob {} in ", prepared.layer)) && said.contains("is damaged"),
            "{said}"
        );
        assert!(!output.stdout.windows(64).any(|bytes| bytes == &secret[..64]));
    }
}

#[test]
fn pipes_and_devices_are_distinguished_from_files() {
    let prepared = Prepared::new();
    let blob = prepared.blob("image");
    fs::remove_file(&blob).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&blob).status().unwrap().success());
    let copied = prepared.pull("new");
    assert_eq!(copied.code, 255);
    assert!(copied.stderr.contains("it is a named pipe, expected a regular file"), "{}", copied.stderr);
    fs::remove_file(&blob).unwrap();
    symlink("/dev/zero", &blob).unwrap();
    let copied = prepared.pull("new");
    assert_eq!(copied.code, 255);
    assert!(copied.stderr.contains("it is a device, expected a regular file"), "{}", copied.stderr);
}

#[test]
fn a_blob_of_the_right_size_and_wrong_bytes_is_fetched_again_and_a_right_one_hashed_once() {
    let prepared = Prepared::new();
    assert_eq!(prepared.pull("out").code, 0);
    let marks = || fs::read_dir(prepared.path("home/.cache/ecr/verified")).unwrap().count();
    let before = marks();
    assert_eq!(before, 3, "the layer, the configuration and the manifest");
    assert_eq!(prepared.pull("out").code, 0);
    assert_eq!(marks(), before, "what is known is not hashed again");
    let mut bytes = fs::read(prepared.blob("out")).unwrap();
    bytes[1000] ^= 1;
    fs::write(prepared.blob("out"), bytes).unwrap();
    let pulled = prepared.machine.ecr(&["copy", "oci:image:1", "oci:out:2"]);
    assert_eq!(pulled.code, 0, "{pulled:?}");
    prepared.assert_whole("out");
}

#[test]
fn a_header_of_a_gigabyte_is_refused_after_little_of_it() {
    let machine = Machine::new();
    for kind in [b'L', b'K', b'x'] {
        let mut header = tar::Header::new_gnu();
        header.set_path("x").unwrap();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(1 << 30);
        header.set_cksum();
        let path = machine.write("bomb.tar", header.as_bytes());
        fs::File::options().write(true).open(&path).unwrap().set_len((1 << 30) + 2048).unwrap();
        // 256 MiB of address space: a name that is read whole does not fit.
        let limited = format!(
            "ulimit -v 262144; exec '{}' copy oci-archive:bomb.tar oci:out",
            env!("CARGO_BIN_EXE_ecr")
        );
        let output = machine.command("/bin/sh", &["-c", &limited]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let expected = "bomb.tar is not a tar file, or a damaged one: ";
        assert!(output.status.code() == Some(255) && said.contains(expected), "{}: {said}", char::from(kind));
    }
}

#[test]
fn sizes_of_two_to_the_64_add_up_to_many() {
    let machine = Machine::new();
    lay_out(&machine.path().join("image"), "1", &[vec![1; 9]]);
    let blobs = machine.path().join("image/blobs/sha256");
    let layers: Vec<Value> = (0..3)
        .map(|seed| json!({"mediaType": LAYER, "digest": Digest::of(&[seed]), "size": u64::MAX - 5}))
        .collect();
    let config = Descriptor::new(CONFIG, Digest::of(b"{}"), 2);
    let value = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": layers});
    let manifest = manifest(&value);
    fs::write(blobs.join(manifest.digest().hexadecimal()), manifest.bytes()).unwrap();
    let index = json!({"schemaVersion": 2, "manifests": [manifest.descriptor()]});
    machine.write("image/index.json", index.to_string());
    let survey = machine.ecr(&["copy", "oci:image", "oci:out", "--dry-run"]);
    assert_eq!(survey.code, 0, "{}", survey.transcript());
    assert!(survey.stderr.contains("16383.9 PiB"), "{}", survey.transcript());
}
