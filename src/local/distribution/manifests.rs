//! Manifests: read, pushed and deleted by tag or digest; and which manifests refer to one.

use serde_json::{Value, json};

use crate::image::Digest;
use crate::local::core::delete::{NotDeleted, delete_images, delete_tag};
use crate::local::core::error::{Error, ErrorKind};
use crate::local::core::image::Image;
use crate::local::core::image_id::ImageId;
use crate::local::core::pull::{NotPulled, head, pull_images};
use crate::local::core::push::{ImagePush, push_image};
use crate::local::core::referrers::{self, Referrer, ReferrerQuery};
use crate::local::core::registry_id::RepositoryRef;
use crate::local::core::request::IfMissing;
use crate::local::core::upstream::{ACTION, UpstreamErrorKind};
use crate::local::core::upstream_rules;
use crate::local::distribution::blobs::digest;
use crate::local::distribution::error::OciError;
use crate::local::distribution::registry::Registry;

/// Limit of the referrers in one answer.
const REFERRERS: usize = 500;

/// Limit of the bytes of manifests read for one answer, beyond the first.
const REFERRING_BYTES: usize = 1024 * 1024;

/// Manifest in the store, with the data for its answer's headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct StoredManifest {
    pub(in crate::local) digest: String,
    pub(in crate::local) media_type: String,
    pub(in crate::local) length: i64,
    /// Content, empty if only the headers were requested.
    pub(in crate::local) content: String,
}

/// A manifest that is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct Push {
    /// The tag or digest of the URL.
    pub(in crate::local) reference: String,
    /// Further tags to put on it.
    pub(in crate::local) tags: Vec<String>,
    pub(in crate::local) media_type: Option<String>,
    pub(in crate::local) content: String,
}

/// Result of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct Pushed {
    pub(in crate::local) digest: String,
    pub(in crate::local) subject: Option<String>,
}

