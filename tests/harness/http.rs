//! A scripted HTTP server on loopback: a closure answers each request, byte for byte, and the requests are recorded.
//!
//! [`listen`], [`Request::read`] and [`response`] are the layer below, for tests that need connections of their own:
//! broken framing, a number of connections at once, a proxy that counts bytes.

use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Header of a response after which the connection closes.
pub(crate) const CLOSE: &str = "Connection: close\r\n";

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The path with its query; of a request to a proxy the whole URL or `HOST:PORT`.
    pub(crate) path: String,
    /// The request line and the headers, up to and including the blank line.
    pub(crate) head: String,
    /// The body, with the framing of a chunked one removed.
    pub(crate) body: Vec<u8>,
}

/// Reaction of a server to a request.
pub(crate) enum Reply {
    /// Sends these bytes and waits for the next request of the connection.
    KeepAlive(Vec<u8>),
    /// Sends these bytes, which may be none, and closes the connection.
    Close(Vec<u8>),
    /// Keeps the connection open and says nothing, until [`Server::hang_up`] or the end of the server.
    Silence,
}

/// A server on a free port, until it goes out of scope.
pub(crate) struct Server {
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    record: Arc<Record>,
}

/// The requests so far, and the connections that wait in vain.
#[derive(Default)]
struct Record {
    requests: Mutex<Vec<Request>>,
    silent: Mutex<Vec<TcpStream>>,
    is_over: AtomicBool,
}

impl Request {
    /// Reads one request; `None` if the connection ends before its end.
    pub(crate) fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let mut words = head.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut request = Self { method, path, head, body: Vec::new() };
        let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        request.body.resize(length, 0);
        reader.read_exact(&mut request.body).ok()?;
        if request.header("transfer-encoding") == Some("chunked") {
            request.body = read_chunks(reader)?;
        }
        Some(request)
    }

    /// The value of a header, whose name is in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The names and values of the headers, in order.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.lines().skip(1).filter_map(|line| line.split_once(": "))
    }

    /// The first line.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The operation of AWS's JSON protocol that is called; empty if none is.
    pub(crate) fn operation(&self) -> &str {
        self.header("x-amz-target").and_then(|target| target.rsplit('.').next()).unwrap_or_default()
    }
}

/// Reads the body of `Transfer-Encoding: chunked`.
fn read_chunks(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut chunk = vec![0; usize::from_str_radix(line.trim_end(), 16).ok()? + "\r\n".len()];
        reader.read_exact(&mut chunk).ok()?;
        chunk.truncate(chunk.len() - "\r\n".len());
        if chunk.is_empty() {
            return Some(body);
        }
        body.extend_from_slice(&chunk);
    }
}

/// A response with the length of its body. `status` is the number with its words, `headers` are whole lines.
pub(crate) fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    response_of_length(status, headers, body.len(), body)
}

/// A response that announces another length than its body has.
pub(crate) fn response_of_length(status: &str, headers: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// Listens on a free port of loopback; returns the address too.
pub(crate) fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

impl Server {
    /// Serves what a closure answers, each connection in a thread of its own.
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(|_| answer)
    }

    /// Like [`start`](Self::start), for answers that name the server's address.
    pub(crate) fn start_at<A: Fn(&Request) -> Reply + Send + Sync + 'static>(
        answer: impl FnOnce(&str) -> A,
    ) -> Self {
        let (listener, address) = listen();
        let (answer, record) = (Arc::new(answer(&address)), Arc::<Record>::default());
        let shared = Arc::clone(&record);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.is_over.load(Ordering::SeqCst) {
                    break;
                }
                let (answer, record) = (Arc::clone(&answer), Arc::clone(&shared));
                std::thread::spawn(move || record.serve(stream, &*answer));
            }
        });
        Self { address, record }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far. A request is among them before it is answered.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.record.requests.lock().unwrap().clone()
    }

    /// Closes the connections that were kept in silence.
    pub(crate) fn hang_up(&self) {
        self.record.silent.lock().unwrap().clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.record.is_over.store(true, Ordering::SeqCst);
        self.hang_up();
        // The thread that waits for connections sees it at the next one.
        let _ = TcpStream::connect(&self.address);
    }
}

impl Record {
    fn serve(&self, mut stream: TcpStream, answer: &dyn Fn(&Request) -> Reply) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = Request::read(&mut reader) {
            self.requests.lock().unwrap().push(request.clone());
            match answer(&request) {
                Reply::KeepAlive(bytes) if stream.write_all(&bytes).is_ok() => {}
                Reply::KeepAlive(_) => return,
                Reply::Close(bytes) => {
                    // A client that has read enough hangs up.
                    let _ = stream.write_all(&bytes);
                    return;
                }
                Reply::Silence => {
                    self.silent.lock().unwrap().push(stream);
                    return;
                }
            }
        }
    }
}
