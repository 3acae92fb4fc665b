//! `push`, `pull` and `images` as a stranger runs them, on the embedded ECR.

use std::path::Path;

use crate::harness::Machine;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample-image");
const DIGEST: &str = "sha256:9601bd191b5621b179335abac35f21acf6fd155222ee6c5e9488e3ea507f4e89";
const ARM64: &str = "sha256:666134b1b1c863725939dc78f752817dc280af0b5e9369a272f26c5a4c3f5dd0";

fn same(one: &Path, other: &Path) -> bool {
    std::process::Command::new("diff").arg("-r").arg(one).arg(other).status().unwrap().success()
}

/// The lines of a transfer, without the order in which blobs happen to arrive and the time it takes.
fn talk(stderr: &str) -> Vec<String> {
    let mut lines: Vec<String> =
        stderr.lines().map(|line| line.split(", in ").next().unwrap_or(line).to_owned()).collect();
    lines.sort();
    lines
}

#[test]
fn the_sample_image_goes_up_and_comes_back() {
    let machine = Machine::new();
    let push = machine.ecr(&["--local", "push", SAMPLE, "team/hello:1.0", "--create", "--tag", "latest"]);
    assert_eq!(
        (push.code, push.stdout.as_str()),
        (0, format!("{DIGEST}\n").as_str()),
        "{}",
        push.transcript()
    );
    let expected = [
        "1a1cefeeea5d  manifest",
        "5 blobs to move, 6.9 KiB",
        "5ed9c401b4f0  459 B",
        "666134b1b1c8  manifest",
        "82b0b2572141  2.0 KiB",
        "8c564f6b7ad1  2.0 KiB",
        "9601bd191b56  manifest",
        "b99336159ee5  459 B",
        "d58046a0724b  2.0 KiB",
        "pushed 5 blobs, 6.9 KiB",
    ];
    assert_eq!(talk(&push.stderr), expected);

    let again = machine.ecr(&["--local", "push", SAMPLE, "team/hello:1.0"]);
    assert_eq!(again.stdout, format!("{DIGEST}\n"));
    assert_eq!(
        talk(&again.stderr),
        ["nothing to move, 5 blobs there already", "pushed 0 blobs, 0 B, 5 there already"]
    );

    let listed = machine.ok("--local images team/hello");
    assert_eq!(
        listed.lines().nth(1).unwrap(),
        "│ TAGS     DIGEST         TYPE       SIZE   PUSHED           │"
    );
    assert_eq!(listed.matches("index").count(), 1);
    assert_eq!(listed.matches("image").count(), 2);
    let json: serde_json::Value =
        serde_json::from_str(&machine.ok("--local images team/hello --output json")).unwrap();
    assert_eq!(json[0]["imageTags"], serde_json::json!(["1.0", "latest"]));

    assert_eq!(machine.ok("--local pull team/hello:1.0 layout"), format!("{DIGEST}\n"));
    assert!(same(Path::new(SAMPLE), &machine.path().join("layout")));
    assert_eq!(machine.ok("--local pull team/hello image.tar"), format!("{DIGEST}\n"));
    assert_eq!(machine.ok("--local push image.tar team/other --create"), format!("{DIGEST}\n"));
    assert_eq!(machine.ok(&format!("--local pull team/other@{DIGEST} oci:again:1.0")), format!("{DIGEST}\n"));
    assert!(same(Path::new(SAMPLE), &machine.path().join("again")));
    assert_eq!(machine.ok("--local pull team/hello:1.0 small --platform linux/arm64"), format!("{ARM64}\n"));
    // The host of a reference says the account and the region.
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    assert_eq!(
        machine.ok(&format!("--local push {SAMPLE} {host}/team/hello:1.0 --create")),
        format!("{DIGEST}\n")
    );
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let machine = Machine::new();
    machine.ok(&format!("--local push {SAMPLE} hello:1.0 --create"));
    let fails = |code: i32, line: &str| {
        let stderr = machine.neutral(&machine.fails(code, line));
        stderr.trim().strip_prefix("ecr: [ERROR]: ").unwrap().replace(SAMPLE, "{SAMPLE}")
    };
    assert_eq!(
        fails(254, &format!("--local push {SAMPLE} nobody/home:1.0")),
        "the repository nobody/home does not exist; --create creates it: An error occurred \
         (RepositoryNotFoundException) when calling the DescribeImages operation: The repository with name \
         'nobody/home' does not exist in the registry with id '000000000000'"
    );
    assert_eq!(
        fails(255, "--local push nowhere hello"),
        "cannot read nowhere: No such file or directory (os error 2)"
    );
    assert_eq!(fails(255, "--local pull hello:2.0 out"), "hello has no image 2.0");
    assert!(!machine.path().join("out").exists());
    let usage = |line: &str| fails(252, line).replace("An error occurred (ParamValidation): ", "");
    assert_eq!(
        usage("--local images docker.io/hello"),
        "docker.io is not a registry of Amazon ECR; expected a repository's name alone, or a host such as \
         123456789012.dkr.ecr.us-east-1.amazonaws.com in front of it"
    );
    assert_eq!(
        usage(&format!("--local push {SAMPLE} hello --platform linux")),
        "'linux' is not a platform; expected OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/arm64"
    );
    assert_eq!(
        fails(255, &format!("--local push {SAMPLE} hello --platform linux/s390x")),
        "{SAMPLE} has no image for linux/s390x; it has linux/amd64, linux/arm64"
    );
    assert_eq!(
        fails(255, &format!("--local push {SAMPLE} hello@{ARM64}")),
        format!("{{SAMPLE}} has {DIGEST}, expected {ARM64}")
    );
    assert_eq!(usage("--local images hello:1.0"), "'hello:1.0' names one image; expected a repository");
    machine.write("full/letter.txt", "Dear");
    assert_eq!(
        fails(255, "--local pull hello:1.0 full"),
        "full is not empty and not an OCI image layout (it has no file oci-layout); choose a new folder"
    );
}
