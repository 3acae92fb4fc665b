//! Walking over streams as if to unpack them (RFC 1951, whose "blocks" are parts here).

use super::bits::{BitBuffer, Bits};
use super::code::{Code, Next, Step, WINDOWS, behind_distance, behind_symbol};

/// End of a stream, in bits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Of the mark in the last part's header.
    pub(super) mark: usize,
    pub(super) length: usize,
}

/// `None` where one is not whole.
pub(super) fn ends(streams: &[&[u8]]) -> Option<Vec<End>> {
    let mut walks: Vec<Walk> = streams.iter().map(|stream| Walk::new(stream)).collect();
    loop {
        let mut walking = Vec::with_capacity(walks.len());
        for walk in &mut walks {
            while walk.next == Next::Part && !walk.last {
                walk.begin_part()?;
            }
            match walk.next {
                Next::Part => {}
                Next::Nonsense => return None,
                Next::Symbol | Next::Distance => walking.push(walk),
            }
        }
        match &mut walking[..] {
            [one, two, ..] => together([one, two]),
            [one] => together([one]),
            [] => break,
        }
    }
    Some(walks.iter().map(|walk| End { mark: walk.mark, length: walk.bits.position() }).collect())
}

/// Walks on until one of them is at the end of its part, or can go no further.
fn together<const N: usize>(walks: [&mut Walk; N]) {
    // Apart from the walks, so that it stays in registers.
    let mut held = walks.each_ref().map(|walk| walk.bits.held);
    let mut read = walks.each_ref().map(|walk| walk.bits.read);
    let mut next = walks.each_ref().map(|walk| walk.next);
    while next.iter().all(|next| matches!(next, Next::Symbol | Next::Distance)) {
        for walk in 0..N {
            (held[walk], read[walk]) = walks[walk].bits.refilled(held[walk], read[walk]);
        }
        // What is held now is enough for the longest symbol and the longest distance behind it.
        for _ in 0..2 {
            for walk in 0..N {
                (held[walk], next[walk]) = walks[walk].step(held[walk], next[walk]);
            }
        }
        for walk in 0..N {
            if read[walk] > walks[walk].bits.stream.len() + size_of::<u64>() {
                next[walk] = Next::Nonsense;
            }
        }
    }
    for (walk, ((held, read), next)) in walks.into_iter().zip(held.into_iter().zip(read).zip(next)) {
        (walk.bits.held, walk.bits.read, walk.next) = (held, read, next);
    }
}

/// Walk over a stream.
struct Walk<'a> {
    bits: Bits<'a>,
    next: Next,
    /// Position of the part's header.
    mark: usize,
    last: bool,
    /// Codes of symbols and distances in this part.
    codes: [Code; 2],
    /// For each that can be next, the steps over the bits that can be seen.
    steps: [[Step; WINDOWS]; 4],
}

/// In this order the lengths of the codes of code lengths are written.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

impl<'a> Walk<'a> {
    fn new(stream: &'a [u8]) -> Self {
        let nowhere = [Step { bits: 0, next: Next::Nonsense }; WINDOWS];
        Self {
            bits: Bits::new(stream),
            next: Next::Part,
            mark: 0,
            last: false,
            codes: [Code::new(&[]), Code::new(&[])],
            steps: [nowhere; 4],
        }
    }

    /// Reads the header of a part.
    fn begin_part(&mut self) -> Option<()> {
        self.mark = self.bits.position();
        self.last = self.bits.take(1) == 1;
        let lengths = match self.bits.take(2) {
            0 => return self.bits.skip_stored(),
            1 => ([vec![8; 144], vec![9; 112], vec![7; 24], vec![8; 8]].concat(), vec![5; 30]),
            2 => self.read_lengths()?,
            _ => return None,
        };
        self.codes = [Code::new(&lengths.0), Code::new(&lengths.1)];
        self.steps[Next::Symbol as usize] = self.codes[0].steps(behind_symbol);
        self.steps[Next::Distance as usize] = self.codes[1].steps(behind_distance);
        self.next = Next::Symbol;
        Some(())
    }

    /// The lengths of the codes of symbols and of distances.
    fn read_lengths(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let bits = &mut self.bits;
        let (symbols, distances, written) = (bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4);
        let mut lengths = [0; ORDER.len()];
        for place in &ORDER[..written] {
            lengths[*place] = u8::try_from(bits.take(3)).ok()?;
        }
        let code = Code::new(&lengths);
        let mut lengths: Vec<u8> = Vec::with_capacity(symbols + distances);
        while lengths.len() < symbols + distances {
            (bits.held, bits.read) = bits.refilled(bits.held, bits.read);
            let (length, times) = match code.next(&mut bits.held)? {
                16 => (*lengths.last()?, 3 + bits.take(2)),
                17 => (0, 3 + bits.take(3)),
                18 => (0, 11 + bits.take(7)),
                length => (u8::try_from(length).ok()?, 1),
            };
            lengths.extend(std::iter::repeat_n(length, times));
        }
        let distances = lengths.split_off(symbols);
        Some((lengths, distances))
    }

    /// Takes a step, without a branch on the next symbol: it could not be predicted.
    #[inline]
    fn step(&self, mut held: BitBuffer, next: Next) -> (BitBuffer, Next) {
        let step = self.steps[next as usize][held.seen() % WINDOWS];
        if step.bits == 0 {
            return self.long_step(held, next);
        }
        held.drop(step.bits);
        (held, step.next)
    }

    /// A step over a code that cannot be seen at once. At the end of a part there is none.
    #[cold]
    fn long_step(&self, mut held: BitBuffer, next: Next) -> (BitBuffer, Next) {
        let step = match next {
            Next::Symbol => self.codes[0].next(&mut held).map(behind_symbol),
            Next::Distance => self.codes[1].next(&mut held).map(behind_distance),
            Next::Part | Next::Nonsense => return (held, next),
        };
        let step = step.unwrap_or(Step { bits: 0, next: Next::Nonsense });
        held.drop(step.bits);
        (held, step.next)
    }
}
