//! Makes a release start faster: docker runs this program for every image, and then most of the time is the start.
//!
//! - `warm.ld` puts the functions of a login from the cache side by side.
//! - The unwinder is linked in, as the C compiler has it, instead of being loaded as a library of its own. A binary that
//!   was built with GCC 12 or newer then needs glibc 2.35.
//!
//! Linkers differ. Whatever the one that is used here does not take in a trial is left out, and nothing else changes.

#![allow(clippy::print_stdout, reason = "cargo reads what a build script prints")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=warm.ld");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    if variable("PROFILE") != "release" || variable("CARGO_CFG_TARGET_ENV") != "gnu" {
        return;
    }
    let folder = PathBuf::from(variable("OUT_DIR"));
    let order = format!("-Wl,-T,{}/warm.ld", variable("CARGO_MANIFEST_DIR"));
    if links(&folder, &["-C", &format!("link-arg={order}")]) {
        println!("cargo::rustc-link-arg-bins={order}");
    }
    if links(&folder, &["-l", "static:-bundle=gcc_eh"]) {
        println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
    }
}

/// Whether a small program can be built with these arguments, and with those that cargo uses here.
fn links(folder: &Path, arguments: &[&str]) -> bool {
    let source = folder.join("trial.rs");
    if std::fs::write(&source, "fn main() {}\n").is_err() {
        return false;
    }
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let mut command = Command::new(variable("RUSTC").unwrap_or_else(|| "rustc".to_owned()));
    command.arg(&source).arg("-o").arg(folder.join("trial"));
    command.args(variable("TARGET").iter().flat_map(|target| ["--target", target]));
    if let Some(linker) = variable("RUSTC_LINKER") {
        command.arg("-C").arg(format!("linker={linker}"));
    }
    if let Some(flags) = variable("CARGO_ENCODED_RUSTFLAGS") {
        command.args(flags.split('\u{1f}'));
    }
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
