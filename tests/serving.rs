//! `ecr local` around the registry: a command with a server, the care of a store, keys, certificates, faults.

use std::io::Write as _;

use crate::harness::registry::{Serve, digest};
use crate::harness::{Machine, outcome};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

fn client(machine: &mut Machine, server: &Serve) {
    machine.set("AWS_ENDPOINT_URL", format!("http://{}", server.address));
    machine.set("AWS_ACCESS_KEY_ID", "123456789012").set("AWS_SECRET_ACCESS_KEY", "secret");
    machine.set("AWS_REGION", "eu-west-1");
}

/// A store with an image of one blob in it; answers the blob's digest.
fn filled(machine: &mut Machine) -> String {
    let server = Serve::start(machine, &["--anonymous"]);
    client(machine, &server);
    machine.ok("create-repository --repository-name team/app");
    let config = server.blob("team/app", b"{}");
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"a/b","digest":"{config}","size":2}},"layers":[]}}"#
    );
    assert_eq!(server.manifest("team/app", "1", IMAGE, &manifest).status, 201);
    config
}

#[test]
fn a_command_runs_with_a_server_and_passes_its_exit_code_on() {
    let machine = Machine::new();
    let ecr = env!("CARGO_BIN_EXE_ecr");
    let script = format!(
        "{ecr} create-repository --repository-name a/b --query repository.repositoryUri --output text\n\
         echo $ECR_REGISTRY/a/b\necho $AWS_REGION $AWS_ACCESS_KEY_ID ${{AWS_ENDPOINT_URL_STS#$AWS_ENDPOINT_URL_ECR}}\nexit 7"
    );
    let arguments = ["local", "run", "--ephemeral", "--account", "111122223333", "--", "sh", "-c", &script];
    let ran = machine.ecr(&arguments);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!((ran.code, ran.stderr.as_str(), lines.len()), (7, "", 3), "{}", ran.transcript());
    assert_eq!((lines[0], lines[2]), (lines[1], "us-east-1 111122223333"));
    // The empty store is gone, and the folder was never used.
    assert!(!machine.path().join("home/ecr/ecr.db").exists());
    let said = machine.fails(255, "local run --ephemeral -- no-such-command");
    assert!(said.contains("cannot run no-such-command"), "{said}");
}

#[test]
fn signals_go_on_to_the_command() {
    let machine = Machine::new();
    // The command gets the signal, ends in its own way, and `run` ends as it does.
    let script = "trap 'exit 3' TERM; kill -TERM $PPID; while :; do :; done";
    let ran = machine.ecr(&["local", "run", "--ephemeral", "--", "sh", "-c", script]);
    assert_eq!(ran.code, 3, "{}", ran.transcript());
    let ran = machine.ecr(&["local", "run", "--ephemeral", "--", "sh", "-c", "kill -KILL $$"]);
    assert_eq!(ran.code, 137, "{}", ran.transcript());
}

#[test]
fn a_collection_frees_what_no_image_needs() {
    let mut machine = Machine::new();
    filled(&mut machine);
    {
        let server = Serve::start(&machine, &["--anonymous"]);
        server.blob("team/app", b"nobody needs me");
    }
    assert_eq!(machine.ok("local gc"), "freed 0 blobs, 0 bytes\n");
    assert_eq!(machine.ok("local gc --grace 0"), "freed 1 blobs, 15 bytes\n");
    assert_eq!(machine.ok("local gc --grace 0"), "freed 0 blobs, 0 bytes\n");
    assert_eq!(machine.ok("local check"), "");
}

#[test]
fn a_damaged_blob_is_found() {
    let mut machine = Machine::new();
    let config = filled(&mut machine);
    let hex = config.trim_start_matches("sha256:");
    let path = machine.path().join("home/ecr/blobs/sha256").join(&hex[..2]).join(hex);
    std::fs::write(&path, "[]").unwrap();
    let checked = machine.ecr(&["local", "check"]);
    let found = digest(b"[]");
    assert_eq!(
        (checked.code, checked.stdout),
        (1, format!("{config}: its file has the digest {found}; in 123456789012/eu-west-1/team/app\n"))
    );
    std::fs::write(&path, "[").unwrap();
    let server = Serve::start(&machine, &["--anonymous"]);
    let refused = server.get(&format!("/v2/team/app/blobs/{config}"));
    assert_eq!(refused.status, 500, "{}", refused.text());
}

