//! Tags of a repository and repositories of a registry, in pages.

use rusqlite::params;

use crate::local::core::registry_id::{RepositoryRef, Scope};
use crate::local::distribution::error::OciError;
use crate::local::distribution::registry::Registry;

/// Entries of a page if the client gives no number.
const PAGE: i64 = 1_000;

/// Limit of the entries on a page.
const MAX_COUNT: i64 = 10_000;

/// Page that a client asks for: so many entries after one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::local) struct Page {
    pub(in crate::local) count: Option<i64>,
    pub(in crate::local) last: String,
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct List {
    pub(in crate::local) entries: Vec<String>,
    /// Number of entries asked for, if more follow.
    pub(in crate::local) more: Option<i64>,
}

impl Registry<'_> {
    /// The tags of a repository, in the order of their bytes.
    pub(in crate::local) fn tags(&self, repository: &RepositoryRef, page: &Page) -> Result<List, OciError> {
        self.authorize(repository, "ListImages")?;
        let query = "SELECT name FROM image_tag WHERE repository = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
        Ok(self.local.read(|connection| {
            let repository = repository.find(connection)?.id;
            let mut statement = connection.prepare_cached(query)?;
            let names =
                statement.query_map(params![repository, page.last, page.limit() + 1], |row| row.get(0))?;
            Ok(page.cut(names.collect::<Result<_, _>>()?))
        })?)
    }

    /// The names of the registry's private repositories.
    pub(in crate::local) fn catalog(&self, page: &Page) -> Result<List, OciError> {
        let (account, region) = (self.who.account.clone(), self.who.region.clone());
        self.authorize_action(&Scope { service: "ecr", account, region }, None, "DescribeRepositories")?;
        let query = "SELECT name FROM repository
                     WHERE service = 'ecr' AND account = ?1 AND region = ?2 AND name > ?3 ORDER BY name LIMIT ?4";
        Ok(self.local.read(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let key = params![self.who.account, self.who.region, page.last, page.limit() + 1];
            let names = statement.query_map(key, |row| row.get(0))?;
            Ok(page.cut(names.collect::<Result<_, _>>()?))
        })?)
    }
}

impl Page {
    fn limit(&self) -> i64 {
        self.count.unwrap_or(PAGE).clamp(0, MAX_COUNT)
    }

    fn cut(&self, mut entries: Vec<String>) -> List {
        let limit = self.limit();
        let count = usize::try_from(limit).unwrap_or_default();
        let more = (entries.len() > count && count > 0).then_some(limit);
        entries.truncate(count);
        List { entries, more }
    }
}
