//! `--memory` and `--verify`: how a transfer treats bytes on their way.

use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches};

use crate::store::{Buffers, DEFAULT_MEMORY, MIN_MEMORY};

/// Both arguments.
pub(super) fn arguments() -> [Arg; 2] {
    [
        Arg::new("memory")
            .long("memory")
            .value_name("SIZE")
            .default_value("64MiB")
            .value_parser(size)
            .help(
                "About how much memory the program takes while layers move, however large and many they are: 28 MiB for \
                 itself, the rest for their bytes; at least 48MiB",
            ),
        Arg::new("verify").long("verify").action(ArgAction::SetTrue).help(
            "Hash layers from files on this machine too, before the registry does; by default their digests are \
             trusted on the way to a registry, which refuses what does not have them",
        ),
    ]
}

/// The buffers that `--memory` leaves room for.
pub(super) fn buffers(matches: &ArgMatches) -> Arc<Buffers> {
    Buffers::within(matches.get_one("memory").copied().unwrap_or(DEFAULT_MEMORY))
}

/// A number of bytes with its unit: `64MiB`, `1GiB`.
fn size(text: &str) -> Result<usize, String> {
    const UNITS: [(&str, usize); 2] = [("MiB", 1 << 20), ("GiB", 1 << 30)];
    let wrong = || format!("{text:?} is no size; expected a number with MiB or GiB behind it, such as 64MiB");
    let (unit, factor) = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit)).ok_or_else(wrong)?;
    let number: usize = text[..text.len() - unit.len()].trim_end().parse().map_err(|_| wrong())?;
    let size = number.checked_mul(factor).ok_or_else(wrong)?;
    if size < MIN_MEMORY {
        return Err(format!("{text} is too little; expected at least {}MiB", MIN_MEMORY >> 20));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("64MiB"), Ok(DEFAULT_MEMORY));
        assert_eq!(size("1 GiB"), Ok(1 << 30));
        for (text, reason) in [
            ("64", r#""64" is no size; expected a number with MiB or GiB behind it, such as 64MiB"#),
            ("MiB", r#""MiB" is no size; expected a number with MiB or GiB behind it, such as 64MiB"#),
            ("47MiB", "47MiB is too little; expected at least 48MiB"),
        ] {
            assert_eq!(size(text), Err(reason.to_owned()));
        }
    }
}
