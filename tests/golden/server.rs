//! A server that gives scripted replies in order and remembers what it was asked.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::case::{Reply, escaped, unprintable};
use crate::harness::http::{self, CLOSE, Request, response};

/// The access key of the fixed environment; another one shows in the recorded request.
const ACCESS_KEY: &str = "AKIDEXAMPLE";
const TARGETS: &[(&str, &str)] =
    &[("AmazonEC2ContainerRegistry_V20150921", "ecr"), ("SpencerFrontendService", "ecr-public")];

/// Listens on a port of its own until dropped.
pub(crate) struct Server(http::Server);

impl Server {
    /// Starts to listen. The last of the replies is given again and again.
    pub(crate) fn start(replies: &[Reply]) -> Self {
        let (replies, count) = (replies.to_vec(), AtomicUsize::new(0));
        Self(http::Server::start(move |_| {
            let at = count.fetch_add(1, Ordering::SeqCst);
            let reply = replies.get(at).or(replies.last());
            // One connection, one request: every reply closes its connection.
            http::Reply::Close(reply.map_or_else(Vec::new, bytes))
        }))
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    /// The requests so far, a line for each.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.0.requests().iter().map(described).collect()
    }
}

/// The bytes of a reply; none where the connection is to break.
fn bytes(Reply(reply): &Reply) -> Vec<u8> {
    let Some(answer) = reply else { return Vec::new() };
    let mut headers = "content-type: application/x-amz-json-1.1\r\n".to_owned();
    for (name, value) in &answer.headers {
        let _ = write!(headers, "{name}: {value}\r\n");
    }
    let status = format!("{} {}", answer.status, reason(answer.status));
    response(&status, &(headers + CLOSE), &answer.body)
}

/// A request as the one line that a case holds; `seen` in `cases.py` is its twin.
fn described(request: &Request) -> String {
    let (method, path, body) = (&request.method, &request.path, &request.body);
    let header = |name: &str| request.header(name).unwrap_or_default();
    let target = header("x-amz-target");
    let (prefix, operation) = target.split_once('.').unwrap_or((target, ""));
    let known = TARGETS.iter().find(|(known, _)| *known == prefix).map(|(_, service)| *service);
    let scope = header("authorization")
        .split_once("Credential=")
        .map(|(_, rest)| rest.split(',').next().unwrap_or_default().split('/').collect::<Vec<_>>());
    let (service, region, key) = match scope.as_deref() {
        Some([key, _, region, service, ..]) => (*service, *region, *key),
        _ => (known.unwrap_or(prefix), "unsigned", ACCESS_KEY),
    };
    let mut words = vec![service.to_owned(), region.to_owned()];
    if key != ACCESS_KEY {
        words.push(format!("key={key}"));
    }
    if let Some(token) = request.header("x-amz-security-token") {
        words.push(format!("token={token}"));
    }
    if target.is_empty() {
        // A provider of credentials asks: its body holds times and names of sessions.
        words.extend([method.clone(), path.clone()]);
        let text = String::from_utf8_lossy(body);
        words.extend(text.split('&').find_map(|pair| pair.strip_prefix("Action=")).map(str::to_owned));
        return words.join(" ");
    }
    if path != "/" {
        words.push(format!("path={path}"));
    }
    words.push(if known == Some(service) { operation } else { target }.to_owned());
    words.push(match std::str::from_utf8(body) {
        Ok(text) if !text.ends_with(' ') && !text.chars().any(unprintable) => text.to_owned(),
        _ => escaped(body),
    });
    words.join(" ")
}

/// The standard words for a status, which the AWS CLI shows where an error has no body.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        413 => "Request Entity Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}
