//! `man/` and `completions/` are made from the command tree. This test is their generator: it compares every byte and
//! the set of files, and rewrites them with `UPDATE=1 cargo test --test integration generated`.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Command;
use clap_mangen::roff::{Roff, roman};

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
