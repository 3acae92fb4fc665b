//! Signatures of requests (AWS Signature Version 4), checked where other machines can reach the server.

use std::collections::HashMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::local::{Fault, Principal, hex};

/// How far the client's clock may be from ours, in seconds.
const SKEW: i64 = 15 * 60;
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What must be signed, so that a signature is good for one request only.
const SIGNED: [&str; 3] = ["host", "x-amz-date", "x-amz-target"];

/// What there is to an access key.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    secret: String,
    principal: Option<Principal>,
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
    /// session of a role or an account's root, `aws_account_id` an account. Nothing where a section lacks one of the
    /// two, or says what is no principal, or where there is no section.
    pub fn read(text: &str) -> Option<Self> {
        let mut keys = HashMap::new();
        for section in text.split("\n[").map(|section| format!("\n{section}")) {
            let value = |name: &str| {
                let mut lines = section.lines().filter_map(|line| line.split_once('='));
                lines
                    .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.trim().to_owned())
            };
            match (value("aws_access_key_id"), value("aws_secret_access_key")) {
                (Some(key), Some(secret)) if !key.is_empty() && !secret.is_empty() => {
                    let root = value("aws_account_id").map(|account| format!("arn:aws:iam::{account}:root"));
                    let arn = value("principal_arn").or(root);
                    let principal = match arn {
                        Some(arn) => Some(Principal::of(&arn)?),
                        None => None,
                    };
                    keys.insert(key, Key { secret, principal });
                }
                (None, None) => {}
                _ => return None,
            }
        }
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// Whose an access key is, where the file says so.
    pub(super) fn principal(&self, key: &str) -> Option<&Principal> {
        self.0.get(key)?.principal.as_ref()
    }

    /// Whether a request, whose body has this SHA-256, comes from somebody who knows one of the secrets, and was made
    /// just now.
    pub(super) fn check(&self, head: &Parts, body: &[u8; 32], now: i64) -> Result<(), Fault> {
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let missing = || Fault::new("MissingAuthenticationTokenException", "the request is not signed");
        let given = header(AUTHORIZATION.as_str()).ok_or_else(missing)?;
        let signature = Signature::read(given).ok_or_else(missing)?;
        let refuse = |text: String| Fault::new("InvalidSignatureException", text);
        let Key { secret, .. } = self.0.get(signature.key).ok_or_else(|| {
            let text = format!("{} is not an access key of this server", signature.key);
            Fault::new("UnrecognizedClientException", text)
        })?;
        if let Some(name) = SIGNED.iter().find(|name| !signature.headers.contains(name)) {
            return Err(refuse(format!("the header {name} is not signed")));
        }
        let date = header("x-amz-date").unwrap_or_default();
        let made = seconds(date).filter(|_| date.starts_with(signature.date));
        if made.is_none_or(|made| (now - made).abs() > SKEW) {
            return Err(refuse(format!("the request was signed at {date}, too far from this server's time")));
        }
        let mut lines = String::new();
        for name in &signature.headers {
            let values = head.headers.get_all(*name).iter().filter_map(|value| value.to_str().ok());
            let values: Vec<String> =
                values.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
            lines.extend([*name, ":", &values.join(","), "\n"]);
        }
        let canonical = format!(
            "{}\n{}\n{}\n{lines}\n{}\n{}",
            head.method,
            head.uri.path(),
            head.uri.query().unwrap_or_default(),
            signature.headers.join(";"),
            hex(body)
        );
        let scope = [signature.date, signature.region, signature.service, "aws4_request"];
        let text = format!("{ALGORITHM}\n{date}\n{}\n{}", scope.join("/"), hex(&Sha256::digest(canonical)));
        let first = format!("AWS4{secret}").into_bytes();
        let key = scope.iter().fold(first, |key, part| code(&key, part.as_bytes()));
        let expected = hex(&code(&key, text.as_bytes()));
        // Comparing the codes of both texts takes the same time wherever they differ.
        if code(&key, expected.as_bytes()) == code(&key, signature.value.as_bytes()) {
            return Ok(());
        }
        Err(refuse("the signature is not that of this request under the secret of its access key".to_owned()))
    }
}

/// What the header `Authorization` says.
#[derive(Debug, PartialEq, Eq)]
struct Signature<'a> {
    key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    headers: Vec<&'a str>,
    value: &'a str,
}

impl<'a> Signature<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix(ALGORITHM)?;
        let part = |name: &str| {
            let mut parts = rest.split(',').filter_map(|part| part.trim().split_once('='));
            parts.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let scope: Vec<&str> = part("Credential")?.split('/').collect();
        let [key, date, region, service, "aws4_request"] = scope[..] else { return None };
        let headers = part("SignedHeaders")?.split(';').collect();
        Some(Self { key, date, region, service, headers, value: part("Signature")? })
    }
}

/// The moment of `20260131T235959Z` in seconds since 1970.
fn seconds(date: &str) -> Option<i64> {
    let plain = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
    let zoned = plain.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp::from(zoned).as_second())
}

fn code(key: &[u8], text: &[u8]) -> Vec<u8> {
    let code: Hmac<Sha256> = Hmac::new_from_slice(key).expect("an HMAC takes a key of any length");
    code.chain_update(text).finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_from_sections() {
        let text = "[default]\naws_access_key_id = A\naws_secret_access_key=b=c\nregion = x\n\n[other]\n\
                    AWS_ACCESS_KEY_ID=D\nAWS_SECRET_ACCESS_KEY=e\n";
        let pairs = [("A", "b=c"), ("D", "e")]
            .map(|(key, secret)| (key.to_owned(), Key { secret: secret.to_owned(), principal: None }));
        // Not compared by `assert_eq!`, as secrets are not to be printed.
        assert!(Credentials::read(text) == Some(Credentials(HashMap::from(pairs))));
        assert_eq!(Credentials::read(""), None);
        assert_eq!(Credentials::read("[default]\naws_access_key_id = A\n"), None);
        let key = "[a]\naws_access_key_id = A\naws_secret_access_key = b\n";
        let principal = |more: &str| {
            let read = Credentials::read(&format!("{key}{more}"))?;
            Some(read.principal("A").map(|principal| principal.arn().to_owned()))
        };
        let arn = |arn: &str| Some(Some(arn.to_owned()));
        assert_eq!(principal(""), Some(None));
        assert_eq!(principal("aws_account_id = 111122223333"), arn("arn:aws:iam::111122223333:root"));
        let user = "arn:aws:iam::111122223333:user/ann";
        assert_eq!(principal(&format!("principal_arn = {user}")), arn(user));
        assert_eq!(principal("principal_arn = ann"), None);
    }

    #[test]
    fn a_moment_is_read() {
        assert_eq!(seconds("20260131T235959Z"), Some(1_769_903_999));
        assert_eq!(seconds("2026"), None);
    }
}
