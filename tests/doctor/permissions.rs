//! Each command runs on the embedded ECR, which evaluates policies, as somebody who has exactly what
//! `ecr doctor --policy` prints; and with one action less it fails.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::registry::{Serve, digest};
use crate::harness::{Machine, Outcome};

const OWNER: &str = "111122223333";

/// A command as `--policy` takes it, and as it is run. For each run, `NEW` is a repository that was made for it, `MIRROR`
/// a prefix below which there is one with a tag too many, `FRESH` a name that nothing has, and
/// `IMAGES` a repository with an index and one of its images.
const COMMANDS: &[(&str, &str)] = &[
    ("push", "push sample-image NEW:1"),
    ("push --create", "push sample-image FRESH:1 --create"),
    ("pull", "pull team/app:1.0 LAYOUT"),
    ("pull --all-tags", "pull team/app LAYOUT --all-tags"),
    ("copy", "copy team/app:1.0 NEW:1"),
    ("copy --match", "copy team/app NEW --match 1.*"),
    ("sync --create", "sync team/app FRESH --create"),
    ("sync --create team/*", "sync team/* FRESH --create"),
    ("sync --delete", "sync team/app MIRROR --delete --yes"),
    ("images", "images team/app"),
    ("images --all", "images --all"),
    ("images team/*", "images team/*"),
    ("images --tree", "images team/app --tree --no-cache"),
    ("images --scan", "images team/app --scan --limit 1"),
    ("repos", "repos"),
    ("repos --empty", "repos --empty"),
    ("repos --policies", "repos --policies"),
    ("repos --resource-tag", "repos --resource-tag a=b"),
    ("latest", "latest team/app"),
    ("latest --platform", "latest team/app --match single --platform linux/amd64 --no-cache"),
    ("digest", "digest team/app:1.0"),
    ("digest --platform", "digest team/app:single --platform linux/amd64 --no-cache"),
    ("find", "find 1.0"),
    ("inspect", "inspect team/app:single --no-cache"),
    ("du", "du team/app"),
    ("du --all", "du --all"),
    ("du --exact", "du team/app --exact --no-cache"),
    ("lifecycle simulate", "lifecycle simulate team/app -f lifecycle.json --no-cache"),
    ("lifecycle show", "lifecycle show team/app"),
    ("tag", "tag IMAGES:1.0 prod --no-cache"),
    ("untag", "untag IMAGES:other --yes"),
    ("rm", "rm IMAGES:1.0 --yes --no-cache"),
    ("prune", "prune IMAGES --match 1.* --yes --grace 0s --allow-empty --allow-replicated --no-cache"),
    ("prune --archive", "prune IMAGES --match 1.* --archive --yes --grace 0s --allow-empty --no-cache"),
    ("archive", "archive IMAGES:1.0 --yes --no-cache"),
    ("doctor", "doctor team/app:1.0"),
    ("doctor --push", "doctor team/app:1.0 --push"),
];
/// Actions that no resource-based policy applies to, and that are always allowed here.
const ALWAYS_ALLOWED: [&str; 1] = ["ecr:GetAuthorizationToken"];

/// Commands with an action that they can do without.
const REPLACEABLE: [(&str, &str); 2] =
    [("digest --platform", "ecr:DescribeImages"), ("prune --archive", "ecr:BatchDeleteImage")];

/// A server with an image, a machine of its owner, and one of somebody who has what a policy allows.
struct Account {
    server: Serve,
    owner: Machine,
    user: Machine,
    runs: usize,
}

impl Account {
    fn new() -> Self {
        let mut owner = Machine::new();
        let keys = format!(
            "[owner]\naws_access_key_id = {OWNER}\naws_secret_access_key = secret\n\
             [user]\naws_access_key_id = USER\naws_secret_access_key = secret\n\
             principal_arn = arn:aws:iam::{OWNER}:user/user\n"
        );
        owner.write("keys", keys);
        let server = Serve::start(&owner, &["--enforce-policies", "--credentials", "keys"]);
        let mut user = Machine::new();
        for (machine, key) in [(&mut owner, OWNER), (&mut user, "USER")] {
            machine.set("AWS_ENDPOINT_URL", format!("http://{}", server.address));
            machine.set("AWS_ACCESS_KEY_ID", key).set("AWS_SECRET_ACCESS_KEY", "secret");
            machine.set("AWS_REGION", "eu-west-1");
            let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sample-image");
            std::os::unix::fs::symlink(image, machine.path().join("sample-image")).unwrap();
        }
        write_image(&owner, "other-image");
        owner.ok("create-repository --repository-name team/app");
        let rules = r#"{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"imageCountMoreThan",
            "countNumber":1},"action":{"type":"expire"}}]}"#;
        owner.write("lifecycle.json", rules);
        user.write("lifecycle.json", rules);
        owner.ok(
            "put-lifecycle-policy --repository-name team/app --lifecycle-policy-text file://lifecycle.json",
        );
        owner.ok("push sample-image team/app:1.0 --quiet");
        owner.ok("push sample-image team/app:single --platform linux/amd64 --quiet");
        Self { server, owner, user, runs: 0 }
    }

    /// Runs a command as the user, who is denied everything but these actions.
    fn run(&mut self, line: &str, actions: &[String]) -> Outcome {
        self.runs += 1;
        let name = format!("new/app-{}", self.runs);
        if line.contains("NEW") {
            self.owner.ok(&format!("create-repository --repository-name {name}"));
        }
        if line.contains("IMAGES") {
            self.owner.ok(&format!("create-repository --repository-name {name}"));
            self.owner.ok(&format!("push sample-image {name}:1.0 --quiet"));
            self.owner.ok(&format!("push sample-image {name}:other --platform linux/amd64 --quiet"));
            self.owner.ok(&format!("push sample-image {name}:single --platform linux/amd64 --quiet"));
        }
        if line.contains("MIRROR") {
            self.owner.ok(&format!("create-repository --repository-name {name}/team/app"));
            self.owner.ok(&format!("push other-image {name}/team/app:extra --quiet"));
        }
        let allowed = [&["ecr:GetAuthorizationToken".to_owned()], actions].concat();
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Deny", "Principal": {"AWS": format!("arn:aws:iam::{OWNER}:user/user")},
            "NotAction": allowed, "Resource": "*"
        }]});
        self.owner.write("policy.json", policy.to_string());
        self.owner.ok("put-registry-policy --policy-text file://policy.json");
        let line = line
            .replace("NEW", &name)
            .replace("IMAGES", &name)
            .replace("MIRROR", &name)
            .replace("FRESH", &format!("fresh/app-{}", self.runs));
        let line = line.replace("LAYOUT", &format!("layout-{}", self.runs));
        self.user.ecr(&line.split_whitespace().collect::<Vec<_>>())
    }
}

