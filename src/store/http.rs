//! HTTP connections beside the service's own client: for downloads, and for what registries are asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Response};
use url::{Host, Url};

const MAXIMUM_REDIRECTS: usize = 5;
/// The longest time that a server can ask for before the next attempt.
const LONGEST_RETRY: Duration = Duration::from_mins(1);
/// As long as nothing arrives.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
pub(super) const CONNECT_PATIENCE: Duration = Duration::from_secs(20);

/// What a transfer must know about the network that the client does not do for it.
#[derive(Debug, Clone)]
pub struct Network {
    /// The file of certificates to trust, for downloads, instead of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// Whether the certificates of downloads are not verified.
    pub unverified: bool,
    /// The wait before something that failed is tried again; it doubles from one attempt to the next.
    pub first_wait: Duration,
    /// Whether calls of Amazon ECR keep to the rates that AWS allows an account, instead of being told off.
    pub paced: bool,
    /// The address of the service's API where that is not AWS's own.
    pub endpoint: Option<Url>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            ca_bundle: None,
            unverified: false,
            first_wait: Duration::from_millis(250),
            paced: false,
            endpoint: None,
        }
    }
}

/// HTTP connections, made when they are needed: loading root certificates takes longer than some whole pulls from
/// this machine.
pub(super) struct Connections {
    network: Network,
    plain: OnceLock<Result<reqwest::Client, String>>,
    secure: OnceLock<Result<reqwest::Client, String>>,
}

impl Connections {
    pub(super) fn new(network: Network) -> Self {
        Self { network, plain: OnceLock::new(), secure: OnceLock::new() }
    }

    /// The wait before something that failed is tried again.
    pub(super) fn first_wait(&self) -> Duration {
        self.network.first_wait
    }

    /// The address of the service's API where that is not AWS's own.
    pub(super) fn endpoint(&self) -> Option<&Url> {
        self.network.endpoint.as_ref()
    }

    /// The connections for a URL of this scheme.
    pub(super) fn client(&self, url: &Url) -> Result<&reqwest::Client, String> {
        let client = match url.scheme() {
            "https" => self.secure.get_or_init(|| self.build(true)),
            "http" => self.plain.get_or_init(|| self.build(false)),
            other => return Err(format!("a URL of the kind {other} was named, expected https")),
        };
        client.as_ref().map_err(Clone::clone)
    }

    fn build(&self, secure: bool) -> Result<reqwest::Client, String> {
        // It fails only where a provider is installed already, and any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(redirects())
            .read_timeout(PATIENCE)
            .connect_timeout(CONNECT_PATIENCE);
        if !secure {
            builder = builder.tls_certs_only([]);
        } else if self.network.unverified {
            builder = builder.tls_danger_accept_invalid_certs(true);
        } else if let Some(path) = &self.network.ca_bundle {
            let unusable = |error: &dyn std::fmt::Display| format!("cannot use {}: {error}", path.display());
            let bundle = std::fs::read(path).map_err(|error| unusable(&error))?;
            let bundle = Certificate::from_pem_bundle(&bundle).map_err(|error| unusable(&error))?;
            builder = builder.tls_certs_only(bundle);
        }
        builder.build().map_err(|error| chain(&error))
    }
}

/// Redirects lead to https, or back to the host that was asked, and never from elsewhere to an address that only this
/// machine or its network can reach. Anything else could be made to ask this machine's neighbours for what they tell
/// nobody else. Credentials are taken off a request that goes to another host.
fn redirects() -> Policy {
    Policy::custom(|attempt| {
        let first = attempt.previous().first();
        let inward = is_inside(attempt.url()) && !first.is_some_and(is_inside);
        let host = || attempt.url().host_str().unwrap_or("?").to_owned();
        let astray = attempt.previous().last().and_then(|previous| leads_astray(previous, attempt.url()));
        if attempt.previous().len() > MAXIMUM_REDIRECTS {
            attempt.error("too many redirects")
        } else if astray.is_some() || inward {
            let refused = format!("refused to follow a redirect to {}", host());
            attempt.error(refused)
        } else {
            attempt.follow()
        }
    })
}

/// Why a URL that a server names may not be used, where it may not. It must be https, or the same host's, or both are
/// on this machine; never without TLS where the server has it; and not an address that only this machine or its
/// network can reach unless the server itself is there.
pub(super) fn leads_astray(from: &Url, to: &Url) -> Option<String> {
    let place = |url: &Url| (url.host_str().map(ToOwned::to_owned), url.port_or_known_default());
    let inward = (is_inside(to) && !is_inside(from)) || is_link_local(to);
    let near = place(from) == place(to) || (is_here(from) && is_here(to));
    let fine = match (from.scheme(), to.scheme()) {
        (_, "https") => near || !inward,
        ("http", "http") => near,
        _ => false,
    };
    let place = || format!("{}://{}", to.scheme(), to.host_str().unwrap_or("?"));
    (!fine).then(|| format!("refused to go on at {}", place()))
}

/// Why a layer is not downloaded from where the service says it is, where it is not: `endpoint` is the service's own
/// address, `None` for AWS. Names that stand for private addresses are VPC endpoints and fine.
pub(super) fn download_leads_astray(endpoint: Option<&Url>, to: &Url) -> Option<String> {
    let near = endpoint.is_some_and(|endpoint| endpoint.origin() == to.origin());
    let inside = endpoint.is_some_and(is_inside);
    let plain = to.scheme() == "http" && endpoint.is_none_or(|endpoint| endpoint.scheme() == "https");
    let fine = near || (!is_link_local(to) && (inside || !is_inside(to)) && !plain);
    let place = || format!("{}://{}", to.scheme(), to.host_str().unwrap_or("?"));
    (!fine).then(|| format!("refused to download from {}, which the service names for that", place()))
}

