//! Warnings of policies that the service accepts although they are probably mistakes.

use super::policy::{Action, Count, Policy, Rule, StorageClass, Tags};
use super::problem::Problem;
use crate::image::glob::matches_wildcard;

/// The longest tag.
const MAX_TAG: usize = 128;

/// All warnings about a valid policy.
pub(super) fn of(policy: &Policy) -> Vec<Problem> {
    let rules = &policy.rules;
    let mut warnings = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let earlier = || rules[..index].iter().filter(|other| other.class == rule.class);
        let later = || rules[index + 1..].iter().filter(|other| other.class == rule.class);
        let mut warn = |code, member: &str, message| {
            warnings.push(Problem::new(code, format!("/rules/{}{member}", rule.index), message));
        };
        if let Some(list) = list(&rule.tags).filter(|list| list.texts.len() > 1) {
            let noun = list.noun;
            let message =
                format!("several {noun} mean AND: only images with a tag for each of them are selected");
            warn("lists-mean-and", list.pointer, message);
        }
        if let Some(other) = earlier().find(|other| includes(&other.tags, &rule.tags)) {
            let first = other.priority;
            let message = format!("the rule never acts: rule {first} selects all its images before it");
            warn("shadowed", "/selection", message);
        }
        if let Some((list, text)) = unmatchable(&rule.tags) {
            warn("cannot-match", list, format!("no tag can match {text:?}, so the rule selects nothing"));
        }
        if let (Count::SincePushed(_), Action::Expire) = (rule.count, rule.action)
            && let Some(all) = all_of(&rule.tags)
        {
            let message = format!("the rule keeps nothing: without new pushes {all} expire by their age");
            warn("keeps-nothing", "/selection", message);
        }
        if rule.action == Action::Archive && !expires_archived(rules) {
            let message = "archived images stay for ever: no rule with storageClass archive expires them";
            warn("archive-without-expire", "/action", message.to_owned());
        }
        if let Some(other) = later().find(|other| takes_tags_of(rule, other)) {
            let second = other.priority;
            let message =
                format!("an image expires with all its tags, also those that only rule {second} selects");
            warn("expires-all-tags", "/action", message);
        }
    }
    warnings
}

/// The list of tags of a rule that has one.
struct List<'a> {
    texts: &'a [String],
    noun: &'static str,
    pointer: &'static str,
}

fn list(tags: &Tags) -> Option<List<'_>> {
    match tags {
        Tags::Prefixes(texts) => Some(List { texts, noun: "prefixes", pointer: "/selection/tagPrefixList" }),
        Tags::Patterns(texts) => Some(List { texts, noun: "patterns", pointer: "/selection/tagPatternList" }),
        Tags::Any | Tags::Untagged => None,
    }
}

/// The patterns that a rule's tags must match, each by some tag.
fn patterns(tags: &Tags) -> Option<Vec<String>> {
    match tags {
        Tags::Prefixes(texts) => Some(texts.iter().map(|text| format!("{text}*")).collect()),
        Tags::Patterns(texts) => Some(texts.clone()),
        Tags::Any | Tags::Untagged => None,
    }
}

/// Returns whether every image that `later` selects is one that `earlier` selects. A star of the later pattern counts
/// as an ordinary character, which only a star of the earlier one covers.
fn includes(earlier: &Tags, later: &Tags) -> bool {
    match (earlier, later) {
        (Tags::Any, _) => true,
        (Tags::Untagged, _) | (_, Tags::Any | Tags::Untagged) => earlier == later,
        _ => {
            let (Some(earlier), Some(later)) = (patterns(earlier), patterns(later)) else { return false };
            earlier.iter().all(|earlier| later.iter().any(|later| matches_wildcard(earlier, later)))
        }
    }
}

/// The images that are selected where no tag of them is spared: by an empty prefix or a star, all that have tags.
fn all_of(tags: &Tags) -> Option<&'static str> {
    if *tags == Tags::Any {
        return Some("all images");
    }
    let is_star = |pattern: &String| pattern.bytes().all(|byte| byte == b'*');
    patterns(tags)?.iter().all(is_star).then_some("all tagged images")
}

/// A prefix or pattern that no tag can match, and its list.
fn unmatchable(tags: &Tags) -> Option<(&'static str, &str)> {
    let list = list(tags)?;
    let is_pattern = matches!(tags, Tags::Patterns(_));
    let is_wrong = |text: &&String| {
        let literal: String = text.chars().filter(|character| !is_pattern || *character != '*').collect();
        let is_tag = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
        literal.chars().count() > MAX_TAG
            || !literal.chars().all(is_tag)
            || text.starts_with(['.', '-'])
            || is_pattern && text.is_empty()
    };
    list.texts.iter().find(is_wrong).map(|text| (list.pointer, text.as_str()))
}

fn expires_archived(rules: &[Rule]) -> bool {
    rules.iter().any(|rule| rule.class == StorageClass::Archive && rule.action == Action::Expire)
}

/// Returns whether one rule expires images by some tags although a later rule is about others.
fn takes_tags_of(rule: &Rule, later: &Rule) -> bool {
    let (Some(_), Some(_)) = (list(&rule.tags), list(&later.tags)) else { return false };
    rule.action == Action::Expire && !includes(&rule.tags, &later.tags)
}
