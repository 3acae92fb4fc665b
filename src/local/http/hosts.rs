//! Check of the host that a request is for. A web page can have its own name resolve to this machine (DNS rebinding)
//! and so reach a server that asks for no signatures: such a server takes requests only for names that are its own. No
//! server takes requests that a page of another origin sends.

use hyper::Version;
use hyper::header::{CONTENT_LENGTH, HOST, ORIGIN, TRANSFER_ENCODING};
use hyper::http::request::Parts;

use crate::image::host::{EcrHost, ip, is_this_machine};

/// Clients that a server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum Clients {
    /// Clients of this machine.
    ThisMachine,
    /// Clients of a trusted network, such as that of a CI job.
    Network,
    /// Clients that sign with a known key.
    Signing,
}

/// The names of a server.
#[derive(Debug)]
pub(in crate::local) struct Hosts {
    /// Names beside this machine's own and Amazon ECR's.
    names: Vec<String>,
    clients: Clients,
}

impl Hosts {
    pub(in crate::local) fn new(names: &[String], clients: Clients) -> Self {
        let names = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { names, clients }
    }

    /// Checks that a request is for this server; the error is the reason for a refusal.
    pub(in crate::local) fn check(&self, head: &Parts) -> Result<(), String> {
        let mut hosts = head.headers.get_all(HOST).iter();
        let host = hosts.next().map(|host| host.to_str().unwrap_or_default());
        if hosts.next().is_some() || (host.is_none() && head.version == Version::HTTP_11) {
            return Err("the request must have one Host header".to_owned());
        }
        let target = head.uri.authority().map(hyper::http::uri::Authority::as_str);
        for host in [host, target].into_iter().flatten() {
            if self.clients != Clients::Signing && !self.is_ours(host) {
                return Err(format!(
                    "the request is for {}, which is not this server: name it with --hostname if it is",
                    host.escape_default()
                ));
            }
        }
        check_framing(head)?;
        check_origin(head, host.unwrap_or_default())
    }

    fn is_ours(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        // No page has an address or a name without a dot for its origin, unless it comes from there.
        let is_near = || ip(name).is_some() || is_label(name);
        let is_trusted = self.clients == Clients::Network && is_near();
        is_this_machine(name) || is_trusted || is_amazon(name) || self.names.iter().any(|known| known == name)
    }
}

