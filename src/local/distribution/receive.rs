//! Reception of bytes for an upload session: written and hashed while more arrive, never held.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout_at;

use crate::local::core::uploads::Session;
use crate::local::distribution::error::OciError;
use crate::local::distribution::sessions::write;
use crate::local::http::min_rate::{MinRate, Timeouts};

/// Bytes collected before they are written. Twice as much is in memory per upload: one batch is written while the next
/// one comes.
const BATCH: usize = 256 * 1024;

/// Least rate of uploads, in bytes per second: as slow as a bad line.
const MIN_BYTES_PER_SECOND: u64 = 4 * 1024;

/// Session after a body, and the error of the body.
pub(in crate::local) type Received = (Session, Result<(), OciError>);

type Writing = JoinHandle<(Session, Result<(), OciError>)>;

/// Writes a body to a session. What came before a body broke off counts.
pub(in crate::local) async fn receive(
    session: Session,
    body: &mut Incoming,
    timeouts: Timeouts,
) -> Result<Received, OciError> {
    let mut min_rate = MinRate::new(timeouts, MIN_BYTES_PER_SECOND);
    let mut writing: Writing = spawn_blocking(move || (session, Ok(())));
    let mut batch = Vec::new();
    let mut length = 0;
    loop {
        let (ended, outcome) = match timeout_at(min_rate.deadline(), body.frame()).await {
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    length += data.len();
                    min_rate.count(data.len());
                    batch.push(data);
                }
                (false, Ok(()))
            }
            Ok(None) => (true, Ok(())),
            Ok(Some(Err(_))) => (true, Err(broken(400, "the body broke off"))),
            Err(_) => (true, Err(broken(408, "the body did not arrive in time"))),
        };
        if !ended && length < BATCH && !body.is_end_stream() {
            continue;
        }
        let (session, written) = finish(writing).await?;
        if written.is_err() {
            return Ok((session, written));
        }
        writing = start(session, std::mem::take(&mut batch));
        length = 0;
        if ended || body.is_end_stream() {
            let (session, written) = finish(writing).await?;
            return Ok((session, written.and(outcome)));
        }
    }
}

fn broken(status: u16, text: &str) -> OciError {
    OciError::new(status, "BLOB_UPLOAD_INVALID", text)
}

async fn finish(writing: Writing) -> Result<Received, OciError> {
    writing.await.map_err(|_| OciError::new(500, "UNKNOWN", "the upload could not be written"))
}

fn start(mut session: Session, batch: Vec<Bytes>) -> Writing {
    spawn_blocking(move || {
        let written = batch.iter().try_for_each(|piece| write(&mut session, piece));
        (session, written)
    })
}
