//! The README's commands do what it says, and what the pages for contributors name is there.

use std::fmt::Write as _;
use std::path::Path;

use crate::harness::{Machine, outcome};

const README: &str = include_str!("../README.md");

/// The contents of the README's `sh` blocks, in order.
fn blocks() -> Vec<&'static str> {
    README.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// A text with its days and times as they are printed in tables replaced: every run has its own.
fn timeless(text: &str) -> String {
    let digits: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let mut neutral = text.to_owned();
    for (at, form) in digits.match_indices("0000-00-00 00:00") {
        neutral.replace_range(at..at + form.len(), "0000-00-00 00:00");
    }
    neutral
}

/// Compares each transcript of a page with what its commands print, one after another on one machine.
fn hold(page: &str) {
    let mut machine = Machine::new();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ecr"), machine.path().join("ecr")).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::os::unix::fs::symlink(root.join("examples"), machine.path().join("examples")).unwrap();
    machine.set("PATH", format!("{}:/usr/bin:/bin", machine.path().display()));
    let mut exports = String::new();
    for block in page.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let mut shown = String::new();
        for command in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
            let _ = writeln!(shown, "$ {command}");
            if command.starts_with("export ") {
                let _ = writeln!(exports, "{command}");
            } else {
                let outcome = outcome(&mut machine.command("sh", &["-c", &format!("{exports}{command}")]));
                // Notes and progress on standard error are left out; errors are not.
                shown += if outcome.code == 0 { &outcome.stdout } else { &outcome.stderr };
            }
        }
        assert_eq!(timeless(&shown), timeless(block));
    }
}

#[test]
fn its_transcripts_are_what_the_program_prints() {
    hold(README);
}

#[test]
fn transcripts_of_the_page_for_ci_are_what_the_program_prints() {
    hold(include_str!("../docs/ci.md"));
}

#[test]
fn it_is_read_in_a_few_minutes() {
    let words = README.split_whitespace().count();
    assert!(words <= 900, "{words}");
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
fn the_pages_for_contributors_name_existing_files() {
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
