//! The header `Authorization` of the services' API: AWS Signature Version 4, parsed once and strictly. Everything that
//! is later checked or believed comes from this one parse, so that no second reading can find something else in it.

use hyper::header::{AUTHORIZATION, HeaderMap};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The end of every credential scope.
const TERMINATOR: &str = "aws4_request";
/// Limit of the header's length; those of AWS's SDKs have some 300 bytes.
const MAX_LENGTH: usize = 4096;

/// Error of parsing the header, for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedAuthorization(&'static str);

/// A parsed AWS Signature Version 4. It is a claim: nothing of it is true before its signature is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// The access key.
    pub access_key: String,
    /// The day of the signing key, `20260131`.
    pub date: String,
    /// The region of the signing key.
    pub region: String,
    /// The service of the signing key, such as `ecr`.
    pub service: String,
    /// The signed headers' names: lower case, in ascending order, each once.
    pub signed_headers: Vec<String>,
    /// The signature, in hexadecimal digits.
    pub signature: String,
}

impl Authorization {
    /// Reads the one `Authorization` header of a request; `None` where it has none, or one of another scheme.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, MalformedAuthorization> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(MalformedAuthorization("the request has more than one Authorization header"));
        }
        let text = value.to_str().map_err(|_| {
            MalformedAuthorization("the Authorization header has bytes that are not printable ASCII")
        })?;
        let scheme = text.split(' ').next().unwrap_or_default();
        if scheme != ALGORITHM {
            let is_signature = scheme.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("AWS4"));
            let wrong = MalformedAuthorization("the signing algorithm is not AWS4-HMAC-SHA256");
            return if is_signature { Err(wrong) } else { Ok(None) };
        }
        Self::parse(text).map(Some)
    }

    /// Reads a header's text.
    pub fn parse(text: &str) -> Result<Self, MalformedAuthorization> {
        let wrong = MalformedAuthorization;
        if text.len() > MAX_LENGTH {
            return Err(wrong("the Authorization header has more than 4096 bytes"));
        }
        let rest = text.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(' '));
        let rest = rest.ok_or(wrong("the signing algorithm is not AWS4-HMAC-SHA256"))?;
        let [mut credential, mut signed_headers, mut signature] = [None; 3];
        for part in rest.split(',') {
            let (name, value) = part.trim_matches(' ').split_once('=').unwrap_or_default();
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => {
                    return Err(wrong(
                        "the Authorization header has a part other than Credential, SignedHeaders and Signature",
                    ));
                }
            };
            if slot.replace(value).is_some() {
                return Err(wrong("the Authorization header has a part more than once"));
            }
        }
        let credential = credential.ok_or(wrong("the Authorization header requires Credential"))?;
        let signed = signed_headers.ok_or(wrong("the Authorization header requires SignedHeaders"))?;
        let signature = signature.ok_or(wrong("the Authorization header requires Signature"))?;
        if signature.is_empty() || !signature.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(wrong("the signature is not of lower-case hexadecimal digits"));
        }
        let [access_key, date, region, service] = scope(credential)?.map(str::to_owned);
        let signed_headers = names(signed)?;
        Ok(Self { access_key, date, region, service, signed_headers, signature: signature.to_owned() })
    }

    /// The credential scope as it is signed.
    pub(super) fn scope(&self) -> [&str; 4] {
        [&self.date, &self.region, &self.service, TERMINATOR]
    }

    /// Returns whether the signature covers a header.
    pub(super) fn signs(&self, header: &str) -> bool {
        self.signed_headers.iter().any(|name| name == header)
    }
}

/// Access key, date, region and service of a credential scope.
fn scope(credential: &str) -> Result<[&str; 4], MalformedAuthorization> {
    let parts: Vec<&str> = credential.split('/').collect();
    let [key, date, region, service, TERMINATOR] = parts[..] else {
        return Err(MalformedAuthorization("the credential is not KEY/DATE/REGION/SERVICE/aws4_request"));
    };
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.+:@".contains(&byte);
    let is_label = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let is_sound = (1..=128).contains(&key.len())
        && key.bytes().all(is_key)
        && date.len() == 8
        && date.bytes().all(|byte| byte.is_ascii_digit())
        && [region, service]
            .iter()
            .all(|label| (1..=64).contains(&label.len()) && label.bytes().all(is_label));
    if is_sound {
        return Ok([key, date, region, service]);
    }
    Err(MalformedAuthorization("the credential's key, date, region or service is not one"))
}

