//! `--plan` and `--apply`: a plan in a file, to be reviewed and then carried out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::super::images::connection::Connection;
use super::super::super::images::describe::{Images, graph as list};
use super::super::super::images::json::image_members;
use super::super::super::images::manifest_cache::{ManifestCache, OwnFetch, OwnFetches};
use super::super::super::images::{children::place, selection::Repository};
use super::super::super::registry::{usage, wrong};
use super::super::executor::Action;
use super::super::planned::{Freed, Planned, Reasons};
use super::super::replication::DeleteReplication;
use crate::image::graph::{Detail, Graph, Status, Time};
use crate::image::{Digest, RepositoryName, Tag};

/// The version of the format.
const VERSION: u64 = 1;

/// A plan from a file.
pub(super) struct PlanFile {
    value: Value,
}

/// Error of reading or carrying out a plan.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct PlanError(pub(super) String);

/// Writes plans to a file.
pub(super) fn write(file: &str, plans: &[Planned]) -> anyhow::Result<()> {
    let repositories: Value = plans.iter().filter(|planned| !planned.is_empty()).map(repository).collect();
    let value = json!({
        "version": VERSION, "createdAt": Timestamp::now().to_string(), "repositories": repositories
    });
    let text = serde_json::to_string_pretty(&value)? + "\n";
    std::fs::write(file, text).map_err(|error| anyhow!("cannot write the plan {file}: {error}"))
}

fn repository(planned: &Planned) -> Value {
    let graph = &planned.graph;
    let image = |position: usize| {
        let mut members = image_members(&planned.repository, graph, position);
        for name in ["registryId", "region", "repositoryName", "parents", "companions", "platforms", "type"] {
            members.shift_remove(name);
        }
        let image = graph.image(position);
        let pulled = planned.fetches.pulled_by_others(image);
        match pulled {
            Some(pulled) => {
                members.insert("lastRecordedPullTime".to_owned(), json!(pulled.timestamp().to_string()))
            }
            None => members.shift_remove("lastRecordedPullTime"),
        };
        if let Some(fetch) = planned.fetches.last(&image.digest()) {
            members.insert("fetchedAt".to_owned(), json!(fetch.at.timestamp().to_string()));
        }
        members.insert("reason".to_owned(), json!(planned.reason(position)));
        members
    };
    let going: Value = planned.going.iter().map(|position| Value::Object(image(*position))).collect();
    let untag = planned.untag.chunk_by(|one, other| one.0 == other.0).map(|some| {
        let mut members = image(some[0].0);
        members.insert("remove".to_owned(), some.iter().map(|(_, tag)| json!(tag)).collect());
        Value::Object(members)
    });
    json!({
        "registryId": graph.account(), "region": planned.repository.connection.region(),
        "repositoryName": planned.repository.name, "images": planned.images, "action": planned.action.name(),
        "going": going,
        "untag": untag.collect::<Value>()
    })
}

impl PlanFile {
    /// Reads a plan; one that is older than allowed is refused.
    pub(super) fn read(file: &str, oldest: Duration) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| usage(format!("--apply {file} cannot be read: {error}")))?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| usage(format!("--apply {file} is no plan: {error}")))?;
        let created = value["createdAt"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
        let (Some(created), Some(VERSION), true) =
            (created, value["version"].as_u64(), value["repositories"].is_array())
        else {
            return Err(usage(format!("--apply {file} is no plan that `ecr prune --plan` wrote")));
        };
        let age = Timestamp::now().duration_since(created);
        let oldest = SignedDuration::try_from(oldest).unwrap_or(SignedDuration::MAX);
        if age > oldest || age < -SignedDuration::from_hours(1) {
            let reason =
                format!("the plan {file} is of {created}, and --plan-age allows one of the last {oldest:#}");
            return Err(PlanError(reason).into());
        }
        Ok(Self { value })
    }

    /// Loads the plan's repositories, with the images to remove as they were when the plan was made.
    pub(super) async fn load(
        &self,
        connection: &Arc<Connection>,
        cache: &ManifestCache,
    ) -> anyhow::Result<Vec<Planned>> {
        let mut all: Vec<Planned> = Vec::new();
        for repository in list_of(&self.value, "repositories") {
            let planned = load(repository, connection, cache).await?;
            if all.iter().any(|other| other.repository.name == planned.repository.name) {
                return Err(usage(format!("the plan has {} twice", planned.repository.name)));
            }
            all.push(planned);
        }
        Ok(all)
    }
}

