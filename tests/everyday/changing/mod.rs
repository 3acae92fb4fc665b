//! Commands that change what is there: against the embedded ECR behind a server that can intervene between two calls, and
//! against scripted answers.

mod faults;
mod plans;
mod prune;
mod race;
mod rm;
mod second_process;
mod stage;
mod storage;
mod tags;
mod terminal;

use self::stage::Stage;

/// Operations that change something.
const WRITING: [&str; 4] = ["PutImage", "BatchDeleteImage", "UpdateImageStorageClass", "DeleteRepository"];

#[test]
fn without_a_terminal_nothing_is_changed_without_yes() {
    let stage = Stage::new();
    stage.registry.repository("team/app");
    for tag in ["a", "b"] {
        stage.registry.image("team/app", "one", Some(tag));
    }
    stage.machine.write("plan.json", r#"{"version":1,"createdAt":"2026-01-01T00:00:00Z","repositories":[]}"#);
    for command in [
        "untag team/app:a",
        "rm team/app:a",
        "prune team/app --tagged",
        "prune team/app --tagged --archive",
        "prune team/app --tagged --tags",
        "prune --apply plan.json",
        "archive team/app:a",
    ] {
        let error = stage.machine.fails(252, command);
        assert_eq!(
            error,
            "error: this changes what is in the registry, and there is no terminal to ask: --yes does it without a \
             question, --dry-run only shows it\n",
            "{command}"
        );
    }
    assert_eq!(stage.service.calls().len(), 0);
    // --dry-run beats --yes.
    for command in ["untag team/app:a", "rm team/app:a", "prune team/app --tagged --grace 0s --allow-empty"] {
        stage.machine.ok(&format!("{command} --yes --dry-run"));
    }
    assert_eq!((stage.writes(), stage.registry.tags("team/app")), (0, vec!["a".to_owned(), "b".to_owned()]));
}
