//! Docker's registry API on the same store: what the OCI distribution specification calls blobs, manifests, tags and
//! referrers, as one client may see and change them. HTTP is `server::docker`'s affair; what Amazon ECR's API does too
//! is `core`'s.

mod access;
mod blobs;
mod manifests;
mod refusal;
mod repository;
mod sessions;
mod tags;

use std::net::IpAddr;

use super::authorization::{AuthorizationRequest, Requester};
use super::call::Scope;
use super::core::pull_through::{self, Settled};
use super::core::{RepositoryRef, Request};
use super::{Fault, Local, time};

pub(super) use super::core::Session;
pub(super) use access::{ANONYMOUS, Identity, password};
pub(super) use manifests::{Found, Push};
pub(super) use refusal::Refusal;
pub(super) use sessions::write;
pub(super) use tags::{List, Page};

/// The actions with which Amazon ECR answers a client that pulls.
const READING: [&str; 4] =
    ["BatchGetImage", "GetDownloadUrlForLayer", "BatchCheckLayerAvailability", "ListImages"];

/// How the registry deals with its clients.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// Whether it deviates from the specification where Amazon ECR does (`ecr-server-semantics.md` 0.1).
    pub(super) quirks: bool,
    /// Whether credentials are not asked for.
    pub(super) anonymous: bool,
    /// Whose registry is meant where credentials do not tell.
    pub(super) account: String,
    /// Where it is.
    pub(super) region: String,
}

/// The registry as one client sees it.
pub(super) struct Registry<'a> {
    pub(super) local: &'a Local,
    pub(super) rules: &'a Rules,
    pub(super) who: &'a Identity,
    /// Where it comes from.
    pub(super) source: Option<IpAddr>,
    /// What became of fetching what the request needs from upstream, once that was tried.
    pub(super) settled: Option<&'a Settled>,
}

impl Registry<'_> {
    /// The client's request as the core takes it.
    fn request(&self) -> Request<'_> {
        Request {
            local: self.local,
            requester: Some(self.requester()),
            now: time::now(),
            settled: self.settled,
        }
    }

    fn requester(&self) -> Requester<'_> {
        Requester { principal: &self.who.principal, source: self.source }
    }

    /// Refuses an action that policies do not let the client carry out. Public repositories can be read by everybody.
    pub(crate) fn authorize(&self, repository: &RepositoryRef, action: &str) -> Result<(), Fault> {
        if repository.is_public() && READING.contains(&action) {
            return Ok(());
        }
        self.authorize_action(&repository.scope, Some(&repository.name), action)
    }

    fn authorize_action(&self, scope: &Scope, repository: Option<&str>, action: &str) -> Result<(), Fault> {
        let requester = self.requester();
        self.local.authorize(&AuthorizationRequest { requester, action, scope, repository, tags: &[] })
    }

    /// The answer to a pull. One that needs something from upstream is refused unless the client may have that fetched.
    fn pulled<T>(&self, repository: &RepositoryRef, found: Result<T, Fault>) -> Result<T, Refusal> {
        if let Err(Fault { need: Some(_), .. }) = &found {
            self.authorize(repository, pull_through::ACTION)?;
        }
        Ok(found?)
    }
}
