//! `ecr prune`: what goes and what stays.

use std::fmt::Write as _;

use serde_json::json;

use super::super::{golden, valid};
use super::stage::Stage;

/// Old and new images, an index with its platforms, and untagged ones; what is old is 90 days old.
fn stage() -> Stage {
    let stage = Stage::new();
    let registry = &stage.registry;
    registry.repository("team/app");
    registry.repository("team/tool");
    let old = |name: &str, tag: Option<&str>| {
        let digest = registry.image("team/app", name, tag);
        registry.age(&digest, 90);
        digest
    };
    let (amd, arm) = (old("amd", None), old("arm", None));
    let app = registry.index("team/app", &[&amd, &arm], Some("1.0"));
    registry.age(&app, 90);
    old("signature", Some(&format!("sha256-{}.sig", &app[7..])));
    old("pr-1", Some("pr-1"));
    old("pr-2", Some("pr-2"));
    old("left", None);
    registry.image("team/app", "new", Some("2.0"));
    registry.image("team/app", "fresh", None);
    let tool = registry.image("team/tool", "tool", None);
    registry.age(&tool, 40);
    registry.image("team/tool", "tool-1", Some("1"));
    stage
}

/// The names that tests gave to the images that are left.
fn left(stage: &Stage, repository: &str) -> Vec<String> {
    let names = ["amd", "arm", "signature", "pr-1", "pr-2", "left", "new", "fresh", "tool", "tool-1"];
    let images = stage.registry.images(repository);
    let name = |digest: &str| {
        let known = names.iter().find(|name| {
            crate::harness::registry::digest(super::stage::image(name).to_string().as_bytes()) == digest
        });
        known.map_or_else(|| "index".to_owned(), |name| (*name).to_owned())
    };
    let mut left: Vec<String> = images.iter().map(|(digest, _)| name(digest)).collect();
    left.sort();
    left
}

#[test]
fn old_untagged_images_go_and_every_image_has_a_reason() {
    let stage = stage();
    golden("prune-dry-run.txt", &stage.machine.ok("prune team/* --untagged --older-than 30d --dry-run"));
    golden(
        "prune-explain.txt",
        &stage.machine.ok("prune team/* --untagged --older-than 30d --dry-run --explain"),
    );
    assert_eq!(stage.writes(), 0);
    let text = stage.machine.ok("prune team/* --untagged --older-than 30d --dry-run --explain --output text");
    golden("prune.tsv", &text);
    golden(
        "prune.md",
        &stage.machine.ok("prune team/* --untagged --older-than 30d --dry-run --output markdown"),
    );
    let json = stage.machine.ok("prune team/* --untagged --older-than 30d --dry-run --explain --output json");
    let value = valid("prune", &json);
    assert_eq!((&value["dryRun"], &value["summary"]["delete"]), (&json!(true), &json!(2)));
    assert_eq!(value["repositories"][0]["keep"].as_array().unwrap().len(), 8);
    assert_eq!(
        stage
            .machine
            .ok("prune team/* --untagged --older-than 30d --dry-run --query summary.delete --output json"),
        "2\n"
    );
    let done = stage.machine.ok("prune team/* --untagged --older-than 30d --yes --output json --report markdown=report.md --report text=report.tsv");
    let value = valid("prune", &done);
    assert_eq!((&value["dryRun"], &value["summary"]["deleted"]), (&json!(false), &json!(2)));
    assert_eq!(
        left(&stage, "team/app"),
        ["amd", "arm", "fresh", "index", "new", "pr-1", "pr-2", "signature"]
    );
    assert_eq!(left(&stage, "team/tool"), ["tool-1"]);
    assert!(
        std::fs::read_to_string(stage.machine.path().join("report.md"))
            .unwrap()
            .starts_with("| REPOSITORY |")
    );
    assert_eq!(std::fs::read_to_string(stage.machine.path().join("report.tsv")).unwrap().lines().count(), 2);
    // A second run finds nothing, and writes nothing.
    let writes = stage.writes();
    stage.machine.ok("prune team/* --untagged --older-than 30d --yes");
    assert_eq!(stage.writes(), writes);
}

#[test]
fn an_index_goes_whole() {
    let stage = stage();
    stage.machine.ok("prune team/app --match 1.* --older-than 30d --yes");
    assert_eq!(left(&stage, "team/app"), ["fresh", "left", "new", "pr-1", "pr-2"]);
}

