//! login.conf, and the passwords that this program keeps.

use super::finding::Finding;
use super::{Examination, token};
use crate::auth::identity::Identity;
use crate::auth::login_conf::Rules;
use crate::auth::token_cache::{CacheError, TokenCache};
use crate::image::host::Address;

/// Examines them for these hosts.
pub(super) fn examine(examination: &mut Examination<'_>, hosts: &[String]) {
    let settings = examination.settings.clone();
    let rules = match Rules::load(&settings) {
        Ok(rules) => rules,
        Err(error) => {
            examination.report.add(
                Finding::LoginRules,
                error.to_string(),
                "correct it: `ecr login help` explains it",
            );
            return;
        }
    };
    let cache = match TokenCache::open(&settings) {
        Ok(cache) => cache,
        Err(unusable @ CacheError::Unsafe { .. }) => {
            examination.report.add(
                Finding::CacheUnsafe,
                unusable.to_string(),
                "each login asks AWS until then",
            );
            return;
        }
        Err(_) => return,
    };
    for host in hosts {
        let Some(registry) = Address::parse(host).and_then(|address| rules.registry(&address)) else {
            continue;
        };
        let key = Identity::of(&settings, &registry).key(&settings, &registry);
        let Some(entry) = cache.read(&key) else { continue };
        examination.report.hide(&entry.token);
        let now = token::now();
        let left = if entry.expires > now {
            format!("good for {}", token::span(entry.expires - now))
        } else {
            "over, and will be renewed".to_owned()
        };
        examination.report.ok(Finding::Cache, format!("the password that is kept for {host} is {left}"));
    }
}
