//! Temporary credentials, as AWS's security token service gives them. A session token says itself whose it is and until
//! when, under a code that only the store's secret makes; the secret access key follows from the token. Nothing is kept.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::iam::Principal;
use crate::local::store::random::random;

/// Tell the uses of the store's secret from one another.
const TOKEN: &[u8] = b"session token\n";
const SECRET: &[u8] = b"session secret access key\n";
/// Length of the authentication code in front of a token's content.
const CODE: usize = 32;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Grant of a session token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::local::http) struct Session {
    access_key: String,
    principal: String,
    /// Access key of the server's credentials with which it was requested; `None` if signatures were not checked.
    issuer: Option<String>,
    /// In milliseconds since 1970.
    pub(in crate::local::http) expires_at: i64,
}

/// Temporary credentials, as given to clients.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::local::http) struct SessionCredentials {
    pub(in crate::local::http) access_key: String,
    pub(in crate::local::http) secret: String,
    pub(in crate::local::http) token: String,
}

impl Session {
    /// A session of a principal, with an access key of its own.
    pub(in crate::local::http) fn begin(
        principal: &Principal,
        issuer: Option<&str>,
        expires_at: i64,
    ) -> Self {
        let letters = random::<16>().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        let access_key = format!("ASIA{}", letters.iter().collect::<String>());
        let (principal, issuer) = (principal.arn().to_owned(), issuer.map(str::to_owned));
        Self { access_key, principal, issuer, expires_at }
    }

    /// Its credentials under a store's secret.
    pub(in crate::local::http) fn credentials(&self, store: &[u8]) -> SessionCredentials {
        let said = serde_json::to_vec(self).expect("texts and numbers are JSON");
        let token = [&code(store, TOKEN, &said).finalize().into_bytes()[..], &said].concat();
        let token = base64_simd::STANDARD.encode_to_string(token);
        SessionCredentials { access_key: self.access_key.clone(), secret: secret(store, &token), token }
    }

    /// The session of a token that was made here, be it expired or not.
    pub(super) fn of(store: &[u8], token: &str) -> Option<Self> {
        let bytes = base64_simd::STANDARD.decode_to_vec(token).ok()?;
        let (given, said) = bytes.split_at_checked(CODE)?;
        code(store, TOKEN, said).verify_slice(given).ok()?;
        serde_json::from_slice(said).ok()
    }

    pub(super) fn access_key(&self) -> &str {
        &self.access_key
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    pub(super) fn principal(&self) -> Option<Principal> {
        Principal::of(&self.principal)
    }
}

/// The secret access key that goes with a token: forty letters, as AWS has them.
pub(super) fn secret(store: &[u8], token: &str) -> String {
    let code = code(store, SECRET, token.as_bytes()).finalize().into_bytes();
    let mut text = base64_simd::STANDARD.encode_to_string(code);
    text.truncate(40);
    text
}

fn code(store: &[u8], purpose: &[u8], text: &[u8]) -> Hmac<Sha256> {
    let code: Hmac<Sha256> = Hmac::new_from_slice(store).expect("an HMAC takes a key of any length");
    code.chain_update(purpose).chain_update(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_cannot_be_made_or_changed_by_others() {
        let principal = Principal::of("arn:aws:sts::111122223333:assumed-role/build/job").unwrap();
        let session = Session::begin(&principal, Some("AKID"), 7);
        let credentials = session.credentials(b"store");
        assert_eq!(Session::of(b"store", &credentials.token), Some(session.clone()));
        assert_eq!((session.principal(), credentials.secret.len()), (Some(principal), 40));
        assert_eq!(Session::of(b"other", &credentials.token), None);
        let bytes = base64_simd::STANDARD.decode_to_vec(&credentials.token).unwrap();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let changed = base64_simd::STANDARD.encode_to_string(changed);
            assert_eq!(Session::of(b"store", &changed), None, "{place}");
            assert_ne!(secret(b"store", &changed), credentials.secret);
        }
    }
}
