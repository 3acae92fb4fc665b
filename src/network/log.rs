//! Requests and answers in the log of `--debug`, without their secrets.

use std::fmt;
use std::time::Duration;

use hyper::http::{HeaderMap, Method, StatusCode};

use crate::settings::Log;

/// Limit of the bytes of a body that are shown.
const MAX_COUNT: usize = 4096;
const PART: &str = "network";

/// Logs a request that is about to be sent.
pub fn request(log: &Log, method: &Method, url: &str, fields: &HeaderMap, body: &[u8]) {
    log.line(PART, || format!("request {method} {}{}{}", url_shown(url), headers(fields), shown(body)));
}

/// Logs an answer, with as much of its body as was read.
pub fn answer(log: &Log, taken: Duration, status: StatusCode, fields: &HeaderMap, body: &[u8]) {
    let status = status.as_u16();
    log.line(PART, || {
        format!("answer {status} after {}{}{}", milliseconds(taken), headers(fields), shown(body))
    });
}

/// Logs where a redirect leads.
pub fn redirect(log: &Log, url: &str) {
    log.line(PART, || format!("redirect to {}", url_shown(url)));
}

/// Logs why there is no answer.
pub fn failure(log: &Log, taken: Duration, reason: &dyn fmt::Display) {
    log.line(PART, || format!("no answer after {}: {reason}", milliseconds(taken)));
}

fn milliseconds(taken: Duration) -> String {
    format!("{:.1} ms", taken.as_secs_f64() * 1000.0)
}

/// Hides the signature in a URL's query, which gives access as long as it lasts.
fn url_shown(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret_parameter(name) => format!("{name}={HIDDEN}"),
        _ => pair.to_owned(),
    });
    format!("{path}?{}", shown.collect::<Vec<_>>().join("&"))
}

fn is_secret_parameter(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("signature")
        || name.contains("token")
        || matches!(name.as_str(), "sig" | "verify" | "_state")
}

fn headers(headers: &HeaderMap) -> String {
    let mut text = String::new();
    for (name, value) in headers {
        let value = match name.as_str() {
            "authorization" => signature_hidden(&String::from_utf8_lossy(value.as_bytes())),
            "location" => url_shown(&String::from_utf8_lossy(value.as_bytes())),
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

/// Hides the signature in an `Authorization` header, and shows what was signed and with which key.
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
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_COUNT)]);
    let more = if body.len() > MAX_COUNT { format!(" … {} bytes", body.len()) } else { String::new() };
    format!("\n    {}{more}", without_secrets(&text))
}

/// A body without tokens and passwords, be it JSON, XML or a form.
fn without_secrets(text: &str) -> String {
    const NAMES: &str = "authorizationToken|secretAccessKey|secretKey|sessionToken|access_?token|refresh_?token|id_?token|signature|security-token|\
        webIdentityToken|client_?secret|tokenCode|password|assertion|codeVerifier";
    let pattern = format!(
        "(?i)((?:{NAMES})(?:\\\\?\"\\s*:\\s*\\\\?\"|=|>)|\"(?:token|code)\"\\s*:\\s*\")([^\"\\\\&<\\s][^\"\\\\&<]*)"
    );
    let pattern = regex_lite::Regex::new(&pattern).expect("the pattern is well formed");
    let text = pattern.replace_all(text, |found: &regex_lite::Captures<'_>| {
        format!("{}{HIDDEN}", found.get(1).map_or("", |name| name.as_str()))
    });
    if is_bare_secret(&text) { HIDDEN.to_owned() } else { text.into_owned() }
}

/// Returns whether a body is a token of the metadata service, which is a bare word.
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
            (
                "grant_type=refresh_token&refresh_token=abc&x=1",
                "grant_type=refresh_token&refresh_token=***&x=1",
            ),
            (
                r#"{"downloadUrl":"https://h/x?X-Amz-Date=1&X-Amz-Security-Token=a&X-Amz-Signature=b","c":1}"#,
                r#"{"downloadUrl":"https://h/x?X-Amz-Date=1&X-Amz-Security-Token=***&X-Amz-Signature=***","c":1}"#,
            ),
            (r#"{"access_token":"abc"}"#, r#"{"access_token":"***"}"#),
            ("AQAEALdqGXJhbmRvbSB0b2tlbg==", "***"),
        ] {
            assert_eq!(without_secrets(text), expected);
        }
        let signed = "AWS4-HMAC-SHA256 Credential=AK/2026/us-east-1/ecr/aws4_request, SignedHeaders=host, Signature=12";
        assert!(signature_hidden(signed).ends_with("SignedHeaders=host, Signature=***"));
        assert_eq!(signature_hidden("Basic eDp5"), "***");
        let url = "https://h/x?X-Amz-Date=1&X-Amz-Signature=ab&X-Amz-Security-Token=c&y";
        assert_eq!(url_shown(url), "https://h/x?X-Amz-Date=1&X-Amz-Signature=***&X-Amz-Security-Token=***&y");
    }
}
