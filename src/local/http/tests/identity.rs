//! Identity of requests: only what was verified counts.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};

use super::*;
use crate::local::http::auth::credentials::Credentials;

const KEYS: &str = "[alice]\naws_access_key_id = AKIAALICE\naws_secret_access_key = a\naws_account_id = 111122223333\n\
                    [bob]\naws_access_key_id = AKIABOB\naws_secret_access_key = b\n\
                    principal_arn = arn:aws:iam::444455556666:user/bob\n\
                    may_assume = arn:aws:iam::444455556666:role/build\n";
const ECR: &str = "AmazonEC2ContainerRegistry_V20150921";

/// Credentials that a client signs with.
#[derive(Clone)]
struct Signer {
    key: String,
    secret: String,
    token: Option<String>,
    service: &'static str,
}

impl Signer {
    fn new(key: &str, secret: &str, service: &'static str) -> Self {
        Self { key: key.to_owned(), secret: secret.to_owned(), token: None, service }
    }

    /// Returns the head of a request without its end, with its signature in place of `{}` of `header`.
    fn head(&self, more: &[(&str, &str)], body: &str, header: &str) -> String {
        let moment = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut headers = vec![("host", "registry.test:9"), ("x-amz-date", moment.as_str())];
        headers.extend(more);
        headers.extend(self.token.as_deref().map(|token| ("x-amz-security-token", token)));
        headers.sort_unstable();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = headers.iter().flat_map(|(name, value)| [*name, ":", *value, "\n"]).collect();
        let canonical = format!("POST\n/\n\n{lines}\n{names}\n{}", hex::encode(Sha256::digest(body)));
        let scope = format!("{}/eu-west-1/{}/aws4_request", &moment[..8], self.service);
        let text = format!(
            "AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}",
            hex::encode(Sha256::digest(canonical.as_bytes()))
        );
        let code = |key: &[u8], text: &str| {
            let code: Hmac<Sha256> = Hmac::new_from_slice(key).unwrap();
            code.chain_update(text).finalize().into_bytes().to_vec()
        };
        let first = format!("AWS4{}", self.secret).into_bytes();
        let key = scope.split('/').fold(first, |key, part| code(&key, part));
        let signature = format!(
            "Credential={}/{scope}, SignedHeaders={names}, Signature={}",
            self.key,
            hex::encode(code(&key, &text))
        );
        let mut head = format!("POST / HTTP/1.1\r\nAuthorization: {}", header.replace("{}", &signature));
        for (name, value) in headers.iter().filter(|(name, _)| *name != "host") {
            write!(head, "\r\n{name}: {value}").unwrap();
        }
        head
    }

    fn call(&self, server: &RunningServer, operation: &str, body: &str, header: &str) -> Answer {
        let target = format!("{ECR}.{operation}");
        server.request(&self.head(&[("x-amz-target", &target)], body, header), body.as_bytes())
    }

    fn ask(&self, server: &RunningServer, form: &str) -> Answer {
        let form = format!("Version=2011-06-15&{form}");
        let more = [("content-type", "application/x-www-form-urlencoded")];
        server.request(&self.head(&more, &form, "AWS4-HMAC-SHA256 {}"), form.as_bytes())
    }
}

fn guarded() -> RunningServer {
    RunningServer::with(Options { credentials: Credentials::read(KEYS).ok(), ..RunningServer::options() })
}

fn code(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    body["__type"].as_str().unwrap_or_default().to_owned()
}

fn element(answer: &Answer, name: &str) -> String {
    let text = answer.text();
    let (_, rest) = text.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("{name} in {text}"));
    rest.split_once('<').unwrap().0.to_owned()
}

