//! Requests that carry a blob, a part of a layer for one.
//!
//! Such a body is a third larger than its blob, so it never exists as a whole: the blob is encoded block by block once
//! for the signature, which needs the body's digest, and once more on its way into the socket. Base64 costs a tenth of
//! what SHA-256 does, and a block is still in the processor's cache when it is hashed or sent.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use aws_smithy_types::body::SdkBody;
use base64_simd::STANDARD;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::wire;
use crate::model::Operation;

/// Bytes of a blob encoded at once: a multiple of three, so that only the last block is padded.
const BLOCK: usize = 48 * 1024;

/// A call with a blob in it, ready to be made, and to be made again. Cloning shares the blob.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(super) operation: &'static Operation,
    /// The input without the blob.
    pub(super) input: Value,
    pub(super) member: &'static str,
    pub(super) blob: Bytes,
    /// The request's body, where one is sent.
    pub(super) body: Option<Arc<Encoded>>,
}

/// A body with a blob in it as its last member.
#[derive(Debug)]
pub(super) struct Encoded {
    head: Bytes,
    blob: Bytes,
    digest: String,
    watcher: OnceLock<Watcher>,
}

/// Hears how many of a blob's bytes have been handed to the connection.
struct Watcher(Box<dyn Fn(u64) + Send + Sync>);

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}

impl Prepared {
    /// Tells `watcher` how many of the blob's bytes have been handed to the connection, fewer than before where the
    /// call is made again.
    pub fn watch(&self, watcher: impl Fn(u64) + Send + Sync + 'static) {
        if let Some(body) = &self.body {
            // The first one stays.
            let _ = body.watcher.set(Watcher(Box::new(watcher)));
        }
    }
}

const TAIL: &[u8] = b"\"}";

impl Encoded {
    pub(super) fn new(input: &Value, member: &str, blob: Bytes) -> Self {
        let head = wire::head(input, member);
        let mut hasher = Sha256::new_with_prefix(&head);
        let mut text = Vec::with_capacity(BLOCK / 3 * 4);
        for block in blob.chunks(BLOCK) {
            text.clear();
            STANDARD.encode_append(block, &mut text);
            hasher.update(&text);
        }
        hasher.update(TAIL);
        Self { head: head.into(), blob, digest: hex::encode(hasher.finalize()), watcher: OnceLock::new() }
    }

    /// The SHA-256 of the body, in hexadecimal, as signatures have it.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    pub(super) fn length(&self) -> usize {
        self.head.len() + STANDARD.encoded_length(self.blob.len()) + TAIL.len()
    }
}

/// The body for a request, which can be sent as often as need be.
pub(super) fn body(encoded: &Arc<Encoded>) -> SdkBody {
    let encoded = Arc::clone(encoded);
    SdkBody::retryable(move || {
        SdkBody::from_body_1_x(EncodedBody { encoded: Arc::clone(&encoded), next: Next::Head })
    })
}

/// A request body that is encoded while it is sent.
struct EncodedBody {
    encoded: Arc<Encoded>,
    next: Next,
}

enum Next {
    Head,
    Block(usize),
    Tail,
    Nothing,
}

impl Body for EncodedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let length = self.encoded.blob.len();
        let at = |start: usize| if start < length { Next::Block(start) } else { Next::Tail };
        let (bytes, next) = match self.next {
            Next::Head => (self.encoded.head.clone(), at(0)),
            Next::Block(start) => {
                let end = length.min(start + BLOCK);
                if let Some(Watcher(hear)) = self.encoded.watcher.get() {
                    hear(start as u64);
                }
                let block = &self.encoded.blob[start..end];
                let mut text = Vec::with_capacity(STANDARD.encoded_length(block.len()));
                STANDARD.encode_append(block, &mut text);
                (text.into(), at(end))
            }
            Next::Tail => (Bytes::from_static(TAIL), Next::Nothing),
            Next::Nothing => return Poll::Ready(None),
        };
        self.next = next;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.next, Next::Nothing)
    }

    fn size_hint(&self) -> SizeHint {
        let sent = match self.next {
            Next::Head => 0,
            Next::Block(start) => self.encoded.head.len() + STANDARD.encoded_length(start),
            Next::Tail => self.encoded.length() - TAIL.len(),
            Next::Nothing => self.encoded.length(),
        };
        SizeHint::with_exact((self.encoded.length() - sent) as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http_body_util::BodyExt as _;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_body_is_the_same_whole_and_in_blocks() {
        for length in [0, 1, 2, 3, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 2] {
            let blob = Bytes::from(vec![0xa5; length]);
            let encoded = Arc::new(Encoded::new(&json!({"uploadId": "u"}), "layerPartBlob", blob.clone()));
            let heard = Arc::new(Mutex::new(Vec::new()));
            let hears = Arc::clone(&heard);
            let watcher = Watcher(Box::new(move |sent| hears.lock().unwrap().push(sent)));
            assert!(encoded.watcher.set(watcher).is_ok());
            let text = STANDARD.encode_to_string(&blob);
            let expected = format!(r#"{{"uploadId": "u", "layerPartBlob": "{text}"}}"#);
            for _ in 0..2 {
                let sent = body(&encoded).collect().await.unwrap().to_bytes();
                assert!(sent == expected.as_bytes(), "{length}");
            }
            // What went out before each block, twice.
            let before: Vec<u64> = (0..length).step_by(BLOCK).map(|at| at as u64).collect();
            assert_eq!(*heard.lock().unwrap(), [&before[..], &before].concat());
            assert_eq!(
                (encoded.length(), body(&encoded).content_length()),
                (expected.len(), Some(expected.len() as u64))
            );
            let digest = hex::encode(Sha256::digest(&expected));
            assert_eq!(encoded.digest(), digest);
        }
    }
}
