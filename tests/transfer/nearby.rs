//! Registries and other servers on this machine, by all of its names.

use super::fake::Fake;
use super::registry::{Registry, reply};
use super::server::Server;
use super::*;
use crate::harness::http::Request;
use crate::harness::registry::Serve;
use crate::harness::{Machine, outcome};

/// Anything with a port that is neither Amazon ECR nor an embedded ECR is a registry: push and pull go over `/v2/`, as
/// docker, crane and skopeo go there.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_on_this_machine_is_pushed_to_and_pulled_from() {
    let registry = Registry::start();
    let port = registry.address.rsplit(':').next().unwrap();
    let machine = Machine::new();
    for host in
        [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("registry.localhost:{port}")]
    {
        let pushed = machine.ok(&format!("push {} {host}/team/app:1", super::commands::SAMPLE));
        assert_eq!(machine.ok(&format!("pull {host}/team/app:1 out")), pushed, "{host}");
        assert_eq!(machine.ok(&format!("copy {host}/team/app:1 {host}/team/app:2")), pushed, "{host}");
        let mirrored = machine.ok(&format!("sync {host}/team/app {host}/backup"));
        assert_eq!(mirrored.lines().count(), 0, "the fake has one repository by all names: {mirrored}");
    }
    // No call of ECR's API was made.
    assert!(registry.heads().iter().all(|head| !head.contains("x-amz-target")));
}

/// An embedded ECR is known by the configured endpoint, by its folder, or by login.conf, whatever its host is called.
#[test]
fn an_embedded_ecr_on_this_machine_is_asked_through_its_own_api() {
    let mut machine = Machine::new();
    let server = Serve::start(&machine, &[]);
    let port = server.address.rsplit(':').next().unwrap().to_owned();
    machine
        .set("AWS_ACCESS_KEY_ID", "000000000000")
        .set("AWS_SECRET_ACCESS_KEY", "x")
        .set("AWS_REGION", "us-east-1");
    let push = |machine: &Machine, name: &str| {
        let line = format!("push {} localhost:{port}/{name}:1 --create", super::commands::SAMPLE);
        machine.ecr(&line.split(' ').collect::<Vec<_>>())
    };
    // By its folder: --create needs ECR's API.
    let by_folder = push(&machine, "by-folder");
    assert_eq!(by_folder.code, 0, "{}", by_folder.transcript());
    let mut other = Machine::new();
    other
        .set("AWS_ACCESS_KEY_ID", "000000000000")
        .set("AWS_SECRET_ACCESS_KEY", "x")
        .set("AWS_REGION", "us-east-1");
    let stranger = push(&other, "by-nothing");
    assert_eq!(stranger.code, 255, "{}", stranger.transcript());
    assert!(
        stranger.stderr.contains(&format!("no login for localhost:{port} was found")),
        "{}",
        stranger.stderr
    );
    other.set("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"));
    let by_endpoint = push(&other, "by-endpoint");
    assert_eq!(by_endpoint.code, 0, "{}", by_endpoint.transcript());
    other.unset("AWS_ENDPOINT_URL");
    let rule = format!(
        "[embedded]\nmatch_host = localhost:{port}\nregistry = 000000000000.dkr.ecr.us-east-1.amazonaws.com\n\
         endpoint_url = http://localhost:{port}\n"
    );
    other.write("home/.config/ecr/login.conf", rule);
    let by_rule = push(&other, "by-rule");
    assert_eq!(by_rule.code, 0, "{}", by_rule.transcript());
}

/// A registry on this machine may name itself by another name of this machine, and another port of it.
#[tokio::test(flavor = "multi_thread")]
async fn places_on_this_machine_are_followed_from_this_machine() {
    let (memory, image) = single(&[noise(5_000_000, 1)]).await;
    let source: Shared = memory;
    for name in ["localhost", "127.0.0.1", "registry.localhost"] {
        let (registry, other) = (Registry::start(), Registry::start());
        let at = |registry: &Registry| format!("{name}:{}", registry.address.rsplit(':').next().unwrap());
        let (same, elsewhere) = (at(&registry), at(&other));
        // The upload goes on under another name of this machine; blobs come from another port of it.
        let uploads = same.clone();
        registry.interfere(move |_, request: &Request| {
            let blob = request.method == "GET" && request.path.contains("/blobs/sha256:");
            let begins = request.method == "POST" && request.path.ends_with("/blobs/uploads/");
            if begins && !request.head.contains(&format!("host: {uploads}")) {
                let place = format!("Location: http://{uploads}{}\r\n", request.path);
                return Some(reply("307 Temporary Redirect", &place, b""));
            }
            blob.then(|| {
                reply(
                    "307 Temporary Redirect",
                    &format!("Location: http://{elsewhere}{}\r\n", request.path),
                    b"",
                )
            })
        });
        run(&source, &other.store(), &options(&["1"])).await.unwrap();
        run(&source, &registry.store(), &options(&["1"])).await.unwrap();
        let back = Arc::new(Memory::new());
        let wanted = Options { image: Name::tag("1").unwrap(), ..options(&["1"]) };
        let outcome = run(&registry.store(), &(back.clone() as Shared), &wanted).await.unwrap();
        assert_eq!(&outcome.digest, image.digest(), "{name}");
        assert!(other.count("GET /v2/team/app/blobs/") > 0, "{name}");
    }
}

