//! Calls against a scripted server. The texts were recorded from AWS CLI 2.38.1 (contract 5).

use std::time::Instant;

use bytes::Bytes;
use serde_json::{Value, json};

use super::stub::{Reply, Stub};
use super::{Client, Error};
use crate::model;
use crate::settings::{Environment, Globals, Settings};

/// The client of a test: static credentials, one region, and what else a test says.
pub(super) fn client(stub: &Stub, variables: &[(&str, &str)]) -> Client {
    Client::remote(model::ecr(), &settings(&stub.url(), variables))
}

pub(super) fn settings(url: &str, variables: &[(&str, &str)]) -> Settings {
    let globals = Globals { endpoint_url: Some(url.to_owned()), ..Globals::default() };
    let fixed = [
        ("HOME", "/nonexistent"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let all = fixed.iter().chain(variables).filter(|(_, value)| *value != "-").copied();
    let all: std::collections::BTreeMap<_, _> = all.collect();
    Settings::with_environment(globals, Environment::given(all))
}

pub(super) fn run<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

fn refused(stub: &Stub, variables: &[(&str, &str)], operation: &str, input: Value) -> String {
    run(client(stub, variables).call(operation, input)).expect_err("the service says no").to_string()
}

#[test]
fn a_call_is_signed_and_its_answer_arranged() {
    let stub = Stub::new([Reply::Body(
        200,
        r#"{"nextToken":"t","repositories":[{"unknown":1,"repositoryName":"é","createdAt":1.70E9,"registryId":null,"repositoryArn":"a"}]}"#,
    )]);
    let answer =
        run(client(&stub, &[])
            .call("DescribeRepositories", json!({"repositoryNames": ["aé"], "maxResults": 1})));
    assert_eq!(
        serde_json::to_string(&answer.unwrap()).unwrap(),
        r#"{"repositories":[{"repositoryArn":"a","repositoryName":"é","createdAt":1.70e+9}],"nextToken":"t"}"#
    );
    let seen = stub.seen().remove(0);
    assert_eq!(seen.line, "POST / HTTP/1.1");
    assert_eq!(seen.text(), r#"{"repositoryNames": ["a\u00e9"], "maxResults": 1}"#);
    assert_eq!(
        seen.header("x-amz-target"),
        Some("AmazonEC2ContainerRegistry_V20150921.DescribeRepositories")
    );
    assert_eq!(seen.header("content-type"), Some("application/x-amz-json-1.1"));
    let authorization = seen.header("authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"), "{authorization}");
    assert!(authorization.contains("/eu-west-1/ecr/aws4_request"), "{authorization}");
}
