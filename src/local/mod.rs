//! The embedded ECR: Amazon ECR's API over one database file and a folder of blobs, in this process or over HTTP.
//!
//! [`Local`] is a store. [`Local::answer`] takes one request of either service, checks it against the model
//! (`validate`) and the policies that are enforced (`authorization`), finds its handler (`routes`) and runs it
//! (`handlers`), each in one database transaction (`database`).
//! Any number of threads and processes may use one folder at once. [`server`] puts the same router behind HTTP.
//!
//! ```text
//! FOLDER/ecr.db               metadata (schema.sql), write-ahead log beside it
//!        blobs/sha256/ab/…    blobs by digest, never changed once there
//!        uploads/UUID         bytes of upload sessions
//!        server.json          where a server runs on this folder, if one does
//!        reserve              space that is given back when a full disk is to be emptied
//! ```
//!
//! [`server`] also puts docker's `/v2/` API (`registry`) on the same store. What a repository lacks and a pull through
//! cache rule provides for is fetched first (`upstream`).

mod archive;
mod authorization;
mod blobs;
mod call;
mod collection;
mod core;
mod database;
mod error;
mod fault;
mod glob;
mod handlers;
mod limits;
mod maintenance;
mod own;
mod presence;
mod pulls;
mod registry;
mod reserve;
mod routes;
mod schema;
pub mod server;
mod signing;
mod time;
mod token;
mod uploads;
mod validate;
mod verified;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::{Map, Value};

use self::core::pull_through::{self, Settled, Upstreams};
use crate::model::Service;
use blobs::Blobs;
use call::Call;
use database::Database;

pub use self::core::pull_through::{FindLogin, Reach};
pub use crate::iam::Principal;
pub use archive::import;
pub use blobs::private_temporary;
pub use collection::{Checked, Damaged, Freed};
pub use error::Error;
pub use fault::Fault;
pub use handlers::lifecycle::LifecycleRun;
pub use maintenance::{Contents, RegistryContents, reset};
pub use presence::Presence;

/// Where a server listens unless it is told otherwise.
pub const DEFAULT_PORT: u16 = 5700;
const DEFAULT_ADDRESS: &str = "127.0.0.1:5700";

/// Who asks, and how they reached us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account of the caller, which is also the id of its registry.
    pub account: String,
    /// The region that was asked.
    pub region: String,
    /// `HOST:PORT` as the client reached us; `None` in process.
    pub address: Option<String>,
    /// Whom policies are asked about. Its account is another than the caller's where it uses another one's registry.
    pub principal: Principal,
    /// Where the request comes from; `None` in process.
    pub source: Option<IpAddr>,
}

impl Caller {
    /// An account as a whole, in this process.
    pub fn of_account(account: &str, region: &str) -> Self {
        Self {
            account: account.to_owned(),
            region: region.to_owned(),
            address: None,
            principal: Principal::root(account),
            source: None,
        }
    }
}

/// A store, open.
#[derive(Debug)]
pub struct Local {
    folder: PathBuf,
    database: Database,
    blobs: Blobs,
    uploads: uploads::Hashes,
    pulls: pulls::Pulls,
    upstreams: Upstreams,
    limits: limits::Limits,
    /// Where a server runs on this folder, looked up when first needed.
    server: OnceLock<Option<Presence>>,
    /// Whether it is served over TLS.
    is_secured: bool,
    /// Whether policies are enforced. They are where others reach the store through a server; who has the folder
    /// could change them anyway.
    enforces: bool,
}

