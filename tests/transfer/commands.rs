//! `push`, `pull` and `images` as a stranger runs them, on the embedded ECR.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{LAYER, about, image as image_of, noise};
use crate::harness::registry::Serve;
use crate::harness::{Machine, Outcome};

pub(super) const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample-image");
const DIGEST: &str = "sha256:9601bd191b5621b179335abac35f21acf6fd155222ee6c5e9488e3ea507f4e89";
const ARM64: &str = "sha256:666134b1b1c863725939dc78f752817dc280af0b5e9369a272f26c5a4c3f5dd0";

fn same(one: &Path, other: &Path) -> bool {
    std::process::Command::new("diff").arg("-r").arg(one).arg(other).status().unwrap().success()
}

/// The lines of a transfer, without the order in which blobs happen to arrive.
fn talk(stderr: &str) -> Vec<String> {
    let mut lines: Vec<String> = stderr.lines().filter(|line| !is_table(line)).map(str::to_owned).collect();
    lines.sort();
    lines
}

fn is_table(line: &str) -> bool {
    line.starts_with(['┌', '│', '╞', '└'])
}

/// The rows of a table, the header first, without the time that it took.
pub(super) fn rows(stderr: &str) -> Vec<String> {
    let rows = stderr.lines().filter(|line| line.starts_with('│'));
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches(['│', ' ']).split("   ").map(str::trim).filter(|cell| !cell.is_empty());
        cells.map(str::to_owned).collect()
    };
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    let kept = rows[0].iter().position(|cell| cell == "SECONDS").unwrap_or(rows[0].len());
    rows.iter().map(|row| row[..kept.min(row.len())].join(" | ")).collect()
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
    ];
    assert_eq!(talk(&push.stderr), expected);
    assert_eq!(
        rows(&push.stderr),
        ["IMAGE | PUSHED | SIZE | THERE", "team/hello:1.0,latest | 5 blobs | 6.9 KiB | 0"]
    );

    let again = machine.ecr(&["--local", "push", SAMPLE, "team/hello:1.0"]);
    assert_eq!(again.stdout, format!("{DIGEST}\n"));
    assert_eq!(talk(&again.stderr), ["nothing to move, 5 blobs there already"]);
    assert_eq!(rows(&again.stderr)[1..], ["team/hello:1.0 | 0 blobs | 0 B | 5"]);

    let listed = machine.ok("--local images team/hello");
    let head: Vec<&str> = listed.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["TAGS", "DIGEST", "TYPE", "SIZE", "PUSHED", "PULLED"]);
    assert_eq!(listed.matches("index").count(), 1);
    assert_eq!(listed.matches("image").count(), 2);
    let json: Value = serde_json::from_str(&machine.ok("--local images team/hello --output json")).unwrap();
    assert_eq!(json["images"][0]["imageTags"], json!(["1.0", "latest"]));

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
fn errors_are_one_sentence() {
    let machine = Machine::new();
    machine.ok(&format!("--local push {SAMPLE} hello:1.0 --create"));
    let fails = |code: i32, line: &str| {
        let stderr = machine.neutral(&machine.fails(code, line));
        stderr.trim().strip_prefix("error: ").unwrap().replace(SAMPLE, "{SAMPLE}")
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
    let usage = |line: &str| fails(252, line);
    assert_eq!(
        usage("--local images docker.io/hello"),
        "docker.io is not a registry of Amazon ECR; expected a repository's name alone, or a host such as \
         123456789012.dkr.ecr.us-east-1.amazonaws.com in front of it"
    );
    assert_eq!(
        usage(&format!("--local push {SAMPLE} hello --platform linux")),
        "'linux' is not a platform; expected OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/arm64, and \
         for Windows also OS/ARCHITECTURE:VERSION"
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

/// Fails with this code and this sentence.
pub(super) fn refused(machine: &Machine, code: i32, line: &str) -> String {
    let stderr = machine.neutral(&machine.fails(code, line)).replace(SAMPLE, "{SAMPLE}");
    stderr.split("error: ").last().unwrap().trim().to_owned()
}

#[test]
fn an_immutable_tag_is_reported_before_anything_is_sent() {
    let machine = Machine::new();
    machine.ok("--local create-repository --repository-name app --image-tag-mutability IMMUTABLE");
    machine.ok(&format!("--local push {SAMPLE} app:1.0"));
    machine.ok(&format!("--local push {SAMPLE} app:1.0"));
    machine.ok(&format!("--local push {SAMPLE} app:1.1"));
    let words = format!(
        "app has the tag 1.0 for {DIGEST} already, and keeps it there (its tag mutability is IMMUTABLE); nothing \
         was sent. Choose another tag for {ARM64}"
    );
    for more in ["", " --create", " --dry-run"] {
        let line = format!("--local push {SAMPLE} app:1.0 --platform linux/arm64{more}");
        assert_eq!(refused(&machine, 254, &line), words);
    }
    // Of several images none moves, whether they are named or mirrored.
    machine.ok(&format!("--local push {SAMPLE} new/app:0.9 --create"));
    machine.ok(&format!("--local push {SAMPLE} new/app:1.0 --platform linux/arm64"));
    assert_eq!(refused(&machine, 254, "--local copy new/app app --all-tags"), words);
    machine.ok("--local create-repository --repository-name m/new/app --image-tag-mutability IMMUTABLE");
    machine.ok(&format!("--local push {SAMPLE} m/new/app:1.0"));
    let mirror = refused(&machine, 254, "--local sync new/app m");
    assert_eq!(mirror, format!("cannot mirror new/app: m/new/{words}"));
    for (name, tags) in [("app", "1.0\t1.1\n"), ("m/new/app", "1.0\n")] {
        let list = format!("--local list-images --repository-name {name} --filter tagStatus=TAGGED");
        assert_eq!(machine.ok(&format!("{list} --query sort(imageIds[].imageTag) --output text")), tags);
    }
}

#[test]
fn a_dry_run_says_what_would_move() {
    let machine = Machine::new();
    let line = format!("--local push {SAMPLE} app:1.0 --tag x --create --dry-run");
    let dry = machine.ecr(&line.split(' ').collect::<Vec<_>>());
    assert_eq!(dry.stdout, format!("{DIGEST}\n"));
    assert_eq!(talk(&dry.stderr), ["5 blobs to move, 6.9 KiB"]);
    assert_eq!(
        rows(&dry.stderr),
        ["IMAGE | TO BE PUSHED | SIZE | THERE", "app:1.0,x | 5 blobs | 6.9 KiB | 0"]
    );
    assert_eq!(machine.ok("--local describe-repositories --query repositories"), "[]\n");
    let json: Value = serde_json::from_str(&machine.ok(&format!("{line} --output json"))).unwrap();
    let row = json!([{
        "image": "app:1.0,x", "digest": DIGEST, "rewritten": false, "blobs": 5, "bytes": 7131, "present": 0,
        "referrers": 0, "compressed": 0, "seconds": null
    }]);
    assert_eq!(json, row);
    assert_eq!(
        refused(&machine, 252, &format!("{line} --output text")),
        "this command has no output text; expected json, or none at all"
    );
    assert_eq!(
        refused(&machine, 252, &format!("copy {SAMPLE} - --output json")),
        "the archive goes to standard output, so --output json cannot"
    );
}

#[test]
fn progress_for_programs_ends_with_the_sum() {
    let machine = Machine::new();
    let line = format!("--local copy {SAMPLE} app:1.0 --create --platform linux/arm64 --progress json");
    let outcome = machine.ecr(&line.split(' ').collect::<Vec<_>>());
    let events: Vec<Value> = outcome.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((names[0], names.last()), ("planned", Some(&"done")));
    let mut last = events.last().unwrap().clone();
    assert!(last["seconds"].take().is_number() && last["images"][0]["seconds"].take().is_number());
    assert_eq!(
        last,
        json!({
            "event": "done", "blobs": 3, "bytes": 4601, "present": 0, "seconds": null,
            "images": [{
                "image": "app:1.0", "digest": ARM64, "rewritten": false, "blobs": 3, "bytes": 4601, "present": 0,
                "referrers": 0, "compressed": 0, "seconds": null
            }]
        })
    );
    let quiet = machine.ecr(&["--local", "push", SAMPLE, "app:2", "--quiet"]);
    assert_eq!(quiet, Outcome { stdout: format!("{DIGEST}\n"), stderr: String::new(), code: 0 });
}

#[test]
fn an_interrupt_says_how_to_go_on() {
    let mut machine = Machine::new();
    let server = Serve::start(&machine, &["--fault", "UploadLayerPart,delay=600000"]);
    remote(&mut machine, &server);
    let arguments = ["push", SAMPLE, "app:1.0", "--create", "--progress", "json"];
    let mut command = machine.command(env!("CARGO_BIN_EXE_ecr"), &arguments);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(process.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("started") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0);
    }
    let pid = process.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    let last: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
    let words = "interrupted; the same command goes on where this one stopped: what has arrived is kept";
    assert_eq!(last, json!({"event": "note", "text": words}));
    assert_eq!(process.wait().unwrap().code(), Some(130));
}

/// Has a machine's commands go to a server.
pub(super) fn remote(machine: &mut Machine, server: &Serve) {
    machine.set("AWS_ENDPOINT_URL", format!("http://{}", server.address));
    machine.set("AWS_ACCESS_KEY_ID", "123456789012").set("AWS_SECRET_ACCESS_KEY", "secret");
    machine.set("AWS_REGION", "eu-west-1").set("AWS_MAX_ATTEMPTS", "1");
}

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/repository.yaml");

#[test]
fn repositories_are_created_after_a_file() {
    let machine = Machine::new();
    machine.ok(&format!("--local push {SAMPLE} app:1.0 --create={REPOSITORY}"));
    let query = "repositories[0].[imageTagMutability,imageScanningConfiguration.scanOnPush]";
    assert_eq!(
        machine.ok(&format!("--local describe-repositories --output text --query {query}")),
        "IMMUTABLE_WITH_EXCLUSION\tTrue\n"
    );
    let policy = machine.ok("--local get-lifecycle-policy --repository-name app --query lifecyclePolicyText");
    assert!(policy.contains("untagged images go after two weeks"), "{policy}");
    machine.ok("--local get-repository-policy --repository-name app --query policyText");
    let tags = "--local list-tags-for-resource --query tags[].Value --output text \
                --resource-arn arn:aws:ecr:us-east-1:000000000000:repository/app";
    assert_eq!(machine.ok(tags), "platform\n");

    // The same in JSON, with a policy as text; a repository that is there stays as it is.
    let lifecycle = json!({"rules": [{"rulePriority": 1, "selection": {
        "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 9}, "action": {"type": "expire"}}]});
    let text = json!({"imageTagMutability": "MUTABLE", "lifecyclePolicy": lifecycle.to_string()});
    machine.write("some.json", text.to_string());
    machine.ok(&format!("--local copy {SAMPLE} app:2.0 --create=some.json"));
    machine.ok("--local copy app:2.0 other/app --create=some.json");
    let kept = |name: &str| {
        let line = format!("--local get-lifecycle-policy --repository-name {name} --output text");
        machine.ok(&format!("{line} --query lifecyclePolicyText"))
    };
    assert_eq!((kept("app").contains("two weeks"), kept("other/app")), (true, format!("{lifecycle}\n")));
}

/// Repositories below `team` are immutable, those below `team/web` keep nine images; others have no template.
#[test]
fn a_template_for_pushes_creates_repositories() {
    let machine = Machine::new();
    let lifecycle = json!({"rules": [{"rulePriority": 1, "selection": {
        "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 9}, "action": {"type": "expire"}}]});
    machine.write("lifecycle.json", lifecycle.to_string());
    let template = "--local create-repository-creation-template --applied-for CREATE_ON_PUSH --prefix";
    machine
        .ok(&format!("{template} team --image-tag-mutability IMMUTABLE --resource-tags Key=from,Value=team"));
    machine.ok(&format!("{template} team/web --lifecycle-policy file://lifecycle.json"));
    let mutability = |name: &str| {
        let query = "--query repositories[].imageTagMutability --output text";
        machine.ok(&format!("--local describe-repositories --repository-names {name} {query}"))
    };

    machine.ok(&format!("--local push {SAMPLE} team/app:1.0"));
    assert_eq!(mutability("team/app"), "IMMUTABLE\n");
    let tags = "--local list-tags-for-resource --query tags[].Value --output text \
                --resource-arn arn:aws:ecr:us-east-1:000000000000:repository/team/app";
    assert_eq!(machine.ok(tags), "team\n");
    machine.ok(&format!("--local push {SAMPLE} team/web/app:1.0 --dry-run"));
    machine.ok(&format!("--local push {SAMPLE} team/web/app:1.0 --create"));
    assert_eq!(mutability("team/web/app"), "MUTABLE\n");
    let policy = "--query lifecyclePolicyText --output text";
    let kept = machine.ok(&format!("--local get-lifecycle-policy --repository-name team/web/app {policy}"));
    assert_eq!(kept, format!("{lifecycle}\n"));

    // A file wins over the template, and who is not below a prefix has none.
    machine.write("mutable.json", r#"{"imageTagMutability": "MUTABLE"}"#);
    machine.ok(&format!("--local copy {SAMPLE} team/other:1.0 --create=mutable.json"));
    assert_eq!(mutability("team/other"), "MUTABLE\n");
    let said = machine.fails(254, &format!("--local push {SAMPLE} teams/app:1.0"));
    assert!(said.contains("teams/app does not exist; --create creates it"), "{said}");
    // A source is not created; a folder of its name is pointed to.
    let said = machine.fails(254, "--local copy layouts/app:1 team/other:2");
    assert!(said.starts_with("error: the repository layouts/app does not exist: "), "{said}");
    std::fs::create_dir_all(machine.path().join("layouts/app")).unwrap();
    let said = machine.fails(254, "--local copy layouts/app team/other:2");
    assert!(said.contains("for the file or folder of this name write ./layouts/app: "), "{said}");
    machine.ok("--local sync team/app team/mirror");
    assert_eq!(mutability("team/mirror/team/app"), "IMMUTABLE\n");
}

#[test]
fn a_file_is_checked_whole_before_anything_is_created() {
    let machine = Machine::new();
    let refused = |content: &str| {
        machine.write("some.yaml", content);
        let words = refused(&machine, 252, &format!("--local push {SAMPLE} app --create=some.yaml"));
        words.strip_prefix("some.yaml: ").unwrap().to_owned()
    };
    assert_eq!(
        refused("scanOnPush: true"),
        "unknown member scanOnPush; expected tags, imageTagMutability, imageTagMutabilityExclusionFilters, \
         imageScanningConfiguration, encryptionConfiguration, lifecyclePolicy, repositoryPolicy"
    );
    assert_eq!(refused("repositoryName: x"), "repositoryName is said by the command line; leave it out");
    assert_eq!(refused("- 1"), "neither a structure in JSON nor one in YAML");
    assert_eq!(refused("{\"a\": }"), "not JSON: expected value at line 1 column 7");
    assert_eq!(refused("lifecyclePolicy: 7"), "lifecyclePolicy is neither a structure nor a text");
    let wrong = refused("imageTagMutability: SOMETIMES");
    assert!(wrong.contains("[IMMUTABLE, MUTABLE"), "{wrong}");
    let wrong = refused("imageScanningConfiguration: {scanOnPush: 7}");
    assert!(wrong.contains("Invalid type for parameter imageScanningConfiguration.scanOnPush"), "{wrong}");
    let wrong = refused(
        "lifecyclePolicy: {rules: [{rulePriority: 1, description: untagged images go some day, action: {type: \
         expire}, selection: {}}]}",
    );
    assert!(wrong.contains("Lifecycle policy validation failure"), "{wrong}");
    assert!(refused("repositoryPolicy: {Version: x}").contains("SetRepositoryPolicy"));
    assert_eq!(machine.ok("--local describe-repositories --query repositories"), "[]\n");
    assert_eq!(
        self::refused(&machine, 255, &format!("--local push {SAMPLE} app --create=nowhere")),
        "cannot read nowhere: No such file or directory (os error 2)"
    );
    assert_eq!(
        self::refused(&machine, 252, &format!("--local copy app oci:layout --create={REPOSITORY}")),
        "--create=FILE is for repositories of Amazon ECR through its own API"
    );
}

#[test]
fn finished_steps_are_reported_when_a_later_one_fails() {
    let mut machine = Machine::new();
    let server = Serve::start(&machine, &["--fault", "PutLifecyclePolicy,error=500"]);
    remote(&mut machine, &server);
    let words = refused(&machine, 254, &format!("push {SAMPLE} app:1.0 --create={REPOSITORY}"));
    let expected = "the repository app was created (create-repository), but put-lifecycle-policy failed; nothing was \
                    sent, and the next run finds the repository and sets no more of it, so run put-lifecycle-policy \
                    and set-repository-policy first: An error occurred";
    assert_eq!(words.get(..expected.len()), Some(expected), "{words}");
    assert_eq!(machine.ok("list-images --repository-name app --query imageIds"), "[]\n");
}

#[tokio::test]
async fn referrers_go_along_as_oras_and_cosign_keep_them() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    let (memory, image, bill) = signed().await;
    write_layout(&memory, &layout, &image, &bill);
    let layout = layout.to_str().unwrap();
    let mut machine = Machine::new();
    let server = Serve::start(&machine, &["--anonymous"]);
    remote(&mut machine, &server);

    let push = machine.ecr(&["push", layout, "app:1.0", "--create", "--referrers"]);
    assert_eq!(push.stdout, format!("{}\n", image.digest()), "{}", push.transcript());
    assert_eq!(rows(&push.stderr)[1], "app:1.0 | 4 blobs | 1.0 KiB | 0 | 1");
    let list = format!(
        "list-image-referrers --repository-name app --subject-id imageDigest={} --output text --query \
         referrers[].[digest,artifactType]",
        image.digest()
    );
    assert_eq!(machine.ok(&list), format!("{}\ta/bill\n", bill.digest()));

    // Without being asked they stay where they are; a dry run only counts.
    machine.ok("copy app:1.0 other:1.0 --create");
    let other = list.replace("name app", "name other");
    assert_eq!(machine.ok(&other), "");
    let dry = machine.ecr(&["copy", "app:1.0", "other:1.0", "--referrers", "--dry-run"]);
    assert_eq!(rows(&dry.stderr)[1], "other:1.0 | 2 blobs | 83 B | 2 | 1", "{}", dry.transcript());
    assert_eq!(machine.ok(&other), "");
    machine.ok("copy app:1.0 other:1.0 --referrers");
    assert_eq!(machine.ok(&other), machine.ok(&list));

    // And over docker's API, back into a layout.
    let remote = format!("docker://{}/other:1.0", server.address);
    machine.ok(&format!("copy {remote} oci:back:1.0 --referrers"));
    let index: Value =
        serde_json::from_slice(&std::fs::read(machine.path().join("back/index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][1], json!(bill.referrer()));
    assert_eq!(machine.ok("push back third --create --referrers"), format!("{}\n", image.digest()));
}

/// An image with a bill of materials about it.
async fn signed() -> (std::sync::Arc<ecr::store::Memory>, ecr::image::Manifest, ecr::image::Manifest) {
    use ecr::store::Store as _;
    let memory = std::sync::Arc::new(ecr::store::Memory::new());
    let layer = memory.add_blob(LAYER, noise(1000, 1));
    let image = image_of(&memory, "amd64", &[layer]).await;
    memory.put_image(&image, &["1.0".to_owned()]).await.unwrap();
    let bill = about(&memory, &image, "a/bill");
    memory.put_referrer(&bill).await.unwrap();
    (memory, image, bill)
}

/// By hand, as the specification has it.
fn write_layout(
    memory: &ecr::store::Memory,
    folder: &Path,
    image: &ecr::image::Manifest,
    bill: &ecr::image::Manifest,
) {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    for manifest in [image, bill] {
        std::fs::write(blobs.join(manifest.digest().hexadecimal()), manifest.bytes()).unwrap();
        for blob in manifest.blobs() {
            let bytes = memory.blob(&blob.digest).unwrap();
            std::fs::write(blobs.join(blob.digest.hexadecimal()), bytes).unwrap();
        }
    }
    let mut entry = json!(image.descriptor());
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "1.0"});
    let index = json!({"schemaVersion": 2, "manifests": [entry, bill.descriptor()]});
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
}
