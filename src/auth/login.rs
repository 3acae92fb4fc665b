//! A password for one registry, with all that is needed to get it. What every client of this module asks for.

use super::cached_token::CachedToken;
use super::ecr_registry::EcrRegistry;
use super::get_authorization_token::{self, TokenRequest};
use super::identity::{Identity, ServiceAccount};
use super::log::Log;
use super::login_error::LoginError;
use super::obtain_token::{self, CacheSlot};
use super::token_cache::{CacheError, TokenCache};
use crate::settings::Settings;

/// Settings, cache and log: all that logins of one process share.
pub struct LoginContext<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// The cache, or why there is none.
    pub cache: Result<TokenCache, CacheError>,
    /// The log.
    pub log: Log,
}

impl<'a> LoginContext<'a> {
    /// Opens cache and log as the settings say.
    pub fn open(settings: &'a Settings) -> Self {
        let context = Self { settings, cache: TokenCache::open(settings), log: Log::open(settings) };
        if let Err(unusable) = &context.cache {
            context.log.info(|| unusable.to_string());
        }
        context
    }

    /// A password for a registry.
    pub fn login(
        &self,
        registry: &EcrRegistry,
        account: Option<&ServiceAccount>,
    ) -> Result<CachedToken, LoginError> {
        let identity = match account {
            Some(account) => {
                self.log.hide(&account.token);
                Identity::of_service_account(account)
            }
            None => Identity::of(self.settings, registry),
        };
        let key = identity.key(self.settings, registry);
        let cache = self.cache.as_ref().ok();
        let request = TokenRequest {
            settings: self.settings,
            registry,
            identity: &identity,
            account,
            cache,
            log: &self.log,
        };
        let slot = CacheSlot { cache, key: &key, host: &registry.host, wait: obtain_token::WAIT_FOR_LOCK };
        let entry = obtain_token::obtain(slot, &self.log, &|timeout| {
            get_authorization_token::request_token(request, timeout)
        });
        if let Err(failure) = &entry {
            self.log.error(|| format!("{}: {}", registry.host, failure.line()));
        }
        entry
    }

    /// Deletes the cached passwords of a registry and returns their number.
    pub fn forget(&self, registry: &EcrRegistry) -> std::io::Result<usize> {
        let Ok(cache) = &self.cache else { return Ok(0) };
        let own = Identity::of(self.settings, registry).key(self.settings, registry);
        let mut removed = usize::from(cache.remove(&own)?);
        for (key, entry) in cache.entries() {
            if entry.hosts.contains(&registry.host) {
                removed += usize::from(cache.remove(&key)?);
            }
        }
        Ok(removed)
    }

    /// Returns the warning about a cache that other users can write to.
    pub fn warning(&self) -> Option<String> {
        match &self.cache {
            Err(unusable @ CacheError::Unsafe { .. }) => Some(unusable.to_string()),
            _ => None,
        }
    }

    /// Formats a failure for people: in one line, without secrets.
    pub fn one_line(&self, failure: &LoginError) -> String {
        self.log.redacted(&failure.line())
    }
}
