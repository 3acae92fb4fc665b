//! Request of either API, with its requester and repository.

use rusqlite::Connection;

use crate::local::core::authorization::{AuthorizationRequest, Requester};
use crate::local::core::error::Error;
use crate::local::core::local::Local;
use crate::local::core::registry_id::RepositoryRef;
use crate::local::core::repository::Repository;
use crate::local::core::templates::Template;
use crate::local::core::upstream::FetchResults;
use crate::local::core::{policies, templates};
use crate::local::store::time;

/// Request to the core: its store, requester and time.
#[derive(Clone, Copy)]
pub(in crate::local) struct Request<'a> {
    pub(in crate::local) local: &'a Local,
    /// Requester to authorize; `None` for actions of the service itself, which need no permission.
    pub(in crate::local) requester: Option<Requester<'a>>,
    /// Time of the request, in milliseconds since 1970.
    pub(in crate::local) now: i64,
    /// Results of fetching the request's images from upstream, once that was tried.
    pub(in crate::local) fetch_results: Option<&'a FetchResults>,
}

/// Reaction to a repository that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum IfMissing {
    /// The request fails.
    Fail,
    /// The repository is created, if a creation template for `CREATE_ON_PUSH` covers it.
    Create,
}

impl<'a> Request<'a> {
    /// Creates a request of the service itself, which needs no permission.
    pub(in crate::local) fn of_service(local: &'a Local) -> Self {
        Self { local, requester: None, now: time::now(), fetch_results: None }
    }

    /// The repository's row, which may be created within the transaction.
    pub(in crate::local) fn repository(
        &self,
        connection: &Connection,
        repository: &RepositoryRef,
        missing: IfMissing,
    ) -> Result<Repository, Error> {
        let RepositoryRef { scope, name } = repository;
        if missing == IfMissing::Create
            && !repository.is_public()
            && repository.look_up(connection)?.is_none()
            && let Some(template) = templates::template_for(connection, scope, name, "CREATE_ON_PUSH")?
        {
            self.authorize(connection, repository, "CreateRepository")?;
            self.check_template_policy(repository, &template)?;
            return templates::create_from(connection, repository, &template, self.now);
        }
        repository.find(connection)
    }

    /// Refuses to create a repository whose policy would keep the client that pushes from setting another one, as
    /// SetRepositoryPolicy does.
    fn check_template_policy(&self, repository: &RepositoryRef, template: &Template) -> Result<(), Error> {
        match template.repository_policy() {
            Some(text) if self.is_locked_out_by(repository, text) => {
                let reason = "it comes from a repository creation template and would keep you from setting another one; \
                              change the template, or create the repository yourself";
                Err(policies::refused("Invalid repository policy provided", reason))
            }
            _ => Ok(()),
        }
    }

    /// Returns whether a repository's policy would keep the requester from setting another one.
    pub(in crate::local) fn is_locked_out_by(&self, repository: &RepositoryRef, policy: &str) -> bool {
        let RepositoryRef { scope, name } = repository;
        self.requester.is_some_and(|requester| {
            let (action, repository) = ("SetRepositoryPolicy", Some(name.as_str()));
            AuthorizationRequest { requester, action, scope, repository, tags: &[] }
                .is_denied_by(policy, self.local.is_secured)
        })
    }

    fn authorize(&self, connection: &Connection, on: &RepositoryRef, action: &str) -> Result<(), Error> {
        let Some(requester) = self.requester.filter(|_| self.local.enforces) else { return Ok(()) };
        let (scope, repository) = (&on.scope, Some(on.name.as_str()));
        AuthorizationRequest { requester, action, scope, repository, tags: &[] }
            .check(connection, self.local.is_secured)
    }
}
