//! Reused buffers within a budget, which limits a transfer's memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const MEBIBYTE: usize = 1024 * 1024;
/// Unit in which memory is counted: fine enough for many small blobs.
const UNIT: usize = 64 * 1024;
/// Memory in bytes that the program takes besides its buffers: code, threads, connections.
const PROGRAM: usize = 28 * MEBIBYTE;
/// Default memory of a transfer, in bytes.
pub const DEFAULT_MEMORY: usize = 64 * MEBIBYTE;
/// The least that a transfer can do with.
pub const MIN_MEMORY: usize = 48 * MEBIBYTE;

/// Lends buffers within a budget. Memory stays flat however large the blobs and however many there are: allocating
/// and freeing parts of 10 MiB from several threads instead leaves the allocator with several times as much.
#[derive(Debug)]
pub struct Buffers {
    spare: Mutex<Vec<Vec<u8>>>,
    units: Arc<Semaphore>,
    /// In units.
    budget: usize,
}

/// A buffer on loan; it goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    home: Arc<Buffers>,
    _permit: OwnedSemaphorePermit,
}

impl Buffers {
    /// Buffers for a process that is to take so many bytes in all.
    pub fn within(memory: usize) -> Arc<Self> {
        Self::new(memory.max(MIN_MEMORY) - PROGRAM)
    }

    /// Returns the limit of all buffers together, in bytes.
    pub fn budget(&self) -> usize {
        self.budget * UNIT
    }

    pub(super) fn new(budget: usize) -> Arc<Self> {
        let budget = budget / UNIT;
        Arc::new(Self { spare: Mutex::default(), units: Arc::new(Semaphore::new(budget)), budget })
    }

    /// An empty buffer with room for `size` bytes, as soon as the budget has room for it. One buffer is always
    /// lent, even where it alone is more than the budget.
    pub(super) async fn lend(self: &Arc<Self>, size: usize) -> Buffer {
        let wanted = size.div_ceil(UNIT).clamp(1, self.budget);
        let wanted = u32::try_from(wanted).expect("a budget is far below 2^32 units");
        let permit = Arc::clone(&self.units).acquire_many_owned(wanted).await;
        self.buffer(size, permit.expect("the semaphore is never closed"))
    }

    fn buffer(self: &Arc<Self>, size: usize, permit: OwnedSemaphorePermit) -> Buffer {
        // What is small is left to the allocator, and does not keep a large buffer from those that need one.
        let spare = if size < MEBIBYTE { None } else { self.spare().pop() };
        let mut bytes = spare.unwrap_or_default();
        bytes.clear();
        bytes.reserve_exact(size);
        Buffer { bytes, home: Arc::clone(self), _permit: permit }
    }

    /// Returns whether [`Buffers::try_lend`] has room for `size` bytes now. A third of the budget stays free for those
    /// who have to wait for a buffer.
    pub(super) fn has_room(&self, size: usize) -> bool {
        self.units.available_permits() >= size.div_ceil(UNIT) + self.budget / 3
    }

    /// An empty buffer with room for `size` bytes, where the budget has room for it at once and still enough for others.
    pub(super) fn try_lend(self: &Arc<Self>, size: usize) -> Option<Buffer> {
        let wanted = u32::try_from(size.div_ceil(UNIT)).ok().filter(|_| self.has_room(size))?;
        let permit = Arc::clone(&self.units).try_acquire_many_owned(wanted).ok()?;
        Some(self.buffer(size, permit))
    }

    /// Keeps half of the memory for something else, until the answer is dropped.
    pub async fn reserve_half(self: &Arc<Self>) -> OwnedSemaphorePermit {
        self.spare().clear();
        let wanted = u32::try_from(self.budget / 2).expect("a budget is far below 2^32 units");
        let permit = Arc::clone(&self.units).acquire_many_owned(wanted).await;
        permit.expect("the semaphore is never closed")
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() >= MEBIBYTE {
            self.home.spare().push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_buffer_that_came_back_is_lent_again_and_the_budget_holds() {
        let buffers = Buffers::new(4 * MEBIBYTE);
        let first = buffers.lend(3 * MEBIBYTE).await;
        let address = first.bytes.as_ptr();
        assert!(buffers.lend(2 * MEBIBYTE).now_or_never().is_none(), "that is more than the budget");
        drop(first);
        let second = buffers.lend(2 * MEBIBYTE).await;
        assert_eq!((second.bytes.as_ptr(), second.bytes.len()), (address, 0));
    }
}