#[test]
fn a_signature_is_for_the_principal_that_signed() {
    let server = guarded();
    let bob = Signer::new("AKIABOB", "b", "ecr");
    let alice = Signer::new("AKIAALICE", "a", "ecr");
    let sound = "AWS4-HMAC-SHA256 {}";
    assert_eq!(alice.call(&server, "CreateRepository", r#"{"repositoryName":"ours"}"#, sound).status, 200);
    for decoy in [
        "AWS4-HMAC-SHA256 XCredential=AKIAALICE/1/us-east-1, {}",
        "AWS4-HMAC-SHA256 Credential=AKIAALICE/20260101/us-east-1/ecr/aws4_request, {}",
        "AWS4-HMAC-SHA256 {}, Credential=111122223333/20260101/us-east-1/ecr/aws4_request",
        "AWS4-HMAC-SHA256 XCredential=111122223333/1/us-east-1, {}",
        "AWS4-HMAC-SHA256 {}\r\nAuthorization: AWS4-HMAC-SHA256 {}",
        "AWS4-HMAC-SHA256,Credential=AKIAALICE/1/us-east-1/ecr/aws4_request {}",
    ] {
        let refused = bob.call(&server, "DeleteRepository", r#"{"repositoryName":"ours"}"#, decoy);
        assert_eq!(
            (refused.status, code(&refused)),
            (400, "IncompleteSignatureException".to_owned()),
            "{decoy}"
        );
    }
    let told = bob.call(&server, "DescribeRegistry", "{}", sound);
    assert!(told.text().starts_with(r#"{"registryId":"444455556666""#), "{}", told.text());
    let told = alice.call(&server, "DescribeRepositories", "{}", sound);
    assert!(told.text().contains(r#""repositoryName":"ours""#), "{}", told.text());
}

#[test]
fn headers_that_decide_are_signed_and_single() {
    let server = guarded();
    let bob = Signer::new("AKIABOB", "b", "ecr");
    let target = format!("{ECR}.DescribeRegistry");
    let signed = bob.head(&[("x-amz-target", &target)], "{}", "AWS4-HMAC-SHA256 {}");
    let unsigned_target = bob.head(&[], "{}", "AWS4-HMAC-SHA256 {}");
    let wrong_hash = hex::encode(Sha256::digest("other"));
    let hashed = |hash: &str| {
        bob.head(&[("x-amz-target", &target), ("x-amz-content-sha256", hash)], "{}", "AWS4-HMAC-SHA256 {}")
    };
    for (head, expected) in [
        (format!("{unsigned_target}\r\nX-Amz-Target: {target}"), "InvalidSignatureException"),
        (format!("{signed}\r\nX-Amz-Target: {target}"), "InvalidSignatureException"),
        (format!("{signed}\r\nX-Amz-Security-Token: x"), "UnrecognizedClientException"),
        (format!("{signed}\r\nX-Amz-Content-Sha256: x"), "InvalidSignatureException"),
        (signed.replace("POST / ", "POST /?X-Amz-Signature=1 "), "IncompleteSignatureException"),
        (signed.replace("POST / ", "POST /?a=b "), "InvalidSignatureException"),
        (hashed(&wrong_hash), "InvalidSignatureException"),
        (hashed("UNSIGNED-PAYLOAD"), "InvalidSignatureException"),
        (signed.replace("/ecr/", "/ecr-public/"), "InvalidSignatureException"),
    ] {
        let refused = server.request(&head, b"{}");
        assert_eq!((refused.status, code(&refused).as_str()), (400, expected), "{head}");
    }
    assert_eq!(server.request(&format!("{signed}\r\nHost: other"), b"{}").status, 403);
    assert_eq!(server.request(&signed, b"{}").status, 200);
    assert_eq!(code(&server.request(&signed, b"{ }")), "InvalidSignatureException");
    let other =
        Signer::new("AKIABOB", "b", "sts").head(&[("x-amz-target", &target)], "{}", "AWS4-HMAC-SHA256 {}");
    assert_eq!(code(&server.request(&other, b"{}")), "InvalidSignatureException");
}

#[test]
fn the_token_service_says_who_asks() {
    let server = guarded();
    let bob = Signer::new("AKIABOB", "b", "sts");
    let told = bob.ask(&server, "Action=GetCallerIdentity");
    assert_eq!((told.status, told.header("content-type")), (200, Some("text/xml")), "{}", told.text());
    assert_eq!(element(&told, "Arn"), "arn:aws:iam::444455556666:user/bob");
    assert_eq!(element(&told, "Account"), "444455556666");
    let root = Signer::new("AKIAALICE", "a", "sts").ask(&server, "Action=GetCallerIdentity");
    assert_eq!(element(&root, "UserId"), "111122223333");
    for (signer, form, expected) in [
        (Signer::new("AKIABOB", "x", "sts"), "Action=GetCallerIdentity", (403, "SignatureDoesNotMatch")),
        (Signer::new("AKIANOBODY", "b", "sts"), "Action=GetCallerIdentity", (403, "InvalidClientTokenId")),
        (Signer::new("AKIABOB", "b", "ecr"), "Action=GetCallerIdentity", (403, "SignatureDoesNotMatch")),
        (bob.clone(), "Action=GetFederationToken", (400, "InvalidAction")),
        (bob.clone(), "Action=GetCallerIdentity&Action=AssumeRole", (400, "MalformedQueryString")),
        (bob.clone(), "Action=AssumeRole", (400, "ValidationError")),
        (
            bob.clone(),
            "Action=AssumeRole&RoleArn=arn:aws:iam::444455556666:role/admin&RoleSessionName=job",
            (403, "AccessDenied"),
        ),
        (
            bob.clone(),
            "Action=AssumeRoleWithWebIdentity&RoleArn=arn:aws:iam::444455556666:role/build&RoleSessionName=job\
             &WebIdentityToken=a.b.c",
            (400, "InvalidIdentityToken"),
        ),
    ] {
        let refused = signer.ask(&server, form);
        assert_eq!((refused.status, element(&refused, "Code").as_str()), expected, "{form}");
    }
    let unsigned = "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8";
    let refused = server.request(unsigned, b"Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!((refused.status, element(&refused, "Code").as_str()), (403, "MissingAuthenticationToken"));
}

#[test]
fn an_assumed_role_acts_as_itself() {
    let server = guarded();
    let form = "Action=AssumeRole&RoleArn=arn:aws:iam::444455556666:role/build&RoleSessionName=job";
    let assumed = Signer::new("AKIABOB", "b", "sts").ask(&server, form);
    assert_eq!(element(&assumed, "Arn"), "arn:aws:sts::444455556666:assumed-role/build/job");
    let session = Signer {
        key: element(&assumed, "AccessKeyId"),
        secret: element(&assumed, "SecretAccessKey"),
        token: Some(element(&assumed, "SessionToken")),
        service: "sts",
    };
    let told = session.ask(&server, "Action=GetCallerIdentity");
    assert_eq!(element(&told, "Arn"), "arn:aws:sts::444455556666:assumed-role/build/job");
    let refused = session.ask(&server, "Action=GetSessionToken");
    assert_eq!(element(&refused, "Code"), "AccessDenied");
    let sound = "AWS4-HMAC-SHA256 {}";
    let ecr = Signer { service: "ecr", ..session.clone() };
    assert_eq!(ecr.call(&server, "DescribeRegistry", "{}", sound).status, 200);
    // A token is good with its own key and secret only, and unchanged.
    let mut changed = session.token.clone().unwrap().into_bytes();
    changed[60] ^= 1;
    for wrong in [
        Signer { key: "AKIABOB".to_owned(), ..ecr.clone() },
        Signer { key: "AKIAALICE".to_owned(), secret: "a".to_owned(), ..ecr.clone() },
        Signer { token: None, ..ecr.clone() },
        Signer { secret: "b".to_owned(), ..ecr.clone() },
        Signer { token: Some(String::from_utf8(changed).unwrap()), ..ecr.clone() },
    ] {
        let refused = wrong.call(&server, "DescribeRegistry", "{}", sound);
        assert!(
            ["UnrecognizedClientException", "InvalidSignatureException"].contains(&code(&refused).as_str())
        );
    }
}

#[test]
fn an_unsigned_session_is_refused_where_signatures_are_checked() {
    let open = RunningServer::start();
    let form = "Version=2011-06-15&Action=AssumeRoleWithWebIdentity&WebIdentityToken=a.eyJzdWIiOiJtZSJ9.c\
                &RoleArn=arn:aws:iam::111122223333:role/admin&RoleSessionName=job";
    let head = "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded";
    let given = open.request(head, form.as_bytes());
    assert_eq!(element(&given, "SubjectFromWebIdentityToken"), "me");
    let ecr = Signer {
        key: element(&given, "AccessKeyId"),
        secret: element(&given, "SecretAccessKey"),
        token: Some(element(&given, "SessionToken")),
        service: "ecr",
    };
    let told = ecr.call(&open, "DescribeRegistry", "{}", "AWS4-HMAC-SHA256 {}");
    assert!(told.text().starts_with(r#"{"registryId":"111122223333""#), "{}", told.text());
    let folder = open.folder.path();
    let options = Options { credentials: Credentials::read(KEYS).ok(), ..RunningServer::options() };
    let strict = RunningServer::on(Local::open(folder).unwrap(), options);
    let refused = ecr.call(&strict, "DescribeRegistry", "{}", "AWS4-HMAC-SHA256 {}");
    assert_eq!(code(&refused), "UnrecognizedClientException");
}

const FORM: &str = "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8";

/// Other services, with a request's head and body, and the status and the beginning of what they hear.
const OTHER_SERVICES: &[(&str, &str, &str, u16, &str)] = &[
    (
        "iam",
        FORM,
        "Action=ListUsers&Version=2010-05-08",
        400,
        "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidAction</Code><Message>iam was asked; this server is ecr local",
    ),
    (
        "ec2",
        FORM,
        "Action=DescribeVpcs&Version=2016-11-15",
        400,
        "<Response><Errors><Error><Code>InvalidAction</Code><Message>ec2 was asked; this server is ecr local",
    ),
    (
        "s3",
        "GET /bucket HTTP/1.1",
        "",
        501,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NotImplemented</Code><Message>s3 was asked",
    ),
    (
        "eks",
        "GET /clusters HTTP/1.1",
        "",
        404,
        "{\"__type\":\"UnknownOperationException\",\"message\":\"eks was asked; this server is ecr local",
    ),
    (
        "dynamodb",
        "POST / HTTP/1.1\r\nX-Amz-Target: DynamoDB_20120810.ListTables",
        "{}",
        400,
        "{\"__type\":\"UnknownOperationException\",\"message\":\"DynamoDB_20120810 is neither",
    ),
];

#[test]
fn other_services_get_an_error_in_their_protocol() {
    let server = RunningServer::start();
    let signed = |service: &str| {
        format!(
            "Authorization: AWS4-HMAC-SHA256 Credential=111122223333/20260101/eu-west-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=0"
        )
    };
    for (service, head, body, status, begins) in OTHER_SERVICES {
        let answer = server.request(&format!("{head}\r\n{}", signed(service)), body.as_bytes());
        assert_eq!(answer.status, *status, "{service}");
        assert!(answer.text().starts_with(begins), "{}", answer.text());
    }
}
