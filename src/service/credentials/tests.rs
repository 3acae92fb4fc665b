//! Sources of credentials, each with an environment and a home of its own. Texts recorded from AWS CLI 2.38.1.

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::super::Client;
use super::super::test_server::{self, Reply};
use super::super::tests::{run, with_globals};
use crate::model;
use crate::settings::{Globals, Settings};

const NOWHERE: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "-"), ("AWS_SECRET_ACCESS_KEY", "-")];

pub(super) fn home(configuration: &str, credentials: &str) -> TempDir {
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

/// Returns the access key that signed a request, or the error.
pub(super) fn signer(home: &Path, globals: Globals, variables: &[(&str, &str)]) -> String {
    let server = test_server::start([Reply::Body(200, "{}")]);
    let globals = Globals { endpoint_url: Some(server.url()), ..globals };
    let client = Client::remote(model::ecr(), &settings(home, globals, variables));
    if let Err(error) = run(client.call("DescribeRepositories", json!({}))) {
        return error.to_string();
    }
    let seen = server.requests().remove(0);
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

/// Configurations that name no credentials, and what is said of them.
const CONFIGURED_WRONGLY: &[(&str, &str)] = &[
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

#[test]
fn wrong_configuration_is_reported() {
    for (configuration, words) in CONFIGURED_WRONGLY {
        assert_eq!(of_profile(configuration, ""), *words);
    }
}

const ISSUED: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials><AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";

#[test]
fn a_role_is_assumed_once_and_kept_where_aws_cli_keeps_it() {
    let home = home(
        "[default]\nrole_arn=arn:aws:iam::1:role/r\nexternal_id=é\nsource_profile=s\n[profile s]\naws_access_key_id=SOURCE\naws_secret_access_key=s\n",
        "",
    );
    let service = test_server::start([Reply::Body(200, ISSUED)]);
    let variables = [("AWS_ENDPOINT_URL_STS", service.url())];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(signer(home.path(), Globals::default(), &variables), "ROLE");
    assert_eq!(signer(home.path(), Globals::default(), &variables), "ROLE");
    assert_eq!(service.requests().len(), 1, "the second command finds the first one's credentials");
    assert!(service.requests()[0].header("authorization").unwrap().contains("Credential=SOURCE/"));
    assert!(service.requests()[0].text().contains("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"));
    // sha1 of `{"ExternalId": "\u00e9", "RoleArn": "arn:aws:iam::1:role/r"}`, as AWS CLI names it.
    let kept = home.path().join(".aws/cli/cache/9c9e93d5cffd75631c8a44be2602e5a51f19ae34.json");
    let kept = std::fs::read_to_string(kept).unwrap();
    assert_eq!(
        kept,
        r#"{"Credentials":{"AccessKeyId":"ROLE","SecretAccessKey":"s","SessionToken":"t","Expiration":"2999-01-01T00:00:00UTC"}}"#
    );
}

#[test]
fn a_denied_role_is_a_service_error() {
    let home = home(
        "[default]\nrole_arn=r\nsource_profile=default\naws_access_key_id=A\naws_secret_access_key=s\nmfa_serial=m\n",
        "",
    );
    let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>";
    let service = test_server::start([Reply::Body(403, denied)]);
    let target = test_server::start([Reply::Body(200, "{}")]);
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
    assert!(service.requests()[0].text().contains("TokenCode=123456"));
}

#[test]
fn a_web_identity_is_exchanged() {
    let home = home("", "");
    let token = home.path().join("token");
    std::fs::write(&token, "token").unwrap();
    let service = test_server::start([Reply::Body(200, TOKEN_EXCHANGED)]);
    let url = service.url();
    let variables = [
        ("AWS_ENDPOINT_URL_STS", url.as_str()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:r"),
    ];
    assert_eq!(signer(home.path(), Globals::default(), &variables), "ROLE");
    assert!(service.requests()[0].text().contains("WebIdentityToken=token"));
    assert_eq!(service.requests()[0].header("authorization"), None);
}

pub(super) const TOKEN_EXCHANGED: &str = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";

#[test]
fn the_machine_is_asked_last() {
    let home = home("", "");
    let metadata = test_server::start([
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
    assert!(metadata.requests().len() >= 3, "{:?}", metadata.requests());
    assert_eq!(metadata.requests()[1].line(), "GET /latest/meta-data/placement/region HTTP/1.1");
}

const ROLE: &str =
    r#"{"AccessKeyId":"IMDS","SecretAccessKey":"s","Token":"t","Expiration":"2999-01-01T00:00:00Z"}"#;

/// Recorded from AWS CLI 2.38.1 against the same answers.
#[test]
fn where_no_token_is_given_the_machine_is_asked_without_one() {
    let home = home("", "");
    let asked = |token: Reply, more: &[(&str, &str)]| {
        let metadata = test_server::start([token, Reply::Body(200, "r"), Reply::Body(200, ROLE)]);
        let url = metadata.url();
        let own = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()), ("AWS_EC2_METADATA_DISABLED", "-")];
        let signer = signer(home.path(), Globals::default(), &[&own[..], more].concat());
        let token = metadata.requests().last().unwrap().header("x-aws-ec2-metadata-token").map(str::to_owned);
        (signer, metadata.requests().len(), token)
    };
    for status in [401, 403, 404, 405, 500] {
        assert_eq!(asked(Reply::Body(status, ""), &[]), ("IMDS".to_owned(), 3, None), "{status}");
    }
    assert_eq!(asked(Reply::Silence, &[]), ("IMDS".to_owned(), 3, None));
    assert_eq!(asked(Reply::Body(200, "tok"), &[]), ("IMDS".to_owned(), 3, Some("tok".to_owned())));
    let nobody = "Unable to locate credentials. You can configure credentials by running \"aws login\".";
    assert_eq!(asked(Reply::Body(400, ""), &[]), (nobody.to_owned(), 1, None));
    let words = "Error retrieving metadata: Unable to retrieve token for use in IMDSv2 call and IMDSv1 has been disabled";
    let off = [("AWS_EC2_METADATA_V1_DISABLED", "true")];
    assert_eq!(asked(Reply::Body(403, ""), &off), (words.to_owned(), 1, None));
    let wrong = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", "nonsense"), ("AWS_EC2_METADATA_DISABLED", "-")];
    assert_eq!(
        signer(home.path(), Globals::default(), &wrong),
        "Invalid endpoint EC2 Instance Metadata endpoint: nonsense"
    );
}

/// Sets up a token of `aws sso login`, and the answers of portal and token service. Who signed, and how often those
/// were asked.
fn of_sso(with_session: bool, token: &str, replies: impl Into<Vec<Reply>>) -> (String, usize) {
    let (session, name) =
        if with_session { ("sso_session=s\n[sso-session s]\n", "s") } else { ("", "https://d/start") };
    let configuration = format!(
        "[default]\nsso_account_id=1\nsso_role_name=R\n{session}sso_start_url=https://d/start\nsso_region=r\n"
    );
    let home = home(&configuration, "");
    let folder = home.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{}.json", super::cache::hash(name))), token).unwrap();
    let portal = test_server::start(replies);
    let url = portal.url();
    let variables = [
        ("AWS_ENDPOINT_URL_SSO", url.as_str()),
        ("AWS_ENDPOINT_URL_SSO_OIDC", url.as_str()),
        ("AWS_MAX_ATTEMPTS", "1"),
    ];
    (signer(home.path(), Globals::default(), &variables), portal.requests().len())
}

const FOR_SSO: &str = r#"{"roleCredentials":{"accessKeyId":"SSO","secretAccessKey":"s","sessionToken":"t","expiration":32472144000000}}"#;
const SSO_ENDED: &str = "The SSO session associated with this profile has expired or is otherwise invalid. To refresh this SSO session run aws sso login with the corresponding profile.";

/// Recorded from AWS CLI 2.38.1 against the same tokens and answers.
#[test]
fn tokens_of_sso_are_read_renewed_and_refused_as_in_the_aws_cli() {
    let kept = |end: &str| format!(r#"{{"accessToken":"AT","expiresAt":{end}}}"#);
    for end in ["\"2999-01-01T00:00:00Z\"", "\"2999-01-01T00:00:00UTC\"", "\"2999-01-01T00:00:00+02:00\""] {
        for session in [true, false] {
            assert_eq!(of_sso(session, &kept(end), [Reply::Body(200, FOR_SSO)]), ("SSO".to_owned(), 1));
        }
    }
    let naive = "can't subtract offset-naive and offset-aware datetimes";
    let invalid = "Error loading SSO Token: Token for https://d/start is invalid";
    let over = "Error when retrieving token from sso: Token has expired and refresh failed";
    for (session, token, words) in [
        (true, kept("\"2999-01-01\""), naive),
        (true, kept("\"soon\""), "Unknown string format: soon"),
        (false, kept("5"), "Parser must be a string or character stream, not int"),
        (true, "[]".to_owned(), invalid),
        (true, r#"{"accessToken":"AT"}"#.to_owned(), invalid),
        (true, kept("\"2001-01-01T00:00:00Z\""), over),
        (false, kept("\"2001-01-01T00:00:00Z\""), SSO_ENDED),
    ] {
        assert_eq!(of_sso(session, &token, []), (words.to_owned(), 0), "{token}");
    }
    let ended = r#"{"accessToken":"AT","expiresAt":"2001-01-01T00:00:00Z","refreshToken":"RT","clientId":"C","clientSecret":"S","registrationExpiresAt":"2999-01-01T00:00:00Z"}"#;
    let renewed = Reply::Body(200, r#"{"accessToken":"AT2","expiresIn":28800,"refreshToken":"RT2"}"#);
    assert_eq!(of_sso(true, ended, [renewed, Reply::Body(200, FOR_SSO)]), ("SSO".to_owned(), 2));
    assert_eq!(of_sso(true, ended, [Reply::Body(400, r#"{"error":"invalid_grant"}"#)]), (over.to_owned(), 1));
}

/// Recorded from AWS CLI 2.38.1 against the same answers.
#[test]
fn a_refusal_of_the_sso_portal_is_a_service_error() {
    let token = r#"{"accessToken":"AT","expiresAt":"2999-01-01T00:00:00Z"}"#;
    let said = |status: u16, body: &'static str| of_sso(true, token, [Reply::Body(status, body)]).0;
    let no = |code: &str, words: &str| {
        format!(
            "An error occurred ({code}) when calling the GetRoleCredentials operation (reached max retries: 0): {words}"
        )
    };
    let forbidden = r#"{"__type":"ForbiddenException","message":"No access"}"#;
    assert_eq!(said(403, forbidden), no("ForbiddenException", "No access"));
    let missing = r#"{"__type":"com.amazonaws#ResourceNotFoundException:x","message":"nope"}"#;
    assert_eq!(said(404, missing), no("ResourceNotFoundException", "nope"));
    assert_eq!(said(500, "oops"), no("500", "oops"));
    assert_eq!(said(401, r#"{"__type":"UnauthorizedException","message":"x"}"#), SSO_ENDED);
}

/// Recorded from AWS CLI 2.38.1 with the same programs.
#[test]
fn the_output_of_credential_process_is_read_as_the_aws_cli_reads_it() {
    let printed = |text: &str| {
        let home = home("[default]\ncredential_process=cat printed\n", "");
        let file = home.path().join("printed");
        std::fs::write(&file, text).unwrap();
        let configuration = format!("[default]\ncredential_process=cat {}\n", file.display());
        std::fs::write(home.path().join(".aws/config"), configuration).unwrap();
        signer(home.path(), Globals::default(), &[])
    };
    let until = |end: &str| {
        printed(&format!(
            r#"{{"Version":1,"AccessKeyId":"P","SecretAccessKey":"s","SessionToken":"t","Expiration":{end}}}"#
        ))
    };
    assert_eq!(until("\"2999-01-01T00:00:00Z\""), "P");
    assert_eq!(until("null"), "P");
    let over = "Credentials were refreshed, but the refreshed credentials are still expired.";
    assert_eq!(until("\"2001-01-01T00:00:00Z\""), over);
    assert_eq!(until("\"\""), "String does not contain a date: ");
    assert_eq!(until("5"), "Parser must be a string or character stream, not int");
    let failed = "Error when retrieving credentials from custom-process: ";
    for (text, words) in [
        ("nonsense", "Expecting value: line 1 column 1 (char 0)".to_owned()),
        ("[]", "'list' object has no attribute 'get'".to_owned()),
        ("null", "'NoneType' object has no attribute 'get'".to_owned()),
        ("{\"Version\":1}", format!("{failed}Missing required key in response: 'AccessKeyId'")),
        (
            "{\"Version\":\"1\"}",
            format!("{failed}Unsupported version '1' for credential process provider, supported versions: 1"),
        ),
    ] {
        assert_eq!(printed(text), words);
    }
}

#[test]
fn credentials_with_line_breaks_are_reported() {
    let home = home("", "");
    let with = |name: &str, value: &str| {
        let keys = [("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "s"), (name, value)];
        signer(home.path(), Globals::default(), &keys)
    };
    let words = |what: &str, code: &str| {
        format!(
            "{what} contains the character U+{code}, which no credentials have: copy it again, without line breaks."
        )
    };
    assert_eq!(with("AWS_ACCESS_KEY_ID", "a\nb"), words("The access key ID", "000A"));
    assert_eq!(with("AWS_ACCESS_KEY_ID", "aé"), words("The access key ID", "00E9"));
    assert_eq!(with("AWS_SECRET_ACCESS_KEY", "a\r"), words("The secret access key", "000D"));
    assert_eq!(with("AWS_SESSION_TOKEN", "a\u{1}"), words("The session token", "0001"));
    let file = home.path().join("printed");
    std::fs::write(&file, r#"{"Version":1,"AccessKeyId":"a\nb","SecretAccessKey":"s"}"#).unwrap();
    let process = of_profile(&format!("[default]\ncredential_process=cat {}\n", file.display()), "");
    assert_eq!(process, words("The access key ID", "000A"));
}

/// Recorded from AWS CLI 2.38.1: its message for the end of input is empty.
#[test]
fn an_empty_token_and_the_end_of_input_are_reported_as_in_the_aws_cli() {
    let own = home(
        "[default]\nrole_arn=r\nsource_profile=s\nmfa_serial=m\n[profile s]\naws_access_key_id=A\naws_secret_access_key=s\n",
        "",
    );
    let settings = settings(own.path(), Globals::default(), &[]);
    let prompt = std::sync::Arc::new(|_: &str| Err(std::io::ErrorKind::UnexpectedEof.into()));
    let client = Client::remote_with_prompt(model::ecr(), &settings, prompt);
    assert_eq!(run(client.call("DescribeRepositories", json!({}))).unwrap_err().to_string(), "");
    let home = home("", "");
    let token = home.path().join("token");
    std::fs::write(&token, "a\nb").unwrap();
    let variables = [("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()), ("AWS_ROLE_ARN", "arn:r")];
    assert_eq!(
        signer(home.path(), Globals::default(), &variables),
        "Parameter validation failed:\nInvalid length for parameter WebIdentityToken, value: 3, valid min length: 4"
    );
}
