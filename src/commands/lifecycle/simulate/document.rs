//! Output of `ecr lifecycle simulate`, in each format.

use std::collections::BTreeMap;
use std::io::Write;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::super::images::failures::Failures;
use super::super::super::images::output::{Column, Document, Grid, Style};
use super::super::super::report::html::{Cell, Page};
use super::SimulatedPeriod;
use super::over::Week;
use super::simulation::Simulation;
use crate::lifecycle::{Action, Explanation};
use crate::ui::progress::human;

/// The columns of the longest bar.
const BAR: u64 = 30;

/// The result of a run.
pub(in crate::commands::lifecycle) struct SimulationDocument<'a> {
    pub(in crate::commands::lifecycle) simulations: &'a [Simulation],
    pub(in crate::commands::lifecycle) failures: &'a Failures,
    pub(in crate::commands::lifecycle) when: SimulatedPeriod,
    /// Show each image.
    pub(in crate::commands::lifecycle) explain: bool,
    /// Show account and region.
    pub(in crate::commands::lifecycle) registries: bool,
}

/// Returns the verb for an action.
pub(in crate::commands::lifecycle) fn verb(action: Option<Action>) -> &'static str {
    match action {
        None => "keep",
        Some(Action::Expire) => "expire",
        Some(Action::Archive) => "archive",
    }
}

/// The value of the API for an action.
pub(in crate::commands::lifecycle) fn action_type(action: Action) -> &'static str {
    match action {
        Action::Expire => "EXPIRE",
        Action::Archive => "TRANSITION",
    }
}

fn instant(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default().to_string()
}

fn size(bytes: u64) -> String {
    if bytes == 0 { human(0) } else { format!("≤ {}", human(bytes)) }
}

impl SimulationDocument<'_> {
    fn columns(&self, own: &[Column]) -> Vec<Column> {
        let mut columns = vec![Column::wrapped("REPOSITORY")];
        columns.extend_from_slice(own);
        if self.registries {
            columns.extend([Column::left("ACCOUNT"), Column::left("REGION")]);
        }
        columns
    }

    fn cells(&self, simulation: &Simulation, own: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut cells = vec![simulation.repository.name.clone()];
        cells.extend(own);
        if self.registries {
            cells.push(simulation.account.clone().unwrap_or_else(|| "?".to_owned()));
            cells.push(simulation.repository.connection.region().unwrap_or_else(|| "?".to_owned()));
        }
        cells
    }

    /// A line for each rule of each repository.
    fn rules(&self) -> Grid {
        let own = [
            Column::right("RULE"),
            Column::left("ACTION"),
            Column::right("IMAGES"),
            Column::right("BYTES"),
            Column::wrapped("MEANS"),
        ];
        let mut rows = Vec::new();
        for simulation in self.simulations {
            for rule in &simulation.rules {
                let (images, verb) = (rule.images.to_string(), verb(Some(rule.action)).to_owned());
                let own = [rule.priority.to_string(), verb, images, size(rule.bytes), rule.words.clone()];
                rows.push(self.cells(simulation, own));
            }
            if simulation.policy.is_none() {
                let none = ["-", "-", "0", "0 B", "no lifecycle policy"].map(str::to_owned);
                rows.push(self.cells(simulation, none));
            }
        }
        Grid { columns: self.columns(&own), rows, total: None }
    }

    /// A line for each image of each repository.
    fn explained(&self) -> Grid {
        let own = [
            Column::wrapped("TAGS"),
            Column::left("DIGEST"),
            Column::left("ACTION"),
            Column::right("RULE"),
            Column::right("SIZE"),
            Column::wrapped("REASON"),
        ];
        let mut rows = Vec::new();
        for simulation in self.simulations {
            each_image(simulation, |image, told| {
                let Image { tags, digest, size } = image;
                let tags = if tags.is_empty() { "-".to_owned() } else { shortened(tags) };
                let digest = digest.get(7..19).unwrap_or(digest).to_owned();
                let rule = told.rule.map(|rule| rule.to_string()).unwrap_or_default();
                let own = [tags, digest, verb(told.action).to_owned(), rule, human(size), told.reason];
                rows.push(self.cells(simulation, own));
            });
        }
        Grid { columns: self.columns(&own), rows, total: None }
    }

    /// Images and bytes left in all repositories together, a line a week.
    fn weeks(&self) -> Vec<Week> {
        let mut weeks: BTreeMap<i64, Week> = BTreeMap::new();
        for week in self.simulations.iter().flat_map(|simulation| &simulation.weeks) {
            let sum = weeks.entry(week.at).or_insert(Week { at: week.at, ..Week::default() });
            sum.images += week.images;
            sum.bytes = sum.bytes.saturating_add(week.bytes);
            sum.archived_images += week.archived_images;
            sum.archived_bytes = sum.archived_bytes.saturating_add(week.archived_bytes);
        }
        weeks.into_values().collect()
    }

    fn weeks_grid(&self, bars: bool) -> Grid {
        let weeks = self.weeks();
        let largest = weeks.iter().map(|week| week.images).max().unwrap_or_default().max(1) as u64;
        let archived = weeks.iter().any(|week| week.archived_images > 0);
        let mut columns = vec![Column::left("WEEK OF"), Column::right("IMAGES"), Column::right("BYTES")];
        if archived {
            columns.push(Column::right("ARCHIVED"));
        }
        if bars {
            columns.push(Column::left("LEFT"));
        }
        let rows = weeks.iter().map(|week| {
            let day = instant(week.at).chars().take(10).collect();
            let mut cells = vec![day, week.images.to_string(), size(week.bytes)];
            if archived {
                cells.push(week.archived_images.to_string());
            }
            if bars {
                let length = week.images as u64 * BAR / largest;
                let length = length.max(u64::from(week.images > 0));
                cells.push("█".repeat(usize::try_from(length).unwrap_or_default()));
            }
            cells
        });
        Grid { columns, rows: rows.collect(), total: None }
    }

    fn grids(&self, bars: bool) -> Vec<Grid> {
        let mut grids = vec![self.rules()];
        if self.explain {
            grids.push(self.explained());
        }
        if self.when.over.is_some() {
            grids.push(self.weeks_grid(bars));
        }
        grids
    }
}

