//! `ecr sync` as a stranger runs it.

use serde_json::{Value, json};

use super::commands::{SAMPLE, refused, remote, rows};
use crate::harness::Machine;
use crate::harness::registry::Serve;

const DIGEST: &str = "sha256:9601bd191b5621b179335abac35f21acf6fd155222ee6c5e9488e3ea507f4e89";
const ARM64: &str = "sha256:666134b1b1c863725939dc78f752817dc280af0b5e9369a272f26c5a4c3f5dd0";

/// `team/a` and `team/b` with a few tags each, and `other`.
fn filled(machine: &Machine, local: &str) {
    machine.ok(&format!("{local} push {SAMPLE} team/a:1.0 --create --tag latest --tag dev"));
    machine.ok(&format!("{local} push {SAMPLE} team/b:2.0 --create --platform linux/arm64"));
    machine.ok(&format!("{local} push {SAMPLE} other:1.0 --create"));
}

fn tags(machine: &Machine, local: &str, repository: &str) -> Vec<String> {
    let query = "--filter tagStatus=TAGGED --query imageIds[].[imageTag,imageDigest] --output text";
    let listed = machine.ok(&format!("{local} list-images --repository-name {repository} {query}"));
    let mut tags: Vec<String> = listed.lines().map(str::to_owned).collect();
    tags.sort();
    tags
}

#[test]
fn repositories_are_mirrored_and_kept_so() {
    let machine = Machine::new();
    filled(&machine, "--local");
    let sync = |more: &str| {
        let line = format!("--local sync team/* backup --exclude dev --create {more}");
        machine.ecr(&line.split_whitespace().collect::<Vec<_>>())
    };
    let dry = sync("--dry-run");
    let copied =
        format!("backup/team/a:1.0@{DIGEST}\nbackup/team/a:latest@{DIGEST}\nbackup/team/b:2.0@{ARM64}\n");
    assert_eq!(dry.stdout, copied, "{}", dry.transcript());
    let head = "REPOSITORY | TO BE COPIED | SIZE | TO BE DELETED | SAME";
    let expected = [
        head,
        "backup/team/a | 2 | 6.9 KiB | 0 | 0",
        "backup/team/b | 1 | 4.4 KiB | 0 | 0",
        "2 repositories | 3 | 11.4 KiB | 0 | 0",
    ];
    assert_eq!(rows(&dry.stderr), expected);
    assert_eq!(machine.ok("--local describe-repositories --query length(repositories)"), "3\n");

    assert_eq!(sync("").stdout, copied);
    assert_eq!(
        tags(&machine, "--local", "backup/team/a"),
        [format!("1.0\t{DIGEST}"), format!("latest\t{DIGEST}")]
    );
    let again = sync("");
    assert_eq!(
        (again.stdout.as_str(), rows(&again.stderr)[1..].join("")),
        ("", "2 repositories | 0 | 0 B | 0 | 3".into())
    );

    // A tag moves, one is new, one is gone, and what is not chosen stays.
    machine.ok("--local batch-delete-image --repository-name team/a --image-ids imageTag=latest");
    machine.ok(&format!("--local push {SAMPLE} team/a:1.0 --platform linux/arm64 --tag 1.1"));
    machine.ok(&format!("--local push {SAMPLE} backup/team/a:dev --tag extra"));
    let signature = format!("sha256-{}.sig", &DIGEST[7..]);
    machine.ok(&format!("--local push {SAMPLE} backup/team/a:{signature}"));
    let copied = format!("backup/team/a:1.0@{ARM64}\nbackup/team/a:1.1@{ARM64}\n");
    assert_eq!(sync("").stdout, copied);
    assert_eq!(tags(&machine, "--local", "backup/team/a").len(), 6);
    let dry = sync("--delete --dry-run");
    let told: Vec<&str> = dry.stderr.lines().filter(|line| line.contains("delete the")).collect();
    assert_eq!(told, ["would delete the tag extra", "would delete the tag latest"]);
    assert_eq!(tags(&machine, "--local", "backup/team/a").len(), 6);
    let value: Value = serde_json::from_str(&sync("--delete --output json").stdout).unwrap();
    let expected = json!([
        {"source": "team/a", "destination": "backup/team/a", "copied": [], "deleted": ["extra", "latest"],
         "same": 2, "bytes": 0, "images": [], "error": null},
        {"source": "team/b", "destination": "backup/team/b", "copied": [], "deleted": [], "same": 1, "bytes": 0,
         "images": [], "error": null},
    ]);
    assert_eq!(value, expected);
    let left: Vec<String> = [("1.0", ARM64), ("1.1", ARM64), ("dev", DIGEST), (&signature, DIGEST)]
        .map(|(tag, digest)| format!("{tag}\t{digest}"))
        .to_vec();
    assert_eq!(tags(&machine, "--local", "backup/team/a"), left);
    // The mirror is no source of itself.
    let whole = machine.ecr(&["--local", "sync", "*", "backup", "--create", "--match", "2.*"]);
    assert_eq!(whole.stderr.lines().next(), Some("left out what is below backup/ already: 2"));
    assert_eq!(rows(&whole.stderr)[1..], ["3 repositories | 0 | 0 B | 0 | 1"]);
}

