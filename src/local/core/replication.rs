//! Replication: images pushed to one registry of the store are copied to others.

use rusqlite::{Connection, params};
use serde::Deserialize;

use crate::local::core::create_repository::{NewRepository, insert};
use crate::local::core::error::Error;
use crate::local::core::image::{Image, lists_with, put_tag};
use crate::local::core::image_id::{ImageId, image_of_tag};
use crate::local::core::local::Local;
use crate::local::core::referrers::{adopt, remove};
use crate::local::core::registry_id::{RepositoryRef, Scope};
use crate::local::core::repository::{Encryption, Repository};
use crate::local::core::settings::{Kind, RepositoryFilter, configured};
use crate::local::core::tag_mutability::is_immutable;
use crate::local::core::templates::create_from_template;

/// A registry that a rule copies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct Destination {
    pub(in crate::local) scope: Scope,
    /// Deletions at the source are replicated too.
    deletes: bool,
}

/// Replication rules of a registry.
#[derive(Debug, Default, Deserialize)]
pub(in crate::local) struct ReplicationConfiguration {
    rules: Option<Vec<ReplicationRule>>,
}

/// Rule that copies the images of some repositories, or of all, to other registries.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::local) struct ReplicationRule {
    destinations: Option<Vec<RuleDestination>>,
    repository_filters: Option<Vec<RepositoryFilter>>,
    delete_replication: Option<DeleteReplication>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuleDestination {
    registry_id: Option<String>,
    region: Option<String>,
}

#[derive(Debug, Deserialize)]
struct DeleteReplication {
    enabled: Option<bool>,
}

impl ReplicationConfiguration {
    /// The configuration of a registry.
    pub(in crate::local) fn of(connection: &Connection, scope: &Scope) -> Result<Self, Error> {
        configured(connection, scope, Kind::Replication)
    }

    pub(in crate::local) fn rules(&self) -> &[ReplicationRule] {
        self.rules.as_deref().unwrap_or_default()
    }
}

impl ReplicationRule {
    pub(in crate::local) fn destinations(&self) -> Vec<Destination> {
        let deletes = self.delete_replication.as_ref().and_then(|delete| delete.enabled).unwrap_or_default();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let each = self.destinations.iter().flatten();
        each.map(|one| Destination {
            scope: Scope { service: "ecr", account: text(&one.registry_id), region: text(&one.region) },
            deletes,
        })
        .collect()
    }

    /// Returns whether the rule is for a repository: without filters for all, else for the names with one of the
    /// prefixes.
    fn is_for(&self, repository: &str) -> bool {
        let prefixes = self.repository_filters.as_ref();
        prefixes.is_none_or(|filters| filters.iter().any(|filter| repository.starts_with(filter.text())))
    }
}

/// Returns the registries that a repository is copied to, each once.
pub(in crate::local) fn destinations_of(
    connection: &Connection,
    repository: &Repository,
) -> Result<Vec<Destination>, Error> {
    let configuration = ReplicationConfiguration::of(connection, &repository.scope)?;
    let mut found: Vec<Destination> = Vec::new();
    for rule in configuration.rules().iter().filter(|rule| rule.is_for(&repository.name)) {
        for destination in rule.destinations() {
            match found.iter_mut().find(|other| other.scope == destination.scope) {
                Some(other) => other.deletes |= destination.deletes,
                None => found.push(destination),
            }
        }
    }
    Ok(found)
}

/// Replication of the images of one repository.
pub(in crate::local) struct Replication<'a> {
    pub(in crate::local) local: &'a Local,
    pub(in crate::local) connection: &'a Connection,
    pub(in crate::local) source: &'a Repository,
    /// Milliseconds since 1970.
    pub(in crate::local) now: i64,
}

impl Replication<'_> {
    /// Copies a pushed image to all destinations. What is copied there is not copied on from there.
    pub(in crate::local) fn on_push(&self, image: i64, tag: Option<&str>) -> Result<(), Error> {
        for destination in destinations_of(self.connection, self.source)? {
            let Some(image) = Image::of_id(self.connection, image)? else { continue };
            self.copy(&image, tag.as_slice(), &destination.scope)?;
        }
        Ok(())
    }

    /// Copies an image with some of its tags. Records and returns the code of the failure, if it failed.
    pub(in crate::local) fn copy(
        &self,
        image: &Image,
        tags: &[&str],
        destination: &Scope,
    ) -> Result<Option<&'static str>, Error> {
        let Self { local, connection, source, .. } = *self;
        let failure = if local.may_replicate(connection, &source.scope, destination, &source.name)? {
            self.copy_allowed(image, tags, destination)?
        } else {
            Some("AccessDenied")
        };
        connection.execute(
            "INSERT OR REPLACE INTO replication (image, region, account, failure) VALUES (?1, ?2, ?3, ?4)",
            params![image.id, destination.region, destination.account, failure],
        )?;
        Ok(failure)
    }

    /// Copies an image to a registry that lets this one.
    fn copy_allowed(
        &self,
        image: &Image,
        tags: &[&str],
        destination: &Scope,
    ) -> Result<Option<&'static str>, Error> {
        let Self { connection, source, now, .. } = *self;
        let target = match Repository::look_up(connection, destination, &source.name)? {
            Some(target) => target,
            None => make_repository(connection, destination, &source.name, "REPLICATION", now)?,
        };
        let id = copy_image(connection, source, image, &target, now)?;
        let mut failure = None;
        for tag in tags {
            let holder = image_of_tag(connection, target.id, tag)?;
            match holder {
                Some(holder) if holder.id == id => {}
                Some(_) if is_immutable(&target, tag) => failure = Some("ImageTagAlreadyExists"),
                _ => put_tag(connection, &target, id, tag, now)?,
            }
        }
        Ok(failure)
    }
}

