//! One request of Amazon ECR's or Amazon ECR Public's API: checked against the model, authorized, answered.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::{operations, validate};
use crate::local::core::caller::Caller;
use crate::local::core::local::Local;
use crate::local::core::upstream::FetchResults;
use crate::local::pull_through::{self, NeedsUpstream as _};
use crate::local::store::time;
use crate::model::Service;

/// A request of Amazon ECR's or Amazon ECR Public's API before it is checked.
#[derive(Debug, Clone)]
pub(in crate::local) struct ApiRequest<'a> {
    pub(in crate::local) caller: &'a Caller,
    pub(in crate::local) service: &'static Service,
    /// The operation's name.
    pub(in crate::local) operation: &'a str,
    pub(in crate::local) input: Value,
    /// The input's blob member, unless it is within the input as base64.
    pub(in crate::local) blob: Option<Bytes>,
}

impl Local {
    /// Answers one request. The input's blob member comes in `blob`, or as base64 within the input. What the store lacks
    /// and a registry upstream has is not fetched; [`Local::answer_through`] does that.
    pub fn answer(
        &self,
        caller: &Caller,
        service: &'static Service,
        operation: &str,
        input: Value,
        blob: Option<Bytes>,
    ) -> Result<Value, ApiError> {
        self.answer_request(ApiRequest { caller, service, operation, input, blob }, None)
    }

    /// Like [`Local::answer`], after fetching what the request needs from upstream, which may take as long as a pull.
    pub fn answer_through(
        self: &Arc<Self>,
        caller: &Caller,
        service: &'static Service,
        operation: &str,
        input: Value,
        blob: Option<Bytes>,
    ) -> Result<Value, ApiError> {
        let request = ApiRequest { caller, service, operation, input, blob };
        if !may_need(operation) {
            return self.answer_request(request, None);
        }
        let attempt = |fetch_results: Option<FetchResults>| {
            self.answer_request(request.clone(), fetch_results.as_ref())
        };
        pull_through::with_upstream_blocking(self, attempt)
    }

    /// Answers one request; `fetch_results` is the result of fetching images from upstream, once that was tried.
    /// Without, the error of one that needs something says what.
    pub(in crate::local) fn answer_request(
        &self,
        request: ApiRequest<'_>,
        fetch_results: Option<&FetchResults>,
    ) -> Result<Value, ApiError> {
        let unknown = |message: String| ApiError::new("UnknownOperationException", message);
        let ApiRequest { caller, service, operation, input, blob } = request;
        let operation = service
            .operation(operation)
            .ok_or_else(|| unknown(format!("{} has no operation {operation}", service.full_name)))?;
        let handler = operations::handler(service, operation.name).ok_or_else(|| {
            unknown(format!("the embedded ECR does not have {} of {}", operation.name, service.name))
        })?;
        let mut input = match input {
            Value::Object(members) => members,
            Value::Null => Map::new(),
            _ => return Err(ApiError::new("SerializationException", "the input is not a structure")),
        };
        let member = blob_member(service, operation);
        let blob = match (blob, member) {
            (None, Some(member)) => decode_blob(&mut input, member)?,
            (blob, _) => blob,
        };
        let beside = member.zip(blob.as_ref().map(Bytes::len));
        validate::check(service, operation, &input, beside)?;
        let now = time::now();
        let call = Call { local: self, caller, service, operation, input, blob, now, fetch_results };
        self.authorize_call(&call)?;
        let answer = match handler(&call) {
            Ok(answer) => answer,
            Err(mut error) => match error.take_need() {
                Some(need) => {
                    debug_assert!(may_need(operation.name), "{} is missing from `may_need`", operation.name);
                    return Err(self.upstream_refusal(caller, need)?);
                }
                None => return Err(error),
            },
        };
        Ok(match service.output(operation) {
            Some(shape) => validate::project(service, shape, answer),
            None => answer,
        })
    }
}

/// The member of an operation's input that is a blob; at most one is, and only on the first level.
pub(in crate::local) fn blob_member(
    service: &'static Service,
    operation: &crate::model::Operation,
) -> Option<&'static str> {
    let members = &service.input(operation)?.members;
    members
        .iter()
        .find(|(_, name)| service.shape(name).kind == crate::model::Kind::Blob)
        .map(|(member, _)| *member)
}

fn decode_blob(input: &mut Map<String, Value>, member: &str) -> Result<Option<Bytes>, ApiError> {
    let Some(Value::String(text)) = input.get(member) else { return Ok(None) };
    let bytes = base64_simd::STANDARD
        .decode_to_vec(text.as_bytes())
        .map_err(|_| ApiError::new("SerializationException", format!("{member} is not base64 text")))?;
    input.remove(member);
    Ok(Some(bytes.into()))
}

/// Returns whether an operation may need an image from upstream. Of others nothing is fetched, and the request fails.
fn may_need(operation: &str) -> bool {
    matches!(
        operation,
        "BatchGetImage" | "GetDownloadUrlForLayer" | "ListImageReferrers" | "ValidatePullThroughCacheRule"
    )
}
