//! Random bytes of the system's generator.

/// Random bytes, for secrets and passwords, taken from the system's generator.
pub(in crate::local) fn random<const N: usize>() -> [u8; N] {
    use sha2::{Digest as _, Sha256};
    let mut result = [0; N];
    for chunk in result.chunks_mut(32) {
        // A version 4 UUID holds 122 random bits; three of them leave every bit of the hash unpredictable.
        let mut hasher = Sha256::new();
        (0..3).for_each(|_| hasher.update(uuid::Uuid::new_v4().as_bytes()));
        chunk.copy_from_slice(&hasher.finalize()[..chunk.len()]);
    }
    result
}
