//! The question at a terminal, asked at a pseudo-terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::stage::Stage;

/// Output of a command at a terminal.
struct Asked {
    terminal: String,
    stdout: String,
    code: i32,
}

/// Both ends of a terminal: the person's, and the program's.
fn terminal() -> (File, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    (File::from(ours), theirs)
}

/// Runs a command whose input and messages are a terminal, and types an answer when it asks.
fn ask(stage: &Stage, line: &str, answer: &[u8]) -> Asked {
    let words: Vec<&str> = line.split(' ').collect();
    let (mut person, program) = terminal();
    let mut command = stage.machine.command(env!("CARGO_BIN_EXE_ecr"), &words);
    command.stdin(program.try_clone().unwrap()).stderr(program).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The terminal ends with the last program that has it open.
    drop(command);
    let (mut seen, mut byte, mut is_answered) = (Vec::new(), [0], false);
    while person.read(&mut byte).is_ok_and(|length| length > 0) {
        seen.push(byte[0]);
        if !is_answered && seen.ends_with(b"[y/N] ") {
            is_answered = true;
            person.write_all(answer).unwrap();
        }
    }
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    let code = child.wait().unwrap().code().unwrap();
    Asked { terminal: String::from_utf8(seen).unwrap().replace("\r\n", "\n"), stdout, code }
}

fn stage() -> Stage {
    let stage = Stage::new();
    stage.registry.repository("team/app");
    for tag in ["a", "b"] {
        stage.registry.image("team/app", "one", Some(tag));
    }
    stage.registry.image("team/app", "two", Some("c"));
    let digest = stage.registry.image("team/app", "left", None);
    stage.registry.age(&digest, 90);
    stage
}

const COMMANDS: [(&str, &str); 4] = [
    ("untag team/app:a", "Remove 1 tag? [y/N] "),
    ("rm team/app:c", "Delete 1 image? [y/N] "),
    ("prune team/app --untagged", "Delete 1 of 3 images? [y/N] "),
    ("archive team/app:b", "Archive 1 image? [y/N] "),
];

#[test]
fn whatever_is_no_yes_changes_nothing() {
    let stage = stage();
    for (command, question) in COMMANDS {
        // No, Enter, the end of the input, and what is nearly a yes.
        for answer in ["n\n", "\n", "\u{4}", "yy\n", "ja\n"] {
            let asked = ask(&stage, command, answer.as_bytes());
            assert_eq!(
                (asked.code, asked.stdout.as_str()),
                (1, ""),
                "{command} {answer:?}: {}",
                asked.terminal
            );
            let after = asked.terminal.split_once(question).map(|(_, after)| after);
            let after = after.unwrap_or_else(|| panic!("{command}: {}", asked.terminal));
            assert!(after.ends_with("nothing was changed\n"), "{command} {answer:?}: {}", asked.terminal);
        }
    }
    assert_eq!((stage.writes(), stage.registry.images("team/app").len()), (0, 3));
}

#[test]
fn the_question_shows_the_plan_and_yes_carries_it_out() {
    let stage = stage();
    let left = stage.registry.images("team/app").into_iter().find(|(_, tags)| tags.is_empty()).unwrap().0;
    let asked = ask(&stage, "prune team/app --untagged", b"y\n");
    assert_eq!(asked.terminal, "team/app: 1 of 3 images would be deleted\nDelete 1 of 3 images? [y/N] y\n");
    assert_eq!((asked.code, stage.registry.has("team/app", &left)), (0, false));
    let two = stage.registry.images("team/app").into_iter().find(|(_, tags)| tags == &["c"]).unwrap().0;
    let asked = ask(&stage, "rm team/app:c", b"Yes\n");
    assert_eq!(asked.terminal, format!("team/app@{two}  c  named\nDelete 1 image? [y/N] Yes\n"));
    assert_eq!(stage.registry.tags("team/app"), ["a", "b"]);
    let one = &stage.registry.images("team/app")[0].0;
    let asked = ask(&stage, "untag team/app:a", b"yes\n");
    assert_eq!(asked.terminal, format!("team/app:a  {one}\nRemove 1 tag? [y/N] yes\n"));
    assert_eq!(stage.registry.tags("team/app"), ["b"]);
    // The price is shown before the question.
    let asked = ask(&stage, "archive team/app:b", b"Y\n");
    let (before, _) = asked.terminal.split_once("Archive 1 image? [y/N] Y\n").unwrap();
    assert!(before.contains("paid for, for 90 days at least"), "{before}");
    assert_eq!(stage.service.count("UpdateImageStorageClass"), 1);
}

#[test]
fn no_question_without_a_terminal_or_with_yes() {
    let stage = stage();
    for command in ["rm -", "prune team/app --untagged --protect-from -"] {
        let asked = ask(&stage, command, b"");
        assert_eq!((asked.code, asked.terminal.contains("[y/N]")), (252, false), "{}", asked.terminal);
    }
    for command in ["rm team/app:c --dry-run", "prune team/app --untagged --plan plan.json"] {
        let asked = ask(&stage, command, b"");
        assert_eq!((asked.code, asked.terminal.contains("[y/N]")), (0, false), "{}", asked.terminal);
    }
    assert_eq!(stage.writes(), 0);
    let asked = ask(&stage, "rm team/app:c --yes", b"");
    assert_eq!((asked.code, asked.terminal.as_str()), (0, ""));
    // Nothing to do, nothing to ask.
    let asked = ask(&stage, "prune team/app --untagged --older-than 100d", b"");
    assert_eq!((asked.code, asked.terminal.as_str()), (0, ""));
}
