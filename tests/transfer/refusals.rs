//! Refusals of a registry: challenges and logins in every form, and which refusals are repeated.

use super::registry::{Registry, reply};
use super::*;
use crate::harness::Machine;

/// A registry with an image `1` that asks for tokens.
async fn guarded() -> (Registry, Manifest) {
    let registry = Registry::start();
    let (memory, image) = single(&[noise(1000, 1)]).await;
    run(&(memory as Shared), &registry.store(), &options(&["1"])).await.unwrap();
    registry.asks_for_tokens();
    (registry, image)
}

fn challenge(address: &str) -> String {
    format!("Bearer realm=\"http://{address}/token\",service=\"s\"")
}

/// Forms of docker's and podman's stored logins (docker/cli, `AuthConfig`; containers-auth.json(5)), used by whole runs
/// of the program.
#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_stored_login_is_let_in() {
    const ME: &str = r#"{"auth": "bWU6c2VjcmV0"}"#;
    const WRONG: &str = r#"{"auth": "eW91Ondyb25n"}"#;
    let post = "POST /token";
    let get = "GET /token?";
    for (configuration, asked) in [
        (format!(r#"{{"auths": {{"HOST": {ME}}}}}"#), get),
        (format!(r#"{{"auths": {{"http://HOST/v1/": {ME}}}}}"#), get),
        (format!(r#"{{"auths": {{"https://HOST/v1/": {ME}}}}}"#), get),
        (format!(r#"{{"auths": {{"https://HOST": {ME}}}}}"#), get),
        (format!(r#"{{"auths": {{"HOST": {WRONG}, "HOST/team": {ME}}}}}"#), get),
        (format!(r#"{{"auths": {{"HOST": {WRONG}, "HOST/team": {WRONG}, "HOST/team/app": {ME}}}}}"#), get),
        (format!(r#"{{"auths": {{"HOST/tea": {WRONG}, "HOST/team/ap": {WRONG}, "HOST": {ME}}}}}"#), get),
        (r#"{"auths": {"HOST": {"auth": "eW91Ondyb25n", "identitytoken": "refresh"}}}"#.to_owned(), post),
        (r#"{"auths": {"HOST": {"auth": "PHRva2VuPjpyZWZyZXNo"}}}"#.to_owned(), post),
        (r#"{"auths": {}, "credHelpers": {"HOST": "fake"}}"#.to_owned(), post),
        (r#"{"auths": {}, "credsStore": "fake"}"#.to_owned(), post),
        (r#"{"auths": {"HOST": {"registrytoken": "good"}}}"#.to_owned(), "GET /v2/team/app/"),
    ] {
        let (registry, image) = guarded().await;
        // distribution, "Oauth2 Token Authentication": the refresh token goes by POST.
        registry.interfere(|_, request| {
            let right =
                ["grant_type=refresh_token", "refresh_token=refresh", "service=s", "scope=repository"];
            let sent = String::from_utf8_lossy(&request.body);
            (request.method == "POST" && request.path == "/token").then(|| {
                if right.iter().all(|pair| sent.contains(pair)) {
                    reply("200 OK", "", br#"{"access_token":"good","expires_in":60}"#)
                } else {
                    reply("401 Unauthorized", "", b"")
                }
            })
        });
        let mut machine = Machine::new();
        let helper = machine.write(
            "bin/docker-credential-fake",
            "#!/bin/sh\ncat >/dev/null\nprintf '{\"ServerURL\":\"x\",\"Username\":\"<token>\",\"Secret\":\"refresh\"}'\n",
        );
        std::fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        machine.set("PATH", format!("{}:/usr/bin:/bin", helper.parent().unwrap().display()));
        machine.write("home/.docker/config.json", configuration.replace("HOST", &registry.address));
        let line = format!("pull docker://{}/team/app:1 out", registry.address);
        assert_eq!(machine.ok(&line), format!("{}\n", image.digest()), "{configuration}");
        assert!(registry.count(asked) > 0, "{configuration} {:?}", registry.heads());
        if asked == "GET /v2/team/app/" {
            assert_eq!(registry.count(get) + registry.count(post), 0, "{configuration}");
        }
        // Neither the password nor the token is shown, not even with --debug.
        let debug = machine.ecr(&format!("{line}2 --debug").split(' ').collect::<Vec<_>>());
        let all = debug.stdout + &debug.stderr;
        assert!(
            !["secret", "bWU6c2VjcmV0", "=refresh&", "bearer good", "Bearer good"]
                .iter()
                .any(|word| all.contains(word)),
            "{all}"
        );
    }
}

/// Quay and others say 200 at `/v2/` and ask for a login on a repository's path alone; RFC 9110, 11.6.1 allows several
/// challenges, in one header or in several.
#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_may_come_late_and_in_company() {
    let machine = Machine::new();
    for form in [
        "WWW-Authenticate: BEARER\r\n",
        "WWW-Authenticate: Basic realm=\"x, y\", BEARER\r\n",
        "WWW-Authenticate: Negotiate, BEARER\r\n",
        "WWW-Authenticate: BEARER, Basic realm=\"x\"\r\n",
        "WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: BEARER\r\n",
        "www-authenticate: NTLM\r\nWWW-AUTHENTICATE: BEARER\r\n",
    ] {
        for late in [true, false] {
            let (registry, image) = guarded().await;
            let header = form.replace("BEARER", &challenge(&registry.address));
            registry.interfere(move |_, request| {
                let open =
                    request.head.contains("authorization: bearer good") || request.path.starts_with("/token");
                match request.path.as_str() {
                    "/v2/" if late => Some(reply("200 OK", "", b"")),
                    _ if open => None,
                    _ => Some(reply("401 Unauthorized", &header, b"")),
                }
            });
            let login = format!(r#"{{"auths": {{"{}": {{"auth": "bWU6c2VjcmV0"}}}}}}"#, registry.address);
            machine.write("home/.docker/config.json", login);
            let line = format!(
                "pull docker://{0}/team/app:1 oci:out-{0}-{late}",
                registry.address.replace(':', "-")
            );
            let line = line.replacen(&registry.address.replace(':', "-"), &registry.address, 1);
            assert_eq!(machine.ok(&line), format!("{}\n", image.digest()), "{form} {late}");
            let to = format!(
                "push oci:out-{}-{late} docker://{}/team/app:2",
                registry.address.replace(':', "-"),
                registry.address
            );
            assert_eq!(machine.ok(&to), format!("{}\n", image.digest()), "{form} {late}");
        }
    }
}

/// A registry that gives out tokens and takes none of them, whatever it says with that.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_without_an_end_have_one() {
    let machine = Machine::new();
    for (status, words) in [
        ("401 Unauthorized", ""),
        ("401 Unauthorized", r#"{"errors":[{"code":"UNAUTHORIZED","message":"token expired"}]}"#),
        (
            "403 Forbidden",
            r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired."}]}"#,
        ),
        ("403 Forbidden", ""),
    ] {
        let registry = Registry::start();
        let header = format!("WWW-Authenticate: {}\r\n", challenge(&registry.address));
        registry.interfere(move |_, request| {
            let token =
                request.path.starts_with("/token").then(|| reply("200 OK", "", br#"{"token":"new"}"#));
            token.or_else(|| Some(reply(status, &header, words.as_bytes())))
        });
        let address = registry.address.clone();
        for line in [
            format!("pull docker://{address}/team/app:1 out"),
            format!("push {} docker://{address}/team/app:1", super::commands::SAMPLE),
            format!("copy docker://{address}/team/app docker://{address}/copy --all-tags"),
            format!("sync docker://{address}/team/app docker://{address}/copy"),
            format!("sync docker://{address}/* docker://{address}/copy"),
        ] {
            let before = registry.heads().len();
            let outcome = machine.ecr(&line.split(' ').collect::<Vec<_>>());
            let asked = registry.heads().len() - before;
            assert_eq!(outcome.code, 255, "{line} {}", outcome.transcript());
            let is_told = ["refused to let us", "the registry's server has a problem"]
                .iter()
                .any(|text| outcome.stderr.contains(text));
            assert!(is_told, "{line} {}", outcome.transcript());
            assert!(asked <= 10, "{line} {status}: {asked} requests");
        }
    }
}
