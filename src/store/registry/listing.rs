//! What a registry has: its repositories, and a repository's tags with what they name.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use reqwest::Method;
use serde::Deserialize;

use super::super::Chosen;
use super::error::Trouble;
use super::read::{bounded, refused};
use super::token::Right;
use super::{Error, QUESTIONS, Remote};
use crate::image::{Digest, MAXIMUM_MANIFEST};

/// How many names are asked for at once.
const PAGE: usize = 1000;
/// Nobody has more pages of names; a registry that repeats itself is stopped.
const MOST_PAGES: usize = 1000;

/// One page of either listing.
#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    repositories: Vec<String>,
    // Some registries say null where there are none.
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Remote {
    /// The registry's repositories, where it tells. Many do not, or only to some.
    pub async fn catalog(&self) -> Result<Vec<String>, Error> {
        // Paths are below the repository's.
        let up = "../".repeat(self.repository.split('/').count());
        let path = format!("{up}_catalog");
        let names = self.names("list the repositories of", &path, |names| names.repositories).await?;
        names.ok_or_else(|| Error::NoCatalog { host: self.host.clone() })
    }

    /// All tags; `None` where there is no such repository.
    pub(super) async fn list(&self) -> Result<Option<Vec<String>>, Error> {
        self.names("list the tags of", "tags/list", |names| names.tags.unwrap_or_default()).await
    }

    async fn names(
        &self,
        doing: &'static str,
        path: &str,
        which: fn(Names) -> Vec<String>,
    ) -> Result<Option<Vec<String>>, Error> {
        let mut all: Vec<String> = Vec::new();
        for _ in 0..MOST_PAGES {
            let mut page = format!("{path}?n={PAGE}");
            if let Some(last) = all.last() {
                page.push_str("&last=");
                page.extend(url::form_urlencoded::byte_serialize(last.as_bytes()));
            }
            let ask = async || {
                let response = self.reads.answer(&Method::GET, &page).await?;
                match response.status().as_u16() {
                    200 => {}
                    404 => return Ok(None),
                    _ => return Err(refused(response).await),
                }
                let bytes = bounded(response, MAXIMUM_MANIFEST).await?;
                serde_json::from_slice::<Names>(&bytes)
                    .map(Some)
                    .map_err(|error| Trouble::plain(error.to_string()))
            };
            let Some(names) = self.repeated(doing, ask).await? else { return Ok(None) };
            let names = which(names);
            let full = names.len() >= PAGE;
            // A registry that knows no pages repeats itself.
            let before = all.len();
            all.extend(
                names
                    .into_iter()
                    .filter(|name| all.last().is_none_or(|last| name != last))
                    .collect::<Vec<_>>(),
            );
            if !full || all.len() == before {
                break;
            }
        }
        all.sort();
        all.dedup();
        Ok(Some(all))
    }

    /// The tags that are chosen and what they name: one question each, as this protocol has no other way.
    pub(super) async fn chosen(&self, chosen: &Chosen) -> Result<Option<Vec<(String, Digest)>>, Error> {
        let Some(mut tags) = self.list().await? else { return Ok(None) };
        tags.retain(|tag| chosen(tag));
        let ask = |tag: String| async move { Ok::<_, Error>((self.digest_of(&tag).await?, tag)) };
        let found: Vec<(Option<Digest>, String)> =
            stream::iter(tags).map(ask).buffered(QUESTIONS).try_collect().await?;
        Ok(Some(found.into_iter().filter_map(|(digest, tag)| Some((tag, digest?))).collect()))
    }

    /// What a tag names; `None` where it is gone. The header is the registry's word, and what is copied later is
    /// checked.
    async fn digest_of(&self, tag: &str) -> Result<Option<Digest>, Error> {
        let path = format!("manifests/{tag}");
        let ask = async || {
            for method in [Method::HEAD, Method::GET] {
                let response = self.reads.answer(&method, &path).await?;
                match response.status().as_u16() {
                    200 => {}
                    404 => return Ok(None),
                    status => return Err(Trouble::status(status, "")),
                }
                let header = response.headers().get("docker-content-digest");
                let told =
                    header.and_then(|digest| digest.to_str().ok()).and_then(|digest| digest.parse().ok());
                if told.is_some() {
                    return Ok(told);
                }
                if method == Method::GET {
                    let bytes = bounded(response, MAXIMUM_MANIFEST + 1).await?;
                    return Ok(Some(Digest::of(&bytes)));
                }
            }
            Ok(None)
        };
        self.repeated("look for an image in", ask).await
    }

    /// Takes tags away, one by one. What is gone already was to go.
    pub(super) async fn remove(&self, tags: &[String]) -> Result<(), Error> {
        for tag in tags {
            let path = format!("manifests/{tag}");
            let ask = async || {
                let response = self.reads.ask(Right::Push, &Method::DELETE, &path, |request| request).await?;
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
