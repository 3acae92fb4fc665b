//! Rules about URLs that registries name, and about refusals that pass.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use reqwest::Response;
use reqwest::header::RETRY_AFTER;
use url::{Host, Url};

use crate::image::host::is_local_name;
use crate::retry;

/// The longest time that a server can ask for before the next attempt.
const MAX_RETRY: Duration = Duration::from_mins(1);
/// The bytes of an error's body in which S3 names its code, and the longest wait for them.
const MAX_CODE: usize = 4 * 1024;
const MAX_CODE_WAIT: Duration = Duration::from_secs(5);

/// Returns why a URL that a server names may not be used, or `None` if it may. It must be https, or the same host's, or
/// both are on this machine; never without TLS where the server has it; and not an address that only this machine or
/// its network can reach unless the server itself is there.
pub(super) fn url_refusal(from: &Url, to: &Url) -> Option<String> {
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

/// Returns why a layer may not be downloaded from the URL that the service names, or `None` if it may. Names that stand
/// for private addresses are VPC endpoints and fine.
pub(super) fn download_refusal(endpoint: Option<&Url>, to: &Url) -> Option<String> {
    let near = endpoint.is_some_and(|endpoint| endpoint.origin() == to.origin());
    let inside = endpoint.is_some_and(is_inside);
    let plain = to.scheme() == "http" && endpoint.is_none_or(|endpoint| endpoint.scheme() == "https");
    let fine = near || (!is_link_local(to) && (inside || !is_inside(to)) && !plain);
    let place = || format!("{}://{}", to.scheme(), to.host_str().unwrap_or("?"));
    (!fine).then(|| format!("refused to download from {}, which the service names for that", place()))
}

/// Returns whether two URLs are the same host's, whatever their ports: then a list may go on there.
pub(super) fn is_same_host(one: &Url, other: &Url) -> bool {
    one.host() == other.host() || (is_here(one) && is_here(other))
}

/// Returns whether two URLs are the same registry's: then a login for one is for the other. This machine has several
/// names.
pub(super) fn is_same_registry(one: &Url, other: &Url) -> bool {
    let port = |url: &Url| (url.scheme().to_owned(), url.port_or_known_default());
    is_same_host(one, other) && port(one) == port(other)
}

/// Returns why a realm that a registry names gets no login, or `None` if it does. It must be https, and no address of
/// this machine or its network unless the registry is one too. Only a registry without TLS may name one without, on the
/// same host.
pub(super) fn realm_refusal(registry: &Url, realm: &Url) -> Option<String> {
    let same_host = is_same_host(registry, realm);
    let inward = is_inside(realm) && !is_inside(registry);
    let fine = match realm.scheme() {
        "https" => !inward,
        "http" => registry.scheme() == "http" && same_host,
        _ => false,
    };
    let place = || format!("{}://{}", realm.scheme(), realm.host_str().unwrap_or("?"));
    (!fine).then(|| format!("refused to log in at {}, which it names for that", place()))
}

/// Returns whether a status is temporary: a time-out, a limit, or a service or its gateway that is down for now. 501
/// and 505 are permanent. 520 to 524 are Cloudflare's, for errors of a server behind its gateway.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504 | 520..=524)
}

/// Returns whether a server answers that there are too many requests: 429, or 503 that asks for a wait or is S3's
/// `SlowDown`. Any other 503 is that of a server that is down. Takes the beginning of such an answer's body.
pub(super) async fn is_throttled(response: &mut Response) -> bool {
    match response.status().as_u16() {
        429 => true,
        503 => response.headers().contains_key(RETRY_AFTER) || says_slow_down(response).await,
        _ => false,
    }
}

async fn says_slow_down(response: &mut Response) -> bool {
    let code = b"<Code>SlowDown</Code>";
    let mut body = Vec::new();
    let read = async {
        while body.len() < MAX_CODE
            && let Ok(Some(bytes)) = response.chunk().await
        {
            body.extend_from_slice(&bytes[..bytes.len().min(MAX_CODE - body.len())]);
        }
    };
    // What came in time counts.
    let _ = tokio::time::timeout(MAX_CODE_WAIT, read).await;
    body.windows(code.len()).any(|bytes| bytes == code)
}

/// Returns the wait that a server asks for: `Retry-After` in seconds, at most [`MAX_RETRY`].
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let header = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    retry::retry_after(header, MAX_RETRY)
}

/// Returns whether a URL names this machine, or an address that means something only in its network. Other names are
/// not looked up: behind a VPC endpoint those of ECR's API and of its layers stand for private addresses.
pub(super) fn is_inside(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_local_name(name),
        Some(Host::Ipv4(address)) => is_inside_v4(address),
        Some(Host::Ipv6(address)) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || ipv4_in(address).is_some_and(is_inside_v4)
        }
        None => false,
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped and compatible ones (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056).
fn ipv4_in(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    }
}

/// Returns whether a URL names this machine.
pub(super) fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_local_name(name),
        Some(Host::Ipv4(address)) => is_loopback(address.into()),
        Some(Host::Ipv6(address)) => is_loopback(address.into()),
        None => false,
    }
}

/// Returns whether connections to an address end up on this machine: also those to the unspecified address, and to IPv6
/// addresses that stand for one of its own. This guards; what is meant as this machine is `image::host::is_this_machine`.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    let is_loopback_v4 = |address: Ipv4Addr| address.is_loopback() || address.is_unspecified();
    match address {
        IpAddr::V4(address) => is_loopback_v4(address),
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unspecified() || ipv4_in(address).is_some_and(is_loopback_v4)
        }
    }
}

/// Returns whether a URL names a link-local address, at which cloud machines are told their credentials.
fn is_link_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_link_local_address(address.into()),
        Some(Host::Ipv6(address)) => is_link_local_address(address.into()),
        Some(Host::Domain(_)) | None => false,
    }
}

/// Returns whether an address is link-local, or the IPv6 address at which AWS tells instances their credentials.
pub(super) fn is_link_local_address(address: IpAddr) -> bool {
    const INSTANCE_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_unicast_link_local()
                || address == INSTANCE_METADATA
                || ipv4_in(address).is_some_and(|address| address.is_link_local())
        }
    }
}

fn is_inside_v4(address: Ipv4Addr) -> bool {
    // RFC 6598: shared between a provider and its customers, and used inside of clouds.
    let is_shared = address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64;
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_unspecified()
        || is_shared
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
            ("https://localhost./", true),
            ("https://2130706433/", true),
            ("https://0x7f.1/", true),
            ("https://[64:ff9b::169.254.169.254]/", true),
            ("https://[2002:7f00:1::]/", true),
            ("https://[::127.0.0.1]/", true),
            ("https://100.100.100.200/", true),
            ("https://1.1.1.1/", false),
            ("https://[64:ff9b::1.1.1.1]/", false),
            ("https://localhost.example.com/", false),
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
            let refused = realm_refusal(&registry.parse().unwrap(), &realm.parse().unwrap());
            assert_eq!(refused.is_none(), fine, "{registry} {realm}");
        }
    }
}
