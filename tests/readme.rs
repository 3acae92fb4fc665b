//! The README's commands do what it says, and what the pages for contributors name is there.

use std::path::Path;

use crate::harness::{Machine, outcome};

const README: &str = include_str!("../README.md");

/// The contents of the README's `sh` blocks, in order.
fn blocks() -> Vec<&'static str> {
    README.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_first_command_does_the_main_job() {
    assert_eq!(blocks()[0], "sh examples/tour.sh\n");
    let mut machine = Machine::new();
    machine.set("ECR", env!("CARGO_BIN_EXE_ecr"));
    let tour = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tour.sh");
    let outcome = outcome(&mut machine.command("sh", &[tour.to_str().unwrap()]));
    assert_eq!(outcome.code, 0, "{}", outcome.transcript());
    assert!(outcome.stdout.ends_with("The image came back byte for byte.\n"), "{}", outcome.transcript());
}

#[test]
fn the_second_command_runs_the_tests() {
    assert_eq!(blocks()[1], "cargo test\n");
    assert!(include_str!("../.ci/run").contains("\ncargo test --locked\n"));
}

/// Paths in backticks on the pages for contributors: what was moved or renamed would send a newcomer astray.
#[test]
fn the_pages_for_contributors_name_only_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = [include_str!("../docs/architecture.md"), include_str!("../CONTRIBUTING.md")];
    let folders = ["src/", "tests/", "docs/", "benches/", "fuzz/"];
    let named: Vec<&str> = pages
        .iter()
        .flat_map(|page| page.split('`').skip(1).step_by(2))
        .filter(|text| folders.iter().any(|folder| text.starts_with(folder)) && !text.contains(['*', ' ']))
        .collect();
    assert!(named.len() > 60, "{named:?}");
    let missing: Vec<&&str> = named.iter().filter(|path| !root.join(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
