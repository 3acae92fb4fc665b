//! URLs in texts for people, without the user names and passwords in front of their hosts.

use std::borrow::Cow;

/// Replacement for user names and passwords in URLs, as in the AWS CLI's messages about proxies.
const HIDDEN: &str = "***";

/// A text whose URLs keep their scheme, host and path, and lose their userinfo (RFC 3986, 3.2.1).
pub fn without_userinfo(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        shown.push_str(before);
        rest = after;
        if let Some(end) = userinfo_end(after) {
            let (userinfo, host) = after.split_at(end);
            shown.push_str(HIDDEN);
            if userinfo.contains(':') {
                shown.extend([":", HIDDEN]);
            }
            rest = host;
        }
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// An address that should be a URL, also where its scheme is missing, without its userinfo.
pub fn without_login(address: &str) -> Cow<'_, str> {
    match address.rfind('@') {
        Some(at) if !address.contains("://") => Cow::Owned(format!("{HIDDEN}{}", &address[at..])),
        _ => without_userinfo(address),
    }
}

/// Finds the `@` behind a userinfo in a text that begins with a URL's authority.
fn userinfo_end(text: &str) -> Option<usize> {
    let is_outside = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>' | '`');
    let word = &text[..text.find(is_outside).unwrap_or(text.len())];
    let authority = &word[..word.find(['/', '?', '#']).unwrap_or(word.len())];
    let end = match authority.rfind('@') {
        Some(end) => end,
        // An unescaped password may contain the characters that end an authority: then its first part is in the place
        // of a port, and is none.
        None if has_bad_port(authority) => word.rfind('@')?,
        None => return None,
    };
    // `docker://app@sha256:…` is an image by its digest.
    (!["sha256:", "sha512:"].iter().any(|algorithm| text[end + 1..].starts_with(algorithm))).then_some(end)
}

fn has_bad_port(authority: &str) -> bool {
    let behind_address = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let port = authority[behind_address..].split_once(':');
    port.is_some_and(|(_, port)| !port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_and_passwords_are_hidden_and_nothing_else_is() {
        for (text, shown) in [
            ("http://me:secret@host:80/x", "http://***:***@host:80/x"),
            ("to https://me@host, and http://a:b@c", "to https://***@host, and http://***:***@c"),
            ("http://me:p@ss@host/", "http://***:***@host/"),
            ("\"http://me:p/ss#1@host/\"", "\"http://***:***@host/\""),
            ("http://:x@[::1]:80/", "http://***:***@[::1]:80/"),
            ("https://[::1]:80/a@b", "https://[::1]:80/a@b"),
            ("https://host/a@b c@d", "https://host/a@b c@d"),
            ("https://host:443/team/app@sha256:12", "https://host:443/team/app@sha256:12"),
            ("docker://app@sha256:12", "docker://app@sha256:12"),
            ("docker://me:secret@host/app@sha256:12", "docker://***:***@host/app@sha256:12"),
            ("'http://host' me@x", "'http://host' me@x"),
            ("me@host", "me@host"),
            ("://", "://"),
        ] {
            assert_eq!(without_userinfo(text), shown);
        }
    }
}
