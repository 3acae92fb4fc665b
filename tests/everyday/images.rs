//! `ecr images`.

use serde_json::json;

use super::sample::{image, registry};
use super::scripted::{Registry, Service};
use super::{golden, valid};

#[test]
fn every_format_at_every_width() {
    let service = Service::of(registry());
    let mut machine = service.machine();
    for width in [40, 80, 200] {
        machine.set("COLUMNS", width.to_string());
        golden(&format!("images-{width}.txt"), &machine.ok("images team/app"));
    }
    golden("images-color.txt", &machine.ok("images team/app --limit 1 --color on"));
    machine.unset("COLUMNS");
    golden("images-pipe.txt", &machine.ok("images --all --archived"));
    golden("images.md", &machine.ok("images team/* --output markdown"));
    golden("images.tsv", &machine.ok("images --all --output text --limit 4"));
    assert_eq!(machine.ok("images --all --output off"), "");
}

#[test]
fn json_follows_its_schema_and_a_query_is_never_ignored() {
    let service = Service::of(registry());
    let machine = service.machine();
    for options in ["", " --archived", " --tree", " --tree --scan", " --limit 0"] {
        valid("images", &machine.ok(&format!("images --all --output json{options}")));
    }
    golden("images.json", &machine.ok("images team/app --output json --tag 1.* --tag latest"));
    let query = "--query images[].imageTags[0]";
    golden("images-query.txt", &{
        let line = format!("images team/app --tagged --no-cache {query}");
        let mut all = String::new();
        for output in ["json", "text", "table", "markdown", "off"] {
            let shown = machine.ok(&format!("{line} --output {output}"));
            all.extend(["# ", output, "\n", &shown]);
        }
        all
    });
    let wrong = machine.fails(252, "images team/app --query images[");
    assert!(wrong.contains("--query images["), "{wrong}");
    // What is wrong with the command line is found before any call.
    let calls = service.calls().len();
    let _ = machine.fails(252, "images team/app --output yaml");
    let _ = machine.fails(252, "images team/app:1.0");
    let _ = machine.fails(252, "images");
    let _ = machine.fails(252, "images team/app --since 6m");
    assert_eq!(service.calls().len(), calls);
}

#[test]
fn a_tree_fetches_the_manifests_of_indexes_once() {
    let service = Service::of(registry());
    let machine = service.machine();
    let line: Vec<&str> = "images --all --tree --archived".split(' ').collect();
    let first = machine.ecr(&line);
    golden("images-tree.txt", &first.transcript());
    assert_eq!(service.count("BatchGetImage"), 2);
    // The second time the cache has all of them, and without --tree children are folded too.
    let second = machine.ecr(&line);
    assert_eq!((second.stdout, second.stderr), (first.stdout, String::new()));
    let folded = machine.ecr(&["images", "team/app"]);
    golden("images-folded.txt", &folded.transcript());
    assert_eq!(service.count("BatchGetImage"), 2);
}

#[test]
fn nothing_that_only_lists_counts_as_a_pull() {
    let service = Service::of(registry());
    let machine = service.machine();
    let old = format!("sha256:{}", "0".repeat(64));
    for line in [
        "images --all --archived",
        "images team/app --scan",
        "latest team/app",
        "digest team/app:1.2.3",
        "find 1.2.3",
        "find *",
    ] {
        machine.ok(line);
    }
    let _ = machine.fails(1, &format!("find {old}"));
    let reading = ["DescribeImages", "DescribeRepositories", "DescribeImageScanFindings"];
    for (operation, _) in service.calls() {
        assert!(reading.contains(&operation.as_str()), "{operation}");
    }
}

