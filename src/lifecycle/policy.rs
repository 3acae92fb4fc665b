//! A lifecycle policy, read and found sound.

use serde_json::{Map, Value};

use super::document;
use super::evaluate::Image;
use super::problem::{PolicyError, Problem};
use crate::image::glob::matches_wildcard;

/// Milliseconds of a day: always 24 hours.
pub(super) const DAY: i64 = 24 * 60 * 60 * 1000;
/// Wildcards in one pattern.
const MAX_WILDCARDS: usize = 4;
/// An archived image cannot expire before so many days.
const MIN_ARCHIVED_DAYS: i64 = 90;

/// Policy; its rules come in the order of their priority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(super) rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Position in the document, from 0.
    pub(super) index: usize,
    pub(super) priority: i64,
    pub(super) tags: Tags,
    pub(super) class: StorageClass,
    pub(super) count: Count,
    pub(super) action: Action,
}

/// Condition of a rule on the tags of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tags {
    Any,
    Untagged,
    /// Each of these is the beginning of some tag.
    Prefixes(Vec<String>),
    /// Each of these covers some tag.
    Patterns(Vec<String>),
}

impl Tags {
    /// Returns whether an image with these tags is selected.
    fn select(&self, tags: &[String]) -> bool {
        let some = |test: &dyn Fn(&str) -> bool| tags.iter().any(|tag| test(tag));
        match self {
            Self::Any => true,
            Self::Untagged => tags.is_empty(),
            Self::Prefixes(prefixes) => {
                prefixes.iter().all(|prefix| some(&|tag| tag.starts_with(prefix.as_str())))
            }
            Self::Patterns(patterns) => {
                patterns.iter().all(|pattern| some(&|tag| matches_wildcard(pattern, tag)))
            }
        }
    }
}

/// Storage class of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageClass {
    /// Ready to be pulled.
    Standard,
    /// In the archive.
    Archive,
}

/// Limit of a rule on the number or age of images; ages are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    MoreThan(usize),
    SincePushed(i64),
    SincePulled(i64),
    SinceTransitioned(i64),
}

/// Action on the selected images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The image is deleted.
    Expire,
    /// The image is moved to the archive.
    Archive,
}

impl Policy {
    /// Parses a policy; errors have the service's messages as far as they are known.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::examine(text).map_err(|refusal| refusal.message())
    }

    /// The rules in the order of their priority.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Like [`parse`](Self::parse), and returns the document too: without white space, its members in the order they
    /// came in.
    pub fn parse_compact(text: &str) -> Result<(Self, String), String> {
        let document = object(text).map_err(|refusal| refusal.message())?;
        let policy = Self::read(&document).map_err(|refusal| refusal.message())?;
        Ok((policy, Value::Object(document).to_string()))
    }

    /// Like [`parse`](Self::parse), with everything that is wrong and where.
    pub(super) fn examine(text: &str) -> Result<Self, PolicyError> {
        Self::read(&object(text)?)
    }

    fn read(document: &Map<String, Value>) -> Result<Self, PolicyError> {
        let problems = document::problems(document);
        if !problems.is_empty() {
            return Err(PolicyError::Schema(problems));
        }
        let (mut rules, mut problems) = (Vec::new(), Vec::new());
        let read = document["rules"].as_array().into_iter().flatten().filter_map(Value::as_object);
        for (index, rule) in read.enumerate() {
            match Rule::read(rule, index) {
                Ok(rule) => rules.push(rule),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            rules.sort_by_key(|rule| rule.priority);
            problems = check_together(&rules);
        }
        if problems.is_empty() { Ok(Self { rules }) } else { Err(PolicyError::Rules(problems)) }
    }
}

fn object(text: &str) -> Result<Map<String, Value>, PolicyError> {
    serde_json::from_str(text).map_err(|_| PolicyError::NoObject)
}

impl Rule {
    /// The number by which rules are ordered.
    pub fn priority(&self) -> i64 {
        self.priority
    }

    /// Action on the images that are too many or too old.
    pub fn action(&self) -> Action {
        self.action
    }

    /// Returns whether the rule counts images, and keeps the newest.
    pub fn counts_images(&self) -> bool {
        matches!(self.count, Count::MoreThan(_))
    }

    /// Returns whether the rule limits the time since the push.
    pub fn goes_by_push(&self) -> bool {
        matches!(self.count, Count::SincePushed(_))
    }

    /// Returns whether an image is of the rule's storage class and has the tags that it selects.
    pub fn selects(&self, image: &Image) -> bool {
        let status = if self.class == StorageClass::Archive { "ARCHIVED" } else { "ACTIVE" };
        image.status == status && self.tags.select(&image.tags)
    }

    fn read(rule: &Map<String, Value>, index: usize) -> Result<Self, Problem> {
        let (selection, action) = (&rule["selection"], &rule["action"]);
        let problem = |code, message| Problem::new(code, format!("/rules/{index}/selection"), message);
        // The schema (`document`) has refused these already, unless it knows a value that this type does not.
        let unknown = |at: &str, value: &Value| {
            Problem::new("unknown-value", format!("/rules/{index}/{at}"), format!("unknown value ({value})"))
        };
        let read = Self {
            index,
            priority: rule["rulePriority"].as_i64().unwrap_or(1),
            tags: tags(selection).map_err(|told| problem("tag-lists", told))?,
            class: if selection["storageClass"] == "archive" {
                StorageClass::Archive
            } else {
                StorageClass::Standard
            },
            count: count(selection).ok_or_else(|| unknown("selection/countType", &selection["countType"]))?,
            action: action_of(action).ok_or_else(|| unknown("action/type", &action["type"]))?,
        };
        read.check().map_err(|told| problem("count-and-action", told))?;
        Ok(read)
    }

