//! `ecr doctor --policy`: the IAM policy that a command needs.

use serde_json::Value;

use super::super::Context;
use super::super::images::output::Output;
use super::super::images::selection::pattern;
use super::super::permissions::{NeededWhen, PERMISSIONS, Permissions};
use super::super::registry::usage;
use crate::image::{Name, Reference, Registry, host};

/// Prints the policy for a command with its options, for the repositories that `reference` names, or for all.
pub(super) fn print(context: &Context, command: &str, reference: Option<&str>) -> anyhow::Result<()> {
    let output = Output::of(context)?;
    let (permissions, options) = read(command)?;
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let (repositories, every) = resources(reference)?;
    let policy = permissions.policy(&options, &repositories, &every);
    let mut shown = Vec::new();
    crate::output::json::write(&mut shown, &policy)?;
    shown.push(b'\n');
    output.object(&policy, &String::from_utf8_lossy(&shown), &actions(&policy))?;
    for grant in permissions.grants {
        let actions = grant.actions.join(", ");
        match grant.when {
            NeededWhen::Where(so) => context.ui.note(&format!("where {so}, also {actions}")),
            NeededWhen::Better(why) => context.ui.note(&format!("optional: {actions} ({why})")),
            NeededWhen::Always | NeededWhen::Option(_) => {}
        }
    }
    Ok(())
}

fn actions(policy: &Value) -> Vec<String> {
    let statements = policy["Statement"].as_array().into_iter().flatten();
    let actions = statements.flat_map(|statement| statement["Action"].as_array().into_iter().flatten());
    actions.filter_map(|action| action.as_str().map(str::to_owned)).collect()
}

/// Parses a command and its options, such as `push --create`. What follows neither is an argument and changes nothing.
fn read(text: &str) -> anyhow::Result<(&'static Permissions, Vec<String>)> {
    let mut words = shell_words::split(text).map_err(|error| usage(format!("--policy {text}: {error}")))?;
    if words.first().is_some_and(|word| word == "ecr") {
        words.remove(0);
    }
    let named =
        |count: usize| Permissions::of(&words.iter().take(count).cloned().collect::<Vec<_>>().join(" "));
    let Some(permissions) = named(2).filter(|_| words.len() > 1).or_else(|| named(1)) else {
        let names: Vec<&str> = PERMISSIONS.iter().map(|permissions| permissions.command).collect();
        return Err(usage(format!("--policy {text}: expected one of {}", names.join(", "))));
    };
    let option =
        |word: &String| word.split('=').next().filter(|name| name.starts_with("--")).map(str::to_owned);
    let mut options: Vec<String> = words.iter().filter_map(option).collect();
    for option in &mut options {
        if let Some(known) = permissions.option(option) {
            known.clone_into(option);
        }
    }
    if options.iter().all(|option| option != "--all") && words.iter().skip(1).any(|word| word.contains('*')) {
        options.push("--all".to_owned());
    }
    Ok((permissions, options))
}

/// The ARNs of the repositories that a reference or a glob names, and of all of the registry that it names.
fn resources(reference: Option<&str>) -> anyhow::Result<(String, String)> {
    let (registry, repository) = match reference {
        None => (None, "*".to_owned()),
        Some(text) => match text.parse::<Reference>() {
            Ok(Reference { name: Name::Unnamed, .. }) | Err(_) => pattern(text)?,
            Ok(reference) => (reference.registry, reference.repository.to_string()),
        },
    };
    let start = match &registry {
        Some(Registry::Ecr { account, region, .. }) => {
            format!("arn:{}:ecr:{region}:{account}", host::partition(region))
        }
        Some(Registry::Other(host)) => {
            return Err(usage(format!("{host} is not a registry of Amazon ECR, and has no IAM policies")));
        }
        None | Some(Registry::Loopback(_)) => "arn:aws:ecr:*:*".to_owned(),
    };
    Ok((format!("{start}:repository/{repository}"), format!("{start}:repository/*")))
}
