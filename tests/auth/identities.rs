//! Identities by registry, and their caching.

use super::*;

const CONFIGURATION: &str = "\
[profile team]
aws_access_key_id = AKIATEAMTEAMTEAMTEAM
aws_secret_access_key = team-secret
[profile role]
role_arn = arn:aws:iam::210987654321:role/pull
source_profile = team
region = eu-west-1
";

fn with_profiles(server: &Server) -> Machine {
    let mut machine = machine(server);
    machine.write("home/.aws/config", CONFIGURATION);
    machine.unset("AWS_ACCESS_KEY_ID").unset("AWS_SECRET_ACCESS_KEY");
    machine.set("AWS_ENDPOINT_URL_STS", server.url());
    machine
}

/// Counts the calls to STS.
fn roles(server: &Server) -> usize {
    server.requests().iter().filter(|request| request.text().contains("Action=AssumeRole")).count()
}

#[test]
fn an_assumed_role_is_cached_and_a_hit_makes_no_call() {
    let server = Server::start(Manner::Gives);
    let mut machine = with_profiles(&server);
    machine.set("AWS_PROFILE", "role");
    for _ in 0..5 {
        assert_eq!(helper(&machine, "get", HERE), found(HERE));
    }
    assert_eq!((server.calls(), roles(&server)), (1, 1));
    assert_eq!(server.signers(), vec!["ASIAROLEROLEROLEROLE".to_owned()]);
}

#[test]
fn an_sso_session_that_has_ended_names_the_command_that_renews_it() {
    let server = Server::start(Manner::Gives);
    let mut machine = with_profiles(&server);
    let section = "[profile p]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = r\n[sso-session corp]\nsso_region = \
                   eu-west-1\nsso_start_url = https://corp.example\n";
    machine.write("home/.aws/config", section);
    machine.set("AWS_PROFILE", "p");
    let text = format!(
        "login to {HERE} failed: the AWS credentials of profile p cannot be used: Error loading SSO Token: Token for corp \
         does not exist. Run 'aws sso login --profile p'\n"
    );
    assert_eq!(helper(&machine, "get", HERE), outcome(text.clone(), format!("ecr: {text}"), 1));
    assert_eq!(server.calls(), 0);
}

#[test]
fn a_credential_process_is_not_run_on_a_hit() {
    let server = Server::start(Manner::Gives);
    let mut machine = with_profiles(&server);
    let script =
        r#"echo run >>runs; echo '{"Version":1,"AccessKeyId":"AKIAPROCESSPROCESSPR","SecretAccessKey":"s"}'"#;
    let file = machine.write("process.sh", script);
    machine.write("home/.aws/config", format!("[profile p]\ncredential_process = sh {}\n", file.display()));
    machine.set("AWS_PROFILE", "p");
    for _ in 0..3 {
        assert_eq!(helper(&machine, "get", HERE), found(HERE));
    }
    assert_eq!(std::fs::read_to_string(machine.path().join("runs")).unwrap(), "run\n");
}

