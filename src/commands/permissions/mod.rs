//! The IAM actions that each command of our own needs, as data: `ecr doctor --policy` and docs/permissions.md are made
//! of it.
//!
//! Which resources an action can be limited to, and which action an operation is authorized by, is from AWS's Service
//! Authorization Reference (docs.aws.amazon.com/service-authorization/latest/reference/list_ecr.html). An operation's
//! action has its name, but ListImageReferrers is authorized by `ecr:BatchGetImage`.

mod table;

use serde_json::{Value, json};

pub use table::PERMISSIONS;

/// The permissions of one command.
#[derive(Debug)]
pub struct Permissions {
    /// The command, with its subcommand: `lifecycle apply`.
    pub command: &'static str,
    /// Grants that it needs, in the order of its calls.
    pub grants: &'static [Grant],
}

/// Actions that are needed together.
#[derive(Debug)]
pub struct Grant {
    /// Condition under which the actions are needed.
    pub when: NeededWhen,
    /// The repositories that they are needed for.
    pub on: On,
    /// The actions with their services, such as `ecr:PutImage`.
    pub actions: &'static [&'static str],
}

/// Condition under which actions are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeededWhen {
    /// In each run.
    Always,
    /// With this option. Words behind its name say what else counts as it.
    Option(&'static str),
    /// In a situation that no option names.
    Where(&'static str),
    /// The command works without them, with this limitation.
    Better(&'static str),
}

/// The repositories that actions are needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Repositories that the command names.
    Repository,
    /// All of the registry: listing repositories cannot be limited to one.
    Every,
    /// Repositories that images are read from.
    Source,
    /// Repositories that images are written to.
    Destination,
}

/// Actions of Amazon ECR that cannot be limited to repositories.
const OF_THE_REGISTRY: &[&str] = &[
    "ecr:DescribeRegistry",
    "ecr:DescribeRepositoryCreationTemplates",
    "ecr:GetAuthorizationToken",
    "ecr:GetRegistryScanningConfiguration",
    "ecr:ListPullTimeUpdateExclusions",
];

/// Returns whether an action is for the registry as a whole, so that a policy has to allow it on `*`.
pub fn is_of_the_registry(action: &str) -> bool {
    OF_THE_REGISTRY.contains(&action) || !action.starts_with("ecr:")
}

impl Permissions {
    /// Returns the permissions of a command, such as `lifecycle apply`.
    pub fn of(command: &str) -> Option<&'static Self> {
        PERMISSIONS.iter().find(|permissions| permissions.command == command)
    }

    /// The option of a grant that this option of the command line counts as: `--all` for `--all or a glob`, `--usage`
    /// for `--empty` where the grant has `--usage, --empty`.
    pub fn option(&self, given: &str) -> Option<&'static str> {
        let mut options = self.grants.iter().filter_map(|grant| match grant.when {
            NeededWhen::Option(text) => Some(text),
            _ => None,
        });
        let counts = |text: &str| text.split([' ', ',']).any(|word| word == given);
        options.find(|text| counts(text)).and_then(|text| NeededWhen::Option(text).option())
    }

    /// Returns whether the command writes to the repositories that it names.
    fn has_destination(&self) -> bool {
        self.grants.iter().any(|grant| grant.on == On::Destination)
    }

    /// Grants that are needed with these options.
    pub fn needed<'a>(&'a self, options: &'a [&str]) -> impl Iterator<Item = &'static Grant> + 'a {
        self.grants.iter().filter(move |grant| match grant.when {
            NeededWhen::Always => true,
            NeededWhen::Option(_) => grant.when.option().is_some_and(|option| options.contains(&option)),
            NeededWhen::Where(_) | NeededWhen::Better(_) => false,
        })
    }

    /// The IAM policy that allows the command with these options; `repositories` has the ARN of the repositories that
    /// it names, `every` that of all of the registry.
    pub fn policy(&self, options: &[&str], repositories: &str, every: &str) -> Value {
        let mut statements: Vec<(&str, &str, Vec<&str>)> = Vec::new();
        for grant in self.needed(options) {
            for action in grant.actions {
                let (name, resource) = match grant.on {
                    _ if is_of_the_registry(action) => ("Registry", "*"),
                    On::Repository => ("Repositories", repositories),
                    On::Every => ("AllRepositories", every),
                    On::Source if self.has_destination() => ("Source", every),
                    On::Source => ("Source", repositories),
                    On::Destination => ("Destination", repositories),
                };
                match statements.iter_mut().find(|(known, ..)| *known == name) {
                    Some((_, _, actions)) if actions.contains(action) => {}
                    Some((_, _, actions)) => actions.push(action),
                    None => statements.push((name, resource, vec![action])),
                }
            }
        }
        let statements = statements.into_iter().map(|(name, resource, actions)| {
            json!({"Sid": name, "Effect": "Allow", "Action": actions, "Resource": resource})
        });
        json!({"Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>()})
    }
}

impl NeededWhen {
    /// Returns the option alone, such as `--all`.
    pub fn option(self) -> Option<&'static str> {
        match self {
            Self::Option(text) => text.split([' ', ',']).next(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every action is one of an operation that the model knows, or of another service.
    #[test]
    fn actions_are_those_of_operations() {
        // Permission-only, in the Service Authorization Reference.
        const OF_NO_OPERATION: [&str; 1] = ["BatchImportUpstreamImage"];
        let (private, public) = (crate::model::ecr(), crate::model::ecr_public());
        for permissions in PERMISSIONS {
            for action in permissions.grants.iter().flat_map(|grant| grant.actions) {
                let (service, name) = action.split_once(':').unwrap();
                let is_known = match service {
                    "ecr" => private.operation(name).is_some() || OF_NO_OPERATION.contains(&name),
                    "ecr-public" => public.operation(name).is_some(),
                    "sts" | "inspector2" | "signer" | "kms" => true,
                    _ => false,
                };
                assert!(is_known, "{}: {action}", permissions.command);
                // Authorized by ecr:BatchGetImage.
                assert_ne!(name, "ListImageReferrers");
            }
        }
    }

    #[test]
    fn a_command_is_listed_once() {
        let mut names: Vec<&str> = PERMISSIONS.iter().map(|permissions| permissions.command).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn a_policy_has_a_statement_for_each_resource() {
        let repositories = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app";
        let every = "arn:aws:ecr:eu-west-1:123456789012:repository/*";
        let images = Permissions::of("images").unwrap();
        assert_eq!(
            images.policy(&["--all", "--tree"], repositories, every),
            json!({"Version": "2012-10-17", "Statement": [
                {"Sid": "Repositories", "Effect": "Allow",
                 "Action": ["ecr:DescribeImages", "ecr:BatchGetImage"], "Resource": repositories},
                {"Sid": "AllRepositories", "Effect": "Allow",
                 "Action": ["ecr:DescribeRepositories"], "Resource": every},
            ]})
        );
        let login = Permissions::of("login").unwrap();
        assert_eq!(
            login.policy(&[], repositories, every),
            json!({"Version": "2012-10-17", "Statement": [
                {"Sid": "Registry", "Effect": "Allow", "Action": ["ecr:GetAuthorizationToken"], "Resource": "*"},
            ]})
        );
    }
}