#[test]
fn images_are_chosen_and_ordered() {
    let versions = ["1.10", "1.9", "v2", "latest", "202301"];
    let images = versions.iter().enumerate().map(|(number, tag)| {
        image(
            tag,
            json!({
                "imageTags": [tag], "imageSizeInBytes": 100 - number, "imagePushedAt": 1_700_000_000 + number,
                "lastRecordedPullTime": 1_750_000_000 - number
            }),
        )
    });
    let untagged = image("untagged", json!({"imageSizeInBytes": 1, "imagePushedAt": 1_500_000_000}));
    let service = Service::of(
        Registry { page: 2, ..Registry::default() }.with("team/app", images.chain([untagged]).collect()),
    );
    let machine = service.machine();
    let tags = |options: &str| {
        let text = machine.ok(&format!("images team/app --output text {options}"));
        text.lines().map(|line| line.split('\t').nth(2).unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    for (options, expected) in [
        ("", "202301 latest v2 1.9 1.10 "),
        ("--reverse", " 1.10 1.9 v2 latest 202301"),
        ("--sort pulled", "1.10 1.9 v2 latest 202301 "),
        ("--sort size", "1.10 1.9 v2 latest 202301 "),
        ("--sort semver", "v2 1.10 1.9 202301 latest "),
        ("--sort tag", "1.10 1.9 202301 latest v2 "),
        ("--limit 2", "202301 latest"),
        ("--tag 1.* --tag v*", "v2 1.9 1.10"),
        ("--exclude 1.* --exclude 20*", "latest v2 "),
        ("--untagged", ""),
        ("--tagged --limit 1 --sort size", "1.10"),
        ("--since 2023-01-01 --until 2023-11-14T22:13:22Z", "1.9 1.10"),
    ] {
        assert_eq!(tags(options), expected, "{options}");
    }
    // 1,750,000,000 is 2025-06-15T15:06:40Z; each image was pulled a second before the one in front of it.
    assert_eq!(tags("--not-pulled-for 2025-06-15T15:06:38Z"), "202301 latest ");
}

#[test]
fn of_several_repositories_one_may_fail() {
    let service = Service::start(|operation, input, before| {
        if input["repositoryName"] == "team/secret" {
            let text = "User: arn:aws:iam::123456789012:user/ann is not authorized".to_owned();
            return Err((400, "AccessDeniedException", text));
        }
        // Throttled once: tried again.
        if operation == "DescribeImages" && before == 0 {
            return Err((400, "ThrottlingException", "Rate exceeded".to_owned()));
        }
        Registry::default()
            .with("team/app", vec![image("a", json!({"imageTags": ["1"], "imagePushedAt": 1_700_000_000}))])
            .with("team/secret", vec![])
            .answer(operation, input)
    });
    let machine = service.machine();
    let outcome = machine.ecr(&["images", "team/*", "--output", "json"]);
    assert_eq!(outcome.code, 4, "{}", outcome.transcript());
    golden("images-failure.txt", &outcome.transcript());
    valid("images", &outcome.stdout);
    // Alone it is the command's own failure, with the code of the AWS CLI.
    let _ = machine.fails(254, "images team/secret");
    let _ = machine.fails(254, "images team/none");
}

#[test]
fn several_profiles_and_regions_are_asked_at_once() {
    let one = Service::of(registry());
    let mut machine = one.machine();
    machine.write(
        "home/.aws/config",
        "[profile a]\naws_access_key_id = A\naws_secret_access_key = s\n[profile b]\naws_access_key_id = B\n\
         aws_secret_access_key = s\n",
    );
    golden(
        "images-accounts.txt",
        &machine.ok("images team/app --limit 4 --profiles a,b --regions eu-west-1,us-east-1"),
    );
    let outcome = machine.ecr(&["images", "team/app", "--limit", "1", "--profiles", "a,none"]);
    assert_eq!(outcome.code, 4, "{}", outcome.transcript());
    golden("images-profiles.txt", &outcome.transcript());
    machine.unset("AWS_ENDPOINT_URL");
    let line = format!("images {}/team/app --regions eu-west-1", one.address());
    let _ = machine.fails(252, &line);
    machine.ok(&format!("images {}/team/*", one.address()));
}

#[test]
fn a_page_that_comes_twice_is_an_error() {
    let service = Service::start(|_, _, _| Ok(json!({"imageDetails": [], "nextToken": "same"})));
    let said = service.machine().fails(255, "images team/app");
    assert!(said.contains("DescribeImages answered the same page twice"), "{said}");
    assert_eq!(service.count("DescribeImages"), 2);
}

#[test]
fn names_come_from_standard_input() {
    let service = Service::of(registry());
    let machine = service.machine();
    machine.write("names", "# mine\n\nteam/app\n");
    let script = format!("{} images - --limit 1 --output text < names", env!("CARGO_BIN_EXE_ecr"));
    let outcome = crate::harness::outcome(&mut machine.command("sh", &["-c", &script]));
    assert_eq!(outcome.stdout.lines().count(), 1, "{}", outcome.transcript());
    assert!(outcome.stdout.starts_with("team/app\t"), "{}", outcome.transcript());
}
