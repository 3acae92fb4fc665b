//! Warnings of effects on these images that are probably not intended.

use std::collections::{BTreeMap, HashMap};

use super::simulation::Simulation;
use crate::image::Digest;
use crate::image::graph::CompanionTag;
use crate::lifecycle::{Action, Image, Policy};
use crate::retention::references::References;
use crate::ui::progress::count;

/// An image that was pulled within these days is in use, in milliseconds.
const RECENT: i64 = 7 * 24 * 60 * 60 * 1000;

/// A warning about a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands::lifecycle) struct Warning {
    /// A stable identifier.
    pub(in crate::commands::lifecycle) code: &'static str,
    /// The priority of the rule that it is about.
    pub(in crate::commands::lifecycle) rule: Option<i64>,
    pub(in crate::commands::lifecycle) message: String,
}

/// All warnings about a simulation.
pub(super) fn of(simulation: &Simulation, policy: &Policy) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code, rule, message| warnings.push(Warning { code, rule, message });
    for effect in simulation.rules.iter().filter(|effect| effect.selected == 0) {
        let priority = effect.priority;
        warn("matches-nothing", Some(priority), format!("rule {priority} selects no image that is there"));
    }
    for rule in policy.rules().iter().filter(|rule| rule.counts_images()) {
        let is_counted = |image: &&Image| rule.selects(image) && is_companion(image);
        let companions = simulation.images.iter().filter(is_counted).count();
        if companions > 0 {
            let (priority, companions) = (rule.priority(), count(companions, "companion"));
            let message = format!(
                "rule {priority} counts {companions} (signatures and the like), which push others out"
            );
            warn("counts-companions", Some(rule.priority()), message);
        }
    }
    let expired = expired(simulation);
    for (code, rule, number, what) in by_rule(policy, &expired, simulation.at()) {
        warn(code, Some(rule), format!("rule {rule} expires {} {what}", count(number, "image")));
    }
    if simulation.unknown_indexes > 0 {
        let message = format!(
            "what {} lists is not known (archived, or gone meanwhile), so that its untagged images may be held",
            count(simulation.unknown_indexes, "index")
        );
        warn("unknown-children", None, message);
    }
    if !simulation.plan.held.is_empty() {
        let held = count(simulation.plan.held.len(), "image");
        warn("held", None, format!("{held} would go but for the indexes that list them"));
    }
    if let Some(message) = emptied(simulation, &expired) {
        warn("empties-repository", None, message);
    }
    warnings
}

/// Describes a policy that leaves no image or no tagged image.
fn emptied(simulation: &Simulation, expired: &[(i64, &Image)]) -> Option<String> {
    let images = simulation.images.len();
    if images > 0 && expired.len() == images {
        return Some(format!("all {images} images expire"));
    }
    let had = simulation.images.iter().filter(|image| is_named(image)).count();
    let tagged = expired.iter().filter(|(_, image)| is_named(image)).count();
    (had > 0 && tagged == had).then(|| "no tagged image is left".to_owned())
}

/// Warns of expiring images that are referenced: by rule, with the first of them by name.
pub(super) fn protected(simulation: &Simulation, references: &References) -> Vec<Warning> {
    const SHOWN: usize = 3;
    let named = references.in_repository(&simulation.repository.name);
    let mut by_rule: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for (priority, image) in expired(simulation) {
        let tags = || image.tags.iter().map(String::as_str);
        let is_named = |digest: Digest| named.has(&digest, tags());
        if image.digest.parse().is_ok_and(is_named) {
            by_rule.entry(priority).or_default().push(tags().next().unwrap_or(&image.digest));
        }
    }
    let told = by_rule.into_iter().map(|(priority, names)| {
        let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
        let more = names.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let number = count(names.len(), "image");
        let message = format!("rule {priority} expires {number} that --protect-from names: {shown}{more}");
        Warning { code: "protected", rule: Some(priority), message }
    });
    told.collect()
}

/// The images that expire, with the priorities of the rules.
fn expired(simulation: &Simulation) -> Vec<(i64, &Image)> {
    let decisions = simulation.plan.decisions.iter().filter(|decision| decision.action == Action::Expire);
    decisions.map(|decision| (decision.priority, &simulation.images[decision.image])).collect()
}

/// Returns warnings about images that a rule expires: code, rule, number of images, and description.
fn by_rule(
    policy: &Policy,
    expired: &[(i64, &Image)],
    at: i64,
) -> Vec<(&'static str, i64, usize, &'static str)> {
    let mut pulled: HashMap<i64, usize> = HashMap::new();
    let mut promoted: HashMap<i64, usize> = HashMap::new();
    for (priority, image) in expired {
        if image.pulled_at.is_some_and(|pulled| at - pulled <= RECENT) {
            *pulled.entry(*priority).or_default() += 1;
        }
        if image.tags.iter().filter(|tag| CompanionTag::read(tag).is_none()).count() > 1 {
            *promoted.entry(*priority).or_default() += 1;
        }
    }
    let mut found = Vec::new();
    for rule in policy.rules() {
        let priority = rule.priority();
        if let Some(number) = pulled.get(&priority) {
            found.push(("pulled-recently", priority, *number, "that somebody pulled within 7 days before"));
        }
        // A new tag does not renew the time of the push.
        if let Some(number) = promoted.get(&priority).filter(|_| rule.goes_by_push()) {
            let what = "with several tags by the age of the first push, which a new tag does not renew";
            found.push(("promoted", priority, *number, what));
        }
    }
    found
}

/// Returns whether an image has a tag other than a companion's.
fn is_named(image: &Image) -> bool {
    image.tags.iter().any(|tag| CompanionTag::read(tag).is_none())
}

/// Returns whether an image has only tags that name another image by its digest.
fn is_companion(image: &Image) -> bool {
    !image.tags.is_empty() && !is_named(image)
}
