//! `ecr` alone and `ecr --help`: all commands of our own on one screen.

use std::fmt::Write as _;

use crate::commands;
use crate::model;

/// Groups of commands, in the order in which a new user needs them.
pub(super) const GROUPS: &[(&str, &[&str])] = &[
    ("Images in a registry", &["images", "repos", "latest", "digest", "find", "inspect", "du"]),
    ("Changing what is there", &["tag", "untag", "rm", "prune", "archive", "restore"]),
    ("Policies and scans", &["lifecycle", "scan"]),
    ("Moving images", &["push", "pull", "copy", "sync"]),
    ("Login and rights", &["login", "logout", "doctor"]),
    ("An ECR on this machine", &["local"]),
];

/// The page.
pub(super) fn page() -> String {
    let mut page = "Everything with Amazon ECR in one program.\n\nUsage: ecr COMMAND [OPTIONS]\n".to_owned();
    for (title, names) in GROUPS {
        page.extend(["\n", title, ":\n"]);
        for name in *names {
            let Some(command) = commands::COMMANDS.iter().find(|command| command.name == *name) else {
                continue;
            };
            let about = (command.define)().get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(page, "  {name:10}{about}");
        }
    }
    let operations = model::ecr().operations().count();
    let _ = write!(
        page,
        "\nEvery operation of the AWS CLI is a command too, such as `ecr describe-images`: `ecr help operations`\n\
         lists the {operations}, `ecr public help` those of the public registry. `ecr help COMMAND` explains one.\n\
         --local on any command uses an ECR on this machine instead of AWS.\n"
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commands that programs call, and not people.
    const FOR_PROGRAMS: [&str; 2] = ["credential-helper", "credential-provider"];

    #[test]
    fn every_command_is_in_one_group_and_all_fit_a_screen() {
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        grouped.extend(FOR_PROGRAMS);
        grouped.sort_unstable();
        let mut all: Vec<&str> = commands::COMMANDS.iter().map(|command| command.name).collect();
        all.sort_unstable();
        assert_eq!(grouped, all);
        let page = page();
        assert!(page.lines().count() <= 50, "{page}");
        for line in page.lines() {
            assert!(line.chars().count() <= 110, "{line}");
        }
    }
}
