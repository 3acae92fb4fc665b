//! The arguments of `ecr prune`.

use clap::ValueHint;

use std::time::Duration;

use jiff::Timestamp;

use super::super::super::consent::ConsentArgs;
use super::super::super::images::age::{Age, duration};
use super::super::super::images::common_args::ReadingArgs;
use super::super::super::images::selection::RepositoryArgs;
use super::super::super::max_images::MaxImages;
use super::super::super::registry::usage;
use super::super::super::report::ReportArgs;
use crate::image::graph::Time;
use crate::retention::{Criteria, TagState};

/// The options that choose and protect images, which a policy file has for each of its rules and a plan has carried out,
/// so that the command line must not have them beside one.
const CHOOSING: [&str; 12] = [
    "untagged",
    "tagged",
    "matching",
    "older_than",
    "not_pulled_for",
    "orphans",
    "tags",
    "archive",
    "keep",
    "keep_tag",
    "protect_in_use",
    "grace",
];
/// Options that limit the effect, which a policy file has for each of its rules; with `--apply` they limit the
/// plan.
const BRAKES: [&str; 3] = ["max", "allow_empty", "allow_replicated"];

/// The arguments of `ecr prune`.
#[derive(Debug, clap::Args)]
pub(super) struct PruneArgs {
    #[command(flatten)]
    pub(super) repositories: RepositoryArgs,
    #[command(flatten)]
    pub(super) rule: RuleArgs,
    /// Take the options of each repository from a YAML file: a list of rules with the key repositories and the long options
    /// as keys, of which the first that matches a repository counts
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "apply", conflicts_with_all = CHOOSING, conflicts_with_all = BRAKES)]
    pub(super) policy: Option<String>,
    /// Write the plan to a file, and change nothing
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "apply")]
    pub(super) plan: Option<String>,
    /// Carry out the plan of a file, exactly that and no more
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = CHOOSING, conflicts_with = "protect_from")]
    pub(super) apply: Option<String>,
    /// How old a plan may be that --apply carries out
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration, requires = "apply")]
    pub(super) plan_age: Duration,
    /// Show every image with the decision about it and the reason
    #[arg(long)]
    pub(super) explain: bool,
    #[command(flatten)]
    pub(super) report: ReportArgs,
    #[command(flatten)]
    pub(super) consent: ConsentArgs,
    #[command(flatten)]
    pub(super) reading: ReadingArgs,
}

/// Options that choose the images to remove and to keep. A policy file has them as keys.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct RuleArgs {
    /// Images without a tag
    #[arg(long, conflicts_with = "tagged", help_heading = "What goes")]
    untagged: bool,
    /// Images with a tag
    #[arg(long, help_heading = "What goes")]
    tagged: bool,
    /// Images with a tag that matches one of these globs
    #[arg(long = "match", value_name = "GLOB", value_hint = ValueHint::Other, value_parser = tag_glob, help_heading = "What goes")]
    matching: Vec<String>,
    /// Images pushed longer ago than this (30d), or before a date
    #[arg(long, value_name = "TIME", help_heading = "What goes")]
    older_than: Option<Age>,
    /// Images that nobody has pulled or pushed for this long, nor any of their children
    #[arg(long, value_name = "TIME", help_heading = "What goes")]
    not_pulled_for: Option<Age>,
    /// Signatures and the like whose image is gone, and indexes of whose children none is there
    #[arg(long, help_heading = "What goes")]
    orphans: bool,
    /// Remove tags, and images only with their last tag
    #[arg(long, conflicts_with_all = ["untagged", "orphans", "archive"], help_heading = "What goes")]
    pub(super) tags: bool,
    /// Archive images instead of deleting them: they stay for 90 days at least, and restoring them costs
    #[arg(long, help_heading = "What goes")]
    pub(super) archive: bool,
    /// Keep the newest tagged images of each repository that match --match; with --tags the newest tags
    #[arg(long, value_name = "NUMBER", help_heading = "What stays")]
    keep: Option<usize>,
    /// Keep images with a tag that matches one of these globs
    #[arg(long, value_name = "GLOB", value_hint = ValueHint::Other, value_parser = tag_glob, help_heading = "What stays")]
    keep_tag: Vec<String>,
    /// Keep what a text refers to: `kubectl get pods -A -o json`, task definitions, compose files, lists; - for standard
    /// input. A text without a reference to a registry of ECR is an error
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "What stays")]
    pub(super) protect_from: Vec<String>,
    /// Keep what a running task or pod uses, or used within this time, as enhanced scanning tells it; where that cannot
    /// be told, the image stays. One call for each image that would go
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "What stays")]
    pub(super) protect_in_use: Option<Duration>,
    /// Keep everything younger than this: a push writes the children of an index before the index
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration, help_heading = "What stays")]
    grace: Duration,
    /// Change nothing in any repository if more than this would go in one: a number or a percentage of its images
    #[arg(long, value_name = "NUMBER|PERCENT%", help_heading = "Brakes")]
    pub(super) max: Option<MaxImages>,
    /// Leave a repository without any tagged image, if it comes to that
    #[arg(long, help_heading = "Brakes")]
    pub(super) allow_empty: bool,
    /// Delete also where a replication rule deletes the same in other registries
    #[arg(long, help_heading = "Brakes")]
    pub(super) allow_replicated: bool,
}

