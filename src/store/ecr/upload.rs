//! Upload of a layer: InitiateLayerUpload, UploadLayerPart in sequence, CompleteLayerUpload.
//!
//! ECR accepts the parts of an upload only in sequence. Its InvalidLayerPartException names the last byte that it has
//! kept (`lastValidByteReceived`), and the upload continues there.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::journal::{JournalEntry, UploadState};
use super::super::pending::{PendingBlob, StartedUpload};
use super::super::stream::{Part, Parts, part};
use super::super::{Reader, Source, Written};
use super::calls::Calls;
use super::{Ecr, Error, MEBIBYTE, text};
use crate::image::{Algorithm, Descriptor};
use crate::service::{self, Prepared};
use crate::store;

/// Limits of the part size that the service may name: ECR's own.
const MIN_PART: usize = 5 * MEBIBYTE;
const MAX_PART: usize = 20 * MEBIBYTE;
/// Number of parts that the memory must hold, so that as many layers move at once as by default.
const PARTS_IN_MEMORY: usize = 4;
/// An upload has at most this many parts.
const MAX_PARTS: u64 = 4200;
/// Attempts of an upload that the service has forgotten.
const UPLOADS: u32 = 3;
/// Limit of corrected offsets in a row without progress in between.
const CORRECTIONS: u32 = 5;

struct Upload<'a> {
    store: &'a Ecr,
    blob: &'a Descriptor,
    state: UploadState,
    entry: Option<&'a JournalEntry>,
}

/// Uploads a blob.
pub(super) async fn upload(store: &Ecr, blob: &Descriptor, source: &Source) -> Result<Written, store::Error> {
    let (entry, known) = if let Some(StartedUpload { state, certain, entry }) = source.started_upload() {
        (entry, Some((state, certain)))
    } else {
        let entry = entry(store, blob);
        let known = entry.as_ref().and_then(JournalEntry::read).map(|state| (state, false));
        (entry, known)
    };
    let entry = entry.as_ref();
    let mut upload = match Upload::take_up(store, blob, known, entry).await? {
        Some(upload) => upload,
        None => Upload::begin(store, blob, source, entry).await?,
    };
    for attempt in 1.. {
        let result = upload.run(source).await;
        if let Some(entry) = entry.filter(|_| is_over(&result)) {
            entry.remove();
        }
        match result {
            Err(store::Error::Ecr(Error::Service(error)))
                if error.code() == Some("UploadNotFoundException") && attempt < UPLOADS =>
            {
                // Either it expired, or the answer to its completion was lost, or another client completed the same
                // layer meanwhile.
                if store.missing(std::slice::from_ref(blob)).await?.is_empty() {
                    return Ok(Written::Present);
                }
                source.arrived(0);
                upload = Upload::begin(store, blob, source, entry).await?;
            }
            // The layer's digest is another one, or its bytes make no sense: whose fault is it?
            Err(error) if is_refused(&error) => {
                source.examine().await?;
                return Err(error);
            }
            result => return result,
        }
    }
    unreachable!("the last attempt returns")
}

/// Uploads a layer that is still being produced, in the smallest parts: their memory comes on top of the
/// producers'.
pub(super) async fn begin(store: &Ecr, pending: &PendingBlob) -> Result<(), store::Error> {
    let entry = entry(store, pending.source().blob());
    if let Some(state) = entry.as_ref().and_then(JournalEntry::read) {
        // An earlier run's. How far it is will be asked when the layer is whole.
        pending.hold(StartedUpload { state, certain: false, entry });
        return Ok(());
    }
    let size = part_size(None, pending.source().blob().size, 0);
    let mut reader = pending.source().reader().await?;
    let mut part = read(pending, &mut *reader, 0, size).await?;
    if part.bytes.len() < size {
        return Ok(());
    }
    let (identifier, _) = initiate(store).await?;
    let state = UploadState { identifier: identifier.clone(), part_size: size, next: 0 };
    pending.hold(StartedUpload { state, certain: true, entry });
    while !part.bytes.is_empty() {
        let (calls, identifier) = (Arc::clone(&store.calls), identifier.clone());
        let (first, end) = (part.first, part.end());
        let call = tokio::task::spawn_blocking(move || call(&calls, &identifier, part));
        let call = call.await.expect("encoding does not panic").map_err(Error::Service)?;
        pending.note(first, false);
        store.calls.send(&call).await.map_err(Error::Service)?;
        pending.note(end, true);
        pending.source().arrived(end);
        drop(call);
        part = read(pending, &mut *reader, end, size).await?;
    }
    Ok(())
}

