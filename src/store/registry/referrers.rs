//! Referrers of an image (OCI distribution specification 1.1, "Listing Referrers"): asked of the registry, or kept in
//! an index under a tag of its own if the registry has no such API ("Referrers Tag Schema").

use serde_json::{Value, json};

use super::super::ListWalk;
use super::Remote;
use super::error::ResponseError;
use super::resource::Resource;
use super::token::Right;
use crate::image::{Content, Descriptor, Digest, Manifest, Name, media_type};
use crate::store;

/// Statuses with which registries say that they do not list referrers: 404 by the specification, and the others from
/// those that know no such path.
const NOT_LISTED: [u16; 5] = [400, 404, 405, 406, 501];
/// More than any image has.
const MAX_COUNT: usize = 10_000;

impl Remote {
    /// Lists all referrers of an image. A registry that answers something else than an index does not list
    /// referrers; then they are in an index under the subject's own tag.
    pub(super) async fn about(&self, subject: &Digest) -> Result<Vec<Descriptor>, store::Error> {
        let doing = "list the referrers in";
        let failed = |error| self.explained(error, doing);
        let endless = |reason: String| failed(ResponseError::plain(reason));
        let mut found: Vec<Descriptor> = Vec::new();
        let mut walk = ListWalk::default();
        let mut url = self.reads.url(Resource::Referrers(subject)).map_err(failed)?;
        loop {
            walk.enter(url.as_str()).map_err(endless)?;
            let page = self.page(doing, Right::Pull, &url, &NOT_LISTED).await?;
            let entries = page.as_ref().map(|page| entries(&page.body)).transpose().map_err(failed)?;
            let (Some(page), Some(entries)) = (page, entries.flatten()) else {
                if !found.is_empty() {
                    return Err(failed(ResponseError::plain(
                        "its list breaks off: the next page of it is none",
                    ))
                    .into());
                }
                let _ = self.lists_referrers.set(false);
                return self.tagged(subject).await;
            };
            let _ = self.lists_referrers.set(true);
            walk.brought(entries.len()).map_err(endless)?;
            found.extend(entries);
            if found.len() > MAX_COUNT {
                let reason =
                    format!("its list has no end: it has more than {MAX_COUNT} referrers of {subject}");
                return Err(failed(ResponseError::plain(reason)).into());
            }
            match page.next {
                Some(next) => url = next,
                None => return Ok(found),
            }
        }
    }

    /// Lists the referrers in the index under the subject's own tag.
    async fn tagged(&self, subject: &Digest) -> Result<Vec<Descriptor>, store::Error> {
        match self.get(&Name::Tag(subject.referrers_tag())).await {
            Ok(index) => match index.content() {
                Content::Index(entries) => Ok(entries.clone()),
                // An image has this tag.
                Content::Image { .. } => Ok(Vec::new()),
            },
            Err(store::Error::NoImage { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Takes a manifest that is about another, and lists it there where the registry does not.
    pub(super) async fn attach(&self, manifest: &Manifest) -> Result<(), store::Error> {
        self.put(manifest, Resource::Manifest(manifest.digest())).await?;
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
        Ok(self.put(&index, Resource::Tag(&subject.referrers_tag())).await?)
    }
}

/// The entries of an index; `None` where the answer is no index, or one whose list is `null`.
fn entries(answer: &[u8]) -> Result<Option<Vec<Descriptor>>, ResponseError> {
    let Ok(mut index) = serde_json::from_slice::<Value>(answer) else { return Ok(None) };
    match index.get_mut("manifests").map(Value::take) {
        None | Some(Value::Null) => Ok(None),
        Some(entries) => {
            let wrong = |error| ResponseError::plain(format!("its list of referrers is none: {error}"));
            serde_json::from_value(entries).map(Some).map_err(wrong)
        }
    }
}
