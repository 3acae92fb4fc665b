//! Docker's registry API on the same store: what the OCI distribution specification calls blobs, manifests, tags and
//! referrers, as one client may see and change them. HTTP is `server::docker`'s affair.
//!
//! Whatever Amazon ECR's API can do goes through [`Local::answer`], so that its rules hold here too: tag mutability,
//! limits, what follows a push. Only what that API lacks is done here.

mod access;
mod blobs;
mod creation;
mod manifests;
mod place;
mod refusal;
mod sessions;
mod tags;

use std::net::IpAddr;

use serde_json::Value;

use super::authorization::{AuthorizationRequest, Requester};
use super::call::Scope;
use super::upstream::Settled;
use super::{Caller, Fault, Local};
use crate::model::{self, Service};

pub(super) use access::{ANONYMOUS, Identity, password};
pub(super) use blobs::Mounted;
pub(super) use manifests::{Found, Push};
pub(super) use place::Place;
pub(super) use refusal::Refusal;
pub(super) use sessions::Session;
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
    pub(super) who: Identity,
    /// `HOST:PORT` as the client reached us.
    pub(super) address: &'a str,
    /// Where it comes from.
    pub(super) source: Option<IpAddr>,
    /// What became of fetching what the request needs from upstream, once that was tried.
    pub(super) settled: Option<Settled>,
    /// Whether this is the service's own doing, which no policy is asked about.
    pub(super) is_service: bool,
}

impl<'a> Registry<'a> {
    /// The same after what the request needs was fetched, or was not to be had.
    pub(super) fn after(&self, settled: Settled) -> Registry<'a> {
        let Self { local, rules, who, address, source, .. } = self;
        Registry {
            local,
            rules,
            who: who.clone(),
            address,
            source: *source,
            settled: Some(settled),
            is_service: false,
        }
    }

    /// Asks Amazon ECR's API about a place.
    fn call(&self, place: &Place, operation: &str, input: Value) -> Result<Value, Fault> {
        let settled = self.settled.as_ref();
        self.local.answer_settled(&self.caller(place), service(place), operation, input, settled)
    }

    /// The same for what the service does of itself, whatever the client may do.
    fn call_own(&self, place: &Place, operation: &str, input: Value) -> Result<Value, Fault> {
        self.local.answer_own(&self.caller(place), service(place), operation, input)
    }

    /// The client as a caller of that API, with the place's registry for its own.
    fn caller(&self, place: &Place) -> Caller {
        Caller {
            account: place.scope.account.clone(),
            region: place.scope.region.clone(),
            address: Some(self.address.to_owned()),
            principal: self.who.principal.clone(),
            source: self.source,
        }
    }

    /// Refuses an action that policies do not let the client carry out. Public repositories can be read by everybody.
    pub(crate) fn authorize(&self, place: &Place, action: &str) -> Result<(), Fault> {
        if self.is_service || place.scope.service == "ecr-public" && READING.contains(&action) {
            return Ok(());
        }
        self.authorize_action(&place.scope, Some(&place.name), action)
    }

    fn authorize_action(&self, scope: &Scope, repository: Option<&str>, action: &str) -> Result<(), Fault> {
        let requester = Requester { principal: &self.who.principal, source: self.source };
        self.local.authorize(&AuthorizationRequest { requester, action, scope, repository, tags: &[] })
    }
}

fn service(place: &Place) -> &'static Service {
    if place.scope.service == "ecr-public" { model::ecr_public() } else { model::ecr() }
}
