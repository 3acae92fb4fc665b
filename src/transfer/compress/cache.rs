//! A cache of the digests that layers had after compression, so that a layer need not be compressed again to learn that
//! the destination has it.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::image::{Descriptor, Digest};
use crate::store::folder::Folder;

/// Age at which an unused entry is removed.
const MAX_AGE: Duration = Duration::from_hours(30 * 24);
/// Upper bound of an entry's length in bytes.
const LENGTH: u64 = 1024;

/// A folder with a small file for each layer. It is a hint: the destination says what it has.
#[derive(Debug, Clone)]
pub struct CompressionCache {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct CachedLayer {
    digest: Digest,
    size: u64,
}

impl CompressionCache {
    /// Opens the cache in this folder, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The digest and the size that a layer of this name had when it was compressed.
    pub(super) fn find(&self, name: &Digest) -> Option<(Digest, u64)> {
        let file = Folder::private(&self.folder).ok()?.file(name.hexadecimal()).ok()?;
        let mut text = Vec::new();
        file.take(LENGTH + 1).read_to_end(&mut text).ok().filter(|&length| length as u64 <= LENGTH)?;
        let CachedLayer { digest, size } = serde_json::from_slice(&text).ok()?;
        Some((digest, size))
    }

    /// Remembers a layer. Where that fails it is compressed again the next time, which is all.
    pub(super) fn keep(&self, name: &Digest, layer: &Descriptor) {
        let layer = CachedLayer { digest: layer.digest.clone(), size: layer.size };
        let Ok(text) = serde_json::to_vec(&layer) else { return };
        let Ok(folder) = Folder::create_private(&self.folder).map(Arc::new) else { return };
        folder.remove_older(MAX_AGE);
        // Only its owner can read it, and always as a whole.
        if let Ok(temporary) = folder.temporary(true)
            && (&**temporary.file()).write_all(&text).is_ok()
        {
            let _ = temporary.keep(&folder, name.hexadecimal());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn layers_are_known_until_they_are_old() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CompressionCache::new(folder.path().join("new/layers"));
        let (name, other) = (Digest::of(b"a name"), Digest::of(b"another"));
        let layer = Descriptor::new("a/layer", Digest::of(b"layer"), 5);
        assert_eq!(cache.find(&name), None);
        cache.keep(&name, &layer);
        assert_eq!(cache.find(&name), Some((layer.digest.clone(), 5)));
        let path = folder.path().join("new/layers").join(name.hexadecimal());
        let old = SystemTime::now() - MAX_AGE - Duration::from_mins(1);
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        cache.keep(&other, &layer);
        assert_eq!((cache.find(&name), cache.find(&other)), (None, Some((layer.digest.clone(), 5))));
        // What is no record says nothing.
        for nonsense in ["", "{}", r#"{"digest":"sha256:1","size":5}"#, &"9".repeat(2000)] {
            fs::write(&path, nonsense).unwrap();
            assert_eq!(cache.find(&name), None, "{nonsense}");
        }
    }
}
