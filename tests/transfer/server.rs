//! A scripted HTTP server: each connection gets one answer, byte for byte.

use std::io::{BufReader, Write as _};
use std::sync::{Arc, Mutex};

use crate::harness::http::{CLOSE, Request, listen, response_of_length};

/// Answers the head of a request with whole bytes; the connection closes behind them.
type Answer = Box<dyn Fn(&str) -> Vec<u8> + Send>;

pub(super) struct Server {
    pub(super) address: String,
    /// The heads of the requests.
    pub(super) requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers as many requests as there are answers, then no more.
    pub(super) fn start(answers: Vec<Answer>) -> Self {
        let (listener, address) = listen();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for answer in answers {
                let (mut connection, _) = listener.accept().unwrap();
                let request = Request::read(&mut BufReader::new(&connection)).unwrap();
                let head = request.head.to_lowercase();
                let bytes = answer(&head);
                log.lock().unwrap().push(head);
                // A client that has read enough hangs up.
                let _ = connection.write_all(&bytes);
            }
        });
        Self { address, requests }
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// The offset that a request's Range asks for.
pub(super) fn offset(head: &str) -> Option<usize> {
    let (_, range) = head.split_once("range: bytes=")?;
    range.split('-').next()?.parse().ok()
}

/// An answer with a body of which only the first `sent` bytes are sent, announced as `length` bytes.
pub(super) fn body(status: &str, length: usize, bytes: &[u8]) -> Vec<u8> {
    response_of_length(status, CLOSE, length, bytes)
}

/// Gives the same answer to every request.
pub(super) fn answer(bytes: Vec<u8>) -> Answer {
    Box::new(move |_| bytes.clone())
}

/// The layer as a well-behaved server sends it, from the offset that is asked for.
pub(super) fn serve(layer: Vec<u8>) -> Answer {
    Box::new(move |head| match offset(head) {
        Some(offset) => body("206 Partial Content", layer.len() - offset, &layer[offset..]),
        None => body("200 OK", layer.len(), &layer),
    })
}
