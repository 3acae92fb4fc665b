//! Listings of a registry: its repositories, and a repository's tags with their digests.

use std::collections::BTreeSet;
use std::fmt;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use reqwest::Method;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use url::Url;

use super::super::{ImageListing, ListWalk, TagFilter, TagListing, Unreadable};
use super::error::ResponseError;
use super::pages::{PAGE, Page};
use super::read::{bounded, refused};
use super::resource::Resource;
use super::token::Right;
use super::{Error, QUESTIONS, Remote};
use crate::image::{Digest, MAXIMUM_MANIFEST, Tag};

/// The most names on a page: old registries put all of a repository's tags on one.
const MAX_NAMES: usize = 200_000;

/// The most bytes of all pages.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// One page of either listing.
#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    repositories: List,
    #[serde(default)]
    tags: List,
}

/// A page's list.
#[derive(Default)]
enum List {
    #[default]
    Missing,
    /// `null`, which some registries say where there is nothing.
    Null,
    Names(Vec<String>),
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ListVisitor)
    }
}

/// Bounded visitor of a list, whose memory is limited whatever its length.
struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = List;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of names")
    }

    fn visit_unit<E>(self) -> Result<List, E> {
        Ok(List::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<List, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = sequence.next_element::<String>()? {
            if names.len() == MAX_NAMES {
                return Err(serde::de::Error::custom(format!("more than {MAX_NAMES} names on a page")));
            }
            names.push(name);
        }
        Ok(List::Names(names))
    }
}

/// The names of a whole list.
struct NameList {
    names: BTreeSet<String>,
    /// Every page had a list: some registries say `null` where there is nothing.
    is_list: bool,
}

/// Result of looking up a tag.
enum TagLookup {
    Image(Digest),
    Not(Unreadable),
}

impl Remote {
    /// The names of the registry's repositories as it lists them, unchecked. Many list none, or only to some.
    pub async fn catalog(&self) -> Result<BTreeSet<String>, Error> {
        let listed = self.names("list the repositories of", Resource::Catalog).await?;
        listed.map(|listed| listed.names).ok_or_else(|| Error::NoCatalog { host: self.host.clone() })
    }

    /// Lists all tags; `None` if there is no such repository.
    pub(super) async fn list(&self) -> Result<Option<TagListing>, Error> {
        let listed = self.names("list the tags of", Resource::Tags).await?;
        Ok(listed.map(|listed| TagListing { is_list: listed.is_list, ..TagListing::of(listed.names) }))
    }

    async fn names(&self, doing: &'static str, list: Resource<'_>) -> Result<Option<NameList>, Error> {
        let right = if matches!(list, Resource::Catalog) { Right::Catalog } else { Right::Pull };
        let failed = |error| self.explained(error, doing);
        let endless = |reason: String| failed(ResponseError::plain(reason));
        let first = self.reads.url(list).map_err(failed)?;
        let mut listed = NameList { names: BTreeSet::new(), is_list: true };
        let (mut walk, mut bytes) = (ListWalk::default(), 0);
        let mut url = asked(&first, None);
        loop {
            walk.enter(url.as_str()).map_err(endless)?;
            let Some(Page { body, next }) = self.page(doing, right, &url, &[404]).await? else {
                // A list that breaks off is not a short one.
                let broken =
                    || failed(ResponseError::plain("its list breaks off: the next page of it is not there"));
                return if listed.names.is_empty() { Ok(None) } else { Err(broken()) };
            };
            let page = names(&body, list).map_err(failed)?;
            listed.is_list &= page.is_some();
            let page = page.unwrap_or_default();
            let (last, full, before) = (page.last().cloned(), page.len() >= PAGE, listed.names.len());
            listed.names.extend(page);
            let new = listed.names.len() - before;
            bytes += body.len();
            if bytes > MAX_BYTES {
                return Err(endless(format!("its list has no end: it has more than {MAX_BYTES} bytes")));
            }
            url = match (next, last) {
                (Some(next), _) => next,
                // A full page without a link may have a successor. Who knows no pages repeats itself.
                (None, Some(last)) if full && new > 0 => asked(&first, Some(&last)),
                _ => return Ok(Some(listed)),
            };
            walk.brought(new).map_err(endless)?;
        }
    }

