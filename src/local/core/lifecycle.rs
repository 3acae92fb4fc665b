//! Runs of lifecycle policies, which expire and archive images.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use crate::lifecycle::{Action, Image, evaluate};
use crate::local::core::caller::{Caller, own_scope};
use crate::local::core::error::{Error, ErrorKind};
use crate::local::core::image::STATUS;
use crate::local::core::image_id::ImageId;
use crate::local::core::lifecycle_policy::{KIND, checked};
use crate::local::core::local::Local;
use crate::local::core::registry_id::{RepositoryRef, Scope};
use crate::local::core::repository::Repository;
use crate::local::core::settings::repository_text;
use crate::local::core::{referrers, replication};
use crate::local::store::time;

impl Local {
    /// Carries out lifecycle policies: of one repository of the caller's registry, or, where none is named, of every
    /// repository of every registry in the store. A repository that has none is left alone. A trial changes nothing.
    pub fn run_lifecycle(
        &self,
        caller: &Caller,
        repository: Option<&str>,
        is_trial: bool,
    ) -> Result<Vec<LifecycleRun>, Error> {
        let repositories = match repository {
            Some(name) => vec![(own_scope(caller), name.to_owned())],
            None => self.read(with_policies)?,
        };
        let mut runs = Vec::new();
        // Each in a transaction of its own, so that pushes need not wait for all of them.
        for (scope, name) in repositories {
            let reference = RepositoryRef { scope, name };
            let run = if is_trial {
                self.read(|connection| run(self, connection, &reference, time::now(), is_trial))
            } else {
                self.free(|transaction| run(self, transaction, &reference, time::now(), is_trial))
            };
            match run {
                Ok(run) => runs.extend(run),
                // Deleted since the list was made.
                Err(error) if repository.is_none() && error.kind == ErrorKind::RepositoryNotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(runs)
    }
}

/// Facts about the images of a repository for the evaluation, and the ids of their rows in the database.
pub(in crate::local) fn facts(
    connection: &Connection,
    repository: i64,
) -> Result<(Vec<Image>, Vec<i64>), Error> {
    let mut statement = connection.prepare(&format!(
        "SELECT id, digest, pushed_at, pulled_at, archived_at, activated_at, {STATUS}, subject FROM image
         WHERE repository = ?1 ORDER BY id"
    ))?;
    let rows = statement.query_map([repository], |row| {
        let facts = Image {
            digest: row.get(1)?,
            pushed_at: row.get(2)?,
            pulled_at: row.get(3)?,
            archived_at: row.get(4)?,
            activated_at: row.get(5)?,
            status: row.get(6)?,
            subject: row.get(7)?,
            tags: Vec::new(),
            children: Vec::new(),
        };
        Ok((row.get::<_, i64>(0)?, facts))
    })?;
    let (mut ids, mut facts) = (Vec::new(), Vec::new());
    for row in rows {
        let (id, of_image) = row?;
        ids.push(id);
        facts.push(of_image);
    }
    let places: HashMap<i64, usize> = ids.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let tags = "SELECT image, name FROM image_tag WHERE repository = ?1 ORDER BY image, name";
    let children = "SELECT image, digest FROM image_child WHERE repository = ?1";
    for (query, is_tag) in [(tags, true), (children, false)] {
        let mut statement = connection.prepare(query)?;
        let mut rows = statement.query([repository])?;
        while let Some(row) = rows.next()? {
            let Some(place) = places.get(&row.get(0)?) else { continue };
            let facts = &mut facts[*place];
            let list = if is_tag { &mut facts.tags } else { &mut facts.children };
            list.push(row.get(1)?);
        }
    }
    Ok((facts, ids))
}

/// Result of one run of a repository's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleRun {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// The repository.
    pub repository: String,
    /// The digests of the images that were deleted.
    pub expired: Vec<String>,
    /// The digests of the images that were moved to the archive.
    pub archived: Vec<String>,
    /// The digests of the images that would have been, each with the reason why it was not.
    pub held: Vec<(String, String)>,
}

impl LifecycleRun {
    /// A run that has done nothing yet.
    fn of(repository: &RepositoryRef) -> Self {
        Self {
            account: repository.scope.account.clone(),
            region: repository.scope.region.clone(),
            repository: repository.name.clone(),
            expired: Vec::new(),
            archived: Vec::new(),
            held: Vec::new(),
        }
    }
}

/// Carries out the policy of one repository, if it has one. A trial only tells what would be done.
pub(in crate::local) fn run(
    local: &Local,
    connection: &Connection,
    reference: &RepositoryRef,
    now: i64,
    is_trial: bool,
) -> Result<Option<LifecycleRun>, Error> {
    let repository = Repository::find(connection, &reference.scope, &reference.name)?;
    let Some((text, _)) = repository_text(connection, &repository, KIND)? else { return Ok(None) };
    let (_, policy) = checked(&text)?;
    let (facts, ids) = facts(connection, repository.id)?;
    let plan = evaluate(&policy, &facts, now);
    let mut done = LifecycleRun::of(reference);
    for decision in &plan.decisions {
        let list = match decision.action {
            Action::Expire => &mut done.expired,
            Action::Archive => &mut done.archived,
        };
        list.push(facts[decision.image].digest.clone());
        if !is_trial {
            carry_out(connection, ids[decision.image], decision.action, now)?;
        }
    }
    done.expired.extend(referrers::expire_orphans(connection, &repository, is_trial)?);
    for (place, lists) in plan.held {
        let reason = format!("Requested image referenced by manifest list: [{}]", lists.join(", "));
        done.held.push((facts[place].digest.clone(), reason));
    }
    if is_trial {
        return Ok(Some(done));
    }
    let identified = |digest: &String| ImageId { digest: Some(digest.clone()), tag: None };
    let deleted: Vec<ImageId> = done.expired.iter().map(identified).collect();
    replication::on_delete(local, connection, &repository, &deleted)?;
    let change = "UPDATE repository_setting SET acted_at = ?3 WHERE repository = ?1 AND kind = ?2";
    connection.execute(change, params![repository.id, KIND, now])?;
    Ok(Some(done))
}

fn carry_out(connection: &Connection, image: i64, action: Action, now: i64) -> Result<(), Error> {
    match action {
        Action::Expire => connection.execute("DELETE FROM image WHERE id = ?1", [image])?,
        Action::Archive => {
            let change = "UPDATE image SET status = 'ARCHIVED', archived_at = ?2 WHERE id = ?1";
            connection.execute(change, params![image, now])?
        }
    };
    Ok(())
}

/// The repositories that have a policy, as their registries and names.
pub(in crate::local) fn with_policies(connection: &Connection) -> Result<Vec<(Scope, String)>, Error> {
    let mut statement = connection.prepare(
        "SELECT account, region, name FROM repository JOIN repository_setting ON repository = repository.id
         WHERE kind = ?1 ORDER BY account, region, name",
    )?;
    let rows = statement.query_map([KIND], |row| {
        let scope = Scope { service: "ecr", account: row.get(0)?, region: row.get(1)? };
        Ok((scope, row.get(2)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
