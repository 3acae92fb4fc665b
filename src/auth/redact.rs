//! Removal of secrets from logs and error messages.
//!
//! Every secret that the program knows is blacked out together with the forms in which it travels (base64, also as
//! part of a token or a basic authorization, percent-encoded, escaped in JSON), and so is everything that has the
//! shape of an AWS access key, known or not.

use crate::settings::without_userinfo;

/// Replacement for secrets.
pub(super) const REDACTED: &str = "[redacted]";
/// Least length of a secret to redact: a shorter one would hit ordinary words, and no real one is that short.
const MIN_LENGTH: usize = 6;

/// The secrets that are known.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Adds a secret and the forms in which it travels.
    pub fn add(&mut self, secret: &str) {
        if secret.len() < MIN_LENGTH {
            return;
        }
        let base64 = |text: &str| base64_simd::STANDARD.encode_to_string(text);
        let percent: String = secret
            .bytes()
            .map(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect();
        let escaped = serde_json::Value::from(secret).to_string();
        for form in [
            secret.to_owned(),
            base64(secret),
            base64(&format!("AWS:{secret}")),
            base64(&base64(&format!("AWS:{secret}"))),
            percent,
            escaped.trim_matches('"').to_owned(),
        ] {
            if !self.0.contains(&form) {
                self.0.push(form);
            }
        }
        // The longest first, so that no rest of one is left by another.
        self.0.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// The text without them.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), REDACTED);
            }
        }
        without_access_keys(&without_userinfo(&text))
    }
}

/// Redacts words of the form of an access key: `AKIA`, `ASIA` and 16 capitals or digits.
fn without_access_keys(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut word = String::new();
    for character in text.chars().chain(['\0']) {
        if character.is_ascii_alphanumeric() {
            word.push(character);
            continue;
        }
        let is_key = word.len() >= 16
            && (word.starts_with("AKIA") || word.starts_with("ASIA"))
            && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        result.push_str(if is_key { REDACTED } else { &word });
        word.clear();
        if character != '\0' {
            result.push(character);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_gone_in_every_form() {
        let mut secrets = Secrets::default();
        let secret = "wJalr/XUt\"n+FEMI";
        secrets.add(secret);
        let base64 = |text: &str| base64_simd::STANDARD.encode_to_string(text);
        let text = [
            secret.to_owned(),
            base64(secret),
            base64(&format!("AWS:{secret}")),
            "wJalr%2FXUt%22n%2BFEMI".into(),
            serde_json::Value::from(secret).to_string(),
        ]
        .join(" ");
        assert_eq!(secrets.redact(&text), "[redacted] [redacted] [redacted] [redacted] \"[redacted]\"");
    }

    #[test]
    fn access_keys_are_known_by_their_shape() {
        let text = "key AKIAIOSFODNN7EXAMPLE, ASIAIOSFODNN7EXAMPLE. AKIA, Akiaiosfodnn7example";
        let expected = "key [redacted], [redacted]. AKIA, Akiaiosfodnn7example";
        assert_eq!(Secrets::default().redact(text), expected);
    }

    #[test]
    fn short_words_stay() {
        let mut secrets = Secrets::default();
        secrets.add("us");
        assert_eq!(secrets.redact("us-east-1"), "us-east-1");
    }
}
