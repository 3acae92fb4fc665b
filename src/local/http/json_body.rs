//! Bodies of the services' API, read in a stream: a blob member is decoded from its base64 on the way, so that a layer
//! part is neither held as text nor read twice.

use hyper::body::Incoming;
use sha2::{Digest as _, Sha256};

use crate::local::aws_api::error::ApiError;
use crate::local::http::body::Buffer;
use crate::local::http::body::Buffers;
use crate::local::http::body::MAX_BYTES;
use crate::local::http::body::Reading;
use crate::local::http::min_rate::Timeouts;

/// The most that surrounds a blob member.
const SURROUNDINGS: usize = 256 * 1024;

/// A body that was read.
#[derive(Debug)]
pub(super) struct Input {
    /// The JSON text; `null` stands where the blob member was.
    pub(super) text: Buffer,
    /// The bytes of the blob member.
    pub(super) blob: Option<Buffer>,
    /// Hash of the body, if requested.
    pub(super) hash: Option<[u8; 32]>,
}

/// Reads a body, and hashes it where its signature is to be checked.
pub(super) async fn read(
    buffers: &std::sync::Arc<Buffers>,
    body: Incoming,
    member: Option<&'static str>,
    is_hashed: bool,
    timeouts: Timeouts,
) -> Result<Input, ApiError> {
    let mut hasher = is_hashed.then(Sha256::new);
    // Base64 has four letters for three bytes.
    let shrink = if member.is_some() { (3, 4) } else { (1, 1) };
    let mut reading = Reading::begin(buffers, body, MAX_BYTES, shrink, timeouts).await?;
    let Some(member) = member else {
        while let Some(data) = reading.next().await? {
            if let Some(hasher) = &mut hasher {
                hasher.update(&data);
            }
            reading.buffer.bytes.extend_from_slice(&data);
        }
        let hash = hasher.map(|hasher| hasher.finalize().into());
        return Ok(Input { text: reading.buffer, blob: None, hash });
    };
    let mut scanner = Scanner::new(member);
    while let Some(data) = reading.next().await? {
        if let Some(hasher) = &mut hasher {
            hasher.update(&data);
        }
        if let Err(error) = scanner.feed(&data, &mut reading.buffer.bytes) {
            reading.drain().await;
            return Err(error);
        }
    }
    let hash = hasher.map(|hasher| hasher.finalize().into());
    let blob = scanner.has_blob.then_some(reading.buffer);
    Ok(Input { text: Buffer::small(scanner.text), blob, hash })
}

/// State of the scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScannerState {
    /// Between strings.
    Structure,
    /// In a string; `true` after a backslash.
    String(bool),
    /// In the blob member.
    Blob,
}

/// Splits a body into its blob member and the rest. It knows just enough of JSON for that: what is wrong with the rest
/// is found when that is parsed.
#[derive(Debug)]
struct Scanner {
    member: &'static str,
    place: ScannerState,
    depth: usize,
    /// The next string of the outermost structure is a name.
    is_name_next: bool,
    /// The name that is being read, or was read last, as it is written.
    name: Option<Vec<u8>>,
    text: Vec<u8>,
    has_blob: bool,
    base64: Base64,
}

impl Scanner {
    fn new(member: &'static str) -> Self {
        Self {
            member,
            place: ScannerState::Structure,
            depth: 0,
            is_name_next: false,
            name: None,
            text: Vec::new(),
            has_blob: false,
            base64: Base64::default(),
        }
    }

    fn feed(&mut self, mut data: &[u8], blob: &mut Vec<u8>) -> Result<(), ApiError> {
        while !data.is_empty() {
            data =
                if self.place == ScannerState::Blob { self.blob(data, blob)? } else { self.rest(data, blob) };
            if self.text.len() > SURROUNDINGS {
                let text = format!("{SURROUNDINGS} bytes at most may surround {}", self.member);
                return Err(ApiError::new("SerializationException", text));
            }
        }
        Ok(())
    }

