//! The embedded ECR: Amazon ECR's API over one database file and a folder of blobs, in this process or over HTTP.
//!
//! ```text
//! http          listener, connections, bodies, signatures, TLS, fault injection
//! aws_api       operations: JSON to the core and back       distribution  the OCI distribution API: HTTP to the core
//! pull_through  fetches what a repository lacks from the registry upstream of it
//! core          repositories, images, tags, uploads, policies, replication, gc: typed in, typed out
//! store         the database, blobs, uploads on their way to become blobs
//! ```
//!
//! Each imports only what lies below it, except that `distribution` and `http` know each other (state, bodies, ranges, responses);
//! `tests/layering.rs` holds the table. [`Local`] is a store, open: `core` makes
//! it, and the rooms above give it their methods, such as [`Local::answer`] for one request of the services' API. Any
//! number of threads and processes may use one folder at once.
//!
//! ```text
//! FOLDER/ecr.db               metadata (store/schema.sql), write-ahead log beside it
//!        blobs/sha256/ab/…    blobs by digest, never changed once there
//!        uploads/UUID         bytes of upload sessions
//!        server.json          where a server runs on this folder, if one does
//!        reserve              space that is given back when a full disk is to be emptied
//! ```

mod aws_api;
mod core;
mod distribution;
pub mod http;
mod pull_through;
mod store;

pub use self::aws_api::error::ApiError;
pub use self::aws_api::scans::ScanOutcome;
pub use self::core::caller::Caller;
pub use self::core::error::Error as RequestError;
pub use self::core::export::import;
pub use self::core::gc::{CheckReport, DamagedObject, GcReport};
pub use self::core::lifecycle::LifecycleRun;
pub use self::core::local::{DEFAULT_PORT, Local};
pub use self::core::server_info::ServerInfo;
pub use self::core::store_usage::{RegistryUsage, StoreUsage, reset};
pub use self::core::upstreams::{FindLogin, UpstreamAccess};
pub use self::store::error::Error;
pub use crate::iam::Principal;
