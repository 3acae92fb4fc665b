//! The part of a plan that the destination is missing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::plan::{Blobs, Plan};
use super::progress::{Event, Progress};
use super::referrers::{Referrer, ReferrerLink};
use super::{Error, Options, Outcome};
use crate::image::{Descriptor, Digest};
use crate::store::Shared;

/// Limit of concurrent queries.
const QUESTIONS: usize = 8;

/// The part of a [`Plan`] that the destination does not have yet.
pub(super) struct Missing<'a> {
    /// The image itself is missing.
    pub(super) image: bool,
    /// Tags that do not name the image yet; `None` if the image exists under all of them.
    pub(super) tags: Option<Vec<String>>,
    /// The referrers that are missing.
    pub(super) referrers: Vec<&'a Referrer>,
    /// Image or referrers are missing, so that blobs may be too.
    pub(super) content: bool,
    /// The blobs that missing manifests list, once each.
    pub(super) blobs: Vec<Descriptor>,
    /// Number of blobs in the whole plan.
    all: usize,
}

impl<'a> Missing<'a> {
    /// Asks the destination; without one, everything is missing.
    pub(super) async fn find(
        destination: Option<&Shared>,
        plan: &'a Plan,
        options: &Options,
    ) -> Result<Self, Error> {
        let held = match destination {
            Some(destination) => destination.image_tags(plan.root.digest()).await?,
            None => None,
        };
        let held = match (destination, held) {
            (Some(destination), Some(mut tags)) if missing_tags(Some(&tags), &options.tags).is_some() => {
                tags.extend(destination.tags_naming(plan.root.digest(), &options.tags).await?);
                Some(tags)
            }
            (_, held) => held,
        };
        let referrers = match destination {
            Some(destination) => missing_referrers(destination, &plan.referrers).await?,
            None => plan.referrers.iter().collect(),
        };
        let (mut all, mut blobs) = (Blobs::default(), Blobs::default());
        for manifest in plan.image() {
            all.add(manifest);
            if held.is_none() {
                blobs.add(manifest);
            }
        }
        plan.referrers.iter().flat_map(Referrer::manifests).for_each(|manifest| all.add(manifest));
        referrers.iter().flat_map(|referrer| referrer.manifests()).for_each(|manifest| blobs.add(manifest));
        Ok(Self {
            image: held.is_none(),
            tags: missing_tags(held.as_deref(), &options.tags),
            content: held.is_none() || !referrers.is_empty(),
            referrers,
            blobs: blobs.list,
            all: all.list.len(),
        })
    }

    /// Fails if the destination would refuse one of the tags.
    pub(super) async fn check_tags(&self, destination: &Shared, plan: &Plan) -> Result<(), Error> {
        if let Some(tags) = self.tags.as_ref().filter(|tags| !tags.is_empty()) {
            destination.check_tags(plan.root.digest(), tags).await?;
        }
        for referrer in &self.referrers {
            if let ReferrerLink::Tag(tag) = &referrer.link {
                destination.check_tags(referrer.manifest.digest(), std::slice::from_ref(tag)).await?;
            }
        }
        Ok(())
    }

    /// An outcome before anything moved.
    pub(super) fn outcome(&self, plan: &Plan) -> Outcome {
        Outcome {
            digest: plan.root.digest().clone(),
            rewritten: plan.rewritten,
            blobs: 0,
            bytes: 0,
            present: self.all,
            referrers: plan.referrers.len(),
            compressed: 0,
        }
    }

    /// Returns the blobs that are transferred, and reports them.
    pub(super) fn moving(
        &self,
        missing: &HashSet<Digest>,
        outcome: &mut Outcome,
        progress: &Arc<dyn Progress>,
    ) -> Vec<&Descriptor> {
        let blobs: Vec<&Descriptor> =
            self.blobs.iter().filter(|blob| missing.contains(&blob.digest)).collect();
        let bytes = blobs.iter().map(|blob| blob.size).fold(0, u64::saturating_add);
        progress.hear(Event::Planned { blobs: blobs.len(), bytes, present: outcome.present - blobs.len() });
        blobs
    }
}

/// The tags that the image does not have yet; `None` where nothing is left to do.
fn missing_tags(held: Option<&[String]>, wanted: &[String]) -> Option<Vec<String>> {
    let Some(held) = held else { return Some(wanted.to_vec()) };
    let missing: Vec<String> = wanted.iter().filter(|tag| !held.contains(tag)).cloned().collect();
    (!missing.is_empty()).then_some(missing)
}

/// Returns the referrers that the destination is missing. Asks once per subject, not once per referrer.
async fn missing_referrers<'a>(
    destination: &Shared,
    referrers: &'a [Referrer],
) -> Result<Vec<&'a Referrer>, Error> {
    let subjects: HashSet<&Digest> = referrers.iter().filter_map(Referrer::subject).collect();
    let ask = |subject: Digest| async move {
        let there = destination.existing_referrers(&subject).await?;
        Ok::<_, Error>((subject, there))
    };
    let subjects: Vec<Digest> = subjects.into_iter().cloned().collect();
    let there: HashMap<Digest, HashSet<Digest>> =
        stream::iter(subjects).map(ask).buffer_unordered(QUESTIONS).try_collect().await?;
    let mut missing = Vec::new();
    for each in referrers {
        let digest = each.manifest.digest();
        let here = match &each.link {
            ReferrerLink::Subject(subject) => there.get(subject).is_some_and(|there| there.contains(digest)),
            ReferrerLink::Tag(tag) => {
                destination.image_tags(digest).await?.is_some_and(|tags| tags.contains(tag))
            }
        };
        if !here {
            missing.push(each);
        }
    }
    Ok(missing)
}
