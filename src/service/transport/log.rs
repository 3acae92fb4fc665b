//! Requests and answers in the log of `--debug`, without their secrets.

use std::time::Duration;

use hyper::http::{HeaderMap, StatusCode, request};

use super::Failure;
use crate::settings::Log;

/// How much of a body is shown.
const MOST: usize = 4096;
const PART: &str = "service.transport";

/// A request that is about to be sent.
pub(super) fn request(log: &Log, parts: &request::Parts, body: &[u8]) {
    log.line(PART, || {
        format!("request {} {}{}{}", parts.method, parts.uri, headers(&parts.headers), shown(body))
    });
}

/// The answer to a request, or why there is none.
pub(super) fn answer(log: &Log, taken: Duration, outcome: Result<(StatusCode, &HeaderMap, &[u8]), &Failure>) {
    log.line(PART, || {
        let taken = format!("{:.1} ms", taken.as_secs_f64() * 1000.0);
        match outcome {
            Ok((status, fields, body)) => {
                format!("answer {} after {taken}{}{}", status.as_u16(), headers(fields), shown(body))
            }
            Err(failure) => format!("no answer after {taken}: {failure}"),
        }
    });
}

fn headers(headers: &HeaderMap) -> String {
    let mut text = String::new();
    for (name, value) in headers {
        let value = match name.as_str() {
            "authorization" => signature_hidden(&String::from_utf8_lossy(value.as_bytes())),
            name if is_secret_header(name) => HIDDEN.to_owned(),
            _ => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        };
        text.extend(["\n    ", name.as_str(), ": ", &value]);
    }
    text
}

const HIDDEN: &str = "***";

fn is_secret_header(name: &str) -> bool {
    name.ends_with("-token")
        || name.ends_with("_token")
        || name.contains("cookie")
        || name == "proxy-authorization"
}

/// What was signed, with which key, is worth knowing; the signature is not.
fn signature_hidden(value: &str) -> String {
    match value.split_once("Signature=") {
        Some((before, _)) => format!("{before}Signature={HIDDEN}"),
        None => HIDDEN.to_owned(),
    }
}

fn shown(body: &[u8]) -> String {
    if body.is_empty() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(MOST)]);
    let more = if body.len() > MOST { format!(" … {} bytes", body.len()) } else { String::new() };
    format!("\n    {}{more}", without_secrets(&text))
}

/// A body without tokens and passwords, be it JSON, XML or a form.
fn without_secrets(text: &str) -> String {
    const NAMES: &str = "authorizationToken|secretAccessKey|secretKey|sessionToken|accessToken|refreshToken|idToken|\
        webIdentityToken|clientSecret|tokenCode|password|assertion|codeVerifier";
    let pattern = format!(
        "(?i)((?:{NAMES})(?:\\\\?\"\\s*:\\s*\\\\?\"|=|>)|\"(?:token|code)\"\\s*:\\s*\")([^\"\\\\&<\\s][^\"\\\\&<]*)"
    );
    let pattern = regex_lite::Regex::new(&pattern).expect("the pattern is well formed");
    let text = pattern.replace_all(text, |found: &regex_lite::Captures<'_>| {
        format!("{}{HIDDEN}", found.get(1).map_or("", |name| name.as_str()))
    });
    if is_bare_secret(&text) { HIDDEN.to_owned() } else { text.into_owned() }
}

/// The machine's metadata service answers its token as a bare word.
fn is_bare_secret(text: &str) -> bool {
    text.len() > 20 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (text, expected) in [
            (
                r#"{"authorizationData": [{"authorizationToken": "QVdTOng=", "expiresAt": 1}]}"#,
                r#"{"authorizationData": [{"authorizationToken": "***", "expiresAt": 1}]}"#,
            ),
            (r#"{"nextToken":"abc","Token" : "x"}"#, r#"{"nextToken":"abc","Token" : "***"}"#),
            ("<SecretAccessKey>a/b</SecretAccessKey>", "<SecretAccessKey>***</SecretAccessKey>"),
            ("Action=AssumeRole&TokenCode=123456&X=1", "Action=AssumeRole&TokenCode=***&X=1"),
            (r#"{"secretAccessKey": "cut of"#, r#"{"secretAccessKey": "***"#),
            ("AQAEALdqGXJhbmRvbSB0b2tlbg==", "***"),
        ] {
            assert_eq!(without_secrets(text), expected);
        }
        let signed = "AWS4-HMAC-SHA256 Credential=AK/2026/us-east-1/ecr/aws4_request, SignedHeaders=host, Signature=12";
        assert!(signature_hidden(signed).ends_with("SignedHeaders=host, Signature=***"));
        assert_eq!(signature_hidden("Basic eDp5"), "***");
    }
}