    /// Checks that count, class and action go together. The service's texts for these are not known.
    fn check(&self) -> Result<(), String> {
        let told = match (self.class, self.count, self.action) {
            (StorageClass::Standard, Count::SincePulled(_), Action::Expire) => {
                "countType=SINCE_IMAGE_PULLED can only be used with action type TRANSITION."
            }
            (StorageClass::Standard, Count::SinceTransitioned(_), _) => {
                "countType=SINCE_IMAGE_TRANSITIONED can only be used with storageClass=ARCHIVE."
            }
            (StorageClass::Archive, Count::SinceTransitioned(age), Action::Expire)
                if age < MIN_ARCHIVED_DAYS * DAY =>
            {
                "countNumber must be at least 90 when countType=SINCE_IMAGE_TRANSITIONED."
            }
            (StorageClass::Standard, _, _)
            | (StorageClass::Archive, Count::SinceTransitioned(_), Action::Expire) => {
                return Ok(());
            }
            (StorageClass::Archive, _, Action::Archive) => {
                "Action type TRANSITION can only be used with storageClass=STANDARD."
            }
            (StorageClass::Archive, _, _) => {
                "Must specify countType=SINCE_IMAGE_TRANSITIONED when storageClass=ARCHIVE."
            }
        };
        Err(told.to_owned())
    }
}

fn tags(selection: &Value) -> Result<Tags, String> {
    let list = |name: &str| -> Vec<String> {
        let texts = selection[name].as_array().into_iter().flatten();
        texts.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (prefixes, patterns) = (list("tagPrefixList"), list("tagPatternList"));
    let told = match (selection["tagStatus"].as_str(), prefixes.is_empty(), patterns.is_empty()) {
        (Some("tagged"), true, true) => {
            "Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED.".to_owned()
        }
        (Some("tagged"), false, false) => {
            "Only one of tagPrefixList and tagPatternList can be specified.".to_owned()
        }
        (Some("tagged"), false, true) => return Ok(Tags::Prefixes(prefixes)),
        (Some("tagged"), true, false) => {
            match patterns.iter().find(|pattern| pattern.matches('*').count() > MAX_WILDCARDS) {
                None => return Ok(Tags::Patterns(patterns)),
                Some(pattern) => {
                    format!("Tag pattern '{pattern}' has more than {MAX_WILDCARDS} wildcards.")
                }
            }
        }
        (Some(status), true, true) => {
            return Ok(if status == "untagged" { Tags::Untagged } else { Tags::Any });
        }
        _ => "tagPrefixList and tagPatternList can only be specified when tagStatus=TAGGED.".to_owned(),
    };
    Err(told)
}

fn action_of(action: &Value) -> Option<Action> {
    match action["type"].as_str()? {
        "expire" => Some(Action::Expire),
        "transition" => Some(Action::Archive),
        _ => None,
    }
}

fn count(selection: &Value) -> Option<Count> {
    let number = selection["countNumber"].as_i64().unwrap_or(i64::MAX);
    let age = number.saturating_mul(DAY);
    match selection["countType"].as_str()? {
        "imageCountMoreThan" => Some(Count::MoreThan(usize::try_from(number).unwrap_or(usize::MAX))),
        "sinceImagePushed" => Some(Count::SincePushed(age)),
        "sinceImagePulled" => Some(Count::SincePulled(age)),
        "sinceImageTransitioned" => Some(Count::SinceTransitioned(age)),
        _ => None,
    }
}

/// Checks that no two rules share what must be unique; the service reports the first.
fn check_together(rules: &[Rule]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for pair in rules.windows(2).filter(|pair| pair[0].priority == pair[1].priority) {
        problems.push(Problem::new(
            "same-priority",
            format!("/rules/{}/rulePriority", pair[1].index),
            format!("Rule priorities must be unique; {} is used more than once.", pair[0].priority),
        ));
    }
    for class in [StorageClass::Standard, StorageClass::Archive] {
        let rules: Vec<&Rule> = rules.iter().filter(|rule| rule.class == class).collect();
        for rule in rules.iter().filter(|rule| rule.tags == Tags::Untagged).skip(1) {
            problems.push(Problem::new(
                "second-untagged",
                format!("/rules/{}/selection/tagStatus", rule.index),
                "Only one rule can select Untagged images per storage class.",
            ));
        }
        let before_last = rules.len().saturating_sub(1);
        for rule in rules[..before_last].iter().filter(|rule| rule.tags == Tags::Any) {
            problems.push(Problem::new(
                "any-not-last",
                format!("/rules/{}/selection/tagStatus", rule.index),
                "Rule for tagStatus=ANY must have the lowest priority per storage class",
            ));
        }
        check_lists(&rules, &mut problems);
    }
    problems
}

/// No prefix or pattern may stand twice in the rules of a storage class.
fn check_lists(rules: &[&Rule], problems: &mut Vec<Problem>) {
    let mut seen: Vec<&str> = Vec::new();
    for rule in rules {
        let (noun, list, texts) = match &rule.tags {
            Tags::Prefixes(texts) => ("prefix", "tagPrefixList", texts),
            Tags::Patterns(texts) => ("pattern", "tagPatternList", texts),
            Tags::Any | Tags::Untagged => continue,
        };
        for (index, text) in texts.iter().enumerate() {
            if seen.contains(&text.as_str()) {
                problems.push(Problem::new(
                    "tag-used-twice",
                    format!("/rules/{}/selection/{list}/{index}", rule.index),
                    format!("Tag {noun} '{text}' can only be used once per storage class, by one rule."),
                ));
            }
            seen.push(text);
        }
    }
}

#[cfg(test)]
mod tests;
