//! Shared use of one password: from the cache while it is valid, and otherwise from the service, asked by one process
//! for all.
//!
//! - A password in the first half of its life is handed out as it is.
//! - In the second half, whoever gets the lock renews it; everybody else hands out the old one meanwhile.
//! - Near its end, or without one, everybody waits for whoever has the lock, looking at the cache in between, and
//!   after a while asks without it: a lock may delay a login, never prevent one.
//! - Where the service cannot be reached, a password that still lives is handed out; where it says no, its no counts.

use std::fs::File;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::cached_token::{CachedToken, Freshness};
use super::log::Log;
use super::login_error::LoginError;
use super::token_cache::TokenCache;
use crate::retry::Backoff;

/// Time limit of waiting for another process's call.
pub const WAIT_FOR_LOCK: Duration = Duration::from_secs(10);
/// Time limit of a call while there is a password to fall back on.
const CALL_TIMEOUT_WITH_FALLBACK: Duration = Duration::from_secs(5);
/// Time limit of a call without a fallback. Clients of docker wait longer than this, kubelet one minute.
const CALL_TIMEOUT: Duration = Duration::from_secs(45);
/// First and longest pause between two polls at the cache.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(20));

/// The entry of one registry in the cache.
#[derive(Debug, Clone, Copy)]
pub struct CacheSlot<'a> {
    /// The cache; `None` where there is none to use.
    pub cache: Option<&'a TokenCache>,
    /// The key.
    pub key: &'a str,
    /// The host that asks, to be listed.
    pub host: &'a str,
    /// Time limit of waiting for another process.
    pub wait: Duration,
}

/// Asks the service, for this long at most.
pub type RequestToken<'a> = &'a dyn Fn(Duration) -> Result<CachedToken, LoginError>;

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Returns a password for the registry of this cache slot, from the cache or the service.
pub fn obtain(slot: CacheSlot<'_>, log: &Log, ask: RequestToken<'_>) -> Result<CachedToken, LoginError> {
    let Some(cache) = slot.cache else { return ask(CALL_TIMEOUT) };
    let found = cache.read(slot.key);
    match found.as_ref().map_or(Freshness::Expired, |entry| entry.freshness(now())) {
        Freshness::Fresh => {
            log.debug(|| format!("cache hit for {}", slot.host));
            Ok(listed(slot, cache, found, log))
        }
        Freshness::RefreshDue => match cache.try_lock(slot.key) {
            // Another process renews it, or the folder is read-only: the old one will do.
            Ok(None) | Err(_) => Ok(listed(slot, cache, found, log)),
            Ok(Some(lock)) => renew(slot, cache, log, ask, Some(lock)),
        },
        Freshness::NearExpiry | Freshness::Expired => {
            let deadline = Instant::now() + slot.wait;
            match lock_or_entry(slot, cache, log, deadline) {
                LockOutcome::CachedToken(entry) => Ok(listed(slot, cache, Some(entry), log)),
                LockOutcome::Lock(lock) => renew(slot, cache, log, ask, lock),
            }
        }
    }
}

enum LockOutcome {
    /// Another process put it there.
    CachedToken(CachedToken),
    /// This process makes the call; without a lock if that cannot be had.
    Lock(Option<File>),
}

fn lock_or_entry(slot: CacheSlot<'_>, cache: &TokenCache, log: &Log, deadline: Instant) -> LockOutcome {
    let mut polls = 0;
    loop {
        match cache.try_lock(slot.key) {
            Ok(Some(lock)) => return LockOutcome::Lock(Some(lock)),
            Ok(None) => {}
            Err(error) => {
                log.info(|| format!("no lock in {}: {error}", cache.folder().display()));
                return LockOutcome::Lock(None);
            }
        }
        let entry = cache.read(slot.key);
        if let Some(entry) = entry.filter(|entry| entry.freshness(now()) <= Freshness::RefreshDue) {
            return LockOutcome::CachedToken(entry);
        }
        if Instant::now() >= deadline {
            log.info(|| "another process has held the lock for too long; going on without it".to_owned());
            return LockOutcome::Lock(None);
        }
        polls += 1;
        std::thread::sleep(BACKOFF.wait(polls));
    }
}

/// Asks for a new password, unless another process has cached one meanwhile.
fn renew(
    slot: CacheSlot<'_>,
    cache: &TokenCache,
    log: &Log,
    ask: RequestToken<'_>,
    lock: Option<File>,
) -> Result<CachedToken, LoginError> {
    let found = cache.read(slot.key);
    let freshness = found.as_ref().map_or(Freshness::Expired, |entry| entry.freshness(now()));
    if freshness == Freshness::Fresh {
        drop(lock);
        return Ok(listed(slot, cache, found, log));
    }
    if let Some((_, password)) = found.as_ref().and_then(CachedToken::login) {
        log.hide(&password);
    }
    let fallback = found.filter(|_| freshness != Freshness::Expired);
    let timeout = if fallback.is_some() { CALL_TIMEOUT_WITH_FALLBACK } else { CALL_TIMEOUT };
    match (ask(timeout), fallback) {
        (Ok(mut entry), old) => {
            // What the old one served, the new one serves.
            for host in old.iter().flat_map(|old| &old.hosts) {
                entry.remember(host);
            }
            entry.remember(slot.host);
            if entry.freshness(now()) == Freshness::Expired {
                log.info(|| "the service's password is over already; it is not kept".to_owned());
            } else if let Err(error) = cache.write(slot.key, &entry) {
                log.info(|| format!("{} takes no password: {error}", cache.folder().display()));
            }
            drop(lock);
            Ok(entry)
        }
        (Err(failure), Some(old)) if failure.is_temporary() => {
            log.info(|| format!("using the old password, which still lives: {failure}"));
            Ok(old)
        }
        (Err(failure), _) => Err(failure),
    }
}

