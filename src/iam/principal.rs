//! Principals of requests: a user, a role, a session of a role, or the root of an account.

use super::RequestContext;
use crate::image::host::is_account_id;

/// A principal, by its Amazon resource name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    arn: String,
    account: String,
}

impl Principal {
    /// Returns the root of an account, which stands for the whole account.
    pub fn root(account: &str) -> Self {
        Self { arn: format!("arn:aws:iam::{account}:root"), account: account.to_owned() }
    }

    /// Parses the ARN of a user, role, session of a role, federated user or root; `None` for any other.
    pub fn of(arn: &str) -> Option<Self> {
        let ["arn", partition, service, "", account, resource] = arn.splitn(6, ':').collect::<Vec<_>>()[..]
        else {
            return None;
        };
        // A name is not more than what separates the parts of an ARN.
        let is_named =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*' && byte != b'?');
        if !is_named(arn) {
            return None;
        }
        let is_known = match service {
            "iam" => resource == "root" || named(resource, "user/") || named(resource, "role/"),
            "sts" => named(resource, "federated-user/") || is_session(resource),
            _ => false,
        };
        (partition.starts_with("aws") && is_account_id(account) && is_known)
            .then(|| Self { arn: arn.to_owned(), account: account.to_owned() })
    }

    /// Its ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Its account.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The name of a role, without its path.
    pub(crate) fn role(&self) -> Option<&str> {
        let (head, path) = self.arn.split_once(":role/")?;
        head.ends_with(&format!(":iam::{}", self.account)).then(|| path.rsplit('/').next().unwrap_or(path))
    }

    /// A session of a role; `None` where this is no role, or the name none that a session may have.
    pub(crate) fn role_session(&self, name: &str) -> Option<Self> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        if !(2..=64).contains(&name.len()) || !name.bytes().all(is_letter) {
            return None;
        }
        let partition = self.arn.split(':').nth(1)?;
        let role = self.role()?;
        Self::of(&format!("arn:{partition}:sts::{}:assumed-role/{role}/{name}", self.account))
    }

    /// Returns its ARN, or that of a session's role: the value of `aws:PrincipalArn`, which outlasts the session.
    pub fn lasting_arn(&self) -> String {
        let session = self.arn.split_once(":assumed-role/").and_then(|(head, rest)| {
            Some((head.strip_suffix(&self.account)?.strip_suffix(":sts::")?, rest.split_once('/')?.0))
        });
        match session {
            Some((head, role)) => format!("{head}:iam::{}:role/{role}", self.account),
            None => self.arn.clone(),
        }
    }

    /// The name of a user, which `aws:username` has.
    pub fn user(&self) -> Option<&str> {
        self.arn.split_once(":user/").and_then(|(_, path)| path.rsplit('/').next())
    }

    /// The condition keys that are about the principal. `aws:userid` is known only where it has no unique identifier,
    /// which IAM would assign.
    pub fn describe(&self, context: &mut RequestContext) {
        let resource = self.arn.splitn(6, ':').nth(5).unwrap_or_default();
        let (kind, user_id) = match resource.split_once('/') {
            Some(("user", _)) => ("User", None),
            Some(("federated-user", name)) => ("FederatedUser", Some(format!("{}:{name}", self.account))),
            Some(_) => ("AssumedRole", None),
            None => ("Account", Some(self.account.clone())),
        };
        context.add("aws:PrincipalArn", self.lasting_arn());
        context.add("aws:PrincipalAccount", &*self.account);
        context.add("aws:PrincipalType", kind);
        context.add("aws:PrincipalIsAWSService", "false");
        if let Some(user_id) = user_id {
            context.add("aws:userid", user_id);
        }
        if let Some(user) = self.user() {
            context.add("aws:username", user);
        }
    }

    /// Returns whether an entry below `AWS` names this principal or a group that it is in: everybody, its account, the
    /// role that a session is of.
    pub(super) fn is_in(&self, entry: &str) -> bool {
        self.is_named_by(entry) || self.is_account(entry) || self.is_role(entry)
    }

    /// Returns whether an entry below `AWS` names this principal itself (or everybody).
    pub(super) fn is_named_by(&self, entry: &str) -> bool {
        let is_root = self.arn.ends_with(":root");
        entry == "*" || entry == self.arn || is_root && self.is_account(entry)
    }

    /// `111122223333` and `arn:aws:iam::111122223333:root` both stand for the account.
    fn is_account(&self, entry: &str) -> bool {
        entry == self.account
            || entry.strip_suffix(":root").is_some_and(|head| {
                head.starts_with("arn:aws") && head.ends_with(&format!(":iam::{}", self.account))
            })
    }

    /// The ARN of a session has no path, but a role's name is unique in its account: `role/team/build` is the role of
    /// `assumed-role/build/job`.
    fn is_role(&self, entry: &str) -> bool {
        let role = self.lasting_arn();
        let Some((own, name)) = role.split_once(":role/") else { return false };
        let is_session = role != self.arn;
        entry == role
            || is_session
                && entry
                    .split_once(":role/")
                    .is_some_and(|(head, path)| head == own && path.rsplit('/').next() == Some(name))
    }
}

/// `assumed-role/ROLE/SESSION`.
fn is_session(resource: &str) -> bool {
    let session = resource.strip_prefix("assumed-role/").and_then(|rest| rest.split_once('/'));
    session.is_some_and(|(role, session)| !role.is_empty() && !session.is_empty())
}

fn named(resource: &str, kind: &str) -> bool {
    resource.strip_prefix(kind).is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_users_roles_sessions_and_roots() {
        for arn in [
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:user/team/ann",
            "arn:aws-cn:iam::111122223333:role/build",
            "arn:aws:sts::111122223333:assumed-role/build/job-7",
        ] {
            let principal = Principal::of(arn).unwrap();
            assert_eq!((principal.arn(), principal.account()), (arn, "111122223333"));
        }
        for wrong in [
            "",
            "111122223333",
            "arn:aws:iam::1:root",
            "arn:aws:iam::111122223333:user/",
            "arn:aws:iam::111122223333:group/a",
            "arn:aws:sts::111122223333:assumed-role/build",
            "arn:aws:s3:::bucket",
        ] {
            assert_eq!(Principal::of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_entry_means_an_account_or_one_principal() {
        let session = Principal::of("arn:aws:sts::111122223333:assumed-role/build/job-7").unwrap();
        assert_eq!(session.lasting_arn(), "arn:aws:iam::111122223333:role/build");
        for entry in [
            "*",
            "111122223333",
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:role/build",
            "arn:aws:sts::111122223333:assumed-role/build/job-7",
        ] {
            assert!(session.is_in(entry), "{entry}");
        }
        for entry in
            ["444455556666", "arn:aws:iam::444455556666:root", "arn:aws:iam::111122223333:role/buil", ""]
        {
            assert!(!session.is_in(entry), "{entry}");
        }
        let role = Principal::of("arn:aws:iam::111122223333:role/team/build").unwrap();
        assert_eq!(role.role_session("job-7"), Some(session));
        assert_eq!((role.role_session("x"), role.role_session("a/b")), (None, None));
        let user = Principal::of("arn:aws:iam::111122223333:user/team/ann").unwrap();
        assert_eq!((user.role(), user.role_session("job-7")), (None, None));
        assert_eq!((user.user(), user.lasting_arn().as_str()), (Some("ann"), user.arn()));
    }
}
