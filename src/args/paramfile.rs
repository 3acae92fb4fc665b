//! Values that live in files: `file://` for text and `fileb://` for bytes.

use std::path::{Path, PathBuf};

/// Context for reading files that arguments name: home folder and encoding.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    /// The user's home directory; a path that begins with `~/` stays as it is without one.
    pub home: Option<&'a Path>,
    /// Looks up an environment variable for `$NAME` and `${NAME}` in paths.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The encoding of text (`AWS_CLI_FILE_ENCODING`); UTF-8 without one.
    pub encoding: Option<&'a str>,
}

impl std::fmt::Debug for Files<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Files")
            .field("home", &self.home)
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

/// Content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The text of a `file://`, line ends made `\n`.
    Text(String),
    /// The bytes of a `fileb://`.
    Bytes(Vec<u8>),
}

/// Error of reading the file of an argument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file is not there, or not readable.
    #[error("Unable to load paramfile {argument}: {reason}")]
    Unreadable {
        /// The argument, prefix included.
        argument: String,
        /// The reason in Python's form: `[Errno 2] No such file or directory: '/tmp/x'`.
        reason: String,
    },
    /// The file is no text in the encoding.
    #[error(
        "Unable to load paramfile ({0}), text contents could not be decoded.  If this is a binary file, \
         please use the fileb:// prefix instead of the file:// prefix."
    )]
    Undecodable(String),
    /// The encoding is unknown.
    #[error("unknown encoding: {0}")]
    UnknownEncoding(String),
}

/// The content of the file that an argument names; `None` where the argument names none.
pub fn load(argument: &str, files: Files) -> Result<Option<Content>, Error> {
    if let Some(path) = argument.strip_prefix("file://") {
        let path = expand(path, files);
        let bytes = read(argument, &path)?;
        let encoding = Encoding::named(files.encoding.unwrap_or("utf-8"))?;
        let text = encoding.decode(bytes).ok_or(Error::Undecodable(path))?;
        return Ok(Some(Content::Text(with_unix_lines(text))));
    }
    let Some(path) = argument.strip_prefix("fileb://") else { return Ok(None) };
    read(argument, &expand(path, files)).map(|bytes| Some(Content::Bytes(bytes)))
}

fn read(argument: &str, path: &str) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| {
        let reason = match error.raw_os_error() {
            Some(number) => {
                let words = error.to_string();
                let words = words.strip_suffix(&format!(" (os error {number})")).unwrap_or(&words);
                format!("[Errno {number}] {words}: {}", crate::model::python::string_repr(path))
            }
            None => error.to_string(),
        };
        Error::Unreadable { argument: argument.to_owned(), reason }
    })
}

/// Python's `expandvars(expanduser(path))`: `~` first, then variables once; what is unknown stays.
fn expand(path: &str, files: Files) -> String {
    let path = match (path.strip_prefix('~'), files.home.and_then(Path::to_str)) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            let whole = PathBuf::from(home.trim_end_matches('/').to_owned() + rest);
            if whole.as_os_str().is_empty() { "/".to_owned() } else { whole.display().to_string() }
        }
        _ => path.to_owned(),
    };
    let mut result = String::with_capacity(path.len());
    let mut rest = path.as_str();
    while let Some(dollar) = rest.find('$') {
        result.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        let length = reference_length(rest);
        let reference = &rest[..length];
        let name = reference[1..].strip_prefix('{').map_or(Some(&reference[1..]), |n| n.strip_suffix('}'));
        match name.filter(|name| !name.is_empty()).and_then(files.variable) {
            Some(value) => result.push_str(&value),
            None => result.push_str(reference),
        }
        rest = &rest[length..];
    }
    result + rest
}

/// The length of `$NAME`, `${NAME}`, an open `${NAME`, or the lone `$` at the start of a text.
fn reference_length(text: &str) -> usize {
    if text[1..].starts_with('{') {
        return text.find('}').map_or(text.len(), |end| end + 1);
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    1 + text[1..].find(|c| !is_word(c)).unwrap_or(text.len() - 1)
}

fn with_unix_lines(text: String) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text }
}

#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    Utf8WithMark,
    Latin1,
    Ascii,
    Utf16,
}