async fn load(value: &Value, connection: &Arc<Connection>, cache: &ManifestCache) -> anyhow::Result<Planned> {
    let name: RepositoryName = value["repositoryName"].as_str().unwrap_or_default().parse().map_err(wrong)?;
    let action = value["action"].as_str().unwrap_or_default();
    let action = Action::read(action).ok_or_else(|| {
        usage(format!("the plan has the action '{action}' for {name}: expected delete or archive"))
    })?;
    let repository = Repository { connection: Arc::clone(connection), name: name.into() };
    let there = list(&repository, Images::Any).await?;
    check_registry(value, &repository, there.account())?;
    let mut read = PlanImages::default();
    for image in list_of(value, "going") {
        read.take(image)?;
    }
    let planned = read.graph.len();
    for image in list_of(value, "untag") {
        read.take(image)?;
    }
    let (graph, tags) = read.linked()?;
    let going: Vec<usize> = (0..planned).collect();
    let mut untag: Vec<(usize, String)> = tags;
    untag.sort();
    let mut notes = cache.own_fetches(&place(&repository));
    notes.extend(read_fetches(value)?);
    Ok(Planned {
        images: there.len(),
        empties: empties(&there, &graph, &going),
        freed: Freed::of(&graph, &going, &ManifestCache::default()),
        fetches: OwnFetches::new(notes),
        reasons: Reasons::File(reasons(value, &graph)),
        action,
        replication: DeleteReplication::Rules(Vec::new()),
        outcome: None,
        repository,
        going,
        untag,
        graph,
    })
}

/// Refuses a plan that was made for another registry.
fn check_registry(value: &Value, repository: &Repository, account: Option<&str>) -> Result<(), PlanError> {
    let region = repository.connection.region();
    let planned_for = (value["registryId"].as_str(), value["region"].as_str());
    if (account.is_none() || account == planned_for.0) && region.as_deref() == planned_for.1 {
        return Ok(());
    }
    let shown = |text: Option<&str>| text.unwrap_or("?").to_owned();
    Err(PlanError(format!(
        "the plan is for {} in the registry {} in {}, and not for {} in {}",
        repository.name,
        shown(planned_for.0),
        shown(planned_for.1),
        shown(account),
        shown(region.as_deref())
    )))
}

/// Images of a plan being read into a graph.
#[derive(Default)]
struct PlanImages {
    graph: Graph,
    children: Vec<(Digest, Vec<Digest>)>,
    tags: Vec<(Digest, String)>,
}

impl PlanImages {
    fn take(&mut self, image: &Value) -> anyhow::Result<()> {
        let detail = Detail::read(image).map_err(wrong)?;
        let digest = detail.image().digest();
        self.graph.add(detail);
        let children = list_of(image, "children").map(|child| child.as_str().unwrap_or_default().parse());
        self.children.push((digest.clone(), children.collect::<Result<_, _>>().map_err(wrong)?));
        for tag in list_of(image, "remove") {
            let tag: Tag = tag.as_str().unwrap_or_default().parse().map_err(wrong)?;
            self.tags.push((digest.clone(), tag.to_string()));
        }
        Ok(())
    }

    /// The graph with its edges, and the tags that go by their positions.
    fn linked(mut self) -> anyhow::Result<(Graph, Vec<(usize, String)>)> {
        let taken = self.graph.len();
        self.graph.link();
        if self.graph.len() != taken {
            return Err(usage("the plan names an image twice"));
        }
        for (index, children) in self.children {
            if let Some(position) = self.graph.position(&index).filter(|_| !children.is_empty()) {
                self.graph.set_listed(position, children.into_iter().map(|child| (child, None)));
            }
        }
        self.graph.link();
        let position = |(digest, tag): (Digest, String)| Some((self.graph.position(&digest)?, tag));
        let tags = self.tags.into_iter().filter_map(position).collect();
        Ok((self.graph, tags))
    }
}

fn list_of<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

/// Reads the times at which images of a plan were fetched to make it: such a pull is not a use.
fn read_fetches(value: &Value) -> anyhow::Result<Vec<OwnFetch>> {
    let mut fetches = Vec::new();
    for image in list_of(value, "going").chain(list_of(value, "untag")) {
        let Some(at) = image.get("fetchedAt").and_then(Time::read) else { continue };
        let detail = Detail::read(image).map_err(wrong)?;
        let (digest, pulled_before) = (detail.image().digest(), detail.image().pulled());
        fetches.push(OwnFetch { digest, at, pulled_before });
    }
    Ok(fetches)
}

fn reasons(value: &Value, graph: &Graph) -> HashMap<usize, String> {
    let each = list_of(value, "going").chain(list_of(value, "untag"));
    let each = each.filter_map(|image| {
        let digest: Digest = image["imageDigest"].as_str()?.parse().ok()?;
        Some((graph.position(&digest)?, image["reason"].as_str().unwrap_or_default().to_owned()))
    });
    each.collect()
}

/// Returns whether a repository has tagged images that can be pulled, all of which would go.
fn empties(there: &Graph, plan: &Graph, going: &[usize]) -> bool {
    let is_tagged = |position: &usize| {
        let image = there.image(*position);
        let is_active = image.status() == Status::Active;
        is_active && !there.is_companion(*position) && image.ordinary_tags().next().is_some()
    };
    let goes = |position: usize| {
        plan.position(&there.image(position).digest()).is_some_and(|at| going.binary_search(&at).is_ok())
    };
    let mut tagged = (0..there.len()).filter(is_tagged).peekable();
    tagged.peek().is_some() && tagged.all(goes)
}
