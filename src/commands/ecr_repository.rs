//! A repository of Amazon ECR that a command was given, with the client and the settings that reach it.

use super::registry::{journal_of, network, settings_of};
use crate::image::{Name, Reference, Registry, RepositoryName};
use crate::model;
use crate::service::Client;
use crate::settings::Settings;
use crate::store::ecr::{Ecr, Network, Repository};
use crate::store::{Journal, Shared};

/// Repository of Amazon ECR, with its client and the name of an image.
pub(super) struct EcrRepository {
    pub(super) client: Client,
    pub(super) repository: Repository,
    pub(super) name: Name,
    network: Network,
    journal: Option<Journal>,
    /// The region and the endpoint.
    place: (Option<String>, Option<String>),
}

impl EcrRepository {
    /// Connects to the registry of a reference.
    pub(super) fn of(settings: &Settings, reference: Reference) -> anyhow::Result<Self> {
        let registry = match &reference.registry {
            Some(Registry::Ecr { account, .. }) => Some(account.clone()),
            _ => None,
        };
        let settings = settings_of(settings, reference.registry.as_ref())?;
        let network = network(&settings)?;
        let client = super::connect(&settings, model::ecr())?;
        let repository = Repository { registry, name: reference.repository };
        let journal = journal(&settings)?;
        let place = (settings.region()?, settings.endpoint("ecr")?);
        Ok(Self { client, repository, name: reference.name, network, journal, place })
    }

    /// Switches to the registry of another account, if one is named.
    pub(super) fn of_account(mut self, account: Option<&str>) -> Self {
        if let Some(account) = account {
            self.repository.registry = Some(account.to_owned());
        }
        self
    }

    /// Another repository of the same registry, over the same client.
    pub(super) fn sibling(&self, repository: &RepositoryName) -> Self {
        Self {
            client: self.client.clone(),
            repository: Repository { name: repository.clone(), ..self.repository.clone() },
            name: Name::Unnamed,
            network: self.network.clone(),
            journal: self.journal.clone(),
            place: self.place.clone(),
        }
    }

    /// Returns whether two repositories may be in one registry, as far as can be told without a request.
    pub(super) fn may_share_registry(&self, other: &Self) -> bool {
        let known = |one: &Self| one.repository.registry.clone();
        let accounts = known(self).zip(known(other)).is_none_or(|(one, other)| one == other);
        accounts && self.place == other.place
    }

    /// The repository as a store.
    pub(super) fn store(&self) -> Shared {
        let (client, repository) = (self.client.clone(), self.repository.clone());
        let store = Ecr::new(client, repository, self.network.clone());
        std::sync::Arc::new(match &self.journal {
            Some(journal) => store.with_journal(journal.clone()),
            None => store,
        })
    }
}

/// Returns the journal of unfinished uploads, with what tells registries apart there.
fn journal(settings: &Settings) -> anyhow::Result<Option<Journal>> {
    let local = if settings.local() { Some(settings.local_folder()?) } else { None };
    let registry = format!(
        "{:?} {:?} {:?} {local:?}",
        settings.profile(),
        settings.region()?,
        settings.endpoint("ecr")?
    );
    Ok(journal_of(settings, registry))
}
