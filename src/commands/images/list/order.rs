//! In which order images are listed.

use std::cmp::{Ordering, Reverse};

use clap::ValueEnum;
use semver::Version;

use super::super::version::version;
use super::ListedRepository;
use super::filter::Filter;

/// The arguments that order images.
#[derive(Debug, clap::Args)]
pub(super) struct OrderArgs {
    /// What comes first: newest push or pull, largest size, highest version, or tags and repositories by name
    #[arg(long, value_enum, value_name = "KEY", default_value_t = Key::Pushed)]
    sort: Key,
    /// Turn the order round
    #[arg(long)]
    reverse: bool,
    /// List at most this many images
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

/// Order of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Key {
    Pushed,
    Pulled,
    Size,
    Semver,
    Tag,
    Name,
}

/// An image of one of several repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands::images) struct ImagePosition {
    pub(in crate::commands::images) repository: u32,
    pub(in crate::commands::images) position: u32,
}

impl ImagePosition {
    pub(in crate::commands::images) fn new(repository: usize, position: usize) -> Self {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self { repository: number(repository), position: number(position) }
    }

    pub(super) fn contents(self, all: &[ListedRepository]) -> (&ListedRepository, usize) {
        (&all[self.repository as usize], self.position as usize)
    }
}

impl OrderArgs {
    /// The images that are listed, in their order.
    pub(super) fn places(&self, all: &[ListedRepository], filter: &Filter<'_>) -> Vec<ImagePosition> {
        let mut places = Vec::new();
        for (number, contents) in all.iter().enumerate() {
            let listed = (0..contents.graph.len()).filter(|position| filter.lists(contents, *position));
            places.extend(listed.map(|position| ImagePosition::new(number, position)));
        }
        places.shrink_to_fit();
        places.sort_by(|one, other| self.sort.compare(all, filter, *one, *other));
        if self.sort == Key::Semver {
            places.sort_by_cached_key(|place| {
                let (contents, position) = place.contents(all);
                Reverse(highest(filter.tags(&contents.graph, position)))
            });
        }
        if self.reverse {
            places.reverse();
        }
        places.truncate(self.limit.unwrap_or(usize::MAX));
        places
    }
}

impl Key {
    /// Compares two images; of equals the tagged one comes first, then the smaller digest: an index is pushed in the
    /// same moment as its children, and is the one that people look for.
    fn compare(
        self,
        all: &[ListedRepository],
        filter: &Filter<'_>,
        one: ImagePosition,
        other: ImagePosition,
    ) -> Ordering {
        let ((a, at), (b, to)) = (one.contents(all), other.contents(all));
        let (image, beside) = (a.graph.image(at), b.graph.image(to));
        let newest = || Reverse(image.pushed()).cmp(&Reverse(beside.pushed()));
        let first = match self {
            Self::Pushed | Self::Semver => newest(),
            Self::Pulled => Reverse(image.pulled()).cmp(&Reverse(beside.pulled())).then_with(newest),
            Self::Size => Reverse(image.size()).cmp(&Reverse(beside.size())),
            Self::Tag => {
                let (mut tags, mut others) = (filter.tags(&a.graph, at), filter.tags(&b.graph, to));
                match (tags.next(), others.next()) {
                    (Some(tag), Some(other)) => tag.cmp(other),
                    (tag, other) => tag.is_none().cmp(&other.is_none()),
                }
            }
            Self::Name => a.repository.name.cmp(&b.repository.name).then_with(newest),
        };
        let tagged = || (!image.is_tagged()).cmp(&!beside.is_tagged());
        first.then_with(tagged).then_with(|| image.digest().cmp(&beside.digest()))
    }
}

fn highest<'a>(tags: impl Iterator<Item = &'a str>) -> Option<Version> {
    tags.filter_map(version).max()
}
