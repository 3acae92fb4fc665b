//! Tags of a repository and repositories of a registry, in pages.

use rusqlite::params;

use super::{Refusal, Registry};
use crate::local::call::Scope;
use crate::local::core::RepositoryRef;

/// How many entries a page has where the client does not say.
const PAGE: i64 = 1_000;
/// How many it has at most.
const MOST: i64 = 10_000;

/// What a client asks for: so many entries after one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) count: Option<i64>,
    pub(crate) last: String,
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) entries: Vec<String>,
    /// How many entries were asked for, where more follow.
    pub(crate) more: Option<i64>,
}

impl Registry<'_> {
    /// The tags of a repository, in the order of their bytes.
    pub(crate) fn tags(&self, repository: &RepositoryRef, page: &Page) -> Result<List, Refusal> {
        self.authorize(repository, "ListImages")?;
        let query = "SELECT name FROM image_tag WHERE repository = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
        Ok(self.local.database.read(|connection| {
            let repository = repository.find(connection)?.id;
            let mut statement = connection.prepare_cached(query)?;
            let names =
                statement.query_map(params![repository, page.last, page.limit() + 1], |row| row.get(0))?;
            Ok(page.cut(names.collect::<Result<_, _>>()?))
        })?)
    }

    /// The names of the registry's private repositories.
    pub(crate) fn catalog(&self, page: &Page) -> Result<List, Refusal> {
        let (account, region) = (self.who.account.clone(), self.who.region.clone());
        self.authorize_action(&Scope { service: "ecr", account, region }, None, "DescribeRepositories")?;
        let query = "SELECT name FROM repository
                     WHERE service = 'ecr' AND account = ?1 AND region = ?2 AND name > ?3 ORDER BY name LIMIT ?4";
        Ok(self.local.database.read(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let key = params![self.who.account, self.who.region, page.last, page.limit() + 1];
            let names = statement.query_map(key, |row| row.get(0))?;
            Ok(page.cut(names.collect::<Result<_, _>>()?))
        })?)
    }
}

impl Page {
    fn limit(&self) -> i64 {
        self.count.unwrap_or(PAGE).clamp(0, MOST)
    }

    fn cut(&self, mut entries: Vec<String>) -> List {
        let limit = self.limit();
        let count = usize::try_from(limit).unwrap_or_default();
        let more = (entries.len() > count && count > 0).then_some(limit);
        entries.truncate(count);
        List { entries, more }
    }
}
