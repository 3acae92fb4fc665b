//! One repository and its mirror: how a difference is made good.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _};

use super::super::create::Creation;
use super::super::image_transfer::ImageTransfer;
use super::super::location::Location;
use super::super::registry::{self, explained};
use super::super::summary::Row;
use super::deletion::ExtraTags;
use super::difference::{Difference, differ};
use super::options::SyncOptions;
use super::report::{Mirrored, SyncReport};
use super::sync_registry::SyncRegistry;
use crate::error::Error;
use crate::escape::escape;
use crate::image::{Digest, Name, RepositoryName, Tag};
use crate::store::{self, ImageListing, ResumeState};
use crate::transfer::Options;
use crate::transfer::progress::Progress;
use crate::ui::Ui;
use crate::ui::progress::Display;

/// Limit of repositories compared at once.
const COMPARED: usize = 8;

/// A repository and its mirror.
pub(super) struct Mirror {
    name: RepositoryName,
    source: Location,
    destination: Location,
    /// Display name of the mirror.
    below: RepositoryName,
}

impl Mirror {
    pub(super) fn new(
        source: &SyncRegistry,
        name: RepositoryName,
        destination: &SyncRegistry,
        prefix: &str,
    ) -> anyhow::Result<Self> {
        let below: RepositoryName = format!("{prefix}{name}").parse().map_err(registry::wrong)?;
        let (source, destination) = (source.end(&name)?, destination.end(&below)?);
        Ok(Self { name, source, destination, below })
    }

    pub(super) fn keeps(&self) -> ResumeState {
        self.destination.store.keeps()
    }

    /// Compares the tags of both sides: one listing each.
    async fn compare(&self, wanted: &SyncOptions<'_>) -> anyhow::Result<Difference> {
        let chosen = wanted.chosen();
        let (source, mirror) = tokio::join!(
            self.source.store.tags_with_digests(chosen.as_ref()),
            self.destination.store.tags_with_digests(chosen.as_ref())
        );
        let Some(mut source) = source.map_err(|error| explained(error.into()))? else {
            anyhow::bail!("{} has no repository {}", self.source.store.name(), self.name);
        };
        source.images.sort();
        let mirror = match mirror {
            Err(error) if denies_listing(&error) && !wanted.deletion.wanted => {
                Some(self.look_up(&source.images).await?)
            }
            mirror => mirror.map_err(|error| explained(error.into()))?,
        };
        if mirror.is_none()
            && let Some(target) = &self.destination.target
            && Creation::decide(wanted.create, &target.client, &target.repository).await.is_none()
        {
            anyhow::bail!("the repository {} does not exist; --create creates it", self.below);
        }
        Ok(differ(source, &mirror.unwrap_or_default(), wanted))
    }

    /// Looks each tag up at a mirror that takes images and does not list them.
    async fn look_up(&self, source: &[(Tag, Digest)]) -> anyhow::Result<ImageListing> {
        let mut listing = ImageListing::default();
        for (tag, digest) in source {
            let tags = [tag.to_string()];
            let found = self.destination.store.tags_naming(digest, &tags).await;
            if !found.map_err(|error| explained(error.into()))?.is_empty() {
                listing.images.push((tag.clone(), digest.clone()));
            }
        }
        Ok(listing)
    }

    async fn update(
        &self,
        difference: Difference,
        run: &SyncContext<'_>,
        done: &mut Mirrored,
    ) -> anyhow::Result<()> {
        let wanted = run.wanted;
        done.same = difference.same;
        for unreadable in &difference.unreadable {
            let name = escape(&unreadable.name);
            let failed = anyhow::anyhow!("cannot copy {}:{name}: {}", self.name, escape(&unreadable.reason));
            run.bear(done, failed)?;
        }
        let mut refused = HashSet::new();
        // What cannot be is found before anything moves.
        for (tag, digest) in &difference.moved {
            let admitted = self.destination.store.check_tags(digest, &[tag.to_string()]).await;
            if let Err(error) = admitted.map_err(|error| explained(error.into())) {
                run.bear(done, error)?;
                refused.insert(tag);
            }
        }
        for (digest, tags) in &difference.images {
            let tags: Vec<Tag> = tags.iter().filter(|tag| !refused.contains(tag)).cloned().collect();
            if tags.is_empty() && !wanted.referrers {
                continue;
            }
            if let Err(error) = self.copy(digest, &tags, run, done).await {
                if matches!(error.downcast_ref::<Error>(), Some(Error::Interrupted(_))) {
                    return Err(error);
                }
                let names = tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(", ");
                let names = if names.is_empty() { digest.to_string() } else { names };
                run.bear(done, error.context(format!("cannot copy {}:{names}", self.name)))?;
            }
        }
        self.delete(&difference, run, done).await
    }

