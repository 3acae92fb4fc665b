use serde_json::{Value, json};

use super::super::tests::{DAY, image};
use super::*;

fn policy(rules: Value) -> Policy {
    let Value::Array(mut rules) = rules else { panic!("rules are a list") };
    for (place, rule) in rules.iter_mut().enumerate() {
        let expire = json!({ "type": "expire" });
        let action = rule.as_object_mut().unwrap().shift_remove("action").unwrap_or(expire);
        *rule = json!({ "rulePriority": place + 1, "selection": rule, "action": action });
    }
    Policy::parse(&json!({ "rules": rules }).to_string()).unwrap()
}

/// The plan as `NAME RULE ACTION`, and the images that are held.
fn plan(rules: Value, images: &[Image]) -> (Vec<String>, Vec<String>) {
    let plan = evaluate(&policy(rules), images, 0);
    let decisions = plan.decisions.iter().map(|decision| {
        format!("{} {} {:?}", images[decision.image].digest, decision.priority, decision.action)
    });
    let held = plan.held.iter().map(|(place, by)| format!("{} {}", images[*place].digest, by.join(",")));
    (decisions.collect(), held.collect())
}

fn more_than(number: i64, list: &str, texts: &[&str]) -> Value {
    json!({ "tagStatus": "tagged", list: texts, "countType": "imageCountMoreThan", "countNumber": number })
}

fn since(number: i64, list: &str, texts: &[&str]) -> Value {
    json!({
        "tagStatus": "tagged", list: texts, "countType": "sinceImagePushed", "countUnit": "days",
        "countNumber": number,
    })
}

fn decisions(rules: Value, images: &[Image]) -> Vec<String> {
    plan(rules, images).0
}

#[test]
fn the_guides_examples_of_priority() {
    let images = [
        image("A", 10, &["beta-1", "prod-1"]),
        image("B", 9, &["beta-2", "prod-2"]),
        image("C", 8, &["beta-3"]),
    ];
    let prod = more_than(1, "tagPrefixList", &["prod"]);
    let beta = more_than(1, "tagPrefixList", &["beta"]);
    assert_eq!(decisions(json!([prod, beta]), &images), ["A 1 Expire"]);
    assert_eq!(decisions(json!([beta, prod]), &images), ["A 1 Expire", "B 1 Expire"]);
}

#[test]
fn the_guides_examples_of_several_prefixes_and_patterns() {
    let images = [
        image("A", 12, &["alpha-1"]),
        image("B", 11, &["beta-1"]),
        image("C", 10, &["alpha-2", "beta-2"]),
        image("D", 4, &["alpha-3"]),
        image("E", 3, &["beta-3"]),
        image("F", 2, &["alpha-4", "beta-4"]),
    ];
    let prefixes = since(5, "tagPrefixList", &["alpha", "beta"]);
    assert_eq!(decisions(json!([prefixes]), &images), ["C 1 Expire"]);
    let patterns = since(5, "tagPatternList", &["alpha*", "beta*"]);
    assert_eq!(decisions(json!([patterns]), &images), ["C 1 Expire"]);
    let images = [
        image("A", 10, &["alpha-1", "beta-1", "gamma-1"]),
        image("B", 9, &["alpha-2", "beta-2"]),
        image("C", 8, &["alpha-3", "beta-3", "gamma-2"]),
    ];
    let both = more_than(1, "tagPrefixList", &["alpha", "beta"]);
    assert_eq!(decisions(json!([both]), &images), ["A 1 Expire", "B 1 Expire"]);
}

