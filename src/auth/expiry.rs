//! Reads the expiry time inside a password of Amazon ECR.
//!
//! It is base64 of a JSON object with the members `payload`, `datakey`, `version`, `type` and `expiration`, of which
//! the last is in seconds since 1970. Nothing promises that it stays so: what cannot be read has no known end.

use serde_json::Value;

/// Expiry time of a password, in seconds since 1970; `None` where it does not say.
pub fn of_password(password: &str) -> Option<u64> {
    let bytes = base64_simd::forgiving_decode_to_vec(password.as_bytes()).ok()?;
    let value: Value = serde_json::from_slice(&bytes).ok()?;
    value.get("expiration")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_says_when_it_ends() {
        let text = r#"{"payload":"x","datakey":"y","version":"2","type":"DATA_KEY","expiration":1675924102}"#;
        assert_eq!(of_password(&base64_simd::STANDARD.encode_to_string(text)), Some(1_675_924_102));
        for other in ["", "secret", "{}", &base64_simd::STANDARD.encode_to_string("{}")] {
            assert_eq!(of_password(other), None, "{other}");
        }
    }
}