/// Whether two URLs are the same host's, whatever their ports: then a list may go on there.
pub(super) fn is_same_host(one: &Url, other: &Url) -> bool {
    one.host() == other.host() || (is_here(one) && is_here(other))
}

/// Whether two URLs are the same registry's: then a login for one is for the other. This machine has several names.
pub(super) fn is_same_registry(one: &Url, other: &Url) -> bool {
    let port = |url: &Url| (url.scheme().to_owned(), url.port_or_known_default());
    is_same_host(one, other) && port(one) == port(other)
}

/// Why a realm that a registry names gets no login, where it gets none: it must be https, anywhere that is no address
/// of this machine or its network unless the registry is one too. Only a registry without TLS may name one without,
/// on the same host.
pub(super) fn realm_leads_astray(registry: &Url, realm: &Url) -> Option<String> {
    let same_host = registry.host() == realm.host() || (is_here(registry) && is_here(realm));
    let inward = is_inside(realm) && !is_inside(registry);
    let fine = match realm.scheme() {
        "https" => !inward,
        "http" => registry.scheme() == "http" && same_host,
        _ => false,
    };
    let place = || format!("{}://{}", realm.scheme(), realm.host_str().unwrap_or("?"));
    (!fine).then(|| format!("refused to log in at {}, which it names for that", place()))
}

/// How long a server asks to be left alone: `Retry-After` in seconds, and no longer than a person would wait.
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let header = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    header.trim().parse().ok().map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY))
}

/// Whether a URL names this machine, or an address that means something only in its network. Other names are not looked
/// up: behind a VPC endpoint those of ECR's API and of its layers stand for private addresses.
fn is_inside(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => is_inside_v4(address),
        Some(Host::Ipv6(address)) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.to_ipv4_mapped().is_some_and(is_inside_v4)
        }
        None => false,
    }
}

/// Whether a URL names this machine.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// Whether a URL names an address of the link: there cloud machines are told their credentials.
fn is_link_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_link_local_address(address.into()),
        Some(Host::Ipv6(address)) => is_link_local_address(address.into()),
        Some(Host::Domain(_)) | None => false,
    }
}

/// Whether an address is one of the link, or the IPv6 address at which AWS tells instances their credentials.
fn is_link_local_address(address: IpAddr) -> bool {
    const INSTANCE_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_unicast_link_local()
                || address == INSTANCE_METADATA
                || address.to_ipv4_mapped().is_some_and(|address| address.is_link_local())
        }
    }
}

fn is_inside_v4(address: Ipv4Addr) -> bool {
    address.is_loopback() || address.is_private() || address.is_link_local() || address.is_unspecified()
}

/// An error with its causes. The URL stays out of it: it may hold a signature that works for an hour.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut words = match std::error::Error::source(error) {
        Some(_) if error.is_connect() => "cannot connect".to_owned(),
        Some(_) if error.is_timeout() => "timed out".to_owned(),
        Some(_) => "the connection failed".to_owned(),
        None => return "the connection failed".to_owned(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_mean_something_only_here() {
        for (url, inside) in [
            ("https://127.0.0.1/", true),
            ("https://10.1.2.3/", true),
            ("https://169.254.169.254/latest", true),
            ("https://[::1]/", true),
            ("https://[fd00:ec2::254]/", true),
            ("https://[::ffff:10.0.0.1]/", true),
            ("https://localhost/", true),
            ("https://1.1.1.1/", false),
            ("https://example.com/", false),
        ] {
            assert_eq!(is_inside(&url.parse().unwrap()), inside, "{url}");
        }
    }

    #[test]
    fn realms_that_get_a_login() {
        for (registry, realm, fine) in [
            ("https://index.docker.io/v2/", "https://auth.docker.io/token", true),
            ("https://example.com/v2/", "https://example.com/token", true),
            ("https://example.com/v2/", "http://example.com/token", false),
            ("https://example.com/v2/", "https://127.0.0.1/token", false),
            ("https://example.com/v2/", "https://169.254.169.254/latest", false),
            ("https://example.com/v2/", "https://192.168.1.1/", false),
            ("https://example.com/v2/", "https://localhost/", false),
            ("https://example.com/v2/", "file:///etc/passwd", false),
            ("https://10.0.0.2/v2/", "https://10.0.0.3/token", true),
            ("https://10.0.0.2/v2/", "http://10.0.0.2/token", false),
            ("http://127.0.0.1:5000/v2/", "http://127.0.0.1:5001/token", true),
            ("http://localhost:5000/v2/", "http://127.0.0.1:5001/token", true),
            ("http://127.0.0.1:5000/v2/", "http://10.0.0.1/token", false),
            ("http://127.0.0.1:5000/v2/", "http://example.com/token", false),
            ("http://127.0.0.1:5000/v2/", "https://example.com/token", true),
        ] {
            let refused = realm_leads_astray(&registry.parse().unwrap(), &realm.parse().unwrap());
            assert_eq!(refused.is_none(), fine, "{registry} {realm}");
        }
    }
}
