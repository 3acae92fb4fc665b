//! The repositories as rows: of a table, of text, of JSON.

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::super::super::Context;
use super::super::output::{Column, Rows};
use super::ReposArgs;
use super::details::{RepositoryDetails, Scan};
use crate::image::graph::Time;
use crate::ui::progress::human;

/// The lines of `ecr repos`.
pub(super) struct RepositoryRows<'a> {
    arguments: &'a ReposArgs,
    all: &'a [RepositoryDetails],
    zone: TimeZone,
}

impl<'a> RepositoryRows<'a> {
    pub(super) fn new(context: &Context, arguments: &'a ReposArgs, all: &'a [RepositoryDetails]) -> Self {
        Self { arguments, all, zone: context.settings.time_zone() }
    }

    /// The columns of the table.
    pub(super) fn columns(&self) -> Vec<Column> {
        let mut columns = vec![
            Column::wrapped("NAME"),
            Column::left("CREATED"),
            Column::wrapped("TAGS"),
            Column::wrapped("SCAN"),
            Column::left("ENCRYPTION"),
        ];
        if self.arguments.needs_usage() {
            columns.extend([
                Column::right("IMAGES"),
                Column::right("UNTAGGED"),
                Column::right("SIZE"),
                Column::left("PUSHED"),
                Column::left("PULLED"),
            ]);
        }
        if self.arguments.policies {
            columns.extend([Column::left("LIFECYCLE"), Column::left("POLICY")]);
        }
        if self.arguments.registries.are_given() {
            columns.extend([Column::left("ACCOUNT"), Column::left("REGION")]);
        }
        columns
    }

    /// The last line: how many, and their sums.
    pub(super) fn total(&self) -> Vec<String> {
        let mut cells = vec![String::new(); self.columns().len()];
        cells[0] = match self.all.len() {
            1 => "1 repository".to_owned(),
            number => format!("{number} repositories"),
        };
        if self.arguments.needs_usage() {
            let sum = |of: fn(&super::details::Usage) -> u64| {
                self.all.iter().filter_map(|details| details.usage.as_ref()).map(of).sum::<u64>()
            };
            cells[5] = sum(|usage| usage.images).to_string();
            cells[6] = sum(|usage| usage.untagged).to_string();
            cells[7] = format!("≤ {}", human(sum(|usage| usage.bytes)));
        }
        cells
    }

    fn day(&self, time: Option<Time>, none: &str) -> String {
        let day = |time: Time| time.timestamp().to_zoned(self.zone.clone()).strftime("%Y-%m-%d").to_string();
        time.map_or_else(|| none.to_owned(), day)
    }

    fn account(details: &RepositoryDetails) -> &str {
        details.description["registryId"].as_str().unwrap_or_default()
    }

    fn region(details: &RepositoryDetails) -> String {
        details.repository.connection.region().unwrap_or_default()
    }
}

/// `mutable`, `immutable`, and how many exceptions there are.
fn mutability(description: &Value) -> String {
    let setting = description["imageTagMutability"].as_str().unwrap_or("?");
    let filters = description["imageTagMutabilityExclusionFilters"].as_array().map_or(0, Vec::len);
    let word = setting.trim_end_matches("_WITH_EXCLUSION").to_lowercase();
    match filters {
        0 => word,
        1 => format!("{word}, +1 exception"),
        more => format!("{word}, +{more} exceptions"),
    }
}

fn scan(scan: &Scan) -> String {
    let frequency = match scan.frequency.as_deref() {
        Some("SCAN_ON_PUSH") => "on push",
        Some("CONTINUOUS_SCAN") => "continuous",
        Some("MANUAL") if scan.scan_type.as_deref() == Some("ENHANCED") => "off",
        Some("MANUAL") => "manual",
        _ => "?",
    };
    let enhanced = if scan.scan_type.as_deref() == Some("ENHANCED") { ", enhanced" } else { "" };
    format!("{frequency}{enhanced}")
}

fn answer(known: Option<bool>) -> &'static str {
    match known {
        Some(true) => "yes",
        Some(false) => "no",
        None => "?",
    }
}

