//! Calls against a scripted server. The texts were recorded from AWS CLI 2.38.1.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::test_server::{self, Reply};
use super::{Backend, Client, Error, Request, ServiceError};
use crate::harness::http::Server;
use crate::model;
use crate::settings::{Environment, Globals, Settings};

/// Creates a client with static credentials and one region.
pub(super) fn client(server: &Server, variables: &[(&str, &str)]) -> Client {
    Client::remote(model::ecr(), &settings(&server.url(), variables))
}

/// Settings of a client for `url`. A variable of the value `-` is taken out.
pub(super) fn settings(url: &str, variables: &[(&str, &str)]) -> Settings {
    let globals = Globals { endpoint_url: Some(url.to_owned()), ..Globals::default() };
    with_globals(globals, variables)
}

pub(super) fn with_globals(globals: Globals, variables: &[(&str, &str)]) -> Settings {
    let fixed = [
        ("HOME", "/nonexistent"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        // Repetitions after some 50 ms instead of a second.
        ("AWS_NEW_RETRIES_2026", "true"),
    ];
    let mut all: BTreeMap<_, _> = fixed.iter().chain(variables).copied().collect();
    all.retain(|_, value| *value != "-");
    Settings::with_environment(globals, Environment::given(all))
}

pub(super) fn run<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

fn refused(replies: impl Into<Vec<Reply>>, variables: &[(&str, &str)]) -> (String, usize) {
    let server = test_server::start(replies);
    let client = client(&server, variables);
    let call = client.call("DescribeRepositories", json!({}));
    (
        run(call).expect_err("the call fails").to_string().replace(&server.address, "ADDRESS"),
        server.requests().len(),
    )
}

#[test]
fn a_call_is_signed_and_its_answer_arranged() {
    let server = test_server::start([Reply::Body(
        200,
        r#"{"nextToken":"t","repositories":[{"unknown":1,"repositoryName":"é","createdAt":1.70E9,"registryId":null,"repositoryArn":"a"}]}"#,
    )]);
    let input = json!({"repositoryNames": ["aé"], "maxResults": 1});
    let answer =
        run(client(&server, &[("AWS_SESSION_TOKEN", "session")]).call("DescribeRepositories", input));
    assert_eq!(
        serde_json::to_string(&answer.unwrap()).unwrap(),
        r#"{"repositories":[{"repositoryArn":"a","repositoryName":"é","createdAt":1.70e+9}],"nextToken":"t"}"#
    );
    let seen = server.requests().remove(0);
    assert_eq!(seen.line(), "POST / HTTP/1.1");
    assert_eq!(seen.text(), r#"{"repositoryNames": ["a\u00e9"], "maxResults": 1}"#);
    let target = "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories";
    assert_eq!(seen.header("x-amz-target"), Some(target));
    assert_eq!(seen.header("content-type"), Some("application/x-amz-json-1.1"));
    assert_eq!(seen.header("amz-sdk-request"), Some("attempt=1"));
    assert_eq!(seen.header("x-amz-security-token"), Some("session"));
    let authorization = seen.header("authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"), "{authorization}");
    assert!(authorization.contains("/eu-west-1/ecr/aws4_request"), "{authorization}");
}

#[test]
fn an_unsigned_call_needs_no_credentials() {
    let server = test_server::start([Reply::Body(200, "<html>")]);
    let globals = Globals { endpoint_url: Some(server.url()), no_sign_request: true, ..Globals::default() };
    let settings = with_globals(globals, &[("AWS_ACCESS_KEY_ID", "-")]);
    let call = run(Client::remote(model::ecr(), &settings).call("DescribeRepositories", json!({})));
    assert_eq!(call.unwrap(), json!({}), "what is no JSON is an empty answer");
    assert_eq!(server.requests()[0].header("authorization"), None);
}

/// Uploads a layer part.
async fn with_blob(client: &Client, input: Value, blob: &'static str) -> Result<Value, Error> {
    let call = client.prepare("UploadLayerPart", input, "layerPartBlob", Bytes::from(blob))?;
    client.call_prepared(&call).await
}

#[test]
fn a_blob_is_written_last_and_in_base64() {
    let server = test_server::start([Reply::Body(200, r#"{"uploadId": "u"}"#)]);
    let input = json!({"repositoryName": "foo", "uploadId": "u", "partFirstByte": 0, "partLastByte": 4});
    let call = client(&server, &[]);
    let answer = run(with_blob(&call, input, "hello"));
    assert_eq!(answer.unwrap(), json!({"uploadId": "u"}));
    assert_eq!(
        server.requests()[0].text(),
        r#"{"repositoryName": "foo", "uploadId": "u", "partFirstByte": 0, "partLastByte": 4, "layerPartBlob": "aGVsbG8="}"#
    );
}

#[test]
fn a_refusal_has_the_message_of_the_aws_cli() {
    let prefix = "An error occurred (";
    let cases: [(Reply, &str); 9] = [
        (
            Reply::Body(400, r#"{"__type":"com.amazonaws#RepositoryNotFoundException:x","message":"no"}"#),
            "RepositoryNotFoundException) when calling the DescribeRepositories operation: no",
        ),
        (
            Reply::Body(400, r#"{"__type":"Some","Message":"capital"}"#),
            "Some) when calling the DescribeRepositories operation: capital",
        ),
        (Reply::Body(400, "{}"), "400) when calling the DescribeRepositories operation: "),
        (
            Reply::Body(400, r#"{"__type":"Some","message":null}"#),
            "Some) when calling the DescribeRepositories operation: None",
        ),
        (Reply::Body(404, "plain"), "404) when calling the DescribeRepositories operation: plain"),
        (Reply::Body(302, ""), "302) when calling the DescribeRepositories operation: "),
        (
            Reply::With(400, ("x-amzn-query-error", "Header;Sender"), r#"{"__type":"Body"}"#),
            "Header) when calling the DescribeRepositories operation: ",
        ),
        (
            Reply::With(400, ("x-amzn-query-error", "Header"), r#"{"__type":"Body"}"#),
            "Body) when calling the DescribeRepositories operation: ",
        ),
        (
            Reply::Body(501, "<html>x"),
            "501) when calling the DescribeRepositories operation: Not Implemented",
        ),
    ];
    for (reply, expected) in cases {
        assert_eq!(refused([reply], &[]), (format!("{prefix}{expected}"), 1));
    }
}

#[test]
fn temporary_failures_are_tried_three_times() {
    let limit = Reply::Body(400, r#"{"__type":"LimitExceededException","message":"limit"}"#);
    let words = "An error occurred (LimitExceededException) when calling the DescribeRepositories operation \
                 (reached max retries: 2): limit";
    assert_eq!(refused([limit], &[]), (words.to_owned(), 3));
    let words = "An error occurred (503) when calling the DescribeRepositories operation (reached max retries: 1): \
                 Service Unavailable";
    assert_eq!(refused([Reply::Body(503, "")], &[("AWS_MAX_ATTEMPTS", "2")]), (words.to_owned(), 2));
}

#[test]
fn the_limit_of_attempts_is_reported_whatever_the_error() {
    let reply = Reply::Body(400, r#"{"__type":"Some","message":"no"}"#);
    let words = "An error occurred (Some) when calling the DescribeRepositories operation (reached max retries: 0): no";
    assert_eq!(refused([reply], &[("AWS_MAX_ATTEMPTS", "1")]), (words.to_owned(), 1));
}

#[test]
fn a_repetition_can_succeed() {
    let server =
        test_server::start([Reply::Body(500, ""), Reply::HangUp, Reply::Body(200, r#"{"repositories":[]}"#)]);
    let answer = run(client(&server, &[]).call("DescribeRepositories", json!({})));
    assert_eq!(answer.unwrap(), json!({"repositories": []}));
    let counts: Vec<_> = server
        .requests()
        .iter()
        .filter_map(|seen| seen.header("amz-sdk-request").map(str::to_owned))
        .collect();
    assert_eq!(counts, ["attempt=1", "attempt=2; max=3", "attempt=3; max=3"]);
    assert!(server.requests().iter().all(|request| request.operation() == "DescribeRepositories"));
}

#[test]
fn a_lost_connection_is_reported() {
    let words =
        "Connection was closed before we received a valid response from endpoint URL: \"http://ADDRESS/\".";
    assert_eq!(refused([Reply::HangUp], &[]), (words.to_owned(), 3));
    assert_eq!(refused([Reply::Short], &[]), (words.to_owned(), 3));
}

#[test]
fn an_answer_beyond_the_limit_is_not_asked_for_again() {
    let larger = "The answer is larger than 33554432 bytes.".to_owned();
    for body in [" ", r#"{"repositories":["#, r#"{"repositoryName":"a"},"#, "x"] {
        assert_eq!(refused([Reply::Oversized(body)], &[]), (larger.clone(), 1), "{body}");
    }
}

#[test]
fn an_answer_of_too_many_values_is_reported() {
    let many: &'static str = format!(r#"{{"repositories":[{}{{}}]}}"#, "{},".repeat(400_000)).leak();
    let words = "The answer has more than 400000 values.".to_owned();
    assert_eq!(refused([Reply::Body(200, many)], &[]), (words, 1));
    // A text may have as many commas as it likes.
    let text: &'static str = format!(
        r#"{{"repositories":[{{"repositoryName":"{}\"{}"}}]}}"#,
        ",".repeat(400_000),
        "[".repeat(400_000)
    )
    .leak();
    let server = test_server::start([Reply::Body(200, text)]);
    assert!(run(client(&server, &[]).call("DescribeRepositories", json!({}))).is_ok());
}

/// Botocore's standard retry mode (`TransientRetryableChecker`): what the service does not do, it will not do later.
#[test]
fn only_temporary_refusals_are_retried() {
    for (status, requests) in [
        (400, 1),
        (401, 1),
        (403, 1),
        (404, 1),
        (405, 1),
        (409, 1),
        (413, 1),
        (429, 1),
        (501, 1),
        (505, 1),
        (507, 1),
        (500, 3),
        (502, 3),
        (503, 3),
        (504, 3),
    ] {
        assert_eq!(refused([Reply::Body(status, "{}")], &[]).1, requests, "{status}");
    }
}

fn transport_error(globals: Globals, variables: &[(&str, &str)]) -> String {
    let settings = with_globals(globals, &[variables, &[("AWS_MAX_ATTEMPTS", "1")]].concat());
    let call = run(Client::remote(model::ecr(), &settings).call("DescribeRepositories", json!({})));
    call.expect_err("the call fails").to_string()
}

#[test]
fn an_unreachable_endpoint_is_reported() {
    let at = |url: &str| Globals { endpoint_url: Some(url.to_owned()), ..Globals::default() };
    assert_eq!(
        transport_error(at("HTTP://127.0.0.1:1"), &[]),
        r#"Could not connect to the endpoint URL: "http://127.0.0.1:1/""#
    );
    assert_eq!(
        transport_error(at("http://127.0.0.1:1?x=1"), &[]),
        r#"Could not connect to the endpoint URL: "http://127.0.0.1:1/?x=1""#
    );
    assert_eq!(
        transport_error(at("http://example.invalid"), &[("http_proxy", "127.0.0.1:1")]),
        r#"Failed to connect to proxy URL: "http://127.0.0.1:1""#
    );
    assert_eq!(
        transport_error(at("https://example.invalid"), &[("HTTPS_PROXY", "http://127.0.0.1:1")]),
        r#"Failed to connect to proxy URL: "http://127.0.0.1:1""#
    );
    for bad in ["http://", "foo", "http://a_b.localhost:1/"] {
        assert_eq!(transport_error(at(bad), &[]), format!("Invalid endpoint: {bad}"));
    }
    assert_eq!(
        transport_error(at("ftp://x"), &[]),
        "An HTTP Client raised an unhandled exception: Not supported URL scheme ftp"
    );
    assert_eq!(
        transport_error(at("https://127.0.0.1:1"), &[("AWS_CA_BUNDLE", "/nonexistent/bundle")]),
        "SSL validation failed for https://127.0.0.1:1/ [Errno 2] No such file or directory"
    );
}

#[test]
fn a_silent_server_is_reported() {
    let server = test_server::start([Reply::Silence]);
    let globals = Globals { endpoint_url: Some(server.url()), read_timeout: Some(1), ..Globals::default() };
    let words = transport_error(globals, &[]).replace(&server.address, "ADDRESS");
    assert_eq!(words, r#"Read timeout on endpoint URL: "http://ADDRESS/""#);
}

#[test]
fn a_forward_proxy_gets_the_whole_url() {
    let server = test_server::start([Reply::Body(200, "{}")]);
    let settings = settings(
        "http://ecr.example.invalid:81",
        &[("http_proxy", &format!("http://u:p@{}", server.address))],
    );
    run(Client::remote(model::ecr(), &settings).call("DescribeRepositories", json!({}))).unwrap();
    let seen = server.requests().remove(0);
    assert_eq!(seen.line(), "POST http://ecr.example.invalid:81/ HTTP/1.1");
    assert_eq!(seen.header("proxy-authorization"), Some("Basic dTpw"));
    assert_eq!(seen.header("host"), Some("ecr.example.invalid:81"));
}

#[test]
fn the_first_error_is_reported_first() {
    let words = |variables: &[(&str, &str)], input: Value| {
        let globals = Globals::default();
        let settings = with_globals(globals, variables);
        let call = run(Client::remote(model::ecr(), &settings).call("DescribeRepositories", input));
        call.expect_err("the call fails").to_string()
    };
    let bad = || json!({"maxResults": 0});
    let no_region = ("AWS_REGION", "-");
    let no_key = ("AWS_ACCESS_KEY_ID", "-");
    let no_secret = ("AWS_SECRET_ACCESS_KEY", "-");
    assert_eq!(
        words(&[no_region, no_secret], bad()),
        "Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY"
    );
    assert_eq!(
        words(&[no_region, no_key], bad()),
        "You must specify a region. You can also configure your region by running \"aws configure\"."
    );
    assert_eq!(
        words(&[no_key], bad()),
        "Parameter validation failed:\nInvalid value for parameter maxResults, value: 0, valid min value: 1"
    );
    assert_eq!(
        words(&[no_key], json!({})),
        "Unable to locate credentials. You can configure credentials by running \"aws login\"."
    );
    assert_eq!(words(&[("AWS_REGION", "")], json!({})), "Invalid endpoint: https://api.ecr..amazonaws.com");
    assert_eq!(words(&[("AWS_MAX_ATTEMPTS", "x")], bad()), "invalid literal for int() with base 10: 'x'");
}

/// Records requests and gives the scripted answer.
struct Scripted(Mutex<Vec<Value>>, Result<Value, ServiceError>);

impl Backend for Scripted {
    fn answer(&self, request: Request) -> Result<Value, ServiceError> {
        self.0.lock().expect("tests do not panic with the lock").push(request.input);
        self.1.clone()
    }
}

#[test]
fn a_backend_in_this_process_is_called_the_same_way() {
    let members = json!({"message": "m", "lastValidByteReceived": 42, "registryId": "1", "other": 1});
    let Value::Object(members) = members else { unreachable!("it is an object") };
    let refusal = ServiceError {
        code: "InvalidLayerPartException".to_owned(),
        message: "m".to_owned(),
        members,
        status: 400,
    };
    let backend = Arc::new(Scripted(Mutex::default(), Err(refusal)));
    let client = Client::in_process(model::ecr(), Arc::clone(&backend) as Arc<dyn Backend>);
    let input = json!({"repositoryName": "foo", "uploadId": "u", "partFirstByte": 0, "partLastByte": 0});
    let call = with_blob(&client, input.clone(), "a");
    let Err(Error::Refused(refused)) = run(call) else { panic!("the backend says no") };
    assert_eq!(
        serde_json::to_string(&refused.refusal.members).unwrap(),
        r#"{"registryId":"1","lastValidByteReceived":42,"message":"m"}"#
    );
    assert_eq!(
        refused.to_string(),
        "An error occurred (InvalidLayerPartException) when calling the UploadLayerPart operation: m"
    );
    assert_eq!(*backend.0.lock().unwrap(), [input]);
    let invalid = run(client.call("DescribeImages", Value::Object(Map::new()))).unwrap_err().to_string();
    assert_eq!(
        invalid,
        "Parameter validation failed:\nMissing required parameter in input: \"repositoryName\""
    );
}

#[test]
fn endpoints_follow_the_rules() {
    let url = |service: &'static model::Service, region: &str, fips: &str, dualstack: &str| {
        let variables = [("AWS_USE_FIPS_ENDPOINT", fips), ("AWS_USE_DUALSTACK_ENDPOINT", dualstack)];
        let settings = with_globals(Globals::default(), &variables);
        let target = super::endpoint::resolve(service, &settings, None, region.to_owned());
        run(target).map_or_else(|error| error.to_string(), |target| target.url())
    };
    let (private, public) = (model::ecr(), model::ecr_public());
    assert_eq!(url(private, "us-east-1", "", ""), "https://api.ecr.us-east-1.amazonaws.com/");
    assert_eq!(url(private, "us-east-1", "true", ""), "https://api.ecr-fips.us-east-1.amazonaws.com/");
    assert_eq!(url(private, "us-east-1", "", "TRUE"), "https://ecr.us-east-1.api.aws/");
    assert_eq!(url(private, "us-east-1", "true", "true"), "https://ecr-fips.us-east-1.api.aws/");
    assert_eq!(
        url(private, "fips-us-gov-west-1", "", ""),
        "https://api.ecr-fips.us-gov-west-1.amazonaws.com/"
    );
    assert_eq!(url(private, "cn-north-1", "", ""), "https://api.ecr.cn-north-1.amazonaws.com.cn/");
    assert_eq!(url(private, "moon-1", "", ""), "https://api.ecr.moon-1.amazonaws.com/");
    assert_eq!(url(public, "eu-west-1", "", ""), "https://api.ecr-public.eu-west-1.amazonaws.com/");
    assert_eq!(url(public, "us-east-1", "", "true"), "https://ecr-public.us-east-1.api.aws/");
    assert_eq!(url(public, "us-east-1", "true", ""), "https://api.ecr-public-fips.us-east-1.amazonaws.com/");
}

#[test]
fn an_endpoints_path_stays_as_it_is() {
    let server = test_server::start([Reply::Body(200, "{}")]);
    let settings = settings(&format!("{}/base/path", server.url()), &[]);
    run(Client::remote(model::ecr(), &settings).call("DescribeRepositories", json!({}))).unwrap();
    assert_eq!(server.requests()[0].line(), "POST /base/path HTTP/1.1");
}
