//! A layer's way up: InitiateLayerUpload, UploadLayerPart in sequence, CompleteLayerUpload.
//!
//! ECR takes the parts of one upload strictly one after another, and says after a mistake which byte was the last
//! that it kept: the way back is `research/engines.md` 1.2.

use serde_json::{Value, json};

use super::super::stream::{Part, Parts};
use super::super::{Source, Written};
use super::journal::{Page, Record};
use super::{Ecr, Error, MEBIBYTE, text};
use crate::image::{Algorithm, Descriptor};
use crate::{service, store};

/// The service names the size of parts; what it may name is between ECR's limits for a part.
const SMALLEST_PART: usize = 5 * MEBIBYTE;
const LARGEST_PART: usize = 20 * MEBIBYTE;
/// An upload has at most this many parts.
const MOST_PARTS: u64 = 4200;
/// How often an upload that the service has forgotten is begun again.
const UPLOADS: u32 = 3;
/// How often in a row the service may name an offset without anything arriving in between.
const CORRECTIONS: u32 = 5;

struct Upload<'a> {
    store: &'a Ecr,
    blob: &'a Descriptor,
    record: Record,
    page: Option<&'a Page>,
}

/// Uploads a blob.
pub(super) async fn upload(store: &Ecr, blob: &Descriptor, source: &Source) -> Result<Written, store::Error> {
    let page = store.journal.as_ref().and_then(|journal| journal.page(&store.calls.place(), &blob.digest));
    let page = page.as_ref();
    let known = page.and_then(Page::read).filter(|record| record.fits(blob));
    let mut upload = match known {
        Some(record) => Upload { store, blob, record, page },
        None => Upload::begin(store, blob, page).await?,
    };
    for attempt in 1.. {
        let result = upload.run(source).await;
        if let Some(page) = page.filter(|_| is_over(&result)) {
            page.remove();
        }
        match result {
            Err(store::Error::Ecr(Error::Service(error)))
                if error.code() == Some("UploadNotFoundException") && attempt < UPLOADS =>
            {
                // Either it expired, or the answer to its completion was lost, or somebody else completed the same
                // layer meanwhile.
                if store.missing(std::slice::from_ref(blob)).await?.is_empty() {
                    return Ok(Written::Present);
                }
                source.arrived(0);
                upload = Upload::begin(store, blob, page).await?;
            }
            result => return result,
        }
    }
    unreachable!("the last attempt returns")
}

/// Whether there is nothing to go on with: the layer is there, or the service does not want what it has of it.
fn is_over(result: &Result<Written, store::Error>) -> bool {
    match result {
        Ok(_) => true,
        Err(store::Error::Ecr(Error::Service(error))) => {
            error.refusal().is_some_and(|refusal| refusal.code.contains("Layer"))
        }
        Err(_) => false,
    }
}

impl Record {
    fn fits(&self, blob: &Descriptor) -> bool {
        (SMALLEST_PART..=LARGEST_PART).contains(&self.part_size) && self.next <= blob.size
    }
}

impl<'a> Upload<'a> {
    async fn begin(store: &'a Ecr, blob: &'a Descriptor, page: Option<&'a Page>) -> Result<Self, Error> {
        const OPERATION: &str = "InitiateLayerUpload";
        let answer = store.calls.call(OPERATION, json!({})).await?;
        let identifier = text(&answer, "uploadId")
            .ok_or_else(|| store.calls.nonsense(OPERATION, "no uploadId"))?
            .to_owned();
        let named = number(&answer, "partSize").unwrap_or(0).max(blob.size.div_ceil(MOST_PARTS));
        let named = usize::try_from(named).unwrap_or(usize::MAX);
        let part_size = named.clamp(SMALLEST_PART, LARGEST_PART);
        let upload = Self { store, blob, record: Record { identifier, part_size, next: 0 }, page };
        upload.note(0);
        Ok(upload)
    }

    /// Writes down how far it is.
    fn note(&self, next: u64) {
        if let Some(page) = self.page {
            page.write(&Record { next, ..self.record.clone() });
        }
    }

    async fn run(&self, source: &Source) -> Result<Written, store::Error> {
        let buffers = std::sync::Arc::clone(&self.store.buffers);
        let mut parts = Parts::new(source.stream().await?, buffers, self.record.part_size);
        if self.record.next > 0 {
            // What was sent by an earlier run is hashed, and not sent again.
            parts.seek(self.record.next).await?;
            source.arrived(self.record.next);
        }
        let (mut furthest, mut corrections, mut failures) = (0, 0, 0);
        while let Some(part) = parts.next().await? {
            let (first, end) = (part.first, part.end());
            let next = match self.send(part).await.map_err(|error| (wanted(&error), error)) {
                Ok(_) => end,
                Err((Some(next), _)) => next,
                Err((None, error)) => {
                    self.store.calls.wait(error, &mut failures).await?;
                    parts.seek(first).await?;
                    continue;
                }
            };
            failures = 0;
            corrections = if next > furthest { 0 } else { corrections + 1 };
            furthest = next.max(furthest);
            if next > self.blob.size || corrections > CORRECTIONS {
                let reason = format!("the service keeps asking for byte {next} after bytes {first} to {end}");
                return Err(Error::Upload { digest: self.blob.digest.clone(), reason }.into());
            }
            source.arrived(next);
            self.note(next);
            if next != end {
                parts.seek(next).await?;
            }
        }
        parts.verify().await?;
        Ok(self.complete().await?)
    }

    async fn send(&self, part: Part) -> Result<Value, service::Error> {
        let members = json!({
            "uploadId": self.record.identifier,
            "partFirstByte": part.first,
            "partLastByte": part.end() - 1,
        });
        let calls = &self.store.calls;
        calls.call_with_blob("UploadLayerPart", members, "layerPartBlob", part.bytes).await
    }

    async fn complete(&self) -> Result<Written, Error> {
        const OPERATION: &str = "CompleteLayerUpload";
        let members = json!({"uploadId": self.record.identifier, "layerDigests": [self.blob.digest]});
        let answer = match self.store.calls.call(OPERATION, members).await {
            Err(Error::Service(error)) if error.code() == Some("LayerAlreadyExistsException") => {
                return Ok(Written::Present);
            }
            answer => answer?,
        };
        // ECR computes SHA-256 whatever the digest that was asked for.
        let kept = text(&answer, "layerDigest");
        if self.blob.digest.algorithm() == Algorithm::Sha256 && kept != Some(&self.blob.digest.to_string()) {
            let answer = format!("digest {}, expected {}", kept.unwrap_or("none"), self.blob.digest);
            return Err(self.store.calls.nonsense(OPERATION, &answer));
        }
        Ok(Written::Moved)
    }
}

/// The byte after the last that the service kept, where it says that a part does not follow on it.
fn wanted(error: &service::Error) -> Option<u64> {
    let refusal = error.refusal().filter(|refusal| refusal.code == "InvalidLayerPartException")?;
    let last = refusal.members.get("lastValidByteReceived")?;
    // A number keeps its digits as they were written, and -1 is the byte before the first.
    let last: i64 = last.to_string().parse().ok()?;
    u64::try_from(last + 1).ok()
}

fn number(value: &Value, member: &str) -> Option<u64> {
    value.get(member).and_then(Value::as_u64)
}