/// Returns whether a host is one label, as the names of containers and services are.
fn is_label(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Returns whether a host is one of Amazon ECR's or AWS STS's, which nobody else can have resolve to this machine.
fn is_amazon(name: &str) -> bool {
    let is_service = |prefix: &str| {
        let rest = name.strip_prefix(prefix).unwrap_or_default();
        let region =
            [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].iter().find_map(|end| rest.strip_suffix(end));
        region.is_some_and(|region| {
            region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        })
    };
    EcrHost::from_name(name).is_some()
        || name == "sts.amazonaws.com"
        || ["api.ecr.", "ecr.", "api.ecr-public.", "ecr-public.", "sts."].into_iter().any(is_service)
}

/// `HOST` of `HOST:PORT`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

/// Refuses bodies whose length is ambiguous (RFC 9112, 6.1): a proxy may have read it in the other way.
fn check_framing(head: &Parts) -> Result<(), String> {
    let mut encodings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let Some(encoding) = encodings.next() else { return Ok(()) };
    let is_chunked = encoding.as_bytes().eq_ignore_ascii_case(b"chunked") && encodings.next().is_none();
    if is_chunked && !head.headers.contains_key(CONTENT_LENGTH) {
        return Ok(());
    }
    Err("the request must have a Content-Length, or chunked as its only Transfer-Encoding".to_owned())
}

/// Refuses requests that a page of another origin sends. Clients that are no browsers send neither header.
fn check_origin(head: &Parts, host: &str) -> Result<(), String> {
    let foreign =
        |origin: &str| Err(format!("a page of {} may not use this server", origin.escape_default()));
    for origin in head.headers.get_all(ORIGIN) {
        let origin = origin.to_str().unwrap_or("another origin");
        let own = origin.split_once("://").map(|(_, own)| own);
        if host.is_empty() || own.is_none_or(|own| !own.eq_ignore_ascii_case(host)) {
            return foreign(origin);
        }
    }
    for site in head.headers.get_all("sec-fetch-site") {
        if !matches!(site.to_str(), Ok("same-origin" | "none")) {
            return foreign("another origin");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let mut request = hyper::Request::builder().uri("/v2/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// Hosts of a server on this machine.
    const OWN: &[&str] = &[
        "127.0.0.1",
        "127.0.0.1:5700",
        "127.1.2.3:1",
        "localhost",
        "LOCALHOST:5700",
        "localhost.:5700",
        "a.localhost:5700",
        "[::1]",
        "[::1]:5700",
        "registry.test:5700",
        "111122223333.dkr.ecr.eu-west-1.amazonaws.com",
        "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn:5700",
        "public.ecr.aws",
        "api.ecr.us-east-1.amazonaws.com",
        "sts.us-east-1.amazonaws.com",
        "sts.amazonaws.com",
    ];

    /// Hosts that are not its own.
    const FOREIGN: &[&str] = &[
        "",
        "evil.example",
        "evil.example:5700",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.1",
        "0.0.0.0",
        "127.0.0.1@evil.example",
        "x.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
        "ecr.evil.example.amazonaws.com",
        "127.0.0.1:5700:1",
        "[::ffff:10.0.0.1]",
        "::1:evil",
        "ec2-1-2-3-4.compute-1.amazonaws.com",
    ];

    #[test]
    fn a_loopback_server_is_only_for_its_own_names() {
        let hosts = Hosts::new(&["Registry.Test".to_owned()], Clients::ThisMachine);
        for own in OWN {
            assert_eq!(hosts.check(&head(&[("host", own)])), Ok(()), "{own}");
        }
        for foreign in FOREIGN {
            assert!(hosts.check(&head(&[("host", foreign)])).is_err(), "{foreign}");
        }
        // Others reach a server that is not for this machine alone by names that it cannot know; they sign.
        assert_eq!(Hosts::new(&[], Clients::Signing).check(&head(&[("host", "evil.example")])), Ok(()));
        assert!(hosts.check(&head(&[])).is_err());
        assert!(hosts.check(&head(&[("host", "localhost"), ("host", "localhost")])).is_err());
        let (absolute, ()) = hyper::Request::builder()
            .uri("http://evil.example/v2/")
            .header("host", "localhost")
            .body(())
            .unwrap()
            .into_parts();
        assert!(hosts.check(&absolute).is_err());
    }

    #[test]
    fn a_server_of_a_trusted_network_is_for_addresses_labels_and_its_own_names() {
        let hosts = Hosts::new(&["registry.test".to_owned()], Clients::Network);
        for own in
            ["ecr:5700", "my_ecr-1", "10.0.0.1:5700", "[fd00::1]:5700", "registry.test", "localhost:5700"]
        {
            assert_eq!(hosts.check(&head(&[("host", own)])), Ok(()), "{own}");
        }
        for foreign in
            ["", "evil.example:5700", "registry.test.evil.example", "ecr.evil.example", "::1:evil", "a@b"]
        {
            assert!(hosts.check(&head(&[("host", foreign)])).is_err(), "{foreign}");
        }
    }

    #[test]
    fn a_page_of_another_origin_is_refused() {
        let check = |name, value| {
            Hosts::new(&[], Clients::ThisMachine).check(&head(&[("host", "localhost:5700"), (name, value)]))
        };
        for own in [
            ("origin", "http://localhost:5700"),
            ("sec-fetch-site", "none"),
            ("sec-fetch-site", "same-origin"),
        ] {
            assert_eq!(check(own.0, own.1), Ok(()), "{own:?}");
        }
        for foreign in [
            ("origin", "null"),
            ("origin", "http://localhost:3000"),
            ("origin", "http://localhost"),
            ("origin", ""),
            ("origin", "https://evil.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(check(foreign.0, foreign.1).is_err(), "{foreign:?}");
        }
        let framed = |name, value| head(&[("host", "a"), ("transfer-encoding", "chunked"), (name, value)]);
        for (name, value) in [("content-length", "4"), ("transfer-encoding", "gzip")] {
            assert!(Hosts::new(&[], Clients::Signing).check(&framed(name, value)).is_err(), "{name}");
        }
        let two = head(&[("host", "a"), ("origin", "http://a"), ("origin", "http://b")]);
        assert!(Hosts::new(&[], Clients::Signing).check(&two).is_err());
    }
}
