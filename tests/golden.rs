//! Replays what the real AWS CLI was asked and answered, and holds our program to every byte of it.
//!
//! The cases are in `tests/golden/*.txt`, made by the scripts beside them (`record.py`). To help while working:
//!
//! - `GOLDEN_ONLY=text` runs only the cases whose file or title contains the text;
//! - `GOLDEN_DIFFS=n` shows that many differing cases (20 if not said);
//! - `GOLDEN_PEERS=/opt/peers` asks the real AWS CLI in that folder instead of ours, to check the recorder and this.

mod case;
mod server;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use case::{Answer, Case};
use server::Server;

/// No case takes longer, unless the program hangs.
const LIMIT: std::time::Duration = std::time::Duration::from_mins(1);

/// Result of a case, matching its recording or not.
struct Outcome {
    file: String,
    title: String,
    /// A diff, recorded against got, where they differ.
    difference: Option<String>,
}

#[test]
fn our_answers_are_those_of_the_aws_cli() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let cases = chosen_cases(&folder);
    let program = Program::prepare();
    let outcomes = run_all(&cases, &program);
    let known = known_differences(&folder);
    let report = report(&outcomes, &known);
    assert!(report.is_empty(), "{report}");
}

#[test]
fn every_case_is_recorded_under_a_title_of_its_own() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut titles = BTreeMap::new();
    for (file, cases) in case_files(&folder) {
        for case in cases {
            assert!(case.recorded.len() >= 3, "{file}: {}: run record.py --missing", case.title);
            if let Some(other) = titles.insert(case.title.clone(), file.clone()) {
                panic!("{} is in both {other} and {file}", case.title);
            }
        }
    }
    for known in known_differences(&folder) {
        assert!(
            titles.contains_key(&known),
            "known-differences.txt names a case that does not exist: {known}"
        );
    }
    assert!(titles.len() >= 600, "the suite has at least 600 cases, not {}", titles.len());
}

/// The files of cases, in the order of their names.
fn case_files(folder: &Path) -> Vec<(String, Vec<Case>)> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).expect("tests/golden is there").flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.to_owned();
            name.starts_with(|first: char| first.is_ascii_digit()).then(|| {
                let text = fs::read_to_string(&path).expect("case files are UTF-8");
                (name, case::parse_file(&text))
            })
        })
        .collect()
}

fn chosen_cases(folder: &Path) -> Vec<(String, Case)> {
    let only = std::env::var("GOLDEN_ONLY").unwrap_or_default();
    case_files(folder)
        .into_iter()
        .flat_map(|(file, cases)| cases.into_iter().map(move |case| (file.clone(), case)))
        .filter(|(file, case)| file.contains(&only) || case.title.contains(&only))
        .collect()
}

/// The program under test, and a folder for the cases.
struct Program {
    scratch: tempfile::TempDir,
    peers: Option<PathBuf>,
}

impl Program {
    /// Our program under the name `aws`, or the real one.
    fn prepare() -> Self {
        let peers = std::env::var_os("GOLDEN_PEERS").map(PathBuf::from);
        let scratch = match &peers {
            Some(root) => tempfile::tempdir_in(root.join("tmp")),
            None => tempfile::tempdir(),
        };
        let scratch = scratch.expect("a temporary folder");
        let link = scratch.path().join("aws");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ecr"), link).expect("a link in a new folder");
        Self { scratch, peers }
    }

    /// The path of a folder as the program sees it.
    fn seen(&self, folder: &Path) -> PathBuf {
        match &self.peers {
            Some(root) => Path::new("/").join(folder.strip_prefix(root).expect("scratch is below the peers")),
            None => folder.to_owned(),
        }
    }

    fn command(&self, folder: &Path) -> Command {
        let Some(root) = &self.peers else {
            let mut command = Command::new(self.scratch.path().join("aws"));
            command.current_dir(folder);
            return command;
        };
        let mut command = Command::new("chroot");
        command.arg(root).args(["/usr/bin/env", "-C"]).arg(self.seen(folder)).arg("/usr/bin/aws");
        command
    }

    /// Runs a case in a folder of its own.
    fn answer(&self, number: usize, case: &Case) -> Answer {
        let folder = self.scratch.path().join(format!("{number:06}"));
        fs::create_dir(&folder).expect("a new folder");
        let server = Server::start(&case.replies);
        let seen = self.seen(&folder).to_str().expect("a temporary folder's name is UTF-8").to_owned();
        let fill = |text: &str| text.replace("{DIR}", &seen).replace("{SERVER}", &server.url());
        for name in &case.folders {
            fs::create_dir_all(folder.join(name)).expect("a folder in the case folder");
        }
        for (name, data) in &case.files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().expect("it is in the case folder")).expect("its folder");
            let data =
                std::str::from_utf8(data).map_or_else(|_| data.clone(), |text| fill(text).into_bytes());
            let mode = if data.starts_with(b"#!") { 0o755 } else { 0o644 };
            fs::write(&path, data).expect("a file in the case folder");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its permissions");
        }
        let mut command = self.command(&folder);
        command.args(case.arguments.iter().map(|word| fill(word))).env_clear();
        command.envs(case.environment.iter().map(|(name, value)| (name, fill(value))));
        let mut answer = finish(command);
        answer.requests = server.requests();
        for text in [&mut answer.stdout, &mut answer.stderr] {
            *text = replace(text, seen.as_bytes(), b"{DIR}");
            *text = replace(text, server.url().as_bytes(), b"{SERVER}");
        }
        for request in &mut answer.requests {
            *request = request.replace(&seen, "{DIR}").replace(&server.url(), "{SERVER}");
        }
        fs::remove_dir_all(&folder).expect("the case folder goes");
        answer
    }
}