/// A place for an upload that names this machine by another name or port.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_at_another_name_of_this_machine() {
    let (memory, _) = single(&[noise(5_000_000, 1)]).await;
    let source: Shared = memory;
    for (name, same_port) in
        [("localhost", true), ("127.0.0.1", true), ("localhost", false), ("127.0.0.1", false)]
    {
        let (registry, other) = (Registry::start(), Registry::start());
        let port = |registry: &Registry| registry.address.rsplit(':').next().unwrap().to_owned();
        let place = format!("{name}:{}", port(if same_port { &registry } else { &other }));
        let begin = move |_: usize, request: &Request| {
            let begins = request.method == "POST" && request.path.ends_with("/blobs/uploads/");
            begins.then(|| reply("202 Accepted", &format!("Location: http://{place}/v2/upload/x\r\n"), b""))
        };
        registry.interfere(begin);
        let target = if same_port { &registry } else { &other };
        target.begin_upload("/v2/upload/x");
        let outcome = run(&source, &registry.store(), &Options { jobs: 1, ..options(&["1"]) }).await;
        // The fake ends an upload once, so that the second blob meets none; what counts is where the first one went.
        assert!(target.count("PUT /v2/upload/x?digest=") > 0, "{name} {same_port} {:?}", outcome.err());
    }
}

/// A name that stands for an address of the link, where cloud machines are told their credentials, is not connected to
/// whoever names it. The test has hosts of its own, in a mount namespace; where the system gives none, nothing is tested.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_the_link_is_not_connected_to() {
    let machine = Machine::new();
    let probe = machine.command("unshare", &["-rm", "true"]).status();
    if !probe.is_ok_and(|status| status.success()) {
        return;
    }
    let (memory, _) = single(&[noise(1000, 1)]).await;
    let registry = Registry::start();
    run(&(memory as Shared), &registry.store(), &options(&["1"])).await.unwrap();
    registry.interfere(|_, request| {
        let blob = request.method == "GET" && request.path.contains("/blobs/sha256:");
        blob.then(|| reply("307 Temporary Redirect", "Location: https://layers.example/x\r\n", b""))
    });
    machine.write("hosts", "127.0.0.1 localhost\n169.254.169.254 layers.example\n");
    let script = format!(
        "mount --bind hosts /etc/hosts && exec {} pull docker://{}/team/app:1 out",
        env!("CARGO_BIN_EXE_ecr"),
        registry.address
    );
    let pulled = outcome(&mut machine.command("unshare", &["-rm", "sh", "-c", &script]));
    let words = "refused to connect to layers.example, which stands for 169.254.169.254, an address of this machine or its \
                 link";
    assert_eq!(pulled.code, 255, "{}", pulled.transcript());
    assert!(pulled.stderr.contains(words), "{}", pulled.transcript());
    // It is final: none of the two blobs is asked for again.
    assert!(registry.count("GET /v2/team/app/blobs/") <= 2, "{}", pulled.transcript());
}

/// ECR's link of a layer that was refused once may have expired; a fresh one that is refused alike is final.
#[tokio::test]
async fn a_fresh_link_that_is_refused_is_final() {
    let mut answers = Vec::new();
    answers.resize_with(9, || super::server::answer(super::server::body("403 Forbidden", 0, b"")));
    let server = Server::start(answers);
    let fake = Fake::new();
    let (memory, _) = single(&[noise(1000, 1)]).await;
    run(&(memory as Shared), &(fake.store() as Shared), &options(&["1"])).await.unwrap();
    fake.state().downloads = format!("http://{}/", server.address);
    let back: Shared = Arc::new(Memory::new());
    let wanted = Options { image: Name::tag("1").unwrap(), jobs: 1, ..options(&["1"]) };
    let error = run(&(fake.store() as Shared), &back, &wanted).await.unwrap_err().to_string();
    assert!(error.contains("the server answered 403 Forbidden, expected 200 OK"), "{error}");
    assert_eq!(server.heads().len(), 2);
}
