//! The embedded ECR as a stranger meets it: in this process, over HTTP, and when something is wrong.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};

use crate::harness::{Machine, Outcome, outcome};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample-image");

/// `ecr local serve` on a free port, stopped when it goes out of scope.
struct Server {
    process: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(machine: &Machine) -> Self {
        let mut command = machine.command(env!("CARGO_BIN_EXE_ecr"), &["local", "serve", "--port", "0"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut address = String::new();
        stdout.read_line(&mut address).unwrap();
        Self { process, stdout, address: address.trim().to_owned() }
    }

    /// Sends a signal and answers how the server ended.
    fn end(mut self, signal: &str) -> std::process::ExitStatus {
        let process = self.process.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &process]).status().unwrap().success());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        self.process.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A machine whose commands go to a server, as they would go to AWS.
fn client(machine: &mut Machine, server: &Server) {
    machine.set("AWS_ENDPOINT_URL", &server.address);
    machine.set("AWS_ACCESS_KEY_ID", "123456789012").set("AWS_SECRET_ACCESS_KEY", "secret");
    machine.set("AWS_REGION", "eu-west-1");
}

fn aws(machine: &Machine, arguments: &[&str]) -> Outcome {
    let link = machine.path().join("aws");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ecr"), &link).unwrap();
    }
    outcome(&mut machine.command(link, arguments))
}

#[test]
fn state_stays_from_command_to_command() {
    let machine = Machine::new();
    machine.ok("--local create-repository --repository-name team/app --tags Key=owner,Value=me");
    let names =
        machine.ok("--local describe-repositories --query repositories[].repositoryName --output text");
    assert_eq!(names, "team/app\n");
    let arn = "arn:aws:ecr:us-east-1:000000000000:repository/team/app";
    let tags = machine.ok(&format!("--local list-tags-for-resource --resource-arn {arn} --output text"));
    assert_eq!(tags, "TAGS\towner\tme\n");
}

#[test]
fn an_environment_variable_is_as_good_as_the_option_also_under_the_name_aws() {
    let mut machine = Machine::new();
    machine.set("ECR_LOCAL", "1");
    machine.ok("create-repository --repository-name team/app");
    let outcome = aws(&machine, &["ecr", "describe-repositories", "--query", "length(repositories)"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "1\n"), "{}", outcome.transcript());
}

#[test]
fn under_the_name_aws_the_extensions_do_not_exist() {
    let machine = Machine::new();
    let outcome = aws(&machine, &["ecr", "describe-repositories", "--local"]);
    assert_eq!(outcome.code, 252);
    assert!(outcome.stderr.ends_with("aws: [ERROR]: Unknown options: --local\n"), "{}", outcome.transcript());
}

#[test]
fn one_folder_serves_a_server_and_commands_at_once() {
    let mut machine = Machine::new();
    let server = Server::start(&machine);
    machine.ok("--local create-repository --repository-name made/in-process");
    client(&mut machine, &server);
    let push = machine.ecr(&["push", SAMPLE, "pushed/over-http:1.0", "--create"]);
    assert_eq!(push.code, 0, "{}", push.transcript());
    let pull = machine.ecr(&["pull", "pushed/over-http:1.0", "copy"]);
    assert_eq!((pull.code, &pull.stdout), (0, &push.stdout), "{}", pull.transcript());
    assert!(tree(&machine.path().join("copy")) == tree(SAMPLE.as_ref()), "the copy differs from the sample");
    machine.unset("AWS_ENDPOINT_URL").unset("AWS_ACCESS_KEY_ID");
    let names =
        machine.ok("--local --region us-east-1 describe-repositories --query repositories[].repositoryName");
    assert_eq!(names, "[\n    \"made/in-process\"\n]\n");
}

