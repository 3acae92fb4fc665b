//! `ecr prune --plan`, `--apply` and `--policy`.

use serde_json::{Value, json};

use super::super::valid;
use super::stage::Stage;

fn stage() -> Stage {
    let stage = Stage::new();
    let registry = &stage.registry;
    registry.repository("team/app");
    for name in ["a", "b", "c"] {
        let digest = registry.image("team/app", name, Some(name));
        registry.age(&digest, 90);
    }
    let amd = registry.image("team/app", "amd", None);
    registry.age(&amd, 90);
    let index = registry.index("team/app", &[&amd], Some("index"));
    registry.age(&index, 90);
    registry.image("team/app", "new", Some("new"));
    stage
}

#[test]
fn a_plan_is_carried_out_exactly() {
    let stage = stage();
    stage.machine.ok("prune team/app --tagged --older-than 30d --plan plan.json");
    assert_eq!(stage.writes(), 0);
    let plan: Value =
        serde_json::from_str(&std::fs::read_to_string(stage.machine.path().join("plan.json")).unwrap())
            .unwrap();
    assert_eq!(plan["repositories"][0]["going"].as_array().unwrap().len(), 5);
    // What is old enough by now is not in the plan; what was tagged meanwhile is spared.
    let late = stage.registry.image("team/app", "late", Some("late"));
    stage.registry.age(&late, 90);
    let b = stage.registry.image("team/app", "b", Some("prod"));
    let _ = stage.machine.fails(5, "prune --apply plan.json --max 3 --yes");
    let outcome = stage.machine.ecr(&["prune", "--apply", "plan.json", "--yes", "--output", "json"]);
    assert_eq!(outcome.code, 0, "{}", outcome.transcript());
    let value = valid("prune", &outcome.stdout);
    assert_eq!(
        value["repositories"][0]["spared"],
        json!([{
            "imageId": {"imageDigest": b}, "reason": "its tags changed: b, then b, prod"
        }])
    );
    assert_eq!(stage.registry.tags("team/app"), ["b", "late", "new", "prod"]);
    // Again: nothing is left to do.
    stage.machine.ok("prune --apply plan.json --yes");
    assert_eq!(stage.registry.tags("team/app"), ["b", "late", "new", "prod"]);
}

#[test]
fn a_plan_for_something_else_is_refused() {
    let stage = stage();
    stage.machine.ok("prune team/app --tagged --older-than 30d --plan plan.json");
    let text = std::fs::read_to_string(stage.machine.path().join("plan.json")).unwrap();
    stage.machine.write("other.json", text.replace("123456789012", "999999999999"));
    let error = stage.machine.fails(5, "prune --apply other.json --yes");
    assert!(error.contains("the plan is for team/app in the registry 999999999999"), "{error}");
    let error = stage.machine.fails(5, "prune --apply plan.json --plan-age 0s --yes");
    assert!(error.contains("and --plan-age allows one of the last"), "{error}");
    let mut plan: Value = serde_json::from_str(&text).unwrap();
    let image = plan["repositories"][0]["going"][0].clone();
    plan["repositories"][0]["going"].as_array_mut().unwrap().push(image);
    stage.machine.write("twice.json", plan.to_string());
    stage.machine.write("no.json", "[]");
    stage.machine.write("evil.json", text.replace("\"a\"", "\"a\\u001b[2J\""));
    for file in ["twice", "no", "evil", "missing"] {
        let _ = stage.machine.fails(252, &format!("prune --apply {file}.json --yes"));
    }
    let _ = stage.machine.fails(252, "prune team/app --apply plan.json --yes");
    assert_eq!(stage.writes(), 0);
}

