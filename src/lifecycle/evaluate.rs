//! Evaluation of a policy over a repository's images.
//!
//! All rules are evaluated at once and applied by priority. An image that a rule selects by its tags is out of reach
//! of every later rule of the same storage class, acted on or not, although later rules still count it.

use std::collections::{HashMap, HashSet};

use super::policy::{Action, Count, Policy, Rule, StorageClass};

/// An image as the evaluation sees it. Times are milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The digest of the manifest.
    pub digest: String,
    /// All tags.
    pub tags: Vec<String>,
    /// The time of the push.
    pub pushed_at: i64,
    /// The time of the last pull.
    pub pulled_at: Option<i64>,
    /// The time of the move to the archive.
    pub archived_at: Option<i64>,
    /// The time of the return from the archive.
    pub activated_at: Option<i64>,
    /// `ACTIVE` or `ARCHIVED`; rules ignore images of other statuses.
    pub status: String,
    /// Its subject, for a referrer such as a signature.
    pub subject: Option<String>,
    /// The manifests of an index.
    pub children: Vec<String>,
}

/// Decision on one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Index of the image in the list that was evaluated.
    pub image: usize,
    /// The rule that decided.
    pub priority: i64,
    /// The rule's action.
    pub action: Action,
}

/// Decisions, and those that indexes prevent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which it happens: by rule, the oldest image first.
    pub decisions: Vec<Decision>,
    /// Images that indexes prevent from expiring, with the digests of these indexes.
    pub held: Vec<(usize, Vec<String>)>,
}

/// Evaluates a policy. Once an index is gone, the images in it are evaluated anew, so one run does what the service
/// needs a run after the other for.
pub fn evaluate(policy: &Policy, images: &[Image], now: i64) -> Plan {
    let mut gone: HashSet<usize> = HashSet::new();
    let mut moved: HashSet<usize> = HashSet::new();
    let mut plan = Plan::default();
    loop {
        let round = Evaluation::new(images, &gone, &moved, now).run(policy);
        plan.held = round.held;
        if round.decisions.is_empty() {
            return plan;
        }
        for decision in &round.decisions {
            match decision.action {
                Action::Expire => gone.insert(decision.image),
                Action::Archive => moved.insert(decision.image),
            };
        }
        plan.decisions.extend(round.decisions);
    }
}

/// One pass of all rules over the images that earlier passes left.
struct Evaluation<'a> {
    images: &'a [Image],
    gone: &'a HashSet<usize>,
    /// Neither active nor archived, so that no other rule sees them again.
    moved: &'a HashSet<usize>,
    now: i64,
    /// Images whose subject is present.
    referrers: HashMap<&'a str, Vec<usize>>,
    attached: HashSet<usize>,
    /// Indexes that list an image.
    holders: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Evaluation<'a> {
    fn new(images: &'a [Image], gone: &'a HashSet<usize>, moved: &'a HashSet<usize>, now: i64) -> Self {
        let here = || images.iter().enumerate().filter(|(index, _)| !gone.contains(index));
        let digests: HashSet<&str> = here().map(|(_, image)| image.digest.as_str()).collect();
        let mut round = Self {
            images,
            gone,
            moved,
            now,
            referrers: HashMap::new(),
            attached: HashSet::new(),
            holders: HashMap::new(),
        };
        for (index, image) in here() {
            for child in &image.children {
                round.holders.entry(child).or_default().push(index);
            }
            if let Some(subject) = image.subject.as_deref().filter(|subject| digests.contains(subject)) {
                round.referrers.entry(subject).or_default().push(index);
                round.attached.insert(index);
            }
        }
        round
    }

    fn run(&self, policy: &Policy) -> Plan {
        let mut plan = Plan::default();
        let mut seen: [HashSet<usize>; 2] = Default::default();
        for rule in &policy.rules {
            let seen = &mut seen[usize::from(rule.class == StorageClass::Archive)];
            let matched = self.matched(rule);
            for index in self.candidates(rule, &matched) {
                if seen.contains(&index) {
                    continue;
                }
                let holders = self.holders_of(index, rule.action);
                if holders.is_empty() {
                    self.decide(index, rule, &mut plan.decisions);
                } else {
                    plan.held.push((index, holders));
                }
            }
            seen.extend(matched);
        }
        plan
    }

    /// The images that a rule is about, by class and tags.
    fn matched(&self, rule: &Rule) -> Vec<usize> {
        let indexes = self.images.iter().enumerate();
        let matched = indexes.filter(|(index, image)| {
            !self.gone.contains(index)
                && !self.moved.contains(index)
                && !self.attached.contains(index)
                && rule.selects(image)
        });
        matched.map(|(index, _)| index).collect()
    }

    /// Returns those of `matched` that are too many or too old, the oldest first.
    fn candidates(&self, rule: &Rule, matched: &[usize]) -> Vec<usize> {
        let age = |index: usize| (age_starts_at(&self.images[index], rule.count), &self.images[index].digest);
        let mut candidates: Vec<usize> = matched.to_vec();
        candidates.sort_by(|one, other| age(*one).cmp(&age(*other)));
        match rule.count {
            Count::MoreThan(number) => candidates.truncate(candidates.len().saturating_sub(number)),
            Count::SincePushed(longest) | Count::SincePulled(longest) | Count::SinceTransitioned(longest) => {
                candidates.retain(|index| self.now - age(*index).0 > longest);
            }
        }
        candidates
    }

    /// The digests of the indexes that keep an image from this action: any index keeps it from expiring, only one
    /// that can be pulled from the archive.
    fn holders_of(&self, index: usize, action: Action) -> Vec<String> {
        let holders = self.holders.get(self.images[index].digest.as_str()).into_iter().flatten();
        let is_active = |index: &usize| self.images[*index].status == "ACTIVE" && !self.moved.contains(index);
        let holding = holders.filter(|holder| action == Action::Expire || is_active(holder));
        holding.map(|holder| self.images[*holder].digest.clone()).collect()
    }

    /// Acts on an image and on all that refers to it.
    fn decide(&self, index: usize, rule: &Rule, decisions: &mut Vec<Decision>) {
        let mut waiting = vec![index];
        let mut known: HashSet<usize> = HashSet::from([index]);
        while let Some(image) = waiting.pop() {
            decisions.push(Decision { image, priority: rule.priority, action: rule.action });
            let referrers = self.referrers.get(self.images[image].digest.as_str()).into_iter().flatten();
            waiting.extend(referrers.copied().filter(|referrer| known.insert(*referrer)));
        }
    }
}

/// The time from which an image's age is counted. One that came back from the archive is as old as its return.
pub(super) fn age_starts_at(image: &Image, count: Count) -> i64 {
    let pushed = image.activated_at.unwrap_or(image.pushed_at);
    match count {
        Count::MoreThan(_) | Count::SincePushed(_) => pushed,
        Count::SincePulled(_) => image.pulled_at.max(image.activated_at).unwrap_or(image.pushed_at),
        Count::SinceTransitioned(_) => image.archived_at.unwrap_or(pushed),
    }
}

#[cfg(test)]
mod tests;
