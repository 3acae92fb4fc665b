//! Whole numbers of any size, as Python's `int`: read, print, add and compare is all that queries need.

use std::cmp::Ordering;
use std::fmt;

/// A whole number of any size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Integer {
    negative: bool,
    /// ASCII digits without leading zeros; `0` is never negative.
    digits: Vec<u8>,
}

impl Integer {
    /// Reads an optional sign and ASCII digits; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        Some(Self::new(text.starts_with('-'), digits.bytes().collect()))
    }

    fn new(negative: bool, mut digits: Vec<u8>) -> Self {
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..zeros.min(digits.len().saturating_sub(1)));
        Self { negative: negative && digits != b"0", digits }
    }

    /// The whole part of a finite float, exactly.
    pub(crate) fn of_float(float: f64) -> Option<Self> {
        if float.is_finite() { Self::parse(&format!("{:.0}", float.trunc())) } else { None }
    }

    /// The nearest float, ties to even; infinite when there is none so large.
    pub(crate) fn to_f64(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The number, or the nearest that fits.
    pub(crate) fn to_i64(&self) -> i64 {
        self.to_string().parse().unwrap_or(if self.negative { i64::MIN } else { i64::MAX })
    }

    /// The number without its sign.
    pub(crate) fn abs(&self) -> Self {
        Self { negative: false, digits: self.digits.clone() }
    }

    /// The sum.
    pub(crate) fn add(&self, other: &Self) -> Self {
        if self.negative == other.negative {
            return Self::new(self.negative, sum(&self.digits, &other.digits));
        }
        match magnitude(&self.digits, &other.digits) {
            Ordering::Less => Self::new(other.negative, difference(&other.digits, &self.digits)),
            _ => Self::new(self.negative, difference(&self.digits, &other.digits)),
        }
    }

    /// Compares with a float, exactly; `None` for NaN.
    pub(crate) fn compare_float(&self, float: f64) -> Option<Ordering> {
        if float.is_nan() {
            return None;
        }
        let Some(floor) = Self::of_float(float.floor()) else {
            return Some(if float > 0.0 { Ordering::Less } else { Ordering::Greater });
        };
        let fraction = if float > float.floor() { Ordering::Less } else { Ordering::Equal };
        Some(self.cmp(&floor).then(fraction))
    }
}

impl From<u64> for Integer {
    fn from(number: u64) -> Self {
        Self::new(false, number.to_string().into_bytes())
    }
}

impl Ord for Integer {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => magnitude(&self.digits, &other.digits),
            (true, true) => magnitude(&other.digits, &self.digits),
        }
    }
}

impl PartialOrd for Integer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.negative { "-" } else { "" })?;
        self.digits.iter().try_for_each(|digit| write!(formatter, "{}", char::from(*digit)))
    }
}

fn magnitude(left: &[u8], right: &[u8]) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

/// Adds two rows of digits, the last digit first, as on paper.
fn sum(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(left.len().max(right.len()) + 1);
    let (mut left, mut right, mut carry) = (left.iter().rev(), right.iter().rev(), 0);
    loop {
        let (one, other) = (left.next(), right.next());
        if one.is_none() && other.is_none() && carry == 0 {
            result.reverse();
            return result;
        }
        let total = one.map_or(0, |digit| digit - b'0') + other.map_or(0, |digit| digit - b'0') + carry;
        result.push(b'0' + total % 10);
        carry = total / 10;
    }
}

/// Takes the smaller row of digits from the larger one.
fn difference(large: &[u8], small: &[u8]) -> Vec<u8> {
    let (mut small, mut borrow) = (small.iter().rev(), 0);
    let mut result: Vec<u8> = large
        .iter()
        .rev()
        .map(|digit| {
            let (digit, take) = (digit - b'0', small.next().map_or(0, |digit| digit - b'0') + borrow);
            borrow = u8::from(digit < take);
            b'0' + (digit + borrow * 10 - take)
        })
        .collect();
    result.reverse();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_wide_machine_integers() {
        let numbers: [i128; 9] =
            [0, 1, -1, 9, -10, 99_999_999_999_999_999_999, -100_000_000_000_000_000_000, 7, -12345];
        for left in numbers {
            for right in numbers {
                let integer = |number: i128| Integer::parse(&number.to_string()).expect("digits");
                assert_eq!(integer(left).add(&integer(right)), integer(left + right));
                assert_eq!(integer(left).cmp(&integer(right)), left.cmp(&right));
            }
        }
    }
}
