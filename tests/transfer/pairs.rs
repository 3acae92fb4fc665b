//! Every place with every other: an image that went through both is the image that it was.

use crate::harness::Machine;
use crate::harness::registry::Serve;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample-image");

/// The places that can be had here, each under a name of its own.
fn places(address: &str) -> [(&'static str, String); 9] {
    [
        ("layout", "oci:layout-N:1".to_owned()),
        ("folder", "./folder-N".to_owned()),
        ("archive", "oci-archive:archive-N.tar:1".to_owned()),
        ("tar", "./file-N.tar".to_owned()),
        ("docker", "docker-archive:docker-N.tar:team/app-N:1".to_owned()),
        ("embedded ECR", "app-N:1".to_owned()),
        ("served ECR", format!("{address}/served-N:1")),
        ("registry", format!("docker://{address}/plain-N:1")),
        ("stream", "-".to_owned()),
    ]
}

#[test]
fn every_pair_works() {
    let machine = Machine::new();
    let server = Serve::start(&machine, &["--ephemeral", "--anonymous"]);
    let places = places(&server.address);
    let amd64 = machine.ok(&format!("copy {SAMPLE} oci:first:1 --platform linux/amd64"));
    let mut number = 0;
    for (from, source) in &places {
        // Something to copy from: it stands in each place once.
        let source = source.replace('N', "from");
        let stdin = machine.path().join("stream.tar");
        let fill = if *from == "stream" { "oci-archive:stream.tar".to_owned() } else { source.clone() };
        assert_eq!(copy(&machine, "oci:first:1", &fill, None).0, amd64, "to {from}");
        for (to, destination) in &places {
            // --local is for a whole command: both ends' ECR would be the embedded one.
            if [*from, *to] == ["embedded ECR", "served ECR"]
                || [*from, *to] == ["served ECR", "embedded ECR"]
            {
                continue;
            }
            number += 1;
            let destination = destination.replace('N', &number.to_string());
            let input = (*from == "stream").then_some(stdin.as_path());
            let (stdout, stderr) = copy(&machine, &source, &destination, input);
            // An archive on stdout leaves no room for the digest there.
            let said = if *to == "stream" { stderr } else { stdout };
            assert!(said.contains(amd64.trim()), "from {from} to {to}: {said}");
        }
    }
    assert_eq!(number, 79);
}

fn copy(
    machine: &Machine,
    source: &str,
    destination: &str,
    stdin: Option<&std::path::Path>,
) -> (String, String) {
    if let Some((address, repository)) =
        destination.strip_prefix("docker://").and_then(|rest| rest.split_once('/'))
    {
        let repository = repository.trim_end_matches(":1");
        let endpoint = format!("http://{address}");
        let create = ["create-repository", "--repository-name", repository, "--endpoint-url", &endpoint];
        let mut command =
            machine.command(env!("CARGO_BIN_EXE_ecr"), &[&create[..], &["--region", "us-east-1"]].concat());
        let output =
            command.env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "b").output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    // The embedded ECR is meant where no host is named.
    let local = if [source, destination].iter().any(|place| place.starts_with("app-")) {
        "--local"
    } else {
        "--no-paginate"
    };
    let arguments = [local, "copy", source, destination, "--create"];
    let arguments = if destination.starts_with("docker://") { &arguments[..4] } else { &arguments[..] };
    let mut command = machine.command(env!("CARGO_BIN_EXE_ecr"), arguments);
    command.env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "b");
    // A server that is not of this machine's folder is known by its address.
    let served = [source, destination].into_iter().find(|place| place.starts_with("127.0.0.1:"));
    if let Some((address, _)) = served.and_then(|place| place.split_once('/')) {
        command.env("AWS_ENDPOINT_URL", format!("http://{address}"));
    }
    if let Some(path) = stdin {
        command.stdin(std::fs::File::open(path).unwrap());
    }
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}\n{stderr}");
    (String::from_utf8_lossy(&output.stdout).into_owned(), stderr)
}
