//! Explanations of a policy's decisions.

use std::collections::{HashMap, HashSet};

use super::evaluate::{Decision, Image, Plan, age_starts_at};
use super::policy::{Action, Count, DAY, Policy, Rule};

const HOUR: i64 = DAY / 24;

/// Effect of a policy on an image, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The action; `None` if the image stays as it is.
    pub action: Option<Action>,
    /// The priority of the rule that decided, or that spares the image.
    pub rule: Option<i64>,
    /// The reason, as half a sentence.
    pub reason: String,
}

/// Explanations of an evaluation, image by image.
pub struct Explainer<'a> {
    policy: &'a Policy,
    images: &'a [Image],
    now: i64,
    decided: HashMap<usize, Decision>,
    held: HashMap<usize, &'a [String]>,
    digests: HashSet<&'a str>,
}

impl<'a> Explainer<'a> {
    /// Takes an evaluation of `policy` over `images` at `now`.
    pub fn new(policy: &'a Policy, images: &'a [Image], plan: &'a Plan, now: i64) -> Self {
        Self {
            policy,
            images,
            now,
            decided: plan.decisions.iter().map(|decision| (decision.image, decision.clone())).collect(),
            held: plan.held.iter().map(|(image, holders)| (*image, holders.as_slice())).collect(),
            digests: images.iter().map(|image| image.digest.as_str()).collect(),
        }
    }

    /// Explains the decision about the image at this position.
    pub fn explain(&self, position: usize) -> Explanation {
        let image = &self.images[position];
        let subject = image.subject.as_deref().filter(|subject| self.digests.contains(subject));
        if let Some(decision) = self.decided.get(&position) {
            let rule = self.policy.rules.iter().find(|rule| rule.priority == decision.priority);
            let reason = match (subject, rule) {
                (Some(subject), _) => format!("goes with {}, which it is about", short(subject)),
                (None, Some(rule)) => self.over(rule, image),
                (None, None) => String::new(),
            };
            return Explanation { action: Some(decision.action), rule: Some(decision.priority), reason };
        }
        let selecting = self.policy.rules.iter().find(|rule| rule.selects(image));
        let (rule, reason) = match (subject, self.held.get(&position), selecting) {
            (Some(subject), ..) => (None, format!("stays with {}, which it is about", short(subject))),
            (None, Some(holders), _) => {
                let first = holders.first().map(|holder| short(holder)).unwrap_or_default();
                (None, format!("held by {first}, which lists it"))
            }
            (None, None, Some(rule)) => (Some(rule.priority), self.within(rule, image)),
            (None, None, None) if image.status == "ACTIVATING" => {
                (None, "on its way back from the archive".to_owned())
            }
            (None, None, None) => (None, "no rule selects it".to_owned()),
        };
        Explanation { action: None, rule, reason }
    }

    /// Explains why a rule acts on an image that it selects.
    fn over(&self, rule: &Rule, image: &Image) -> String {
        match limit(rule.count) {
            None => format!("not among the newest {}", newest(rule.count)),
            Some(limit) => format!("{}, more than {limit}", self.age(rule, image)),
        }
    }

    /// Explains why a rule spares an image that it selects.
    fn within(&self, rule: &Rule, image: &Image) -> String {
        match limit(rule.count) {
            None => format!("among the newest {}", newest(rule.count)),
            Some(limit) => format!("{}, not more than {limit}", self.age(rule, image)),
        }
    }

    fn age(&self, rule: &Rule, image: &Image) -> String {
        let age = (self.now - age_starts_at(image, rule.count)).max(0);
        let days = age / DAY;
        // At the limit the hours decide.
        let hours = if limit(rule.count) == Some(days) { age % DAY / HOUR } else { 0 };
        let days = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
        let days = if hours > 0 { format!("{days} and {hours} h") } else { days };
        let since = match rule.count {
            Count::SinceTransitioned(_) if image.archived_at.is_some() => "archived",
            Count::SincePulled(_) if image.pulled_at >= image.activated_at && image.pulled_at.is_some() => {
                "last pulled"
            }
            _ if image.activated_at.is_some() => "restored",
            Count::SincePulled(_) => "never pulled, pushed",
            _ => "pushed",
        };
        format!("{since} {days} ago")
    }
}

/// The days of a rule that goes by age.
fn limit(count: Count) -> Option<i64> {
    match count {
        Count::MoreThan(_) => None,
        Count::SincePushed(age) | Count::SincePulled(age) | Count::SinceTransitioned(age) => Some(age / DAY),
    }
}

fn newest(count: Count) -> usize {
    match count {
        Count::MoreThan(number) => number,
        _ => 0,
    }
}

/// The first twelve digits of a digest.
fn short(digest: &str) -> String {
    let (algorithm, digits) = digest.split_once(':').unwrap_or(("", digest));
    let digits = digits.get(..12).unwrap_or(digits);
    if algorithm.is_empty() { digits.to_owned() } else { format!("{algorithm}:{digits}") }
}

#[cfg(test)]
mod tests {
    use super::super::evaluate;
    use super::super::tests::image;
    use super::*;

    const POLICY: &str = r#"{"rules":[
            {"rulePriority":1,"selection":{"tagStatus":"tagged","tagPatternList":["v*"],"countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}},
            {"rulePriority":2,"selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":14},"action":{"type":"expire"}},
            {"rulePriority":3,"selection":{"tagStatus":"tagged","tagPatternList":["dev*"],"countType":"sinceImagePulled","countUnit":"days","countNumber":30},"action":{"type":"transition","targetStorageClass":"archive"}}]}"#;

    #[test]
    fn every_image_has_a_reason() {
        let policy = Policy::parse(POLICY).unwrap();
        let mut index = image("sha256:0123456789abcdef", 50, &["v2"]);
        index.children = vec!["child".to_owned()];
        let images = [
            index,
            image("old", 60, &["v1"]),
            image("child", 50, &[]),
            Image { subject: Some("old".to_owned()), ..image("signature", 40, &[]) },
            Image { subject: Some("sha256:0123456789abcdef".to_owned()), ..image("sbom", 40, &[]) },
            image("young", 1, &[]),
            image("gone", 41, &[]),
            Image { pulled_at: Some(-31 * DAY), ..image("dev", 90, &["dev1"]) },
            image("other", 90, &["x"]),
            Image { status: "ACTIVATING".to_owned(), ..image("activating", 90, &["v0"]) },
        ];
        let plan = evaluate(&policy, &images, 0);
        let explainer = Explainer::new(&policy, &images, &plan, 0);
        let told: Vec<String> = (0..images.len())
            .map(|position| {
                let Explanation { action, rule, reason } = explainer.explain(position);
                format!("{} {action:?} {rule:?} {reason}", images[position].digest)
            })
            .collect();
        assert_eq!(
            told,
            [
                "sha256:0123456789abcdef None Some(1) among the newest 1",
                "old Some(Expire) Some(1) not among the newest 1",
                "child None None held by sha256:0123456789ab, which lists it",
                "signature Some(Expire) Some(1) goes with old, which it is about",
                "sbom None None stays with sha256:0123456789ab, which it is about",
                "young None Some(2) pushed 1 day ago, not more than 14",
                "gone Some(Expire) Some(2) pushed 41 days ago, more than 14",
                "dev Some(Archive) Some(3) last pulled 31 days ago, more than 30",
                "other None None no rule selects it",
                "activating None None on its way back from the archive",
            ]
        );
    }
}
