//! `ecr login` and `ecr logout`: other programs' files.

use std::os::unix::fs::PermissionsExt;

use base64_simd::STANDARD;

use super::*;

fn token() -> String {
    STANDARD.encode_to_string(format!("AWS:{PASSWORD}"))
}

/// Returns the stderr of a successful `ecr`, without the time.
fn said(machine: &Machine, arguments: &[&str]) -> String {
    let got = machine.ecr(arguments);
    assert_eq!(got.code, 0, "{}", got.transcript());
    let until = |line: &str| match line.split_once(" until ") {
        Some((before, rest)) => {
            format!("{before} until {{TIME}}{}", &rest[rest.find(' ').unwrap_or(rest.len())..])
        }
        None => line.to_owned(),
    };
    machine.neutral(&got.stderr).lines().map(until).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_client_s_file_is_written() {
    let (server, mut machine) = started();
    machine.set("XDG_RUNTIME_DIR", machine.path().join("run"));
    let text = said(&machine, &["login", HERE, "--docker", "--podman", "--helm", "--file", "own.json"]);
    assert_eq!(
        text,
        format!(
            "Logged in to {HERE} until {{TIME}} (docker: {{DIR}}/home/.docker/config.json)\n\
             Logged in to {HERE} until {{TIME}} (podman: {{DIR}}/run/containers/auth.json)\n\
             Logged in to {HERE} until {{TIME}} (helm: {{DIR}}/home/.config/helm/registry/config.json)\n\
             Logged in to {HERE} until {{TIME}} (own.json)"
        )
    );
    let expected =
        format!("{{\n\t\"auths\": {{\n\t\t\"{HERE}\": {{\n\t\t\t\"auth\": \"{}\"\n\t\t}}\n\t}}\n}}", token());
    for file in [
        "home/.docker/config.json",
        "run/containers/auth.json",
        "home/.config/helm/registry/config.json",
        "own.json",
    ] {
        assert_eq!(std::fs::read_to_string(machine.path().join(file)).unwrap(), expected);
    }
    assert_eq!(server.calls(), 1);
    let text = said(&machine, &["logout", HERE, "--docker", "--podman"]);
    assert_eq!(text, format!("Removed the login of {HERE}"));
    let text = std::fs::read_to_string(machine.path().join("home/.docker/config.json")).unwrap();
    assert_eq!(text, "{\n\t\"auths\": {}\n}");
    assert_eq!(cached(&machine, ".json").len(), 0);
    assert_eq!(said(&machine, &["logout", HERE]), format!("There was no login of {HERE}"));
}

#[test]
fn without_a_host_it_is_one_s_own_registry() {
    let (_server, mut machine) = started();
    let said_without_region = machine.fails(253, "login");
    assert!(
        said_without_region.contains("Which registry? Name its HOST, or a region"),
        "{said_without_region}"
    );
    machine.set("AWS_REGION", "eu-west-1");
    assert!(said(&machine, &["login"]).starts_with(&format!("Logged in to {HERE} until")));
    let printed: serde_json::Value = serde_json::from_str(&machine.ok("login --print")).unwrap();
    assert_eq!(printed, serde_json::json!({"auths": {HERE: {"auth": token()}}}));
}

#[test]
fn a_store_of_docker_s_gets_the_password_and_our_helper_needs_none() {
    let (_server, mut machine) = started();
    let store =
        machine.write("bin/docker-credential-box", "#!/bin/sh\necho $1 >>$HOME/asked; cat >>$HOME/asked\n");
    std::fs::set_permissions(store, std::fs::Permissions::from_mode(0o755)).unwrap();
    machine.set("PATH", format!("{}:/usr/bin:/bin", machine.path().join("bin").display()));
    machine.write(
        "home/.docker/config.json",
        r#"{"credsStore":"box","credHelpers":{"public.ecr.aws":"ecr-login"}}"#,
    );
    let text = said(&machine, &["login", HERE, "public.ecr.aws"]);
    assert_eq!(
        text,
        format!(
            "Logged in to {HERE} until {{TIME}} (docker: docker-credential-box)\n\
             public.ecr.aws: nothing to write, docker asks the helper for it"
        )
    );
    let asked = std::fs::read_to_string(machine.path().join("home/asked")).unwrap();
    let credentials = serde_json::json!({"ServerURL": HERE, "Username": "AWS", "Secret": PASSWORD});
    assert_eq!(asked, format!("store\n{credentials}"));
    machine.write("home/.docker/config.json", r#"{"credsStore":"gone"}"#);
    let text = machine.fails(255, &format!("login {HERE}"));
    assert!(
        text.contains("docker-credential-gone, which") && text.contains("no such program on PATH"),
        "{text}"
    );
}

#[test]
fn the_helper_is_set_up_shown_and_taken_back() {
    let (_server, mut machine) = started();
    let before = format!(
        "{{\n    \"psFormat\": \"x\",\n    \"auths\": {{\n        \"https://{HERE}\": {{\"auth\": \"b2xkOm9sZA==\"}},\n        \
         \"docker.io\": {{\"auth\": \"aHVzaDpodXNo\"}}\n    }},\n    \"n\": 1.50\n}}\n"
    );
    let file = machine.write("home/.docker/config.json", &before);
    std::fs::create_dir(machine.path().join("bin")).unwrap();
    Machine::copy_program(&machine.path().join("bin/ecr"));
    machine.set("PATH", format!("{}:/usr/bin:/bin", machine.path().join("bin").display()));
    let ecr = |arguments: &[&str]| {
        let got = fed(machine.command(machine.path().join("bin/ecr"), arguments), "");
        assert_eq!(got.code, 0, "{}", got.transcript());
        (machine.neutral(&got.stdout), machine.neutral(&got.stderr))
    };
    let (diff, _) = ecr(&["login", "--helper", "--dry-run"]);
    let changed = format!(
        "--- {{DIR}}/home/.docker/config.json\n+++ {{DIR}}/home/.docker/config.json\n@@ -1,8 +1,10 @@\n {{\n     \"psFormat\": \
         \"x\",\n     \"auths\": {{\n-        \"https://{HERE}\": {{\"auth\": \"[redacted]\"}},\n         \"docker.io\": \
         {{\"auth\": \"[redacted]\"}}\n     }},\n-    \"n\": 1.50\n+    \"n\": 1.50,\n+    \"credHelpers\": {{\n+        \
         \"{HERE}\": \"ecr-login\"\n+    }}\n }}\n"
    );
    assert_eq!(diff, changed);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    let (_, text) = ecr(&["login", "--helper", "--all"]);
    assert!(
        text.starts_with(&format!("docker asks the helper for {HERE} ({{DIR}}/home/.docker/config.json)\n"))
    );
    assert!(
        text.contains("Made the link {DIR}/bin/docker-credential-ecr-login for docker to find\n"),
        "{text}"
    );
    let link = machine.path().join("bin/docker-credential-ecr-login");
    assert_eq!(fed(machine.command(&link, &["get"]), HERE), found(HERE));
    let (_, text) = ecr(&["login", "--helper", "--undo"]);
    assert!(text.contains("Removed {DIR}/bin/docker-credential-ecr-login"), "{text}");
    assert!(!link.exists());
    let after = before.replace(&format!("\n        \"https://{HERE}\": {{\"auth\": \"b2xkOm9sZA==\"}},"), "");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), after);
}

