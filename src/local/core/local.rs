//! The embedded ECR on an opened folder.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rusqlite::{Connection, Transaction};

use crate::local::core::error::Error;
use crate::local::core::limits::Limits;
use crate::local::core::pull_times::Pulls;
use crate::local::core::server_info::ServerInfo;
use crate::local::core::upstreams::{UpstreamAccess, Upstreams};
use crate::local::store::database::Durability;
use crate::local::store::error::Error as StoreError;
use crate::local::store::{Store, blobs};

/// Default port of a server.
pub const DEFAULT_PORT: u16 = 5700;

pub(in crate::local) const DEFAULT_ADDRESS: &str = "127.0.0.1:5700";

/// The embedded ECR on an opened folder.
#[derive(Debug)]
pub struct Local {
    pub(in crate::local) folder: PathBuf,
    pub(in crate::local) store: Store,
    pub(in crate::local) pulls: Pulls,
    pub(in crate::local) upstreams: Upstreams,
    pub(in crate::local) limits: Limits,
    /// Server that runs on this folder, looked up when first needed.
    pub(in crate::local) server: OnceLock<Option<ServerInfo>>,
    /// The store is served over TLS.
    pub(in crate::local) is_secured: bool,
    /// Policies are enforced. Only a server enforces them: a user of the folder could change them anyway.
    pub(in crate::local) enforces: bool,
    /// One deletion of several images takes them in the order of the request, so that an index has to come before what
    /// it lists.
    pub(in crate::local) deletes_in_order: bool,
    /// Milliseconds that an archived image takes to be restored.
    pub(in crate::local) restore_time: i64,
}

impl Local {
    /// Opens the store in a folder, making both where they are missing.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        blobs::create_private(folder).map_err(StoreError::folder(folder))?;
        // File URLs and messages should not depend on the working directory.
        let folder = folder.canonicalize().map_err(StoreError::folder(folder))?;
        let store = Store::open(&folder)?;
        Ok(Self {
            folder,
            store,
            pulls: Pulls::default(),
            upstreams: Upstreams::default(),
            limits: Limits::default(),
            server: OnceLock::new(),
            is_secured: false,
            enforces: false,
            deletes_in_order: false,
            restore_time: 0,
        })
    }

    /// Returns this store with another access to upstream registries.
    #[must_use]
    pub fn with_upstream_access(self, reach: UpstreamAccess) -> Self {
        Self { upstreams: Upstreams::new(reach), ..self }
    }

    /// Deletes several images in the order of the request: one that a later index lists is refused, as Amazon ECR may
    /// do it.
    pub fn delete_in_order(&mut self) {
        self.deletes_in_order = true;
    }

    /// Sets the time that archived images take to be restored.
    pub fn restore_within(&mut self, time: std::time::Duration) {
        self.restore_time = i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4);
    }

    /// Makes later writes survive a power cut too, by waiting for the disk. Without this it survives the death of the
    /// process, not that of the machine.
    pub fn make_durable(&mut self) {
        self.store.make_durable();
    }

    /// Returns whether a folder holds a store, in whatever state.
    pub fn exists(folder: &Path) -> bool {
        ["ecr.db", "blobs"].iter().any(|name| folder.join(name).exists())
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The scheme of this store's URLs.
    pub(in crate::local) fn scheme(&self) -> &'static str {
        let known = self.server.get().and_then(Option::as_ref);
        let is_secured = self.is_secured || known.is_some_and(|server| server.is_secured);
        if is_secured { "https" } else { "http" }
    }

    /// `HOST:PORT` of a live server on this folder.
    pub(in crate::local) fn server_address(&self) -> Option<String> {
        let server = self.server.get_or_init(|| ServerInfo::find(&self.folder));
        server.as_ref().map(|server| server.address.clone())
    }

    /// Returns the `HOST:PORT` of a live server on this folder without TLS, whose URLs every client can follow.
    pub(in crate::local) fn plain_server_address(&self) -> Option<String> {
        self.server_address().filter(|_| self.scheme() == "http")
    }
}

impl Local {
    /// Reads from the database on one snapshot.
    pub(in crate::local) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.store.database.read(work)
    }

    /// Changes the database in one transaction, with the durability of the store.
    pub(in crate::local) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.store.database.write(Durability::Flushed, work)
    }

    /// Like [`Local::write`], for changes that a power cut may undo.
    pub(in crate::local) fn write_buffered<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.store.database.write(Durability::Buffered, work)
    }

    /// Like [`Local::write`], for deletions, which must work on a full disk too.
    pub(in crate::local) fn free<T>(
        &self,
        work: impl Fn(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.store.database.free(work)
    }

    /// Forgets a session's bytes. What cannot be removed now is swept later; nothing refers to it.
    pub(in crate::local) fn forget_upload(&self, id: &str) {
        self.store.forget_upload(id);
    }
}