/// Calls `take` with each image of a repository and its decision.
fn each_image(simulation: &Simulation, mut take: impl FnMut(Image<'_>, Explanation)) {
    let explainer = simulation.explainer();
    for (position, image) in simulation.images.iter().enumerate() {
        let unruled = || Explanation { action: None, rule: None, reason: "no lifecycle policy".to_owned() };
        let told = explainer.as_ref().map_or_else(unruled, |explainer| explainer.explain(position));
        let size = simulation.size(position);
        take(Image { tags: &image.tags, digest: &image.digest, size }, told);
    }
}

/// Fields of an image.
struct Image<'a> {
    tags: &'a [String],
    digest: &'a str,
    size: u64,
}

/// Four tags and how many there are more.
fn shortened(tags: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = tags.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if tags.len() > SHOWN { format!("{shown}, +{}", tags.len() - SHOWN) } else { shown }
}

impl Document for SimulationDocument<'_> {
    fn json(&self) -> Value {
        let repositories: Vec<Value> =
            self.simulations.iter().map(|simulation| self.repository(simulation)).collect();
        let sum = |of: &dyn Fn(&Simulation) -> u64| self.simulations.iter().map(of).sum::<u64>();
        json!({
            "at": self.when.at.to_string(),
            "repositories": repositories,
            "summary": {
                "images": sum(&|simulation| simulation.images.len() as u64),
                "expiringImages": sum(&|simulation| simulation.count(Action::Expire) as u64),
                "expiringBytes": sum(&|simulation| simulation.bytes(Action::Expire)),
                "archivingImages": sum(&|simulation| simulation.count(Action::Archive) as u64),
                "archivingBytes": sum(&|simulation| simulation.bytes(Action::Archive)),
            },
            "failures": self.failures.json(),
        })
    }

    fn table(&self, out: &mut dyn Write, style: Style) -> std::io::Result<()> {
        for (number, grid) in self.grids(true).iter().enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            grid.table(out, style)?;
        }
        Ok(())
    }

    fn records(&self) -> Vec<Vec<String>> {
        let mut records = Vec::new();
        for simulation in self.simulations {
            if self.explain {
                each_image(simulation, |image, told| {
                    let rule = told.rule.map(|rule| rule.to_string()).unwrap_or_default();
                    let own = [image.digest.to_owned(), image.tags.join(","), verb(told.action).to_owned()];
                    let rest = [rule, told.reason, image.size.to_string()];
                    records.push(self.cells(simulation, own.into_iter().chain(rest)));
                });
                continue;
            }
            for rule in &simulation.rules {
                let verb = verb(Some(rule.action)).to_owned();
                let own = [rule.priority.to_string(), verb, rule.images.to_string(), rule.bytes.to_string()];
                records.push(self.cells(simulation, own));
            }
        }
        records
    }

    fn markdown(&self, out: &mut dyn Write) -> std::io::Result<()> {
        for (number, grid) in self.grids(false).iter().enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            grid.markdown(out)?;
        }
        for simulation in self.simulations {
            for warning in &simulation.warnings {
                writeln!(out, "\n⚠ `{}`: {}", simulation.repository.name, warning.message)?;
            }
        }
        Ok(())
    }

    /// Writes an HTML page with every image, whatever the table shows: a page is searched, not read.
    fn html(&self) -> String {
        let mut page = Page::new("ecr lifecycle simulate");
        page.paragraph(&format!("Simulated by the documented rules, as of {}.", self.when.at));
        let table = |page: &mut Page, grid: Grid| {
            let rows = grid.rows.into_iter().map(|row| row.into_iter().map(Cell::Text).collect());
            page.table(&grid.columns, rows);
        };
        page.heading("Rules");
        table(&mut page, self.rules());
        for simulation in self.simulations {
            for warning in &simulation.warnings {
                page.paragraph(&format!("⚠ {}: {}", simulation.repository.name, warning.message));
            }
        }
        if self.when.over.is_some() {
            page.heading("Week by week");
            let (weeks, grid) = (self.weeks(), self.weeks_grid(true));
            let largest = weeks.iter().map(|week| week.images).max().unwrap_or_default().max(1);
            let rows = grid.rows.into_iter().zip(&weeks).map(|(mut row, week)| {
                row.pop();
                let bar = u8::try_from(week.images * 100 / largest).unwrap_or(100);
                row.into_iter().map(Cell::Text).chain([Cell::Bar(bar)]).collect()
            });
            page.table(&grid.columns, rows);
        }
        page.heading("Images");
        table(&mut page, self.explained());
        page.finish()
    }
}

