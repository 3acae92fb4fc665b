//! What refers to an image (OCI distribution specification 1.1, "Listing Referrers"): asked of the registry, and kept
//! in an index under a tag of its own where the registry cannot tell ("Referrers Tag Schema").

use reqwest::Method;
use reqwest::header::LINK;
use serde_json::{Value, json};

use super::error::Trouble;
use super::read::{bounded, refused};
use super::{Error, Remote};
use crate::image::{Content, Descriptor, Digest, MAXIMUM_MANIFEST, Manifest, Name, media_type};
use crate::store;

/// No image has more pages of referrers; a registry that repeats itself is stopped.
const MOST_PAGES: usize = 1000;

/// One page of referrers.
struct Page {
    referrers: Vec<Descriptor>,
    /// The path of the next one, below the repository's.
    next: Option<String>,
}

impl Remote {
    /// What is about an image, all of it.
    pub(super) async fn about(&self, subject: &Digest) -> Result<Vec<Descriptor>, store::Error> {
        let mut found = Vec::new();
        let mut path = format!("referrers/{subject}");
        for _ in 0..MOST_PAGES {
            let Some(page) = self.page(&path).await? else {
                let _ = self.lists_referrers.set(false);
                return self.tagged(subject).await;
            };
            let _ = self.lists_referrers.set(true);
            found.extend(page.referrers);
            match page.next {
                Some(next) => path = next,
                None => break,
            }
        }
        Ok(found)
    }

    /// `None` where the registry does not know such a thing: the specification's sign for that is 404.
    async fn page(&self, path: &str) -> Result<Option<Page>, Error> {
        let ask = async || {
            let response = self.reads.answer(&Method::GET, path).await?;
            let link =
                response.headers().get(LINK).and_then(|link| link.to_str().ok()).map(ToOwned::to_owned);
            match response.status().as_u16() {
                200 => {
                    let bytes = bounded(response, MAXIMUM_MANIFEST).await?;
                    let next = link.and_then(|link| self.below(&link));
                    Ok(Some(Page { referrers: entries(&bytes)?, next }))
                }
                404 => Ok(None),
                _ => Err(refused(response).await),
            }
        };
        self.repeated("list the referrers in", ask).await
    }

    /// The page that a Link header names, as a path below this repository; what leads elsewhere is not followed.
    fn below(&self, link: &str) -> Option<String> {
        let target = link.strip_prefix('<')?.split_once('>').filter(|(_, rest)| rest.contains("next"))?.0;
        let base = url::Url::parse(&format!("{}/", self.reads.base)).ok()?;
        let target = base.join(target).ok()?;
        target.as_str().strip_prefix(base.as_str()).map(ToOwned::to_owned)
    }

    /// What the index under the subject's own tag lists.
    async fn tagged(&self, subject: &Digest) -> Result<Vec<Descriptor>, store::Error> {
        match self.get(&Name::Tag(subject.referrers_tag())).await {
            Ok(index) => match index.content() {
                Content::Index(entries) => Ok(entries.clone()),
                // Somebody calls an image so.
                Content::Image { .. } => Ok(Vec::new()),
            },
            Err(store::Error::NoImage { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Takes a manifest that is about another, and lists it there where the registry does not.
    pub(super) async fn attach(&self, manifest: &Manifest) -> Result<(), store::Error> {
        self.put(manifest, &manifest.digest().to_string()).await?;
        let Some(subject) = manifest.subject() else { return Ok(()) };
        if self.lists_referrers.get().is_none() {
            self.about(&subject).await?;
        }
        if self.lists_referrers.get() == Some(&true) {
            return Ok(());
        }
        let mut entries = self.tagged(&subject).await?;
        if entries.iter().any(|entry| entry.digest == *manifest.digest()) {
            return Ok(());
        }
        entries.push(manifest.referrer());
        let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries});
        let index = Manifest::parse(index.to_string().into(), Some(media_type::OCI_INDEX))
            .map_err(store::Error::image(self.place()))?;
        Ok(self.put(&index, &subject.referrers_tag()).await?)
    }
}

fn entries(index: &[u8]) -> Result<Vec<Descriptor>, Trouble> {
    let wrong = |reason: String| Trouble::plain(reason);
    let mut index: Value = serde_json::from_slice(index).map_err(|error| wrong(error.to_string()))?;
    let entries = index.get_mut("manifests").map_or_else(|| json!([]), Value::take);
    serde_json::from_value(entries).map_err(|error| wrong(error.to_string()))
}
