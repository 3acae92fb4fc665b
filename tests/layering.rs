//! Permitted imports between modules. The table is the one on the crate's front page; a module without a row fails
//! here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// Module, the modules of ours that it may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("escape", &[]),
    ("platform", &[]),
    // The AWS configuration files are read in settings and auth, and the embedded ECR reads keys of the same form.
    ("ini", &[]),
    ("image", &["escape"]),
    ("iam", &["image"]),
    ("lifecycle", &["image"]),
    ("retention", &["image"]),
    ("settings", &["ini", "platform"]),
    ("network", &["settings"]),
    ("retry", &[]),
    ("args", &["model"]),
    ("output", &["model"]),
    ("service", &["model", "network", "platform", "retry", "settings"]),
    ("store", &["escape", "image", "model", "network", "platform", "retry", "service"]),
    ("transfer", &["image", "store"]),
    ("auth", &["image", "ini", "model", "platform", "retry", "service", "settings"]),
    ("local", &["iam", "image", "ini", "lifecycle", "model", "platform", "store"]),
    ("ui", &["escape", "image", "platform", "settings", "transfer"]),
    (
        "error",
        &["args", "image", "local", "model", "output", "service", "settings", "store", "transfer", "ui"],
    ),
    (
        "commands",
        &[
            "args",
            "auth",
            "error",
            "escape",
            "iam",
            "image",
            "lifecycle",
            "local",
            "model",
            "network",
            "output",
            "platform",
            "retention",
            "retry",
            "service",
            "settings",
            "store",
            "transfer",
            "ui",
        ],
    ),
    (
        "cli",
        &[
            "args", "auth", "commands", "error", "escape", "image", "local", "model", "output", "platform",
            "service", "settings", "store", "transfer", "ui",
        ],
    ),
    ("lib", &["cli", "commands", "error"]),
    ("main", &[]),
];

/// The rooms of `local`, and which of the others each may import.
const LOCAL_MAY_IMPORT: &[(&str, &[&str])] = &[
    ("store", &[]),
    ("core", &["store"]),
    ("pull_through", &["core", "store"]),
    ("aws_api", &["core", "pull_through", "store"]),
    // Bodies and responses are of the server; which of its files listens and routes is no affair of the API below.
    ("distribution", &["core", "pull_through", "http", "store"]),
    ("http", &["aws_api", "core", "distribution", "pull_through", "store"]),
    ("mod", &["aws_api", "core", "distribution", "pull_through", "http", "store"]),
];
/// Files of `local` that may import each other in a circle, at most.
const LARGEST_CIRCLE: usize = 8;

/// A word that may appear only below these modules, and why.
const ONLY_IN: &[(&str, &[&str], &str)] = &[
    (
        "std::env",
        &["platform", "settings", "main"],
        "the environment is read once, in settings; the system's, in platform",
    ),
    ("println!", &[], "bytes for the user go through ui"),
    ("eprintln!", &[], "bytes for the user go through ui"),
    ("print!", &[], "bytes for the user go through ui"),
    ("process::exit", &["main"], "the exit code is chosen once, in error"),
    ("aws_config", &["service"], "service is the only home of the AWS crates"),
    ("aws_sdk_ecr", &["service"], "service is the only home of the AWS crates"),
    ("aws_smithy", &["service"], "service is the only home of the AWS crates"),
    ("indicatif", &["ui"], "ui is the only user of indicatif"),
    ("anyhow", &["commands", "error"], "the layers below have error types of their own"),
    ("rusqlite", &["local"], "only the embedded ECR has a database"),
    ("oci_distribution", &["store"], "registries are a home of the Store trait"),
];

struct Source {
    path: PathBuf,
    module: String,
    /// The text without comments and without its tests.
    code: String,
}

fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders = vec![PathBuf::from(SOURCES)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test(&path) {
                sources.push(source(path));
            }
        }
    }
    sources
}

fn is_test(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_str().unwrap();
    name == "tests" || path.parent().is_some_and(|folder| folder.ends_with("tests"))
}

fn source(path: PathBuf) -> Source {
    let relative = path.strip_prefix(SOURCES).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    let module = first.strip_suffix(".rs").unwrap_or(first).to_owned();
    let text = std::fs::read_to_string(&path).unwrap();
    let production = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let code =
        production.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    Source { path, module, code }
}

/// The modules named in `crate::x` and `crate::{x, y::z}`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, word) in code.match_indices("crate::") {
        let rest = &code[at + word.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(members(group).iter().map(|member| leading_name(member))),
            None => drop(found.insert(leading_name(rest))),
        }
    }
    found
}

