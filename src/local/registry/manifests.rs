//! Manifests: read, pushed and deleted by tag or digest; and which manifests refer to one.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::blobs::digest;
use super::{Place, Refusal, Registry};
use crate::image::Digest;
use crate::local::Fault;
use crate::local::upstream;

/// How many referrers one answer lists.
const REFERRERS: usize = 500;
/// How many bytes of manifests one answer is made of, beyond the first.
const REFERRING_BYTES: usize = 1024 * 1024;

/// A manifest that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) digest: String,
    pub(crate) media_type: String,
    pub(crate) length: i64,
    /// The manifest, unless only its head was asked for.
    pub(crate) content: String,
}

/// A manifest that is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Push {
    /// The tag or digest of the URL.
    pub(crate) reference: String,
    /// Further tags to put on it.
    pub(crate) tags: Vec<String>,
    pub(crate) media_type: Option<String>,
    pub(crate) content: String,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pushed {
    pub(crate) digest: String,
    pub(crate) subject: Option<String>,
}

#[derive(Deserialize)]
struct WithSubject {
    subject: Option<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    digest: String,
}

impl Registry<'_> {
    /// A manifest as a pull gets it.
    pub(crate) fn manifest(&self, place: &Place, reference: &str) -> Result<Found, Refusal> {
        let id = identifier(reference)?;
        if place.scope.service == "ecr-public" {
            return self.public_manifest(place, reference, id.contains_key("imageDigest"));
        }
        let input = json!({ "repositoryName": place.name, "imageIds": [id] });
        let answer = self.call(place, "BatchGetImage", input)?;
        let image = &answer["images"][0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if image.is_null() {
            let failure = &answer["failures"][0];
            let code = failure["failureCode"].as_str().unwrap_or_default();
            let reason = text(&failure["failureReason"]);
            return Err(match code {
                "ImageNotFound" | "" => unknown(),
                "UpstreamAccessDenied" => Refusal::new(403, "DENIED", reason),
                "UpstreamTooManyRequests" => Refusal::new(429, "TOOMANYREQUESTS", reason),
                "UpstreamUnavailable" => Refusal::new(502, "UNKNOWN", reason),
                _ => Refusal::new(404, "MANIFEST_UNKNOWN", reason),
            });
        }
        let content = text(&image["imageManifest"]);
        Ok(Found {
            digest: text(&image["imageId"]["imageDigest"]),
            media_type: text(&image["imageManifestMediaType"]),
            length: i64::try_from(content.len()).unwrap_or(i64::MAX),
            content,
        })
    }

    /// A manifest of a public repository. The API of those has no BatchGetImage: only this way leads to it.
    fn public_manifest(&self, place: &Place, reference: &str, is_digest: bool) -> Result<Found, Refusal> {
        self.authorize(place, "BatchGetImage")?;
        let found = self.local.database.read(|connection| {
            let repository = place.repository(connection)?;
            let query = if is_digest {
                "SELECT digest, media_type, content FROM image JOIN manifest ON manifest.image = image.id
                 WHERE repository = ?1 AND digest = ?2 AND status = 'ACTIVE'"
            } else {
                "SELECT digest, media_type, content FROM image_tag AS tag JOIN image ON image.id = tag.image
                 JOIN manifest ON manifest.image = image.id
                 WHERE tag.repository = ?1 AND tag.name = ?2 AND status = 'ACTIVE'"
            };
            let mut statement = connection.prepare_cached(query)?;
            let found = statement.query_row(params![repository, reference], |row| {
                let content: Vec<u8> = row.get(2)?;
                Ok((row.get(0)?, row.get(1)?, content))
            });
            Ok(found.optional()?)
        })?;
        let (digest, media_type, content) = found.ok_or_else(unknown)?;
        let content = String::from_utf8_lossy(&content).into_owned();
        let length = i64::try_from(content.len()).unwrap_or(i64::MAX);
        Ok(Found { digest, media_type, length, content })
    }

    /// What there is to say of a manifest without handing it out, which is no pull.
    pub(crate) fn manifest_head(&self, place: &Place, reference: &str) -> Result<Found, Refusal> {
        let is_digest = identifier(reference)?.get("imageDigest").is_some();
        self.authorize(place, "BatchGetImage")?;
        let known = self.local.database.read(|connection| {
            let key = params![place.repository(connection)?, reference];
            let query = if is_digest {
                "SELECT digest, media_type, length(content), NULL FROM image JOIN manifest ON manifest.image = image.id
                 WHERE repository = ?1 AND digest = ?2 AND status = 'ACTIVE'"
            } else {
                "SELECT digest, media_type, length(content), tag.tagged_at FROM image_tag AS tag JOIN image ON image.id = tag.image
                 JOIN manifest ON manifest.image = image.id
                 WHERE tag.repository = ?1 AND tag.name = ?2 AND status = 'ACTIVE'"
            };
            let mut statement = connection.prepare_cached(query)?;
            let found = statement.query_row(key, |row| {
                let (digest, media_type) = (row.get(0)?, row.get(1)?);
                let tagged_at: Option<i64> = row.get(3)?;
                Ok((Found { digest, media_type, length: row.get(2)?, content: String::new() }, tagged_at))
            });
            // A tag may have to be looked up once more where it came from.
            let Some((found, tagged_at)) = found.optional()? else { return Ok(None) };
            let is_due = match tagged_at {
                Some(at) => upstream::is_due(self.local, connection, &place.scope, &place.name, at)?,
                None => false,
            };
            Ok(if is_due { None } else { Some(found) })
        });
        match known {
            Ok(Some(found)) => Ok(found),
            Err(fault) if fault.code != "RepositoryNotFoundException" => Err(fault.into()),
            // The API may know where else to look.
            _ => self.manifest(place, reference),
        }
    }

    /// Stores a manifest and puts tags on it.
    pub(crate) fn push(&self, place: &Place, push: &Push) -> Result<Pushed, Refusal> {
        let named = identifier(&push.reference)?;
        let given = named.get("imageDigest").and_then(Value::as_str).map(str::to_owned);
        let pushed = match &given {
            Some(given) => digest(given)?.algorithm().of(push.content.as_bytes()),
            None => Digest::of(push.content.as_bytes()),
        };
        if given.as_ref().is_some_and(|given| *given != pushed.to_string()) {
            let text = format!("the manifest's digest is {pushed}, not {}", push.reference);
            return Err(Refusal::new(400, "DIGEST_INVALID", text));
        }
        let mut targets = vec![named];
        for tag in &push.tags {
            targets.push(identifier(tag)?);
        }
        for target in targets {
            let put = || {
                let mut input = target.clone();
                input.insert("repositoryName".to_owned(), place.name.as_str().into());
                input.insert("imageManifest".to_owned(), push.content.as_str().into());
                if let Some(media_type) = &push.media_type {
                    input.insert("imageManifestMediaType".to_owned(), media_type.as_str().into());
                }
                if given.is_some() {
                    input.insert("imageDigest".to_owned(), pushed.to_string().into());
                }
                self.call(place, "PutImage", Value::Object(input))
            };
            match self.creating(place, put) {
                Err(fault) if fault.code != "ImageAlreadyExistsException" => return Err(self.refuse(fault)),
                _ => {}
            }
        }
        let parsed: Option<WithSubject> = serde_json::from_str(&push.content).ok();
        let subject = parsed.and_then(|manifest| manifest.subject).map(|subject| subject.digest);
        Ok(Pushed { digest: pushed.to_string(), subject })
    }

    /// What the refusal of a push is called here.
    fn refuse(&self, fault: Fault) -> Refusal {
        let is_missing_layer = fault.code == "LayersNotFoundException";
        let mut refusal = Refusal::from(fault);
        if self.rules.quirks && refusal.code == "MANIFEST_INVALID" {
            (refusal.status, refusal.code) = (405, "UNSUPPORTED");
        }
        if self.rules.quirks && is_missing_layer {
            refusal.code = "BLOB_UPLOAD_UNKNOWN";
        }
        refusal
    }

    /// Deletes a manifest with its tags, or one tag. Amazon ECR deletes an image with its last tag; the specification
    /// has only the tag go.
    pub(crate) fn delete(&self, place: &Place, reference: &str) -> Result<(), Refusal> {
        let id = identifier(reference)?;
        self.authorize(place, "BatchDeleteImage")?;
        if id.contains_key("imageTag") && !self.rules.quirks {
            let deleted = self.local.database.free(|transaction| {
                let key = params![place.repository(transaction)?, reference];
                let query = "DELETE FROM image_tag WHERE repository = ?1 AND name = ?2";
                Ok(transaction.execute(query, key)? == 1)
            })?;
            return if deleted { Ok(()) } else { Err(unknown()) };
        }
        let input = json!({ "repositoryName": place.name, "imageIds": [id] });
        let answer = self.call(place, "BatchDeleteImage", input)?;
        let failure = &answer["failures"][0];
        let reason = failure["failureReason"].as_str().unwrap_or_default();
        match failure["failureCode"].as_str() {
            None => Ok(()),
            Some("ImageReferencedByManifestList") => Err(Refusal::new(405, "UNSUPPORTED", reason)),
            Some(_) => Err(unknown()),
        }
    }

    /// One page of the manifests that refer to one, as descriptors, and where the next page begins.
    pub(crate) fn referrers(
        &self,
        place: &Place,
        subject: &str,
        artifact_type: Option<&str>,
        after: i64,
    ) -> Result<(Vec<Value>, Option<i64>), Refusal> {
        let subject = digest(subject)?;
        self.authorize(place, "BatchGetImage")?;
        if after == 0
            && self.settled.is_none()
            && let Some(need) = self.referrers_upstream(place, &subject)?
        {
            return Err(need);
        }
        Ok(self.local.database.read(|connection| {
            // A registry that knows the referrers API never answers 404 to it (OCI distribution specification).
            match place.look_up(connection)? {
                None if !self.rules.quirks => Ok((Vec::new(), None)),
                _ => referrers(connection, place.repository(connection)?, &subject, artifact_type, after),
            }
        })?)
    }

    /// The refusal that upstream has to be asked first. Who may not have anything fetched sees what is here.
    fn referrers_upstream(&self, place: &Place, subject: &Digest) -> Result<Option<Refusal>, Refusal> {
        let need = self.local.database.read(|connection| match place.look_up(connection)? {
            Some(_) => upstream::referrers(self.local, connection, &place.scope, &place.name, subject),
            None => Ok(None),
        })?;
        let need = need.filter(|_| self.authorize(place, upstream::ACTION).is_ok());
        Ok(need.map(|need| need.unmet().into()))
    }
}

