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
    /// Reads the key of a section.
    fn of(section: &RawSection, secret: &str) -> Result<Self, Problem> {
        // A line that is indented deeper belongs to the value above it, and a principal that is lost there would leave
        // the key to the account's root.
        if let Some((key, _)) = section.iter().find(|(key, value)| *key != MAY_ASSUME && value.contains('\n'))
        {
            return Err(Problem::Continued(key.clone()));
        }
        let value = |name: &str| section.get(name).map(String::as_str);
        let root = value("aws_account_id").map(|account| format!("arn:aws:iam::{account}:root"));
        let principal = match value("principal_arn").map(str::to_owned).or(root) {
            Some(arn) => Some(Principal::of(&arn).ok_or(Problem::NoPrincipal)?),
            None => None,
        };
        let may_assume = roles(value(MAY_ASSUME).unwrap_or_default()).ok_or(Problem::NoRole)?;
        Ok(Self { secret: secret.to_owned(), principal, may_assume })
    }
}

const MAY_ASSUME: &str = "may_assume";

/// Refusal of a file of access keys. No message has a value of the file, which may be a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The AWS CLI would not read the file either.
    #[error(
        "the AWS CLI could not read it: it begins with a [section], each section and each key in it is there once, and \
         every line is KEY = VALUE"
    )]
    Malformed,
    /// No section has a key.
    #[error("no section has aws_access_key_id and aws_secret_access_key")]
    Empty,
    /// One section cannot be used.
    #[error("section [{0}]: {1}")]
    Section(String, Problem),
}

/// Fault of a section in a file of access keys.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// One half of a key, or an empty one.
    #[error("aws_access_key_id and aws_secret_access_key are needed both")]
    Incomplete,
    /// One key is one principal's.
    #[error("its aws_access_key_id is that of another section, too")]
    Repeated,
    /// A value has more than one line.
    #[error("the line below {0} is indented, which makes it a part of {0}'s value: take the indent away")]
    Continued(String),
    /// An owner that IAM does not have.
    #[error(
        "principal_arn is the ARN of a user, a role, a session of a role or an account's root, and aws_account_id has twelve \
         digits"
    )]
    NoPrincipal,
    /// Not a list of roles.
    #[error("may_assume lists ARNs of roles, with commas between them")]
    NoRole,
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
    pub fn read(text: &str) -> Result<Self, Error> {
        let sections =
            ini::parse(text.trim_start_matches('\u{feff}')).map_err(|ini::Malformed| Error::Malformed)?;
        let mut keys = HashMap::new();
        for (name, section) in &sections {
            let refused = |problem| Error::Section(name.clone(), problem);
            match (section.get("aws_access_key_id"), section.get("aws_secret_access_key")) {
                (Some(id), Some(secret)) if !id.is_empty() && !secret.is_empty() => {
                    if keys.insert(id.clone(), Key::of(section, secret).map_err(refused)?).is_some() {
                        return Err(refused(Problem::Repeated));
                    }
                }
                (None, None) => {}
                _ => return Err(refused(Problem::Incomplete)),
            }
        }
        if keys.is_empty() { Err(Error::Empty) } else { Ok(Self(keys)) }
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
        assert!(Credentials::read(text) == Ok(Credentials(HashMap::from(pairs))));
    }

    /// Returns the owner's ARN of a key whose section ends with these lines.
    fn principal(more: &str) -> Result<Option<String>, String> {
        let read = Credentials::read(&format!("{KEY}{more}")).map_err(|error| error.to_string())?;
        let principal = read.key("A").unwrap().principal.as_ref();
        Ok(principal.map(|principal| principal.arn().to_owned()))
    }

    const KEY: &str = "[a]\naws_access_key_id = A\naws_secret_access_key = b\n";

    #[test]
    fn keys_have_owners_and_roles() {
        let user = "arn:aws:iam::111122223333:user/ann";
        assert_eq!(principal(""), Ok(None));
        assert_eq!(
            principal("aws_account_id = 111122223333"),
            Ok(Some("arn:aws:iam::111122223333:root".to_owned()))
        );
        assert_eq!(principal(&format!("principal_arn = {user}")), Ok(Some(user.to_owned())));
        // As the AWS CLI reads the file: a colon separates too, and a deeper line goes on with the list.
        let roles = "may_assume: arn:aws:iam::111122223333:role/a,\n  arn:aws:iam::111122223333:role/b";
        let read = Credentials::read(&format!("{KEY}{roles}")).unwrap();
        assert_eq!(read.key("A").unwrap().may_assume.len(), 2);
    }

    #[test]
    fn errors_of_a_file_do_not_show_its_values() {
        let another = format!("\n[b]\n{}", KEY.trim_start_matches("[a]\n"));
        let continued = "[a]: the line below region is indented, which makes it a part of region's value: take the indent away";
        let continued = format!("section {continued}");
        for (more, message) in [
            ("principal_arn = ann", "section [a]: principal_arn is the ARN of"),
            ("aws_account_id = 1", "section [a]: principal_arn is the ARN of"),
            (
                "may_assume = arn:aws:iam::111122223333:user/ann",
                "section [a]: may_assume lists ARNs of roles",
            ),
            ("region = x\n  principal_arn = arn:aws:iam::111122223333:user/ann", &continued),
            (
                "  principal_arn = arn:aws:iam::111122223333:user/ann",
                "section [a]: the line below aws_secret_access_key",
            ),
            ("[b\n", "the AWS CLI could not read it"),
            (
                "[b]\naws_access_key_id = B",
                "section [b]: aws_access_key_id and aws_secret_access_key are needed both",
            ),
            (&another, "section [b]: its aws_access_key_id is that of another section"),
        ] {
            let refusal = principal(more).unwrap_err();
            assert!(refusal.starts_with(message), "{refusal}");
        }
        assert_eq!(Credentials::read("").err(), Some(Error::Empty));
        assert_eq!(Credentials::read("aws_access_key_id = A").err(), Some(Error::Malformed));
    }
}
