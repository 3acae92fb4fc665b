//! Referrers of an image: manifests with a `subject` (OCI image specification 1.1), their own referrers, and the images
//! that cosign keeps under tags such as `sha256-….sig`.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::Error;
use super::plan::{MAX_DEPTH, Walk, fetch};
use crate::image::{Descriptor, Digest, Manifest, Name, Tag};
use crate::store::{self, Shared};

/// Limit of an image's referrers, more than any has.
const MAX_COUNT: usize = 10_000;
/// Limit of concurrent queries.
const QUESTIONS: usize = 8;
/// Suffixes of cosign's tags: signature, attestation, bill of materials.
const DIGEST_TAGS: [&str; 3] = ["sig", "att", "sbom"];

/// A manifest that refers to an image.
#[derive(Debug)]
pub(super) struct Referrer {
    /// Its manifest.
    pub(super) manifest: Manifest,
    /// Manifests below it, children before their index.
    pub(super) children: Vec<Manifest>,
    /// Link from the image to the referrer.
    pub(super) link: ReferrerLink,
}

/// Link from an image to a referrer.
#[derive(Debug)]
pub(super) enum ReferrerLink {
    /// Its manifest names this one.
    Subject(Digest),
    /// By a tag with the image's digest in it.
    Tag(String),
}

impl Referrer {
    /// All of its manifests.
    pub(super) fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.children.iter().chain([&self.manifest])
    }

    pub(super) fn subject(&self) -> Option<&Digest> {
        match &self.link {
            ReferrerLink::Subject(subject) => Some(subject),
            ReferrerLink::Tag(_) => None,
        }
    }
}

/// Collects all referrers of the manifests of an image, each after its subject.
pub(super) async fn gather(
    source: &Shared,
    root: &Manifest,
    children: &[Manifest],
    mut walk: Walk,
) -> Result<Vec<Referrer>, Error> {
    walk.seen.insert(root.digest().clone());
    let image = || children.iter().chain([root]).map(Manifest::digest);
    let mut referrers = Vec::new();
    let mut subjects: Vec<Digest> = image().cloned().collect();
    for depth in 0.. {
        let mut next = Vec::new();
        for (subject, manifest) in listed(source, &subjects, &mut walk).await? {
            if depth == MAX_DEPTH || referrers.len() == MAX_COUNT {
                let digest = root.digest().clone();
                return Err(Error::TooManyReferrers { place: source.name(), digest });
            }
            next.push(manifest.digest().clone());
            referrers.push(with_children(source, manifest, ReferrerLink::Subject(subject), &mut walk).await?);
        }
        if next.is_empty() {
            break;
        }
        subjects = next;
    }
    for (tag, manifest) in tagged(source, image()).await? {
        referrers.push(with_children(source, manifest, ReferrerLink::Tag(tag), &mut walk).await?);
    }
    Ok(referrers)
}

async fn with_children(
    source: &Shared,
    manifest: Manifest,
    link: ReferrerLink,
    walk: &mut Walk,
) -> Result<Referrer, Error> {
    walk.count(source, &manifest)?;
    walk.children(source, &manifest, 1).await?;
    Ok(Referrer { manifest, children: std::mem::take(&mut walk.children), link })
}

/// Lists the referrers of these subjects that were not seen before.
async fn listed(
    source: &Shared,
    subjects: &[Digest],
    walk: &mut Walk,
) -> Result<Vec<(Digest, Manifest)>, Error> {
    let ask = |subject: Digest| async move {
        let found = source.referrers(&subject).await?;
        Ok::<_, Error>((subject, found))
    };
    let lists: Vec<(Digest, Vec<Descriptor>)> =
        stream::iter(subjects.to_vec()).map(ask).buffered(QUESTIONS).try_collect().await?;
    let mut wanted = Vec::new();
    for (subject, entries) in lists {
        for entry in entries {
            if walk.seen.insert(entry.digest.clone()) {
                wanted.push((subject.clone(), entry));
            }
        }
    }
    if wanted.len() > MAX_COUNT {
        return Err(Error::TooManyReferrers { place: source.name(), digest: subjects[0].clone() });
    }
    let read = |(subject, entry): (Digest, Descriptor)| async move {
        match fetch(source, &entry).await {
            // A list kept by hand may name deleted manifests, or referrers of another image.
            Ok(manifest) if manifest.subject().as_ref() == Some(&subject) => Ok(Some((subject, manifest))),
            Ok(_) => Ok(None),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    };
    let read: Vec<Option<_>> = stream::iter(wanted).map(read).buffered(QUESTIONS).try_collect().await?;
    Ok(read.into_iter().flatten().collect())
}

/// Finds the tags that contain the digest of one of these manifests, as cosign names them.
async fn tagged(
    source: &Shared,
    image: impl Iterator<Item = &Digest>,
) -> Result<Vec<(String, Manifest)>, Error> {
    let tags = |digest: &Digest| DIGEST_TAGS.map(|kind| format!("{}.{kind}", digest.referrers_tag()));
    let tags: Vec<Tag> = image.flat_map(tags).filter_map(|tag| tag.parse().ok()).collect();
    let read = |tag: Tag| async move {
        match source.manifest(&Name::Tag(tag.clone())).await.map_err(Error::from) {
            Ok(manifest) => Ok(Some((tag.into(), manifest))),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    };
    let read: Vec<Option<_>> = stream::iter(tags).map(read).buffered(QUESTIONS).try_collect().await?;
    Ok(read.into_iter().flatten().collect())
}

fn is_gone(error: &Error) -> bool {
    matches!(
        error,
        Error::Store(store::Error::NoImage { .. } | store::Error::Missing { what: "manifest", .. })
    )
}