/// Makes a repository that is missing from the template for an occasion, else with the usual settings.
pub(in crate::local) fn make_repository(
    connection: &Connection,
    scope: &Scope,
    name: &str,
    occasion: &str,
    now: i64,
) -> Result<Repository, Error> {
    let reference = RepositoryRef { scope: scope.clone(), name: name.to_owned() };
    let made = create_from_template(connection, &reference, occasion, now)?;
    let new = NewRepository {
        mutability: "MUTABLE".to_owned(),
        exclusions: Vec::new(),
        scan_on_push: false,
        encryption: Encryption::default(),
        tags: Vec::new(),
        catalog: None,
    };
    made.map_or_else(|| insert(connection, scope, name, &new, now), Ok)
}

/// Copies an image, after the images in it where it is an index; its blobs are in the store already.
pub(in crate::local) fn copy_image(
    connection: &Connection,
    source: &Repository,
    image: &Image,
    target: &Repository,
    now: i64,
) -> Result<i64, Error> {
    if let Some(there) = Image::of_digest(connection, target.id, &image.digest)? {
        return Ok(there.id);
    }
    let mut statement = connection.prepare_cached("SELECT digest FROM image_child WHERE image = ?1")?;
    let children = statement.query_map([image.id], |row| row.get(0))?;
    for child in children.collect::<Result<Vec<String>, _>>()? {
        if let Some(child) = Image::of_digest(connection, source.id, &child)? {
            copy_image(connection, source, &child, target, now)?;
        }
    }
    connection.execute(
        "INSERT OR IGNORE INTO layer (repository, digest, stored_at)
         SELECT ?2, layer.digest, ?3 FROM layer JOIN image_layer USING (repository, digest) WHERE image = ?1",
        params![image.id, target.id, now],
    )?;
    connection.execute(
        "INSERT INTO image (repository, digest, media_type, artifact_type, subject, size, pushed_at)
         SELECT ?2, digest, media_type, artifact_type, subject, size, ?3 FROM image WHERE id = ?1",
        params![image.id, target.id, now],
    )?;
    let id = connection.last_insert_rowid();
    adopt(connection, target.id, &image.digest)?;
    connection.execute(
        "INSERT INTO manifest (image, content) SELECT ?2, content FROM manifest WHERE image = ?1",
        params![image.id, id],
    )?;
    for change in [
        "INSERT INTO image_layer (image, digest, repository, media_type)
         SELECT ?2, digest, ?3, media_type FROM image_layer WHERE image = ?1",
        "INSERT INTO image_child (image, digest, repository)
         SELECT ?2, digest, ?3 FROM image_child WHERE image = ?1",
    ] {
        connection.execute(change, params![image.id, id, target.id])?;
    }
    Ok(id)
}

/// Replicates a deletion, if the rules say so.
pub(in crate::local) fn on_delete(
    local: &Local,
    connection: &Connection,
    repository: &Repository,
    deleted: &[ImageId],
) -> Result<(), Error> {
    for destination in destinations_of(connection, repository)?.iter().filter(|each| each.deletes) {
        let Some(target) = Repository::look_up(connection, &destination.scope, &repository.name)? else {
            continue;
        };
        if !local.may_replicate(connection, &repository.scope, &destination.scope, &repository.name)? {
            continue;
        }
        for id in deleted {
            let digest = id.digest.as_deref().unwrap_or_default();
            let Some(image) = Image::of_digest(connection, target.id, digest)? else { continue };
            if Image::of_digest(connection, repository.id, digest)?.is_none() {
                if lists_with(connection, &target, &image)?.is_empty() {
                    remove(connection, &target, &image)?;
                }
            } else {
                let change = "DELETE FROM image_tag WHERE image = ?1 AND name = ?2";
                connection.execute(change, params![image.id, id.tag])?;
            }
        }
    }
    Ok(())
}

/// The copy of an image in another registry, or why there is none.
pub(in crate::local) struct ReplicatedCopy {
    pub(in crate::local) account: String,
    pub(in crate::local) region: String,
    pub(in crate::local) failure: Option<String>,
}

/// Returns the registries to which an image was replicated.
pub(in crate::local) fn replicated(
    connection: &Connection,
    image: i64,
) -> Result<Vec<ReplicatedCopy>, Error> {
    let query = "SELECT account, region, failure FROM replication WHERE image = ?1 ORDER BY region, account";
    let mut statement = connection.prepare_cached(query)?;
    let copies = statement.query_map([image], |row| {
        Ok(ReplicatedCopy { account: row.get(0)?, region: row.get(1)?, failure: row.get(2)? })
    })?;
    Ok(copies.collect::<Result<_, _>>()?)
}
