//! Requests of services that this server is not, answered in the form that their clients understand.

use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde_json::json;

use super::response;
use super::sts;
use crate::local::http::auth::authorization::Authorization;
use crate::local::http::response::AWS_JSON;
use crate::local::http::response::Body;
use crate::local::http::xml::elements;

const CODE: &str = "UnknownOperationException";

/// Description of this server, in one sentence.
pub(super) fn words(headers: &HeaderMap) -> String {
    let told = Authorization::of(headers).ok().flatten().map(|given| given.service);
    let asked = told.map(|service| format!("{service} was asked; ")).unwrap_or_default();
    format!(
        "{asked}this server is ecr local, which has Amazon ECR, Amazon ECR Public and of AWS STS GetCallerIdentity, \
         AssumeRole, AssumeRoleWithWebIdentity and GetSessionToken: set AWS_ENDPOINT_URL_ECR, \
         AWS_ENDPOINT_URL_ECR_PUBLIC and AWS_ENDPOINT_URL_STS instead of AWS_ENDPOINT_URL to reach other services"
    )
}

/// Answers a request of a query protocol.
pub(super) fn query(headers: &HeaderMap) -> Response<Body> {
    let text = words(headers);
    let is_ec2 = matches!(Authorization::of(headers), Ok(Some(given)) if given.service == "ec2");
    let body = if is_ec2 {
        let error = elements(&[("Code", "InvalidAction"), ("Message", &text)]);
        let id = uuid::Uuid::new_v4();
        format!("<Response><Errors><Error>{error}</Error></Errors><RequestID>{id}</RequestID></Response>")
    } else {
        format!("<ErrorResponse>{}</ErrorResponse>", sts::error_document(400, "InvalidAction", &text))
    };
    response::plain(StatusCode::BAD_REQUEST, "text/xml", response::whole(body))
}

/// Answers a request for a path that means nothing here: of S3 in its XML, of others as REST services do in JSON.
pub(super) fn rest(head: &Parts) -> Response<Body> {
    let given = Authorization::of(&head.headers).ok().flatten();
    let Some(given) = given else {
        let text = "nothing is here; the ECR API is POST /, and GET /healthz tells that it is ready";
        return response::json(StatusCode::NOT_FOUND, "application/json", &json!({ "message": text }));
    };
    let text = words(&head.headers);
    if given.service == "s3" {
        let error = elements(&[("Code", "NotImplemented"), ("Message", &text)]);
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>{error}</Error>");
        return response::plain(StatusCode::NOT_IMPLEMENTED, "application/xml", response::whole(body));
    }
    let body = json!({ "__type": CODE, "message": text });
    let mut response = response::json(StatusCode::NOT_FOUND, AWS_JSON, &body);
    response.headers_mut().insert("x-amzn-errortype", hyper::header::HeaderValue::from_static(CODE));
    response
}
