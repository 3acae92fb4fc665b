//! Whether a registry on this machine is reached with TLS: docker, crane and skopeo try HTTPS there and fall back to
//! HTTP.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long a server on this machine may think about a greeting.
const PATIENCE: Duration = Duration::from_secs(2);
/// The first byte of what a TLS server says: a handshake, or an alert (RFC 8446, 5.1).
const TLS_RECORDS: [u8; 2] = [0x16, 0x15];

/// Whether the server at this address speaks TLS. Certificates are none of its business: whoever connects then
/// verifies them.
pub async fn speaks_tls(host: &str) -> bool {
    tokio::time::timeout(PATIENCE, first_byte(host))
        .await
        .ok()
        .flatten()
        .is_some_and(|byte| TLS_RECORDS.contains(&byte))
}

async fn first_byte(host: &str) -> Option<u8> {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let address = if has_port { host.to_owned() } else { format!("{host}:443") };
    let mut stream = TcpStream::connect(address).await.ok()?;
    let mut greeting = greeting()?;
    // A server without TLS that waits for the end of a line finds one, and answers.
    greeting.extend_from_slice(b"\r\n\r\n");
    stream.write_all(&greeting).await.ok()?;
    let mut byte = [0];
    stream.read_exact(&mut byte).await.ok()?;
    Some(byte[0])
}

/// A TLS client's first message.
fn greeting() -> Option<Vec<u8>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    let config = config.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let name = ServerName::try_from("localhost").ok()?;
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    let mut greeting = Vec::new();
    connection.write_tls(&mut greeting).ok()?;
    Some(greeting)
}
