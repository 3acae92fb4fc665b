//! Character encodings, by the names that Python gives them.

/// Character encoding of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8
    Utf8,
    /// US-ASCII
    Ascii,
    /// ISO 8859-1
    Latin1,
}

impl Encoding {
    /// The encoding of this name: case, `-`, `_` and spaces make no difference.
    pub fn named(name: &str) -> Option<Self> {
        let name: String =
            name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        match name.as_str() {
            "utf8" | "u8" | "utf" | "cp65001" => Some(Self::Utf8),
            "ascii" | "usascii" | "646" | "ansix341968" | "iso646us" => Some(Self::Ascii),
            "latin1" | "latin" | "l1" | "iso88591" | "88591" | "cp819" => Some(Self::Latin1),
            _ => None,
        }
    }

    /// The name that Python puts into its error texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Ascii => "ascii",
            Self::Latin1 => "latin-1",
        }
    }

    /// The greatest code point that it can write.
    pub fn limit(self) -> char {
        match self {
            Self::Utf8 => char::MAX,
            Self::Ascii => '\u{7f}',
            Self::Latin1 => '\u{ff}',
        }
    }
}
