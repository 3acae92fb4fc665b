//! Huffman codes, and the steps of a walk over them.

use super::bits::BitBuffer;

/// Next element of a deflate stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Symbol,
    Distance,
    Part,
    /// An invalid code.
    Nonsense,
}

/// So many bits are seen at once; longer codes are rare.
const WINDOW: u8 = 10;
pub(super) const WINDOWS: usize = 1 << WINDOW;

/// Number of bits to the next symbol; none if the bits are not enough.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) bits: u8,
    pub(super) next: Next,
}

const END_OF_PART: usize = 256;
const LENGTH_EXTRA_BITS: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

/// Returns the step for a literal, an end of block, or a length with its extra bits.
pub(super) fn behind_symbol(symbol: usize) -> Step {
    match symbol {
        0..END_OF_PART => Step { bits: 0, next: Next::Symbol },
        END_OF_PART => Step { bits: 0, next: Next::Part },
        _ => match LENGTH_EXTRA_BITS.get(symbol - END_OF_PART - 1) {
            Some(bits) => Step { bits: *bits, next: Next::Distance },
            None => Step { bits: 0, next: Next::Nonsense },
        },
    }
}

/// Returns the step for a distance with its extra bits.
pub(super) fn behind_distance(distance: usize) -> Step {
    match u8::try_from(distance) {
        Ok(distance @ 0..30) => Step { bits: (distance / 2).saturating_sub(1), next: Next::Symbol },
        _ => Step { bits: 0, next: Next::Nonsense },
    }
}

const MAX_LENGTH: usize = 15;

/// A Huffman code, canonical as all of deflate's are.
pub(super) struct Code {
    /// Number of codes of each length.
    counts: [usize; MAX_LENGTH + 1],
    /// In the order of their codes.
    symbols: Vec<usize>,
}

impl Code {
    pub(super) fn new(lengths: &[u8]) -> Self {
        let mut counts = [0; MAX_LENGTH + 1];
        for length in lengths {
            counts[usize::from(*length)] += 1;
        }
        counts[0] = 0;
        let mut places = [0; MAX_LENGTH + 2];
        for length in 1..=MAX_LENGTH {
            places[length + 1] = places[length] + counts[length];
        }
        let mut symbols = vec![0; places[MAX_LENGTH + 1]];
        for (symbol, length) in lengths.iter().enumerate().filter(|(_, length)| **length > 0) {
            let place = &mut places[usize::from(*length)];
            symbols[*place] = symbol;
            *place += 1;
        }
        Self { counts, symbols }
    }

    /// Computes for every value of the visible bits the step over its symbol and the extra bits.
    pub(super) fn steps(&self, behind: fn(usize) -> Step) -> [Step; WINDOWS] {
        let mut steps = [Step { bits: 0, next: Next::Nonsense }; WINDOWS];
        let mut symbols = self.symbols.iter();
        let mut code = 0_usize;
        for length in 1..=WINDOW {
            for symbol in symbols.by_ref().take(self.counts[usize::from(length)]) {
                // The first bit of a code is its highest, and that of a window its lowest.
                let first = code.reverse_bits() >> (usize::BITS - u32::from(length));
                let Step { bits, next } = behind(*symbol);
                for step in steps.iter_mut().skip(first).step_by(1 << length) {
                    *step = Step { bits: bits + length, next };
                }
                code += 1;
            }
            code <<= 1;
        }
        steps
    }

    /// The next symbol, bit by bit.
    pub(super) fn next(&self, held: &mut BitBuffer) -> Option<usize> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code = code * 2 + held.take(1);
            if code < first + count {
                return self.symbols.get(index + code - first).copied();
            }
            index += count;
            first = (first + count) * 2;
        }
        None
    }
}