impl Registry<'_> {
    /// A manifest as a pull gets it.
    pub(in crate::local) fn manifest(
        &self,
        repository: &RepositoryRef,
        reference: &str,
    ) -> Result<StoredManifest, OciError> {
        let id = identifier(reference)?;
        self.authorize(repository, "BatchGetImage")?;
        let pulled = pull_images(&self.request(), repository, std::slice::from_ref(&id));
        let (_, mut pulls) = self.pulled(repository, pulled)?;
        match pulls.pop() {
            Some(Ok((image, content))) => {
                let length = i64::try_from(content.len()).unwrap_or(i64::MAX);
                Ok(StoredManifest { digest: image.digest, media_type: image.media_type, length, content })
            }
            Some(Err(NotPulled::Archived)) => {
                Err(OciError::new(404, "MANIFEST_UNKNOWN", "Requested image is archived"))
            }
            Some(Err(NotPulled::Upstream(failure))) => Err(match failure.kind {
                UpstreamErrorKind::Missing => unknown(),
                UpstreamErrorKind::Denied => OciError::new(403, "DENIED", failure.reason),
                UpstreamErrorKind::Throttled => OciError::new(429, "TOOMANYREQUESTS", failure.reason),
                UpstreamErrorKind::Unavailable | UpstreamErrorKind::LocalStorage => {
                    OciError::new(502, "UNKNOWN", failure.reason)
                }
            }),
            Some(Err(NotPulled::Unresolved(_))) | None => Err(unknown()),
        }
    }

    /// Facts about a manifest without its bytes, which is no pull.
    pub(in crate::local) fn manifest_head(
        &self,
        repository: &RepositoryRef,
        reference: &str,
    ) -> Result<StoredManifest, OciError> {
        let id = identifier(reference)?;
        self.authorize(repository, "BatchGetImage")?;
        match head(&self.request(), repository, &id)? {
            Some((image, length)) => {
                let Image { digest, media_type, .. } = image;
                Ok(StoredManifest { digest, media_type, length, content: String::new() })
            }
            // A pull may know where else to look.
            None => self.manifest(repository, reference),
        }
    }

    /// Stores a manifest and puts tags on it.
    pub(in crate::local) fn push(&self, repository: &RepositoryRef, push: &Push) -> Result<Pushed, OciError> {
        let ImageId { digest: given, tag } = identifier(&push.reference)?;
        let pushed = match &given {
            Some(given) => digest(given)?.algorithm().of(push.content.as_bytes()),
            None => Digest::of(push.content.as_bytes()),
        };
        if given.is_some_and(|given| given != pushed.to_string()) {
            let text = format!("the manifest's digest is {pushed}, not {}", push.reference);
            return Err(OciError::new(400, "DIGEST_INVALID", text));
        }
        let mut tags: Vec<&str> = tag.as_deref().into_iter().collect();
        for tag in &push.tags {
            if let ImageId { digest: Some(_), .. } = identifier(tag)? {
                return Err(OciError::new(400, "TAG_INVALID", format!("{tag} is not a tag")));
            }
            tags.push(tag);
        }
        self.authorize(repository, "PutImage")?;
        let text = pushed.to_string();
        let image = ImagePush {
            manifest: &push.content,
            media_type: push.media_type.as_deref(),
            digest: push.reference.contains(':').then_some(text.as_str()),
            tags: &tags,
            if_missing: IfMissing::Create,
            must_change: false,
        };
        let stored = push_image(&self.request(), repository, &image).map_err(|error| self.refuse(error))?;
        Ok(Pushed { digest: text, subject: stored.image.subject })
    }

    /// Error code for a refused push in the distribution API.
    fn refuse(&self, error: Error) -> OciError {
        let is_missing_layer = error.kind == ErrorKind::LayersNotFound;
        let mut error = OciError::from(error);
        if self.rules.quirks && error.code == "MANIFEST_INVALID" {
            (error.status, error.code) = (405, "UNSUPPORTED");
        }
        if self.rules.quirks && is_missing_layer {
            error.code = "BLOB_UPLOAD_UNKNOWN";
        }
        error
    }

    /// Deletes a manifest with its tags, or one tag. Amazon ECR deletes an image with its last tag; the specification
    /// has only the tag go.
    pub(in crate::local) fn delete(
        &self,
        repository: &RepositoryRef,
        reference: &str,
    ) -> Result<(), OciError> {
        let id = identifier(reference)?;
        self.authorize(repository, "BatchDeleteImage")?;
        if let Some(tag) = id.tag.as_deref().filter(|_| !self.rules.quirks) {
            let is_deleted = delete_tag(&self.request(), repository, tag)?;
            return if is_deleted { Ok(()) } else { Err(unknown()) };
        }
        let mut done = delete_images(&self.request(), repository, &[id])?;
        match done.failures.pop() {
            None => Ok(()),
            Some((_, NotDeleted::Listed(lists))) => {
                let text = format!("Requested image referenced by manifest list: [{}]", lists.join(", "));
                Err(OciError::new(405, "UNSUPPORTED", text))
            }
            Some((_, NotDeleted::Unresolved(_))) => Err(unknown()),
        }
    }

    /// One page of the manifests that refer to one, as descriptors, and where the next page begins.
    pub(in crate::local) fn referrers(
        &self,
        repository: &RepositoryRef,
        subject: &str,
        artifact_type: Option<&str>,
        after: i64,
    ) -> Result<(Vec<Value>, Option<i64>), OciError> {
        let subject = digest(subject)?;
        self.authorize(repository, "BatchGetImage")?;
        if after == 0
            && self.fetch_results.is_none()
            && let Some(need) = self.referrers_upstream(repository, &subject)?
        {
            return Err(need);
        }
        let subject = subject.to_string();
        let query = ReferrerQuery {
            subject: Some(&subject),
            after,
            status: "ACTIVE",
            artifact_types: artifact_type.as_ref().map(std::slice::from_ref),
            limit: REFERRERS,
            max_bytes: REFERRING_BYTES,
        };
        let (page, has_more) = self.local.read(|connection| {
            // A registry that knows the referrers API never answers 404 to it (OCI distribution specification).
            match repository.look_up(connection)? {
                None if !self.rules.quirks => Ok((Vec::new(), false)),
                _ => referrers::list(connection, repository.find(connection)?.id, &query),
            }
        })?;
        let next = page.last().filter(|_| has_more).map(|last| last.image.id);
        Ok((page.into_iter().map(descriptor).collect(), next))
    }

    /// Returns the error that upstream has to be asked first. Who may not have anything fetched sees what is here.
    fn referrers_upstream(
        &self,
        repository: &RepositoryRef,
        subject: &Digest,
    ) -> Result<Option<OciError>, OciError> {
        let need = self.local.read(|connection| match repository.look_up(connection)? {
            Some(_) => upstream_rules::referrers(
                self.local,
                connection,
                &repository.scope,
                &repository.name,
                subject,
            ),
            None => Ok(None),
        })?;
        let need = need.filter(|_| self.authorize(repository, ACTION).is_ok());
        Ok(need.map(|need| need.unmet().into()))
    }
}

fn descriptor(referrer: Referrer) -> Value {
    let Referrer { image, length, annotations } = referrer;
    let mut members = json!({ "mediaType": image.media_type, "digest": image.digest, "size": length });
    if let Some(artifact_type) = image.artifact_type {
        members["artifactType"] = artifact_type.into();
    }
    if let Some(annotations) = annotations {
        members["annotations"] = json!(annotations);
    }
    members
}

fn unknown() -> OciError {
    OciError::new(404, "MANIFEST_UNKNOWN", "Requested image not found")
}

/// Reads the reference in a URL, which is a digest if it has a colon, else a tag.
fn identifier(reference: &str) -> Result<ImageId, OciError> {
    if reference.contains(':') {
        return Ok(ImageId { digest: Some(digest(reference)?.to_string()), tag: None });
    }
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_tag = reference.len() <= 128
        && reference.bytes().next().is_some_and(is_word)
        && reference.bytes().all(|byte| is_word(byte) || byte == b'-' || byte == b'.');
    if !is_tag {
        let code = if reference.is_empty() { "MANIFEST_INVALID" } else { "TAG_INVALID" };
        return Err(OciError::new(400, code, format!("{reference} is not a tag")));
    }
    Ok(ImageId { digest: None, tag: Some(reference.to_owned()) })
}
