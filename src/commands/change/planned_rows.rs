//! Rows of plans and their results: for tables, text and JSON.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::super::Context;
use super::super::images::failures::Failures;
use super::super::images::json::image_members;
use super::super::images::output::{Column, Rows};
use super::executor::Action;
use super::planned::Planned;
use super::result::{ItemResult, failed_exit_code};
use crate::ui::progress::human;

/// Rows of the results of `prune`, `rm` and `archive`.
pub(super) struct PlannedRows<'a> {
    pub(super) all: &'a [Planned],
    /// A line for each image, where that is wanted: repositories and positions.
    lines: Option<Vec<(usize, usize)>>,
    explains: bool,
    /// All repositories together.
    counts: Counts,
}

/// Counts of images and tags in a result.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) images: usize,
    pub(super) going: usize,
    /// Images that went, and tags.
    done: usize,
    done_tags: usize,
    is_done: bool,
    spared: usize,
    failed: usize,
    tags: usize,
    bytes: u64,
    is_estimate: bool,
}

impl<'a> PlannedRows<'a> {
    /// Rows that have a line for each repository, or with `by_image` for each image that goes. `explains` adds those
    /// that stay.
    pub(super) fn new(all: &'a [Planned], by_image: bool, explains: bool) -> Self {
        let lines = (by_image || explains).then(|| {
            let of = |(at, planned): (usize, &Planned)| {
                let staying = if explains { planned.staying() } else { Vec::new() };
                planned
                    .going
                    .iter()
                    .copied()
                    .chain(staying)
                    .map(|position| (at, position))
                    .collect::<Vec<_>>()
            };
            all.iter().enumerate().flat_map(of).collect()
        });
        let counts = all.iter().map(Counts::of).fold(Counts::default(), Counts::plus);
        Self { all, lines, explains, counts }
    }

    /// The columns of the table.
    pub(super) fn columns(&self) -> Vec<Column> {
        if self.lines.is_some() {
            return vec![
                Column::wrapped("REPOSITORY"),
                Column::wrapped("TAGS"),
                Column::left("DIGEST"),
                Column::left("TYPE"),
                Column::right("SIZE"),
                Column::left("DECISION"),
                Column::wrapped("REASON"),
            ];
        }
        let archives = self.all.iter().any(|planned| planned.action == Action::Archive);
        let verb = match (archives, self.counts.is_done) {
            (true, false) => "ARCHIVE",
            (true, true) => "ARCHIVED",
            (false, false) => "DELETE",
            (false, true) => "DELETED",
        };
        let mut columns = vec![
            Column::wrapped("REPOSITORY"),
            Column::right("IMAGES"),
            Column::right(verb),
            Column::right("KEEP"),
            Column::right(if self.counts.is_done { "FREED" } else { "FREES" }),
        ];
        let counts = self.counts();
        let untag = if counts.is_done { "UNTAGGED" } else { "UNTAG" };
        let further =
            [(counts.tags > 0, untag), (counts.spared > 0, "SPARED"), (counts.failed > 0, "FAILED")];
        columns.extend(further.into_iter().filter(|(shown, _)| *shown).map(|(_, head)| Column::right(head)));
        columns
    }

