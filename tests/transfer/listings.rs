//! Listings of registries: followed to their end, and trusted only as far as they are lists.

use ecr::image::{Digest, Name, RepositoryName};
use ecr::store::{ImageListing, TagListing};
use serde_json::json;

use super::registry::{Registry, reply};
use super::*;

fn tags(names: &[&str]) -> Vec<u8> {
    json!({ "name": "team/app", "tags": names }).to_string().into_bytes()
}

/// Pages shorter than was asked for, each with a link, as Quay (50) and Amazon ECR (100) send them.
#[tokio::test]
async fn short_pages_are_followed_by_their_links() {
    let registry = Registry::start();
    registry.interfere(|_, request| {
        let page = |body: &[u8], link: &str| Some(reply("200 OK", link, body));
        match request.path.split_once("/tags/list?")?.1 {
            "n=1000" => page(&tags(&["1", "2"]), "Link: </v2/team/app/tags/list?last=2>; rel=\"next\"\r\n"),
            "last=2" => page(&tags(&["3"]), "Link: <?last=3>; title=\"a, b\"; rel=next\r\n"),
            "last=3" => page(&tags(&["4"]), ""),
            other => panic!("{other}"),
        }
    });
    assert_eq!(registry.store().tags().await.unwrap(), TagListing::of(["1", "2", "3", "4"]));
}

#[tokio::test]
async fn a_list_that_repeats_itself_or_leads_elsewhere_is_an_error() {
    for (link, reason) in [
        (
            "</v2/team/app/tags/list?n=1000>; rel=next",
            "its list names a page that was read already as the next one",
        ),
        (
            "<https://evil.example/v2/team/app/tags/list>; rel=next",
            "it names a next page of its list on another host, evil.example",
        ),
    ] {
        let registry = Registry::start();
        let header = format!("Link: {link}\r\n");
        registry.interfere(move |_, request| {
            request.path.contains("/tags/list").then(|| reply("200 OK", &header, &tags(&["1"])))
        });
        let error = registry.store().tags().await.unwrap_err().to_string();
        assert_eq!(error, format!("cannot list the tags of {}/team/app: {reason}", registry.address));
    }
}

/// `null` is what the distribution registry says of a repository without tags; `{}` is no list.
#[tokio::test]
async fn lists_and_other_answers_are_distinguished() {
    for (body, expected) in [
        (r#"{"tags":[]}"#, Some(true)),
        (r#"{"tags":null}"#, Some(false)),
        ("{}", None),
        ("[]", None),
        ("<html>", None),
        (r#"{"tags":"1"}"#, None),
    ] {
        let registry = Registry::start();
        registry.interfere(move |_, request| {
            request.path.contains("/tags/list").then(|| reply("200 OK", "", body.as_bytes()))
        });
        let listed = registry.store().tags().await.ok().map(|listing| listing.is_list);
        assert_eq!(listed, expected, "{body}");
    }
}

/// HEAD answers 404 or 405 whatever there is, as Nexus has it; and a listed tag leads to nothing.
#[tokio::test]
async fn get_answers_where_head_does_not() {
    for status in ["404 Not Found", "405 Method Not Allowed"] {
        let registry = Registry::start();
        let (source, image) = single(&[noise(1000, 1)]).await;
        let source: Shared = source;
        run(&source, &registry.store(), &options(&["1"])).await.unwrap();
        registry.interfere(move |_, request| {
            let head = request.method == "HEAD" && request.path.contains("/manifests/");
            let list = request.path.contains("/tags/list");
            head.then(|| reply(status, "", b""))
                .or_else(|| list.then(|| reply("200 OK", "", &tags(&["1", "gone", "../../x"]))))
        });
        let ImageListing { images, unreadable, .. } =
            registry.store().tags_with_digests(&|_| true).await.unwrap().unwrap();
        let found: Vec<(String, Digest)> =
            images.into_iter().map(|(tag, digest)| (tag.into(), digest)).collect();
        assert_eq!(found, [("1".to_owned(), image.digest().clone())]);
        let mut told: Vec<String> = unreadable.iter().map(ToString::to_string).collect();
        told.sort();
        assert_eq!(told, ["../../x: it is no tag", "gone: the registry lists it and has no image of it"]);
        assert_eq!(registry.count("GET /v2/team/app/manifests/../"), 0);
    }
}

#[test]
fn names_that_would_lead_elsewhere_are_none() {
    for name in ["../../victim/manifests/latest", "v1/../latest", "a\u{1b}[31m"] {
        let error = Name::tag(name).unwrap_err().to_string();
        assert!(!error.contains('\u{1b}'), "{error}");
    }
    assert!("../victim".parse::<RepositoryName>().is_err());
}
