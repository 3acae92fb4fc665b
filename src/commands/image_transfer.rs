//! One image from a store to a location, into a repository that is created where it has to be.

use std::sync::Arc;

use super::create::Creation;
use super::location::Location;
use super::registry::explained;
use crate::store::{self, Shared, ecr};
use crate::transfer::progress::Progress;
use crate::transfer::{self, Options, Outcome};

/// A transfer of one image.
pub(super) struct ImageTransfer<'a> {
    pub(super) source: &'a Shared,
    pub(super) destination: &'a Location,
    pub(super) create: Option<&'a Creation>,
}

impl ImageTransfer<'_> {
    /// Moves one image, into a repository that is created where it has to be.
    pub(super) async fn copy_image(
        &self,
        options: &Options,
        progress: &Arc<dyn Progress>,
    ) -> anyhow::Result<Outcome> {
        let Location { store: destination, target, .. } = self.destination;
        let copy = || transfer::add(self.source, destination, options, progress);
        let error = match copy().await {
            Ok(outcome) => return Ok(outcome),
            Err(error) => error,
        };
        if is_no_repository(&error, destination)
            && let Some(target) = target
            && let Some(creation) = self.creation().await
        {
            creation.create(&target.client, &target.repository).await?;
            return copy().await.map_err(explained);
        }
        Err(no_repository(error, if target.is_some() { "; --create creates it" } else { "" }))
    }

    /// How the destination's repository is created, if it may be.
    async fn creation(&self) -> Option<Creation> {
        match &self.destination.target {
            Some(target) => Creation::decide(self.create, &target.client, &target.repository).await,
            None => self.create.cloned(),
        }
    }

    /// Finds out what would move.
    pub(super) async fn survey(
        &self,
        options: &Options,
        progress: &Arc<dyn Progress>,
    ) -> anyhow::Result<Outcome> {
        let destination = &self.destination.store;
        let survey = |there| transfer::survey(self.source, there, options, progress);
        match survey(Some(destination)).await {
            Err(error) if is_no_repository(&error, destination) && self.creation().await.is_some() => {
                survey(None).await.map_err(explained)
            }
            result => result.map_err(explained),
        }
    }
}

/// An error with what may help where a repository is missing.
fn no_repository(error: transfer::Error, hint: &str) -> anyhow::Error {
    match error {
        transfer::Error::Store(store::Error::Ecr(ecr::Error::NoRepository { repository, source })) => {
            let words = format!("the repository {repository} does not exist{hint}");
            anyhow::Error::from(source).context(words)
        }
        error => explained(error),
    }
}

/// Whether it is the destination whose repository does not exist.
fn is_no_repository(error: &transfer::Error, destination: &Shared) -> bool {
    matches!(
        error,
        transfer::Error::Store(store::Error::Ecr(ecr::Error::NoRepository { repository, .. }))
            if *repository == destination.name()
    )
}