#[test]
fn the_guides_examples_of_one_filter() {
    let old = since(14, "tagPatternList", &["prod*"]);
    let images = [image("A", 15, &["prod-1"]), image("B", 15, &["beta"]), image("C", 14, &["prod-2"])];
    assert_eq!(decisions(json!([old]), &images), ["A 1 Expire"]);
    let one = json!({ "tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1 });
    let images = [
        image("A", 3, &[]),
        image("B", 2, &["1"]),
        image("C", 2, &[]),
        image("D", 1, &[]),
        image("E", 4, &["2"]),
    ];
    assert_eq!(decisions(json!([one]), &images), ["A 1 Expire", "C 1 Expire"]);
}

#[test]
fn the_guides_examples_of_all_images() {
    let any = json!({ "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1 });
    let images = [
        image("A", 4, &["alpha-1"]),
        image("B", 3, &["beta-1"]),
        image("C", 2, &[]),
        image("D", 1, &["alpha-2"]),
    ];
    assert_eq!(decisions(json!([any]), &images), ["A 1 Expire", "B 1 Expire", "C 1 Expire"]);
    let images = [
        image("A", 4, &["alpha-1", "beta-1"]),
        image("B", 3, &[]),
        image("C", 2, &["alpha-2"]),
        image("D", 1, &["git-hash"]),
        // As old as the one before, by the guide's days; which is the newest is a matter of hours.
        Image { pushed_at: -DAY + 1, ..image("E", 1, &[]) },
    ];
    let alpha = more_than(1, "tagPrefixList", &["alpha"]);
    let untagged = json!({
        "tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1,
    });
    let expected = ["A 1 Expire", "B 2 Expire", "D 3 Expire"];
    assert_eq!(decisions(json!([alpha, untagged, any]), &images), expected);
}

#[test]
fn unpulled_images_are_archived_and_then_expired() {
    let transition = json!({ "type": "transition", "targetStorageClass": "archive" });
    let rules = json!([
        {
            "tagStatus": "any", "countType": "sinceImagePulled", "countUnit": "days", "countNumber": 90,
            "action": transition,
        },
        {
            "tagStatus": "any", "storageClass": "archive", "countType": "sinceImageTransitioned",
            "countUnit": "days", "countNumber": 365,
        },
    ]);
    let archived = |name: &str, days: i64| Image {
        status: "ARCHIVED".to_owned(),
        archived_at: Some(-days * DAY),
        ..image(name, 500, &[name])
    };
    let images = [
        Image { pulled_at: Some(-91 * DAY), ..image("A", 400, &["a"]) },
        Image { pulled_at: Some(-DAY), ..image("B", 400, &["b"]) },
        image("C", 91, &["c"]),
        archived("D", 366),
        archived("E", 100),
    ];
    assert_eq!(decisions(rules, &images), ["A 1 Archive", "C 1 Archive", "D 2 Expire"]);
    // And by number: the oldest go to the archive, not away.
    let newest = json!([{
        "tagStatus": "tagged", "tagPatternList": ["*"], "countType": "imageCountMoreThan", "countNumber": 1,
        "action": transition,
    }]);
    assert_eq!(decisions(newest, &images), ["A 1 Archive", "B 1 Archive"]);
}

#[test]
fn untagged_and_any() {
    let images = [image("A", 30, &[]), image("B", 20, &["1"]), image("C", 10, &[]), image("D", 5, &["2"])];
    let untagged = json!({ "tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 10 });
    let any = json!({ "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 2 });
    // C is ten days old, not older; it is counted by the second rule and out of its reach.
    assert_eq!(decisions(json!([untagged, any]), &images), ["A 1 Expire", "B 2 Expire"]);
}

#[test]
fn an_index_holds_its_images_until_it_goes() {
    let mut index = image("I", 20, &["old"]);
    index.children = vec!["X".to_owned()];
    let child = image("X", 20, &[]);
    let untagged = json!({ "tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1 });
    let images = [child, index];
    let held = (vec![], vec!["X I".to_owned()]);
    assert_eq!(plan(json!([untagged]), &images), held);
    let old = since(1, "tagPatternList", &["old"]);
    let all = (vec!["I 2 Expire".to_owned(), "X 1 Expire".to_owned()], vec![]);
    assert_eq!(plan(json!([untagged, old]), &images), all);
}

#[test]
fn referrers_go_with_their_image() {
    let mut signature = image("S", 1, &[]);
    signature.subject = Some("A".to_owned());
    let mut note = image("N", 1, &[]);
    note.subject = Some("S".to_owned());
    let mut dangling = image("D", 9, &[]);
    dangling.subject = Some("gone".to_owned());
    let images = [image("A", 10, &["1"]), signature, note, dangling];
    let any =
        json!({ "tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 5 });
    assert_eq!(decisions(json!([any]), &images), ["A 1 Expire", "S 1 Expire", "N 1 Expire", "D 1 Expire"]);
}

#[test]
fn storage_classes_have_rules_and_clocks_of_their_own() {
    let pulled = Image { pulled_at: Some(-DAY), ..image("P", 100, &["p"]) };
    let restored = Image { activated_at: Some(-2 * DAY), ..image("R", 100, &["r"]) };
    let never = image("N", 100, &["n"]);
    let archived =
        Image { status: "ARCHIVED".to_owned(), archived_at: Some(-91 * DAY), ..image("O", 300, &["o"]) };
    let recent = Image { archived_at: Some(-90 * DAY), ..archived.clone() };
    let recent = Image { digest: "Q".to_owned(), ..recent };
    let activating = Image { status: "ACTIVATING".to_owned(), ..image("T", 100, &["t"]) };
    let transition = json!({ "type": "transition", "targetStorageClass": "archive" });
    let rules = json!([
        {
            "tagStatus": "any", "countType": "sinceImagePulled", "countUnit": "days", "countNumber": 30,
            "action": transition,
        },
        {
            "tagStatus": "any", "storageClass": "archive", "countType": "sinceImageTransitioned",
            "countUnit": "days", "countNumber": 90,
        },
    ]);
    let images = [pulled, restored, never, archived, recent, activating];
    assert_eq!(decisions(rules, &images), ["N 1 Archive", "O 2 Expire"]);
}
