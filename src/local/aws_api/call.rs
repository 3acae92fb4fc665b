//! Request to a handler.

use bytes::Bytes;
use rusqlite::{Connection, Transaction};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::local::aws_api::error::ApiError;
use crate::local::core::authorization::Requester;
use crate::local::core::caller::Caller;
use crate::local::core::local::{DEFAULT_ADDRESS, Local};
use crate::local::core::registry_id::{RepositoryRef, Scope, alias};
use crate::local::core::repository::is_account;
use crate::local::core::request::Request;
use crate::local::core::upstream::FetchResults;
use crate::local::store::database::Durability;
use crate::model::{Operation, Service};

/// Function that answers the requests of one operation.
pub(in crate::local) type Handler = fn(&Call<'_>) -> Result<Value, ApiError>;

/// Validated request, with its context.
pub(in crate::local) struct Call<'a> {
    /// The store.
    pub(in crate::local) local: &'a Local,
    /// Caller of the operation.
    pub(in crate::local) caller: &'a Caller,
    /// Service of the request.
    pub(in crate::local) service: &'static Service,
    /// Operation of the request.
    pub(in crate::local) operation: &'static Operation,
    /// The input, checked against the model.
    pub(in crate::local) input: Map<String, Value>,
    /// The blob member of the input.
    pub(in crate::local) blob: Option<Bytes>,
    /// Time of the request, in milliseconds since 1970.
    pub(in crate::local) now: i64,
    /// Results of fetching the request's images from upstream, once that was tried.
    pub(in crate::local) fetch_results: Option<&'a FetchResults>,
}

impl Call<'_> {
    /// A string of the input; the empty string where a required one is absent cannot happen, validation saw to it.
    pub(in crate::local) fn required(&self, member: &str) -> &str {
        self.text(member).unwrap_or_default()
    }

    /// A string of the input.
    pub(in crate::local) fn text(&self, member: &str) -> Option<&str> {
        self.input.get(member).and_then(Value::as_str)
    }

    /// An integer of the input.
    pub(in crate::local) fn integer(&self, member: &str) -> Option<i64> {
        self.input.get(member).and_then(Value::as_i64)
    }

    /// A boolean of the input; false where it is absent.
    pub(in crate::local) fn flag(&self, member: &str) -> bool {
        self.input.get(member).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A list of the input; `None` where it is absent.
    pub(in crate::local) fn list(&self, member: &str) -> Option<&[Value]> {
        self.input.get(member).and_then(Value::as_array).map(Vec::as_slice)
    }

    /// A list of strings of the input; empty where it is absent.
    pub(in crate::local) fn texts(&self, member: &str) -> Vec<&str> {
        self.list(member).unwrap_or_default().iter().filter_map(Value::as_str).collect()
    }

    /// A structure of the input.
    pub(in crate::local) fn structure(&self, member: &str) -> Option<&Map<String, Value>> {
        self.input.get(member).and_then(Value::as_object)
    }

    /// A member of the input as a type of the core; `None` where it is absent.
    pub(in crate::local) fn typed<T: DeserializeOwned>(&self, member: &str) -> Result<Option<T>, ApiError> {
        let value = self.input.get(member).filter(|value| !value.is_null());
        let wrong =
            |error| ApiError::new("SerializationException", format!("{member} cannot be read: {error}"));
        value.map(T::deserialize).transpose().map_err(wrong)
    }

    /// A string inside a structure of the input.
    pub(in crate::local) fn text_within(&self, structure: &str, member: &str) -> Option<&str> {
        self.structure(structure)?.get(member)?.as_str()
    }

    /// Returns whether the request is to the public registry.
    pub(in crate::local) fn is_public(&self) -> bool {
        self.service.name == "ecr-public"
    }

    /// The request as the core takes it.
    pub(in crate::local) fn request(&self) -> Request<'_> {
        let requester = Some(Requester::from(self.caller));
        Request { local: self.local, requester, now: self.now, fetch_results: self.fetch_results }
    }

    /// Returns the repository that the request names, which need not exist.
    pub(in crate::local) fn repository(&self) -> Result<RepositoryRef, ApiError> {
        let scope = self.scope();
        if self.is_public() && !is_account(&scope.account) {
            return Err(ApiError::new(
                "RegistryNotFoundException",
                format!("The registry with id or alias '{}' does not exist", scope.account),
            ));
        }
        Ok(RepositoryRef { scope, name: self.required("repositoryName").to_owned() })
    }

    /// The registry that the request is about: `registryId`'s where it is given, else the caller's.
    ///
    /// Unless policies are enforced (`authorization`), another account's repository is as open as one's own.
    pub(in crate::local) fn scope(&self) -> Scope {
        self.scope_of(self.text("registryId").unwrap_or(&self.caller.account))
    }

    /// The registry of an account. Public registries are the same from everywhere; their home is us-east-1.
    pub(in crate::local) fn scope_of(&self, account: &str) -> Scope {
        let region = if self.is_public() { "us-east-1" } else { &self.caller.region };
        let own_alias = self.is_public() && account == alias(&self.caller.account);
        let account = if own_alias { &self.caller.account } else { account };
        Scope { service: self.service.name, account: account.to_owned(), region: region.to_owned() }
    }

    /// Reads from the database on one snapshot.
    pub(in crate::local) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        self.local.store.database.read(work)
    }

    /// Changes the database in one transaction; with the durability of the store.
    pub(in crate::local) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        self.local.store.database.write(Durability::Flushed, work)
    }

    /// Like [`Call::write`], for deletions, which must work on a full disk too.
    pub(in crate::local) fn free<T>(
        &self,
        work: impl Fn(&Transaction<'_>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        self.local.store.database.free(work)
    }

    /// `HOST:PORT` at which this store's registry is reached: as the client reached us, else where a server runs on
    /// this folder, else where one would.
    pub(in crate::local) fn address(&self) -> String {
        let known = self.caller.address.clone().or_else(|| self.local.server_address());
        known.unwrap_or_else(|| DEFAULT_ADDRESS.to_owned())
    }
}