#[test]
fn a_store_moves_as_one_file() {
    let mut machine = Machine::new();
    let config = filled(&mut machine);
    machine.ok("local export store.tar");
    let said = machine.fails(255, "local import store.tar");
    assert!(said.contains("cannot import: a store is in"), "{said}");
    machine.ok("--folder copy local import store.tar");
    assert_eq!(machine.ok("--folder copy local check"), "");
    machine.set("ECR_LOCAL_FOLDER", machine.path().join("copy"));
    let server = Serve::start(&machine, &["--anonymous"]);
    assert_eq!(server.get(&format!("/v2/team/app/blobs/{config}")).text(), "{}");
    // What is no archive, or a damaged one, leaves nothing behind.
    let mut archive = std::fs::read(machine.path().join("store.tar")).unwrap();
    let blob = archive.windows(2).rposition(|two| two == b"{}").unwrap();
    archive[blob] = b'[';
    machine.write("damaged.tar", archive);
    machine.write("nonsense.tar", b"nonsense");
    for (file, words) in [("damaged.tar", "is damaged"), ("nonsense.tar", "cannot import")] {
        let said = machine.fails(255, &format!("--folder other local import {file}"));
        assert!(said.contains(words), "{said}");
        assert!(!machine.path().join("other").exists());
    }
}

#[test]
fn a_store_with_more_than_our_schema_is_not_imported() {
    let mut machine = Machine::new();
    filled(&mut machine);
    machine.ok("local export store.tar");
    let script = "mkdir unpacked && tar -xf store.tar -C unpacked";
    let _ = crate::harness::outcome(&mut machine.command("sh", &["-c", script]));
    let database = rusqlite::Connection::open(machine.path().join("unpacked/ecr.db")).unwrap();
    let trigger = "CREATE TRIGGER t AFTER INSERT ON repository BEGIN DELETE FROM image; END";
    database.execute_batch(trigger).unwrap();
    drop(database);
    let script = "cd unpacked && tar -cf ../changed.tar ecr.db blobs/*/*/*";
    let _ = crate::harness::outcome(&mut machine.command("sh", &["-c", script]));
    let said = machine.fails(255, "--folder other local import changed.tar");
    assert_eq!(
        said,
        "error: cannot import: the archive's ecr.db is not of a store: it has the trigger \"t\", which is \
         not ours\n"
    );
    assert!(!machine.path().join("other").exists());
}

#[test]
fn with_credentials_only_signed_requests_are_answered() {
    let mut machine = Machine::new();
    let said = machine.fails(252, "local serve --address 0.0.0.0");
    assert!(said.contains("--credentials") && said.contains("--trust-network"), "{said}");
    machine.write("keys", "[default]\naws_access_key_id = 123456789012\naws_secret_access_key = secret\n");
    let server = Serve::start(&machine, &["--credentials", "keys"]);
    client(&mut machine, &server);
    machine.ok("create-repository --repository-name team/app");
    machine.set("AWS_SECRET_ACCESS_KEY", "another");
    let said = machine.fails(254, "describe-repositories");
    assert!(said.contains("InvalidSignatureException"), "{said}");
    machine.set("AWS_ACCESS_KEY_ID", "210987654321");
    let said = machine.fails(254, "describe-repositories");
    assert!(said.contains("UnrecognizedClientException"), "{said}");
    let target = "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.DescribeRegistry";
    let unsigned = server.send("POST /", &[target], b"{}");
    assert_eq!(
        (unsigned.status, unsigned.text().as_str()),
        (400, r#"{"__type":"MissingAuthenticationTokenException","message":"the request is not signed"}"#)
    );
}

#[test]
fn a_trusted_network_is_let_in_under_addresses_labels_and_names_that_are_given() {
    let mut machine = Machine::new();
    machine.fails(252, "local serve --trust-network --credentials keys");
    let none = machine.fails(1, "local status --serving");
    assert!(none.starts_with("no server answers for "), "{none}");
    let options = [
        "--address",
        "0.0.0.0",
        "--trust-network",
        "--hostname",
        "registry.test",
        "--account",
        "111122223333",
    ];
    let server = Serve::start(&machine, &options);
    let port = server.address.rsplit(':').next().unwrap().to_owned();
    assert_eq!(server.address, format!("0.0.0.0:{port}"), "the ready line");
    assert_eq!(machine.ok("local status --serving"), format!("http://127.0.0.1:{port}\n"));
    machine.set("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")).set("AWS_REGION", "eu-west-1");
    machine.set("AWS_ACCESS_KEY_ID", "test").set("AWS_SECRET_ACCESS_KEY", "test");
    let arguments =
        "create-repository --repository-name team/app --query repository.registryId --output text";
    assert_eq!(machine.ok(arguments), "111122223333\n");
    let hosts = [("ecr", 200), ("10.1.2.3", 200), ("registry.test", 200)];
    for (host, status) in hosts.into_iter().chain([("evil.example", 403), ("a.registry.test", 403)]) {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
        assert_eq!(server.raw(request.as_bytes()).status, status, "{host}");
    }
}

