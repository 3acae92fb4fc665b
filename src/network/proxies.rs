//! Hosts excluded by `NO_PROXY`, as Python's `urllib.request.proxy_bypass_environment` reads it, and so the AWS CLI.

/// Returns whether a URL's host and port, as written in it, are requested without a proxy.
///
/// `*` alone stands for every host. Otherwise each name, between commas, stands for itself and for all names that end
/// in it behind a dot; with a port, only for URLs that say that port. There are no address ranges and no patterns.
pub(super) fn are_bypassed(no_proxy: &str, authority: &str) -> bool {
    if no_proxy == "*" {
        return true;
    }
    let host = authority.rsplit('@').next().unwrap_or_default().to_lowercase();
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => &host,
    };
    no_proxy.split(',').map(|name| name.trim().trim_start_matches('.').to_lowercase()).any(|name| {
        let below = format!(".{name}");
        let is_meant = |host: &str| host == name || host.ends_with(&below);
        !name.is_empty() && (is_meant(without_port) || is_meant(&host))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values are those of `urllib.request.proxy_bypass_environment(host, {'no': no_proxy})` of Python
    /// 3.14.
    #[test]
    fn no_proxy_is_read_as_python_reads_it() {
        for (no_proxy, authority, bypassed) in [
            ("", "a.example", false),
            ("*", "a.example", true),
            (" *", "a.example", false),
            ("a,*", "b.example", false),
            ("*.example", "a.example", false),
            ("example", "a.example", true),
            (".example", "a.example", true),
            ("..example", "a.example", true),
            (".example", "example", true),
            ("ample", "a.example", false),
            ("A.Example", "a.EXAMPLE", true),
            (" x , a.example ", "a.example", true),
            ("a.example:80", "a.example", false),
            ("a.example:80", "a.example:80", true),
            ("a.example:80", "b.a.example:80", true),
            ("a.example", "a.example:443", true),
            ("127.0.0.1", "127.0.0.1:5000", true),
            ("127.0.0.0/8", "127.0.0.1", false),
            ("0.0.1", "127.0.0.1", true),
            ("[::1]", "[::1]:5000", true),
            ("::1", "[::1]:5000", false),
            ("localhost", "127.0.0.1", false),
            (",", "a.example", false),
            (".", "a.example", false),
        ] {
            assert_eq!(are_bypassed(no_proxy, authority), bypassed, "{no_proxy} {authority}");
        }
    }
}
