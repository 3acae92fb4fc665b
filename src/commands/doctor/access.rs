//! Reading of an AccessDeniedException: which action of whom is not allowed by which kind of policy.

use crate::image::Registry;

/// Explains the message of an AccessDeniedException. `registry` is the account whose registry was asked, where known.
pub(super) fn explained(message: &str, action: &str, registry: Option<&str>) -> (String, String) {
    let principal = between(message, "User: ", " is not authorized").unwrap_or("the caller");
    let action = between(message, "to perform: ", " ").unwrap_or(action);
    let own = principal.split(':').nth(4).filter(|account| !account.is_empty());
    let is_foreign = registry.is_some_and(|registry| own.is_some_and(|own| own != registry));
    let of = registry.map_or_else(String::new, |registry| format!(" of {registry}"));
    let policy = if message.contains("no resource-based policy") {
        format!("the repository policy{of} does not name it")
    } else if message.contains("deny in a resource-based policy") {
        format!("the repository policy{of}, or the registry's, denies it explicitly")
    } else if message.contains("no identity-based policy") {
        "no identity policy allows it".to_owned()
    } else if message.contains("deny in an identity-based policy") {
        "an identity policy denies it explicitly".to_owned()
    } else if message.contains("service control policy") {
        "a service control policy of the organization denies it".to_owned()
    } else if message.contains("resource control policy") {
        "a resource control policy of the organization denies it".to_owned()
    } else if message.contains("permissions boundary") {
        "the permissions boundary does not allow it".to_owned()
    } else if message.contains("session policy") {
        "the policy of the session does not allow it".to_owned()
    } else if message.contains("VPC endpoint policy") {
        "the policy of the VPC endpoint does not allow it".to_owned()
    } else if is_foreign {
        format!("no identity policy allows it, or the repository policy{of} does not name it")
    } else {
        "no identity policy allows it".to_owned()
    };
    (format!("{principal} may not {action}: {policy}"), hint(message, is_foreign))
}

fn hint(message: &str, is_foreign: bool) -> String {
    let of_resource = message.contains("resource-based policy");
    match (of_resource, is_foreign) {
        (true, true) => {
            "ask the owner of the registry to name the account or the role in the repository policy"
        }
        (true, false) => "read it: `ecr get-repository-policy`, `ecr get-registry-policy`",
        (false, true) => {
            "both are needed across accounts: an identity policy here and a repository policy there"
        }
        (false, false) => "`ecr doctor --policy pull` (or push) prints the policy that is needed",
    }
    .to_owned()
}

/// The account of a registry, where its host names it.
pub(super) fn account(registry: Option<&Registry>) -> Option<&str> {
    match registry {
        Some(Registry::Ecr { account, .. }) => Some(account),
        _ => None,
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split(after).next().unwrap_or(rest).trim_end_matches(['.', ',']))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// End of a message behind the resource, the account of its registry, and the explanation.
    const REASONS: &[(&str, &str, &str)] = &[
        (
            "because no identity-based policy allows the ecr:BatchGetImage action",
            "111122223333",
            "no identity policy allows it",
        ),
        (
            "because no resource-based policy allows the ecr:BatchGetImage action",
            "444455556666",
            "the repository policy of 444455556666 does not name it",
        ),
        (
            "with an explicit deny in an identity-based policy",
            "111122223333",
            "an identity policy denies it explicitly",
        ),
        (
            "with an explicit deny in a resource-based policy",
            "111122223333",
            "the repository policy of 111122223333, or the registry's, denies it explicitly",
        ),
        (
            "with an explicit deny in a service control policy",
            "111122223333",
            "a service control policy of the organization denies it",
        ),
        (
            "because no permissions boundary allows the ecr:BatchGetImage action",
            "111122223333",
            "the permissions boundary does not allow it",
        ),
        (
            "because no VPC endpoint policy allows the ecr:BatchGetImage action",
            "111122223333",
            "the policy of the VPC endpoint does not allow it",
        ),
        (
            "",
            "444455556666",
            "no identity policy allows it, or the repository policy of 444455556666 does not name it",
        ),
        ("", "111122223333", "no identity policy allows it"),
    ];

    /// The forms of IAM's messages: docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html.
    #[test]
    fn each_kind_of_policy_is_named() {
        let arn = "arn:aws:iam::111122223333:role/build";
        let text = |reason: &str| {
            format!(
                "User: {arn} is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:eu-west-1:444455556666:\
                 repository/app {reason}"
            )
        };
        for (reason, registry, words) in REASONS.iter().copied() {
            let (told, _) = explained(&text(reason), "ecr:PutImage", Some(registry));
            assert_eq!(told, format!("{arn} may not ecr:BatchGetImage: {words}"), "{reason}");
        }
        let (told, _) = explained("Not authorized", "ecr:PutImage", None);
        assert_eq!(told, "the caller may not ecr:PutImage: no identity policy allows it");
    }
}
