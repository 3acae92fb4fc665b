//! Download URLs that carry their own permission: an HMAC over the blob and the moment they end.

use hmac::{Hmac, KeyInit as _, Mac as _};
use rusqlite::Connection;
use sha2::Sha256;

use crate::local::core::error::Error;
use crate::local::store::random;

/// Path below which a server sends blobs.
pub(in crate::local) const DOWNLOADS: &str = "/_blob/";

/// The store's secret, which no answer ever shows.
pub(in crate::local) fn secret(connection: &Connection) -> Result<Vec<u8>, Error> {
    Ok(connection.query_row("SELECT value FROM meta WHERE name = 'secret'", [], |row| row.get(0))?)
}

/// Gives a copy of a store a secret of its own.
pub(in crate::local) fn renew_secret(connection: &Connection) -> Result<(), Error> {
    let secret = random::random::<32>();
    connection.execute("UPDATE meta SET value = ?1 WHERE name = 'secret'", [secret.as_slice()])?;
    Ok(())
}

/// Returns the signed path and query of a blob, valid until `expires`, in seconds since 1970.
pub(in crate::local) fn download_path(secret: &[u8], digest: &str, expires: i64) -> String {
    let signature = hex::encode(code(secret, digest, expires).finalize().into_bytes());
    format!("{DOWNLOADS}{digest}?expires={expires}&signature={signature}")
}

/// Returns whether a signature is ours for this blob and this expiry.
pub(in crate::local) fn is_genuine(secret: &[u8], digest: &str, expires: i64, signature: &str) -> bool {
    hex::decode(signature).is_ok_and(|given| code(secret, digest, expires).verify_slice(&given).is_ok())
}

fn code(secret: &[u8], digest: &str, expires: i64) -> Hmac<Sha256> {
    let key: Hmac<Sha256> = Hmac::new_from_slice(secret).expect("an HMAC takes a key of any length");
    key.chain_update(format!("{digest}\n{expires}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_for_one_blob_and_one_expiry() {
        let path = download_path(b"secret", "sha256:aa", 7);
        let signature = path.rsplit('=').next().unwrap();
        assert_eq!(path, format!("/_blob/sha256:aa?expires=7&signature={signature}"));
        assert!(is_genuine(b"secret", "sha256:aa", 7, signature));
        assert!(!is_genuine(b"secret", "sha256:ab", 7, signature));
        assert!(!is_genuine(b"secret", "sha256:aa", 8, signature));
        assert!(!is_genuine(b"other", "sha256:aa", 7, signature));
        assert!(!is_genuine(b"secret", "sha256:aa", 7, ""));
    }
}