    /// Scans the blob's next bytes; returns those behind the blob.
    fn blob<'d>(&mut self, data: &'d [u8], blob: &mut Vec<u8>) -> Result<&'d [u8], ApiError> {
        let broken =
            || ApiError::new("SerializationException", format!("{} is not base64 text", self.member));
        // Nearly always all of it is base64; looking for the end first would take longer than decoding.
        if self.base64.decode(data, blob) {
            return Ok(&[]);
        }
        let special = data.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or_default();
        let data = if self.base64.decode(&data[..special], blob) { &data[special..] } else { data };
        for (at, byte) in data.iter().enumerate() {
            if *byte == b'"' && !self.base64.is_escaped() {
                if !self.base64.end() {
                    return Err(broken());
                }
                self.place = ScannerState::Structure;
                return Ok(&data[at + 1..]);
            }
            if !self.base64.letter(*byte, blob) {
                return Err(broken());
            }
        }
        Ok(&[])
    }

    /// Scans the other next bytes, up to the beginning of the blob.
    fn rest<'d>(&mut self, data: &'d [u8], blob: &mut Vec<u8>) -> &'d [u8] {
        for (at, byte) in data.iter().enumerate() {
            if self.place == ScannerState::Structure && *byte == b'"' && self.begins_blob() {
                self.text.extend_from_slice(b"null");
                (self.place, self.has_blob, self.base64) = (ScannerState::Blob, true, Base64::default());
                blob.clear();
                return &data[at + 1..];
            }
            self.text.push(*byte);
            self.step(*byte);
        }
        &[]
    }

    fn begins_blob(&self) -> bool {
        self.depth == 1 && !self.is_name_next && self.name.as_deref() == Some(self.member.as_bytes())
    }

    fn step(&mut self, byte: u8) {
        if let ScannerState::String(escaped) = self.place {
            match byte {
                b'"' if !escaped => self.place = ScannerState::Structure,
                _ => {
                    self.place = ScannerState::String(byte == b'\\' && !escaped);
                    if let Some(name) = self.name.as_mut().filter(|_| self.is_name_next) {
                        name.push(byte);
                    }
                }
            }
            return;
        }
        match byte {
            b'"' => {
                self.place = ScannerState::String(false);
                if self.depth == 1 && self.is_name_next {
                    self.name = Some(Vec::new());
                }
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.is_name_next = self.depth == 1 && byte == b'{';
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b':' if self.depth == 1 => self.is_name_next = false,
            b',' if self.depth == 1 => (self.is_name_next, self.name) = (true, None),
            _ => {}
        }
    }
}

/// Decoder of base64 in pieces, within a JSON string.
#[derive(Debug, Default)]
struct Base64 {
    /// Letters of a group of four that is not whole yet.
    group: Vec<u8>,
    /// Padding was met, which nothing may follow.
    is_padded: bool,
    /// Characters since a backslash.
    escape: Option<Vec<u8>>,
}

impl Base64 {
    fn is_escaped(&self) -> bool {
        self.escape.is_some()
    }

    /// Decodes a piece; false, with nothing taken, where some of it is not base64.
    fn decode(&mut self, data: &[u8], blob: &mut Vec<u8>) -> bool {
        if self.is_padded || self.is_escaped() {
            return false;
        }
        let missing = if self.group.is_empty() { 0 } else { 4 - self.group.len() };
        if data.len() < missing {
            return false;
        }
        let (head, data) = data.split_at(missing);
        let (whole, tail) = data.split_at(data.len() / 4 * 4);
        let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
        if !tail.iter().all(is_letter) {
            return false;
        }
        let (before, mut group) = (blob.len(), self.group.clone());
        group.extend_from_slice(head);
        let last = if whole.is_empty() { &group } else { whole };
        let is_padded = last.ends_with(b"=");
        // Padding that something follows is found letter by letter.
        let decoded = (data.is_empty() || !group.ends_with(b"="))
            && (tail.is_empty() || !is_padded)
            && base64_simd::STANDARD.decode_append(&group, blob).is_ok()
            && base64_simd::STANDARD.decode_append(whole, blob).is_ok();
        if !decoded {
            blob.truncate(before);
            return false;
        }
        self.is_padded = is_padded;
        self.group = tail.to_vec();
        true
    }

    /// Takes one letter as it is written in JSON.
    fn letter(&mut self, byte: u8, blob: &mut Vec<u8>) -> bool {
        let Some(escape) = &mut self.escape else {
            if byte == b'\\' {
                self.escape = Some(Vec::new());
                return true;
            }
            return self.plain(byte, blob);
        };
        escape.push(byte);
        let letter = match escape.as_slice() {
            b"/" => b'/',
            [b'u', hex @ ..] if hex.len() < 4 => return true,
            [b'u', hex @ ..] => {
                let code = std::str::from_utf8(hex).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
                match code {
                    Some(letter) => letter,
                    None => return false,
                }
            }
            _ => return false,
        };
        self.escape = None;
        self.plain(letter, blob)
    }

