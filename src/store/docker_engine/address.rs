//! Addresses of docker and podman engines: local sockets, and ports of this machine.

use std::path::PathBuf;

use super::Error;
use crate::platform;

/// Address of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineAddress {
    /// At a socket in the file system, or a named pipe.
    Socket(PathBuf),
    /// At a port of this machine.
    Tcp(String),
}

impl EngineAddress {
    /// Reads an address as DOCKER_HOST has it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if let Some(path) = platform::socket_path(text) {
            return Ok(Self::Socket(path));
        }
        // Names below `localhost` are not for the system's resolver, which is asked here.
        let loopback = |place: &&str| {
            let host = place.rsplit_once(':').map_or(*place, |(host, _)| host).trim_matches(['[', ']']);
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        };
        match text.strip_prefix("tcp://").map(|place| place.trim_end_matches('/')).filter(loopback) {
            Some(place) => Ok(Self::Tcp(place.to_owned())),
            None => Err(Error::UnsupportedAddress(text.to_owned())),
        }
    }

    /// Returns the first of these sockets that exists.
    pub fn first_of(sockets: &[PathBuf]) -> Result<Self, Error> {
        let found = sockets.iter().find(|socket| socket.exists());
        let names =
            || sockets.iter().map(|socket| socket.display().to_string()).collect::<Vec<_>>().join(", ");
        found.cloned().map(Self::Socket).ok_or_else(|| Error::NotRunning(names()))
    }

    pub(super) fn unreachable(&self, reason: &dyn std::fmt::Display) -> Error {
        Error::Unreachable { place: self.place(), reason: reason.to_string() }
    }

    pub(super) fn silent(&self) -> Error {
        self.unreachable(&"nothing arrived within the time that --cli-read-timeout allows")
    }

    pub(super) fn place(&self) -> String {
        match self {
            Self::Socket(path) => path.display().to_string(),
            Self::Tcp(place) => place.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(
            EngineAddress::parse("unix:///run/x.sock").unwrap(),
            EngineAddress::Socket("/run/x.sock".into())
        );
        for place in ["127.0.0.1:2375", "localhost:2375", "[::1]:2375"] {
            assert_eq!(
                EngineAddress::parse(&format!("tcp://{place}")).unwrap(),
                EngineAddress::Tcp(place.to_owned())
            );
        }
        for wrong in [
            "",
            "unix://x",
            "tcp://10.0.0.1:2375",
            "tcp://example.com:2375",
            "ssh://host",
            "npipe:////./pipe/x",
        ] {
            assert!(
                matches!(EngineAddress::parse(wrong), Err(Error::UnsupportedAddress(text)) if text == wrong),
                "{wrong}"
            );
        }
    }
}
