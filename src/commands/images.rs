//! `ecr images`: the images of a repository as a table.

use std::cmp::Reverse;
use std::process::ExitCode;

use clap::{Arg, ArgMatches};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::registry::{self, Target};
use super::{Command, Context, block_on};
use crate::image::{Digest, Name, media_type};
use crate::output;
use crate::settings::Settings;
use crate::ui::progress::human;

/// The row of `ecr images`.
pub(super) const COMMAND: Command = Command { name: "images", define, run };

/// The most that DescribeImages answers at once.
const PAGE: u32 = 1000;

fn define() -> clap::Command {
    clap::Command::new("images")
        .about("List the images of a repository, the newest first")
        .long_about(
            "List the images of a repository as a table, the newest first. --output json prints what DescribeImages \
             says about each.",
        )
        .arg(
            Arg::new("repository")
                .value_name("REPOSITORY")
                .required(true)
                .help("The repository's name, with or without the registry's host in front"),
        )
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let text = matches.get_one::<String>("repository").map_or("", String::as_str);
    let target = Target::connect(&context.settings, text)?;
    if target.name != Name::Unnamed {
        return Err(registry::usage(format!("'{text}' names one image; expected a repository")));
    }
    let json = match context.settings.globals().output.as_deref() {
        None | Some("table") => false,
        Some("json") => true,
        Some(other) => {
            return Err(registry::usage(format!(
                "this command has no output {other}; expected table or json"
            )));
        }
    };
    let mut images = block_on(describe(&target))?;
    newest_first(&mut images);
    if json {
        let mut bytes = Vec::new();
        output::json::write(&mut bytes, &Value::Array(images))?;
        context.ui.print_bytes(&bytes)?;
    } else {
        context.ui.print(&format!("{}\n", table(&context.settings, context.ui.width(), &images)))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn describe(target: &Target) -> anyhow::Result<Vec<Value>> {
    let mut images = Vec::new();
    let mut token = Value::Null;
    loop {
        let mut input = json!({"repositoryName": target.repository.name, "maxResults": PAGE});
        if let Some(registry) = &target.repository.registry {
            input["registryId"] = json!(registry);
        }
        if !token.is_null() {
            input["nextToken"] = token;
        }
        let mut answer = target.client.call("DescribeImages", input).await?;
        if let Some(Value::Array(some)) = answer.get_mut("imageDetails").map(Value::take) {
            images.extend(some);
        }
        token = answer.get_mut("nextToken").map(Value::take).unwrap_or_default();
        if token.is_null() {
            return Ok(images);
        }
    }
}

/// An index goes up in the same moment as its children, and is what somebody looks for: it has the tags.
fn newest_first(images: &mut [Value]) {
    images.sort_by_key(|image| (Reverse(pushed(image)), image.get("imageTags").is_none()));
}

/// When an image was pushed: a number of seconds as the service writes it, or a time in words.
fn pushed(image: &Value) -> Option<Timestamp> {
    match image.get("imagePushedAt")? {
        Value::Number(seconds) => {
            let seconds: f64 = seconds.to_string().parse().ok()?;
            Timestamp::from_duration(jiff::SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
        }
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn table(settings: &Settings, width: usize, images: &[Value]) -> Table {
    let zone = settings.time_zone();
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX))
        .set_header(["TAGS", "DIGEST", "TYPE", "SIZE", "PUSHED"]);
    for image in images {
        let text = |member: &str| image.get(member).and_then(Value::as_str);
        let tags: Vec<&str> = image
            .get("imageTags")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let digest = text("imageDigest").and_then(|text| text.parse::<Digest>().ok());
        let pushed = pushed(image).map(|at| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string());
        table.add_row([
            tags.join("\n"),
            digest.map(|digest| digest.short().to_owned()).unwrap_or_default(),
            kind(text("imageManifestMediaType"), text("artifactMediaType")).to_owned(),
            image.get("imageSizeInBytes").and_then(Value::as_u64).map(human).unwrap_or_default(),
            pushed.unwrap_or_default(),
        ]);
    }
    if let Some(sizes) = table.column_mut(3) {
        sizes.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// What an image is, in one word where there is one for it.
fn kind<'a>(manifest: Option<&str>, artifact: Option<&'a str>) -> &'a str {
    const CONFIGURATIONS: [&str; 2] =
        ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
    match (manifest, artifact) {
        (Some(manifest), _) if media_type::is_index(manifest) => "index",
        (_, Some(artifact)) if !CONFIGURATIONS.contains(&artifact) => artifact,
        _ => "image",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, Globals};

    #[test]
    fn the_newest_come_first_and_of_two_the_tagged_one() {
        let image = |digest: &str, at: f64| json!({"imageDigest": digest, "imagePushedAt": at});
        let mut index = image("index", 2.5);
        index["imageTags"] = json!(["1"]);
        let mut images = [image("old", 1.5), image("child", 2.5), index, image("new", 3.5)];
        newest_first(&mut images);
        assert_eq!(images.map(|image| image["imageDigest"].clone()), ["new", "index", "child", "old"]);
    }

    #[test]
    fn images_as_a_table() {
        let settings = Settings::with_environment(Globals::default(), Environment::given([("TZ", "UTC")]));
        let digest = Digest::of(b"");
        let images = [
            json!({
                "imageDigest": digest, "imageTags": ["1", "latest"], "imageSizeInBytes": 12_345_678,
                "imageManifestMediaType": media_type::OCI_INDEX, "imagePushedAt": 1_700_000_000.5
            }),
            json!({
                "imageDigest": digest, "imageSizeInBytes": 10, "imagePushedAt": "2023-11-14T22:13:20Z",
                "imageManifestMediaType": media_type::OCI_MANIFEST,
                "artifactMediaType": "application/vnd.oci.image.config.v1+json"
            }),
        ];
        let lines = [
            "┌─────────────────────────────────────────────────────────────┐",
            "│ TAGS     DIGEST         TYPE        SIZE   PUSHED           │",
            "╞═════════════════════════════════════════════════════════════╡",
            "│ 1        e3b0c44298fc   index   11.7 MiB   2023-11-14 22:13 │",
            "│ latest                                                      │",
            "│          e3b0c44298fc   image       10 B   2023-11-14 22:13 │",
            "└─────────────────────────────────────────────────────────────┘",
        ];
        assert_eq!(table(&settings, 80, &images).to_string(), lines.join("\n"));
    }
}