#[test]
fn one_that_fails_need_not_stop_the_others() {
    let machine = Machine::new();
    filled(&machine, "--local");
    machine.ok("--local create-repository --repository-name backup/team/b");
    let line = "--local sync team/* backup --quiet";
    assert_eq!(
        refused(&machine, 255, line),
        "cannot mirror team/a: the repository backup/team/a does not exist; --create creates it"
    );
    assert_eq!(tags(&machine, "--local", "backup/team/b").len(), 0);
    assert_eq!(
        refused(&machine, 255, &format!("{line} --keep-going")),
        "1 of 2 repositories failed; the first of them is team/a: the repository backup/team/a does not exist; \
         --create creates it"
    );
    assert_eq!(tags(&machine, "--local", "backup/team/b").len(), 1);
    // The service's no keeps its exit code.
    machine.ok(
        "--local put-image-tag-mutability --repository-name backup/team/b --image-tag-mutability IMMUTABLE",
    );
    machine.ok(&format!("--local push {SAMPLE} team/b:2.0"));
    let words = refused(&machine, 254, "--local sync team/b backup --keep-going --quiet");
    assert!(words.contains("backup/team/b has the tag 2.0 for"), "{words}");
    for (places, words) in [
        ("team/b:1 backup", "'team/b:1' names one image; choose tags with --match"),
        ("team/b a/b:1", "'a/b:1' is not a registry or a prefix of repositories"),
        ("docker://team backup", "docker:// is followed by a registry's host"),
    ] {
        let shown = refused(&machine, 252, &format!("--local sync {places}"));
        assert!(shown.starts_with(words) || shown.contains(words), "{shown}");
    }
    assert_eq!(refused(&machine, 255, "--local sync nobody* backup"), "no repository matches nobody*");
    assert_eq!(
        refused(&machine, 255, "--local sync nobody backup"),
        "cannot mirror nobody: nobody has no repository nobody"
    );
}

#[test]
fn any_registry_is_mirrored_over_its_own_protocol() {
    let mut machine = Machine::new();
    let server = Serve::start(&machine, &["--anonymous"]);
    remote(&mut machine, &server);
    // The registry that strangers see.
    machine.set("AWS_ACCESS_KEY_ID", "000000000000").set("AWS_REGION", "us-east-1");
    filled(&machine, "");
    let host = format!("docker://{}", server.address);
    for name in ["team/a", "team/b"] {
        machine.ok(&format!("create-repository --repository-name backup/{name}"));
    }
    let line = format!("sync {host}/team/* {host}/backup --delete");
    let copied = format!(
        "backup/team/a:1.0@{DIGEST}\nbackup/team/a:dev@{DIGEST}\nbackup/team/a:latest@{DIGEST}\n\
         backup/team/b:2.0@{ARM64}\n"
    );
    assert_eq!(machine.ok(&line), copied);
    assert_eq!(machine.ok(&line), "");
    machine.ok("batch-delete-image --repository-name team/a --image-ids imageTag=dev");
    let again = machine.ecr(&line.split(' ').collect::<Vec<_>>());
    assert_eq!(
        rows(&again.stderr)[1..],
        ["backup/team/a | 0 | 0 B | 1 | 2", "2 repositories | 0 | 0 B | 1 | 3"]
    );
    assert_eq!(tags(&machine, "", "backup/team/a").len(), 2);
    // From there into a repository through ECR's own API, in another region.
    assert_eq!(
        machine.ok(&format!("sync {host}/team/b / --destination-region us-west-2 --create")),
        format!("team/b:2.0@{ARM64}\n")
    );
    assert_eq!(tags(&machine, "--region us-west-2", "team/b").len(), 1);
}

/// Two accounts in two regions, each by a profile of its own.
#[test]
fn each_side_has_an_account_and_a_region_of_its_own() {
    let mut machine = Machine::new();
    let server = Serve::start(&machine, &["--anonymous"]);
    machine.set("AWS_ENDPOINT_URL", format!("http://{}", server.address));
    machine.write(
        "home/.aws/config",
        "[profile here]\nregion = eu-west-1\naws_access_key_id = 111111111111\naws_secret_access_key = x\n\
         [profile there]\nregion = us-west-2\naws_access_key_id = 222222222222\naws_secret_access_key = x\n",
    );
    filled(&machine, "--profile here");
    let sides = "--source-profile here --destination-profile there --create";
    assert_eq!(machine.ok(&format!("sync team/b / {sides}")), format!("team/b:2.0@{ARM64}\n"));
    let copied =
        machine.ok(&format!("copy team/a:1.0 team/b:2.0 all {sides} --destination-region eu-north-1"));
    assert_eq!(copied, format!("{DIGEST}\n{ARM64}\n"));
    assert_eq!(tags(&machine, "--profile there", "team/b"), [format!("2.0\t{ARM64}")]);
    let all = [format!("1.0\t{DIGEST}"), format!("2.0\t{ARM64}")];
    assert_eq!(tags(&machine, "--profile there --region eu-north-1", "all"), all);
    assert_eq!(machine.ok("--profile here describe-repositories --query length(repositories)"), "3\n");
    // The account may also be in the host; the profile gives the identity.
    let host = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";
    let line =
        format!("copy {host}/team/a:1.0 mine:1 --source-profile here --destination-profile there --create");
    assert_eq!(machine.ok(&line), format!("{DIGEST}\n"));
}
