//! A server that gives scripted replies in order and remembers what it was asked.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::case::{Reply, escaped, unprintable};

/// The access key of the fixed environment; another one shows in the recorded request.
const ACCESS_KEY: &str = "AKIDEXAMPLE";
const TARGETS: &[(&str, &str)] =
    &[("AmazonEC2ContainerRegistry_V20150921", "ecr"), ("SpencerFrontendService", "ecr-public")];

/// Listens on a port of its own until dropped.
pub(crate) struct Server {
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
    address: std::net::SocketAddr,
    stop: Arc<std::sync::atomic::AtomicBool>,
}

impl Server {
    /// Starts to listen.
    pub(crate) fn start(replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on the loopback address");
        let address = listener.local_addr().expect("a bound listener has an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let replies: Arc<[Reply]> = replies.into();
        let (seen, stopped) = (Arc::clone(&requests), Arc::clone(&stop));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(std::sync::atomic::Ordering::SeqCst) {
                    break;
                }
                let (seen, replies) = (Arc::clone(&seen), Arc::clone(&replies));
                std::thread::spawn(move || serve(&stream, &seen, &replies));
            }
        });
        Self { url: format!("http://{address}"), requests, address, stop }
    }

    /// What was asked so far, a line for each request.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no thread panics while it holds this").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// One connection, one request: every reply closes its connection.
fn serve(stream: &TcpStream, seen: &Mutex<Vec<String>>, replies: &[Reply]) {
    let mut reader = BufReader::new(stream);
    let Some((first, headers)) = head(&mut reader) else { return };
    let length = headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let count = {
        let mut seen = seen.lock().expect("no thread panics while it holds this");
        seen.push(described(method, path, &headers, &body));
        seen.len()
    };
    let Some(Reply(Some(response))) = replies.get(count.min(replies.len()).wrapping_sub(1)) else {
        let _ = stream.shutdown(Shutdown::Both);
        return;
    };
    let mut text = format!("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
    text.push_str("content-type: application/x-amz-json-1.1\r\n");
    for (name, value) in &response.headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    let _ = write!(text, "content-length: {}\r\nconnection: close\r\n\r\n", response.body.len());
    let mut stream = stream;
    let _ = stream.write_all(&[text.as_bytes(), &response.body].concat());
    let _ = stream.shutdown(Shutdown::Write);
}

fn head(reader: &mut impl BufRead) -> Option<(String, HashMap<String, String>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        lines.push(line.to_owned());
    }
    let first = lines.first()?.clone();
    let headers = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Some((first, headers))
}

/// A request as the one line that a case holds; `seen` in `cases.py` is its twin.
fn described(method: &str, path: &str, headers: &HashMap<String, String>, body: &[u8]) -> String {
    let header = |name: &str| headers.get(name).map_or("", String::as_str);
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
    if let Some(token) = headers.get("x-amz-security-token") {
        words.push(format!("token={token}"));
    }
    if target.is_empty() {
        // A provider of credentials asks: its body holds times and names of sessions.
        words.extend([method.to_owned(), path.to_owned()]);
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
