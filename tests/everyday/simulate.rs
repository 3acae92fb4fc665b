//! `ecr lifecycle simulate` and `show`.

use serde_json::{Value, json};

use super::sample::{image, registry};
use super::scripted::{Registry, Service};
use super::{golden, valid};
use crate::harness::Machine;
use crate::harness::registry::digest;

/// Keeps the newest of `build-*`, expires what is untagged for two weeks, and archives what nobody pulls.
const POLICY: &str = r#"{"rules":[
{"rulePriority":1,"selection":{"tagStatus":"tagged","tagPatternList":["build-*"],"countType":"sinceImagePushed","countUnit":"days","countNumber":365},"action":{"type":"expire"}},
{"rulePriority":2,"selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":14},"action":{"type":"expire"}},
{"rulePriority":3,"selection":{"tagStatus":"tagged","tagPatternList":["nothing-*"],"countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}},
{"rulePriority":4,"selection":{"tagStatus":"any","countType":"sinceImagePulled","countUnit":"days","countNumber":30},"action":{"type":"transition","targetStorageClass":"archive"}}]}"#;

fn machine(service: &Service) -> Machine {
    let machine = service.machine();
    machine.write("policy.json", POLICY);
    machine
}

/// A registry whose `team/app` has a policy and an old untagged image, while the other repository has none.
fn service() -> Service {
    let mut sample = registry();
    let old = json!({"registryId": "123456789012", "repositoryName": "team/app", "imageDigest": digest(b"left"),
        "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json", "imageStatus": "ACTIVE",
        "imageSizeInBytes": 1_048_576, "imagePushedAt": 1_690_000_000});
    sample.images["team/app"].as_array_mut().unwrap().push(old);
    Service::start(move |operation, input, _| match operation {
        "GetLifecyclePolicy" if input["repositoryName"] == "team/app" => {
            Ok(json!({"lifecyclePolicyText": POLICY, "lastEvaluatedAt": 1_701_000_000}))
        }
        "GetLifecyclePolicy" => Err((400, "LifecyclePolicyNotFoundException", "none".to_owned())),
        _ => sample.answer(operation, input),
    })
}

const AT: &str = "lifecycle simulate team/app -f policy.json --at 2023-12-01";

#[test]
fn every_format() {
    let service = service();
    let machine = machine(&service);
    let shown = |options: &str| {
        let line = format!("{AT}{options}");
        machine.ecr(&line.split(' ').collect::<Vec<_>>()).transcript()
    };
    golden("simulate.txt", &shown(""));
    golden("simulate-explain.txt", &shown(" --explain"));
    golden("simulate-over.txt", &shown(" --over 90d"));
    golden("simulate.tsv", &machine.ok(&format!("{AT} --output text")));
    golden("simulate-explain.tsv", &machine.ok(&format!("{AT} --output text --explain")));
    golden("simulate.md", &machine.ok(&format!("{AT} --output markdown --over 14d")));
    golden("simulate.html", &machine.ok(&format!("{AT} --output html --over 28d")));
    let whole = machine.ok(&format!("{AT} --output json --explain --over 7d"));
    let value = valid("lifecycle-simulate", &whole);
    assert_eq!(value["summary"]["expiringImages"], 2);
    let query = "--query repositories[].rules[].images --output text";
    assert_eq!(machine.ok(&format!("{AT} {query}")), "1\t1\t0\t0\n");
    machine
        .ok(&format!("{AT} --output off --report json=a.json --report html=b.html --report markdown=c.md"));
    for name in ["a.json", "b.html", "c.md"] {
        assert!(machine.path().join(name).metadata().unwrap().len() > 500, "{name}");
    }
}

