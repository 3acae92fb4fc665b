//! Scripted HTTP server on loopback, which records its requests.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Reaction of the server to one request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers with this status and body.
    Body(u16, &'static str),
    /// Answers with this status, this one header and this body.
    With(u16, (&'static str, &'static str), &'static str),
    /// Closes the connection.
    HangUp,
    /// Promises more bytes than it sends, then closes.
    Short,
    /// Answers this again and again, without an end.
    Endless(&'static str),
    /// Keeps the connection open and sends nothing.
    Silence,
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("bodies are text")
    }
}

/// The server.
pub(crate) struct Stub {
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Stub {
    /// Answers one request after the other, the last reply for ever.
    pub(crate) fn new(replies: impl Into<Vec<Reply>>) -> Self {
        let replies = replies.into();
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address").to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming() {
                serve(stream.expect("an incoming connection"), &replies, &log, &mut kept);
            }
        });
        Self { address, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("the server does not panic").clone()
    }
}

fn write_endlessly(mut stream: &TcpStream, body: &str) {
    let body = body.repeat(64 * 1024 / body.len());
    let mut written = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
    while written.is_ok() {
        written = stream.write_all(body.as_bytes());
    }
}

fn serve(stream: TcpStream, replies: &[Reply], log: &Mutex<Vec<Seen>>, kept: &mut Vec<TcpStream>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket can be shared"));
    let mut stream = stream;
    while let Some(request) = read(&mut reader) {
        let count = {
            let mut log = log.lock().expect("tests do not panic with the lock");
            log.push(request);
            log.len()
        };
        let reply = replies.get(count - 1).or(replies.last()).cloned().unwrap_or(Reply::HangUp);
        let (status, header, body) = match reply {
            Reply::Body(status, body) => (status, ("x-nothing", "1"), body),
            Reply::With(status, header, body) => (status, header, body),
            Reply::HangUp => return,
            Reply::Short => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{");
                return;
            }
            Reply::Endless(body) => return write_endlessly(&stream, body),
            Reply::Silence => {
                kept.push(stream);
                return;
            }
        };
        let head = format!(
            "HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\n{}: {}\r\n\r\n",
            body.len(),
            header.0,
            header.1
        );
        if stream.write_all((head + body).as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Seen> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, length)| length.parse());
    let mut body = vec![0; length.and_then(Result::ok).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Seen { line: line.trim_end().to_owned(), headers, body })
}
