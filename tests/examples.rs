//! The examples of every operation, run on the embedded ECR: what help shows is what happens.
//! `UPDATE=1 cargo test --test integration examples` writes the outputs anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::harness::{Machine, outcome};

/// A machine with what examples start from, a copy of one that is made once.
fn machine() -> Machine {
    static PREPARED: LazyLock<Machine> = LazyLock::new(prepared);
    let machine = with_settings();
    let copied = Command::new("cp").arg("-a").arg(PREPARED.path().join(".")).arg(machine.path()).status();
    assert!(copied.unwrap().success());
    machine
}

/// A machine on which `ecr` uses the embedded ECR.
fn with_settings() -> Machine {
    let mut machine = Machine::new();
    machine.set("PATH", format!("{}:/usr/bin:/bin", machine.path().join("bin").display()));
    machine.set("ECR_LOCAL", "1").set("AWS_ACCESS_KEY_ID", "123456789012").set("AWS_SECRET_ACCESS_KEY", "x");
    machine.set("AWS_REGION", "us-east-1");
    machine
}

/// Prepares the machine of an example: repositories `team/app` and, in the public registry, `app`, with an index of two
/// platforms as `1.0` and an image as `single`, and documents in files.
fn prepared() -> Machine {
    let machine = with_settings();
    let bin = machine.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ecr"), bin.join("ecr")).unwrap();
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sample-image");
    std::os::unix::fs::symlink(image, machine.path().join("sample-image")).unwrap();
    for (name, document) in DOCUMENTS {
        machine.write(name, document);
    }
    for line in SETUP {
        let outcome = outcome(&mut machine.command("sh", &["-ec", line]));
        assert_eq!(outcome.code, 0, "{line}\n{}", outcome.transcript());
    }
    machine
}

const SETUP: &[&str] = &[
    "ecr create-repository --repository-name team/app",
    "ecr push sample-image team/app:1.0",
    "ecr push sample-image team/app:single --platform linux/amd64",
    "ecr public create-repository --repository-name app",
    "layer() { upload=$(ecr public initiate-layer-upload --repository-name app --query uploadId --output text); \
     ecr public upload-layer-part --repository-name app --upload-id $upload --part-first-byte 0 \
     --part-last-byte $(($(stat -c %s $1) - 1)) --layer-part-blob fileb://$1 && \
     ecr public complete-layer-upload --repository-name app --upload-id $upload --layer-digests sha256:$(sha256sum $1 | cut -d' ' -f1); }; \
     ecr batch-get-image --repository-name team/app --image-ids imageTag=single --query 'images[0].imageManifest' --output text | tr -d '\\n' >manifest.json; \
     for digest in $(grep -oE 'sha256:[0-9a-f]{64}' manifest.json); do layer sample-image/blobs/sha256/${digest#sha256:}; done; \
     ecr public put-image --repository-name app --image-tag 1.0 --image-manifest file://manifest.json",
];

const DOCUMENTS: &[(&str, &str)] = &[
    (
        "lifecycle.json",
        r#"{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":14},"action":{"type":"expire"}}]}"#,
    ),
    (
        "policy.json",
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"pull","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::210987654321:root"},"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"]}]}"#,
    ),
    (
        "public-policy.json",
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"push","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::210987654321:root"},"Action":["ecr-public:InitiateLayerUpload","ecr-public:UploadLayerPart","ecr-public:CompleteLayerUpload","ecr-public:PutImage"]}]}"#,
    ),
    (
        "registry-policy.json",
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"replicate","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::210987654321:root"},"Action":["ecr:ReplicateImage"],"Resource":"arn:aws:ecr:us-east-1:123456789012:repository/*"}]}"#,
    ),
    (
        "replication.json",
        r#"{"rules":[{"destinations":[{"region":"eu-west-1","registryId":"123456789012"}],"repositoryFilters":[{"filter":"team/","filterType":"PREFIX_MATCH"}]}]}"#,
    ),
    (
        "signing.json",
        r#"{"rules":[{"signingProfileArn":"arn:aws:signer:us-east-1:123456789012:/signing-profiles/team","repositoryFilters":[{"filter":"team/*","filterType":"WILDCARD_MATCH"}]}]}"#,
    ),
];

/// Output with what differs from run to run written in one way: times, identifiers, the address of the embedded ECR.
fn steady(machine: &Machine, text: &str) -> String {
    let text = machine.neutral(text);
    let replacements = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)", "2026-11-30T09:41:00.123000+00:00"),
        (
            "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "2b7bd2b6-6f0d-4a4e-9b1e-8a1f0c5d7e3a",
        ),
        (r"127\.0\.0\.1:5700/public\.ecr\.aws/", "public.ecr.aws/"),
        (r"127\.0\.0\.1:5700", "123456789012.dkr.ecr.us-east-1.amazonaws.com"),
        (r"https?://123456789012\.dkr", "https://123456789012.dkr"),
    ];
    replacements.iter().fold(text, |text, (pattern, with)| {
        regex_lite::Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned()
    })
}

/// A file of examples in which every command's output is what the command prints today.
fn rerun(text: &str) -> String {
    let mut fresh = String::new();
    let mut setup: Vec<&str> = Vec::new();
    let mut commands: Vec<&str> = Vec::new();
    let finish = |fresh: &mut String, setup: &mut Vec<&str>, commands: &mut Vec<&str>| {
        if !commands.is_empty() {
            fresh.push_str(&transcript(setup, commands));
        }
        setup.clear();
        commands.clear();
    };
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("% ") {
            setup.push(command);
        } else if let Some(command) = line.strip_prefix("$ ") {
            commands.push(command);
            continue;
        } else if line.starts_with("# ") || line.starts_with("= ") {
            finish(&mut fresh, &mut setup, &mut commands);
            if line.starts_with("= ") && !fresh.is_empty() {
                fresh.push('\n');
            }
        } else {
            continue;
        }
        writeln!(fresh, "{line}").unwrap();
    }
    finish(&mut fresh, &mut setup, &mut commands);
    fresh
}

/// Runs the commands of one example in one shell on a new machine.
fn transcript(setup: &[&str], commands: &[&str]) -> String {
    let machine = machine();
    let mut script = "exec 3>&1 >setup.log 2>&1\nset -e\n".to_owned();
    for line in setup {
        writeln!(script, "{line}").unwrap();
    }
    script.push_str("exec >&3\n");
    for command in commands {
        writeln!(script, "cat <<'COMMAND'\n$ {command}\nCOMMAND\n{command}").unwrap();
    }
    let outcome = outcome(&mut machine.command("timeout", &["60", "sh", "-c", &script]));
    let log = std::fs::read_to_string(machine.path().join("setup.log")).unwrap_or_default();
    assert_eq!(outcome.code, 0, "{commands:?}\n{log}{}", outcome.transcript());
    steady(&machine, &outcome.stdout)
}

fn hold(name: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/model/data").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let fresh = rerun(&text);
    if std::env::var_os("UPDATE").is_some() {
        return std::fs::write(&path, &fresh).unwrap();
    }
    let differs = fresh.lines().zip(text.lines()).find(|(now, then)| now != then);
    assert_eq!(differs, None, "{name} is stale: UPDATE=1 cargo test --test integration examples");
    assert_eq!(text.len(), fresh.len(), "{name} is stale: UPDATE=1 cargo test --test integration examples");
}

#[test]
fn examples_of_ecr_show_what_happens() {
    hold("ecr.examples.txt");
}

#[test]
fn examples_of_ecr_public_show_what_happens() {
    hold("ecr-public.examples.txt");
}