fn referrers(
    connection: &Connection,
    repository: i64,
    subject: &Digest,
    artifact_type: Option<&str>,
    after: i64,
) -> Result<(Vec<Value>, Option<i64>), Fault> {
    // Rows are read one by one, and no further than they are wanted.
    let mut statement = connection.prepare_cached(
        "SELECT image.id, digest, media_type, artifact_type, content
         FROM image JOIN manifest ON manifest.image = image.id
         WHERE repository = ?1 AND subject = ?2 AND image.id > ?3 AND status = 'ACTIVE'
               AND (?4 IS NULL OR artifact_type = ?4)
         ORDER BY image.id",
    )?;
    let key = params![repository, subject.to_string(), after, artifact_type];
    let mut rows = statement.query(key)?;
    let (mut descriptors, mut last, mut bytes) = (Vec::new(), 0, 0);
    while let Some(row) = rows.next()? {
        if descriptors.len() == REFERRERS || bytes > REFERRING_BYTES {
            return Ok((descriptors, Some(last)));
        }
        last = row.get(0)?;
        let content: Vec<u8> = row.get(4)?;
        bytes += content.len();
        descriptors.push(descriptor(row, &content)?);
    }
    Ok((descriptors, None))
}

#[derive(Deserialize)]
struct Annotated {
    annotations: Option<Map<String, Value>>,
}