/// The parts between the commas of a `{…}` group whose opening brace is gone.
fn members(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for character in group.chars() {
        match character {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => parts.push(String::new()),
            _ => parts.last_mut().unwrap().push(character),
        }
    }
    parts
}

fn leading_name(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn modules_import_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources() {
        seen.insert(source.module.clone());
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(module, _)| *module == source.module) else {
            wrong.push(format!(
                "{}: the module {} has no row in the table",
                source.path.display(),
                source.module
            ));
            continue;
        };
        for import in imports(&source.code) {
            let known = MAY_IMPORT.iter().any(|(module, _)| *module == import);
            if known && import != source.module && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{}: {} may not import {import}", source.path.display(), source.module));
            }
        }
    }
    for (module, _) in MAY_IMPORT {
        if !seen.contains(*module) {
            wrong.push(format!("the table has a row for {module}, which does not exist"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A file of `local` by its module path, such as `core::images`; `mod` for the room's own file.
struct LocalFile {
    module: Vec<String>,
    /// The files that it imports, by their module paths.
    imports: BTreeSet<Vec<String>>,
}

impl LocalFile {
    fn room(&self) -> &str {
        self.module.first().map_or("mod", String::as_str)
    }
}

fn local_files() -> Vec<LocalFile> {
    let folder = Path::new(SOURCES).join("local");
    let sources: Vec<(Vec<String>, String)> = sources()
        .into_iter()
        .filter_map(|source| {
            let path = source.path.strip_prefix(&folder).ok()?.with_extension("");
            let parts = path.iter().map(|part| part.to_str().unwrap().to_owned());
            Some((parts.filter(|part| part != "mod").collect(), source.code))
        })
        .collect();
    let known: BTreeSet<Vec<String>> = sources.iter().map(|(module, _)| module.clone()).collect();
    let files = sources.into_iter().map(|(module, code)| {
        let code = code.replace("pub(in crate::local", "pub(in ");
        let mut imports = paths(&code, "crate::local");
        for (depth, prefix) in ["self", "super", "super::super"].into_iter().enumerate() {
            let above = &module[..module.len().saturating_sub(depth)];
            imports.extend(paths(&code, prefix).into_iter().map(|path| [above, &path].concat()));
        }
        // What a path names lies in the longest part of it that is a file.
        let file = |path: Vec<String>| {
            (0..=path.len()).rev().map(|length| path[..length].to_vec()).find(|part| known.contains(part))
        };
        let imports = imports.into_iter().filter_map(file).filter(|import| *import != module).collect();
        LocalFile { module, imports }
    });
    files.collect()
}

/// Returns the paths behind a prefix in `prefix::a::b` and `prefix::a::{b, c}`, as far as they could be modules.
fn paths(code: &str, prefix: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&format!("{prefix}::")) {
        if code[..at].ends_with(|character: char| character.is_alphanumeric() || "_:".contains(character)) {
            continue;
        }
        let mut rest = &code[at + prefix.len()..];
        let mut path = Vec::new();
        while let Some(next) = rest.strip_prefix("::") {
            if let Some(group) = next.strip_prefix('{') {
                for member in members(group) {
                    let mut whole = path.clone();
                    whole.extend(member.split("::").map(leading_name));
                    found.push(whole);
                }
                break;
            }
            path.push(leading_name(next));
            rest = &next[path[path.len() - 1].len()..];
        }
        found.push(path);
    }
    found
}

#[test]
fn the_rooms_of_local_import_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for file in local_files() {
        let row = LOCAL_MAY_IMPORT.iter().find(|(room, _)| *room == file.room());
        let (_, allowed) = row.unwrap_or_else(|| panic!("the room {} has no row", file.room()));
        for import in &file.imports {
            let room = import.first().map_or("mod", String::as_str);
            if room != file.room() && !allowed.contains(&room) {
                wrong.push(format!("local::{} may not import {}", file.module.join("::"), import.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The files that a file imports, and those that they import, and so on.
fn reached_from<'a>(files: &'a [LocalFile], from: &'a LocalFile) -> BTreeSet<&'a Vec<String>> {
    let mut reached: BTreeSet<&Vec<String>> = BTreeSet::new();
    let mut waiting: Vec<&Vec<String>> = from.imports.iter().collect();
    while let Some(next) = waiting.pop() {
        if reached.insert(next) {
            let file = files.iter().find(|file| file.module == *next);
            waiting.extend(file.into_iter().flat_map(|file| &file.imports));
        }
    }
    reached
}

/// Checks that the rooms behind the APIs take and answer types. JSON is made and read by the APIs, and by rows of the
/// database that keep it, through serde.
#[test]
fn behind_the_apis_of_local_is_no_untyped_json() {
    for room in ["core", "pull_through", "store"] {
        let folder = Path::new(SOURCES).join("local").join(room);
        for source in sources().into_iter().filter(|source| source.path.starts_with(&folder)) {
            for path in paths(&source.code, "serde_json") {
                let is_untyped = ["Map", "Number", "Value", "json", "value"].contains(&path[0].as_str());
                assert!(!is_untyped, "{}: serde_json::{}", source.path.display(), path.join("::"));
            }
        }
    }
}

/// The APIs of the embedded ECR ask the core, and only the core and the store ask the database.
#[test]
fn only_core_and_store_of_local_have_sql() {
    let files = sources().into_iter().filter(|source| source.module == "local");
    for source in files {
        let inside = source.path.strip_prefix(Path::new(SOURCES).join("local")).unwrap();
        if inside.starts_with("core") || inside.starts_with("store") {
            continue;
        }
        for word in [".execute(", ".prepare(", ".prepare_cached(", ".query_row(", ".query_map("] {
            assert!(!source.code.contains(word), "{}: {word}", source.path.display());
        }
    }
}

/// Files that import each other in a circle are read as one. They lie in one folder, and are few.
#[test]
fn circles_within_local_are_small_and_in_one_folder() {
    let files = local_files();
    let reached: Vec<BTreeSet<&Vec<String>>> = files.iter().map(|file| reached_from(&files, file)).collect();
    for (place, file) in files.iter().enumerate() {
        let circle: Vec<&LocalFile> = files
            .iter()
            .enumerate()
            .filter(|(other, one)| {
                reached[place].contains(&one.module) && reached[*other].contains(&file.module)
            })
            .map(|(_, one)| one)
            .collect();
        let names: Vec<String> = circle.iter().map(|one| one.module.join("::")).collect();
        assert!(circle.len() <= LARGEST_CIRCLE, "{names:?} import each other");
        assert!(circle.iter().all(|one| one.room() == file.room()), "{names:?} import each other");
    }
}

#[test]
fn the_store_knows_the_service_only_in_its_ecr_home_and_its_errors() {
    for source in sources().iter().filter(|source| source.module == "store") {
        if imports(&source.code).contains("service") {
            let path = source.path.to_string_lossy();
            let home = path.contains("store/ecr") || path.ends_with("store/error.rs");
            assert!(home, "{path}");
        }
    }
}

#[test]
fn each_thing_has_one_way_in() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (word, homes, why) in ONLY_IN {
            let hit = source
                .code
                .match_indices(word)
                .any(|(at, _)| !source.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            if hit && !homes.contains(&source.module.as_str()) {
                wrong.push(format!("{}: {word}: {why}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The most lines that a file has, its tests included.
const LONGEST_FILE: usize = 400;
/// Files that are one table.
const TABLES: &[&str] = &["cli/own_examples.rs"];

#[test]
fn files_stay_readable() {
    for source in sources().iter().filter(|source| !TABLES.iter().any(|table| source.path.ends_with(table))) {
        let lines = std::fs::read_to_string(&source.path).unwrap().lines().count();
        let path = source.path.display();
        assert!(lines <= LONGEST_FILE, "{path} has {lines} lines: which two things live in it?");
    }
}

/// `warm.ld` names functions as rustc mangles them. A name of ours that no longer exists would do nothing, unnoticed.
#[test]
fn the_functions_that_are_put_side_by_side_exist() {
    let script = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/warm.ld")).expect("warm.ld");
    let words = script.split([' ', '(', ')', '\n']);
    let patterns: Vec<&str> = words.filter_map(|word| word.strip_prefix(".text._ZN3ecr")).collect();
    assert!(patterns.len() > 10, "{patterns:?}");
    for pattern in patterns {
        let (mut module, mut rest) = (PathBuf::from(SOURCES), pattern.trim_end_matches('*'));
        while let Some(end) = rest.find(|character: char| !character.is_ascii_digit()) {
            let length: usize = rest[..end].parse().expect(pattern);
            let (name, after) = rest[end..].split_at_checked(length).expect(pattern);
            let inner = module.join(name);
            if inner.with_extension("rs").exists() || inner.is_dir() {
                module = inner;
            } else {
                let code = std::fs::read_to_string(module.with_extension("rs")).unwrap_or_default();
                assert!(code.contains(name), "warm.ld: {pattern}: {} has no {name}", module.display());
            }
            rest = after;
        }
    }
}
