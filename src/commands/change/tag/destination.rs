//! A repository in which an image gets tags.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;

use super::super::super::images::content::store;
use super::super::super::images::describe::lookup_graph;
use super::super::super::images::failures::has_code;
use super::super::super::images::selection::Repository;
use super::super::super::registry::explained;
use super::super::super::runtime::Stop;
use super::super::result::ItemResult;
use super::Source;
use crate::image::mutability::is_immutable;
use crate::image::{Digest, Name, Tag};
use crate::store::{Buffers, DEFAULT_MEMORY};
use crate::transfer::progress::{Progress, Silent};
use crate::transfer::{self, Options};

/// Limit of concurrent blob transfers to another repository.
const JOBS: usize = 4;

/// A tag that an image is to get.
#[derive(Debug, Clone)]
pub(super) struct NewTag {
    /// Name as written on the command line.
    pub(super) shown: String,
    pub(super) tag: Tag,
    /// The digest that it names now.
    pub(super) names: Option<Digest>,
    change: Change,
}

/// Decision on a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Create,
    Move,
    /// The tag names the image already.
    Unchanged,
    /// The tag names another image and may stay there.
    Keep,
}

impl Change {
    /// Outcome where it was carried out.
    fn done(self) -> ItemResult {
        ItemResult::Changed(match self {
            Self::Create => "created",
            Self::Move => "moved",
            Self::Unchanged => "unchanged",
            Self::Keep => "kept",
        })
    }
}

impl NewTag {
    pub(super) fn new(shown: &str, tag: Tag) -> Self {
        Self { shown: shown.to_owned(), tag, names: None, change: Change::Create }
    }

    /// Returns whether a call has to set the tag.
    fn is_sent(&self) -> bool {
        matches!(self.change, Change::Create | Change::Move)
    }
}

/// A repository in which an image gets tags.
pub(super) struct Destination {
    pub(super) repository: Repository,
    /// The destination is the repository that the image is in.
    pub(super) is_same: bool,
    pub(super) tags: Vec<NewTag>,
}

impl Destination {
    /// Looks up the present image of each tag and plans its change, or returns the conflicts.
    pub(super) async fn plan(
        &self,
        digest: &Digest,
        if_absent: bool,
        expect: Option<&Digest>,
    ) -> anyhow::Result<Result<Vec<NewTag>, Vec<String>>> {
        let names = join_all(self.tags.iter().map(|tag| self.names(&tag.tag))).await;
        let (mut planned, mut conflicts, mut moving) = (Vec::new(), Vec::new(), false);
        for (tag, names) in self.tags.iter().zip(names) {
            let names = names?;
            let change = match &names {
                Some(names) if names == digest => Change::Unchanged,
                Some(_) if if_absent => Change::Keep,
                Some(_) => Change::Move,
                None => Change::Create,
            };
            let expected = expect.filter(|_| change != Change::Unchanged);
            if let Some(expected) = expected.filter(|expected| Some(*expected) != names.as_ref()) {
                let found = names.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
                conflicts.push(format!("{} names {found}, and not {expected} as --expect says", tag.shown));
            }
            moving |= change == Change::Move;
            planned.push(NewTag { names, change, ..tag.clone() });
        }
        if moving && let Some((mutability, exclusions)) = self.mutability().await? {
            for tag in planned.iter().filter(|tag| tag.change == Change::Move) {
                if is_immutable(&mutability, exclusions.iter().map(String::as_str), &tag.tag) {
                    conflicts.push(format!(
                        "{} names {} and cannot be moved, since the tag mutability of {} is {mutability}; --if-absent \
                         leaves it there",
                        tag.shown,
                        tag.names.as_ref().map_or_else(String::new, ToString::to_string),
                        self.repository.name
                    ));
                }
            }
        }
        Ok(if conflicts.is_empty() { Ok(planned) } else { Err(conflicts) })
    }

    async fn names(&self, tag: &Tag) -> anyhow::Result<Option<Digest>> {
        let found = lookup_graph(&self.repository, &[Name::Tag(tag.clone())]).await?;
        Ok((!found.is_empty()).then(|| found.image(0).digest()))
    }

