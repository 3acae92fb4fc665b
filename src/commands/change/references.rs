//! The images that a command line names, repository by repository.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::argument_types::ReferenceText;
use super::super::images::connection::{Connection, RegistryAddress};
use super::super::images::selection::{Repository, expand};
use super::super::registry::{usage, wrong};
use crate::image::{Name, Reference, Registry};
use crate::settings::Settings;

/// Some images of one repository.
pub(super) struct NamedImages {
    pub(super) repository: Repository,
    /// The images, each once, in the order of the command line.
    pub(super) names: Vec<Name>,
}

/// The images that a command is about.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ReferenceArgs {
    /// The images, as they are written on the command line.
    #[arg(
        help = "Images: [HOST/]REPOSITORY:TAG or [HOST/]REPOSITORY@DIGEST, or - for such on standard input, one a line",
        value_name = "REFERENCE",
        required = true
    )]
    references: Vec<ReferenceText>,
}

impl ReferenceArgs {
    /// Returns whether some references come from standard input.
    pub(super) fn reads_stdin(&self) -> bool {
        read_stdin(&self.references)
    }

    /// Reads them like [`read`].
    pub(super) fn read(&self, settings: &Settings) -> anyhow::Result<Vec<NamedImages>> {
        read(settings, &self.references)
    }
}

/// Returns whether one of these references is `-`, standard input.
pub(super) fn read_stdin(references: &[ReferenceText]) -> bool {
    references.iter().any(|reference| reference.as_str() == "-")
}

/// Parses references, and reads those on standard input if one of them is `-`. Each has to say which image it means:
/// what changes something never takes `latest` for granted.
pub(super) fn read(settings: &Settings, arguments: &[ReferenceText]) -> anyhow::Result<Vec<NamedImages>> {
    let mut connections: Vec<(Option<Registry>, Arc<Connection>)> = Vec::new();
    let mut all: Vec<NamedImages> = Vec::new();
    // The place of each repository among all, and the names that it has.
    let mut places: HashMap<(*const Connection, String), (usize, HashSet<Name>)> = HashMap::new();
    for text in expand(arguments.iter().map(|text| text.as_str()))? {
        let reference: Reference = text.parse().map_err(wrong)?;
        if reference.name == Name::Unnamed {
            return Err(usage(format!("'{text}' names no image: write {text}:TAG or {text}@DIGEST")));
        }
        let known = connections.iter().find(|(registry, _)| *registry == reference.registry);
        let connection = if let Some((_, connection)) = known {
            Arc::clone(connection)
        } else {
            let connection = connect(settings, reference.registry.as_ref())?;
            connections.push((reference.registry.clone(), Arc::clone(&connection)));
            connection
        };
        let key = (Arc::as_ptr(&connection), reference.repository.to_string());
        let (place, names) = places.entry(key).or_insert_with(|| {
            let repository = Repository { connection, name: reference.repository.into() };
            all.push(NamedImages { repository, names: Vec::new() });
            (all.len() - 1, HashSet::new())
        });
        if names.insert(reference.name.clone()) {
            all[*place].names.push(reference.name);
        }
    }
    if all.is_empty() {
        return Err(usage("no image is named: expected [HOST/]REPOSITORY:TAG or [HOST/]REPOSITORY@DIGEST"));
    }
    Ok(all)
}

/// Connects to the registry that a reference names, or to the one that is configured.
pub(super) fn connect(settings: &Settings, registry: Option<&Registry>) -> anyhow::Result<Arc<Connection>> {
    Connection::open(settings, &RegistryAddress::of(registry.cloned()))
}
