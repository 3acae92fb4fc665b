//! Decisions of a policy depend neither on the order in which images and their tags are listed, nor on that of the
//! rules in the document.

use serde_json::{Value, json};

use super::tests::DAY;
use super::{Image, Policy, evaluate};
use crate::harness::random::Random;

fn shuffle<T>(random: &mut Random, items: &mut [T]) {
    for place in (1..items.len()).rev() {
        items.swap(place, random.below(place + 1));
    }
}

/// An image that lists or refers to some of those before it. Many are of the same age.
fn image(random: &mut Random, before: &[Image]) -> Image {
    let names = ["v1", "v2", "beta-1", "beta-2", "prod", "x"];
    let tags =
        names.iter().filter(|_| random.chance(20)).map(|name| format!("{name}.{}", before.len())).collect();
    let is_archived = random.chance(20);
    let mut image = Image {
        digest: format!("sha256:{:04}", random.below(1000) * 100 + before.len()),
        tags,
        pushed_at: -DAY * i64::try_from(random.below(20)).unwrap(),
        pulled_at: random.chance(30).then_some(-DAY * 3),
        status: if is_archived { "ARCHIVED" } else { "ACTIVE" }.to_owned(),
        archived_at: is_archived.then_some(-DAY * 100),
        ..Image::default()
    };
    if !before.is_empty() {
        image.subject = random.chance(15).then(|| random.pick(before).digest.clone());
        let children = if random.chance(25) { random.below(3) } else { 0 };
        image.children = (0..children).map(|_| random.pick(before).digest.clone()).collect();
    }
    image
}

fn rules(random: &mut Random) -> Vec<Value> {
    let expire = json!({ "type": "expire" });
    let archive = json!({ "type": "transition", "targetStorageClass": "archive" });
    let tagged = |pattern: &str| json!({ "tagStatus": "tagged", "tagPatternList": [pattern] });
    let mut all = Vec::new();
    for selection in
        [tagged("v*"), tagged("beta-*"), json!({ "tagStatus": "untagged" }), json!({ "tagStatus": "any" })]
    {
        let (count, action) = match random.below(4) {
            0 => (json!({ "countType": "imageCountMoreThan", "countNumber": 1 + random.below(5) }), &expire),
            1 => (
                json!({ "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1 + random.below(20) }),
                &expire,
            ),
            2 => (
                json!({ "countType": "sinceImagePulled", "countUnit": "days", "countNumber": 1 + random.below(20) }),
                &archive,
            ),
            _ => (
                json!({ "countType": "sinceImageTransitioned", "countUnit": "days", "countNumber": 90, "storageClass": "archive" }),
                &expire,
            ),
        };
        let mut selection = selection;
        selection.as_object_mut().unwrap().extend(count.as_object().unwrap().clone());
        all.push(json!({ "rulePriority": 10 * (all.len() + 1), "selection": selection, "action": action }));
    }
    all
}

/// Decisions and held images by their digests, in one order.
fn outcome(rules: &[Value], images: &[Image]) -> Vec<String> {
    let policy = Policy::parse(&json!({ "rules": rules }).to_string()).unwrap();
    let plan = evaluate(&policy, images, 0);
    let decided = plan.decisions.iter().map(|decision| {
        format!("{} {} {:?}", images[decision.image].digest, decision.priority, decision.action)
    });
    let held = plan.held.iter().map(|(place, holders)| {
        let mut holders = holders.clone();
        holders.sort();
        format!("{} held by {}", images[*place].digest, holders.join(" "))
    });
    let mut outcome: Vec<String> = decided.chain(held).collect();
    outcome.sort();
    outcome
}

#[test]
fn the_order_of_a_listing_decides_nothing() {
    let mut random = Random(17);
    let (mut decided, mut held) = (0, 0);
    for _ in 0..1000 {
        let mut images: Vec<Image> = Vec::new();
        for _ in 0..random.below(30) {
            let image = image(&mut random, &images);
            images.push(image);
        }
        let mut rules = rules(&mut random);
        let expected = outcome(&rules, &images);
        decided += expected.len();
        held += expected.iter().filter(|line| line.contains("held")).count();
        for _ in 0..5 {
            shuffle(&mut random, &mut images);
            shuffle(&mut random, &mut rules);
            for image in &mut images {
                shuffle(&mut random, &mut image.tags);
                shuffle(&mut random, &mut image.children);
            }
            assert_eq!(outcome(&rules, &images), expected, "{rules:?}\n{images:?}");
        }
    }
    assert!(decided > 1000 && held > 100, "{decided} {held}");
}
