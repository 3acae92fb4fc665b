//! Principals of requests: a user, a role, a session of a role, or the root of an account.

/// A principal, by its Amazon resource name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    arn: String,
    account: String,
}

impl Principal {
    /// The root of an account, who stands for it as a whole.
    pub fn root(account: &str) -> Self {
        Self { arn: format!("arn:aws:iam::{account}:root"), account: account.to_owned() }
    }

    /// The user, role, session of a role or root that an ARN names; `None` where it names none.
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
            "sts" => resource.strip_prefix("assumed-role/").is_some_and(|rest| rest.contains('/')),
            _ => false,
        };
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        (partition.starts_with("aws") && is_account && is_known)
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

    /// Its ARN, or that of the role that a session is of: what `aws:PrincipalArn` has, and what outlasts a session.
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

    /// Whether an entry below `AWS` of a policy's principals means it: everybody, its account, or itself.
    pub fn is_meant(&self, entry: &str) -> bool {
        let is_root = entry.strip_suffix(":root").is_some_and(|head| {
            head.starts_with("arn:aws") && head.ends_with(&format!(":iam::{}", self.account))
        });
        entry == "*" || entry == self.account || is_root || entry == self.arn || entry == self.lasting_arn()
    }
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
            assert!(session.is_meant(entry), "{entry}");
        }
        for entry in
            ["444455556666", "arn:aws:iam::444455556666:root", "arn:aws:iam::111122223333:role/buil", ""]
        {
            assert!(!session.is_meant(entry), "{entry}");
        }
        let role = Principal::of("arn:aws:iam::111122223333:role/team/build").unwrap();
        assert_eq!(role.role_session("job-7"), Some(session));
        assert_eq!((role.role_session("x"), role.role_session("a/b")), (None, None));
        let user = Principal::of("arn:aws:iam::111122223333:user/team/ann").unwrap();
        assert_eq!((user.role(), user.role_session("job-7")), (None, None));
        assert_eq!((user.user(), user.lasting_arn().as_str()), (Some("ann"), user.arn()));
    }
}
