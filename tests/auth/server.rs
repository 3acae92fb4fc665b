//! A stand-in for ECR and STS that counts what it is asked, and does as it is told.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64_simd::STANDARD;

use crate::harness::http::{self, Reply, Request, response};

/// The password that it hands out; it has what JSON, URLs and HTML escape.
pub(crate) const PASSWORD: &str = "pass/word+with<all>&\"kinds\"of=characters";

/// Reaction of the server to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Hands out a password.
    Gives,
    /// Says no with this status and code.
    Refuses(u16, &'static str),
    /// Takes the connection and says nothing.
    Hangs,
    /// Answers something else.
    Babbles,
}

/// The stand-in.
pub(crate) struct Server {
    http: http::Server,
    manner: Arc<Mutex<Manner>>,
}

impl Server {
    pub(crate) fn start(manner: Manner) -> Self {
        let manner = Arc::new(Mutex::new(manner));
        let shared = Arc::clone(&manner);
        let http = http::Server::start(move |request| {
            let manner = *shared.lock().unwrap();
            reply(request, manner)
        });
        Self { http, manner }
    }

    pub(crate) fn url(&self) -> String {
        self.http.url()
    }

    pub(crate) fn behaves(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
        self.http.hang_up();
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.http.requests()
    }

    /// Counts the requests for a password.
    pub(crate) fn calls(&self) -> usize {
        self.requests().iter().filter(|request| request.head.contains(".GetAuthorizationToken")).count()
    }

    /// The access keys that signed the requests for a password.
    pub(crate) fn signers(&self) -> Vec<String> {
        let requests = self.requests();
        let signed = requests.iter().filter(|request| request.head.contains(".GetAuthorizationToken"));
        let key = |request: &Request| {
            let rest = request.head.split("Credential=").nth(1)?;
            rest.split('/').next().map(str::to_owned)
        };
        signed.filter_map(key).collect()
    }

    /// Waits until so many requests have come.
    pub(crate) fn wait_for(&self, requests: usize) {
        while self.requests().len() < requests {
            std::thread::yield_now();
        }
    }
}

fn reply(request: &Request, manner: Manner) -> Reply {
    let (status, body) = match manner {
        Manner::Hangs => return Reply::Silence,
        Manner::Refuses(status, code) => (status, format!(r#"{{"__type":"{code}","message":"the reason"}}"#)),
        Manner::Babbles => (200, "{}".to_owned()),
        Manner::Gives => (200, answer(request)),
    };
    let media_type = "Content-Type: text/plain\r\n";
    Reply::KeepAlive(response(&format!("{status} X"), media_type, body.as_bytes()))
}

fn answer(request: &Request) -> String {
    let body = request.text();
    let action = body.split('&').find_map(|field| field.strip_prefix("Action="));
    if let Some(action) = action {
        return format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
             <AccessKeyId>ASIAROLEROLEROLEROLE</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>\
             <SessionToken>role-token</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>\
             </{action}Result></{action}Response>"
        );
    }
    let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 43_200;
    let token = STANDARD.encode_to_string(format!("AWS:{PASSWORD}"));
    if request.head.contains("SpencerFrontendService") {
        format!(r#"{{"authorizationData":{{"authorizationToken":"{token}","expiresAt":{expires}.5}}}}"#)
    } else {
        format!(
            r#"{{"authorizationData":[{{"authorizationToken":"{token}","expiresAt":{expires}.5,"proxyEndpoint":"https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"}}]}}"#
        )
    }
}