    /// Looks up the chosen tags: one request each, as this protocol has no other way.
    pub(super) async fn chosen(&self, chosen: &TagFilter) -> Result<Option<ImageListing>, Error> {
        let Some(mut listed) = self.list().await? else { return Ok(None) };
        listed.retain(chosen);
        let ask = |tag: Tag| async move { Ok::<_, Error>((self.digest_of(&tag).await?, tag)) };
        let found: Vec<(TagLookup, Tag)> =
            stream::iter(listed.tags).map(ask).buffered(QUESTIONS).try_collect().await?;
        let unreadable = listed.invalid.into_iter().map(Unreadable::invalid).collect();
        let mut listing = ImageListing { is_list: listed.is_list, unreadable, ..ImageListing::default() };
        for (found, tag) in found {
            match found {
                TagLookup::Image(digest) => listing.images.push((tag, digest)),
                TagLookup::Not(unreadable) => listing.unreadable.push(unreadable),
            }
        }
        Ok(Some(listing))
    }

    /// Returns the digest that a listed tag names. The header is not verified here: the
    /// manifest is, when it is copied. Only GET proves absence: some registries answer 404 or 405 to every HEAD.
    async fn digest_of(&self, tag: &Tag) -> Result<TagLookup, Error> {
        let unreadable = |reason: String| TagLookup::Not(Unreadable { name: tag.to_string(), reason });
        let ask = async || {
            for method in [Method::HEAD, Method::GET] {
                let response = self.reads.answer(&method, Resource::Tag(tag)).await?;
                match response.status().as_u16() {
                    200 => {}
                    status if method == Method::HEAD && is_no_answer(status) => continue,
                    404 => return Ok(unreadable("the registry lists it and has no image of it".to_owned())),
                    status if (400..500).contains(&status) && !matches!(status, 401 | 403 | 408 | 429) => {
                        return Ok(unreadable(refused(response).await.reason));
                    }
                    _ => return Err(refused(response).await),
                }
                let header = response.headers().get("docker-content-digest");
                let told =
                    header.and_then(|digest| digest.to_str().ok()).and_then(|digest| digest.parse().ok());
                if let Some(told) = told {
                    return Ok(TagLookup::Image(told));
                }
                if method == Method::GET {
                    return Ok(match bounded(response, MAXIMUM_MANIFEST).await {
                        Ok(bytes) => TagLookup::Image(Digest::of(&bytes)),
                        Err(error) if !error.passing => unreadable(error.reason),
                        Err(error) => return Err(error),
                    });
                }
            }
            Err(ResponseError::plain("no answer"))
        };
        self.repeated("look for an image in", ask).await
    }

    /// Takes tags away, one by one. What is gone already was to go.
    pub(super) async fn remove(&self, tags: &[Tag]) -> Result<(), Error> {
        for tag in tags {
            let ask = async || {
                let asked =
                    self.reads.ask(Right::Push, &Method::DELETE, Resource::Tag(tag), |request| request);
                let response = asked.await?;
                match response.status().as_u16() {
                    200 | 202 | 204 | 404 => Ok(()),
                    _ => Err(refused(response).await),
                }
            };
            self.repeated("delete a tag in", ask).await?;
        }
        Ok(())
    }
}

/// Returns whether an answer to HEAD says nothing about what GET would answer.
pub(super) fn is_no_answer(status: u16) -> bool {
    status == 501 || ((400..500).contains(&status) && !matches!(status, 401 | 403 | 408 | 429))
}

/// The URL of the page behind a name.
fn asked(list: &Url, last: Option<&str>) -> Url {
    let mut url = list.clone();
    url.query_pairs_mut().append_pair("n", &PAGE.to_string());
    if let Some(last) = last {
        url.query_pairs_mut().append_pair("last", last);
    }
    url
}

/// The names on a page; `None` where the list is `null`.
fn names(body: &[u8], list: Resource<'_>) -> Result<Option<Vec<String>>, ResponseError> {
    let (member, names) = match (serde_json::from_slice::<Names>(body), list) {
        (Err(error), _) => return Err(ResponseError::plain(format!("its answer is no list: {error}"))),
        (Ok(names), Resource::Catalog) => ("repositories", names.repositories),
        (Ok(names), _) => ("tags", names.tags),
    };
    match names {
        List::Names(names) => Ok(Some(names)),
        List::Null => Ok(None),
        List::Missing => {
            Err(ResponseError::plain(format!("its answer is no list: it has no member '{member}'")))
        }
    }
}
