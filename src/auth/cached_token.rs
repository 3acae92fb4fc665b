//! A password as it is kept: one small JSON file per identity and region.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Remaining life, in seconds, below which a password is no longer used from the cache: a pull that starts with it must
/// be able to end with it.
const MARGIN: u64 = 15 * 60;
/// Tolerated difference, in seconds, between the clocks of machines that share a cache folder.
const SKEW: u64 = 5 * 60;
/// Limit of a life, in seconds; a longer one was written under another clock.
const MAX_AGE: u64 = 13 * 60 * 60;
/// Limit of the hosts remembered for `list`.
const HOSTS: usize = 200;

/// The version of the file's form.
const VERSION: u32 = 1;

/// A password and where it is good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedToken {
    version: u32,
    /// `ecr` or `ecr-public`.
    pub service: String,
    /// The region.
    pub region: String,
    /// Display name of the identity's credentials.
    pub source: String,
    /// Time of the request, in seconds since 1970.
    pub requested: u64,
    /// Time at which the password expires, in seconds since 1970.
    pub expires: u64,
    /// The host of the identity's own registry, where the answer named one.
    #[serde(default)]
    pub registry: String,
    /// Hosts for which the password was used.
    pub hosts: Vec<String>,
    /// Base64 of user name, colon and password, as the service gives it.
    pub token: String,
}

/// Stage of an entry's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// In the first half of its life: used without further work.
    Fresh,
    /// In the second half: used, while one process renews it.
    RefreshDue,
    /// Near its end: used only if it cannot be renewed.
    NearExpiry,
    /// Expired, or its times contradict each other.
    Expired,
}

impl CachedToken {
    /// An entry with a token that is valid from its request to its end, in seconds since 1970.
    pub fn new(service: &str, region: &str, source: String, token: String, lifetime: Range<u64>) -> Self {
        let (service, region) = (service.to_owned(), region.to_owned());
        Self {
            version: VERSION,
            service,
            region,
            source,
            requested: lifetime.start,
            expires: lifetime.end,
            registry: String::new(),
            hosts: Vec::new(),
            token,
        }
    }

    /// Reads a file's content; `None` for anything that is not an entry of ours.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let entry: Self = serde_json::from_slice(bytes).ok()?;
        (entry.version == VERSION && entry.login().is_some()).then_some(entry)
    }

    /// The file's content.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers always become JSON")
    }

    /// Returns the entry's freshness at this time (seconds since 1970).
    pub fn freshness(&self, now: u64) -> Freshness {
        let life = self.expires.saturating_sub(self.requested);
        if self.requested > now + SKEW || life > MAX_AGE || now >= self.expires {
            return Freshness::Expired;
        }
        let left = self.expires - now;
        if left <= MARGIN.min(life / 4) {
            Freshness::NearExpiry
        } else if left <= life / 2 {
            Freshness::RefreshDue
        } else {
            Freshness::Fresh
        }
    }

    /// User name and password; `None` where the token is damaged.
    pub fn login(&self) -> Option<(String, String)> {
        login(&self.token)
    }

    /// Remembers a host; answers whether it is new.
    pub fn remember(&mut self, host: &str) -> bool {
        let room = self.hosts.len() < HOSTS && !host.is_empty();
        let new = room && !self.hosts.iter().any(|known| known == host);
        if new {
            self.hosts.push(host.to_owned());
        }
        new
    }
}

/// User name and password of a token.
pub fn login(token: &str) -> Option<(String, String)> {
    let bytes = base64_simd::STANDARD.decode_to_vec(token.as_bytes()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    (!user.is_empty() && !password.is_empty()).then(|| (user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    fn entry() -> CachedToken {
        let token = base64_simd::STANDARD.encode_to_string("AWS:pass:word");
        CachedToken::new("ecr", "eu-west-1", "environment".into(), token, 100 * HOUR..112 * HOUR)
    }

    #[test]
    fn it_ages_by_half_its_life() {
        for (now, expected) in [
            (100 * HOUR, Freshness::Fresh),
            (100 * HOUR - SKEW, Freshness::Fresh),
            (100 * HOUR - SKEW - 1, Freshness::Expired),
            (106 * HOUR - 1, Freshness::Fresh),
            (106 * HOUR, Freshness::RefreshDue),
            (112 * HOUR - MARGIN - 1, Freshness::RefreshDue),
            (112 * HOUR - MARGIN, Freshness::NearExpiry),
            (112 * HOUR, Freshness::Expired),
            (0, Freshness::Expired),
            (u64::MAX / 2, Freshness::Expired),
        ] {
            assert_eq!(entry().freshness(now), expected, "{now}");
        }
        let mut backwards = entry();
        backwards.expires = 0;
        assert_eq!(backwards.freshness(100 * HOUR), Freshness::Expired);
        let mut endless = entry();
        endless.expires = u64::MAX;
        assert_eq!(endless.freshness(100 * HOUR), Freshness::Expired);
    }

    #[test]
    fn cached_tokens_round_trip_and_damaged_ones_are_ignored() {
        let mut entry = entry();
        assert!(entry.remember("a.example"));
        assert!(!entry.remember("a.example"));
        assert_eq!(CachedToken::read(&entry.bytes()), Some(entry.clone()));
        assert_eq!(entry.login(), Some(("AWS".into(), "pass:word".into())));
        for damaged in
            ["", "garbage", "null", "[]", "{}", r#"{"Registries":null}"#, r#"{"version":1,"token":null}"#]
        {
            assert_eq!(CachedToken::read(damaged.as_bytes()), None, "{damaged}");
        }
        let text = String::from_utf8(entry.bytes()).unwrap();
        assert_eq!(CachedToken::read(text.replace(r#""version":1"#, r#""version":2"#).as_bytes()), None);
        entry.token = "AWS:no-base64".into();
        assert_eq!(CachedToken::read(&entry.bytes()), None);
    }
}
