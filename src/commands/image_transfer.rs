//! Copy of one image from a store to a location, into a repository that is created if need be.

use std::path::Path;
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
    /// Copies the image, and creates the destination repository if it is missing and may be created.
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
        let is_destination = is_no_repository(&error, destination);
        if is_destination
            && let Some(target) = target
            && let Some(creation) = self.creation().await
        {
            creation.create(&target.client, &target.repository).await?;
            return copy().await.map_err(explained);
        }
        Err(no_repository(error, is_destination && target.is_some()))
    }

    /// Returns the settings with which to create the destination's repository, or `None` if it may not be created.
    async fn creation(&self) -> Option<Creation> {
        match &self.destination.target {
            Some(target) => Creation::decide(self.create, &target.client, &target.repository).await,
            None => self.create.cloned(),
        }
    }

    /// Plans the transfer without copying anything.
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

/// Adds a hint about `--create` to the error of a missing repository.
fn no_repository(error: transfer::Error, can_be_created: bool) -> anyhow::Error {
    match error {
        transfer::Error::Store(store::Error::Ecr(ecr::Error::NoRepository { repository, source })) => {
            let hint = if can_be_created {
                "; --create creates it".to_owned()
            } else if Path::new(&repository).exists() {
                format!("; for the file or folder of this name write ./{repository}")
            } else {
                String::new()
            };
            let words = format!("the repository {repository} does not exist{hint}");
            anyhow::Error::from(source).context(words)
        }
        error => explained(error),
    }
}

/// Returns whether the error says that the destination's repository does not exist.
fn is_no_repository(error: &transfer::Error, destination: &Shared) -> bool {
    matches!(
        error,
        transfer::Error::Store(store::Error::Ecr(ecr::Error::NoRepository { repository, .. }))
            if *repository == destination.name()
    )
}