#[test]
fn rules_choose_profile_role_alias_and_anonymous() {
    let server = Server::start(Manner::Gives);
    let machine = with_profiles(&server);
    let rules = "\
[team]
match_account = 1234*
profile = team
[partner]
match_account = 999999999999
match_region = us-*
profile = team
role_arn = arn:aws:iam::999999999999:role/pull
[mirror]
match_host = registry.example.com
registry = 123456789012.dkr.ecr.eu-west-1.amazonaws.com
profile = team
[closed]
match_region = ap-*
anonymous = true
";
    machine.write("home/.config/ecr/login.conf", rules);
    assert_eq!(helper(&machine, "get", HERE), found(HERE));
    let partner = "999999999999.dkr.ecr.us-east-2.amazonaws.com";
    assert_eq!(helper(&machine, "get", partner), found(partner));
    // The alias is the same identity, region and endpoint as the first: no call.
    assert_eq!(
        helper(&machine, "get", "https://Registry.Example.com/v2/"),
        found("https://Registry.Example.com/v2/")
    );
    assert_eq!(
        helper(&machine, "get", "555555555555.dkr.ecr.ap-south-1.amazonaws.com"),
        outcome(NOT_FOUND, "", 1)
    );
    assert_eq!(
        server.signers(),
        ["AKIATEAMTEAMTEAMTEAM", "ASIAROLEROLEROLEROLE"].map(str::to_owned).to_vec()
    );
    let role =
        server.requests().into_iter().find(|request| request.text().contains("Action=AssumeRole")).unwrap();
    let role = role.text();
    assert!(role.contains("role%2Fpull") && role.contains("ecr-login"), "{role}");
    let text = machine.ok(&format!("login --check {partner} registry.example.com"));
    assert_eq!(
        machine.neutral(&text).lines().filter(|line| !line.contains("kept")).collect::<Vec<_>>().join("\n"),
        "{DIR}/home/.config/ecr/login.conf: 4 rules, sound\n\n\
         999999999999.dkr.ecr.us-east-2.amazonaws.com\n  \
           rule         partner (line 4)\n  \
           credentials  profile team, as arn:aws:iam::999999999999:role/pull\n  \
           asks         ecr in us-east-2\n\n\
         registry.example.com\n  \
           rule         mirror (line 9)\n  \
           credentials  profile team\n  \
           asks         ecr in eu-west-1"
    );
}

#[test]
fn an_invalid_rule_is_reported_with_its_line() {
    let (_server, machine) = started();
    let file = machine.write("home/.config/ecr/login.conf", "[a]\nmatch_host = *\nprofle = x\n");
    let said = machine.fails(253, "login --check");
    assert!(said.contains(&format!("{}, line 3: 'profle' is no key of a rule", file.display())), "{said}");
    machine.write("home/.config/ecr/login.conf", "[a]\nmatch_account = *\nprofile = gone\n");
    let said = machine.fails(253, "login --check");
    assert!(said.contains("line 1: there is no profile gone in "), "{said}");
    let (stdout, code) = {
        let got = helper(&machine, "get", HERE);
        (got.stdout, got.code)
    };
    assert_eq!(code, 1);
    assert!(stdout.contains("the AWS profile gone does not exist"), "{stdout}");
}

#[test]
fn kubelet_gets_the_role_of_a_pod_and_its_cache_knows_pods_apart() {
    let server = Server::start(Manner::Gives);
    let mut machine = with_profiles(&server);
    machine.set("AWS_REGION", "eu-west-1");
    let token = |subject: &str, end: u32| {
        let claims = format!(r#"{{"iss":"i","sub":"{subject}","exp":{end}}}"#);
        format!("e30.{}.signature", base64_simd::URL_SAFE_NO_PAD.encode_to_string(claims))
    };
    let ask = |token: &str, role: &str| {
        let request = serde_json::json!({
            "kind": "CredentialProviderRequest",
            "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
            "image": format!("{HERE}/app:1"),
            "serviceAccountToken": token,
            "serviceAccountAnnotations": {"eks.amazonaws.com/ecr-role-arn": role},
        });
        let link = machine.path().join("ecr-credential-provider");
        if !link.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ecr"), &link).unwrap();
        }
        let got = fed(machine.command(&link, &[]), request.to_string());
        assert_eq!((got.stderr.as_str(), got.code), ("", 0), "{}", got.transcript());
        let response: serde_json::Value = serde_json::from_str(&got.stdout).unwrap();
        assert_eq!(response["auth"][HERE]["password"], PASSWORD);
        assert_eq!(response["serviceAccountTokenCacheType"], "ServiceAccount");
    };
    let role = "arn:aws:iam::1:role/pod";
    ask(&token("system:serviceaccount:a:b", 1), role);
    ask(&token("system:serviceaccount:a:b", 2), role);
    assert_eq!(server.calls(), 1, "a renewed token is the same pod's");
    ask(&token("system:serviceaccount:a:c", 1), role);
    assert_eq!(server.calls(), 2);
    assert_eq!(server.signers(), vec!["ASIAROLEROLEROLEROLE".to_owned(); 2]);
}
