//! Detection of TLS on a server of this machine. Registries there are served both ways, and their names do
//! not tell.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::{Host, Url};

use super::tls::AcceptAny;

/// Time limit to connect and to answer. A server that takes longer waits for the end of a line.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Types of TLS records (RFC 8446, 5.1): an alert, and a part of a handshake.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// Returns whether the server at a host speaks TLS: it is sent the beginning of a handshake, and its first byte tells.
/// Nothing else is sent, and the answer is not trusted for anything else.
pub async fn speaks_tls(host: &str) -> bool {
    tokio::time::timeout(TIMEOUT, first_byte(host)).await.ok().flatten().is_some_and(is_tls)
}

fn is_tls(byte: u8) -> bool {
    matches!(byte, ALERT | HANDSHAKE)
}

async fn first_byte(host: &str) -> Option<u8> {
    let url: Url = format!("https://{host}").parse().ok()?;
    let port = url.port_or_known_default()?;
    let (name, stream) = match url.host()? {
        Host::Domain(name) => {
            (ServerName::try_from(name.to_owned()).ok()?, TcpStream::connect((name, port)).await)
        }
        Host::Ipv4(address) => {
            (ServerName::IpAddress(address.into()), TcpStream::connect((address, port)).await)
        }
        Host::Ipv6(address) => {
            (ServerName::IpAddress(address.into()), TcpStream::connect((address, port)).await)
        }
    };
    let mut stream = stream.ok()?;
    stream.write_all(&greeting(name)?).await.ok()?;
    stream.read_u8().await.ok()
}

/// The first message of a handshake.
fn greeting(name: ServerName<'static>) -> Option<Vec<u8>> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(AcceptAny(provider.signature_verification_algorithms));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::http::listen;
    use std::io::{Read as _, Write as _};

    #[tokio::test]
    async fn the_first_byte_tells() {
        for (answer, expected) in [
            (&[22, 3, 3, 0, 90][..], true),
            (&[21, 3, 3, 0, 2, 2, 40], true),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", false),
            (b"", false),
        ] {
            let (listener, address) = listen();
            let port = address.rsplit(':').next().unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = [0; 5];
                stream.read_exact(&mut head).unwrap();
                stream.write_all(answer).unwrap();
                head
            });
            assert_eq!(speaks_tls(&format!("localhost:{port}")).await, expected, "{answer:?}");
            assert_eq!(server.join().unwrap()[..2], [HANDSHAKE, 3], "a handshake is sent");
        }
        let (_, free) = listen();
        assert!(!speaks_tls(&free).await);
    }
}
