//! Bits as deflate packs them.

/// The bits of a stream, the lowest of a byte first; behind its end there are zeros.
pub(super) struct Bits<'a> {
    pub(super) stream: &'a [u8],
    /// Number of bytes read.
    pub(super) read: usize,
    pub(super) held: BitBuffer,
}

/// Bits that have been read.
#[derive(Clone, Copy)]
pub(super) struct BitBuffer {
    bits: u64,
    count: u32,
}

impl BitBuffer {
    /// The next 16.
    pub(super) fn seen(self) -> usize {
        let [first, second, ..] = self.bits.to_le_bytes();
        usize::from(u16::from_le_bytes([first, second]))
    }

    pub(super) fn drop(&mut self, count: u8) {
        self.bits >>= count;
        self.count -= u32::from(count);
    }

    pub(super) fn take(&mut self, count: u8) -> usize {
        let bits = self.seen() % (1 << count);
        self.drop(count);
        bits
    }
}

impl<'a> Bits<'a> {
    pub(super) fn new(stream: &'a [u8]) -> Self {
        Self { stream, read: 0, held: BitBuffer { bits: 0, count: 0 } }
    }

    /// Refills `held` to at least 56 bits, and returns it with the new read position.
    #[inline]
    pub(super) fn refilled(&self, mut held: BitBuffer, read: usize) -> (BitBuffer, usize) {
        let bytes = match self.stream.get(read..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => *bytes,
            None => self.rest(read),
        };
        held.bits |= u64::from_le_bytes(bytes) << held.count;
        let more = (63 - held.count) / 8;
        held.count += more * 8;
        (held, read + more as usize)
    }

    #[cold]
    fn rest(&self, read: usize) -> [u8; 8] {
        let rest = self.stream.get(read..).unwrap_or_default();
        std::array::from_fn(|place| rest.get(place).copied().unwrap_or(0))
    }

    pub(super) fn take(&mut self, count: u8) -> usize {
        (self.held, self.read) = self.refilled(self.held, self.read);
        self.held.take(count)
    }

    /// Returns the position in bits.
    pub(super) fn position(&self) -> usize {
        self.read * 8 - self.held.count as usize
    }

    fn is_exhausted(&self) -> bool {
        self.position() > self.stream.len() * 8
    }

    /// Goes to the end of a stored part, which begins with its length at a byte's boundary.
    pub(super) fn skip_stored(&mut self) -> Option<()> {
        let place = self.position().div_ceil(8);
        let length = self.stream.get(place..)?.first_chunk()?;
        self.read = place + 4 + usize::from(u16::from_le_bytes(*length));
        self.held = BitBuffer { bits: 0, count: 0 };
        (!self.is_exhausted()).then_some(())
    }
}
