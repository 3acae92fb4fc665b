//! Scripted service: the HTTP server of the integration tests with answers from a list.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::http::{self, CLOSE, Server, response, response_of_length};

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
    /// Repeats this body beyond the bytes that a client accepts.
    Oversized(&'static str),
    /// Keeps the connection open and sends nothing.
    Silence,
}

/// Starts a server that gives one answer after the other, the last one for ever.
pub(crate) fn start(replies: impl Into<Vec<Reply>>) -> Server {
    let (replies, count) = (replies.into(), AtomicUsize::new(0));
    Server::start(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        replies.get(number).or(replies.last()).unwrap_or(&Reply::HangUp).encoded()
    })
}

impl Reply {
    fn encoded(&self) -> http::Reply {
        let whole = |status: u16, headers: &str, body: &str| {
            http::Reply::KeepAlive(response(&format!("{status} Whatever"), headers, body.as_bytes()))
        };
        match *self {
            Self::Body(status, body) => whole(status, "", body),
            Self::With(status, (name, value), body) => whole(status, &format!("{name}: {value}\r\n"), body),
            Self::HangUp => http::Reply::Close(Vec::new()),
            Self::Short => http::Reply::Close(response_of_length("200 OK", "", 100, b"{")),
            Self::Oversized(body) => {
                let head = format!("HTTP/1.1 200 OK\r\n{CLOSE}\r\n");
                http::Reply::Close((head + &body.repeat((40 << 20) / body.len())).into_bytes())
            }
            Self::Silence => http::Reply::Silence,
        }
    }
}
