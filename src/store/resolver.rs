//! Names to addresses, for connections that a server sends us to. Whoever owns a name can let it stand for any address,
//! so what [`http`](super::http) refuses as an address is refused as a name here, where the address is known.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::http::{is_here, is_link_local_address, is_loopback};
use crate::image::host::is_local_name;
use crate::network::{self, Network};

/// Error of resolving a name to an address that may not be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused to connect to {name}, which stands for {address}, an address of this machine or its link")]
pub(super) struct ForbiddenAddress {
    name: String,
    address: IpAddr,
}

/// Resolver that checks the addresses of each name. Private addresses are permitted: VPC endpoints have them.
#[derive(Debug, Clone)]
pub(super) struct Resolver(Arc<KnownHosts>);

/// Hosts that the user named.
#[derive(Debug)]
struct KnownHosts {
    /// The server; `None` for AWS.
    home: Option<Url>,
    /// Hosts of proxies.
    proxies: Vec<String>,
}

impl Resolver {
    /// A resolver for connections to `home` and to wherever it sends us.
    pub(super) fn new(home: Option<Url>, network: &Network) -> Self {
        let proxies = [&network.proxies.http, &network.proxies.https];
        let host = |proxy: &String| Url::parse(proxy).ok()?.host_str().map(str::to_owned);
        let proxies = proxies.into_iter().flatten().filter_map(host).collect();
        Self(Arc::new(KnownHosts { home, proxies }))
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let named = Arc::clone(&self.0);
        Box::pin(async move {
            let found = look_up(name.as_str()).await?;
            let permitted = named.permitted(name.as_str(), found).await?;
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

impl KnownHosts {
    /// The addresses of a name that may be connected to.
    async fn permitted(
        &self,
        name: &str,
        found: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, ForbiddenAddress> {
        let home = self.home.as_ref().and_then(Url::host_str);
        if home == Some(name) || self.proxies.iter().any(|proxy| proxy == name) {
            return Ok(found);
        }
        let has_loopback = found.iter().any(|address| is_loopback(address.ip()));
        let is_near = !has_loopback || is_local_name(name) || self.is_home_here().await;
        permitted(name, found, is_near)
    }

    /// Returns whether the server that the user named is on this machine.
    async fn is_home_here(&self) -> bool {
        let Some(home) = &self.home else { return false };
        match home.host() {
            Some(Host::Domain(name)) if !is_here(home) => {
                look_up(name).await.is_ok_and(|found| found.iter().any(|address| is_loopback(address.ip())))
            }
            _ => is_here(home),
        }
    }
}

/// Not every system knows the names below `localhost`, which are this machine's (RFC 6761, 6.3).
async fn look_up(name: &str) -> std::io::Result<Vec<SocketAddr>> {
    if name != "localhost" && is_local_name(name) {
        return Ok(vec![(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()]);
    }
    let found = network::resolver::look_up(name).await?;
    Ok(found.into_iter().map(|address| (address, 0).into()).collect())
}

/// Leaves out addresses of the link, and unless the name may be `near`, of this machine.
fn permitted(name: &str, found: Vec<SocketAddr>, is_near: bool) -> Result<Vec<SocketAddr>, ForbiddenAddress> {
    let refused =
        |address: &SocketAddr| is_link_local_address(address.ip()) || (!is_near && is_loopback(address.ip()));
    let first = found.iter().find(|address| refused(address)).map(SocketAddr::ip);
    let rest: Vec<SocketAddr> = found.into_iter().filter(|address| !refused(address)).collect();
    match first {
        Some(address) if rest.is_empty() => Err(ForbiddenAddress { name: name.to_owned(), address }),
        _ => Ok(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
    }

    #[test]
    fn names_of_the_link_and_of_this_machine() {
        for (found, is_near, left) in [
            (&["1.1.1.1", "2606:4700::1111"][..], false, &["1.1.1.1", "2606:4700::1111"][..]),
            (&["10.0.0.7"], false, &["10.0.0.7"]),
            (&["fd12::1"], false, &["fd12::1"]),
            (&["169.254.169.254"], false, &[]),
            (&["169.254.169.254"], true, &[]),
            (&["fd00:ec2::254"], true, &[]),
            (&["fe80::1"], true, &[]),
            (&["::ffff:169.254.169.254"], true, &[]),
            (&["64:ff9b::a9fe:a9fe"], true, &[]),
            (&["10.0.0.7", "169.254.1.1"], false, &["10.0.0.7"]),
            (&["127.0.0.1"], false, &[]),
            (&["127.0.0.53", "::1"], false, &[]),
            (&["0.0.0.0"], false, &[]),
            (&["127.0.0.1"], true, &["127.0.0.1"]),
        ] {
            let permitted = permitted("s3.example", addresses(found), is_near);
            match permitted {
                Ok(rest) => assert_eq!(rest, addresses(left), "{found:?} {is_near}"),
                Err(refused) => {
                    assert!(left.is_empty() && refused.name == "s3.example", "{found:?} {is_near}");
                }
            }
        }
        let refused = permitted("s3.example", addresses(&["169.254.169.254"]), true).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "refused to connect to s3.example, which stands for 169.254.169.254, an address of this machine or its link"
        );
    }

    #[tokio::test]
    async fn the_host_that_the_user_named_may_be_anywhere() {
        let named =
            |home: &str| KnownHosts { home: home.parse().ok(), proxies: vec!["proxy.example".to_owned()] };
        let link = || addresses(&["169.254.1.1"]);
        let here = || addresses(&["127.0.0.1"]);
        assert!(named("https://printer.local/").permitted("printer.local", link()).await.is_ok());
        assert!(named("https://a.example/").permitted("proxy.example", here()).await.is_ok());
        assert!(named("http://127.0.0.1:5000/").permitted("s3.example", here()).await.is_ok());
        assert!(named("http://localhost:5000/").permitted("s3.example", here()).await.is_ok());
        assert!(named("http://localhost:5000/").permitted("s3.example", link()).await.is_err());
        assert!(named("https://8.8.8.8/").permitted("s3.example", here()).await.is_err());
        assert!(named("").permitted("s3.example", here()).await.is_err());
    }
}
