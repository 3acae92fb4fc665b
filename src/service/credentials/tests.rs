//! Places of credentials, each from an environment and a home of the test's own. Texts recorded from AWS CLI 2.38.1
//! (contract 1.2).

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::super::Client;
use super::super::stub::{Reply, Stub};
use super::super::tests::{run, with_globals};
use crate::model;
use crate::settings::{Globals, Settings};

const NOWHERE: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "-"), ("AWS_SECRET_ACCESS_KEY", "-")];

fn home(configuration: &str, credentials: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    std::fs::write(home.path().join(".aws/config"), configuration).unwrap();
    std::fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
    home
}

fn settings(home: &Path, globals: Globals, variables: &[(&str, &str)]) -> Settings {
    let home = home.to_str().unwrap();
    with_globals(globals, &[&NOWHERE[..], &[("HOME", home)], variables].concat())
}

/// Who signed a request, or why nobody did.
fn signer(home: &Path, globals: Globals, variables: &[(&str, &str)]) -> String {
    let stub = Stub::new([Reply::Body(200, "{}")]);
    let globals = Globals { endpoint_url: Some(stub.url()), ..globals };
    let client = Client::remote(model::ecr(), &settings(home, globals, variables));
    if let Err(error) = run(client.call("DescribeRepositories", json!({}))) {
        return error.to_string();
    }
    let seen = stub.seen().remove(0);
    let header = seen.header("authorization").unwrap();
    header.split_once("Credential=").unwrap().1.split('/').next().unwrap().to_owned()
}

fn of_profile(configuration: &str, credentials: &str) -> String {
    signer(home(configuration, credentials).path(), Globals::default(), &[])
}

