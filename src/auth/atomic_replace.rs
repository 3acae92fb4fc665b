//! Reading and replacing a file that other programs read and write too: docker's `config.json` and its like.
//!
//! Links are followed (many keep these files among their dotfiles) and stay links. A change is put in place whole, by
//! a rename: a reader sees the old file or the new one. Mode and owner stay, but for a file with passwords that
//! everybody can read.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::platform;

/// The largest file that is read: docker's own have a few kilobytes.
const MAX_BYTES: u64 = 4 << 20;

/// The text of a file; `None` where there is no file.
pub(super) fn read(file: &Path) -> io::Result<Option<String>> {
    // Opening a pipe without a writer would wait for ever.
    let opened = match platform::without_waiting().read(true).open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return dangling_link(file).map_or(Ok(None), |error| Err(io::Error::other(error)));
        }
        opened => opened?,
    };
    // `REGISTRY_AUTH_FILE=/dev/null` is how people say that there are no logins.
    if file == Path::new("/dev/null") {
        return Ok(None);
    }
    check(&opened.metadata()?)?;
    let mut text = String::new();
    let read = opened.take(MAX_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => io::Error::other("it is not UTF-8 text"),
        _ => error,
    })?;
    if text.len() as u64 > MAX_BYTES {
        return Err(too_large());
    }
    Ok(Some(text))
}

fn check(facts: &Metadata) -> io::Result<()> {
    if facts.is_dir() {
        return Err(io::Error::other("it is a folder"));
    }
    if !facts.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    if facts.len() > MAX_BYTES { Err(too_large()) } else { Ok(()) }
}

fn too_large() -> io::Error {
    io::Error::other(format!("it has more than {} MiB, and so is no file of logins", MAX_BYTES >> 20))
}

/// Error text for a file that does not exist because a link on the way to it leads nowhere.
fn dangling_link(file: &Path) -> Option<String> {
    let leads_nowhere = |path: &&Path| {
        std::fs::symlink_metadata(path).is_ok_and(|facts| facts.is_symlink()) && !path.exists()
    };
    let link = file.ancestors().find(leads_nowhere)?;
    let target = std::fs::read_link(link).ok()?;
    let name = if link == file { "it".to_owned() } else { link.display().to_string() };
    Some(format!(
        "{name} is a link to {}, which does not exist: make that, or remove the link",
        target.display()
    ))
}

/// Resolves all links to a file; returns the path itself if the file does not exist.
pub(super) fn resolved(file: &Path) -> io::Result<PathBuf> {
    match std::fs::canonicalize(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match dangling_link(file) {
            Some(reason) => Err(io::Error::other(reason)),
            None => Ok(file.to_owned()),
        },
        resolved => resolved,
    }
}

/// Side effect of replacing a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Replaced {
    /// The file has changed since it was read, and was left as it is.
    ChangedMeanwhile,
    /// The new text was written, with a note about the file's mode.
    Done(Option<String>),
}

/// Replaces the text of a file; `secret` if it contains passwords.
pub(super) fn replace(real: &Path, before: Option<&str>, after: &str, secret: bool) -> io::Result<Replaced> {
    let folder = real.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        platform::private_folder().create(folder)?;
    }
    let facts = existing(real)?;
    let mut file = tempfile::Builder::new().prefix(".ecr-").tempfile_in(folder)?;
    file.write_all(after.as_bytes())?;
    let mut note = None;
    if let Some(facts) = facts {
        note = keep_mode(file.as_file(), &facts, secret)?;
        platform::give(file.as_file(), &facts)?;
    }
    file.as_file().sync_all()?;
    if read(real)?.as_deref() != before {
        return Ok(Replaced::ChangedMeanwhile);
    }
    file.persist(real).map_err(|error| error.error)?;
    Ok(Replaced::Done(note))
}

/// The file that is about to be replaced, where there is one. A rename would go past its write protection.
fn existing(real: &Path) -> io::Result<Option<Metadata>> {
    let facts = match std::fs::metadata(real) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        facts => facts?,
    };
    check(&facts)?;
    if !platform::is_writable(real, &facts) {
        let mode = platform::mode(&facts) & 0o777;
        return Err(io::Error::other(format!("it is read-only (mode {mode:04o}): make it writable first")));
    }
    Ok(Some(facts))
}

/// Gives the new file the old one's mode. A file that everybody can read loses that with its first password; one for a
/// group is somebody's decision, and told.
fn keep_mode(file: &File, facts: &Metadata, secret: bool) -> io::Result<Option<String>> {
    let mode = platform::mode(facts);
    let everybody = secret && mode & 0o007 != 0;
    platform::set_mode(file, if everybody { mode & !0o077 } else { mode })?;
    Ok(if everybody {
        Some(format!("everybody could read it (mode {mode:04o}); now only its owner can"))
    } else if secret && mode & 0o070 != 0 {
        Some(format!("its group can read the passwords in it (mode {mode:04o})"))
    } else {
        None
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    fn said<T: std::fmt::Debug>(result: io::Result<T>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn only_small_regular_text_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert_eq!(read(&path("none")).unwrap(), None);
        assert_eq!(read(Path::new("/dev/null")).unwrap(), None);
        assert_eq!(said(read(Path::new("/dev/zero"))), "it is no regular file");
        assert_eq!(said(read(folder.path())), "it is a folder");
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(said(read(&path("pipe"))), "it is no regular file");
        File::create(path("large")).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(said(read(&path("large"))), "it has more than 4 MiB, and so is no file of logins");
        std::fs::write(path("bytes"), [0xff]).unwrap();
        assert_eq!(said(read(&path("bytes"))), "it is not UTF-8 text");
    }

    #[test]
    fn links_are_followed_and_dangling_ones_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("real"), "{}").unwrap();
        symlink(path("real"), path("one")).unwrap();
        symlink(path("one"), path("two")).unwrap();
        assert_eq!(read(&path("two")).unwrap().as_deref(), Some("{}"));
        assert_eq!(resolved(&path("two")).unwrap(), path("real").canonicalize().unwrap());
        symlink("gone", path("file")).unwrap();
        let words = "it is a link to gone, which does not exist: make that, or remove the link";
        assert_eq!([said(read(&path("file"))), said(resolved(&path("file")))], [words, words]);
        symlink("gone", path("folder")).unwrap();
        assert!(said(resolved(&path("folder/config.json"))).contains("folder is a link to gone"));
    }

    #[test]
    fn modes_stay_unless_everybody_could_read_a_password() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let replaced = |mode: u32, secret: bool| {
            std::fs::write(&path, "{}").unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let replaced = replace(&path, Some("{}"), "{ }", secret).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "{ }");
            (std::fs::metadata(&path).unwrap().mode() & 0o777, replaced)
        };
        let note = |text: &str| Replaced::Done(Some(text.to_owned()));
        let tightened = note("everybody could read it (mode 0644); now only its owner can");
        assert_eq!(replaced(0o644, true), (0o600, tightened));
        let group = note("its group can read the passwords in it (mode 0640)");
        assert_eq!(replaced(0o640, true), (0o640, group));
        assert_eq!(replaced(0o600, true), (0o600, Replaced::Done(None)));
        assert_eq!(replaced(0o644, false), (0o644, Replaced::Done(None)));
        std::fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        let words = "it is read-only (mode 0400): make it writable first";
        assert_eq!(said(replace(&path, Some("{ }"), "{}", false)), words);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{ }");
    }
}