#[test]
fn tags_go_alone_and_images_are_archived() {
    let stage = stage();
    let one = stage.registry.image("team/app", "pr-1", Some("1.1"));
    stage.registry.age(&one, 0);
    stage.machine.ok("prune team/app --match pr-* --older-than 30d --tags --yes");
    assert_eq!(
        left(&stage, "team/app"),
        ["amd", "arm", "fresh", "index", "left", "new", "pr-1", "signature"]
    );
    assert!(!stage.registry.tags("team/app").contains(&"pr-1".to_owned()));
    let calls = stage.service.calls();
    let ids: Vec<_> = calls
        .iter()
        .filter(|(operation, _)| operation == "BatchDeleteImage")
        .map(|(_, input)| input["imageIds"].clone())
        .collect();
    assert_eq!(ids[0], json!([{"imageTag": "pr-1"}]));
    assert!(ids[1][0].get("imageDigest").is_some() && ids.len() == 2, "{ids:?}");
    // Archived with children and companions, the index first; nothing is deleted.
    let deleted = stage.service.count("BatchDeleteImage");
    stage.machine.ok("prune team/app --match 1.0 --older-than 30d --archive --yes");
    assert_eq!(
        (stage.service.count("BatchDeleteImage"), stage.service.count("UpdateImageStorageClass")),
        (deleted, 4)
    );
    // What is archived is left, and counts neither for --keep nor as a tagged image.
    stage.machine.ok("prune team/app --match 1.0 --older-than 30d --archive --yes");
    assert_eq!(stage.service.count("UpdateImageStorageClass"), 4);
}

