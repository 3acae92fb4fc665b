//! Blobs in an input: from the form in which they were given to standard base64.

use serde_json::Value;

use super::Error;
use crate::model::foreign::Foreign;
use crate::model::{Kind, Service};

/// Encoding of blobs in arguments (`--cli-binary-format`, `cli_binary_format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `base64`: the text is base64.
    #[default]
    Base64,
    /// `raw-in-base64-out`: the text's own bytes.
    Raw,
}

impl Format {
    /// The format of this name; `None` where there is none.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "base64" => Some(Self::Base64),
            "raw-in-base64-out" => Some(Self::Raw),
            _ => None,
        }
    }
}

/// Brings every blob of an input to standard base64. `shape` names the input's structure.
///
/// The AWS CLI does this when it has its credentials and before it validates the input: so does the caller.
pub fn decode(service: &Service, shape: &str, value: &mut Value, format: Format) -> Result<(), Error> {
    let shape = service.shape(shape);
    match (shape.kind, &mut *value) {
        (Kind::Structure, Value::Object(members)) => {
            for (name, shape) in &shape.members {
                if let Some(member) = members.get_mut(*name) {
                    decode(service, shape, member, format)?;
                }
            }
        }
        (Kind::Map, Value::Object(members)) => {
            let shape = shape.value.expect("a map in the model has values");
            members.values_mut().try_for_each(|member| decode(service, shape, member, format))?;
        }
        (Kind::List, Value::Array(items)) => {
            let shape = shape.member.expect("a list in the model has an element");
            items.iter_mut().try_for_each(|item| decode(service, shape, item, format))?;
        }
        (Kind::Blob, Value::String(text)) => {
            let bytes = match format {
                Format::Base64 => lenient_base64(text).map_err(|wrong| match wrong {
                    NotBase64::Beyond => Error::Failure(wrong.to_string()),
                    _ => Error::Failure(format!("Invalid base64: \"{text}\"")),
                })?,
                Format::Raw => std::mem::take(text).into_bytes(),
            };
            *text = base64_simd::STANDARD.encode_to_string(bytes);
        }
        (Kind::Blob, Value::Object(_)) => {
            if let Some(Foreign::Bytes(base64)) = Foreign::of(value) {
                *value = Value::from(base64);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Error of decoding base64, in Python's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotBase64 {
    /// The text has characters beyond ASCII.
    #[error("string argument should contain only ASCII characters")]
    Beyond,
    /// One character of the alphabet is left over.
    #[error(
        "Invalid base64-encoded string: number of data characters ({0}) cannot be 1 more than a multiple of 4"
    )]
    Odd(usize),
    /// The padding at the end is not whole.
    #[error("Incorrect padding")]
    Unpadded,
}

/// Base64 as Python's `base64.b64decode` reads it: what is not of the alphabet is skipped, padding in the middle too;
/// only the padding at the end must be whole.
pub fn lenient_base64(text: &str) -> Result<Vec<u8>, NotBase64> {
    if !text.is_ascii() {
        return Err(NotBase64::Beyond);
    }
    let is_data = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let data: Vec<u8> = text.bytes().filter(is_data).collect();
    let pads = text.bytes().rev().take_while(|byte| !is_data(byte)).filter(|byte| *byte == b'=').count();
    let partial = data.len() % 4;
    if partial == 1 {
        return Err(NotBase64::Odd(data.len()));
    }
    if partial > 1 && partial + pads < 4 {
        return Err(NotBase64::Unpadded);
    }
    Ok(decode_data(&data))
}

/// Decodes characters of the alphabet. Bits of the last one that fill no byte are dropped, as Python does.
fn decode_data(data: &[u8]) -> Vec<u8> {
    let sextet = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut result = Vec::with_capacity(data.len() / 4 * 3 + 3);
    for quad in data.chunks(4) {
        let bits = (0..4)
            .fold(0, |bits, index| bits << 6 | quad.get(index).map_or(0, |byte| u32::from(sextet(*byte))));
        result.extend_from_slice(&bits.to_be_bytes()[1..quad.len()]);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ecr;
    use serde_json::json;

    fn decoded(blob: &Value, format: Format) -> Result<Value, Error> {
        let mut input = json!({"uploadId": "aa", "layerPartBlob": blob});
        decode(ecr(), "UploadLayerPartRequest", &mut input, format)?;
        assert_eq!(input["uploadId"], "aa");
        Ok(input["layerPartBlob"].take())
    }

    #[test]
    fn base64_is_read_as_python_reads_it() {
        let recorded = include_str!("../../tests/fixtures/base64.json");
        let cases: Vec<(String, Option<String>)> = serde_json::from_str(recorded).unwrap();
        for (text, expected) in cases {
            let expected = expected
                .map(Value::from)
                .ok_or_else(|| Error::Failure(format!("Invalid base64: \"{text}\"")));
            assert_eq!(decoded(&json!(text), Format::Base64), expected, "{text:?}");
        }
    }

    #[test]
    fn other_forms_of_blobs() {
        assert_eq!(decoded(&json!("aé"), Format::Raw), Ok(json!("YcOp")));
        assert_eq!(decoded(&Foreign::Bytes("aGk=").into_value(), Format::Base64), Ok(json!("aGk=")));
        assert_eq!(decoded(&Foreign::Bytes("aGk=").into_value(), Format::Raw), Ok(json!("aGk=")));
        assert_eq!(decoded(&json!(5), Format::Base64), Ok(json!(5)));
        let complaint = "string argument should contain only ASCII characters";
        assert_eq!(decoded(&json!("é"), Format::Base64), Err(Error::Failure(complaint.to_owned())));
        assert_eq!(
            [Format::named("base64"), Format::named("raw-in-base64-out"), Format::named("raw")],
            [Some(Format::Base64), Some(Format::Raw), None]
        );
    }
}
