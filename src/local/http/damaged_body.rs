//! Bodies damaged by fault injection.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use hyper::header::CONTENT_LENGTH;

use crate::local::http::fault_injection::Action;
use crate::local::http::response::Body;

/// Time for the bytes that passed to leave before the connection breaks.
const FLUSH_TIME: Duration = Duration::from_millis(50);

/// Body that is cut, dropped or slowed.
struct DamagedBody {
    body: Body,
    /// Number of bytes that still pass.
    left: u64,
    action: Action,
}

/// Returns an answer whose body an action has damaged.
pub(super) fn damaged(mut response: Response<Body>, action: Action) -> Response<Body> {
    let left = match action {
        Action::Drop(bytes) | Action::Truncate(bytes) | Action::Stall(bytes) => bytes,
        _ => u64::MAX,
    };
    if matches!(action, Action::Truncate(_)) {
        // The end of the body is its end, whatever its length would have been.
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    response.map(|body| {
        let state = Some(DamagedBody { body, left, action });
        StreamBody::new(stream::unfold(state, |damage| async move { next(damage?).await })).boxed_unsync()
    })
}

async fn next(mut damage: DamagedBody) -> Option<(io::Result<Frame<Bytes>>, Option<DamagedBody>)> {
    if damage.left == 0 {
        if matches!(damage.action, Action::Stall(_)) {
            // Until the client hangs up.
            std::future::pending::<()>().await;
        }
        if !matches!(damage.action, Action::Drop(_)) {
            return None;
        }
        // What went before is sent only while the body has nothing more to give.
        tokio::time::sleep(FLUSH_TIME).await;
        return Some((Err(io::ErrorKind::ConnectionReset.into()), None));
    }
    let frame = match damage.body.frame().await? {
        Ok(frame) => frame,
        Err(error) => return Some((Err(error), None)),
    };
    let Ok(mut data) = frame.into_data() else { return None };
    data.truncate(usize::try_from(damage.left).unwrap_or(usize::MAX));
    damage.left = damage.left.saturating_sub(data.len() as u64);
    if damage.action == Action::Corrupt && !data.is_empty() {
        let mut bytes = data.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        data = bytes.into();
        // One bit is enough.
        damage.action = Action::Truncate(u64::MAX);
    }
    Some((Ok(Frame::data(data)), Some(damage)))
}