impl Local {
    /// Opens the store in a folder, making both where they are missing.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        blobs::create_private(folder).map_err(Error::folder(folder))?;
        // File URLs and messages should not depend on the working directory.
        let folder = folder.canonicalize().map_err(Error::folder(folder))?;
        let database = Database::open(&folder)?;
        let blobs = Blobs::open(&folder).map_err(Error::folder(&folder))?;
        Ok(Self {
            folder,
            database,
            blobs,
            uploads: uploads::Hashes::default(),
            pulls: pulls::Pulls::default(),
            upstreams: Upstreams::default(),
            limits: limits::Limits::default(),
            server: OnceLock::new(),
            is_secured: false,
            enforces: false,
        })
    }

    /// The same store, which reaches upstream registries in this way.
    #[must_use]
    pub fn reaching(self, reach: Reach) -> Self {
        Self { upstreams: Upstreams::new(reach), ..self }
    }

    /// Makes what is acknowledged from now on survive a power cut too, by waiting for the disk. Without this it
    /// survives the death of the process, not that of the machine.
    pub fn make_durable(&mut self) {
        self.database.make_durable();
        self.blobs.make_durable();
    }

    /// Whether a folder holds a store, in whatever state.
    pub fn exists(folder: &Path) -> bool {
        ["ecr.db", "blobs"].iter().any(|name| folder.join(name).exists())
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Answers one request. The input's blob member comes in `blob`, or as base64 within the input. What the store lacks
    /// and a registry upstream has is not fetched; [`Local::answer_through`] does that.
    pub fn answer(
        &self,
        caller: &Caller,
        service: &'static Service,
        operation: &str,
        input: Value,
        blob: Option<Bytes>,
    ) -> Result<Value, Fault> {
        self.carry_out(caller, service, operation, input, blob, None, Self::authorize_call)
    }

    /// The same after fetching what the request needs from upstream, which may take as long as a pull.
    pub fn answer_through(
        self: &Arc<Self>,
        caller: &Caller,
        service: &'static Service,
        operation: &str,
        input: Value,
        blob: Option<Bytes>,
    ) -> Result<Value, Fault> {
        if !pull_through::may_need(operation) {
            return self.answer(caller, service, operation, input, blob);
        }
        match self.answer(caller, service, operation, input.clone(), blob) {
            Err(Fault { need: Some(need), .. }) => {
                let settled = pull_through::settle_now(self, &need)?;
                self.answer_settled(caller, service, operation, input, Some(&settled))
            }
            answer => answer,
        }
    }

    /// The same after what the request needs was fetched from upstream, or was not to be had. Without, the refusal of one
    /// that needs something says what.
    fn answer_settled(
        &self,
        caller: &Caller,
        service: &'static Service,
        operation: &str,
        input: Value,
        settled: Option<&Settled>,
    ) -> Result<Value, Fault> {
        self.carry_out(caller, service, operation, input, None, settled, Self::authorize_call)
    }

    #[allow(clippy::too_many_arguments, reason = "what all ways to ask have in common")]
    fn carry_out(
        &self,
        caller: &Caller,
        service: &'static Service,
        operation: &str,
        input: Value,
        blob: Option<Bytes>,
        settled: Option<&Settled>,
        authorize: fn(&Self, &Call<'_>) -> Result<(), Fault>,
    ) -> Result<Value, Fault> {
        let unknown = |message: String| Fault::new("UnknownOperationException", message);
        let operation = service
            .operation(operation)
            .ok_or_else(|| unknown(format!("{} has no operation {operation}", service.full_name)))?;
        let handler = routes::handler(service, operation.name).ok_or_else(|| {
            unknown(format!("the embedded ECR does not have {} of {}", operation.name, service.name))
        })?;
        let mut input = match input {
            Value::Object(members) => members,
            Value::Null => Map::new(),
            _ => return Err(Fault::new("SerializationException", "the input is not a structure")),
        };
        let member = blob_member(service, operation);
        let blob = match (blob, member) {
            (None, Some(member)) => decode_blob(&mut input, member)?,
            (blob, _) => blob,
        };
        let beside = member.zip(blob.as_ref().map(Bytes::len));
        validate::check(service, operation, &input, beside)?;
        let now = time::now();
        let call = Call { local: self, caller, service, operation, input, blob, now, settled };
        authorize(self, &call)?;
        let answer = match handler(&call) {
            Err(Fault { need: Some(need), .. }) => return Err(self.may_import(caller, need)?),
            answer => answer?,
        };
        Ok(match service.output(operation) {
            Some(shape) => validate::project(service, shape, answer),
            None => answer,
        })
    }

    /// The scheme of this store's URLs.
    fn scheme(&self) -> &'static str {
        let known = self.server.get().and_then(Option::as_ref);
        let is_secured = self.is_secured || known.is_some_and(|server| server.is_secured);
        if is_secured { "https" } else { "http" }
    }

    /// `HOST:PORT` of a live server on this folder.
    fn server_address(&self) -> Option<String> {
        let server = self.server.get_or_init(|| Presence::find(&self.folder));
        server.as_ref().map(|server| server.address.clone())
    }
}

/// The member of an operation's input that is a blob; at most one is, and only on the first level.
pub(crate) fn blob_member(
    service: &'static Service,
    operation: &crate::model::Operation,
) -> Option<&'static str> {
    let members = &service.input(operation)?.members;
    members
        .iter()
        .find(|(_, name)| service.shape(name).kind == crate::model::Kind::Blob)
        .map(|(member, _)| *member)
}

fn decode_blob(input: &mut Map<String, Value>, member: &str) -> Result<Option<Bytes>, Fault> {
    let Some(Value::String(text)) = input.get(member) else { return Ok(None) };
    let bytes = base64_simd::STANDARD
        .decode_to_vec(text.as_bytes())
        .map_err(|_| Fault::new("SerializationException", format!("{member} is not base64 text")))?;
    input.remove(member);
    Ok(Some(bytes.into()))
}

/// Random bytes, for secrets and passwords, taken from the system's generator.
fn random<const N: usize>() -> [u8; N] {
    use sha2::{Digest as _, Sha256};
    let mut result = [0; N];
    for chunk in result.chunks_mut(32) {
        // A version 4 UUID holds 122 random bits; three of them leave every bit of the hash unpredictable.
        let mut hasher = Sha256::new();
        (0..3).for_each(|_| hasher.update(uuid::Uuid::new_v4().as_bytes()));
        chunk.copy_from_slice(&hasher.finalize()[..chunk.len()]);
    }
    result
}

/// Bytes as lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
