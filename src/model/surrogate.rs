//! Halves of surrogate pairs, which JSON can name (`"\ud83d"`), Python keeps, and no Rust string can hold.
//!
//! Inside a string they are stood in for by the last 2048 characters of the last private plane, which nobody uses:
//! whoever writes a string turns them back into the escape, or refuses them as Python does.

const FIRST: u32 = 0xd800;
const STAND_IN: u32 = 0x10_f800;

/// The character that stands for this half.
pub fn hidden(unit: u32) -> char {
    char::from_u32(unit - FIRST + STAND_IN).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The half that this character stands for.
pub fn shown(character: char) -> Option<u16> {
    let offset = u32::from(character).checked_sub(STAND_IN)?;
    u16::try_from(offset + FIRST).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_comes_back() {
        for unit in 0xd800..=0xdfff {
            assert_eq!(shown(hidden(u32::from(unit))), Some(unit));
        }
        assert_eq!([shown('a'), shown('\u{10f7ff}'), shown('\u{10ffff}')], [None, None, Some(0xdfff)]);
    }
}