/// Every file below a folder with its bytes.
fn tree(folder: &std::path::Path) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut files = std::collections::BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(below) = folders.pop() {
        for entry in std::fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn a_server_stops_on_a_signal_and_leaves_no_trace() {
    for signal in ["-TERM", "-INT"] {
        let machine = Machine::new();
        let server = Server::start(&machine);
        let store = machine.path().join("home/ecr");
        assert!(store.join("server.json").exists());
        let status = server.end(signal);
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(!store.join("server.json").exists());
    }
}

#[test]
fn reset_empties_the_store_under_a_running_server() {
    let mut machine = Machine::new();
    let server = Server::start(&machine);
    client(&mut machine, &server);
    machine.ok("create-repository --repository-name team/app");
    let refused = machine.fails(252, "local reset");
    assert!(refused.contains("--yes"), "{refused}");
    machine.ok("local reset --yes");
    assert_eq!(machine.ok("describe-repositories --query repositories"), "[]\n");
    machine.ok("create-repository --repository-name team/app");
}

#[test]
fn a_port_in_use_is_named() {
    let machine = Machine::new();
    let server = Server::start(&machine);
    let port = server.address.rsplit(':').next().unwrap();
    let said = machine.fails(255, &format!("local serve --port {port}"));
    assert_eq!(
        said,
        format!(
            "error: cannot listen on 127.0.0.1:{port}: port {port} is in use; stop the program that uses it, \
             or choose another with --port (0 takes a free one)\n"
        )
    );
}

#[test]
fn a_damaged_database_is_named_with_the_way_out_and_never_replaced() {
    let machine = Machine::new();
    machine.ok("--local create-repository --repository-name team/app");
    let store = machine.path().join("home/ecr");
    let database = std::fs::read_dir(&store)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "db" || extension == "sqlite"))
        .unwrap();
    for beside in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{beside}", database.display()));
    }
    let damage = b"this is not a database, whatever its name says".repeat(100);
    std::fs::write(&database, &damage).unwrap();
    let said = machine.fails(255, "--local describe-repositories");
    assert!(said.contains("damaged") && said.contains("ecr local reset"), "{said}");
    assert_eq!(std::fs::read(&database).unwrap(), damage);
    machine.ok("local reset --yes");
    assert_eq!(machine.ok("--local describe-repositories --query repositories"), "[]\n");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let machine = Machine::new();
    machine.write("file", "in the way");
    let said = machine.neutral(&machine.fails(255, "--local --folder file/store describe-repositories"));
    assert!(said.contains("file/store"), "{said}");
}

#[test]
fn a_scan_finds_what_was_given_for_its_image() {
    let machine = Machine::new();
    machine.write("findings.json", r#"[{"name": "CVE-2026-1", "severity": "HIGH"}]"#);
    let pushed =
        machine.ecr(&["--local", "push", "--create", SAMPLE, "team/app:1.0", "--platform", "linux/amd64"]);
    assert_eq!(pushed.code, 0, "{}", pushed.transcript());
    assert_eq!(machine.ok("local findings team/app:1.0 findings.json"), pushed.stdout);
    machine.ok("--local start-image-scan --repository-name team/app --image-id imageTag=1.0");
    machine.ok("--local wait image-scan-complete --repository-name team/app --image-id imageTag=1.0");
    let found = "--local describe-image-scan-findings --repository-name team/app --image-id imageTag=1.0 \
                 --query imageScanFindings.findings[].[name,severity] --output text";
    assert_eq!(machine.ok(found), "CVE-2026-1\tHIGH\n");
    let said = machine.fails(255, "local findings team/app:2.0 findings.json");
    assert!(said.contains("team/app"), "{said}");
    let said = machine.fails(255, "local findings team/app:1.0 missing.json");
    assert!(said.contains("missing.json"), "{said}");
}

#[test]
fn twenty_processes_use_one_folder_at_once() {
    let machine = Machine::new();
    let processes: Vec<Child> = (0..20)
        .map(|number| {
            let name = format!("team/app-{number}");
            let arguments = ["--local", "create-repository", "--repository-name", &name];
            let mut command = machine.command(env!("CARGO_BIN_EXE_ecr"), &arguments);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(machine.ok("--local describe-repositories --query length(repositories)"), "20\n");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let machine = Machine::new();
    let mut command = machine.command(env!("CARGO_BIN_EXE_ecr"), &["help"]);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(process.stdout.take());
    let output = process.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn without_a_region_or_credentials_the_remedy_is_named() {
    let mut machine = Machine::new();
    assert_eq!(
        machine.fails(253, "describe-repositories"),
        "\necr: [ERROR]: An error occurred (NoRegion): You must specify a region. You can also configure your region by \
         running \"aws configure\".\n"
    );
    machine.set("AWS_REGION", "us-east-1");
    assert_eq!(
        machine.fails(253, "describe-repositories"),
        "\necr: [ERROR]: An error occurred (NoCredentials): Unable to locate credentials. You can configure credentials \
         by running \"aws login\".\n"
    );
}
