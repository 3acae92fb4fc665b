//! Lint and PutLifecyclePolicy refuse the same documents.

use super::*;
use crate::lifecycle::{Severity, lint};

/// xorshift64*, so that every run has the same documents.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    fn one<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn rule(&mut self, place: usize) -> Value {
        let selection = self.selection();
        let is_pulled = selection["countType"] == "sinceImagePulled";
        let action = if is_pulled ^ self.chance(12) {
            json!({ "type": "transition", "targetStorageClass": "archive" })
        } else {
            json!({ "type": "expire" })
        };
        let mut rule = json!({ "rulePriority": place + 1, "selection": selection, "action": action });
        self.damage(&mut rule);
        rule
    }

    fn selection(&mut self) -> Value {
        let status = self.one(&["tagged", "tagged", "tagged", "untagged", "any"]);
        let kind = self.one(&[
            "imageCountMoreThan",
            "sinceImagePushed",
            "sinceImagePulled",
            "sinceImageTransitioned",
        ]);
        let mut selection = json!({ "tagStatus": status, "countType": kind });
        if kind != "imageCountMoreThan" || self.chance(20) {
            selection["countUnit"] = json!("days");
        }
        selection["countNumber"] =
            json!(if kind == "sinceImageTransitioned" { 80 + self.below(100) } else { self.below(20) });
        if (kind == "sinceImageTransitioned") != self.chance(12) {
            selection["storageClass"] = json!("archive");
        }
        if (status == "tagged") != self.chance(12) {
            let list = self.one(&["tagPatternList", "tagPatternList", "tagPrefixList"]);
            let text = format!("{}{}", self.one(&["v*", "a", "*b*", "é", "*-*-*-*-", ""]), self.below(40));
            selection[list] = json!([text]);
        }
        selection
    }

    /// Puts something else where a rule has a member, now and then.
    fn damage(&mut self, rule: &mut Value) {
        if self.chance(12) {
            let member = self.one(&["rulePriority", "selection", "action", "description", "other"]);
            rule[member] =
                [json!(null), json!("x"), json!(1.5), json!([]), json!({}), json!(1)][self.below(6)].clone();
        }
        if self.chance(20) {
            let member = self.one(&["tagStatus", "countType", "countNumber", "tagPrefixList"]);
            if rule["selection"].is_object() {
                rule["selection"][member] =
                    [json!(false), json!(["a", 1]), json!(0), json!("any")][self.below(4)].clone();
            }
        }
    }

    fn document(&mut self) -> String {
        let count = if self.chance(200) { 51 } else { 1 + self.below(3) };
        let rules: Vec<Value> = (0..count).map(|place| self.rule(place)).collect();
        let document = json!({ "rules": rules });
        let mut text = if self.chance(2) {
            document.to_string()
        } else {
            serde_json::to_string_pretty(&document).unwrap()
        };
        match self.below(16) {
            0 => text = text.replacen("\"tagStatus\"", "\"tagStatus\":\"any\",\"tagStatus\"", 1),
            1 => text.insert(0, '\u{feff}'),
            2 => text = text.chars().take(self.below(text.len())).collect(),
            3 => text.push_str(&" ".repeat(31_000)),
            4 => text = text.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(130), "]".repeat(130)), 1),
            5 => {
                let (from, to) = (self.one(&["\"", ",", "}", "5", "days"]), self.one(&["", "é", "\\u0000"]));
                text = text.replacen(from, to, 1);
            }
            _ => {}
        }
        text
    }
}

#[test]
fn lint_and_put_lifecycle_policy_refuse_the_same_documents() {
    let store = Store::with_repository();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut taken = 0;
    for _ in 0..10_000 {
        let text = random.document();
        let is_refused = lint(text.as_bytes()).iter().any(|finding| finding.severity == Severity::Error);
        let input = json!({ "repositoryName": "team/app", "lifecyclePolicyText": text });
        let answer = store.local.answer(&store.caller, model::ecr(), "PutLifecyclePolicy", input, None);
        assert_eq!(answer.is_err(), is_refused, "{text}\n{answer:?}");
        taken += usize::from(answer.is_ok());
    }
    // Both verdicts are tested.
    assert!((1_000..9_000).contains(&taken), "{taken} of 10000 were taken");
}