/// An image that runs somewhere would expire: told by tag or digest, whatever the file is.
#[test]
fn expiring_referenced_images_are_warned_of() {
    let service = service();
    let machine = machine(&service);
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let left = digest(b"left");
    machine.write("pods.json", json!({"items": [{"image": format!("{host}/team/app@{left}")}]}).to_string());
    machine.write("list", format!("{host}/team/other:1\n"));
    let warned = |file: &str| {
        let line = format!(
            "{AT} --protect-from {file} --output json --query repositories[].warnings[].[code,message]"
        );
        machine
            .ok(&format!("{line} --output text"))
            .lines()
            .filter(|line| line.starts_with("protected"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let message = format!("protected\trule 2 expires 1 image that --protect-from names: {left}");
    assert_eq!((warned("pods.json"), warned("list")), (vec![message], vec![]));
    machine.write("nothing", "no reference");
    let said = machine.fails(252, &format!("{AT} --protect-from nothing"));
    assert!(said.contains("it would protect nothing"), "{said}");
    let said = machine.fails(252, "lifecycle simulate - -f - --protect-from pods.json");
    assert!(said.contains("standard input"), "{said}");
}

#[test]
fn each_repository_has_its_own_policy() {
    let service = service();
    let machine = machine(&service);
    let outcome = machine.ecr(&["lifecycle", "simulate", "--all", "--at", "2023-12-01", "--output", "json"]);
    assert_eq!(outcome.code, 0, "{}", outcome.transcript());
    assert!(outcome.stderr.contains("1 repository has no lifecycle policy"), "{}", outcome.stderr);
    let value = valid("lifecycle-simulate", &outcome.stdout);
    let has = |at: usize| value["repositories"][at]["hasLifecyclePolicy"].clone();
    assert_eq!((has(0), has(1)), (Value::Bool(true), Value::Bool(false)));
    golden("lifecycle-show.txt", &machine.ok("lifecycle show team/app"));
    golden("lifecycle-show.tsv", &machine.ok("lifecycle show --all --output text"));
    valid("lifecycle-show", &machine.ok("lifecycle show --all --output json"));
}

#[test]
fn nothing_is_changed_and_manifests_are_fetched_once() {
    let service = service();
    let machine = machine(&service);
    machine.ok(AT);
    assert_eq!(service.count("BatchGetImage"), 1);
    machine.ok(AT);
    assert_eq!(service.count("BatchGetImage"), 1);
    for (operation, _) in service.calls() {
        assert!(["DescribeImages", "BatchGetImage"].contains(&operation.as_str()), "{operation}");
    }
}

#[test]
fn limits_and_wrong_use() {
    let service = service();
    let machine = machine(&service);
    machine.ok(&format!("{AT} --max 2"));
    let said = machine.fails(1, &format!("{AT} --max 1"));
    assert!(said.contains("error: team/app: 2 of 8 images would expire, which is over --max 1\n"), "{said}");
    let _ = machine.fails(1, &format!("{AT} --max 10%"));
    machine.ok(&format!("{AT} --max 25%"));
    let calls = service.calls().len();
    machine.write("wrong.json", POLICY.replace("\"any\"", "\"all\""));
    let said = machine.fails(252, "lifecycle simulate team/app -f wrong.json");
    assert!(said.contains("wrong.json:5:44: instance value (\"all\") not found in enum"), "{said}");
    for line in [
        "lifecycle simulate",
        "lifecycle",
        "lifecycle simulate team/app --max 200%",
        "lifecycle simulate team/app --at 30d",
        "lifecycle simulate team/app --over 6m",
        "lifecycle simulate team/app --report sarif=x",
    ] {
        let _ = machine.fails(252, line);
    }
    let _ = machine.fails(255, "lifecycle simulate team/app -f none.json");
    assert_eq!(service.calls().len(), calls);
    let _ = machine.fails(254, "lifecycle simulate team/none -f policy.json");
}

/// Cases of reports about lifecycle policies: each is a warning before it is a loss.
#[test]
fn policies_that_lost_people_images_are_warned_of() {
    let now = jiff::Timestamp::now().as_second();
    let day = 24 * 60 * 60;
    let signature = format!("sha256-{}.sig", &digest(b"a")[7..]);
    let members = |tags: &[&str], days: i64| json!({"imageTags": tags, "imagePushedAt": now - days * day, "imageSizeInBytes": 100});
    let mut pulled = members(&["prod-1"], 400);
    pulled["lastRecordedPullTime"] = json!(now - day);
    let images = vec![
        image("a", members(&["dev-1", "v1.0"], 400)),
        image("b", pulled),
        image("c", members(&[&signature], 400)),
    ];
    let service = Service::of(Registry::default().with("team/app", images));
    let machine = service.machine();
    let codes = |selection: &str| {
        let rule = format!(
            r#"{{"rules":[{{"rulePriority":1,"description":"{:80}","selection":{{{selection}}},"action":{{"type":"expire"}}}}]}}"#,
            ""
        );
        machine.write("p.json", rule);
        let query = "--query repositories[].warnings[].code --output text";
        machine.ok(&format!("lifecycle simulate team/app -f p.json {query}")).trim_end().to_owned()
    };
    let age = r#""countType":"sinceImagePushed","countUnit":"days","countNumber":30"#;
    assert_eq!(
        codes(&format!(r#""tagStatus":"any",{age}"#)),
        "pulled-recently\tpromoted\tempties-repository"
    );
    assert_eq!(codes(&format!(r#""tagStatus":"untagged",{age}"#)), "matches-nothing");
    assert_eq!(codes(&format!(r#""tagStatus":"tagged","tagPrefixList":["dev-"],{age}"#)), "promoted");
    assert_eq!(
        codes(&format!(r#""tagStatus":"tagged","tagPrefixList":["dev-","prod-"],{age}"#)),
        "matches-nothing"
    );
    let count = r#""countType":"imageCountMoreThan","countNumber":2"#;
    assert_eq!(codes(&format!(r#""tagStatus":"any",{count}"#)), "counts-companions");
}
