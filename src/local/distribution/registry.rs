//! Docker's registry API on the store: blobs, manifests, tags and referrers of the OCI distribution specification, as
//! one client may see and change them. HTTP is the affair of `requests`; what Amazon ECR's API does too is `core`'s.

use std::net::IpAddr;

use crate::local::core::authorization::{AuthorizationRequest, Requester};
use crate::local::core::error::Error;
use crate::local::core::local::Local;
use crate::local::core::registry_id::{RepositoryRef, Scope};
use crate::local::core::request::Request;
use crate::local::core::upstream::{ACTION, FetchResults};
use crate::local::distribution::error::OciError;
use crate::local::distribution::identity::Identity;
use crate::local::store::time;

/// The actions with which Amazon ECR answers a client that pulls.
const READING: [&str; 4] =
    ["BatchGetImage", "GetDownloadUrlForLayer", "BatchCheckLayerAvailability", "ListImages"];

/// Rules of the registry for its clients.
#[derive(Debug, Clone)]
pub(in crate::local) struct Rules {
    /// Deviate from the specification where Amazon ECR does.
    pub(in crate::local) quirks: bool,
    /// Ask for no credentials.
    pub(in crate::local) anonymous: bool,
    /// Account of the registry, if credentials do not tell.
    pub(in crate::local) account: String,
    /// Region of the registry.
    pub(in crate::local) region: String,
}

/// The registry as one client sees it.
pub(in crate::local) struct Registry<'a> {
    pub(in crate::local) local: &'a Local,
    pub(in crate::local) rules: &'a Rules,
    pub(in crate::local) who: &'a Identity,
    /// Network address of the client.
    pub(in crate::local) source: Option<IpAddr>,
    /// Results of fetching the request's images from upstream, once that was tried.
    pub(in crate::local) fetch_results: Option<&'a FetchResults>,
}

impl Registry<'_> {
    /// The client's request as the core takes it.
    pub(in crate::local) fn request(&self) -> Request<'_> {
        Request {
            local: self.local,
            requester: Some(self.requester()),
            now: time::now(),
            fetch_results: self.fetch_results,
        }
    }

    fn requester(&self) -> Requester<'_> {
        Requester { principal: &self.who.principal, source: self.source }
    }

    /// Refuses an action that policies do not let the client carry out. Public repositories can be read by everybody.
    pub(in crate::local) fn authorize(&self, repository: &RepositoryRef, action: &str) -> Result<(), Error> {
        if repository.is_public() && READING.contains(&action) {
            return Ok(());
        }
        self.authorize_action(&repository.scope, Some(&repository.name), action)
    }

    pub(in crate::local) fn authorize_action(
        &self,
        scope: &Scope,
        repository: Option<&str>,
        action: &str,
    ) -> Result<(), Error> {
        let requester = self.requester();
        self.local.authorize(&AuthorizationRequest { requester, action, scope, repository, tags: &[] })
    }

    /// The answer to a pull. One that needs something from upstream is refused unless the client may have that fetched.
    pub(in crate::local) fn pulled<T>(
        &self,
        repository: &RepositoryRef,
        found: Result<T, Error>,
    ) -> Result<T, OciError> {
        if let Err(Error { need: Some(_), .. }) = &found {
            self.authorize(repository, ACTION)?;
        }
        Ok(found?)
    }
}
