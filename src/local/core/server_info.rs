//! Record of the server that runs on a folder: a file in the folder, trusted only while a server answers at its
//! address.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::local::store::time;

/// Time limit for a server on this machine to answer before it counts as dead.
const TIMEOUT: Duration = Duration::from_millis(500);

/// What a server says about itself, in the file `server.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// `HOST:PORT`.
    pub address: String,
    /// Its process.
    pub pid: u32,
    /// Start time, in milliseconds since 1970.
    pub started: i64,
    /// Identifier of this server, which another one on its port does not have.
    pub instance: String,
    /// The server speaks TLS.
    #[serde(default)]
    pub is_secured: bool,
}

impl ServerInfo {
    pub(in crate::local) fn new(address: SocketAddr, is_secured: bool) -> Self {
        // A server that listens everywhere is reached here as well.
        let address = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
            IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from((Ipv6Addr::LOCALHOST, address.port())),
            _ => address,
        };
        let address = address.to_string();
        let instance = uuid::Uuid::new_v4().to_string();
        Self { address, pid: std::process::id(), started: time::now(), instance, is_secured }
    }

    /// Returns the URL that clients use.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.is_secured { "https" } else { "http" }, self.address)
    }

    /// The server that runs on a folder, if one does.
    pub fn find(folder: &Path) -> Option<Self> {
        let server = Self::read(folder)?;
        let answered = server.ask().ok()?;
        answered.contains(&server.instance).then_some(server)
    }

    /// Writes the file, whole or not at all.
    pub(in crate::local) fn announce(&self, folder: &Path) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.persist(file_of(folder)).map(drop).map_err(|error| error.error)
    }

    /// Removes the file, unless another server has written its own meanwhile.
    pub(in crate::local) fn withdraw(&self, folder: &Path) {
        if Self::read(folder).as_ref() == Some(self) {
            // A file left behind is harmless: it is not trusted once this server is gone.
            let _ = fs::remove_file(file_of(folder));
        }
    }

    fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(file_of(folder)).ok()?).ok()
    }

    fn ask(&self) -> io::Result<String> {
        let address: SocketAddr = self.address.parse().map_err(io::Error::other)?;
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let host = &self.address;
        write!(stream, "GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer)?;
        Ok(answer)
    }
}

fn file_of(folder: &Path) -> PathBuf {
    folder.join("server.json")
}