fn descriptor(row: &Row<'_>, content: &[u8]) -> Result<Value, Fault> {
    let (digest, media_type): (String, String) = (row.get(1)?, row.get(2)?);
    let mut members = json!({ "mediaType": media_type, "digest": digest, "size": content.len() });
    if let Some(artifact_type) = row.get::<_, Option<String>>(3)? {
        members["artifactType"] = artifact_type.into();
    }
    let annotated: Option<Annotated> = serde_json::from_slice(content).ok();
    if let Some(annotations) = annotated.and_then(|annotated| annotated.annotations) {
        members["annotations"] = Value::Object(annotations);
    }
    Ok(members)
}

fn unknown() -> Refusal {
    Refusal::new(404, "MANIFEST_UNKNOWN", "Requested image not found")
}

/// The entry of `imageIds` for a reference in a URL, which is a digest if it has a colon, else a tag.
fn identifier(reference: &str) -> Result<Map<String, Value>, Refusal> {
    let mut id = Map::new();
    if reference.contains(':') {
        id.insert("imageDigest".to_owned(), digest(reference)?.to_string().into());
        return Ok(id);
    }
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_tag = reference.len() <= 128
        && reference.bytes().next().is_some_and(is_word)
        && reference.bytes().all(|byte| is_word(byte) || byte == b'-' || byte == b'.');
    if !is_tag {
        let code = if reference.is_empty() { "MANIFEST_INVALID" } else { "TAG_INVALID" };
        return Err(Refusal::new(400, code, format!("{reference} is not a tag")));
    }
    id.insert("imageTag".to_owned(), reference.into());
    Ok(id)
}
