//! The groups as rows: of a table with bars, of text, of JSON.

use serde_json::{Value, json};

use super::super::output::{Column, Rows};
use super::groups::Group;
use super::{DuArgs, GroupBy};
use crate::ui::progress::human;

/// The columns of the longest bar.
const BAR: u64 = 20;
/// Images that a repository may have, unless the quota was raised.
const QUOTA: u64 = 100_000;

/// The lines of `ecr du`.
pub(super) struct GroupRows<'a> {
    arguments: &'a DuArgs,
    pub(super) groups: &'a [Group],
    archived: bool,
    largest: u64,
}

impl<'a> GroupRows<'a> {
    pub(super) fn new(arguments: &'a DuArgs, groups: &'a [Group]) -> Self {
        let archived = groups.iter().any(|group| group.archived > 0);
        let largest = groups.iter().map(Group::shown).max().unwrap_or_default();
        Self { arguments, groups, archived, largest }
    }

    /// The columns of the table.
    pub(super) fn columns(&self) -> Vec<Column> {
        let name = match self.arguments.by {
            GroupBy::Repo => "REPOSITORY",
            GroupBy::TagPrefix => "TAGS",
            GroupBy::Age => "PUSHED",
            GroupBy::Status => "STATUS",
        };
        let by_repository = self.arguments.by == GroupBy::Repo;
        let mut columns = vec![Column::wrapped(name), Column::right("IMAGES"), Column::right("SIZE")];
        let optional = [
            (self.arguments.exact, Column::right("ONLY HERE")),
            (self.archived, Column::right("ARCHIVED")),
            (self.arguments.price.is_some(), Column::right("MONTH")),
            (by_repository, Column::right("QUOTA")),
            (self.arguments.registries.are_given() && by_repository, Column::left("ACCOUNT")),
            (self.arguments.registries.are_given() && by_repository, Column::left("REGION")),
        ];
        columns.extend(optional.into_iter().filter(|(shown, _)| *shown).map(|(_, column)| column));
        columns.push(Column::left("SHARE"));
        columns
    }

    /// The last line: all groups together.
    pub(super) fn total(&self) -> Vec<String> {
        let mut all = Group { name: "total".to_owned(), exact: true, ..Group::default() };
        for group in self.groups {
            all.images += group.images;
            all.bytes = all.bytes.saturating_add(group.shown());
            all.archived = all.archived.saturating_add(group.archived);
            all.exact &= group.exact;
        }
        let mut cells = self.row(&all);
        let columns = self.columns();
        for (cell, column) in cells.iter_mut().zip(&columns) {
            if ["ONLY HERE", "QUOTA", "SHARE"].contains(&column.head) {
                cell.clear();
            }
        }
        cells
    }

    /// A size, marked where the real one may be smaller (shared layers) or larger (images whose layers are not known).
    fn size(&self, group: &Group, bytes: u64) -> String {
        match (self.arguments.exact, group.exact) {
            _ if bytes == 0 => human(0),
            (false, _) => format!("≤ {}", human(bytes)),
            (true, true) => human(bytes),
            (true, false) => format!("≥ {}", human(bytes)),
        }
    }

    fn row(&self, group: &Group) -> Vec<String> {
        let by_repository = self.arguments.by == GroupBy::Repo;
        let mut cells = vec![group.name.clone(), group.images.to_string(), self.size(group, group.shown())];
        if self.arguments.exact {
            cells.push(group.only_here.map(human).unwrap_or_default());
        }
        if self.archived {
            cells.push(if group.archived == 0 {
                String::new()
            } else {
                format!("≤ {}", human(group.archived))
            });
        }
        if let Some(price) = self.arguments.price {
            cells.push(format!("{:.2}", group.cost(price)));
        }
        if by_repository {
            cells.push(format!("{}%", group.images.saturating_mul(100) / QUOTA));
        }
        if self.arguments.registries.are_given() && by_repository {
            let (account, region) = group.registry.clone().unwrap_or_default();
            cells.extend([account, region]);
        }
        cells.push(bar(group.shown(), self.largest));
        cells
    }
}

/// A bar of up to [`BAR`] columns, to the eighth of a column.
fn bar(part: u64, whole: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if whole == 0 {
        return String::new();
    }
    let eighths = u128::from(part) * u128::from(BAR) * 8 / u128::from(whole);
    let eighths = usize::try_from(eighths).unwrap_or_default().max(usize::from(part > 0));
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

impl Rows for GroupRows<'_> {
    fn len(&self) -> usize {
        self.groups.len()
    }

    fn cells(&self, row: usize) -> Vec<String> {
        self.row(&self.groups[row])
    }

    fn text(&self, row: usize) -> Vec<String> {
        let group = &self.groups[row];
        let mut fields = vec![
            group.name.clone(),
            group.images.to_string(),
            group.bytes.to_string(),
            group.archived.to_string(),
        ];
        if self.arguments.exact {
            fields.extend([group.unique, group.only_here].map(|bytes| bytes.unwrap_or_default().to_string()));
        }
        if let (true, Some((account, region))) = (self.arguments.registries.are_given(), &group.registry) {
            fields.extend([account.clone(), region.clone()]);
        }
        fields
    }

    fn json(&self, row: usize) -> Value {
        let group = &self.groups[row];
        let mut value = json!({});
        if let Some((account, region)) = &group.registry {
            if !account.is_empty() {
                value["registryId"] = json!(account);
            }
            if !region.is_empty() {
                value["region"] = json!(region);
            }
            value["repositoryName"] = json!(group.name);
        } else {
            value["name"] = json!(group.name);
        }
        value["images"] = json!(group.images);
        value["bytes"] = json!(group.bytes);
        value["archivedBytes"] = json!(group.archived);
        if let (Some(unique), Some(only_here)) = (group.unique, group.only_here) {
            value["uniqueBytes"] = json!(unique);
            value["onlyHereBytes"] = json!(only_here);
        }
        value["exact"] = json!(group.exact);
        if let Some(price) = self.arguments.price {
            value["monthlyCost"] = json!(group.cost(price));
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn bars() {
        assert_eq!(bar(100, 100), "█".repeat(20));
        assert_eq!(bar(50, 100), "█".repeat(10));
        assert_eq!(bar(53, 100), format!("{}▌", "█".repeat(10)));
        assert_eq!(bar(1, u64::MAX), "▏");
        assert_eq!((bar(0, 100), bar(0, 0)), (String::new(), String::new()));
    }
}
