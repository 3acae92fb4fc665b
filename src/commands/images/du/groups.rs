//! The images of repositories in groups, and what each group takes.

use std::collections::BTreeMap;

use super::exact;
use super::{Contents, DuArgs, GroupBy, Price};
use crate::image::graph::{Image, Status};

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
    /// The same of archived images, which are not among them.
    pub(super) archived: u64,
    /// The bytes of all layers, each once; with `--exact`.
    pub(super) unique: Option<u64>,
    /// The part of them that no other repository has; with `--exact`.
    pub(super) only_here: Option<u64>,
    /// Whether the unique bytes are all there are.
    pub(super) exact: bool,
}

impl Group {
    /// Bytes of the group, as far as they are known: layers once where they are known.
    pub(super) fn shown(&self) -> u64 {
        self.unique.unwrap_or(self.bytes)
    }

    /// Cost of the group for a month.
    #[allow(clippy::cast_precision_loss, reason = "a price for a person to read")]
    pub(super) fn cost(&self, price: Price) -> f64 {
        let gibibytes = |bytes: u64| bytes as f64 / GIBIBYTE;
        gibibytes(self.shown()) * price.standard + gibibytes(self.archived) * price.archive
    }
}

/// Sums the images up: repositories and statuses by size, months and tags by name.
pub(super) fn group(arguments: &DuArgs, contents: &[Contents]) -> Vec<Group> {
    let mut groups: BTreeMap<(usize, String), Group> = BTreeMap::new();
    for (number, each) in contents.iter().enumerate() {
        let is_repository = arguments.by == GroupBy::Repo;
        let (key, name) =
            if is_repository { (number, each.repository.name.clone()) } else { (0, String::new()) };
        if is_repository {
            let account = each.graph.account().unwrap_or_default().to_owned();
            let region = each.repository.connection.region().unwrap_or_default();
            let group = Group { registry: Some((account, region)), ..Group::default() };
            groups.insert((key, name.clone()), group);
        }
        for position in 0..each.graph.len() {
            let image = each.graph.image(position);
            let name = if is_repository { name.clone() } else { name_of(arguments.by, image) };
            let group = groups.entry((key, name)).or_default();
            group.images += 1;
            if each.graph.is_index(position) {
                continue;
            }
            let size = image.size().unwrap_or_default();
            if image.status() == Status::Archived {
                group.archived = group.archived.saturating_add(size);
            } else {
                group.bytes = group.bytes.saturating_add(size);
            }
        }
        if let (true, Some(exact)) = (is_repository, &each.exact) {
            let group = groups.entry((key, name)).or_default();
            let others = contents.iter().enumerate().filter(|(other, _)| *other != number);
            let others = others.filter_map(|(_, contents)| contents.exact.as_ref());
            group.unique = Some(exact.bytes());
            group.only_here = Some(exact::only_in(exact, others));
            group.exact = exact.unknown == 0;
        }
    }
    let mut groups: Vec<Group> =
        groups.into_iter().map(|((_, name), group)| Group { name, ..group }).collect();
    match arguments.by {
        GroupBy::Age => groups.reverse(),
        _ => groups
            .sort_by(|one, other| other.shown().cmp(&one.shown()).then_with(|| one.name.cmp(&other.name))),
    }
    groups
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
