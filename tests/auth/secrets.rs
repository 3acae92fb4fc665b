//! No secret is where it does not belong: every stream and every file of every command is searched for the password,
//! the keys, and the forms in which they travel.

use std::path::Path;

use base64_simd::STANDARD;

use super::*;

fn forms(secret: &str) -> Vec<String> {
    let escaped = serde_json::Value::from(secret).to_string();
    let percent: String = secret
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    let hexadecimal = secret.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let with_user = STANDARD.encode_to_string(format!("AWS:{secret}"));
    vec![
        secret.to_owned(),
        STANDARD.encode_to_string(secret),
        STANDARD.encode_to_string(&with_user),
        with_user,
        escaped.trim_matches('"').to_owned(),
        percent,
        hexadecimal,
    ]
}

fn assert_clean(what: &str, text: &str) {
    for secret in [PASSWORD, KEY, SECRET, "session-token-of-the-environment", "jwt-signature"] {
        for form in forms(secret) {
            assert!(!text.contains(&form), "{what} has {secret} as {form}:\n{text}");
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(files(&path)),
            kind if kind.is_file() => found.push(path),
            _ => {}
        }
    }
    found
}

/// Only a password that was asked for is on stdout.
fn assert_helper_is_clean(machine: &Machine) {
    for host in [HERE, "public.ecr.aws", "123456789012.dkr.ecr.us-west-2.amazonaws.com", "docker.io"] {
        let got = helper(machine, "get", host);
        assert_clean("get's stderr", &got.stderr);
        if got.code != 0 {
            assert_clean("get's stdout", &got.stdout);
        }
    }
    let password = serde_json::Value::from(PASSWORD);
    let stored = format!(r#"{{"ServerURL":"docker.io","Username":"u","Secret":{password}}}"#);
    let broken = format!("{{\"Secret\": {password}");
    for (action, input) in [("store", stored.as_str()), ("store", &broken), ("list", ""), ("erase", HERE)] {
        let got = helper(machine, action, input);
        assert_clean(action, &got.transcript());
    }
}

fn assert_provider_is_clean(machine: &Machine) {
    let request = serde_json::json!({
        "kind": "CredentialProviderRequest",
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "image": HERE,
        "serviceAccountToken": "a.b.jwt-signature",
    });
    let command = machine.command(env!("CARGO_BIN_EXE_ecr"), &["credential-provider"]);
    assert_clean("credential-provider", &fed(command, request.to_string()).transcript());
}

fn assert_logins_are_clean(machine: &Machine) {
    for line in [
        format!("login {HERE}"),
        "login".to_owned(),
        format!("login --check {HERE}"),
        format!("login --fresh {HERE} --dry-run"),
        format!("login --helper --dry-run {HERE}"),
        "login --cache list".to_owned(),
        format!("logout --dry-run {HERE}"),
    ] {
        let got = machine.ecr(&line.split(' ').collect::<Vec<_>>());
        assert_clean(&line, &got.transcript());
    }
}

#[test]
fn no_stream_and_no_file_has_a_secret_that_does_not_belong_there() {
    let (server, mut machine) = started();
    machine.set("AWS_SESSION_TOKEN", "session-token-of-the-environment").set("AWS_REGION", "eu-west-1");
    let log = machine.path().join("log");
    for manner in
        [Manner::Gives, Manner::Refuses(400, KEY), Manner::Refuses(400, SECRET), Manner::Refuses(503, KEY)]
    {
        server.behaves(manner);
        for destination in ["debug".to_owned(), format!("debug:{}", log.display())] {
            machine.set("ECR_LOG", destination);
            assert_helper_is_clean(&machine);
            assert_provider_is_clean(&machine);
            assert_logins_are_clean(&machine);
        }
    }
    assert!(std::fs::read_to_string(&log).unwrap().contains("asking ecr in eu-west-1 as environment"));
    for file in files(machine.path()) {
        let name = file.display().to_string();
        assert_clean("a file's name", &name);
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        let belongs = name.contains("/.cache/ecr/tokens/") || name.ends_with(".docker/config.json");
        assert_clean(
            &name,
            &if belongs {
                text.replace(&STANDARD.encode_to_string(format!("AWS:{PASSWORD}")), "")
            } else {
                text
            },
        );
    }
}
