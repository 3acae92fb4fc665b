use serde_json::json;

use super::*;

fn rule(priority: i64, selection: &Value) -> Value {
    json!({ "rulePriority": priority, "selection": selection, "action": { "type": "expire" } })
}

fn told(rules: &Value) -> String {
    Policy::parse(&json!({ "rules": rules }).to_string()).err().unwrap_or_default()
}

#[test]
fn a_policy_is_read_in_the_order_of_priority() {
    let text = r#"{"rules":[
        {"rulePriority":9,"description":"rest","selection":{"tagStatus":"any","countType":"imageCountMoreThan",
         "countNumber":5},"action":{"type":"expire"}},
        {"rulePriority":2,"selection":{"tagStatus":"tagged","tagPatternList":["v*"],"countType":"sinceImagePulled",
         "countUnit":"days","countNumber":3},"action":{"type":"transition","targetStorageClass":"archive"}},
        {"rulePriority":4,"selection":{"tagStatus":"untagged","storageClass":"archive","countUnit":"days",
         "countType":"sinceImageTransitioned","countNumber":90},"action":{"type":"expire"}}]}"#;
    let rule =
        |index, priority, tags, class, count, action| Rule { index, priority, tags, class, count, action };
    let pattern = Tags::Patterns(vec!["v*".to_owned()]);
    let rules = vec![
        rule(1, 2, pattern, StorageClass::Standard, Count::SincePulled(3 * DAY), Action::Archive),
        rule(2, 4, Tags::Untagged, StorageClass::Archive, Count::SinceTransitioned(90 * DAY), Action::Expire),
        rule(0, 9, Tags::Any, StorageClass::Standard, Count::MoreThan(5), Action::Expire),
    ];
    assert_eq!(Policy::parse(text), Ok(Policy { rules }));
}

#[test]
fn the_document_is_checked_in_the_validators_words() {
    let whole = |text: &str| Policy::parse(text).err().unwrap_or_default();
    assert_eq!(whole("no"), "Could not map policyString into LifecyclePolicy.");
    assert_eq!(whole("[]"), "Could not map policyString into LifecyclePolicy.");
    assert_eq!(whole("{}"), "object has missing required properties ([\"rules\"])\n");
    assert_eq!(
        whole(r#"{"rules":null,"x":1}"#),
        "object instance has properties which are not allowed by the schema: [\"x\"]\n\
         instance type (null) does not match any allowed primitive type (allowed: [\"array\"])\n"
    );
    let count = json!({ "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 0 });
    assert_eq!(
        told(&json!([rule(1, &count), {}])),
        "numeric instance is lower than the required minimum (minimum: 1, found: 0)\n\
         object has missing required properties ([\"action\",\"rulePriority\",\"selection\"])\n"
    );
    let unit =
        json!({ "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1, "countUnit": null });
    let none = "instance failed to match exactly one schema (matched 0 out of 2)\n";
    assert_eq!(told(&json!([rule(1, &unit), rule(2, &unit)])), format!("{none}{none}"));
    let status = json!({ "tagStatus": "x", "countType": "imageCountMoreThan", "countNumber": 1 });
    assert_eq!(
        told(&json!([rule(1, &status)])),
        "instance value (\"x\") not found in enum (possible values: [\"any\",\"tagged\",\"untagged\"])\n"
    );
}

fn select(status: &str, extra: &Value) -> Value {
    let mut selection = json!({ "tagStatus": status, "countType": "imageCountMoreThan", "countNumber": 1 });
    for (name, value) in extra.as_object().into_iter().flatten() {
        selection[name] = value.clone();
    }
    selection
}

#[test]
fn rules_must_go_together() {
    let untagged = select("untagged", &json!({}));
    let any = select("any", &json!({}));
    let tagged = |list: &str, texts: Value| select("tagged", &json!({ list: texts }));
    assert_eq!(
        told(&json!([rule(1, &untagged), rule(2, &untagged)])),
        "Only one rule can select Untagged images per storage class."
    );
    assert_eq!(
        told(&json!([rule(1, &any), rule(2, &untagged)])),
        "Rule for tagStatus=ANY must have the lowest priority per storage class"
    );
    assert_eq!(
        told(&json!([rule(1, &select("tagged", &json!({})))])),
        "Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED."
    );
    assert_eq!(
        told(&json!([rule(1, &untagged), rule(1, &any)])),
        "Rule priorities must be unique; 1 is used more than once."
    );
    assert_eq!(
        told(&json!([
            rule(1, &tagged("tagPrefixList", json!(["a"]))),
            rule(2, &tagged("tagPrefixList", json!(["b", "a"])))
        ])),
        "Tag prefix 'a' can only be used once per storage class, by one rule."
    );
    assert_eq!(
        told(&json!([rule(1, &tagged("tagPatternList", json!(["*a*b*c*d*"])))])),
        "Tag pattern '*a*b*c*d*' has more than 4 wildcards."
    );
}

#[test]
fn counts_must_go_with_actions() {
    let pulled = select("any", &json!({ "countType": "sinceImagePulled", "countUnit": "days" }));
    assert_eq!(
        told(&json!([rule(1, &pulled)])),
        "countType=SINCE_IMAGE_PULLED can only be used with action type TRANSITION."
    );
    let archived =
        json!({ "countType": "sinceImageTransitioned", "countUnit": "days", "storageClass": "archive" });
    assert_eq!(
        told(&json!([rule(1, &select("any", &archived))])),
        "countNumber must be at least 90 when countType=SINCE_IMAGE_TRANSITIONED."
    );
}

/// A value that the schema lets pass, but that has no type yet, must not become another rule.
#[test]
fn unknown_actions_and_counts_are_refused() {
    let rule = |count: &str, action: &str| {
        let selection = json!({ "tagStatus": "any", "countType": count, "countNumber": 1 });
        let rule = json!({ "rulePriority": 1, "selection": selection, "action": { "type": action } });
        let read = Rule::read(rule.as_object().unwrap(), 0);
        read.map(|rule| rule.action).map_err(|problem| problem.pointer)
    };
    assert_eq!(rule("imageCountMoreThan", "expire"), Ok(Action::Expire));
    assert_eq!(rule("imageCountMoreThan", "replicate"), Err("/rules/0/action/type".to_owned()));
    assert_eq!(rule("sinceImageSigned", "expire"), Err("/rules/0/selection/countType".to_owned()));
}
