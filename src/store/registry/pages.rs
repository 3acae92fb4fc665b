//! Paged lists: `Link` headers with `rel="next"` lead from one page to the next (RFC 8288; OCI distribution
//! specification, "Listing Tags", "Listing Referrers"). A page may be shorter than was asked for and not be the last.

use reqwest::Method;
use reqwest::header::{HeaderMap, LINK};
use url::Url;

use super::error::ResponseError;
use super::read::{bounded, refused};
use super::token::Right;
use super::{Error, Remote};
use crate::store::http::is_same_host;

/// Entries asked for at once.
pub(super) const PAGE: usize = 1000;
/// The longest page that is read.
const MAX_PAGE: u64 = 4 * 1024 * 1024;

/// A page: its body, and where the next one is.
pub(super) struct Page {
    pub(super) body: Vec<u8>,
    pub(super) next: Option<Url>,
}

impl Remote {
    /// Reads a page; `None` where the registry does not know the list, which the statuses `unknown` say.
    pub(super) async fn page(
        &self,
        doing: &'static str,
        right: Right,
        url: &Url,
        unknown: &[u16],
    ) -> Result<Option<Page>, Error> {
        let ask = async || {
            let response = self.reads.ask_url(right, &Method::GET, url, |request| request).await?;
            match response.status().as_u16() {
                200 => {}
                status if unknown.contains(&status) => return Ok(None),
                _ => return Err(refused(response).await),
            }
            // Relative to where the page came from, which a redirect may have changed.
            let next = next(response.headers(), url)?;
            let body = bounded(response, MAX_PAGE).await?.to_vec();
            Ok(Some(Page { body, next }))
        };
        self.repeated(doing, ask).await
    }
}

/// The next page that the headers of a page name. It is read from the registry's own address: others never see the
/// login, and a registry behind a proxy often knows neither the scheme nor the port that it is reached by.
pub(super) fn next(headers: &HeaderMap, page: &Url) -> Result<Option<Url>, ResponseError> {
    let links = headers.get_all(LINK).iter().filter_map(|link| link.to_str().ok());
    let Some(target) = links.flat_map(links_of).find(|link| link.is_next).map(|link| link.target) else {
        return Ok(None);
    };
    let wrong = || ResponseError::plain("it names a next page of its list that is no URL");
    let target = page.join(target).map_err(|_| wrong())?;
    if !is_same_host(page, &target) {
        let host = target.host_str().unwrap_or("?");
        return Err(ResponseError::plain(format!(
            "it names a next page of its list on another host, {host}"
        )));
    }
    let mut next = page.clone();
    next.set_path(target.path());
    next.set_query(target.query());
    next.set_fragment(None);
    Ok(Some(next))
}

/// A link of a `Link` header.
#[derive(Debug, PartialEq, Eq)]
struct Link<'a> {
    target: &'a str,
    is_next: bool,
}

/// The links of a header: `<target>; name=value; name="value", …` (RFC 8288, 3).
fn links_of(header: &str) -> Vec<Link<'_>> {
    let mut links = Vec::new();
    let mut rest = header;
    while let Some((_, behind)) = rest.split_once('<') {
        let Some((target, behind)) = behind.split_once('>') else { break };
        let (parameters, behind) = behind.split_at(end_of_link(behind));
        links.push(Link { target: target.trim(), is_next: is_next(parameters) });
        rest = behind;
    }
    links
}

/// The comma that ends a link's parameters, or their end. Quoted commas do not.
fn end_of_link(parameters: &str) -> usize {
    split_end(parameters, ',')
}

/// Returns the position of a character outside of quotes, or the end.
fn split_end(text: &str, wanted: char) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            character if character == wanted && !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

/// Returns whether a link's parameters say `rel=next`. Only the first `rel` counts, and it may name several relations.
fn is_next(parameters: &str) -> bool {
    let mut rest = parameters;
    while !rest.is_empty() {
        let (parameter, behind) = rest.split_at(split_end(rest, ';'));
        rest = behind.strip_prefix(';').unwrap_or_default();
        let Some((name, value)) = parameter.split_once('=') else { continue };
        if name.trim().eq_ignore_ascii_case("rel") {
            let relations = value.trim().trim_matches('"');
            return relations.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next_of(links: &[&str]) -> Result<Option<String>, String> {
        let mut headers = HeaderMap::new();
        for link in links {
            headers.append(LINK, link.parse().unwrap());
        }
        let page = "https://registry.example:5000/v2/team/app/tags/list?n=2".parse().unwrap();
        next(&headers, &page).map(|url| url.map(String::from)).map_err(|error| error.reason)
    }

    /// RFC 8288, 3 and its examples; and the forms that Quay, Harbor, GitLab, Artifactory and ECR use. `crane ls` 0.20.7,
    /// `oras repo tags` 1.3.3 and `skopeo list-tags` 1.22.0 follow the relative, absolute, unquoted and titled ones to the
    /// same pages, the first two also a query alone. Where `prev` stands first all three go round for ever: there the RFC
    /// decides.
    #[test]
    fn every_form_of_a_link() {
        let list = "https://registry.example:5000/v2/team/app/tags/list";
        for (links, expected) in [
            (vec![], None),
            (vec![r#"</v2/team/app/tags/list?n=2&last=b>; rel="next""#], Some(format!("{list}?n=2&last=b"))),
            (vec!["</v2/team/app/tags/list?last=b>; rel=next"], Some(format!("{list}?last=b"))),
            (vec![r#"<?last=b>; rel="next""#], Some(format!("{list}?last=b"))),
            (vec![r#"<list?last=b>;rel="next""#], Some(format!("{list}?last=b"))),
            (
                vec![r#"<https://registry.example:5000/v2/team/app/tags/list?last=b>; rel="next""#],
                Some(format!("{list}?last=b")),
            ),
            // A registry behind a proxy that ends TLS.
            (
                vec![r#"<http://registry.example/v2/team/app/tags/list?last=b>; rel="next""#],
                Some(format!("{list}?last=b")),
            ),
            (vec![r#"<?last=b>; title="a, b; rel=prev"; rel="next""#], Some(format!("{list}?last=b"))),
            (vec![r#"<?last=a>; rel="prev", <?last=b>; rel="next""#], Some(format!("{list}?last=b"))),
            (vec![r#"<?last=a>; rel="prev""#, r#"<?last=b>; REL="NEXT""#], Some(format!("{list}?last=b"))),
            (vec![r#"<?last=b,c;d>; rel="last next""#], Some(format!("{list}?last=b,c;d"))),
            (vec![r#"<?last=b>; rel="prev"; rel="next""#], None),
            (vec![r#"<?last=b>; rel="nextish""#], None),
            (vec!["<?last=b>"], None),
            (vec!["?last=b; rel=next"], None),
            (vec!["<?last=b; rel=next"], None),
        ] {
            assert_eq!(next_of(&links), Ok(expected), "{links:?}");
        }
    }

    /// Behaves as oras 1.3.3 ("not the same origin"); crane 0.20.7 goes there, and skopeo 1.22.0 asks its own host for
    /// the path.
    #[test]
    fn the_next_page_is_never_elsewhere() {
        for target in
            ["https://evil.example/v2/x", "//evil.example/", "https://registry.example.evil.example/"]
        {
            let refused = next_of(&[&format!("<{target}>; rel=next")]).unwrap_err();
            assert!(refused.starts_with("it names a next page of its list on another host, "), "{refused}");
        }
        assert!(next_of(&["<https://[>; rel=next"]).is_err());
    }
}