    /// The last row of the table: all repositories together.
    pub(super) fn total(&self) -> Option<Vec<String>> {
        (self.lines.is_none() && self.all.len() > 1).then(|| self.count_cells("total", self.counts()))
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    fn count_cells(&self, name: &str, counts: Counts) -> Vec<String> {
        let sign = if counts.is_estimate { "≤ " } else { "" };
        let (going, tags) =
            if self.counts.is_done { (counts.done, counts.done_tags) } else { (counts.going, counts.tags) };
        let mut cells = vec![
            name.to_owned(),
            counts.images.to_string(),
            going.to_string(),
            (counts.images.saturating_sub(going)).to_string(),
            format!("{sign}{}", human(counts.bytes)),
        ];
        let all = self.counts;
        let further = [(all.tags, tags), (all.spared, counts.spared), (all.failed, counts.failed)];
        cells.extend(further.into_iter().filter(|(all, _)| *all > 0).map(|(_, own)| own.to_string()));
        cells
    }

    /// The member `summary`.
    pub(super) fn summary(&self) -> Value {
        let counts = self.counts();
        let mut summary = json!({
            "repositories": self.all.len(), "images": counts.images, "delete": counts.going, "untag": counts.tags,
            "keep": counts.images.saturating_sub(counts.going), "freedBytes": counts.bytes,
            "exact": !counts.is_estimate
        });
        if counts.is_done {
            summary["keep"] = json!(counts.images.saturating_sub(counts.done));
            summary["deleted"] = json!(counts.done);
            summary["untagged"] = json!(counts.done_tags);
            summary["spared"] = json!(counts.spared);
            summary["failed"] = json!(counts.failed);
        }
        summary
    }

    /// Reports the failures and returns the exit code.
    pub(super) fn finish(&self, context: &Context, failures: Failures) -> anyhow::Result<ExitCode> {
        for planned in self.all {
            for (name, done) in planned.problems() {
                if let ItemResult::Failed { .. } = done {
                    context.ui.note(&format!("error: {}{name}: {}", planned.repository.name, done.reason()));
                }
            }
        }
        match failed_exit_code(self.all.iter().flat_map(Planned::outcomes), true) {
            None => failures.finish(context, !self.all.is_empty()),
            Some(code) => failures.finish(context, true).map(|_| code),
        }
    }

    fn decision(planned: &Planned, position: usize) -> (&'static str, String) {
        let verb = planned.action.name();
        if planned.going.binary_search(&position).is_err() {
            return ("keep", planned.reason(position));
        }
        match planned.outcome.as_ref().and_then(|outcome| outcome.images.get(&position)) {
            None => (verb, planned.reason(position)),
            Some(done @ (ItemResult::Spared(_) | ItemResult::Failed { .. })) => (done.word(), done.reason()),
            Some(ItemResult::Absent) => ("gone", planned.reason(position)),
            Some(done) => (done.word(), planned.reason(position)),
        }
    }
}

impl Planned {
    /// Images and tags that did not go, and why: references without the repository's name.
    fn problems(&self) -> Vec<(String, ItemResult)> {
        let Some(outcome) = &self.outcome else { return Vec::new() };
        let is_problem = |done: &ItemResult| !matches!(done, ItemResult::Changed(_) | ItemResult::Absent);
        let mut positions: Vec<usize> =
            outcome.images.iter().filter(|(_, done)| is_problem(done)).map(|(at, _)| *at).collect();
        positions.sort_unstable();
        let images = positions
            .into_iter()
            .map(|at| (format!("@{}", self.graph.image(at).digest()), outcome.images[&at].clone()));
        let tags = self.untag.iter().zip(&outcome.tags).filter(|(_, done)| is_problem(done));
        images.chain(tags.map(|((_, tag), done)| (format!(":{tag}"), done.clone()))).collect()
    }

    /// Outcomes in the order of the plan.
    fn outcomes(&self) -> impl Iterator<Item = &ItemResult> {
        self.outcome.iter().flat_map(|outcome| {
            let images = self.going.iter().filter_map(|at| outcome.images.get(at));
            images.chain(&outcome.tags)
        })
    }

    fn image_json(&self, position: usize) -> Value {
        let mut members = image_members(&self.repository, &self.graph, position);
        for name in
            ["registryId", "region", "repositoryName", "children", "parents", "companions", "platforms"]
        {
            members.shift_remove(name);
        }
        members.insert("reason".to_owned(), json!(self.reason(position)));
        Value::Object(members)
    }

    fn json(&self, explains: bool) -> Value {
        let list = |positions: &[usize]| positions.iter().map(|at| self.image_json(*at)).collect::<Value>();
        let mut value = json!({
            "repositoryName": self.repository.name, "images": self.images, "delete": list(&self.going)
        });
        if !self.untag.is_empty() {
            let each = self
                .untag
                .iter()
                .map(|(at, tag)| json!({"imageDigest": self.graph.image(*at).digest(), "imageTag": tag}));
            value["untag"] = each.collect();
        }
        if explains {
            value["keep"] = list(&self.staying());
        }
        let (mut spared, mut failures) = (Vec::new(), Vec::new());
        for (name, done) in self.problems() {
            let (kind, text) = (&name[..1], &name[1..]);
            let id = if kind == "@" { json!({"imageDigest": text}) } else { json!({"imageTag": text}) };
            match done {
                ItemResult::Failed { code, reason } => {
                    failures.push(json!({"imageId": id, "failureCode": code, "failureReason": reason}));
                }
                ItemResult::NotReached => spared.push(json!({"imageId": id, "reason": "not reached"})),
                other => spared.push(json!({"imageId": id, "reason": other.reason()})),
            }
        }
        value["spared"] = Value::Array(spared);
        value["failures"] = Value::Array(failures);
        let counts = Counts::of(self);
        value["freedBytes"] = json!(counts.bytes);
        value["exact"] = json!(!counts.is_estimate);
        value["alsoDeletedIn"] = Value::Array(self.also_deleted_in());
        value
    }

