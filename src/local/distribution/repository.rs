//! A repository by the name in a URL.

use rusqlite::Connection;

use crate::local::core::error::Error;
use crate::local::core::registry_id::{RepositoryRef, Scope, alias};
use crate::local::core::repository::{public_accounts, registries_with};
use crate::local::core::templates::registry_that_creates;
use crate::local::core::upstream_rules::scope_of;
use crate::local::distribution::error::OciError;
use crate::local::distribution::registry::Registry;

/// Prefix of the names of public repositories, for which AWS has a host.
const PUBLIC: &str = "public.ecr.aws/";

/// The bounds of names of repositories (Amazon ECR and Amazon ECR Public API references, `CreateRepository`).
const MIN_NAME: usize = 2;

const MAX_NAME: usize = 256;

const MAX_PUBLIC_NAME: usize = 205;

impl Registry<'_> {
    /// Returns the repository of a name in a URL, which need not exist.
    pub(in crate::local) fn repository(&self, path: &str) -> Result<RepositoryRef, OciError> {
        if !is_name(path) {
            let text = format!("{path} is not the name of a repository");
            return Err(OciError::new(400, "NAME_INVALID", text));
        }
        if let Some((owner, name)) = path.strip_prefix(PUBLIC).and_then(|rest| rest.split_once('/')) {
            let account = self.local.read(|connection| self.owner(connection, owner))?;
            let scope = Scope { service: "ecr-public", account, region: "us-east-1".to_owned() };
            check_length(name, MAX_PUBLIC_NAME)?;
            return Ok(RepositoryRef { scope, name: name.to_owned() });
        }
        check_length(path, MAX_NAME)?;
        let scope =
            Scope { service: "ecr", account: self.who.account.clone(), region: self.who.region.clone() };
        let own = RepositoryRef { scope, name: path.to_owned() };
        if self.who.is_known {
            return Ok(own);
        }
        // Whoever does not say which registry is meant gets the one that has such a repository, so that a URI can be
        // used as it was printed.
        Ok(self.local.read(|connection| {
            if own.look_up(connection)?.is_some() {
                return Ok(own);
            }
            Ok(match <[_; 1]>::try_from(registries_with(connection, path)?) {
                Ok([(account, region)]) => {
                    RepositoryRef { scope: Scope { service: "ecr", account, region }, ..own }
                }
                Err(several) if !several.is_empty() => own,
                // No registry has it yet; a rule or a template may say which one would.
                Err(_) => {
                    let scope = match scope_of(connection, path)? {
                        None => registry_that_creates(connection, path)?,
                        found => found,
                    };
                    RepositoryRef { scope: scope.unwrap_or_else(|| own.scope.clone()), ..own }
                }
            })
        })?)
    }

    /// The account of a public registry's alias.
    fn owner(&self, connection: &Connection, owner: &str) -> Result<String, Error> {
        if alias(&self.who.account) == owner {
            return Ok(self.who.account.clone());
        }
        let accounts = public_accounts(connection)?;
        Ok(accounts.into_iter().find(|account| alias(account) == owner).unwrap_or_else(|| owner.to_owned()))
    }
}

/// Refuses a name that is shorter or longer than Amazon ECR's are: no repository has it, and none is created with it.
fn check_length(name: &str, longest: usize) -> Result<(), OciError> {
    if (MIN_NAME..=longest).contains(&name.len()) {
        return Ok(());
    }
    let length = name.len();
    let text =
        format!("the name of a repository has {MIN_NAME} to {longest} characters; {name} has {length}");
    Err(OciError::new(400, "NAME_INVALID", text))
}

/// Returns whether a text can be a repository's name (OCI distribution specification, "Pulling manifests").
pub(in crate::local) fn is_name(text: &str) -> bool {
    text.split('/').all(is_component)
}

fn is_component(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    // What stands between two runs of letters and digits: nothing else may.
    let separators = text.split(|character: char| u8::try_from(character).is_ok_and(is_plain));
    let ends =
        |text: &str| text.bytes().next().is_some_and(is_plain) && text.bytes().last().is_some_and(is_plain);
    let is_separator =
        |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    ends(text) && separators.into_iter().all(is_separator)
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_are_those_of_the_specification() {
        for name in ["a", "team/app", "a.b/c_d/e__f/g-h/i--j", "0/1"] {
            assert!(is_name(name), "{name}");
        }
        for name in
            ["", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "-a", "a-", "..", "a/../b", "a b", "ä", "a:b"]
        {
            assert!(!is_name(name), "{name}");
        }
    }
}