impl SimulationDocument<'_> {
    fn repository(&self, simulation: &Simulation) -> Value {
        let mut value = json!({});
        if let Some(account) = &simulation.account {
            value["registryId"] = json!(account);
        }
        if let Some(region) = simulation.repository.connection.region() {
            value["region"] = json!(region);
        }
        value["repositoryName"] = json!(simulation.repository.name);
        value["hasLifecyclePolicy"] = json!(simulation.policy.is_some());
        value["totalImages"] = json!(simulation.images.len());
        value["rules"] = rules_json(simulation);
        value["warnings"] = warnings_json(simulation);
        value["complete"] = json!(simulation.unknown_indexes == 0);
        if let Some(told) = &simulation.over_limit {
            value["brake"] = json!(told);
        }
        if self.when.over.is_some() {
            value["over"] = weeks_json(&simulation.weeks);
        }
        if self.explain {
            value["images"] = images_json(simulation);
        }
        value
    }
}

fn rules_json(simulation: &Simulation) -> Value {
    let rules = simulation.rules.iter().map(|rule| {
        json!({
            "rulePriority": rule.priority,
            "action": action_type(rule.action),
            "description": rule.words,
            "selectedImages": rule.selected,
            "images": rule.images,
            "bytes": rule.bytes,
        })
    });
    rules.collect()
}

fn warnings_json(simulation: &Simulation) -> Value {
    let warnings = simulation.warnings.iter().map(
        |warning| json!({"code": warning.code, "rulePriority": warning.rule, "message": warning.message}),
    );
    warnings.collect()
}

fn weeks_json(weeks: &[Week]) -> Value {
    let weeks = weeks.iter().map(|week| {
        json!({
            "at": instant(week.at),
            "images": week.images,
            "bytes": week.bytes,
            "archivedImages": week.archived_images,
            "archivedBytes": week.archived_bytes,
        })
    });
    weeks.collect()
}

fn images_json(simulation: &Simulation) -> Value {
    let mut images = Vec::new();
    each_image(simulation, |image, told| {
        images.push(json!({
            "imageDigest": image.digest,
            "imageTags": image.tags,
            "imageSizeInBytes": image.size,
            "action": told.action.map(action_type),
            "appliedRulePriority": told.rule,
            "reason": told.reason,
        }));
    });
    Value::Array(images)
}