/// Runs a command to its end, or for a minute.
fn finish(mut command: Command) -> Answer {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut out = child.stdout.take().expect("piped");
    let mut err = child.stderr.take().expect("piped");
    let errors = std::thread::spawn(move || {
        let mut data = Vec::new();
        let _ = err.read_to_end(&mut data);
        data
    });
    let (done, wait) = std::sync::mpsc::channel();
    let output = std::thread::spawn(move || {
        let mut data = Vec::new();
        let _ = out.read_to_end(&mut data);
        let _ = done.send(());
        data
    });
    if wait.recv_timeout(LIMIT).is_err() {
        let _ = child.kill();
    }
    let status = child.wait().expect("the program ends");
    Answer {
        requests: Vec::new(),
        exit: status.code().unwrap_or_else(|| -status.signal().unwrap_or(0)),
        stdout: output.join().expect("reading does not panic"),
        stderr: errors.join().expect("reading does not panic"),
    }
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(from) {
            out.extend_from_slice(to);
            rest = after;
        } else {
            out.push(rest[0]);
            rest = &rest[1..];
        }
    }
    out
}

/// Every case, on all processors, in the order of the files.
fn run_all(cases: &[(String, Case)], program: &Program) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let Some((file, case)) = cases.get(number) else { break };
                    let got = program.answer(number, case).lines();
                    let difference = (got != case.recorded).then(|| difference(&case.recorded, &got));
                    let outcome = Outcome { file: file.clone(), title: case.title.clone(), difference };
                    outcomes.lock().expect("no thread panics while it holds this").push((number, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().expect("no thread panicked while it held this");
    outcomes.sort_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// `-` recorded, `+` got; equal lines at both ends are shortened.
fn difference(recorded: &[String], got: &[String]) -> String {
    let same_start = recorded.iter().zip(got).take_while(|(one, other)| one == other).count();
    let same_end = recorded[same_start..]
        .iter()
        .rev()
        .zip(got[same_start..].iter().rev())
        .take_while(|(one, other)| one == other)
        .count();
    let mut out = String::new();
    let mut show = |sign: char, lines: &[String]| {
        for line in lines {
            let _ = writeln!(out, "    {sign} {line}");
        }
    };
    show(' ', &recorded[same_start.saturating_sub(3)..same_start]);
    show('-', &recorded[same_start..recorded.len() - same_end]);
    show('+', &got[same_start..got.len() - same_end]);
    let tail = &recorded[recorded.len() - same_end..];
    show(' ', &tail[..tail.len().min(3)]);
    out
}

/// The cases that differ on purpose: a title at the start of a line, the reason indented below it.
fn known_differences(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("known-differences.txt")).expect("known-differences.txt");
    text.lines().filter_map(|line| line.strip_prefix("=== ")).map(str::to_owned).collect()
}

/// Returns the report of the mismatches; empty if there are none.
fn report(outcomes: &[Outcome], known: &[String]) -> String {
    let limit = std::env::var("GOLDEN_DIFFS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let is_known = |outcome: &Outcome| known.contains(&outcome.title);
    let wrong: Vec<&Outcome> =
        outcomes.iter().filter(|outcome| outcome.difference.is_some() && !is_known(outcome)).collect();
    let stale: Vec<&Outcome> =
        outcomes.iter().filter(|outcome| outcome.difference.is_none() && is_known(outcome)).collect();
    if wrong.is_empty() && stale.is_empty() {
        return String::new();
    }
    let mut out = String::from("our program and the AWS CLI differ (- the AWS CLI, + ours)\n");
    for outcome in wrong.iter().take(limit) {
        let _ = writeln!(out, "\n=== {} ({})", outcome.title, outcome.file);
        out.push_str(outcome.difference.as_deref().unwrap_or_default());
    }
    if wrong.len() > limit {
        let _ = writeln!(
            out,
            "\n… and {} more; GOLDEN_DIFFS={} shows them all",
            wrong.len() - limit,
            wrong.len()
        );
    }
    for outcome in stale {
        let _ = writeln!(out, "\n{} no longer differs: take it from known-differences.txt", outcome.title);
    }
    let mut files: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for outcome in outcomes {
        let (same, all) = files.entry(&outcome.file).or_default();
        *same += usize::from(outcome.difference.is_none());
        *all += 1;
    }
    out.push('\n');
    for (file, (same, all)) in &files {
        let _ = writeln!(out, "{same:5} of {all:4} match  {file}");
    }
    let same = outcomes.iter().filter(|outcome| outcome.difference.is_none()).count();
    let _ = writeln!(out, "{same:5} of {:4} match", outcomes.len());
    out
}