#[test]
fn faults_strike_as_their_rules_say() {
    let mut machine = Machine::new();
    let server = Serve::start(
        &machine,
        &[
            "--anonymous",
            "--fault",
            "DescribeRegistry,throttle,count=1",
            "--fault",
            "GET /v2/team/app/tags/,error=503,count=1",
            "--fault",
            "GET /v2/team/app/blobs/,drop=3,count=1",
            "--fault",
            "GET /v2/team/app/blobs/,corrupt,count=1",
            "--fault",
            "GET /v2/team/app/blobs/,truncate=2,count=1",
            "--fault",
            "DELETE /v2/,drop=0",
            "--fault",
            "/_blob/,throttle,count=1",
            "--fault",
            "/_blob/,error=502,count=1",
        ],
    );
    client(&mut machine, &server);
    machine.ok("create-repository --repository-name team/app");
    let path = format!("/v2/team/app/blobs/{}", server.blob("team/app", b"abcdef"));
    let target = "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.DescribeRegistry";
    let throttled = server.send("POST /", &[target], b"{}");
    assert_eq!(
        (throttled.status, throttled.text().as_str()),
        (400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#)
    );
    assert_eq!(server.send("POST /", &[target], b"{}").status, 200);
    let failed = server.get("/v2/team/app/tags/list");
    assert_eq!(
        (failed.status, failed.text().as_str()),
        (503, r#"{"errors":[{"code":"UNKNOWN","message":"a fault that was asked for"}]}"#)
    );
    assert_eq!(server.get("/v2/team/app/tags/list").status, 200);
    let broken = server.get(&path);
    assert_eq!((broken.header("content-length"), broken.text().as_str()), (Some("6"), "abc"));
    assert_eq!(server.get(&path).text(), "abceef");
    assert!(server.get(&path).text().contains("ab"), "the first bytes come");
    assert_eq!(server.get(&path).text(), "abcdef");
    let mut stream = std::net::TcpStream::connect(&server.address).unwrap();
    write!(stream, "DELETE {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = std::io::Read::read_to_string(&mut stream, &mut answer);
    assert_eq!(answer, "");
    // What was asked for has happened all the same.
    assert_eq!(server.get(&path).status, 404);
    // Layers come from S3, which has words of its own.
    for (status, code) in [(503, "SlowDown"), (502, "InternalError")] {
        let answer = server.get("/_blob/sha256:0");
        let head = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>");
        assert_eq!((answer.status, answer.text().starts_with(&head)), (status, true), "{}", answer.text());
    }
    let wrong =
        outcome(&mut machine.command(env!("CARGO_BIN_EXE_ecr"), &["local", "serve", "--fault", "a,b"]));
    assert!(wrong.code == 252 && wrong.stderr.contains("b is none of throttle"), "{}", wrong.transcript());
}

#[test]
fn tokens_and_uploads_can_be_made_to_expire() {
    let mut machine = Machine::new();
    let rules = ["--fault", "GET /v2/_catalog,expire-tokens", "--fault", "GET /v2/a/,expire-uploads"];
    let server = Serve::start(&machine, &[&["--quirks", "ecr"], &rules[..]].concat());
    client(&mut machine, &server);
    machine.ok("create-repository --repository-name team/app");
    let query = "get-authorization-token --query authorizationData[0].authorizationToken --output text";
    let basic = format!("Authorization: Basic {}", machine.ok(query).trim());
    let begun = server.send("POST /v2/team/app/blobs/uploads/", &[&basic], b"");
    let place = format!("GET {}", begun.header("location").unwrap());
    assert_eq!(server.send(&place, &[&basic], b"").status, 204);
    server.get("/v2/a/tags/list");
    assert_eq!(server.send(&place, &[&basic], b"").status, 404);
    server.get("/v2/_catalog");
    let expired = server.send("GET /v2/", &[&basic], b"");
    assert_eq!(
        (expired.status, expired.text().as_str()),
        (
            403,
            r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#
        )
    );
}

/// A repository with two images and a policy that leaves one.
fn with_policy(machine: &mut Machine) -> String {
    let server = Serve::start(machine, &["--anonymous"]);
    client(machine, &server);
    let _ = machine.ok("create-repository --repository-name team/app");
    let mut digests = Vec::new();
    for tag in ["old", "new"] {
        let config = server.blob("team/app", format!("{{\"{tag}\":1}}").as_bytes());
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"a/b","digest":"{config}","size":9}},"layers":[]}}"#
        );
        assert_eq!(server.manifest("team/app", tag, IMAGE, &manifest).status, 201);
        digests.push(digest(manifest.as_bytes()));
    }
    let policy = r#"{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}]}"#;
    let _ = machine
        .ok(&format!("put-lifecycle-policy --repository-name team/app --lifecycle-policy-text {policy}"));
    let _ = machine.ok("create-repository --repository-name other");
    machine.unset("AWS_ENDPOINT_URL");
    digests.swap_remove(0)
}

