//! What both APIs do with the store: typed requests in, typed answers out. `handlers` and `registry` turn them into
//! AWS's JSON and into HTTP.

mod blobs;
mod delete;
mod pull;
pub(super) mod pull_through;
mod push;
mod request;
mod uploads;

pub(super) use blobs::{Deleted, Mount, layer_size};
pub(super) use delete::{NotDeleted, delete_images, delete_tag, lists_with, remove};
pub(super) use pull::{NotPulled, head, pull_images};
pub(super) use push::{ImagePush, push_image, put_tag};
pub(super) use request::{IfMissing, RepositoryRef, Request};
pub(super) use uploads::{Finished, NotOpened, Session, begin_upload, cancel_upload, upload_of};
