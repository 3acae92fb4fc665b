//! One image as DescribeImages describes it, in few bytes.

use std::num::NonZeroU16;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::image::{Algorithm, Digest, Error, Name};

/// An instant in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(i64);

impl Time {
    /// Reads a time as the service writes it: a number of seconds, or text in RFC 3339.
    pub fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Number(seconds) => {
                let seconds: f64 = seconds.to_string().parse().ok()?;
                let duration = SignedDuration::try_from_secs_f64(seconds).ok()?;
                Some(Self::of(Timestamp::from_duration(duration).ok()?))
            }
            Value::String(text) => text.parse().ok().map(Self::of),
            _ => None,
        }
    }

    /// This instant.
    pub fn of(timestamp: Timestamp) -> Self {
        Self(timestamp.as_microsecond())
    }

    /// The instant as a timestamp.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// Storage status of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// In the standard storage class.
    Active,
    /// Archived: it cannot be pulled.
    Archived,
    /// Being restored from the archive.
    Activating,
}

impl Status {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Archived => "ARCHIVED",
            Self::Activating => "ACTIVATING",
        }
    }
}

/// A digest in 40 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DigestKey {
    Sha256([u8; 32]),
    Other(Box<Digest>),
}

impl DigestKey {
    pub(super) fn of(digest: &Digest) -> Self {
        if digest.algorithm() != Algorithm::Sha256 {
            return Self::Other(Box::new(digest.clone()));
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digest.hexadecimal().as_bytes().chunks_exact(2)) {
            *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
        }
        Self::Sha256(bytes)
    }

    fn digest(&self) -> Digest {
        match self {
            Self::Sha256(bytes) => Digest::of_sha256(bytes),
            Self::Other(digest) => Digest::clone(digest),
        }
    }
}

/// The value of a hexadecimal digit; a digest has no other.
fn nibble(digit: u8) -> u8 {
    if digit.is_ascii_digit() { digit - b'0' } else { digit.wrapping_sub(b'a' - 10) & 15 }
}

/// An image of a repository.
#[derive(Debug, Clone)]
pub struct Image {
    pub(super) key: DigestKey,
    subject: Option<Box<DigestKey>>,
    /// The tags, a line feed after each but the last.
    tags: Box<str>,
    size: Option<u64>,
    pushed: Option<Time>,
    pulled: Option<Time>,
    moved: Option<Box<StorageClassTimes>>,
    pub(super) media_type: Option<NonZeroU16>,
    pub(super) artifact_type: Option<NonZeroU16>,
    status: Status,
}

/// Times at which an image changed its storage class.
#[derive(Debug, Clone)]
struct StorageClassTimes {
    archived: Option<Time>,
    activated: Option<Time>,
}

/// An image, with the texts that a [`super::Graph`] keeps once for all.
#[derive(Debug, Clone)]
pub struct Detail {
    pub(super) image: Image,
    pub(super) account: Option<String>,
    pub(super) media_type: Option<String>,
    pub(super) artifact_type: Option<String>,
}

impl Detail {
    /// Reads an `ImageDetail`. Members that are absent are unknown; a digest or a tag in a form that the service does
    /// not allow is an error.
    pub fn read(detail: &Value) -> Result<Self, Error> {
        let text = |name: &str| detail.get(name).and_then(Value::as_str);
        let time = |name: &str| detail.get(name).and_then(Time::read);
        let digest: Digest = text("imageDigest").unwrap_or_default().parse()?;
        let subject = text("subjectManifestDigest").map(str::parse::<Digest>).transpose()?;
        let mut tags = String::new();
        for tag in detail.get("imageTags").and_then(Value::as_array).into_iter().flatten() {
            let tag = tag.as_str().unwrap_or_default();
            Name::tag(tag)?;
            if !tags.is_empty() {
                tags.push('\n');
            }
            tags.push_str(tag);
        }
        let moved =
            StorageClassTimes { archived: time("lastArchivedAt"), activated: time("lastActivatedAt") };
        let image = Image {
            key: DigestKey::of(&digest),
            subject: subject.as_ref().map(|subject| Box::new(DigestKey::of(subject))),
            tags: tags.into_boxed_str(),
            size: detail.get("imageSizeInBytes").and_then(Value::as_u64),
            pushed: time("imagePushedAt"),
            pulled: time("lastRecordedPullTime"),
            moved: (moved.archived.is_some() || moved.activated.is_some()).then(|| Box::new(moved)),
            media_type: None,
            artifact_type: None,
            status: match text("imageStatus") {
                Some("ARCHIVED") => Status::Archived,
                Some("ACTIVATING") => Status::Activating,
                _ => Status::Active,
            },
        };
        let owned = |name| text(name).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Self {
            image,
            account: owned("registryId"),
            media_type: owned("imageManifestMediaType"),
            artifact_type: owned("artifactMediaType"),
        })
    }

    /// The image itself.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Returns whether the image lists other manifests.
    pub fn is_index(&self) -> bool {
        self.media_type.as_deref().is_some_and(crate::image::media_type::is_index)
    }

    /// The account whose registry the image is in.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }
}

impl Image {
    /// The digest of the manifest.
    pub fn digest(&self) -> Digest {
        self.key.digest()
    }

    /// The tags, in the order of the service.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.split('\n').filter(|tag| !tag.is_empty())
    }

    /// Returns whether the image has a tag.
    pub fn is_tagged(&self) -> bool {
        !self.tags.is_empty()
    }

    /// Returns the digest of the image's subject, from its manifest.
    pub fn subject(&self) -> Option<Digest> {
        self.subject.as_ref().map(|key| key.digest())
    }

    /// The size in bytes as the service counts it: for an index that of its largest child.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Returns the time of the first push.
    pub fn pushed(&self) -> Option<Time> {
        self.pushed
    }

    /// Returns the time of the last pull, to the day; `None` if there was none.
    pub fn pulled(&self) -> Option<Time> {
        self.pulled
    }

    /// Returns the time at which the image was last archived.
    pub fn archived(&self) -> Option<Time> {
        self.moved.as_ref()?.archived
    }

    /// Returns the time at which the image was last restored from the archive.
    pub fn activated(&self) -> Option<Time> {
        self.moved.as_ref()?.activated
    }

    /// Returns the storage status.
    pub fn status(&self) -> Status {
        self.status
    }
}
