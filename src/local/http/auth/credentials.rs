//! The access keys that requests must be signed with, and whose they are (`--credentials`).

use std::collections::HashMap;

use crate::iam::Principal;
use crate::ini::{self, RawSection};

/// Secret, owner and rights of an access key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) secret: String,
    pub(super) principal: Option<Principal>,
    /// ARNs of the roles that it may assume.
    pub(super) may_assume: Vec<String>,
}

impl Key {
    /// The key of a section; `None` where the section says what is no principal or no role.
    fn of(section: &RawSection, secret: &str) -> Option<Self> {
        let value = |name: &str| section.get(name).map(String::as_str);
        let root = value("aws_account_id").map(|account| format!("arn:aws:iam::{account}:root"));
        let principal = match value("principal_arn").map(str::to_owned).or(root) {
            Some(arn) => Some(Principal::of(&arn)?),
            None => None,
        };
        let may_assume = roles(value("may_assume").unwrap_or_default())?;
        Some(Self { secret: secret.to_owned(), principal, may_assume })
    }
}

/// Access keys with their secrets, and whose they are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials(HashMap<String, Key>);

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl Credentials {
    /// Reads a file in the form of AWS's shared credentials: any number of sections with `aws_access_key_id` and
    /// `aws_secret_access_key`. A section may say whose its key is: `principal_arn` has the ARN of a user, a role, a
    /// session of a role or an account's root, `aws_account_id` an account; and `may_assume` lists the ARNs of roles.
    /// Nothing where a section lacks one of the two, says what is no principal, or repeats a key, where there is no
    /// section, or where the AWS CLI would not read the file.
    pub fn read(text: &str) -> Option<Self> {
        let sections = ini::parse(text.trim_start_matches('\u{feff}')).ok()?;
        let mut keys = HashMap::new();
        for section in sections.values() {
            match (section.get("aws_access_key_id"), section.get("aws_secret_access_key")) {
                (Some(id), Some(secret)) if !id.is_empty() && !secret.is_empty() => {
                    // One key is one principal's.
                    if keys.insert(id.clone(), Key::of(section, secret)?).is_some() {
                        return None;
                    }
                }
                (None, None) => {}
                _ => return None,
            }
        }
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// An access key of the file.
    pub(super) fn key(&self, access_key: &str) -> Option<&Key> {
        self.0.get(access_key)
    }
}

/// The ARNs of roles between commas; `None` where one is not a role's.
fn roles(text: &str) -> Option<Vec<String>> {
    let arns = text.split(',').map(str::trim).filter(|arn| !arn.is_empty());
    arns.map(|arn| Principal::of(arn)?.role().map(|_| arn.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_from_sections() {
        let text = "[default]\naws_access_key_id = A\naws_secret_access_key=b=c\nregion = x\n\n[other]\n\
                    AWS_ACCESS_KEY_ID=D\nAWS_SECRET_ACCESS_KEY=e\n";
        let pairs = [("A", "b=c"), ("D", "e")].map(|(key, secret)| {
            (key.to_owned(), Key { secret: secret.to_owned(), principal: None, may_assume: Vec::new() })
        });
        // Not compared by `assert_eq!`, as secrets are not to be printed.
        assert!(Credentials::read(text) == Some(Credentials(HashMap::from(pairs))));
        assert_eq!(Credentials::read(""), None);
        assert_eq!(Credentials::read("[default]\naws_access_key_id = A\n"), None);
        let key = "[a]\naws_access_key_id = A\naws_secret_access_key = b\n";
        let principal = |more: &str| {
            let read = Credentials::read(&format!("{key}{more}"))?;
            let principal = read.key("A")?.principal.as_ref();
            Some(principal.map(|principal| principal.arn().to_owned()))
        };
        let arn = |arn: &str| Some(Some(arn.to_owned()));
        assert_eq!(principal(""), Some(None));
        assert_eq!(principal("aws_account_id = 111122223333"), arn("arn:aws:iam::111122223333:root"));
        let user = "arn:aws:iam::111122223333:user/ann";
        assert_eq!(principal(&format!("principal_arn = {user}")), arn(user));
        assert_eq!(principal("principal_arn = ann"), None);
        assert_eq!(principal("may_assume = arn:aws:iam::111122223333:user/ann"), None);
        // As the AWS CLI reads the file: a colon separates too, and a deeper line goes on with the list.
        let roles = "may_assume: arn:aws:iam::111122223333:role/a,\n  arn:aws:iam::111122223333:role/b";
        let read = Credentials::read(&format!("{key}{roles}")).unwrap();
        assert_eq!(read.key("A").unwrap().may_assume.len(), 2);
        assert_eq!(principal("[b\n"), None);
        // A key in two sections would be two principals'.
        assert_eq!(principal(&format!("\n[b]\n{}", key.trim_start_matches("[a]\n"))), None);
    }
}
