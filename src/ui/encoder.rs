//! Encoding of output text. What it cannot say is refused with Python's words.

use std::borrow::Cow;

use crate::settings::Encoding;

/// Characters that an encoding does not have; the text says which, and their positions.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unencodable(pub String);

/// Half of a surrogate pair travels as one of the last 2048 characters (`model::surrogate`).
const FIRST_STAND_IN: char = '\u{10f800}';

/// The bytes of one piece of UTF-8 text. Positions in complaints count from the start of the piece.
pub(super) fn encoded(piece: &[u8], encoding: Encoding) -> Result<Cow<'_, [u8]>, Unencodable> {
    /// First bytes of all stand-ins in UTF-8.
    const LEAD: u8 = 0xf4;
    let plain = match encoding {
        Encoding::Utf8 => !piece.contains(&LEAD),
        _ => piece.is_ascii(),
    };
    let Some(text) = (!plain).then(|| std::str::from_utf8(piece).ok()).flatten() else {
        return Ok(Cow::Borrowed(piece));
    };
    let fits = |character: &char| *character <= encoding.limit() && *character < FIRST_STAND_IN;
    let characters: Vec<char> = text.chars().collect();
    if let Some(first) = characters.iter().position(|character| !fits(character)) {
        let run = characters[first..].iter().take_while(|character| !fits(character)).count();
        return Err(complaint(encoding, characters[first], first, run));
    }
    if encoding == Encoding::Utf8 {
        return Ok(Cow::Borrowed(piece));
    }
    Ok(characters.into_iter().map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?')).collect())
}

fn complaint(encoding: Encoding, character: char, position: usize, count: usize) -> Unencodable {
    let code = u32::from(character);
    let escape = match code {
        _ if character >= FIRST_STAND_IN => format!("\\u{:04x}", code - u32::from(FIRST_STAND_IN) + 0xd800),
        ..=0xff => format!("\\x{code:02x}"),
        0x100..=0xffff => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    };
    let reason = match encoding {
        Encoding::Utf8 => "surrogates not allowed".to_owned(),
        _ => format!("ordinal not in range({})", u32::from(encoding.limit()) + 1),
    };
    let what = if count == 1 {
        format!("character '{escape}' in position {position}")
    } else {
        format!("characters in position {position}-{}", position + count - 1)
    };
    Unencodable(format!("'{}' codec can't encode {what}: {reason}", encoding.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_encoded_and_characters_that_do_not_fit_are_named() {
        let encode = |text: &str, encoding| {
            encoded(text.as_bytes(), encoding).map(Cow::into_owned).map_err(|error| error.0)
        };
        assert_eq!(encode("é", Encoding::Utf8), Ok(vec![0xc3, 0xa9]));
        assert_eq!(encode("aé", Encoding::Latin1), Ok(vec![b'a', 0xe9]));
        for (text, encoding, expected) in [
            (
                "\"é\"",
                Encoding::Ascii,
                "'ascii' codec can't encode character '\\xe9' in position 1: ordinal not in range(128)",
            ),
            (
                "é日本",
                Encoding::Latin1,
                "'latin-1' codec can't encode characters in position 1-2: ordinal not in range(256)",
            ),
            (
                "\"\u{10f83d}",
                Encoding::Utf8,
                "'utf-8' codec can't encode character '\\ud83d' in position 1: surrogates not allowed",
            ),
        ] {
            assert_eq!(encode(text, encoding), Err(expected.to_owned()));
        }
    }
}
