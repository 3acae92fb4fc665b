//! The token that `--starting-token` takes and `NextToken` gives: the service's own token, and how much of a page
//! had been shown, as base64 of JSON.

use serde_json::{Map, Value};

use super::error::Error;
use crate::model::{foreign, python, wire};

/// Member of a token with the position in a page at which the next listing begins.
const SKIP: &str = "boto_truncate_amount";

/// A starting token, read.
#[derive(Debug, PartialEq)]
pub(super) struct Start {
    /// Members for the request, normally the one token.
    pub(super) tokens: Map<String, Value>,
    /// Number of the first page's items that were shown before.
    pub(super) skip: i64,
}

/// Reads a starting token: ours, the older `TOKEN___SKIP`, or else the service's own as it is.
pub(super) fn decode(text: &str, input_token: &str) -> Result<Start, Error> {
    if let Some(mut tokens) = decoded_object(text) {
        tokens.shift_remove("boto_encoded_keys");
        let skip = match tokens.shift_remove(SKIP) {
            None | Some(Value::Null) => 0,
            Some(value) => value.as_i64().ok_or_else(|| {
                let words = "slice indices must be integers or None or have an __index__ method";
                Error::Pagination(words.to_owned())
            })?,
        };
        return Ok(Start { tokens, skip });
    }
    let (token, skip) = match text.split("___").collect::<Vec<_>>()[..] {
        [_] => (text, 0),
        [token, skip] => match python_integer(skip) {
            Some(skip) => (token, skip),
            None => (text, 0),
        },
        _ => return Err(bad(text)),
    };
    let token = if token == "None" { Value::Null } else { Value::String(token.to_owned()) };
    Ok(Start { tokens: Map::from_iter([(input_token.to_owned(), token)]), skip })
}

/// Encodes the token with which a listing continues.
pub(super) fn encode(
    mut tokens: Map<String, Value>,
    skip: Option<i64>,
    input_token: &str,
) -> Result<String, Error> {
    let whole = tokens.len() == 1 && tokens.contains_key(input_token);
    if let Some(skip) = skip {
        tokens.insert(SKIP.to_owned(), Value::from(skip));
    }
    let tokens = Value::Object(tokens);
    if whole {
        Ok(base64_simd::STANDARD.encode_to_string(wire::dumps(&tokens)))
    } else {
        Err(bad(&foreign::repr(&tokens)))
    }
}

fn bad(token: &str) -> Error {
    Error::Pagination(format!("Bad starting token: {token}"))
}

fn decoded_object(text: &str) -> Option<Map<String, Value>> {
    match serde_json::from_slice(&decode_leniently(text)?) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// Base64 as Python's `b64decode` takes it: foreign characters are passed over, padding ends it.
fn decode_leniently(text: &str) -> Option<Vec<u8>> {
    let mut digits: Vec<u8> = Vec::with_capacity(text.len());
    let mut padding = 0;
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => {
                padding = 0;
                digits.push(byte);
            }
            b'=' if digits.len() % 4 >= 2 => {
                padding += 1;
                if digits.len() % 4 + padding >= 4 {
                    return base64_simd::STANDARD_NO_PAD.decode_to_vec(zeroed_tail(digits)).ok();
                }
            }
            _ => {}
        }
    }
    if digits.len().is_multiple_of(4) { base64_simd::STANDARD.decode_to_vec(digits).ok() } else { None }
}

/// Bits of the last digit that stand for nothing may be set in Python's eyes; our decoder wants zeros.
fn zeroed_tail(mut digits: Vec<u8>) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mask = if digits.len() % 4 == 2 { 0b11_0000 } else { 0b11_1100 };
    if let Some(last) = digits.last_mut()
        && let Some(value) = ALPHABET.iter().position(|digit| digit == last)
    {
        *last = ALPHABET[value & mask];
    }
    digits
}

fn python_integer(text: &str) -> Option<i64> {
    python::int(text)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn start(text: &str) -> Result<(Value, i64), String> {
        decode(text, "nextToken")
            .map(|start| (Value::Object(start.tokens), start.skip))
            .map_err(|error| error.to_string())
    }

    fn token(value: Value, skip: Option<i64>) -> String {
        let Value::Object(tokens) = value else { panic!("tokens are members") };
        encode(tokens, skip, "nextToken").unwrap_or_else(|error| error.to_string())
    }

    // The strings were recorded from AWS CLI 2.38.1.
    #[test]
    fn tokens_are_those_of_aws_cli() {
        let first = "eyJuZXh0VG9rZW4iOiBudWxsLCAiYm90b190cnVuY2F0ZV9hbW91bnQiOiAxfQ==";
        assert_eq!(token(json!({"nextToken": null}), Some(1)), first);
        assert_eq!(start(first), Ok((json!({"nextToken": null}), 1)));
        assert_eq!(
            token(json!({"nextToken": null}), Some(-1)),
            "eyJuZXh0VG9rZW4iOiBudWxsLCAiYm90b190cnVuY2F0ZV9hbW91bnQiOiAtMX0="
        );
        assert_eq!(token(json!({"nextToken": "é"}), None), "eyJuZXh0VG9rZW4iOiAiXHUwMGU5In0=");
        assert_eq!(token(json!({}), Some(1)), "Bad starting token: {'boto_truncate_amount': 1}");
    }

    #[test]
    fn other_tokens_are_taken_too() {
        assert_eq!(start("raw-token"), Ok((json!({"nextToken": "raw-token"}), 0)));
        assert_eq!(start("a___3"), Ok((json!({"nextToken": "a"}), 3)));
        assert_eq!(start("None___3"), Ok((json!({"nextToken": null}), 3)));
        assert_eq!(start("a___b"), Ok((json!({"nextToken": "a___b"}), 0)));
        assert_eq!(start("a___b___1"), Err("Bad starting token: a___b___1".to_owned()));
        assert_eq!(start("eyJm!b28iOi AxfQ==="), Ok((json!({"foo": 1}), 0)));
    }
}