/// The names of signed headers.
fn names(text: &str) -> Result<Vec<String>, MalformedAuthorization> {
    let is_name = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    let names: Vec<String> = text.split(';').map(str::to_owned).collect();
    let is_sound = names.iter().all(|name| !name.is_empty() && name.bytes().all(is_name));
    if is_sound && names.is_sorted_by(|one, next| one < next) {
        return Ok(names);
    }
    Err(MalformedAuthorization("the signed headers are not lower-case names in ascending order, each once"))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const SOUND: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                         SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";

    #[test]
    fn the_example_of_the_documentation_is_read() {
        // docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
        let read = Authorization::parse(SOUND).unwrap();
        let signed = ["content-type", "host", "x-amz-date"].map(str::to_owned).to_vec();
        assert_eq!((read.access_key.as_str(), read.signed_headers.clone()), ("AKIDEXAMPLE", signed));
        assert_eq!(read.scope(), ["20150830", "us-east-1", "iam", "aws4_request"]);
        // Some SDKs put no blank behind the comma.
        assert_eq!(Authorization::parse(&SOUND.replace(", ", ",")), Ok(read));
    }

    #[test]
    fn nothing_but_the_known_parts_each_once_is_read() {
        let credential = "Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request";
        let cases = [
            ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 XCredential=AKIAALICE/1/us-east-1, ", "other than"),
            (
                credential,
                "Credential=AKIAALICE/20150830/us-east-1/iam/aws4_request, Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request",
                "more than once",
            ),
            (", Signature=", ", Signature=00, Signature=", "more than once"),
            (", Signature=", ", signature=", "other than"),
            ("Credential=", "Credential =", "other than"),
            ("SignedHeaders=", "SignedHeaders=host;", "ascending"),
            ("content-type;host", "host;content-type", "ascending"),
            ("content-type;host", "content-type;Host", "lower-case"),
            ("/aws4_request", "", "KEY/DATE"),
            ("/aws4_request", "/aws4_request/x", "KEY/DATE"),
            ("AKIDEXAMPLE", "", "is not one"),
            ("AKIDEXAMPLE", "A=B", "is not one"),
            ("20150830", "2015083", "is not one"),
            ("us-east-1", "us east 1", "is not one"),
            ("Signature=5", "Signature=Z", "hexadecimal"),
            (", SignedHeaders=content-type;host;x-amz-date", "", "requires SignedHeaders"),
            (credential, "", "other than"),
            ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512", "algorithm"),
        ];
        for (part, instead, reason) in cases {
            let text = SOUND.replacen(part, instead, 1);
            assert_ne!(text, SOUND);
            let refused = Authorization::parse(&text).unwrap_err().to_string();
            assert!(refused.contains(reason), "{text}\n{refused}");
        }
        let long = SOUND.replace("AKID", &"A".repeat(5000));
        assert!(Authorization::parse(&long).unwrap_err().to_string().contains("4096"));
    }

    #[test]
    fn a_request_has_one_header() {
        let mut headers = HeaderMap::new();
        assert_eq!(Authorization::of(&headers), Ok(None));
        headers.insert(AUTHORIZATION, HeaderValue::from_static(SOUND));
        assert!(Authorization::of(&headers).unwrap().is_some());
        headers.append(AUTHORIZATION, HeaderValue::from_static(SOUND));
        assert!(Authorization::of(&headers).unwrap_err().to_string().contains("more than one"));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic QTpi"));
        assert_eq!(Authorization::of(&headers), Ok(None));
        headers.insert(AUTHORIZATION, HeaderValue::from_bytes(b"AWS4-HMAC-SHA256 \xff").unwrap());
        assert!(Authorization::of(&headers).is_err());
    }
}
