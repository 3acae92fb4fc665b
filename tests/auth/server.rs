//! A stand-in for ECR and STS that counts what it is asked, and does as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64_simd::STANDARD;

/// The password that it hands out; it has what JSON, URLs and HTML escape.
pub(crate) const PASSWORD: &str = "pass/word+with<all>&\"kinds\"of=characters";

/// What it does with a request.
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
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
}

struct State {
    manner: Manner,
    requests: Vec<Request>,
    held: Vec<TcpStream>,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The first line.
    pub(crate) line: String,
    /// The headers, as one text.
    pub(crate) headers: String,
    /// The body.
    pub(crate) body: String,
}

impl Server {
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State { manner, requests: Vec::new(), held: Vec::new() }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn behaves(&self, manner: Manner) {
        let mut state = self.state.lock().unwrap();
        state.manner = manner;
        state.held.clear();
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }

    /// How often a password was asked for.
    pub(crate) fn calls(&self) -> usize {
        self.requests().iter().filter(|request| request.headers.contains(".GetAuthorizationToken")).count()
    }

    /// The access keys that signed the requests for a password.
    pub(crate) fn signers(&self) -> Vec<String> {
        let requests = self.requests();
        let signed = requests.iter().filter(|request| request.headers.contains(".GetAuthorizationToken"));
        let key = |request: &Request| {
            let rest = request.headers.split("Credential=").nth(1)?;
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

fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = receive(&mut reader) {
        let manner = {
            let mut state = state.lock().unwrap();
            state.requests.push(request.clone());
            if state.manner == Manner::Hangs {
                state.held.push(stream.try_clone().unwrap());
            }
            state.manner
        };
        let (status, body) = match manner {
            // The clone in `held` keeps the connection open until the manner changes.
            Manner::Hangs => return,
            Manner::Refuses(status, code) => {
                (status, format!(r#"{{"__type":"{code}","message":"the reason"}}"#))
            }
            Manner::Babbles => (200, "{}".to_owned()),
            Manner::Gives => (200, answer(&request)),
        };
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} X\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n");
        if (&mut &*stream).write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(request: &Request) -> String {
    let action = request.body.split('&').find_map(|field| field.strip_prefix("Action="));
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
    if request.headers.contains("SpencerFrontendService") {
        format!(r#"{{"authorizationData":{{"authorizationToken":"{token}","expiresAt":{expires}.5}}}}"#)
    } else {
        format!(
            r#"{{"authorizationData":[{{"authorizationToken":"{token}","expiresAt":{expires}.5,"proxyEndpoint":"https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"}}]}}"#
        )
    }
}

fn receive(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let (mut headers, mut length) = (String::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|read| *read > 0)?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        headers.push_str(&header);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { line: line.trim().to_owned(), headers, body: String::from_utf8_lossy(&body).into_owned() })
}
