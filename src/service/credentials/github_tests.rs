//! A job of GitHub Actions: GitHub and the Security Token Service are stubs. What GitHub is asked and answers is in its
//! documentation (<https://docs.github.com/en/actions/reference/security/oidc>).

use super::super::test_server::{self, Reply};
use super::tests::{TOKEN_EXCHANGED, home, signer};
use crate::harness::http::Server;
use crate::settings::Globals;

const TOKEN: Reply = Reply::Body(200, r#"{"count":1,"value":"signed.by.github"}"#);
const NOBODY: &str = "Unable to locate credentials. You can configure credentials by running \"aws login\".";

/// A job for which GitHub answers these.
struct Job {
    github: Server,
    sts: Server,
    home: tempfile::TempDir,
}

impl Job {
    fn new(answers: impl Into<Vec<Reply>>) -> Self {
        let sts = test_server::start([Reply::Body(200, TOKEN_EXCHANGED)]);
        Self { github: test_server::start(answers), sts, home: home("", "") }
    }

    /// Returns the access key that signs a request of a step with these variables besides those of the job.
    fn step(&self, more: &[(&str, &str)]) -> String {
        let url = format!("{}/jobs/7/idtoken?api-version=2.0", self.github.url());
        let sts = self.sts.url();
        let job = [
            ("GITHUB_ACTIONS", "true"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret"),
            ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
            ("AWS_ENDPOINT_URL_STS", sts.as_str()),
            ("AWS_NEW_RETRIES_2026", "true"),
        ];
        signer(self.home.path(), Globals::default(), &[&job[..], more].concat())
    }
}

#[test]
fn a_job_exchanges_its_id_token_once() {
    let job = Job::new([TOKEN]);
    assert_eq!(job.step(&[]), "ROLE");
    assert_eq!(job.step(&[]), "ROLE");
    let asked = job.github.requests();
    assert_eq!(asked.len(), 1, "later steps find what the first one has fetched");
    assert_eq!(asked[0].line(), "GET /jobs/7/idtoken?api-version=2.0&audience=sts.amazonaws.com HTTP/1.1");
    assert_eq!(asked[0].header("authorization"), Some("bearer secret"));
    let exchanged = job.sts.requests()[0].text();
    for part in ["WebIdentityToken=signed.by.github", "RoleSessionName=GitHubActions", "role%2Fr"] {
        assert!(exchanged.contains(part), "{exchanged}");
    }
    assert_eq!(job.sts.requests()[0].header("authorization"), None);
}

#[test]
fn another_job_another_role_and_another_session_are_other_credentials() {
    let job = Job::new([TOKEN]);
    let other = format!("{}/jobs/8/idtoken", job.github.url());
    for more in [
        ("AWS_ROLE_SESSION_NAME", "release"),
        ("AWS_ROLE_ARN", "arn:aws-cn:iam::1:role/r"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", other.as_str()),
    ] {
        assert_eq!(job.step(&[more]), "ROLE");
    }
    let asked = job.github.requests();
    assert_eq!(asked.len(), 3);
    assert!(asked[1].line().contains("audience=sts.amazonaws.com.cn "), "{}", asked[1].line());
    assert_eq!(asked[2].line(), "GET /jobs/8/idtoken?audience=sts.amazonaws.com HTTP/1.1");
    assert!(job.sts.requests()[0].text().contains("RoleSessionName=release"));
}

#[test]
fn whatever_else_is_configured_comes_first() {
    let keys = [("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let job = Job::new([TOKEN]);
    assert_eq!(job.step(&keys), "ENV");
    std::fs::write(
        job.home.path().join(".aws/credentials"),
        "[default]\naws_access_key_id=FILE\naws_secret_access_key=s\n",
    )
    .unwrap();
    assert_eq!(job.step(&[]), "FILE");
    assert_eq!(job.github.requests().len(), 0);
}

#[test]
fn without_a_role_nothing_is_asked() {
    let job = Job::new([TOKEN]);
    assert_eq!(job.step(&[("AWS_ROLE_ARN", "")]), NOBODY);
    assert_eq!(job.github.requests().len(), 0);
}

#[test]
fn a_job_without_the_permission_gets_its_name() {
    let job = Job::new([TOKEN]);
    assert_eq!(
        job.step(&[("ACTIONS_ID_TOKEN_REQUEST_URL", "")]),
        "Unable to locate credentials. AWS_ROLE_ARN is set, and this job of GitHub Actions may not ask for an ID token: \
         give the job the permission id-token: write."
    );
}

#[test]
fn an_answer_without_a_token_is_reported_and_a_busy_service_asked_again() {
    let told = |status: u16, body: &'static str| {
        let job = Job::new([Reply::Body(status, body)]);
        (job.step(&[]), job.github.requests().len())
    };
    let words = |status: u16| {
        format!(
            "GitHub gave this job no ID token for AWS_ROLE_ARN (HTTP {status}): the job needs the permission id-token: \
             write."
        )
    };
    for (status, body) in
        [(401, ""), (403, "{}"), (200, ""), (200, r#"{"value":""}"#), (200, r#"{"value":7}"#)]
    {
        assert_eq!(told(status, body), (words(status), 1), "{status} {body}");
    }
    assert_eq!(told(503, "").0, words(503));
    let busy = Job::new([Reply::Body(503, ""), Reply::HangUp, TOKEN]);
    assert_eq!(busy.step(&[]), "ROLE");
    assert_eq!(busy.github.requests().len(), 3);
    let unsendable = Job::new([TOKEN]);
    let words = unsendable.step(&[("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "a\nb")]);
    assert!(words.starts_with("ACTIONS_ID_TOKEN_REQUEST_TOKEN contains the character U+000A"), "{words}");
    assert_eq!(unsendable.github.requests().len(), 0);
}