#[test]
fn protection_beats_everything() {
    let stage = stage();
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let pods = json!({"items": [{"spec": {"containers": [{"image": format!("{host}/team/app:pr-1")}]}}]});
    stage.machine.write("pods.json", pods.to_string());
    stage.machine.write("none.json", r#"{"items": []}"#);
    stage.machine.write("compose.yaml", format!("image: {host}/team/app:${{TAG}}\n"));
    stage.machine.ok("prune team/app --match pr-* --older-than 30d --protect-from pods.json --yes");
    assert!(left(&stage, "team/app").contains(&"pr-1".to_owned()));
    assert!(!left(&stage, "team/app").contains(&"pr-2".to_owned()));
    let writes = stage.writes();
    assert_eq!(
        stage.machine.fails(252, "prune team/app --tagged --protect-from none.json --yes"),
        "error: --protect-from none.json has no reference to a registry of Amazon ECR and is no list of digests, so that it would protect nothing\n"
    );
    let error = stage.machine.fails(252, "prune team/app --tagged --protect-from compose.yaml --yes");
    assert!(error.contains("to be filled in"), "{error}");
    let _ = stage.machine.fails(252, "prune team/app --tagged --protect-from missing.json --yes");
    stage.machine.ok("prune team/app --match pr-* --older-than 30d --keep-tag *-1 --yes");
    // Its use is unknown, so it stays.
    let explained = stage.machine.ok("prune team/app --match pr-* --protect-in-use 30d --yes --explain");
    assert!(explained.contains("cannot be told whether it is in use"), "{explained}");
    assert_eq!(stage.writes(), writes);
}

#[test]
fn an_index_is_in_use_where_one_of_its_platforms_is() {
    let stage = Stage::new();
    let registry = &stage.registry;
    registry.repository("team/app");
    let old = |digest: String| {
        registry.age(&digest, 90);
        digest
    };
    let run = old(registry.image("team/app", "run", Some("amd")));
    let idle = old(registry.image("team/app", "idle", None));
    let attestation = old(registry.image("team/app", "attestation", None));
    let mut list = super::stage::index(&[&run, &attestation]);
    list["manifests"][1]["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let used = old(registry.put("team/app", &list, Some("used")));
    let unused = old(registry.index("team/app", &[&idle], Some("unused")));
    old(registry.put("team/app", &super::stage::referrer("signature", &unused), None));
    registry.image("team/app", "new", Some("new"));
    let runs = run.clone();
    stage.before_each_call(move |_, operation, input, _| {
        (operation == "DescribeImageScanFindings").then(|| match input["imageId"]["imageDigest"].as_str() {
            Some(digest) if digest == runs || digest == idle => Ok(json!({"imageScanFindings": {"enhancedFindings": [
                {"resources": [{"details": {"awsEcrContainerImage": {"inUseCount": u8::from(digest == runs)}}}]}
            ]}})),
            _ => Err((400, "ScanNotFoundException", "no scan".to_owned())),
        })
    });
    // The platform has a tag of its own and would stay in any case: it is asked about all the same.
    stage.machine.ok("prune team/app --match *used --older-than 30d --protect-in-use 30d --yes");
    assert!(registry.has("team/app", &used) && registry.has("team/app", &attestation));
    assert_eq!(registry.tags("team/app"), ["amd", "new", "used"]);
    assert_eq!(registry.images("team/app").len(), 4);
}

/// The transcript of the page, on a registry like the one that it shows.
#[test]
fn the_page_shows_what_it_prints() {
    let page = include_str!("../../../docs/everyday.md");
    let block = page.split("```console\n").find(|block| block.starts_with("$ ecr prune 'team/*'")).unwrap();
    let block = block.split("```").next().unwrap();
    let stage = Stage::new();
    let registry = &stage.registry;
    let put = |digest: String, days: i64, megabytes: i64| {
        registry.age(&digest, days);
        registry.resize(&digest, megabytes * 1024 * 1024);
        digest
    };
    for repository in ["team/app", "team/tool"] {
        registry.repository(repository);
    }
    let amd = put(registry.image("team/app", "amd", None), 90, 310);
    let app = put(registry.index("team/app", &[&amd], Some("1.0")), 90, 310);
    put(registry.put("team/app", &super::stage::referrer("signature", &app), None), 90, 1);
    put(registry.image("team/app", "left", None), 90, 305);
    put(registry.image("team/app", "new", Some("2.0")), 2, 312);
    put(registry.image("team/tool", "tool", None), 40, 88);
    put(registry.image("team/tool", "tool-1", Some("1")), 1, 90);
    let path = format!("{}:/usr/bin:/bin", stage.machine.path().display());
    let mut shown = String::new();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ecr"), stage.machine.path().join("ecr")).unwrap();
    for line in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let mut command = stage.machine.command("sh", &["-c", line]);
        let outcome = crate::harness::outcome(command.env("PATH", &path));
        assert_eq!(outcome.code, 0, "{}", outcome.transcript());
        let _ = write!(shown, "$ {line}\n{}", outcome.stdout);
    }
    assert_eq!(shown, block);
}

#[test]
fn brakes_stop_everything_everywhere() {
    let stage = stage();
    let error = stage.machine.fails(5, "prune team/* --untagged --older-than 30d --max 0 --yes");
    assert_eq!(
        error.lines().find(|line| line.starts_with("error")).unwrap(),
        "error: 1 of 2 images of team/tool would go, and --max allows 0; nothing was changed"
    );
    let error = stage.machine.fails(5, "prune team/* --untagged --older-than 30d --max 20% --yes");
    assert!(error.contains("team/tool") && !error.contains("team/app would"), "{error}");
    let error = stage.machine.fails(5, "prune team/tool --tagged --grace 0s --yes");
    assert_eq!(
        error,
        "error: no tagged image of team/tool would be left; --allow-empty allows that; nothing was changed\n"
    );
    let outcome = stage.machine.ecr(&["prune", "team/tool", "--tagged", "--grace", "0s", "--dry-run"]);
    assert_eq!((outcome.code, stage.writes()), (1, 0), "{}", outcome.transcript());
    // Within the brakes all goes.
    stage.machine.ok("prune team/* --untagged --older-than 30d --max 50% --yes");
    for wrong in [
        "prune team/app --yes",
        "prune team/app --keep 3 --yes",
        "prune --untagged --yes",
        "prune team/app --untagged --tagged --yes",
        "prune team/app --untagged --tags --yes",
        "prune team/app --untagged --older-than 6m --yes",
        "prune team/app --untagged --max x --yes",
        "prune team/app --untagged --report pdf=x --yes",
    ] {
        let _ = stage.machine.fails(252, wrong);
    }
    // What would keep nothing, or choose everything, though it looks as if it did the opposite.
    for (wrong, told) in [
        (
            "--tagged --keep-tag 1.0,2.0",
            "'1.0,2.0' matches no tag: repeat the option for each of several globs",
        ),
        ("--tagged --keep-tag ^v.*$", "'^v.*$' matches no tag: no tag has '^' in it"),
        ("--tagged --keep-tag [0-9]*", "no tag has '[' in it"),
        ("--tagged --keep-tag app:1.0", "no tag has ':' in it"),
        ("--match pr-1,pr-2", "'pr-1,pr-2' matches no tag"),
        ("--untagged --keep 10", "--keep keeps the newest tagged images"),
        ("--older-than 2999-01-01", "--older-than 2999-01-01T00:00:00Z is in the future"),
    ] {
        let error = stage.machine.fails(252, &format!("prune team/app {wrong} --yes"));
        assert!(error.contains(told), "{wrong}: {error}");
    }
}

#[test]
fn pull_times_stay_with_a_warm_cache() {
    let stage = stage();
    stage.machine.ok("prune team/* --untagged --dry-run");
    let fetched = stage.service.count("BatchGetImage");
    let times = || {
        let answer = stage.registry.call("DescribeImages", json!({"repositoryName": "team/app"})).unwrap();
        let images = answer["imageDetails"].as_array().unwrap().clone();
        images
            .into_iter()
            .map(|image| (image["imageDigest"].clone(), image["lastRecordedPullTime"].clone()))
            .collect::<Vec<_>>()
    };
    let before = times();
    stage.machine.ok("prune team/* --untagged --dry-run --explain");
    assert_eq!((times(), stage.service.count("BatchGetImage"), fetched), (before, fetched, 1));
    // Our own fetch is no use: the index still counts as unused, and is not spared for it.
    let done = stage.machine.ok("prune team/app --match 1.0 --not-pulled-for 30d --yes --output json");
    assert_eq!(valid("prune", &done)["summary"]["deleted"], 4);
}
