//! A whole store as one tar stream: the database as it was at one moment, then every blob that it records.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::image::Digest;
use crate::local::core::download_url;
use crate::local::core::error::Error;
use crate::local::core::local::Local;
use crate::local::core::server_info::ServerInfo;
use crate::local::store::blobs::create_private;
use crate::local::store::database::create_private_file;
use crate::local::store::error::Error as StoreError;
use crate::local::store::schema;
use crate::store::private_temporary;

const DATABASE: &str = "ecr.db";

impl Local {
    /// Writes the store to a stream, while it may be in use. Unfinished uploads are left out.
    pub fn export(&self, stream: impl Write) -> Result<(), Error> {
        let folder = private_temporary("export-", self.folder())?;
        let copy = folder.path().join(DATABASE);
        self.store.database.copy(&copy)?;
        let connection = Connection::open(&copy)?;
        connection.execute("DELETE FROM upload", [])?;
        // Recipients of the archive must not be able to make tokens for this store.
        download_url::renew_secret(&connection)?;
        let digests = digests(&connection)?;
        connection.close().map_err(|(_, error)| error)?;
        let mut archive = tar::Builder::new(stream);
        archive.append_path_with_name(&copy, DATABASE)?;
        for digest in digests {
            let path = self
                .store
                .blobs
                .path(&digest)
                .ok_or_else(|| Error::storage(format!("{digest} is no digest")))?;
            let mut file = File::open(&path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Error::storage(format!(
                    "blob {digest} is gone; `ecr local check` tells whether it is missing"
                )),
                _ => error.into(),
            })?;
            let name = path.strip_prefix(self.folder()).unwrap_or(&path).to_owned();
            archive.append_file(name, &mut file)?;
        }
        archive.into_inner()?.flush()?;
        Ok(())
    }
}

fn digests(connection: &Connection) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare("SELECT digest FROM blob ORDER BY digest")?;
    let digests = statement.query_map([], |row| row.get(0))?;
    Ok(digests.collect::<Result<_, _>>()?)
}

/// Makes a store in a folder that has none, or an empty one, from a stream that `export` wrote. All of it or nothing:
/// every blob is compared with its digest before the store is there.
pub fn import(folder: &Path, stream: impl Read) -> Result<(), StoreError> {
    let refuse = |reason: String| StoreError::Archive { reason };
    check_empty(folder)?;
    let parent = folder.parent().unwrap_or(folder);
    create_private(parent).map_err(StoreError::folder(parent))?;
    let place = private_temporary("ecr-import-", parent);
    let place = place.map_err(StoreError::folder(parent))?;
    let mut archive = tar::Archive::new(stream);
    let broken = |error: io::Error| refuse(format!("the archive cannot be read: {error}"));
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.into_owned();
        unpack(place.path(), &name, &mut entry)?;
    }
    let database = place.path().join(DATABASE);
    if !database.is_file() {
        return Err(refuse(format!("the archive has no {DATABASE}; `ecr local export` makes one that does")));
    }
    check_schema(&database)?;
    let local = Local::open(place.path())?;
    let unreadable = |error: Error| refuse(error.message);
    for digest in local.read(digests).map_err(unreadable)? {
        if !local.store.blobs.path(&digest).is_some_and(|path| path.is_file()) {
            return Err(refuse(format!("the archive has no blob {digest}, which its database records")));
        }
    }
    let renew = |transaction: &rusqlite::Transaction<'_>| {
        // The name of an upload becomes the name of a file; an export has none.
        transaction.execute("DELETE FROM upload", [])?;
        download_url::renew_secret(transaction)
    };
    local.write(renew).map_err(unreadable)?;
    drop(local);
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(StoreError::folder(folder))?;
    }
    let place = place.keep();
    fs::rename(place, folder).map_err(StoreError::folder(folder))
}

/// Checks that a database is sound and has our schema and nothing else: a trigger or a view would run as part of later
/// requests. Nothing of the file is run for that.
fn check_schema(path: &Path) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::database(path, &error);
    let connection = Connection::open(path).map_err(failed)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(failed)?;
    if let Some(reason) = schema::foreign(&connection).map_err(failed)? {
        return Err(StoreError::Archive {
            reason: format!("the archive's {DATABASE} is not of a store: {reason}"),
        });
    }
    // A copy does not keep the way in which its original writes.
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)
}

/// An import replaces nothing.
fn check_empty(folder: &Path) -> Result<(), StoreError> {
    let occupied = |reason: &str| StoreError::Archive {
        reason: format!(
            "{reason} in {}; empty it with `ecr local reset`, or name another --folder",
            folder.display()
        ),
    };
    if !folder.exists() {
        return Ok(());
    }
    if !Local::exists(folder) {
        let mut entries = fs::read_dir(folder).map_err(StoreError::folder(folder))?;
        return if entries.next().is_none() { Ok(()) } else { Err(occupied("something else is")) };
    }
    if let Some(server) = ServerInfo::find(folder) {
        return Err(StoreError::Served { folder: folder.to_owned(), process: server.pid });
    }
    let usage = Local::open(folder)?.usage();
    let usage = usage.map_err(|error| StoreError::Archive { reason: error.message })?;
    if usage.registries.is_empty() && usage.blobs == 0 { Ok(()) } else { Err(occupied("a store is")) }
}

/// Writes one entry to its path in the store, which no entry chooses itself.
fn unpack(folder: &Path, name: &Path, entry: &mut impl Read) -> Result<(), StoreError> {
    let refuse = |reason: String| StoreError::Archive { reason };
    if name == Path::new(DATABASE) {
        let path = folder.join(DATABASE);
        create_private_file(&path).map_err(StoreError::folder(&path))?;
        return write(&path, entry, &mut |_| {});
    }
    let digest = digest(name);
    let Some(digest) = digest else {
        return Err(refuse(format!("the archive holds {}, which is not of a store", name.display())));
    };
    let (algorithm, hex) = (digest.algorithm().name(), digest.hexadecimal());
    let path: PathBuf = [folder, "blobs".as_ref(), algorithm.as_ref(), hex[..2].as_ref()].iter().collect();
    create_private(&path).map_err(StoreError::folder(&path))?;
    let mut hasher = digest.algorithm().hasher();
    write(&path.join(hex), entry, &mut |piece| hasher.update(piece))?;
    let found = hasher.finish();
    if found == digest {
        Ok(())
    } else {
        Err(refuse(format!("blob {digest} of the archive is damaged: it is {found}")))
    }
}

/// The digest in the name of a blob's file.
fn digest(name: &Path) -> Option<Digest> {
    let parts: Vec<&str> = name.to_str()?.split('/').collect();
    match parts[..] {
        ["blobs", algorithm, _, hex] => format!("{algorithm}:{hex}").parse().ok(),
        _ => None,
    }
}

fn write(path: &Path, entry: &mut impl Read, take: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
    let failed = || StoreError::folder(path);
    let mut file = create_private_file(path).map_err(failed())?;
    // The last entry of a name counts.
    file.set_len(0).map_err(failed())?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let unreadable =
            |error| StoreError::Archive { reason: format!("the archive cannot be read: {error}") };
        let count = entry.read(&mut buffer).map_err(unreadable)?;
        if count == 0 {
            return file.sync_all().map_err(failed());
        }
        take(&buffer[..count]);
        file.write_all(&buffer[..count]).map_err(failed())?;
    }
}