impl Rows for RepositoryRows<'_> {
    fn len(&self) -> usize {
        self.all.len()
    }

    fn cells(&self, row: usize) -> Vec<String> {
        let details = &self.all[row];
        let mut cells = vec![
            details.repository.name.clone(),
            self.day(details.created, "?"),
            mutability(&details.description),
            scan(&details.scan),
            details.description["encryptionConfiguration"]["encryptionType"]
                .as_str()
                .unwrap_or("?")
                .to_owned(),
        ];
        if self.arguments.needs_usage() {
            match &details.usage {
                None => cells.extend(["?"; 5].map(str::to_owned)),
                Some(usage) => cells.extend([
                    usage.images.to_string(),
                    usage.untagged.to_string(),
                    if usage.bytes == 0 { "0 B".to_owned() } else { format!("≤ {}", human(usage.bytes)) },
                    self.day(usage.pushed, "never"),
                    self.day(usage.pulled, "never"),
                ]),
            }
        }
        if self.arguments.policies {
            cells.extend(
                [details.lifecycle_policy, details.repository_policy].map(|known| answer(known).to_owned()),
            );
        }
        if self.arguments.registries.are_given() {
            cells.extend([Self::account(details).to_owned(), Self::region(details)]);
        }
        cells
    }

    fn text(&self, row: usize) -> Vec<String> {
        let details = &self.all[row];
        let time = |time: Option<Time>| time.map(|time| time.timestamp().to_string()).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut fields = vec![
            details.repository.name.clone(),
            time(details.created),
            text(&details.description["imageTagMutability"]),
            details.scan.frequency.clone().unwrap_or_default(),
            text(&details.description["encryptionConfiguration"]["encryptionType"]),
        ];
        if self.arguments.needs_usage() {
            match &details.usage {
                None => fields.extend([(); 5].map(|()| String::new())),
                Some(usage) => fields.extend([
                    usage.images.to_string(),
                    usage.untagged.to_string(),
                    usage.bytes.to_string(),
                    time(usage.pushed),
                    time(usage.pulled),
                ]),
            }
        }
        if self.arguments.policies {
            fields.extend(
                [details.lifecycle_policy, details.repository_policy].map(|known| answer(known).to_owned()),
            );
        }
        if self.arguments.registries.are_given() {
            fields.extend([Self::account(details).to_owned(), Self::region(details)]);
        }
        fields
    }

    fn json(&self, row: usize) -> Value {
        let details = &self.all[row];
        let mut members = Map::new();
        for name in [
            "registryId",
            "repositoryName",
            "repositoryArn",
            "repositoryUri",
            "imageTagMutability",
            "imageTagMutabilityExclusionFilters",
            "imageScanningConfiguration",
            "encryptionConfiguration",
        ] {
            if let Some(value) = details.description.get(name).filter(|value| !value.is_null()) {
                members.insert(name.to_owned(), value.clone());
            }
        }
        let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
        if let Some(region) = details.repository.connection.region() {
            put("region", json!(region));
        }
        if let Some(created) = details.created {
            put("createdAt", json!(created.timestamp().to_string()));
        }
        put("scan", json!({"scanType": details.scan.scan_type, "scanFrequency": details.scan.frequency}));
        if self.arguments.needs_usage() {
            put("usage", details.usage.as_ref().map_or(Value::Null, usage));
        }
        if self.arguments.policies {
            put("hasLifecyclePolicy", json!(details.lifecycle_policy));
            put("hasRepositoryPolicy", json!(details.repository_policy));
        }
        if !self.arguments.resource_tag.is_empty() {
            put("resourceTags", json!(details.tags));
        }
        Value::Object(members)
    }
}

fn usage(usage: &super::details::Usage) -> Value {
    let time = |time: Option<Time>| time.map(|time| time.timestamp().to_string());
    let mut value =
        json!({"images": usage.images, "untagged": usage.untagged, "bytes": usage.bytes, "exact": false});
    for (name, time) in [("lastPushedAt", time(usage.pushed)), ("lastPulledAt", time(usage.pulled))] {
        if let Some(time) = time {
            value[name] = json!(time);
        }
    }
    value
}