#[test]
fn places_have_an_order() {
    let configuration = "[default]\naws_access_key_id=CONFIG\naws_secret_access_key=s\n[profile p]\ncredential_process=echo '{\"Version\":1,\"AccessKeyId\":\"PROCESS\",\"SecretAccessKey\":\"s\"}'\naws_access_key_id=OTHER\naws_secret_access_key=s\n";
    let both = home(configuration, "[default]\naws_access_key_id=FILE\naws_secret_access_key=s\n");
    let environment = [("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let profile = |name: &str| Globals { profile: Some(name.to_owned()), ..Globals::default() };
    assert_eq!(signer(both.path(), Globals::default(), &environment), "ENV");
    assert_eq!(signer(both.path(), profile("default"), &environment), "FILE");
    assert_eq!(signer(both.path(), profile("p"), &environment), "PROCESS");
    assert_eq!(signer(both.path(), Globals::default(), &[("AWS_PROFILE", "p")]), "PROCESS");
    assert_eq!(
        signer(both.path(), profile("nope"), &environment),
        "The config profile (nope) could not be found"
    );
    assert_eq!(signer(home(configuration, "").path(), Globals::default(), &[]), "CONFIG");
}

#[test]
fn what_is_configured_wrongly_is_told() {
    let cases = [
        (
            "[default]\naws_access_key_id=A\n",
            "Partial credentials found in config-file, missing: aws_secret_access_key",
        ),
        (
            "[default]\nrole_arn=r\n",
            "Partial credentials found in assume-role, missing: source_profile or credential_source",
        ),
        (
            "[default]\nrole_arn=r\nsource_profile=x\n",
            "The source_profile \"x\" referenced in the profile \"default\" does not exist.",
        ),
        (
            "[default]\nrole_arn=r\ncredential_source=Bogus\n",
            "The credential source \"Bogus\" referenced in profile \"default\" is not valid.",
        ),
        (
            "[default]\nrole_arn=r\nsource_profile=b\n[profile b]\nrole_arn=r\nsource_profile=default\n",
            "Infinite loop in credential configuration detected. Attempting to load from profile default which has already been visited. Visited profiles: ['default', 'b']",
        ),
        (
            "[default]\ncredential_process=sh -c 'echo no >&2; exit 1'\n",
            "Error when retrieving credentials from custom-process: no\n",
        ),
        (
            "[default]\nsso_account_id=1\nsso_start_url=u\nsso_region=r\n",
            "The profile \"default\" is configured to use SSO but is missing required configuration: sso_role_name",
        ),
        (
            "[default]\nsso_account_id=1\nsso_role_name=r\nsso_session=nope\n",
            "The specified sso-session does not exist: \"nope\"",
        ),
        (
            "[default]\nsso_account_id=1\nsso_role_name=r\nsso_session=s\n[sso-session s]\nsso_start_url=u\nsso_region=r\n",
            "Error loading SSO Token: Token for s does not exist",
        ),
        (
            "[default]\nlogin_session=arn:x\n",
            "Error loading login session token: Unable to load a existing login session for session arn:x, Please reauthenticate with 'aws login'.",
        ),
    ];
    for (configuration, words) in cases {
        assert_eq!(of_profile(configuration, ""), words);
    }
}

const ISSUED: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials><AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";

#[test]
fn a_role_is_assumed_once_and_kept_where_aws_cli_keeps_it() {
    let home = home(
        "[default]\nrole_arn=arn:aws:iam::1:role/r\nexternal_id=é\nsource_profile=s\n[profile s]\naws_access_key_id=SOURCE\naws_secret_access_key=s\n",
        "",
    );
    let service = Stub::new([Reply::Body(200, ISSUED)]);
    let variables = [("AWS_ENDPOINT_URL_STS", service.url())];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(signer(home.path(), Globals::default(), &variables), "ROLE");
    assert_eq!(signer(home.path(), Globals::default(), &variables), "ROLE");
    assert_eq!(service.seen().len(), 1, "the second command finds the first one's credentials");
    assert!(service.seen()[0].header("authorization").unwrap().contains("Credential=SOURCE/"));
    assert!(service.seen()[0].text().contains("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"));
    // sha1 of `{"ExternalId": "\u00e9", "RoleArn": "arn:aws:iam::1:role/r"}`, as AWS CLI names it.
    let kept = home.path().join(".aws/cli/cache/9c9e93d5cffd75631c8a44be2602e5a51f19ae34.json");
    let kept = std::fs::read_to_string(kept).unwrap();
    assert_eq!(
        kept,
        r#"{"Credentials":{"AccessKeyId":"ROLE","SecretAccessKey":"s","SessionToken":"t","Expiration":"2999-01-01T00:00:00UTC"}}"#
    );
}

#[test]
fn a_role_that_is_denied_is_a_services_no() {
    let home = home(
        "[default]\nrole_arn=r\nsource_profile=default\naws_access_key_id=A\naws_secret_access_key=s\nmfa_serial=m\n",
        "",
    );
    let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>";
    let service = Stub::new([Reply::Body(403, denied)]);
    let target = Stub::new([Reply::Body(200, "{}")]);
    let url = service.url();
    let globals = Globals { endpoint_url: Some(target.url()), ..Globals::default() };
    let settings = settings(home.path(), globals, &[("AWS_ENDPOINT_URL_STS", &url)]);
    let prompt = std::sync::Arc::new(|question: &str| {
        assert_eq!(question, "Enter MFA code for m: ");
        Ok("123456\n".to_owned())
    });
    let client = Client::remote_with_prompt(model::ecr(), &settings, prompt);
    let error = run(client.call("DescribeRepositories", json!({}))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "An error occurred (AccessDenied) when calling the AssumeRole operation: not you"
    );
    assert!(service.seen()[0].text().contains("TokenCode=123456"));
}

#[test]
fn a_web_identity_is_exchanged() {
    let home = home("", "");
    let token = home.path().join("token");
    std::fs::write(&token, "jwt").unwrap();
    let service = Stub::new([Reply::Body(200, concat_issued())]);
    let url = service.url();
    let variables = [
        ("AWS_ENDPOINT_URL_STS", url.as_str()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:r"),
    ];
    assert_eq!(signer(home.path(), Globals::default(), &variables), "ROLE");
    assert!(service.seen()[0].text().contains("WebIdentityToken=jwt"));
    assert_eq!(service.seen()[0].header("authorization"), None);
}

fn concat_issued() -> &'static str {
    "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
}

#[test]
fn the_machine_is_asked_last() {
    let home = home("", "");
    let metadata = Stub::new([
        Reply::With(200, ("x-aws-ec2-metadata-token-ttl-seconds", "60"), "token"),
        Reply::Body(200, "us-west-2"),
        Reply::Body(404, ""),
        Reply::Body(404, ""),
    ]);
    let url = metadata.url();
    let variables = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "-"),
        ("AWS_REGION", "-"),
    ];
    let words = signer(home.path(), Globals::default(), &variables);
    assert_eq!(
        words,
        "Unable to locate credentials. You can configure credentials by running \"aws login\"."
    );
    assert!(metadata.seen().len() >= 3, "{:?}", metadata.seen());
    assert_eq!(metadata.seen()[1].line, "GET /latest/meta-data/placement/region HTTP/1.1");
}