    /// The fields of an image: repository, digest, tags, decision, reason, size.
    fn fields(&self, position: usize) -> Vec<String> {
        let image = self.graph.image(position);
        let (decision, reason) = PlannedRows::decision(self, position);
        vec![
            self.repository.name.clone(),
            image.digest().to_string(),
            image.tags().collect::<Vec<_>>().join(","),
            decision.to_owned(),
            reason,
            image.size().map(|size| size.to_string()).unwrap_or_default(),
        ]
    }
}

impl Counts {
    fn of(planned: &Planned) -> Self {
        let mut counts = Self {
            images: planned.images,
            going: planned.going.len(),
            tags: planned.untag.len(),
            bytes: planned.freed.bytes,
            is_estimate: !planned.freed.is_exact,
            ..Self::default()
        };
        let Some(outcome) = &planned.outcome else { return counts };
        let went = |done: &&ItemResult| matches!(done, ItemResult::Changed(_) | ItemResult::Absent);
        let all = || outcome.images.values().chain(&outcome.tags);
        counts.is_done = true;
        counts.done = outcome.images.values().filter(went).count();
        counts.done_tags = outcome.tags.iter().filter(went).count();
        counts.failed = all().filter(|done| matches!(done, ItemResult::Failed { .. })).count();
        counts.spared = all().count() - counts.done - counts.done_tags - counts.failed;
        // What stayed frees nothing, and may share layers with what went.
        if counts.done == 0 {
            (counts.bytes, counts.is_estimate) = (0, false);
        } else if counts.done < counts.going {
            counts.is_estimate = true;
        }
        counts
    }

    fn plus(self, other: Self) -> Self {
        Self {
            images: self.images + other.images,
            going: self.going + other.going,
            done: self.done + other.done,
            done_tags: self.done_tags + other.done_tags,
            is_done: self.is_done || other.is_done,
            spared: self.spared + other.spared,
            failed: self.failed + other.failed,
            tags: self.tags + other.tags,
            bytes: self.bytes.saturating_add(other.bytes),
            is_estimate: self.is_estimate || other.is_estimate,
        }
    }
}

impl Rows for PlannedRows<'_> {
    fn len(&self) -> usize {
        self.all.len()
    }

    fn lines(&self) -> usize {
        self.lines.as_ref().map_or(self.all.len(), Vec::len)
    }

    fn json(&self, row: usize) -> Value {
        self.all[row].json(self.explains)
    }

    fn cells(&self, line: usize) -> Vec<String> {
        let Some(lines) = &self.lines else {
            return self.count_cells(&self.all[line].repository.name, Counts::of(&self.all[line]));
        };
        let (at, position) = lines[line];
        let planned = &self.all[at];
        let image = planned.graph.image(position);
        let (decision, reason) = Self::decision(planned, position);
        let tags: Vec<&str> = image.tags().collect();
        vec![
            planned.repository.name.clone(),
            if tags.is_empty() { "-".to_owned() } else { tags.join(", ") },
            image.digest().short().to_owned(),
            planned.graph.kind(position).name().to_owned(),
            image.size().map_or_else(|| "?".to_owned(), human),
            decision.to_owned(),
            reason,
        ]
    }

    fn text(&self, row: usize) -> Vec<String> {
        let counts = Counts::of(&self.all[row]);
        self.count_cells(&self.all[row].repository.name, counts)
    }

    fn records(&self, row: usize) -> Vec<Vec<String>> {
        let planned = &self.all[row];
        let staying = if self.explains { planned.staying() } else { Vec::new() };
        let mut records: Vec<Vec<String>> =
            planned.going.iter().copied().chain(staying).map(|at| planned.fields(at)).collect();
        for (number, (at, tag)) in planned.untag.iter().enumerate() {
            let done = planned.outcome.as_ref().and_then(|outcome| outcome.tags.get(number));
            let mut fields = planned.fields(*at);
            fields[2].clone_from(tag);
            done.map_or("untag", ItemResult::word).clone_into(&mut fields[3]);
            records.push(fields);
        }
        records
    }
}

/// The members of a result beside its list.
pub(super) fn members(rows: &PlannedRows<'_>, failures: &Failures, dry_run: bool) -> Map<String, Value> {
    Map::from_iter([
        ("summary".to_owned(), rows.summary()),
        ("failures".to_owned(), failures.json()),
        ("dryRun".to_owned(), json!(dry_run)),
    ])
}
