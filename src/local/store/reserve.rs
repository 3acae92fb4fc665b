//! Reserved disk space, with which a store on a full disk can still be read and emptied: deletions write to the
//! database's log before they free anything, and even reading needs the log's index.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::database::create_private_file;

/// The size of the reserve. SQLite merges its log into the file at 4 MiB; twice that takes the deletion of an image
/// or a repository with some ten thousand images.
const SIZE: u64 = 8 * 1024 * 1024;

/// Bytes that are given back for reading: the index of the log begins with 32 KiB.
const LOAN: u64 = 64 * 1024;

/// File without content that occupies the space.
#[derive(Debug)]
pub(in crate::local) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// Returns the reserve of the store in `folder`, held or not.
    pub(in crate::local) fn of(folder: &Path) -> Self {
        Self { path: folder.join("reserve") }
    }

    /// Allocates the space, or the missing part of it. A disk that has no room goes without.
    pub(in crate::local) fn hold(&self) {
        if !fs::metadata(&self.path).is_ok_and(|file| file.len() >= SIZE) {
            // There is nothing to do about it; the next upload or deletion tries again.
            let _ = allocate(&self.path);
        }
    }

    /// Allocates the space that was released before, if there has been a reserve.
    pub(in crate::local) fn hold_again(&self) {
        if self.path.exists() {
            self.hold();
        }
    }

    /// Gives a little of the space back to the disk; false if there is none.
    pub(in crate::local) fn lend(&self) -> bool {
        let lent = File::options().write(true).open(&self.path).and_then(|file| {
            let length = file.metadata()?.len();
            file.set_len(length.saturating_sub(LOAN))?;
            Ok(length > 0)
        });
        lent.unwrap_or_default()
    }

    /// Gives all of the space back to the disk; false if there is none.
    pub(in crate::local) fn release(&self) -> bool {
        let released = File::options().write(true).open(&self.path).and_then(|file| {
            let is_held = file.metadata()?.len() > 0;
            file.set_len(0)?;
            Ok(is_held)
        });
        released.unwrap_or_default()
    }
}

fn allocate(path: &Path) -> io::Result<()> {
    let mut file = create_private_file(path)?;
    #[cfg(target_os = "linux")]
    match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, SIZE) {
        Err(rustix::io::Errno::OPNOTSUPP) => {}
        done => return Ok(done?),
    }
    let missing = SIZE.saturating_sub(file.metadata()?.len());
    io::copy(&mut io::Read::take(io::repeat(0), missing), &mut file).map(drop)
}