    async fn copy(
        &self,
        digest: &Digest,
        tags: &[Tag],
        run: &SyncContext<'_>,
        done: &mut Mirrored,
    ) -> anyhow::Result<()> {
        let wanted = run.wanted;
        let transfer = ImageTransfer {
            source: &self.source.store,
            destination: &self.destination,
            create: wanted.create,
        };
        let began = Instant::now();
        let options = Options {
            image: Name::Digest(digest.clone()),
            expected: Some(digest.clone()),
            platforms: Vec::new(),
            tags: tags.iter().map(ToString::to_string).collect(),
            referrers: wanted.referrers,
            buffers: Arc::clone(&wanted.buffers),
            verify: wanted.verify,
            compression: None,
            cache: None,
            jobs: wanted.jobs,
        };
        let outcome = if wanted.dry_run {
            transfer.survey(&options, run.progress).await?
        } else {
            transfer.copy_image(&options, run.progress).await?
        };
        let seconds = (!wanted.dry_run).then(|| began.elapsed().as_secs_f64());
        let image = self.destination.label(&options.tags, digest);
        done.references.extend(tags.iter().map(|tag| format!("{}:{tag}@{digest}", self.below)));
        done.tags.extend(options.tags);
        done.rows.push(Row { image, outcome, seconds });
        Ok(())
    }

    /// Deletes the tags that the source does not have, if that is certain and requested. Nothing is deleted where
    /// something could not be copied (the old image would be gone before the new one is stored), or where the source
    /// listed a name that is no tag or has no image: such a listing proves nothing about the tags that it lacks.
    async fn delete(
        &self,
        difference: &Difference,
        run: &SyncContext<'_>,
        done: &mut Mirrored,
    ) -> anyhow::Result<()> {
        let Difference { extra, at_mirror, source_has_tags, source_is_list, .. } = difference;
        if !run.wanted.deletion.wanted || extra.is_empty() {
            return Ok(());
        }
        if !done.failures.is_empty() {
            run.display
                .note(&format!("nothing is deleted in {}, as not everything could be copied", self.below));
            return Ok(());
        }
        let extra = ExtraTags {
            mirror: &self.below,
            tags: extra,
            of: *at_mirror,
            source_has_tags: *source_has_tags,
            source_is_list: *source_is_list,
        };
        if !run.wanted.dry_run {
            if !run.wanted.deletion.allows(&extra, run.ui).await? {
                run.display.note(&format!("nothing was deleted in {}", self.below));
                return Ok(());
            }
            let removed = self.destination.store.untag(extra.tags).await;
            removed.map_err(|error| explained(error.into()))?;
        }
        let deleted = if run.wanted.dry_run { "would delete" } else { "deleted" };
        for tag in extra.tags {
            run.display.note(&format!("{deleted} the tag {tag}"));
        }
        done.deleted = extra.tags.iter().map(ToString::to_string).collect();
        Ok(())
    }
}

/// Returns whether a registry denies listing tags, which says nothing about pushes.
fn denies_listing(error: &store::Error) -> bool {
    match error {
        store::Error::Registry(error) => error.is_denial(),
        store::Error::Ecr(store::ecr::Error::Service(error)) => error.code() == Some("AccessDeniedException"),
        _ => false,
    }
}

/// Surroundings of the mirrors: options, display and progress.
pub(super) struct SyncContext<'a> {
    pub(super) wanted: &'a SyncOptions<'a>,
    pub(super) progress: &'a Arc<dyn Progress>,
    pub(super) display: &'a Display,
    pub(super) ui: &'a Ui,
}

impl SyncContext<'_> {
    /// Notes a failure with `--keep-going`; without it, it is the end.
    fn bear(&self, done: &mut Mirrored, error: anyhow::Error) -> anyhow::Result<()> {
        if !self.wanted.keep_going {
            return Err(error);
        }
        self.display.note(&format!("{error:#}"));
        done.failures.push(error);
        Ok(())
    }

    /// Mirrors all repositories. They are compared several at once; what differs is copied one after another, as each
    /// image moves several layers at once and ECR takes few manifests a second.
    pub(super) async fn all(&self, mirrors: &[Mirror], report: &mut SyncReport) -> anyhow::Result<()> {
        let compare = |mirror| async move { (mirror, Mirror::compare(mirror, self.wanted).await) };
        let mut compared = stream::iter(mirrors).map(compare).buffered(COMPARED);
        while let Some((mirror, difference)) = compared.next().await {
            let mut done = Mirrored::new(&mirror.name, &mirror.below);
            let began = Instant::now();
            let result = match difference {
                Ok(difference) => {
                    if !difference.images.is_empty() || !difference.extra.is_empty() {
                        self.display.note(&format!("{}:", mirror.below));
                    }
                    mirror.update(difference, self, &mut done).await
                }
                Err(error) => Err(error),
            };
            done.seconds = began.elapsed().as_secs_f64();
            let ended = match result {
                Ok(()) => Ok(()),
                Err(error) if matches!(error.downcast_ref::<Error>(), Some(Error::Interrupted(_))) => {
                    Err(error)
                }
                Err(error) if self.wanted.keep_going => {
                    self.display.note(&format!("{}: {error:#}", mirror.name));
                    done.failures.push(error);
                    Ok(())
                }
                Err(error) => {
                    done.error = Some(format!("{error:#}"));
                    Err(error.context(format!("cannot mirror {}", mirror.name)))
                }
            };
            report.add(done);
            ended?;
        }
        Ok(())
    }
}