#[test]
fn many_logins_at_once_lose_none() {
    let (_server, machine) = started();
    machine.write("home/.docker/config.json", "{\"keep\":1}");
    let hosts: Vec<String> =
        (0..8).map(|n| format!("{}.dkr.ecr.eu-west-1.amazonaws.com", 100_000_000_000_u64 + n)).collect();
    std::thread::scope(|scope| {
        for host in &hosts {
            let machine = &machine;
            scope.spawn(move || machine.ok(&format!("login {host}")));
        }
    });
    let text = std::fs::read_to_string(machine.path().join("home/.docker/config.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["auths"].as_object().unwrap().len(), hosts.len());
    assert_eq!(value["keep"], 1);
}

#[test]
fn errors_name_the_remedy() {
    let (_server, machine) = started();
    let text = machine.fails(252, "login docker.io");
    assert!(
        text.contains("docker.io is no registry of Amazon ECR. If it stands for one, say so in login.conf"),
        "{text}"
    );
    let text = machine.fails(252, "login --helper");
    assert!(text.contains("no registry of ECR is in use yet"), "{text}");
    let text = machine.fails(252, "logout");
    assert!(text.contains("Which registry?"), "{text}");
    let file = machine.write("home/.docker/config.json", "{ damaged");
    let text = machine.fails(255, &format!("login {HERE}"));
    assert!(text.contains("it is not JSON (line 1, column 3). Nothing was changed"), "{text}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "{ damaged");
}

#[test]
fn the_cache_is_listed_and_cleared() {
    let (_server, machine) = started();
    assert_eq!(
        machine.neutral(&said(&machine, &["login", "--cache", "list"])),
        "No passwords in {DIR}/home/.cache/ecr/tokens"
    );
    assert_eq!(helper(&machine, "get", HERE), found(HERE));
    let listed = machine.ok("login --cache list");
    let words: Vec<&str> = listed.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((&words[..4], words[5]), (["ecr", "eu-west-1", "environment", "fresh"].as_slice(), HERE));
    let text = said(&machine, &["login", "--cache", "clear"]);
    assert_eq!(text, "1 passwords removed from {DIR}/home/.cache/ecr/tokens");
}

/// A file that everybody could read becomes private with its first password, a link stays one, and a file that cannot
/// be written is reported.
#[test]
fn files_of_others_are_handled_with_care() {
    let (server, machine) = started();
    let real = machine.write("dotfiles/config.json", "{}");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::os::unix::fs::symlink(&real, machine.path().join("own.json")).unwrap();
    let arguments = ["login", HERE, "--file", "own.json"];
    assert_eq!(
        said(&machine, &arguments),
        format!(
            "ecr: own.json: everybody could read it (mode 0644); now only its owner can\n\
             Logged in to {HERE} until {{TIME}} (own.json)"
        )
    );
    let facts = std::fs::symlink_metadata(machine.path().join("own.json")).unwrap();
    assert!(facts.is_symlink());
    assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);

    std::fs::write(&real, "{}").unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o400)).unwrap();
    let refused = machine.ecr(&arguments);
    let words = "own.json cannot be written: it is read-only (mode 0400): make it writable first";
    assert_eq!((refused.code, refused.stderr), (255, format!("error: {words}\n")));
    assert_eq!(std::fs::read_to_string(&real).unwrap(), "{}");

    std::fs::remove_file(&real).unwrap();
    let refused = machine.ecr(&arguments);
    let words = "own.json cannot be read: it is a link to {DIR}/dotfiles/config.json, which does not exist: make that, \
                 or remove the link";
    assert_eq!((refused.code, machine.neutral(&refused.stderr)), (255, format!("error: {words}\n")));
    drop(server);
}
