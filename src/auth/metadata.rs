//! Probe for an instance metadata service, made before the chain of credentials would wait for one.
//!
//! Off EC2 its address leads nowhere, and every tool that asks waits: seconds per login, for nothing. One short
//! request with a time limit finds out; a failure is remembered for a minute (`token_cache`), so that a build with fifty
//! public images waits once.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Time limit of the probe. On EC2 it is a millisecond.
const TIMEOUT: Duration = Duration::from_millis(600);

/// Returns whether an HTTP server answers at `address` within 600 milliseconds.
pub fn answers(address: &str) -> bool {
    let Some(rest) = address.strip_prefix("http://") else {
        // Nothing that we could ask cheaply; the real request decides.
        return true;
    };
    let authority = rest.split('/').next().unwrap_or_default().to_owned();
    let has_port = authority.rsplit(']').next().is_some_and(|end| end.contains(':'));
    let place = if has_port { authority.clone() } else { format!("{authority}:80") };
    let deadline = Instant::now() + TIMEOUT;
    let Ok(mut places) = place.to_socket_addrs() else { return false };
    places.next().is_some_and(|place| ask(&place, &authority, deadline).unwrap_or(false))
}

fn ask(place: &std::net::SocketAddr, authority: &str, deadline: Instant) -> std::io::Result<bool> {
    let left = || deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let mut stream = TcpStream::connect_timeout(place, left())?;
    stream.set_write_timeout(Some(left()))?;
    let request = format!(
        "PUT /latest/api/token HTTP/1.1\r\nHost: {authority}\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    stream.set_read_timeout(Some(left()))?;
    let mut first = [0; 5];
    stream.read_exact(&mut first)?;
    Ok(&first == b"HTTP/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::http::{Reply, Server, listen, response};

    #[test]
    fn an_answer_is_an_answer_and_silence_and_a_free_port_are_none() {
        assert!(answers(&Server::start(|_| Reply::Close(response("200 OK", "", b""))).url()));
        assert!(!answers(&Server::start(|_| Reply::Silence).url()));
        let (_, free) = listen();
        assert!(!answers(&format!("http://{free}")));
    }
}