    fn plain(&mut self, letter: u8, blob: &mut Vec<u8>) -> bool {
        if self.is_padded {
            return false;
        }
        self.group.push(letter);
        if self.group.len() < 4 {
            return true;
        }
        self.is_padded = letter == b'=';
        let decoded = base64_simd::STANDARD.decode_append(&self.group, blob).is_ok();
        self.group.clear();
        decoded
    }

    /// Returns whether the text may end here.
    fn end(&self) -> bool {
        self.group.is_empty() && self.escape.is_none()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Scans a body in pieces of every size, which must all give the same result.
    fn scanned(body: &str) -> Result<(String, Option<Vec<u8>>), ApiError> {
        let whole = scan(body, body.len().max(1));
        for size in 1..body.len() {
            assert_eq!(scan(body, size), whole, "{body} in pieces of {size}");
        }
        whole
    }

    fn scan(body: &str, size: usize) -> Result<(String, Option<Vec<u8>>), ApiError> {
        let (mut scanner, mut blob) = (Scanner::new("data"), Vec::new());
        for piece in body.as_bytes().chunks(size) {
            scanner.feed(piece, &mut blob)?;
        }
        Ok((String::from_utf8(scanner.text).unwrap(), scanner.has_blob.then_some(blob)))
    }

    fn split(rest: &str, blob: &[u8]) -> (String, Option<Vec<u8>>) {
        (rest.to_owned(), Some(blob.to_vec()))
    }

    #[test]
    fn a_blob_is_taken_out_of_its_surroundings() {
        assert_eq!(scanned(r#"{"data":"aGVsbG8=","n":1}"#), Ok(split(r#"{"data":null,"n":1}"#, b"hello")));
        assert_eq!(
            scanned(r#"{"a":"x", "data" : "aGVsbG8h"}"#),
            Ok(split(r#"{"a":"x", "data" : null}"#, b"hello!"))
        );
        assert_eq!(scanned(r#"{"data":""}"#), Ok(split(r#"{"data":null}"#, b"")));
        let text = "pack my box with five dozen liquor jugs, and then pack my box once more";
        let body = json!({ "id": "1", "data": base64_simd::STANDARD.encode_to_string(text), "last": 2 });
        assert_eq!(
            scanned(&body.to_string()),
            Ok(split(r#"{"id":"1","data":null,"last":2}"#, text.as_bytes()))
        );
    }

    #[test]
    fn letters_may_be_escaped() {
        assert_eq!(scanned(r#"{"data":"\/\/8\u003D"}"#), Ok(split(r#"{"data":null}"#, b"\xff\xff")));
        assert_eq!(
            scanned(r#"{"data":"\u002b+\/\/aGVs"}"#),
            Ok(split(r#"{"data":null}"#, b"\xfb\xef\xffhel"))
        );
    }

    #[test]
    fn only_the_member_of_the_outermost_structure_is_a_blob() {
        for body in [
            r#"{"a":{"data":"aGVsbG8="}}"#,
            r#"{"a":["data","aGVsbG8="]}"#,
            r#"["data","aGVsbG8="]"#,
            r#"{"a":"data","b":"\"data\":\"aGVsbG8=\""}"#,
            r#"{"data":null,"b":"c"}"#,
            r#"{"data":{"b":"c"}}"#,
            r#"{"other\"":"data","data\"":"x"}"#,
            "",
            "]}[",
        ] {
            assert_eq!(scanned(body), Ok((body.to_owned(), None)));
        }
    }

    #[test]
    fn invalid_base64_is_refused() {
        let error = Err(ApiError::new("SerializationException", "data is not base64 text"));
        for text in
            ["aGVsbG8", "aGVsbG8=aGVsbG8=", "aGVs bG8=", "====", "a=bc", r"aGVs\n", r"\u00e4aaa", "aGVsbG8=="]
        {
            assert_eq!(scanned(&format!(r#"{{"data":"{text}"}}"#)), error, "{text}");
        }
    }

    #[test]
    fn the_last_of_two_counts() {
        let rest = r#"{"data":null,"data":null}"#;
        assert_eq!(scanned(r#"{"data":"aGVsbG8h","data":"aGVsbG8="}"#), Ok(split(rest, b"hello")));
    }

    #[test]
    fn surroundings_are_bounded() {
        let body = format!(r#"{{"a":"{}"}}"#, "x".repeat(SURROUNDINGS));
        assert_eq!(scan(&body, 10_000).unwrap_err().code, "SerializationException");
    }
}
