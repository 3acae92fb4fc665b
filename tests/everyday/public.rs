//! `ecr images`, `latest`, `digest` and `find` of Amazon ECR Public, at the embedded ECR.

use crate::harness::Machine;
use crate::harness::registry::Serve;

/// A machine with a server whose public registry has `team/app:1.0`, the project's sample image, and the alias of that
/// registry.
fn gallery() -> (Machine, Serve, String) {
    let mut machine = Machine::new();
    machine.set("AWS_ACCESS_KEY_ID", "111122223333").set("AWS_SECRET_ACCESS_KEY", "x");
    machine.set("AWS_REGION", "us-east-1");
    let server = Serve::start(&machine, &["--anonymous"]);
    machine.set("AWS_ENDPOINT_URL", format!("http://{}", server.address));
    let made = machine.ok(
        "public create-repository --repository-name team/app --query repository.repositoryUri --output text",
    );
    let alias = made.rsplit('/').nth(2).unwrap().to_owned();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample-image");
    machine.ok(&format!("copy {sample} docker://{}:1.0", made.trim()));
    (machine, server, alias)
}

fn index() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample-image/index.json");
    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn both_ways_to_name_a_public_repository() {
    let (machine, server, alias) = gallery();
    let hosted = format!("public.ecr.aws/{alias}/team/app");
    let uri = format!("{}/{hosted}@{}\n", server.address, index());
    for (command, name) in [("public ", "team/app"), ("", hosted.as_str())] {
        assert_eq!(machine.ok(&format!("{command}latest {name}")), "1.0\n");
        assert_eq!(machine.ok(&format!("{command}digest {name}:1.0")), format!("{}\n", index()));
        assert_eq!(machine.ok(&format!("{command}digest {name}:1.0 --uri")), uri);
        machine.fails(1, &format!("{command}digest {name}:2.0"));
        let listed = machine.ok(&format!("{command}images {name} --output text --tagged"));
        let fields: Vec<&str> = listed.split('\t').take(4).collect();
        let shown = name.strip_prefix("public.ecr.aws/").unwrap_or(name);
        assert_eq!(fields, [shown, &index(), "1.0", "index"]);
        // The manifests come over /v2/, as the API has no operation for them.
        assert!(machine.ok(&format!("{command}images {name} --tree")).contains("linux/arm64"));
        let arm = machine.ok(&format!("{command}digest {name}:1.0 --platform linux/arm64"));
        assert_ne!(arm.trim(), index());
    }
    assert_eq!(
        machine.ok(&format!("find 1.0 public.ecr.aws/{alias}/team/* --output text")),
        format!("{}/{hosted}:1.0\n", server.address)
    );
}

#[test]
fn other_public_registries_are_refused() {
    let (machine, _server, alias) = gallery();
    assert_eq!(
        machine.fails(252, "images public.ecr.aws/nginx/nginx"),
        format!(
            "error: nginx/nginx is not of your own public registry, whose aliases are {alias}: AWS lists no other's images; \
             `ecr copy` and `ecr pull` read them\n"
        )
    );
    assert_eq!(
        machine.fails(252, "du public.ecr.aws/team/app"),
        "error: this command does not know Amazon ECR Public (public.ecr.aws); these do: images, latest, digest, \
         find, tag, untag, rm, prune\n"
    );
    assert_eq!(
        machine.fails(252, "public images 123456789012.dkr.ecr.us-east-1.amazonaws.com/app"),
        "error: 123456789012.dkr.ecr.us-east-1.amazonaws.com is not public.ecr.aws: leave out the word `public`, or the \
         host\n"
    );
}

/// Commands that change something work as in a private registry, by both names.
#[test]
fn tags_and_images_of_ones_own_public_registry_are_changed() {
    let (machine, _server, alias) = gallery();
    let hosted = format!("public.ecr.aws/{alias}/team/app");
    let tags = || {
        let line = "public images team/app --tagged --query sort(images[].imageTags[]) --output text";
        machine.ok(line).trim().replace('\t', " ")
    };
    assert_eq!(
        machine.ok("public tag team/app:1.0 stable --output text"),
        format!("stable\t{}\tcreated\t\n", index())
    );
    machine.ok(&format!("tag {hosted}:1.0 {hosted}:old other"));
    machine.ok("public tag team/app:1.0 arm --platform linux/arm64");
    assert_eq!(tags(), "1.0 arm old other stable");
    machine.ok("public untag team/app:other --yes");
    let _ = machine.fails(5, "public untag team/app:arm --yes");
    let _ = machine.fails(252, "public untag team/app:stable");
    let refused =
        "error: --not-pulled-for: Amazon ECR Public keeps no pull times: --older-than goes by the push\n";
    assert_eq!(machine.fails(252, "public prune team/app --not-pulled-for 1d --dry-run"), refused);
    for option in ["--protect-in-use 1d", "--archive"] {
        let _ = machine.fails(252, &format!("prune {hosted} --tagged {option} --dry-run"));
    }
    machine.ok("public prune team/app --match arm --tags --grace 0s --yes");
    assert_eq!(tags(), "1.0 arm old stable");
    machine.ok(&format!("prune {hosted} --match old --tags --grace 0s --yes"));
    assert_eq!(tags(), "1.0 arm stable");
    machine.ok("public rm team/app:1.0 --yes");
    // The index goes, its untagged children too, and what has a tag of its own stays.
    assert_eq!(tags(), "arm");
    assert_eq!(machine.ok("public images team/app --query length(images) --output text"), "1\n");
    assert_eq!(
        machine.fails(252, "public archive team/app:arm --yes"),
        "error: there is no `ecr public archive`; these know Amazon ECR Public: images, latest, digest, find, tag, untag, rm, \
         prune\n"
    );
}
