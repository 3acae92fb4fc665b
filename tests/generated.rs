//! `man/` and `completions/` are made from the command tree, and docs/permissions.md from the table of IAM actions. This test is their generator: it compares every byte and
//! the set of files, and rewrites them with `UPDATE=1 cargo test --test integration generated`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use clap::Command;
use clap_mangen::roff::{Roff, roman};
use ecr::commands::permissions::{NeededWhen, On, PERMISSIONS, Permissions};

type Files = BTreeMap<String, Vec<u8>>;

/// Compares a folder with what it should hold, or rewrites it.
fn hold(folder: &str, wanted: &Files) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    if std::env::var_os("UPDATE").is_some() {
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        for (name, bytes) in wanted {
            std::fs::write(path.join(name), bytes).unwrap();
        }
    }
    let mut found = Files::new();
    for entry in std::fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        found.insert(entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
    }
    let stale: Vec<&String> =
        wanted.keys().chain(found.keys()).filter(|name| wanted.get(*name) != found.get(*name)).collect();
    assert!(
        stale.is_empty(),
        "{folder}/ is stale: {stale:?}\nUPDATE=1 cargo test --test integration generated"
    );
}

/// The section with the examples that stand below a command's options, which the command loses.
fn examples(command: &mut Command) -> String {
    let Some(text) = command.get_after_help().map(ToString::to_string) else { return String::new() };
    let Some(text) = text.strip_prefix("Examples:\n") else { return String::new() };
    *command = command.clone().after_help(None::<&str>);
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]).control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff.render()
}

/// A page for this command and each command below it. The options that all commands share stand on the first page only.
fn pages(command: &Command, above: Option<&str>, files: &mut Files) {
    let own = command.get_name();
    let name = above.map_or_else(|| own.to_owned(), |above| format!("{above}-{own}"));
    let mut page = command.clone();
    if above.is_some() {
        page = page.mut_args(|arg| {
            let shared = arg.get_help_heading() == Some("Global options");
            if shared { arg.hide(true) } else { arg }
        });
    }
    let examples = examples(&mut page);
    if above.is_some() {
        page = page.after_help("The options that all commands share are in ecr(1).");
    }
    let mut bytes = Vec::new();
    clap_mangen::Man::new(page).title(name.to_uppercase()).date("").render(&mut bytes).unwrap();
    bytes.extend(examples.into_bytes());
    files.insert(format!("{name}.1"), bytes);
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages(below, Some(&name), files);
    }
}

#[test]
fn manual_pages() {
    let mut command = ecr::cli::command();
    command.build();
    let mut files = Files::new();
    pages(&command, None, &mut files);
    hold("man", &files);
}

/// The scripts ask the program for everything, so that they cannot be stale; the program prints these very files.
#[test]
fn completions() {
    let scripts = ecr::cli::SHELLS.iter().filter_map(|shell| ecr::cli::completion(shell));
    hold(
        "completions",
        &scripts.map(|(name, script)| (name.to_owned(), script.as_bytes().to_vec())).collect(),
    );
}

/// A policy for somebody's work: its heading, the command, the options.
const WORK: [(&str, &str, &[&str]); 6] = [
    ("Push from CI, creating repositories", "push", &["--create"]),
    ("Pull", "pull", &[]),
    ("Mirror with `sync --all --delete`", "sync", &["--all", "--delete"]),
    ("See what is there with `images --all --tree`", "images", &["--all", "--tree"]),
    ("Clean up with `prune --all`", "prune", &["--all"]),
    ("Log docker, podman, helm or kubelet in", "login", &[]),
];

/// One row of the table for each grant of a command.
fn rows(permissions: &Permissions) -> String {
    let command = permissions.command;
    if permissions.grants.is_empty() {
        return format!("| `{command}` | | none |\n");
    }
    let mut rows = String::new();
    for (number, grant) in permissions.grants.iter().enumerate() {
        let name = if number == 0 { format!("`{command}`") } else { String::new() };
        let when = match grant.when {
            NeededWhen::Always => String::new(),
            NeededWhen::Option(option) => format!("with {option}"),
            NeededWhen::Where(what) => format!("where {what}"),
            NeededWhen::Better(what) => format!("better with: {what}"),
        };
        let side = match grant.on {
            On::Source if permissions.grants.iter().any(|grant| grant.on == On::Destination) => " (source)",
            On::Destination if permissions.grants.iter().any(|grant| grant.on == On::Source) => {
                " (destination)"
            }
            _ => "",
        };
        let actions: Vec<String> = grant.actions.iter().map(|action| format!("`{action}`")).collect();
        writeln!(rows, "| {name} | {when} | {}{side} |", actions.join(", ")).unwrap();
    }
    rows
}

#[test]
fn page_of_permissions() {
    let mut page = "\
# Permissions

Give a person or a job no more than its commands need. `ecr doctor --policy 'push --create'` prints such a policy for any
command with its options; this page has all actions, and policies for common work.

This page is made from the table that `ecr doctor` uses. Tests run commands with what is listed here, and with one action
less. An operation such as `ecr put-image` needs the action of its name (`ecr:PutImage`); `list-image-referrers` needs
`ecr:BatchGetImage`.

## Policies

Replace `eu-west-1`, `123456789012` and `team/*`. Actions with the resource `*` cannot be limited to repositories.
"
    .to_owned();
    let repositories = "arn:aws:ecr:eu-west-1:123456789012:repository/team/*";
    let every = "arn:aws:ecr:eu-west-1:123456789012:repository/*";
    for (heading, command, options) in WORK {
        let policy = Permissions::of(command).unwrap().policy(options, repositories, every);
        write!(page, "\n### {heading}\n\n```json\n{policy:#}\n```\n").unwrap();
    }
    page.push_str("\n## Actions\n\n| command | when | actions |\n|---|---|---|\n");
    page.extend(PERMISSIONS.iter().map(rows));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/permissions.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/permissions.md is stale: UPDATE=1 cargo test --test integration generated");
}
