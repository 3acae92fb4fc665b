//! The page of `ecr inspect` for people.

use serde_json::Value;

use super::super::super::Context;
use super::super::list::tree::{self, ImagePosition};
use super::{InspectArgs, Inspected};
use crate::escape::escape;
use crate::image::graph::{Graph, Time};
use crate::image::{Content, Descriptor, Digest};
use crate::ui::progress::human;

/// The columns of the names.
const NAMES: usize = 12;

/// Names and values, a line each.
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, name: &str, value: &str) {
        let line = format!("{name:NAMES$}{}", escape(value));
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// Several values, the name in front of the first.
    fn lines(&mut self, name: &str, values: impl IntoIterator<Item = String>) {
        for (number, value) in values.into_iter().enumerate() {
            self.line(if number == 0 { name } else { "" }, &value);
        }
    }
}

pub(super) fn page(context: &Context, arguments: &InspectArgs, inspected: &Inspected) -> String {
    let Inspected { graph, position, manifest, .. } = inspected;
    let image = graph.image(*position);
    let zone = context.settings.time_zone();
    let time = |time: Time| time.timestamp().to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    let mut page = Page { text: String::new() };
    page.line("DIGEST", &image.digest().to_string());
    let tags: Vec<&str> = image.tags().collect();
    page.line("TAGS", &if tags.is_empty() { "-".to_owned() } else { tags.join(", ") });
    page.line("TYPE", graph.kind(*position).name());
    page.line("MEDIA TYPE", manifest.media_type());
    page.line("SIZE", &image.size().map_or_else(|| "?".to_owned(), human));
    page.line("PUSHED", &image.pushed().map_or_else(|| "?".to_owned(), time));
    page.line("PULLED", &image.pulled().map_or_else(|| "never".to_owned(), time));
    if let Some(subject) = image.subject() {
        page.line("ABOUT", &subject.to_string());
    }
    if let Some(config) = inspected.config() {
        configuration(&mut page, &config);
    }
    if let Content::Image { layers, .. } = manifest.content() {
        let bytes = layers.iter().map(|layer| layer.size).sum();
        page.line("LAYERS", &format!("{}, {}", layers.len(), human(bytes)));
        if arguments.layers {
            page.lines("", self::layers(inspected));
        }
    }
    if arguments.tree {
        page.lines("TREE", tree(graph, *position));
    } else {
        page.lines("PLATFORMS", platforms(graph, *position));
        page.lines("COMPANIONS", graph.companions(*position).map(|at| short(graph, at)));
    }
    page.text
}

fn configuration(page: &mut Page, config: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let (Some(os), Some(architecture)) = (config["os"].as_str(), config["architecture"].as_str()) {
        let variant = config["variant"].as_str().map(|variant| format!("/{variant}")).unwrap_or_default();
        page.line("PLATFORM", &format!("{os}/{architecture}{variant}"));
    }
    page.line("CREATED", &text(&config["created"]));
    let inner = &config["config"];
    for (name, member) in [("ENTRYPOINT", "Entrypoint"), ("CMD", "Cmd")] {
        if let Some(words) = inner[member].as_array().filter(|words| !words.is_empty()) {
            let words =
                words.iter().map(|word| shell_words::quote(word.as_str().unwrap_or_default()).into_owned());
            page.line(name, &words.collect::<Vec<_>>().join(" "));
        }
    }
    for (name, member) in [("USER", "User"), ("FOLDER", "WorkingDir")] {
        if let Some(value) = inner[member].as_str().filter(|value| !value.is_empty()) {
            page.line(name, value);
        }
    }
    let ports = inner["ExposedPorts"].as_object().into_iter().flatten();
    page.lines("PORTS", ports.map(|(port, _)| port.clone()));
    let labels = inner["Labels"].as_object().into_iter().flatten();
    page.lines("LABELS", labels.map(|(name, value)| format!("{name}={}", text(value))));
}

/// The layers: digest, size, diff id, uncompressed size where that was measured, and the step of the history that made
/// it; steps without a layer between them.
fn layers(inspected: &Inspected) -> Vec<String> {
    let layers = match inspected.manifest.content() {
        Content::Image { layers, .. } => layers.as_slice(),
        Content::Index(_) => &[],
    };
    let config = inspected.config().unwrap_or_default();
    let line = |(number, layer): (usize, &Descriptor), step: &str| {
        let told = config["rootfs"]["diff_ids"][number].as_str().and_then(|text| text.parse::<Digest>().ok());
        let measured = inspected.uncompressed.get(number);
        let diff_id = measured.map(|measured| &measured.diff_id).or(told.as_ref()).map_or("?", Digest::short);
        let size = measured.map(|measured| format!("  {:>11}", human(measured.bytes))).unwrap_or_default();
        format!("{}  {:>11}  {diff_id:12}{size}  {step}", layer.digest.short(), human(layer.size))
    };
    let blank = if inspected.uncompressed.is_empty() { String::new() } else { format!("  {:>11}", "-") };
    let mut rest = layers.iter().enumerate();
    let mut lines = Vec::new();
    for step in config["history"].as_array().into_iter().flatten() {
        let words = step["created_by"].as_str().unwrap_or_default();
        if step["empty_layer"] == true {
            lines.push(format!("{:12}  {:>11}  {:12}{blank}  {words}", "-", "-", "-"));
        } else if let Some(layer) = rest.next() {
            lines.push(line(layer, words));
        }
    }
    lines.extend(rest.map(|layer| line(layer, "")));
    lines
}

fn platforms(graph: &Graph, position: usize) -> Vec<String> {
    let children = graph.children(position).map(|child| {
        let platform = child.platform.unwrap_or("-");
        format!("{platform:16}  {}", short(graph, child.position))
    });
    let absent = graph.listed(position).into_iter().flat_map(|listed| &listed.absent);
    children
        .chain(absent.map(|digest| format!("{:16}  {}  not in the repository", "?", digest.short())))
        .collect()
}

/// Digest, size and kind of an image.
fn short(graph: &Graph, position: usize) -> String {
    let image = graph.image(position);
    let size = image.size().map_or_else(|| "?".to_owned(), human);
    format!("{}  {size:>11}  {}", image.digest().short(), graph.kind(position))
}

fn tree(graph: &Graph, position: usize) -> Vec<String> {
    let lines = tree::lines(graph, ImagePosition::new(0, position));
    let shown = lines.iter().map(|line| {
        let label = line.platform.as_deref().map(|platform| format!("{platform}  ")).unwrap_or_default();
        format!("{}{label}{}", line.branches, short(graph, line.place.position as usize))
    });
    shown.collect()
}
