//! Authorization tokens for docker's API. A password says itself whom it was made for, what for and until when, under
//! a code that only the store's secret makes: nothing is kept of it, and an expired one is known as such.

use hmac::{Hmac, KeyInit as _, Mac as _};
use rusqlite::{Connection, OptionalExtension as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::iam::Principal;
use crate::local::core::download_url;
use crate::local::core::error::Error;

/// Purpose in the authentication code, which separates this use of the secret from others.
const PURPOSE: &[u8] = b"authorization token\n";

/// Length of the authentication code in front of a password's content.
const CODE: usize = 32;

/// Key in the table `meta` for the number of times that all tokens were revoked.
const GENERATION: &str = "token-generation";

/// Grant of a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::local) struct Grant {
    /// Account of the registry.
    pub(in crate::local) account: String,
    /// Region of that registry.
    pub(in crate::local) region: String,
    /// ARN of the principal that it was made for.
    principal: String,
    /// In milliseconds since 1970.
    pub(in crate::local) expires_at: i64,
    generation: i64,
}

/// The secret with which a store makes and verifies the passwords of GetAuthorizationToken.
pub(in crate::local) struct PasswordSecret {
    secret: Vec<u8>,
    generation: i64,
}

impl PasswordSecret {
    pub(in crate::local) fn of(connection: &Connection) -> Result<Self, Error> {
        let query = "SELECT value FROM meta WHERE name = ?1";
        let mut statement = connection.prepare_cached(query)?;
        let generation = statement.query_row([GENERATION], |row| row.get(0)).optional()?;
        Ok(Self { secret: download_url::secret(connection)?, generation: generation.unwrap_or_default() })
    }

    /// Makes a password.
    pub(in crate::local) fn password(
        &self,
        account: &str,
        region: &str,
        principal: &Principal,
        expires_at: i64,
    ) -> String {
        let grant = Grant {
            account: account.to_owned(),
            region: region.to_owned(),
            principal: principal.arn().to_owned(),
            expires_at,
            generation: self.generation,
        };
        let said = serde_json::to_vec(&grant).expect("texts and numbers are JSON");
        let code = self.code(&said).finalize().into_bytes();
        base64_simd::URL_SAFE_NO_PAD.encode_to_string([code.as_slice(), &said].concat())
    }

    /// Grant of a password, if it was made here, expired or not.
    pub(in crate::local) fn grant(&self, password: &str) -> Option<Grant> {
        let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(password).ok()?;
        let (code, said) = bytes.split_at_checked(CODE)?;
        self.code(said).verify_slice(code).ok()?;
        serde_json::from_slice(said).ok()
    }

    fn code(&self, said: &[u8]) -> Hmac<Sha256> {
        let code: Hmac<Sha256> =
            Hmac::new_from_slice(&self.secret).expect("an HMAC takes a key of any length");
        code.chain_update(PURPOSE).chain_update(said)
    }

    /// Returns whether a grant is valid at this time.
    pub(in crate::local) fn is_good(&self, grant: &Grant, now: i64) -> bool {
        now < grant.expires_at && grant.generation == self.generation
    }
}

impl Grant {
    pub(in crate::local) fn principal(&self) -> Principal {
        Principal::of(&self.principal).unwrap_or_else(|| Principal::root(&self.account))
    }
}

/// Makes all tokens that there are expired ones.
pub(in crate::local) fn expire_all(connection: &Connection) -> Result<(), Error> {
    connection.execute(
        "INSERT INTO meta (name, value) VALUES (?1, 1) ON CONFLICT DO UPDATE SET value = value + 1",
        [GENERATION],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_cannot_be_made_or_changed_by_others() {
        let mint = |secret: &[u8], generation| PasswordSecret { secret: secret.to_vec(), generation };
        let own = mint(b"secret", 1);
        let principal = Principal::of("arn:aws:iam::111122223333:user/ann").unwrap();
        let password = own.password("444455556666", "r", &principal, 7);
        let grant = own.grant(&password).unwrap();
        assert_eq!((grant.account.as_str(), grant.region.as_str()), ("444455556666", "r"));
        assert_eq!(grant.principal(), principal);
        assert_eq!((own.is_good(&grant, 6), own.is_good(&grant, 7)), (true, false));
        assert!(!mint(b"secret", 2).is_good(&grant, 6));
        assert_eq!(mint(b"other", 1).grant(&password), None);
        let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(&password).unwrap();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let changed = base64_simd::URL_SAFE_NO_PAD.encode_to_string(changed);
            assert_eq!(own.grant(&changed), None, "{place}");
        }
        for short in ["", "AA", &password[..42], "?"] {
            assert_eq!(own.grant(short), None, "{short}");
        }
    }
}
