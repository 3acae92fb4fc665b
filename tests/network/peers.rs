//! The other ends of connections: what answers by a script, what says nothing, what takes no connection, a proxy.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Answers a request's head, in lower case, with a status, headers and a body.
type Script = dyn Fn(&str) -> (&'static str, String, String) + Send + Sync;

/// A server on a free port, as long as the test runs.
pub(super) struct Peer {
    pub(super) address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    /// Answers every request by a script.
    pub(super) fn answering(
        script: impl Fn(&str) -> (&'static str, String, String) + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(Arc::new(script)))
    }

    /// Takes requests and never answers.
    pub(super) fn silent() -> Self {
        Self::start(None)
    }

    fn start(script: Option<Arc<Script>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&heads);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (mut connection, log, script) = (connection.unwrap(), Arc::clone(&log), script.clone());
                std::thread::spawn(move || {
                    let Some(head) = head(&mut connection) else { return };
                    log.lock().unwrap().push(head.clone());
                    match script {
                        Some(script) => answer(&mut connection, script(&head)),
                        // Until the client hangs up.
                        None => drop(connection.read_to_end(&mut Vec::new())),
                    }
                });
            }
        });
        Self { address, heads }
    }

    /// The heads of the requests so far, in lower case.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// Reads a request's head, and its body as far as a length announces one.
fn head(connection: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().unwrap());
    connection.read_exact(&mut vec![0; length]).ok()?;
    Some(head)
}

fn answer(connection: &mut TcpStream, (status, headers, body): (&'static str, String, String)) {
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    // A client that has read enough hangs up.
    let _ = connection.write_all(text.as_bytes());
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
