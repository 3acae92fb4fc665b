//! Archives to standard output: from the first byte to the last, and nothing on the disk.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use super::*;
use crate::harness::Machine;

/// A layout with two images of two layers each, one of which both have.
fn layout(machine: &Machine) -> PathBuf {
    let path = machine.path().join("layout");
    for (tag, own) in [("one", 1), ("two", 2)] {
        lay_out(&path, tag, &[noise(3_000_000, 3), noise(100_001, own)]);
    }
    path
}

fn copy(machine: &Machine, arguments: &[&str]) -> Output {
    machine.command(env!("CARGO_BIN_EXE_ecr"), &[&["copy"], arguments].concat()).output().unwrap()
}

fn unpacked(archive: &[u8]) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        std::io::copy(&mut entry, &mut std::io::sink())?;
        names.push(entry.path()?.display().to_string());
    }
    Ok(names)
}

#[test]
fn a_pipe_gets_the_bytes_of_a_file() {
    let mut machine = Machine::new();
    let layout = layout(&machine);
    machine.set("TMPDIR", "/nowhere");
    let one = format!("oci:{}:one", layout.display());
    let all = format!("oci:{}", layout.display());
    for (source, options, file, pipe) in [
        (&one, &[][..], "oci-archive:file.tar", "-"),
        (&one, &["--compress", "gzip"], "oci-archive:file.tar", "oci-archive:-"),
        (&all, &["--all-tags"], "oci-archive:file.tar", "-"),
        (&one, &[], "docker-archive:file.tar:app:1", "docker-archive:-:app:1"),
    ] {
        let filed = copy(&machine, &[&[source, file][..], options].concat());
        assert!(filed.status.success(), "{filed:?}");
        let piped = copy(&machine, &[&[source, pipe][..], options].concat());
        assert!(piped.status.success(), "{piped:?}");
        let expected = fs::read(machine.path().join("file.tar")).unwrap();
        fs::remove_file(machine.path().join("file.tar")).unwrap();
        let names = unpacked(&piped.stdout).unwrap();
        assert!(names.contains(&"index.json".to_owned()), "{names:?}");
        if options.contains(&"--compress") {
            // Which layer is ready first is chance.
            assert_eq!(piped.stdout.len(), expected.len());
        } else {
            assert!(piped.stdout == expected, "{source} {options:?}: {names:?}");
        }
        // The digest goes where there is room for it.
        for digest in String::from_utf8(filed.stdout).unwrap().lines() {
            assert!(String::from_utf8_lossy(&piped.stderr).contains(digest));
        }
    }
}

#[test]
fn a_survey_writes_nothing() {
    let machine = Machine::new();
    let source = format!("oci:{}:one", layout(&machine).display());
    let output = copy(&machine, &[&source, "-", "--dry-run"]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
}

#[test]
fn after_a_failure_nothing_lists_the_image() {
    let machine = Machine::new();
    let layout = layout(&machine);
    let layer = ecr::image::Digest::of(&noise(3_000_000, 3));
    let path = layout.join("blobs/sha256").join(layer.hexadecimal());
    let mut bytes = fs::read(&path).unwrap();
    bytes[2_999_999] ^= 1;
    fs::write(&path, bytes).unwrap();
    let output = copy(&machine, &[&format!("oci:{}:one", layout.display()), "-"]);
    assert_eq!(output.status.code(), Some(255));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("blob {layer} in {} is damaged", layout.display())), "{said}");
    assert!(!output.stdout.is_empty());
    assert!(!output.stdout.windows(10).any(|bytes| bytes == b"index.json"));
    let cut = machine.path().join("cut.tar");
    fs::write(&cut, output.stdout).unwrap();
    assert!(!reads(&machine, &cut));
}

fn reads(machine: &Machine, archive: &Path) -> bool {
    copy(machine, &[archive.to_str().unwrap(), "oci:back"]).status.success()
}

#[test]
fn a_reader_may_stop_early() {
    let machine = Machine::new();
    let source = format!("oci:{}:one", layout(&machine).display());
    let mut command = machine.command(env!("CARGO_BIN_EXE_ecr"), &["copy", &source, "-", "--quiet"]);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut few = [0; 10];
    process.stdout.take().unwrap().read_exact(&mut few).unwrap();
    assert_eq!(&few, b"oci-layout");
    let output = process.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}
