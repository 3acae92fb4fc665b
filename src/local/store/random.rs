//! Random bytes of the system's generator.

/// Random bytes, for secrets and passwords.
///
/// # Panics
///
/// Where the system gives none, as making a UUID does: nothing could be kept secret then.
pub(in crate::local) fn random<const N: usize>() -> [u8; N] {
    let mut result = [0; N];
    getrandom::fill(&mut result).expect("the system has a random generator");
    result
}