/// Reads a glob that some tag can match: one that matches none, be it a list or a regular expression, would keep nothing.
fn tag_glob(text: &str) -> Result<String, String> {
    let is_known = |character: char| character.is_ascii_alphanumeric() || "._-*?".contains(character);
    match text.chars().find(|character| !is_known(*character)) {
        Some(',' | ' ') => {
            Err(format!("'{text}' matches no tag: repeat the option for each of several globs"))
        }
        Some(other) => Err(format!(
            "'{text}' matches no tag: no tag has '{other}' in it, and a glob knows * for any characters and ? for one"
        )),
        None if text.is_empty() => Err("an empty glob matches no tag".to_owned()),
        None => Ok(text.to_owned()),
    }
}

impl RuleArgs {
    /// Refuses options that would choose everything, or keep nothing, although they look like the opposite.
    fn check(&self, now: Timestamp) -> anyhow::Result<()> {
        for (option, age) in [("--older-than", self.older_than), ("--not-pulled-for", self.not_pulled_for)] {
            if let Some(date) = age.map(|age| age.before(now)).filter(|date| *date > now) {
                return Err(usage(format!(
                    "{option} {date} is in the future, and everything would be older"
                )));
            }
        }
        if self.untagged && self.keep.is_some() {
            return Err(usage(
                "--keep keeps the newest tagged images, and --untagged chooses those without a tag: --older-than keeps \
                 the newer ones of them",
            ));
        }
        Ok(())
    }

    /// Returns the criteria at `now`; at least one of those that choose something is required.
    pub(super) fn criteria(&self, now: Timestamp) -> anyhow::Result<Criteria> {
        self.check(now)?;
        let before = |age: Option<Age>| age.map(|age| Time::of(age.before(now)));
        let tags = match (self.untagged, self.tagged) {
            (true, _) => Some(TagState::Untagged),
            (_, true) => Some(TagState::Tagged),
            _ => None,
        };
        let criteria = Criteria {
            tags,
            matching: self.matching.clone(),
            pushed_before: before(self.older_than),
            unused_since: before(self.not_pulled_for),
            orphans: self.orphans,
            keep: self.keep,
            keep_tags: self.keep_tag.clone(),
            young_since: Time::of(Age::Ago(self.grace).before(now)),
            by_tag: self.tags,
            archives: self.archive,
        };
        if criteria.choose() {
            return Ok(criteria);
        }
        Err(usage(if self.keep.is_some() {
            "--keep alone chooses nothing: --tagged --keep N prunes all tagged images but the newest N; see --untagged, \
             --match, --older-than, --not-pulled-for and --orphans too"
        } else {
            "say what goes: --untagged, --tagged, --match, --older-than, --not-pulled-for or --orphans"
        }))
    }

    /// Refuses options that Amazon ECR Public cannot support.
    pub(super) fn check_public(&self) -> anyhow::Result<()> {
        let unknown = [
            (
                self.not_pulled_for.is_some(),
                "--not-pulled-for",
                "keeps no pull times: --older-than goes by the push",
            ),
            (
                self.protect_in_use.is_some(),
                "--protect-in-use",
                "does not know what is in use: --protect-from names it",
            ),
            (self.archive, "--archive", "has no archive: without it the images are deleted"),
        ];
        match unknown.into_iter().find(|(is_given, ..)| *is_given) {
            Some((_, option, reason)) => Err(usage(format!("{option}: Amazon ECR Public {reason}"))),
            None => Ok(()),
        }
    }
}
