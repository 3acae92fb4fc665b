//! The integration tests: one binary, one harness. A test reads like a transcript and depends on nothing but itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]
#![allow(clippy::too_many_lines, reason = "a transcript is read from its first line to its last")]

mod auth;
mod conformance;
mod doctor;
mod durability;
mod everyday;
mod examples;
mod full_disk;
mod generated;
mod golden;
mod harness;
mod iam;
mod layering;
mod local;
mod names;
mod network;
mod pressure;
mod properties;
mod readme;
mod registry;
mod rules;
mod serving;
mod transfer;
mod upstream;

/// A test file that nobody lists here would never run, and nobody would notice.
#[test]
fn no_test_file_is_forgotten() {
    let listed = include_str!("main.rs");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") {
            assert!(
                listed.contains(&format!("mod {module};")),
                "tests/{name} is not listed in tests/main.rs"
            );
        }
    }
}