/// Adds this host to the entry, for `list`. Whoever has the lock may write; nobody waits for that.
fn listed(slot: CacheSlot<'_>, cache: &TokenCache, found: Option<CachedToken>, log: &Log) -> CachedToken {
    let mut entry = found.expect("only called with the entry that was found");
    if entry.remember(slot.host)
        && let Ok(Some(lock)) = cache.try_lock(slot.key)
    {
        // Between reading and locking another process may have written.
        let mut newest = cache.read(slot.key).unwrap_or_else(|| entry.clone());
        newest.remember(slot.host);
        if let Err(error) = cache.write(slot.key, &newest) {
            log.debug(|| format!("the host is not remembered: {error}"));
        }
        drop(lock);
    }
    entry
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::settings::{Environment, Globals, Settings};

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const HOUR: u64 = 3600;

    fn cache(folder: &std::path::Path) -> TokenCache {
        let folder = folder.to_str().unwrap();
        let environment = Environment::given([("AWS_ECR_CACHE_DIR", folder)]);
        TokenCache::open(&Settings::with_environment(Globals::default(), environment)).unwrap()
    }

    fn entry(word: &str, age: u64) -> CachedToken {
        let token = base64_simd::STANDARD.encode_to_string(format!("AWS:{word}"));
        let requested = now() - age;
        CachedToken::new("ecr", "eu-west-1", "environment".into(), token, requested..requested + 12 * HOUR)
    }

    /// Returns the password, the number of calls to the service, and the password that is cached then.
    fn run(
        kept: Option<CachedToken>,
        answer: &Result<CachedToken, LoginError>,
    ) -> (Result<String, LoginError>, u32, Option<String>) {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        if let Some(entry) = kept {
            cache.write(KEY, &entry).unwrap();
        }
        let asked = Cell::new(0);
        let ask = |_: Duration| {
            asked.set(asked.get() + 1);
            answer.clone()
        };
        let slot = CacheSlot { cache: Some(&cache), key: KEY, host: "h.example", wait: Duration::ZERO };
        let word = |entry: CachedToken| entry.login().unwrap().1;
        let outcome = obtain(slot, &Log::off(), &ask).map(word);
        (outcome, asked.get(), cache.read(KEY).map(word))
    }

    fn down() -> LoginError {
        LoginError::Unreachable("down".into())
    }

    fn denied() -> LoginError {
        LoginError::Denied { permission: "p", message: "no".into() }
    }

    #[test]
    fn fresh_ones_are_kept_and_others_renewed() {
        let new = Ok(entry("new", 0));
        assert_eq!(run(None, &new), (Ok("new".into()), 1, Some("new".into())));
        assert_eq!(run(Some(entry("old", HOUR)), &new), (Ok("old".into()), 0, Some("old".into())));
        assert_eq!(run(Some(entry("old", 7 * HOUR)), &new), (Ok("new".into()), 1, Some("new".into())));
        assert_eq!(run(Some(entry("old", 12 * HOUR)), &new), (Ok("new".into()), 1, Some("new".into())));
        let over = Ok(entry("over", 13 * HOUR));
        assert_eq!(run(None, &over), (Ok("over".into()), 1, None));
    }

    #[test]
    fn an_old_one_helps_only_while_it_lives_and_only_against_a_network_that_is_down() {
        assert_eq!(
            run(Some(entry("old", 7 * HOUR)), &Err(down())),
            (Ok("old".into()), 1, Some("old".into()))
        );
        let late = 12 * HOUR - 60;
        assert_eq!(run(Some(entry("old", late)), &Err(down())), (Ok("old".into()), 1, Some("old".into())));
        assert_eq!(run(Some(entry("old", 12 * HOUR)), &Err(down())), (Err(down()), 1, Some("old".into())));
        assert_eq!(run(Some(entry("old", 7 * HOUR)), &Err(denied())), (Err(denied()), 1, Some("old".into())));
    }

    #[test]
    fn while_another_renews_the_old_one_is_handed_out() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        cache.write(KEY, &entry("old", 7 * HOUR)).unwrap();
        let _lock = cache.try_lock(KEY).unwrap().unwrap();
        let slot = CacheSlot { cache: Some(&cache), key: KEY, host: "h.example", wait: Duration::ZERO };
        let got = obtain(slot, &Log::off(), &|_| panic!("nobody asks")).unwrap();
        assert_eq!(got.login().unwrap().1, "old");
    }

    #[test]
    fn a_lock_that_is_never_given_back_does_not_prevent_a_login() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        let _lock = cache.try_lock(KEY).unwrap().unwrap();
        let slot = CacheSlot { cache: Some(&cache), key: KEY, host: "h.example", wait: Duration::ZERO };
        assert_eq!(obtain(slot, &Log::off(), &|_| Ok(entry("new", 0))).unwrap().login().unwrap().1, "new");
    }

    #[test]
    fn every_host_that_is_served_is_listed_once() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        for host in ["a", "b", "a"] {
            let slot = CacheSlot { cache: Some(&cache), key: KEY, host, wait: Duration::ZERO };
            obtain(slot, &Log::off(), &|_| Ok(entry("new", 0))).unwrap();
        }
        assert_eq!(cache.read(KEY).unwrap().hosts, vec!["a".to_owned(), "b".to_owned()]);
    }
}