#[test]
fn lifecycle_policies_are_carried_out_on_request() {
    let mut machine = Machine::new();
    let old = with_policy(&mut machine);
    let evaluated =
        "--local get-lifecycle-policy --repository-name team/app --query lastEvaluatedAt --output text";
    let line = format!("expired 123456789012/eu-west-1/team/app@{old}\n");
    assert_eq!(machine.ok("local lifecycle --dry-run"), line);
    assert!(machine.ok(evaluated).starts_with("1970-01-01T00:00:00"));
    let count = "--local list-images --repository-name team/app --query length(imageIds) --output text";
    assert_eq!(machine.ok(count), "2\n");
    let ran = machine.ecr(&["local", "lifecycle", "team/app", "other"]);
    let said = "other has no lifecycle policy\n1 expired and 0 archived, by 1 policy\n".to_owned();
    assert_eq!((ran.code, ran.stdout, ran.stderr), (0, line, said));
    assert!(!machine.ok(evaluated).starts_with("1970"));
    assert_eq!(machine.ok(count), "1\n");
    let expected = serde_json::json!([{
        "account": "123456789012", "region": "eu-west-1", "repository": "team/app", "expired": [], "archived": [],
        "kept": []
    }]);
    assert_eq!(machine.ok("local lifecycle --output json"), format!("{expected:#}\n"));
    let said = machine.fails(255, "local lifecycle none");
    assert!(said.contains("'none' does not exist"), "{said}");
}

#[test]
fn lifecycle_policies_are_carried_out_on_a_schedule() {
    use std::io::{BufRead as _, BufReader};
    let mut machine = Machine::new();
    let _ = with_policy(&mut machine);
    let arguments = ["local", "serve", "--port", "0", "--log-level", "info", "--lifecycle-every", "1d"];
    let mut command = machine.command(env!("CARGO_BIN_EXE_ecr"), &arguments);
    let mut server = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let told = lines.map(Result::unwrap).find(|line| line.starts_with("lifecycle"));
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(told.as_deref(), Some("lifecycle 123456789012/eu-west-1/team/app: 1 expired, 0 archived"));
    let said = machine.fails(252, "local serve --lifecycle-every 12");
    assert!(said.contains("such as 12h"), "{said}");
}

#[cfg(unix)]
#[test]
fn nothing_is_open_to_others_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut machine = Machine::new();
    let program = ["sh", "-c", "umask 000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_ecr")];
    let server = Serve::start_with(&machine, &program, &["--anonymous"]);
    client(&mut machine, &server);
    machine.ok("create-repository --repository-name team/app");
    server.blob("team/app", b"content");
    assert_eq!(server.send("POST /v2/team/app/blobs/uploads/", &[], b"").status, 202);
    machine.ok("local export store.tar");
    let script =
        format!("umask 000; {} --folder new/folder local import store.tar", env!("CARGO_BIN_EXE_ecr"));
    assert_eq!(outcome(&mut machine.command("sh", &["-c", &script])).code, 0);
    let mut paths = vec![machine.path().join("home/ecr"), machine.path().join("new")];
    while let Some(path) = paths.pop() {
        let facts = std::fs::metadata(&path).unwrap();
        assert_eq!(facts.permissions().mode() & 0o077, 0, "{}", path.display());
        if facts.is_dir() {
            paths.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

#[test]
fn secrets_that_others_can_read_are_warned_of() {
    let machine = Machine::new();
    machine.write("keys", "[a]\naws_access_key_id = AKIA\naws_secret_access_key = s\n");
    let script = format!(
        "chmod 644 keys; {} local serve --port 0 --credentials keys --address 192.0.2.1",
        env!("CARGO_BIN_EXE_ecr")
    );
    // The address is nobody's, so that it ends at once.
    let ran = outcome(&mut machine.command("sh", &["-c", &script]));
    assert!(
        ran.stderr.starts_with(
            "warning: others can read or change keys (mode 0644), which holds secrets: chmod 600 keys\n"
        ),
        "{}",
        ran.transcript()
    );
}
