//! The helper: its protocol, its cache, its one call.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::server::{Manner, Server};
use super::*;

/// Runs so many helpers at once, each for the host that the number gives.
fn at_once(machine: &Machine, count: usize, host: impl Fn(usize) -> String) -> Vec<Outcome> {
    let mut children: Vec<_> = (0..count)
        .map(|_| {
            let mut command = machine.command(program(machine), &["get"]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    // All of them have started before the first one knows what is wanted.
    for (number, child) in children.iter_mut().enumerate() {
        child.stdin.take().unwrap().write_all(host(number).as_bytes()).unwrap();
    }
    let finished = children.into_iter().map(|child| child.wait_with_output().unwrap());
    finished
        .map(|output| {
            outcome(
                String::from_utf8(output.stdout).unwrap(),
                String::from_utf8(output.stderr).unwrap(),
                output.status.code().unwrap(),
            )
        })
        .collect()
}

fn account(number: usize) -> String {
    format!("{:012}.dkr.ecr.eu-west-1.amazonaws.com", 100_000_000_000 + number)
}

#[test]
fn a_password_is_asked_for_once_and_kept_privately() {
    let (server, machine) = started();
    assert_eq!(helper(&machine, "get", HERE), found(HERE));
    assert_eq!(helper(&machine, "get", format!("https://{HERE}\r\n")), found(&format!("https://{HERE}")));
    assert_eq!(server.calls(), 1);
    assert_eq!(server.requests()[0].text(), "{}");
    let [file] = cached(&machine, ".json").try_into().unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(std::fs::metadata(file.parent().unwrap()).unwrap().mode() & 0o7777, 0o700);
    assert_eq!(
        helper(&machine, "list", "unused"),
        outcome(format!("{{\"https://{HERE}\":\"AWS\"}}\n"), "", 0)
    );
    assert_eq!(helper(&machine, "erase", HERE), outcome("", "", 0));
    assert_eq!(helper(&machine, "list", ""), outcome("{}\n", "", 0));
    assert_eq!(helper(&machine, "get", HERE), found(HERE));
    assert_eq!(server.calls(), 2);
}

#[test]
fn the_helper_is_a_link_a_copy_or_a_verb() {
    let (_server, machine) = started();
    let copy = machine.path().join("copy/docker-credential-ecr-login");
    std::fs::create_dir(copy.parent().unwrap()).unwrap();
    Machine::copy_program(&copy);
    let verb = machine.command(env!("CARGO_BIN_EXE_ecr"), &["credential-helper", "get"]);
    let other_region =
        machine.command(env!("CARGO_BIN_EXE_ecr"), &["--region", "us-east-1", "credential-helper", "get"]);
    for command in [machine.command(&copy, &["get"]), verb, other_region] {
        assert_eq!(fed(command, HERE), found(HERE));
    }
    let usage = outcome("Usage: docker-credential-ecr-login <store|get|erase|list|version>\n", "", 1);
    assert_eq!(fed(machine.command(&copy, &[]), ""), usage);
}

#[test]
fn other_registries_make_no_call_and_the_gallery_is_open() {
    let (server, mut machine) = started();
    for stranger in ["docker.io", "https://index.docker.io/v1/", &format!("{HERE}.evil.example"), "ghcr.io/x"]
    {
        assert_eq!(helper(&machine, "get", stranger), outcome(NOT_FOUND, "", 1));
    }
    assert_eq!(server.requests(), vec![]);
    assert_eq!(helper(&machine, "get", "public.ecr.aws"), found("public.ecr.aws"));
    machine.set("AWS_ECR_DISABLE_CACHE", "1");
    server.behaves(Manner::Refuses(400, "AccessDeniedException"));
    let denied = helper(&machine, "get", "public.ecr.aws");
    assert_eq!((denied.stdout.as_str(), denied.code), (NOT_FOUND, 1));
    assert_eq!(
        denied.stderr,
        "ecr: going on to public.ecr.aws without a login: access denied: the reason. The identity needs the permission \
         ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken\n"
    );
    machine.set("AWS_ECR_PUBLIC_ANONYMOUS", "1");
    assert_eq!(helper(&machine, "get", "public.ecr.aws"), outcome(NOT_FOUND, "", 1));
    machine.unset("AWS_ECR_PUBLIC_ANONYMOUS").unset("AWS_ACCESS_KEY_ID").unset("AWS_SECRET_ACCESS_KEY");
    assert_eq!(helper(&machine, "get", "public.ecr.aws"), outcome(NOT_FOUND, "", 1));
}

#[test]
fn every_shape_of_stdin_has_its_answer() {
    let (_server, machine) = started();
    let nothing = outcome("no credentials server URL\n", "", 1);
    for empty in ["", "\n", " \r\n \n"] {
        assert_eq!(helper(&machine, "get", empty), nothing);
    }
    let split = format!("{}\r\n{}\n", &HERE[..20], &HERE[20..]);
    assert_eq!(helper(&machine, "get", split), found(HERE));
    assert_eq!(helper(&machine, "get", vec![b'x'; 3 << 20]), outcome(NOT_FOUND, "", 1));
    assert_eq!(helper(&machine, "get", [0xff, 0xfe, 0x00]), outcome(NOT_FOUND, "", 1));
    assert_eq!(helper(&machine, "store", ""), outcome("EOF\n", "", 1));
    let mut closed = machine.command(program(&machine), &["get"]);
    closed.stdin(Stdio::null());
    assert_eq!(crate::harness::outcome(&mut closed), nothing);
}

#[test]
fn fifty_helpers_make_one_call() {
    let (server, machine) = started();
    for got in at_once(&machine, 50, |_| HERE.to_owned()) {
        assert_eq!(got, found(HERE));
    }
    assert_eq!(server.calls(), 1);
}

#[test]
fn fifty_accounts_make_one_call_and_all_are_kept() {
    let (server, machine) = started();
    for round in 0..2 {
        for (number, got) in at_once(&machine, 50, account).into_iter().enumerate() {
            assert_eq!(got, found(&account(number)), "round {round}");
        }
    }
    assert_eq!(server.calls(), 1);
    assert_eq!(cached(&machine, ".json").len(), 1);
}

#[test]
fn half_way_through_its_life_one_helper_renews_it() {
    let (server, machine) = started();
    assert_eq!(helper(&machine, "get", HERE), found(HERE));
    age(&machine, 7 * 3600);
    for got in at_once(&machine, 20, |_| HERE.to_owned()) {
        assert_eq!(got, found(HERE));
    }
    assert_eq!(server.calls(), 2);
}

#[test]
fn an_old_password_helps_against_a_network_that_is_down_and_never_against_a_no() {
    let (server, mut machine) = started();
    assert_eq!(helper(&machine, "get", HERE), found(HERE));
    age(&machine, 7 * 3600);
    server.behaves(Manner::Refuses(503, "ServiceUnavailable"));
    assert_eq!(helper(&machine, "get", HERE), found(HERE));
    server.behaves(Manner::Refuses(400, "AccessDeniedException"));
    let denied = "login to 123456789012.dkr.ecr.eu-west-1.amazonaws.com failed: access denied: the reason. The identity \
                  needs the permission ecr:GetAuthorizationToken\n";
    assert_eq!(helper(&machine, "get", HERE), outcome(denied, format!("ecr: {denied}"), 1));
    let dead = Server::start(Manner::Gives).url().replace("127.0.0.1", "127.0.0.2");
    age(&machine, 5 * 3600 + 60);
    server.behaves(Manner::Refuses(503, "ServiceUnavailable"));
    let over = helper(&machine, "get", HERE);
    assert_eq!(over.code, 1, "{}", over.transcript());
    machine.set("AWS_ENDPOINT_URL", dead);
    let unreachable = helper(&machine, "get", HERE);
    assert!(
        unreachable.stdout.contains("ECR cannot be reached: Could not connect"),
        "{}",
        unreachable.transcript()
    );
}

#[test]
fn a_clock_that_jumps_costs_a_call_at_most() {
    let (server, machine) = started();
    assert_eq!(helper(&machine, "get", HERE), found(HERE));
    for (number, jump) in [-30 * 24 * 3600, 30 * 24 * 3600].into_iter().enumerate() {
        age(&machine, jump);
        assert_eq!(helper(&machine, "get", HERE), found(HERE));
        assert_eq!(server.calls(), number + 2);
    }
}

#[test]
fn no_shape_of_the_cache_breaks_a_login() {
    let (server, machine) = started();
    assert_eq!(helper(&machine, "get", HERE), found(HERE));
    let [file] = cached(&machine, ".json").try_into().unwrap();
    let mut calls = 1;
    for shape in
        ["", "garbage", "null", "[]", "{}", r#"{"Registries":null,"Version":"1.0"}"#, r#"{"version":2}"#]
    {
        std::fs::write(&file, shape).unwrap();
        assert_eq!(helper(&machine, "get", HERE), found(HERE), "{shape}");
        calls += 1;
        assert_eq!(server.calls(), calls, "{shape}");
    }
    // Somebody else's file, a link, a folder in the file's place.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(helper(&machine, "get", HERE), found(HERE));
    let precious = machine.write("precious", "precious");
    std::fs::remove_file(&file).unwrap();
    symlink(&precious, &file).unwrap();
    assert_eq!(helper(&machine, "get", HERE), found(HERE));
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert_eq!(helper(&machine, "get", HERE), found(HERE));
    assert_eq!(server.calls(), calls + 3);
}

#[test]
fn a_folder_that_others_can_write_to_is_refused_with_the_reason() {
    let (server, mut machine) = started();
    let open = machine.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    machine.set("AWS_ECR_CACHE_DIR", &open);
    let reason = "ecr: the token cache {DIR}/open is not used: others can write to it (chmod 700 '{DIR}/open' makes it \
                  usable)\n";
    let mut got = helper(&machine, "get", HERE);
    got.stderr = machine.neutral(&got.stderr);
    assert_eq!(got, Outcome { stderr: reason.into(), ..found(HERE) });
    assert_eq!(std::fs::read_dir(&open).unwrap().count(), 0);
    machine.set("AWS_ECR_DISABLE_CACHE", "1");
    assert_eq!(helper(&machine, "get", HERE), found(HERE));
    assert_eq!(server.calls(), 2);
}

#[test]
fn homes_that_cannot_be_used_are_no_reason_to_fail() {
    let (server, mut machine) = started();
    let file = machine.write("file", "");
    let path = machine.path().to_owned();
    let absent = path.join("absent");
    let homes = [absent.to_str().unwrap(), "/dev/null", "/proc", file.to_str().unwrap(), ""];
    for home in homes {
        machine.set("HOME", home);
        assert_eq!(helper(&machine, "get", HERE), found(HERE), "{home}");
    }
    assert_eq!(server.calls(), homes.len());
    assert!(!absent.exists(), "a home that is not there is not made");
    // An unknown user, in another user's home.
    if !std::fs::metadata("/proc/self").is_ok_and(|facts| facts.uid() == 0) {
        return;
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    machine.set("HOME", path.join("home"));
    let copy = path.join("copy-docker-credential-ecr-login");
    Machine::copy_program(&copy);
    let mut command: Command = machine.command(&copy, &["credential-helper", "get"]);
    command.uid(65_534).gid(65_534);
    assert_eq!(fed(command, HERE), found(HERE));
}

#[test]
fn a_helper_that_is_killed_in_the_middle_leaves_nothing_that_holds_others_up() {
    let (server, machine) = started();
    server.behaves(Manner::Hangs);
    let mut command = machine.command(program(&machine), &["get"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(HERE.as_bytes()).unwrap();
    server.wait_for(1);
    child.kill().unwrap();
    child.wait().unwrap();
    server.behaves(Manner::Gives);
    assert_eq!(helper(&machine, "get", HERE), found(HERE));
    assert_eq!(server.calls(), 2);
    assert_eq!(cached(&machine, "").len(), 2, "the password and its lock");
}

#[test]
fn a_metadata_service_that_hangs_is_asked_once_a_minute() {
    let metadata = Server::start(Manner::Hangs);
    let (server, mut machine) = started();
    machine.unset("AWS_ACCESS_KEY_ID").unset("AWS_SECRET_ACCESS_KEY").unset("AWS_EC2_METADATA_DISABLED");
    machine.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url());
    for _ in 0..3 {
        assert_eq!(helper(&machine, "get", "public.ecr.aws"), outcome(NOT_FOUND, "", 1));
        let private = helper(&machine, "get", HERE);
        let expected = format!(
            "login to {HERE} failed: no AWS credentials: looked at the environment (AWS_ACCESS_KEY_ID), the profile \
             default ({{DIR}}/home/.aws/config and {{DIR}}/home/.aws/credentials), web identity, container and instance \
             metadata. Run 'aws configure' or 'aws sso login', set AWS_PROFILE, or name a profile for this registry in \
             login.conf ('ecr login --check' shows what is used)\n"
        );
        assert_eq!(machine.neutral(&private.stdout), expected);
        assert_eq!(machine.neutral(&private.stderr), format!("ecr: {expected}"));
    }
    assert_eq!((metadata.requests().len(), server.calls()), (1, 0));
}

#[test]
fn the_form_of_the_host_chooses_the_endpoint() {
    for (host, endpoint) in [
        (HERE, "api.ecr.eu-west-1.amazonaws.com:443"),
        ("123456789012.dkr.ecr-fips.us-west-2.amazonaws.com", "ecr-fips.us-west-2.amazonaws.com:443"),
        ("123456789012.dkr-ecr.us-west-2.on.aws", "ecr.us-west-2.api.aws:443"),
        ("123456789012.dkr-ecr-fips.us-west-2.on.aws", "ecr-fips.us-west-2.api.aws:443"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "api.ecr.cn-north-1.amazonaws.com.cn:443"),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "ecr-fips.us-gov-west-1.amazonaws.com:443"),
        ("public.ecr.aws", "api.ecr-public.us-east-1.amazonaws.com:443"),
        ("ecr-public.aws.com", "ecr-public.us-east-1.api.aws:443"),
    ] {
        let proxy = Server::start(Manner::Refuses(403, "no"));
        let mut machine = machine(&proxy);
        machine.unset("AWS_ENDPOINT_URL").set("HTTPS_PROXY", proxy.url());
        assert_eq!(helper(&machine, "get", host).code, 1);
        let asked: Vec<String> =
            proxy.requests().into_iter().map(|request| request.line().to_owned()).collect();
        assert!(asked[0].contains(endpoint), "{host}: {asked:?}");
    }
}

#[test]
fn answers_of_other_servers_are_reported() {
    let (server, machine) = started();
    server.behaves(Manner::Babbles);
    let text = format!(
        "login to {HERE} failed: ECR answered without a password; is '{}' really an endpoint of ECR?\n",
        server.url()
    );
    assert_eq!(helper(&machine, "get", HERE), outcome(text.clone(), format!("ecr: {text}"), 1));
    assert_eq!(cached(&machine, ".json"), Vec::<std::path::PathBuf>::new());
}