    /// Returns the repository's tag mutability and the patterns of its exclusion filters; `None` if reading them is
    /// denied, so that PutImage refuses if need be.
    async fn mutability(&self) -> anyhow::Result<Option<(String, Vec<String>)>> {
        let input = json!({"repositoryNames": [self.repository.name]});
        let answer = self.repository.connection.call("DescribeRepositories", input).await;
        let answer = match answer.map_err(anyhow::Error::from) {
            Err(error) if has_code(&error, "AccessDeniedException") => return Ok(None),
            answer => answer?,
        };
        let repository = &answer["repositories"][0];
        let mutability = repository["imageTagMutability"].as_str().unwrap_or("MUTABLE").to_owned();
        let filters = repository["imageTagMutabilityExclusionFilters"].as_array();
        let patterns = filters.into_iter().flatten().filter_map(|filter| filter["filter"].as_str());
        Ok(Some((mutability, patterns.map(str::to_owned).collect())))
    }

    /// Sets the tags, and returns the results. A signal ends it before the next call, and breaks a copy off.
    pub(super) async fn set(&self, source: &Source, tags: &[NewTag], stop: &Stop) -> Vec<ItemResult> {
        let is_copied = !self.is_same && tags.iter().any(NewTag::is_sent) && stop.signal().is_none();
        let copied = if is_copied { stop.or(self.copy(source, tags)).await } else { Ok(()) };
        let mut done = Vec::new();
        for tag in tags {
            done.push(if !tag.is_sent() {
                tag.change.done()
            } else if self.is_same {
                if stop.signal().is_some() { ItemResult::NotReached } else { self.put(source, tag).await }
            } else if !is_copied {
                ItemResult::NotReached
            } else if let Err(error) = &copied {
                self.broken_off(
                    source,
                    tag,
                    if stop.signal().is_some() { ItemResult::NotReached } else { ItemResult::of(error) },
                )
                .await
            } else {
                tag.change.done()
            });
        }
        done
    }

    /// Outcome for a tag where a copy failed or was broken off: a copy sets the tags one by one, so that this one may
    /// name the image already.
    async fn broken_off(&self, source: &Source, tag: &NewTag, otherwise: ItemResult) -> ItemResult {
        match self.names(&tag.tag).await {
            Ok(Some(names)) if names == source.digest => tag.change.done(),
            _ => otherwise,
        }
    }

    /// Sends the manifest as it came, with one tag.
    async fn put(&self, source: &Source, tag: &NewTag) -> ItemResult {
        let failed = |reason: String| ItemResult::of(&anyhow::anyhow!(reason));
        let Some(manifest) = &source.manifest else {
            let reference = &source.reference;
            return failed(format!(
                "the manifest of {reference} cannot be read: it is gone, archived, or of a form other than an image or an \
                 index; a put-image with the manifest that batch-get-image answers tags that, too"
            ));
        };
        let text = match std::str::from_utf8(manifest.bytes()) {
            Ok(text) => text,
            Err(error) => return failed(error.to_string()),
        };
        let input = json!({
            "repositoryName": self.repository.name, "imageManifest": text,
            "imageManifestMediaType": manifest.media_type(), "imageTag": tag.tag, "imageDigest": source.digest
        });
        match self.repository.connection.call("PutImage", input).await {
            Ok(_) => tag.change.done(),
            // Another client set it to the same image in the meantime.
            Err(error) if error.code() == Some("ImageAlreadyExistsException") => {
                ItemResult::Changed("unchanged")
            }
            Err(error) => ItemResult::of_error(&error),
        }
    }

    /// Copies the image with its tags to another repository.
    async fn copy(&self, source: &Source, tags: &[NewTag]) -> anyhow::Result<()> {
        let sent = tags.iter().filter(|tag| tag.is_sent());
        let (from, to) = (store(&source.repository)?, store(&self.repository)?);
        let options = Options {
            image: Name::Digest(source.digest.clone()),
            expected: Some(source.digest.clone()),
            platforms: Vec::new(),
            tags: sent.map(|tag| tag.tag.to_string()).collect(),
            referrers: false,
            buffers: Buffers::within(DEFAULT_MEMORY),
            verify: false,
            compression: None,
            cache: None,
            jobs: JOBS,
        };
        let progress: Arc<dyn Progress> = Arc::new(Silent);
        transfer::copy(&from, &to, &options, &progress).await.map_err(explained)?;
        Ok(())
    }
}
