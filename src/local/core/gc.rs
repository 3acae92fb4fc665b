//! Maintenance of blobs: unneeded ones are deleted, damaged ones are found.

use std::fs::File;
use std::io;

use rusqlite::{Connection, params};

use crate::image::Digest;
use crate::local::core::error::Error;
use crate::local::core::local::Local;
use crate::local::store::{blobs, time};

/// Result of a garbage collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GcReport {
    /// Number of blobs.
    pub blobs: i64,
    /// Number of unfinished uploads.
    pub uploads: i64,
    /// The bytes of both.
    pub bytes: i64,
}

/// Result of checking every blob and manifest of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// Number of blobs and manifests read.
    pub objects: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Objects whose content does not match their digest, or is missing.
    pub damaged: Vec<DamagedObject>,
}

/// Blob or manifest that does not match its digest, or is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedObject {
    /// Its digest.
    pub digest: String,
    /// The problem.
    pub reason: String,
    /// The repositories that have it, as `ACCOUNT/REGION/NAME`.
    pub repositories: Vec<String>,
}

impl Local {
    /// Frees the blobs that no image refers to, and unfinished uploads. Layers that were stored, and uploads that
    /// received something, within the last `grace` milliseconds stay: their image may be on its way.
    pub fn collect(&self, grace: i64) -> Result<GcReport, Error> {
        let before = time::now() - grace;
        let freed = self.free(|transaction| {
            let count = "SELECT count(*), coalesce(sum(size), 0) FROM upload WHERE touched_at <= ?1";
            let (uploads, received): (i64, i64) =
                transaction.query_row(count, [before], |row| Ok((row.get(0)?, row.get(1)?)))?;
            transaction.execute("DELETE FROM upload WHERE touched_at <= ?1", [before])?;
            transaction.execute(
                "DELETE FROM layer WHERE stored_at <= ?1 AND NOT EXISTS (
                     SELECT 1 FROM image_layer
                     WHERE image_layer.repository = layer.repository AND image_layer.digest = layer.digest)",
                [before],
            )?;
            let orphans = "NOT EXISTS (SELECT 1 FROM layer WHERE layer.digest = blob.digest)";
            let count = format!("SELECT count(*), coalesce(sum(size), 0) FROM blob WHERE {orphans}");
            let (blobs, bytes): (i64, i64) =
                transaction.query_row(&count, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            transaction.execute(&format!("DELETE FROM blob WHERE {orphans}"), [])?;
            Ok(GcReport { blobs, uploads, bytes: bytes.saturating_add(received) })
        })?;
        self.sweep()?;
        self.store.database.hold_reserve();
        self.record_pulls(&[], time::now())?;
        Ok(freed)
    }

    /// Removes the files that no row refers to, in a transaction of its own after the rows went: stopped between the
    /// two, files are left that nothing refers to, never rows that refer to nothing. A blob that is recorded
    /// meanwhile is recorded, and stays.
    pub(in crate::local) fn sweep(&self) -> Result<(), Error> {
        self.write_buffered(|transaction| {
            let exists = |query: &str, key: &str| -> Result<bool, Error> {
                Ok(transaction.prepare_cached(query)?.exists([key])?)
            };
            self.store.blobs.sweep(
                |digest| exists("SELECT 1 FROM blob WHERE digest = ?1", digest),
                |upload| exists("SELECT 1 FROM upload WHERE id = ?1", upload),
            )
        })
    }

    /// Reads every blob and every manifest and compares it with its digest.
    pub fn check(&self) -> Result<CheckReport, Error> {
        let mut checked = CheckReport { objects: 0, bytes: 0, damaged: Vec::new() };
        for (digest, size) in self.read(recorded)? {
            checked.objects += 1;
            checked.bytes += size;
            let Some(reason) = self.damage(&digest, size)? else { continue };
            let (is_there, repositories) = self.read(|connection| owners(connection, &digest))?;
            // One that was freed meanwhile is missing rightly.
            if is_there {
                checked.damaged.push(DamagedObject { digest, reason, repositories });
            }
        }
        self.read(|connection| check_manifests(connection, &mut checked))?;
        Ok(checked)
    }

