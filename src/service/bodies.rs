//! Buffers for large request bodies, used again and again.
//!
//! A part of a layer makes a body of 14 MiB. Allocated and freed by several threads in turn, such buffers leave the
//! allocator holding twice as much as is ever in use at once.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// What is smaller is left to the allocator.
const LARGE: usize = 1024 * 1024;

/// The large buffers that are not in use.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    spare: Mutex<Vec<Vec<u8>>>,
}

struct Body {
    bytes: Vec<u8>,
    home: Arc<Bodies>,
}

impl Bodies {
    /// An empty buffer with room for so many bytes.
    pub(super) fn buffer(&self, size: usize) -> Vec<u8> {
        let spare = if size < LARGE { None } else { self.lock().pop() };
        let mut buffer = spare.unwrap_or_default();
        buffer.reserve_exact(size);
        buffer
    }

    /// The buffer's bytes as a body; a large buffer comes back with its last copy.
    pub(super) fn body(self: &Arc<Self>, bytes: Vec<u8>) -> Bytes {
        if bytes.len() < LARGE {
            return bytes.into();
        }
        Bytes::from_owner(Body { bytes, home: Arc::clone(self) })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        self.home.lock().push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_buffer_comes_back() {
        let bodies = Arc::new(Bodies::default());
        let mut buffer = bodies.buffer(LARGE);
        buffer.resize(LARGE, 7);
        let address = buffer.as_ptr();
        let body = bodies.body(buffer);
        let copy = body.clone();
        drop(body);
        let other = bodies.buffer(LARGE);
        assert_ne!(other.as_ptr(), address, "a copy is in use");
        drop(copy);
        let again = bodies.buffer(LARGE);
        assert_eq!((again.as_ptr(), again.len()), (address, 0));
    }
}
