//! Tags of a repository and repositories of a registry, in pages.

use crate::local::core::image::tag_names;
use crate::local::core::registry_id::{RepositoryRef, Scope};
use crate::local::core::repository::Repository;
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
        Ok(self.local.read(|connection| {
            let repository = repository.find(connection)?;
            Ok(page.cut(tag_names(connection, &repository, &page.last, page.limit() + 1)?))
        })?)
    }

    /// The names of the registry's private repositories.
    pub(in crate::local) fn catalog(&self, page: &Page) -> Result<List, OciError> {
        let (account, region) = (self.who.account.clone(), self.who.region.clone());
        let scope = Scope { service: "ecr", account, region };
        self.authorize_action(&scope, None, "DescribeRepositories")?;
        Ok(self.local.read(|connection| {
            Ok(page.cut(Repository::names(connection, &scope, &page.last, page.limit() + 1)?))
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
