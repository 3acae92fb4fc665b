//! The README's commands do what it says.

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
