//! The images as rows: of a table, of text, of JSON.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::super::Context;
use super::super::json::image_members;
use super::super::output::{Column, Rows};
use super::filter::Filter;
use super::order::ImagePosition;
use super::tree::{self, Line};
use super::{ImagesArgs, ListedRepository};
use crate::image::graph::{Graph, Status, Time};
use crate::ui::progress::human;

/// More tags than this are counted.
const MAX_TAGS: usize = 5;

/// The lines of `ecr images`.
pub(super) struct ImageRows<'a> {
    arguments: &'a ImagesArgs,
    contents: &'a [ListedRepository],
    filter: Filter<'a>,
    lines: Vec<Line>,
    zone: TimeZone,
    shown: OptionalColumns,
}

/// The columns that are not always there.
#[derive(Debug, Clone, Copy, Default)]
struct OptionalColumns {
    status: bool,
    repository: bool,
    references: bool,
    registry: bool,
}

impl<'a> ImageRows<'a> {
    pub(super) fn new(
        context: &Context,
        arguments: &'a ImagesArgs,
        contents: &'a [ListedRepository],
        one_repository: bool,
    ) -> Self {
        let filter = Filter::new(arguments, Timestamp::now());
        let places = arguments.order.places(contents, &filter);
        let lines: Vec<Line> = if arguments.tree {
            let of = |place: ImagePosition| tree::lines(&place.contents(contents).0.graph, place);
            places.into_iter().flat_map(of).collect()
        } else {
            places.into_iter().map(Line::root).collect()
        };
        let any = |test: &dyn Fn(&Graph, usize) -> bool| {
            lines.iter().any(|line| {
                let (contents, position) = line.place.contents(contents);
                test(&contents.graph, position)
            })
        };
        let shown = OptionalColumns {
            status: any(&|graph, position| graph.image(position).status() != Status::Active),
            repository: !one_repository,
            references: !arguments.tree && any(&|graph, position| references(graph, position) > 0),
            registry: arguments.registries.are_given(),
        };
        Self { arguments, contents, filter, lines, zone: context.settings.time_zone(), shown }
    }

    /// The columns of the table.
    pub(super) fn columns(&self) -> Vec<Column> {
        let mut columns = vec![
            Column::wrapped("TAGS"),
            Column::left("DIGEST"),
            Column::left("TYPE"),
            Column::right("SIZE"),
            Column::wrapped("PUSHED"),
            Column::left("PULLED"),
        ];
        let optional = [
            (self.shown.status, Column::left("STATUS")),
            (self.shown.repository, Column::wrapped("REPOSITORY")),
            (self.shown.references, Column::right("REFS")),
            (self.arguments.scan, Column::left("SCAN")),
            (self.shown.registry, Column::left("ACCOUNT")),
            (self.shown.registry, Column::left("REGION")),
        ];
        columns.extend(optional.into_iter().filter(|(shown, _)| *shown).map(|(_, column)| column));
        columns
    }

    fn line(&self, row: usize) -> (&Line, &ListedRepository, usize) {
        let line = &self.lines[row];
        let (contents, position) = line.place.contents(self.contents);
        (line, contents, position)
    }

    fn tags_cell(&self, line: &Line, graph: &Graph, position: usize) -> String {
        let tags: Vec<&str> = self.filter.tags(graph, position).collect();
        let label = match (&line.platform, tags.is_empty()) {
            (Some(platform), true) => platform.to_string(),
            (Some(platform), false) => format!("{platform} {}", shortened(&tags)),
            // Below its subject such a tag says nothing new.
            (None, false) if !line.branches.is_empty() && graph.is_companion(position) => "-".to_owned(),
            (None, false) => shortened(&tags),
            (None, true) => "-".to_owned(),
        };
        format!("{}{label}", line.branches)
    }

