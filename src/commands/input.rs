//! Files that a command line names, up to a size.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::ui::progress::human;

/// Reads a file, or standard input where its name is `-`. The AWS CLI's `file://` in front is taken too.
///
/// # Errors
///
/// Where it cannot be read, or has more than `max` bytes: it is never cut.
pub(super) fn read_input(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    if path.as_os_str() == "-" { read(io::stdin().lock(), max) } else { read_file(path, max) }
}

/// Reads a file like [`read_input`], even one named `-`.
pub(super) fn read_file(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let path = path.to_str().and_then(|name| name.strip_prefix("file://")).map_or(path, Path::new);
    read(File::open(path)?, max)
}

/// Reads a file like [`read_file`] that has to be text in UTF-8.
pub(super) fn read_text_file(path: &Path, max: u64) -> io::Result<String> {
    text(read_file(path, max)?)
}

/// Reads a file or standard input like [`read_input`] that has to be text in UTF-8.
pub(super) fn read_text_input(path: &Path, max: u64) -> io::Result<String> {
    text(read_input(path, max)?)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is no text in UTF-8"))
}

fn read(source: impl Read, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::other(format!("it is larger than {}", human(max))));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn larger_input_is_refused_and_not_truncated() {
        const MAX: usize = 1 << 20;
        let bytes = vec![b'x'; MAX + 1];
        assert_eq!(read(&bytes[..MAX], MAX as u64).unwrap().len(), MAX);
        let error = read(bytes.as_slice(), MAX as u64).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 1.0 MiB");
    }
}