    fn damage(&self, text: &str, size: i64) -> Result<Option<String>, Error> {
        let digest: Option<Digest> = text.parse().ok();
        let (Some(digest), Some(path)) = (digest, self.store.blobs.path(text)) else {
            return Ok(Some("its digest is none".to_owned()));
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Some("its file is missing".to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        let length = file.metadata()?.len();
        if i64::try_from(length) != Ok(size) {
            return Ok(Some(format!("its file has {length} bytes instead of {size}")));
        }
        let mut hasher = digest.algorithm().hasher();
        if let Err(error) = blobs::read_pieces(&file, |piece| hasher.update(piece)) {
            return Ok(Some(format!("its file cannot be read: {error}")));
        }
        let found = hasher.finish();
        Ok((found != digest).then(|| format!("its file has the digest {found}")))
    }
}

fn recorded(connection: &Connection) -> Result<Vec<(String, i64)>, Error> {
    let mut statement = connection.prepare("SELECT digest, size FROM blob ORDER BY digest")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns whether a blob is still recorded, and the repositories that have it.
fn owners(connection: &Connection, digest: &str) -> Result<(bool, Vec<String>), Error> {
    let is_there = connection.prepare_cached("SELECT 1 FROM blob WHERE digest = ?1")?.exists([digest])?;
    let mut statement = connection.prepare_cached(
        "SELECT account || '/' || region || '/' || name FROM layer JOIN repository ON repository.id = layer.repository
         WHERE digest = ?1 ORDER BY 1",
    )?;
    let names = statement.query_map(params![digest], |row| row.get(0))?;
    Ok((is_there, names.collect::<Result<_, _>>()?))
}

fn check_manifests(connection: &Connection, checked: &mut CheckReport) -> Result<(), Error> {
    let mut statement = connection.prepare(
        "SELECT digest, content, account || '/' || region || '/' || name
         FROM image JOIN repository ON repository.id = image.repository
         LEFT JOIN manifest ON manifest.image = image.id ORDER BY image.id",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (digest, content): (String, Option<Vec<u8>>) = (row.get(0)?, row.get(1)?);
        let content = content.unwrap_or_default();
        checked.objects += 1;
        checked.bytes += i64::try_from(content.len()).unwrap_or_default();
        let expected: Option<Digest> = digest.parse().ok();
        if expected.is_none_or(|expected| expected.algorithm().of(&content) != expected) {
            let reason = "the manifest in the database has another digest".to_owned();
            checked.damaged.push(DamagedObject { digest, reason, repositories: vec![row.get(2)?] });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::store::uploads::Upload;

    /// A store with a repository that has one blob, which no image refers to.
    fn store() -> (tempfile::TempDir, Local, String) {
        let folder = tempfile::tempdir().unwrap();
        let local = Local::open(folder.path()).unwrap();
        let digest = Digest::of(b"content").to_string();
        let path = local.store.blobs.path(&digest).unwrap();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, b"content").unwrap();
        local
            .write(|transaction| {
                transaction.execute_batch(
                    "INSERT INTO repository VALUES (1, 'ecr', '1', 'r', 'a', 0, 'MUTABLE', '[]', 0, '{}', NULL)",
                )?;
                transaction.execute("INSERT INTO blob VALUES (?1, 7)", [&digest])?;
                transaction.execute("INSERT INTO layer VALUES (1, ?1, ?2)", params![digest, time::now()])?;
                Ok(())
            })
            .unwrap();
        (folder, local, digest)
    }

    #[test]
    fn a_fresh_layer_outlives_a_collection() {
        let (_folder, local, digest) = store();
        let path = local.store.blobs.path(&digest).unwrap();
        assert_eq!(local.collect(60_000), Ok(GcReport { blobs: 0, uploads: 0, bytes: 0 }));
        assert!(path.exists());
        assert_eq!(local.collect(0), Ok(GcReport { blobs: 1, uploads: 0, bytes: 7 }));
        assert!(!path.exists());
        assert_eq!(local.check(), Ok(CheckReport { objects: 0, bytes: 0, damaged: Vec::new() }));
    }

    #[test]
    fn an_unfinished_upload_is_freed_once_it_is_old() {
        let (folder, local, _) = store();
        let (id, _) = local.write(|tx| Ok(Upload::begin(tx, 1, time::now())?)).unwrap();
        let find = || local.read(|connection| Ok(Upload::find(connection, 1, &id)?)).unwrap();
        let file = local.store.blobs.lock_upload(&id).unwrap();
        assert!(find().unwrap().append(&local.store, &file, b"part", time::now()).unwrap());
        let path = folder.path().join("uploads").join(&id);
        assert_eq!(local.collect(60_000), Ok(GcReport { blobs: 0, uploads: 0, bytes: 0 }));
        assert!(find().is_some() && path.exists());
        assert_eq!(local.collect(0), Ok(GcReport { blobs: 1, uploads: 1, bytes: 11 }));
        assert!(find().is_none() && !path.exists());
    }

    #[test]
    fn damage_is_found_and_located() {
        let (_folder, local, digest) = store();
        let path = local.store.blobs.path(&digest).unwrap();
        let found = |reason: String| {
            let damaged =
                DamagedObject { digest: digest.clone(), reason, repositories: vec!["1/r/a".to_owned()] };
            Ok(CheckReport { objects: 1, bytes: 7, damaged: vec![damaged] })
        };
        assert_eq!(local.check(), Ok(CheckReport { objects: 1, bytes: 7, damaged: Vec::new() }));
        std::fs::write(&path, b"CONTENT").unwrap();
        assert_eq!(local.check(), found(format!("its file has the digest {}", Digest::of(b"CONTENT"))));
        std::fs::write(&path, b"con").unwrap();
        assert_eq!(local.check(), found("its file has 3 bytes instead of 7".to_owned()));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(local.check(), found("its file is missing".to_owned()));
    }
}