/// Writes an OCI layout with an image that shares nothing with others.
fn write_image(machine: &Machine, name: &str) {
    let blob = |content: &str| {
        let digest = digest(content.as_bytes());
        machine.write(&format!("{name}/blobs/sha256/{}", &digest[7..]), content);
        json!({"digest": digest, "size": content.len()})
    };
    let described = |media_type: &str, content: &str| {
        let mut descriptor = blob(content);
        descriptor["mediaType"] = json!(media_type);
        descriptor
    };
    let config =
        described("application/vnd.oci.image.config.v1+json", r#"{"os":"linux","architecture":"s390x"}"#);
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let content =
        json!({"schemaVersion": 2, "mediaType": manifest, "config": config, "layers": []}).to_string();
    let index = json!({"schemaVersion": 2, "manifests": [described(manifest, &content)]});
    machine.write(&format!("{name}/index.json"), index.to_string());
    machine.write(&format!("{name}/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
}

/// The actions of a policy.
fn actions(policy: &str) -> Vec<String> {
    let policy: Value = serde_json::from_str(policy).unwrap();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let actions = statements.flat_map(|statement| statement["Action"].as_array().unwrap());
    let mut actions: Vec<String> = actions.map(|action| action.as_str().unwrap().to_owned()).collect();
    actions.sort();
    actions.dedup();
    actions
}

#[test]
fn a_policy_is_enough_and_nothing_of_it_too_much() {
    let mut account = Account::new();
    let mut wrong = Vec::new();
    let is_there = |name: &str| ecr::commands::COMMANDS.iter().any(|command| command.name == name);
    for (command, line) in COMMANDS.iter().filter(|(_, line)| line.split(' ').next().is_some_and(is_there)) {
        let printed = account.user.ecr(&["doctor", "--policy", command]);
        assert_eq!(printed.code, 0, "{command}\n{}", printed.transcript());
        let all = actions(&printed.stdout);
        let ran = account.run(line, &all);
        if ran.code != 0 {
            wrong.push(format!("{line} needs more than {all:?}\n{}", ran.transcript()));
        }
        let is_missed = |action: &&String| {
            !ALWAYS_ALLOWED.contains(&action.as_str()) && !REPLACEABLE.contains(&(command, action.as_str()))
        };
        for action in all.iter().filter(is_missed) {
            let fewer: Vec<String> = all.iter().filter(|other| *other != action).cloned().collect();
            if account.run(line, &fewer).code == 0 {
                wrong.push(format!("{line} does not need {action}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{} runs at {}", wrong.join("\n"), account.runs, account.server.address);
}

#[test]
fn a_policy_names_the_repository() {
    let machine = Machine::new();
    let host = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn";
    let printed =
        machine.ecr(&["doctor", &format!("{host}/team/app:1.0"), "--policy", "ecr pull --all-tags"]);
    let policy = r#"{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Source",
            "Effect": "Allow",
            "Action": [
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
                "ecr:ListImages"
            ],
            "Resource": "arn:aws-cn:ecr:cn-north-1:123456789012:repository/team/app"
        }
    ]
}
"#;
    assert_eq!((printed.stdout.as_str(), printed.code), (policy, 0), "{}", printed.transcript());
    assert_eq!(
        printed.stderr,
        "where the repository belongs to a pull through cache rule, also ecr:BatchImportUpstreamImage, \
         ecr:CreateRepository, ecr:TagResource\n"
    );
    let picked =
        ["doctor", "team/*", "--policy", "copy", "--query", "Statement[].Resource", "--output", "text"];
    assert_eq!(
        machine.ecr(&picked).stdout,
        "arn:aws:ecr:*:*:repository/*\tarn:aws:ecr:*:*:repository/team/*\n"
    );
    let refused = machine.ecr(&["doctor", "--policy", "purge"]);
    assert_eq!(refused.code, 252, "{}", refused.transcript());
    assert!(
        refused.stderr.contains("--policy purge: expected one of push, pull, copy"),
        "{}",
        refused.stderr
    );
    assert_eq!(machine.ecr(&["doctor", "docker.io/app", "--policy", "pull"]).code, 252);
}

/// Every command of ours has its permissions listed.
#[test]
fn every_command_is_in_the_table() {
    let listed: Vec<&str> = ecr::commands::permissions::PERMISSIONS.iter().map(|of| of.command).collect();
    for command in ecr::commands::COMMANDS {
        let is_listed =
            |name: &&str| *name == command.name || name.starts_with(&format!("{} ", command.name));
        assert!(listed.iter().any(is_listed), "{}", command.name);
    }
}