#[test]
fn a_plan_that_says_something_else_than_ours_is_refused() {
    let stage = stage();
    stage.machine.ok("prune team/app --tagged --older-than 30d --plan plan.json");
    let text = std::fs::read_to_string(stage.machine.path().join("plan.json")).unwrap();
    stage.machine.write("action.json", text.replace("\"delete\"", "\"keep\""));
    assert_eq!(
        stage.machine.fails(252, "prune --apply action.json --yes"),
        "error: the plan has the action 'keep' for team/app: expected delete or archive\n"
    );
    stage.machine.write("none.json", text.replace("\"action\": \"delete\",", ""));
    let _ = stage.machine.fails(252, "prune --apply none.json --yes");
    let mut plan: Value = serde_json::from_str(&text).unwrap();
    let repository = plan["repositories"][0].clone();
    plan["repositories"].as_array_mut().unwrap().push(repository);
    stage.machine.write("twice.json", plan.to_string());
    assert_eq!(
        stage.machine.fails(252, "prune --apply twice.json --yes"),
        "error: the plan has team/app twice\n"
    );
    assert_eq!(stage.writes(), 0);
}

#[test]
fn an_image_that_was_deleted_and_pushed_again_is_spared() {
    let stage = stage();
    stage.machine.ok("prune team/app --match a --match b --older-than 30d --plan plan.json");
    let input = json!({"repositoryName": "team/app", "imageIds": [{"imageTag": "a"}]});
    stage.registry.call("BatchDeleteImage", input).unwrap();
    let again = stage.registry.image("team/app", "a", Some("a"));
    let done = stage.machine.ok("prune --apply plan.json --yes --output json");
    assert_eq!(
        valid("prune", &done)["repositories"][0]["spared"],
        json!([{"imageId": {"imageDigest": again}, "reason": "it was pushed again"}])
    );
    assert_eq!(stage.registry.tags("team/app"), ["a", "c", "index", "new"]);
}

#[test]
fn options_that_a_policy_or_a_plan_decides_are_refused_beside_it() {
    let stage = stage();
    stage.machine.write("prune.yaml", "- repositories: '*'\n  tagged: true\n  older-than: 30d\n");
    stage.machine.ok("prune team/app --tagged --older-than 30d --plan plan.json");
    let of_both = [
        "--untagged",
        "--tagged",
        "--match x",
        "--older-than 1d",
        "--not-pulled-for 1d",
        "--orphans",
        "--tags",
        "--archive",
        "--keep 1",
        "--keep-tag x",
        "--protect-in-use 1d",
        "--grace 1h",
    ];
    let of_policies = ["--max 1", "--allow-empty", "--allow-replicated"];
    let refused = |source: &str, option: &str| {
        let error = stage.machine.fails(252, &format!("prune {source} {option} --yes"));
        let name = option.split(' ').next().unwrap();
        assert!(error.contains(source.split(' ').next().unwrap()), "{error}");
        assert!(error.contains(name), "{option}: {error}");
    };
    for option in of_both.iter().chain(&of_policies) {
        refused("--policy prune.yaml", option);
    }
    for option in of_both.iter().chain(&["--protect-from list", "--policy prune.yaml", "--plan other.json"]) {
        refused("--apply plan.json", option);
    }
    assert_eq!(stage.writes(), 0);
    // A list of what is protected adds to those of the rules.
    stage.machine.write("list", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:b\n");
    stage.machine.ok("prune --policy prune.yaml --protect-from list --yes");
    assert_eq!(stage.registry.tags("team/app"), ["b", "new"]);
}

#[test]
fn a_policy_has_rules_of_which_the_first_counts() {
    let stage = stage();
    stage.registry.repository("prod/app");
    for name in ["p1", "p2"] {
        let digest = stage.registry.image("prod/app", name, Some(name));
        stage.registry.age(&digest, 90);
    }
    stage.machine.write(
        "prune.yaml",
        "- repositories: ['prod/*']\n  untagged: true\n- repositories: '*'\n  tagged: true\n  older-than: 30d\n  keep: 2\n",
    );
    stage.machine.ok("prune --policy prune.yaml --yes");
    assert_eq!(stage.registry.tags("prod/app"), ["p1", "p2"]);
    assert_eq!(stage.registry.tags("team/app").len(), 2);
    stage.machine.write("wrong.yaml", "- repositories: '*'\n  untaged: true\n");
    let error = stage.machine.fails(252, "prune --policy wrong.yaml --yes");
    assert!(error.contains("--policy wrong.yaml: rule 1: unexpected key 'untaged'"), "{error}");
    stage.machine.write("nothing.yaml", "- repositories: '*'\n");
    let _ = stage.machine.fails(252, "prune --policy nothing.yaml --yes");
}
