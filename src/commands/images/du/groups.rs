//! Groups of images, with the sizes of each.

use std::collections::BTreeMap;

use super::exact;
use super::{DuArgs, GroupBy, MeasuredRepository, Price};
use crate::image::graph::{Graph, Image, Status};

const GIBIBYTE: f64 = 1024.0 * 1024.0 * 1024.0;

/// A group of images.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) name: String,
    /// The account and the region, where the group is a repository.
    pub(super) registry: Option<(String, String)>,
    pub(super) images: u64,
    /// The bytes of images that are no index, where shared layers count several times.
    pub(super) bytes: u64,
    /// Bytes of archived images, which the other sums leave out.
    pub(super) archived: u64,
    /// The bytes of all layers, each once; with `--exact`.
    pub(super) unique: Option<u64>,
    /// The part of them that no other repository has; with `--exact`.
    pub(super) only_here: Option<u64>,
    /// All blobs are known, so that the unique bytes are exact.
    pub(super) exact: bool,
}

impl Group {
    /// Bytes of the group, as far as they are known: layers once where they are known.
    pub(super) fn shown(&self) -> u64 {
        self.unique.unwrap_or(self.bytes)
    }

    /// Counts an image. An index has no bytes of its own.
    fn add(&mut self, graph: &Graph, position: usize) {
        self.images += 1;
        if graph.is_index(position) {
            return;
        }
        let image = graph.image(position);
        let size = image.size().unwrap_or_default();
        if image.status() == Status::Archived {
            self.archived = self.archived.saturating_add(size);
        } else {
            self.bytes = self.bytes.saturating_add(size);
        }
    }

    /// Cost of the group for a month.
    #[allow(clippy::cast_precision_loss, reason = "a price for a person to read")]
    pub(super) fn cost(&self, price: Price) -> f64 {
        let gibibytes = |bytes: u64| bytes as f64 / GIBIBYTE;
        gibibytes(self.shown()) * price.standard + gibibytes(self.archived) * price.archive
    }
}

/// Sums the images up: repositories and statuses by size, months and tags by name.
pub(super) fn group(arguments: &DuArgs, contents: &[MeasuredRepository]) -> Vec<Group> {
    let mut groups: Vec<Group> = match arguments.by {
        GroupBy::Repo => (0..contents.len()).map(|number| of_repository(contents, number)).collect(),
        by => by_name(by, contents),
    };
    match arguments.by {
        GroupBy::Age => groups.reverse(),
        _ => groups
            .sort_by(|one, other| other.shown().cmp(&one.shown()).then_with(|| one.name.cmp(&other.name))),
    }
    groups
}

/// The images of one repository among all that are measured.
fn of_repository(contents: &[MeasuredRepository], number: usize) -> Group {
    let measured = &contents[number];
    let account = measured.graph.account().unwrap_or_default().to_owned();
    let region = measured.repository.connection.region().unwrap_or_default();
    let name = measured.repository.name.clone();
    let mut group = Group { name, registry: Some((account, region)), ..Group::default() };
    for position in 0..measured.graph.len() {
        group.add(&measured.graph, position);
    }
    if let Some(exact) = &measured.exact {
        let others = contents.iter().enumerate().filter(|(other, _)| *other != number);
        let others = others.filter_map(|(_, contents)| contents.exact.as_ref());
        group.unique = Some(exact.bytes());
        group.only_here = Some(exact::only_in(exact, others));
        group.exact = exact.unknown == 0;
    }
    group
}

/// The images of all repositories, by what they have in common.
fn by_name(by: GroupBy, contents: &[MeasuredRepository]) -> Vec<Group> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for MeasuredRepository { graph, .. } in contents {
        for position in 0..graph.len() {
            groups.entry(name_of(by, graph.image(position))).or_default().add(graph, position);
        }
    }
    groups.into_iter().map(|(name, group)| Group { name, ..group }).collect()
}

fn name_of(by: GroupBy, image: &Image) -> String {
    match by {
        GroupBy::Age => {
            let month = |time: crate::image::graph::Time| time.timestamp().strftime("%Y-%m").to_string();
            image.pushed().map_or_else(|| "?".to_owned(), month)
        }
        GroupBy::Status => image.status().name().to_lowercase(),
        GroupBy::TagPrefix | GroupBy::Repo => match image.tags().next() {
            None => "(untagged)".to_owned(),
            Some(_) if image.is_companion() => "(companions)".to_owned(),
            Some(tag) => {
                let prefix =
                    tag.split(|character: char| character.is_ascii_digit()).next().unwrap_or_default();
                if prefix.is_empty() { "(numbers)".to_owned() } else { prefix.to_owned() }
            }
        },
    }
}
