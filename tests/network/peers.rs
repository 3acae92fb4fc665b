//! The other ends of connections: what answers by a script, what says nothing, what takes no connection, a proxy.

use std::net::TcpStream;
use std::time::Duration;

use crate::harness::http::{CLOSE, Reply, Server, response};

/// A server on a free port, as long as the test runs.
pub(super) struct Peer {
    pub(super) address: String,
    server: Server,
}

impl Peer {
    /// Answers every request by a script: from its head in lower case, a status, headers and a body.
    pub(super) fn answering(
        script: impl Fn(&str) -> (&'static str, String, String) + Send + Sync + 'static,
    ) -> Self {
        Self::of(Server::start(move |request| {
            let (status, headers, body) = script(&request.head.to_lowercase());
            Reply::Close(response(status, &(headers + CLOSE), body.as_bytes()))
        }))
    }

    /// Takes requests and never answers.
    pub(super) fn silent() -> Self {
        Self::of(Server::start(|_| Reply::Silence))
    }

    fn of(server: Server) -> Self {
        Self { address: server.address.clone(), server }
    }

    /// The heads of the requests so far, in lower case.
    pub(super) fn heads(&self) -> Vec<String> {
        self.server.requests().iter().map(|request| request.head.to_lowercase()).collect()
    }
}

/// A port at which connections stay unanswered: nobody accepts them, and the queue for that is full.
pub(super) struct Unreachable {
    pub(super) address: String,
    _held: (tokio::net::TcpListener, Vec<TcpStream>, tokio::runtime::Runtime),
}

impl Unreachable {
    pub(super) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let entered = runtime.enter();
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        drop(entered);
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queue.push(stream);
            assert!(queue.len() < 10, "the queue has no end");
        }
        Self { address: address.to_string(), _held: (listener, queue, runtime) }
    }
}