async fn read(
    pending: &PendingBlob,
    reader: &mut dyn Reader,
    first: u64,
    size: usize,
) -> Result<Part, store::Error> {
    let mut buffer = pending.source().buffers().lend(size).await;
    let bytes = reader.read(std::mem::take(&mut buffer.bytes), size).await?;
    Ok(part(buffer, first, bytes))
}

fn entry(store: &Ecr, blob: &Descriptor) -> Option<JournalEntry> {
    store.journal.as_ref().and_then(|journal| journal.entry(&store.calls.place(), &blob.digest))
}

/// Begins an upload: its identifier, and the size of parts that the service names.
async fn initiate(store: &Ecr) -> Result<(String, Option<u64>), Error> {
    const OPERATION: &str = "InitiateLayerUpload";
    let answer = store.calls.call(OPERATION, json!({})).await?;
    let identifier = text(&answer, "uploadId");
    let identifier = identifier.ok_or_else(|| store.calls.nonsense(OPERATION, "no uploadId"))?;
    Ok((identifier.to_owned(), number(&answer, "partSize")))
}

/// Returns whether the upload cannot be resumed: the layer is complete, or the service refuses its bytes.
fn is_over(result: &Result<Written, store::Error>) -> bool {
    match result {
        Ok(_) => true,
        Err(store::Error::Ecr(Error::Service(error))) => {
            error.refusal().is_some_and(|refusal| refusal.code.contains("Layer"))
        }
        Err(_) => false,
    }
}

/// Returns whether a layer was refused as invalid.
fn is_refused(error: &store::Error) -> bool {
    matches!(error, store::Error::Ecr(Error::Service(error)) if error.code() == Some("InvalidLayerException"))
}

/// Returns the size of an upload's parts: the service's, less if the memory would not hold enough of them, and more if
/// the layer would otherwise have too many.
fn part_size(named: Option<u64>, layer: u64, memory: usize) -> usize {
    let named = named.and_then(|named| usize::try_from(named).ok()).unwrap_or(0);
    let least = usize::try_from(layer.div_ceil(MAX_PARTS)).unwrap_or(usize::MAX);
    named.min(memory / PARTS_IN_MEMORY).max(least).clamp(MIN_PART, MAX_PART)
}

impl UploadState {
    fn fits(&self, blob: &Descriptor) -> bool {
        (MIN_PART..=MAX_PART).contains(&self.part_size) && self.next <= blob.size
    }
}

impl<'a> Upload<'a> {
    async fn begin(
        store: &'a Ecr,
        blob: &'a Descriptor,
        source: &Source,
        entry: Option<&'a JournalEntry>,
    ) -> Result<Self, Error> {
        let (identifier, named) = initiate(store).await?;
        let part_size = part_size(named, blob.size, source.buffers().budget());
        let upload = Self { store, blob, state: UploadState { identifier, part_size, next: 0 }, entry };
        upload.note(0);
        Ok(upload)
    }