impl Encoding {
    /// Python's names and aliases, in any case, with `-`, `_` and spaces alike.
    fn named(name: &str) -> Result<Self, Error> {
        match name.to_ascii_lowercase().replace(['-', ' '], "_").as_str() {
            "utf_8" | "utf8" | "u8" | "utf" | "cp65001" => Ok(Self::Utf8),
            "utf_8_sig" | "utf8_sig" => Ok(Self::Utf8WithMark),
            "latin_1" | "latin1" | "latin" | "l1" | "iso_8859_1" | "iso8859_1" | "iso8859" | "8859" => {
                Ok(Self::Latin1)
            }
            "ascii" | "us_ascii" | "646" => Ok(Self::Ascii),
            "utf_16" | "utf16" | "u16" => Ok(Self::Utf16),
            _ => Err(Error::UnknownEncoding(name.to_owned())),
        }
    }

    fn decode(self, bytes: Vec<u8>) -> Option<String> {
        match self {
            Self::Utf8 => String::from_utf8(bytes).ok(),
            Self::Utf8WithMark => {
                let text = String::from_utf8(bytes).ok()?;
                Some(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
            }
            Self::Latin1 => Some(bytes.into_iter().map(char::from).collect()),
            Self::Ascii => bytes.is_ascii().then(|| String::from_utf8(bytes).ok()).flatten(),
            Self::Utf16 => utf16(&bytes),
        }
    }
}

fn utf16(bytes: &[u8]) -> Option<String> {
    let (bytes, unit): (_, fn([u8; 2]) -> u16) = match bytes {
        [0xfe, 0xff, rest @ ..] => (rest, u16::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => (rest, u16::from_le_bytes),
        _ => (bytes, u16::from_le_bytes),
    };
    let (pairs, []) = bytes.as_chunks::<2>() else { return None };
    char::decode_utf16(pairs.iter().copied().map(unit)).collect::<Result<_, _>>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        (name == "NAME").then(|| "value$NAME".to_owned())
    }

    fn files(encoding: Option<&'static str>) -> Files<'static> {
        Files { home: Some(Path::new("/home/me/")), variable: &variable, encoding }
    }

    #[test]
    fn paths() {
        let cases = [
            ("a/b", "a/b"),
            ("~", "/home/me"),
            ("~/x", "/home/me/x"),
            ("~you/x", "~you/x"),
            ("x~", "x~"),
            ("$NAME/${NAME}x", "value$NAME/value$NAMEx"),
            ("$OTHER-${OTHER}-$-${}-$$NAME-${open", "$OTHER-${OTHER}-$-${}-$value$NAME-${open"),
        ];
        for (path, expected) in cases {
            assert_eq!(expand(path, files(None)), expected);
        }
    }

    #[test]
    fn contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("content");
        let path = path.to_str().unwrap();
        let text = |text: &str| Ok(Some(Content::Text(text.to_owned())));
        let undecodable = || Err(Error::Undecodable(path.to_owned()));
        let cases: [(&[u8], _, _); 8] = [
            ("\u{feff}é\r\nb\rc\n".as_bytes(), None, text("\u{feff}é\nb\nc\n")),
            (b"\xff", None, undecodable()),
            (b"\xe9", Some("ISO-8859-1"), text("é")),
            (b"\xe9", Some("ascii"), undecodable()),
            (b"\xff\xfea\0", Some("UTF-16"), text("a")),
            (b"\xfe\xff\0a", Some("utf16"), text("a")),
            ("\u{feff}a".as_bytes(), Some("utf-8-sig"), text("a")),
            (b"a", Some("klingon"), Err(Error::UnknownEncoding("klingon".to_owned()))),
        ];
        for (bytes, encoding, expected) in cases {
            std::fs::write(path, bytes).unwrap();
            assert_eq!(load(&format!("file://{path}"), files(encoding)), expected);
            let whole = Ok(Some(Content::Bytes(bytes.to_owned())));
            assert_eq!(load(&format!("fileb://{path}"), files(encoding)), whole);
            assert_eq!(load(path, files(encoding)), Ok(None));
        }
    }

    #[cfg(unix)]
    #[test]
    fn complaints() {
        let complaint = |argument| load(argument, files(None)).unwrap_err().to_string();
        assert_eq!(
            complaint("file:///nowhere/it's"),
            "Unable to load paramfile file:///nowhere/it's: [Errno 2] No such file or directory: \"/nowhere/it's\""
        );
        assert_eq!(
            complaint("fileb:///"),
            "Unable to load paramfile fileb:///: [Errno 21] Is a directory: '/'"
        );
    }
}