    fn size_cell(&self, graph: &Graph, position: usize) -> String {
        if self.arguments.tree && graph.is_index(position) {
            let bytes = graph.bytes_with_descendants(position);
            return bytes.map_or_else(|| "?".to_owned(), |bytes| format!("≤ {}", human(bytes)));
        }
        graph.image(position).size().map_or_else(|| "?".to_owned(), human)
    }

    fn time_cell(&self, time: Option<Time>, format: &str, none: &str) -> String {
        let shown = |time: Time| time.timestamp().to_zoned(self.zone.clone()).strftime(format).to_string();
        time.map_or_else(|| none.to_owned(), shown)
    }

    fn digest_cell(&self, graph: &Graph, position: usize) -> String {
        let digest = graph.image(position).digest();
        if self.arguments.digests { digest.to_string() } else { digest.short().to_owned() }
    }
}

/// Counts the companions of an image and of its children.
fn references(graph: &Graph, position: usize) -> usize {
    let children = graph.children(position).map(|child| graph.companions(child.position).count());
    graph.companions(position).count() + children.sum::<usize>()
}

/// Up to five tags, or four and how many more.
fn shortened(tags: &[&str]) -> String {
    if tags.len() <= MAX_TAGS {
        return tags.join(", ");
    }
    format!("{}, +{}", tags[..MAX_TAGS - 1].join(", "), tags.len() - (MAX_TAGS - 1))
}

impl Rows for ImageRows<'_> {
    fn len(&self) -> usize {
        self.lines.len()
    }

    fn cells(&self, row: usize) -> Vec<String> {
        let (line, contents, position) = self.line(row);
        let graph = &contents.graph;
        let image = graph.image(position);
        let mut cells = vec![
            self.tags_cell(line, graph, position),
            self.digest_cell(graph, position),
            graph.kind(position).name().to_owned(),
            self.size_cell(graph, position),
            self.time_cell(image.pushed(), "%Y-%m-%d %H:%M", "?"),
            self.time_cell(image.pulled(), "%Y-%m-%d", "never"),
        ];
        if self.shown.status {
            cells.push(image.status().name().to_lowercase());
        }
        if self.shown.repository {
            cells.push(contents.repository.name.clone());
        }
        if self.shown.references {
            let number = references(graph, position);
            cells.push(if number == 0 { String::new() } else { number.to_string() });
        }
        if self.arguments.scan {
            cells.push(contents.scans.cell(graph, position));
        }
        if self.shown.registry {
            cells.push(graph.account().unwrap_or("?").to_owned());
            cells.push(contents.repository.connection.region().unwrap_or_else(|| "?".to_owned()));
        }
        cells
    }

    fn text(&self, row: usize) -> Vec<String> {
        let (_, contents, position) = self.line(row);
        let graph = &contents.graph;
        let image = graph.image(position);
        let time = |time: Option<Time>| time.map(|time| time.timestamp().to_string()).unwrap_or_default();
        let mut fields = vec![
            contents.repository.name.clone(),
            image.digest().to_string(),
            self.filter.tags(graph, position).collect::<Vec<_>>().join(","),
            graph.kind(position).name().to_owned(),
            image.size().map(|size| size.to_string()).unwrap_or_default(),
            time(image.pushed()),
            time(image.pulled()),
        ];
        if self.shown.registry {
            fields.push(graph.account().unwrap_or_default().to_owned());
            fields.push(contents.repository.connection.region().unwrap_or_default());
        }
        fields
    }

    fn json(&self, row: usize) -> Value {
        let (line, contents, position) = self.line(row);
        let graph = &contents.graph;
        let mut members = image_members(&contents.repository, graph, position);
        let tags: Vec<&str> = self.filter.tags(graph, position).collect();
        members.insert("imageTags".to_owned(), json!(tags));
        if let Some(platform) = &line.platform {
            members.insert("platform".to_owned(), json!(platform));
        }
        if self.arguments.scan {
            members.insert("scan".to_owned(), contents.scans.json(graph, position));
        }
        Value::Object(members)
    }
}