    /// An upload that began before the layer was whole or in an earlier run. Where it is not `known` for certain how
    /// far it is, since answers may have been lost, the service says so. No operation tells it, but a part in the wrong
    /// place is refused with it. One byte far behind the layer never is in the right place.
    async fn take_up(
        store: &'a Ecr,
        blob: &'a Descriptor,
        known: Option<(UploadState, bool)>,
        entry: Option<&'a JournalEntry>,
    ) -> Result<Option<Self>, Error> {
        let Some((state, certain)) = known.filter(|(state, _)| state.fits(blob)) else {
            return Ok(None);
        };
        if certain {
            return Ok(Some(Self { store, blob, state, entry }));
        }
        let nowhere = Part { first: blob.size + MEBIBYTE as u64, bytes: Bytes::from_static(&[0]) };
        let question = call(&store.calls, &state.identifier, nowhere).map_err(Error::Service)?;
        let mut failures = 0;
        let next = loop {
            match store.calls.send(&question).await.map_err(|error| (wanted(&error), error)) {
                // It took the byte, and is no use any more.
                Ok(_) => return Ok(None),
                Err((Some(next), _)) => break next,
                Err((None, error)) if error.code() == Some("UploadNotFoundException") => break state.next,
                Err((None, error)) => match store.calls.wait(error, &mut failures).await {
                    // What it thinks of the byte is no reason not to begin again.
                    Err(Error::Service(error)) if error.refusal().is_some() => return Ok(None),
                    waited => waited?,
                },
            }
        };
        let upload = Self { store, blob, state: UploadState { next, ..state }, entry };
        Ok((next <= blob.size).then_some(upload))
    }

    /// Writes down how far it is.
    fn note(&self, next: u64) {
        if let Some(entry) = self.entry {
            entry.write(&UploadState { next, ..self.state.clone() });
        }
    }

    async fn run(&self, source: &Source) -> Result<Written, store::Error> {
        let stream = source.stream_to_verifier().await?;
        let (calls, upload) = (Arc::clone(&self.store.calls), self.state.identifier.clone());
        let ready =
            move |part: Part| Ready { first: part.first, end: part.end(), call: call(&calls, &upload, part) };
        let mut parts = Parts::with(stream, source.buffers(), self.state.part_size, ready);
        if self.state.next > 0 {
            // What was sent by an earlier run is not sent again; hashed it is, unless the source is trusted.
            parts.seek(self.state.next).await?;
            source.arrived(self.state.next);
        }
        let (mut furthest, mut corrections, mut failures) = (0, 0, 0);
        while let Some(Ready { first, end, call }) = parts.next().await? {
            let call = call.map_err(Error::Service)?;
            let report = source.reporter();
            call.watch(move |sent| report(first + sent));
            let next = loop {
                match self.store.calls.send(&call).await.map_err(|error| (wanted(&error), error)) {
                    Ok(_) => break end,
                    Err((Some(next), _)) => break next,
                    Err((None, error)) => self.store.calls.wait(error, &mut failures).await?,
                }
            };
            // The next part may need its buffer.
            drop(call);
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

    async fn complete(&self) -> Result<Written, Error> {
        const OPERATION: &str = "CompleteLayerUpload";
        let members = json!({"uploadId": self.state.identifier, "layerDigests": [self.blob.digest]});
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

/// A part that can be sent.
struct Ready {
    first: u64,
    /// The offset behind it.
    end: u64,
    call: Result<Prepared, service::Error>,
}

fn call(calls: &Calls, upload: &str, part: Part) -> Result<Prepared, service::Error> {
    let members = json!({"uploadId": upload, "partFirstByte": part.first, "partLastByte": part.end() - 1});
    calls.prepare("UploadLayerPart", members, "layerPartBlob", part.bytes)
}

/// Returns the offset at which the service wants the next part, if it refused one as out of sequence.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_what_service_memory_and_layer_allow() {
        let mebibytes = |size: usize| size * MEBIBYTE;
        for (named, layer, memory, expected) in [
            (Some(10), 1, 44, 10),
            (Some(20), 1, 44, 11),
            (Some(20), 1, 400, 20),
            (Some(10), 1, 12, 5),
            (Some(1000), 1, 400, 20),
            (Some(1), 1, 44, 5),
            (None, 1, 44, 5),
            (Some(10), 4200 * 16, 44, 16),
        ] {
            let named = named.map(|size| mebibytes(size) as u64);
            let found = part_size(named, mebibytes(layer) as u64, mebibytes(memory));
            assert_eq!(found, mebibytes(expected), "{named:?} {layer} {memory}");
        }
    }
}
