//! The arithmetic of AWS Signature Version 4.

use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::http::request::Parts;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::local::http::auth::authorization::Authorization;

/// Returns whether a request, whose body has this SHA-256 in hexadecimal digits, was signed with a secret.
pub(super) fn is_signed_with(
    secret: &str,
    head: &Parts,
    authorization: &Authorization,
    moment: &str,
    body: &str,
) -> bool {
    let mut lines = String::new();
    for name in &authorization.signed_headers {
        let values = head.headers.get_all(name.as_str()).iter().map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        });
        lines.extend([name, ":", &values.collect::<Vec<_>>().join(","), "\n"]);
    }
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{}\n{body}",
        head.method,
        head.uri.path(),
        head.uri.query().unwrap_or_default(),
        authorization.signed_headers.join(";"),
    );
    let scope = authorization.scope();
    let hash = hex::encode(Sha256::digest(canonical));
    let text = format!("AWS4-HMAC-SHA256\n{moment}\n{}\n{hash}", scope.join("/"));
    let first = format!("AWS4{secret}").into_bytes();
    let key = scope.iter().fold(first, |key, part| code(&key, part.as_bytes()));
    // AWS takes lower-case digits only.
    let is_lower = !authorization.signature.bytes().any(|byte| byte.is_ascii_uppercase());
    let given = hex::decode(&authorization.signature);
    is_lower && given.is_ok_and(|given| hmac(&key, text.as_bytes()).verify_slice(&given).is_ok())
}

/// The moment of `20260131T235959Z` in seconds since 1970.
pub(super) fn seconds(date: &str) -> Option<i64> {
    let plain = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
    let zoned = plain.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp::from(zoned).as_second())
}

fn code(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac(key, text).finalize().into_bytes().to_vec()
}

fn hmac(key: &[u8], text: &[u8]) -> Hmac<Sha256> {
    let code: Hmac<Sha256> = Hmac::new_from_slice(key).expect("an HMAC takes a key of any length");
    code.chain_update(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_documentation_is_verified() {
        // The worked example of Signature Version 4 in AWS's General Reference.
        let (head, ()) = hyper::Request::builder()
            .uri("/?Action=ListUsers&Version=2010-05-08")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("host", "iam.amazonaws.com")
            .header("x-amz-date", "20150830T123600Z")
            .body(())
            .unwrap()
            .into_parts();
        let text = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                    SignedHeaders=content-type;host;x-amz-date, \
                    Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        let authorization = Authorization::parse(text).unwrap();
        let empty = hex::encode(Sha256::digest(b""));
        let check = |secret: &str, moment: &str, body: &str| {
            is_signed_with(secret, &head, &authorization, moment, body)
        };
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert!(check(secret, "20150830T123600Z", &empty));
        assert!(!check("other", "20150830T123600Z", &empty));
        assert!(!check(secret, "20150830T123601Z", &empty));
        assert!(!check(secret, "20150830T123600Z", &hex::encode(Sha256::digest(b"x"))));
    }

    #[test]
    fn a_moment_is_read() {
        assert_eq!(seconds("20260131T235959Z"), Some(1_769_903_999));
        assert_eq!(seconds("2026"), None);
    }
}
