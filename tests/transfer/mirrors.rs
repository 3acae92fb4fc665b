//! `ecr sync` and `ecr copy` of whole repositories between registries that say all kinds of things about what they have.

use serde_json::json;

use super::registry::{Registry, reply};
use super::*;
use crate::harness::http::Request;
use crate::harness::{Machine, Outcome};

/// A registry with one image under these tags.
async fn filled(tags: &[&str]) -> Registry {
    let registry = Registry::start();
    registry.state().names_digests = true;
    let (memory, _) = single(&[noise(1000, 1)]).await;
    run(&(memory as Shared), &registry.store(), &options(tags)).await.unwrap();
    registry
}

fn is_list(request: &Request) -> bool {
    request.path.contains("/tags/list")
}

/// Answers every list of tags with this status, these headers and this body.
fn lists(registry: &Registry, status: &'static str, headers: &'static str, body: &str) {
    let body = body.to_owned();
    registry.interfere(move |_, request| is_list(request).then(|| reply(status, headers, body.as_bytes())));
}

/// Mirrors `team/app` of one registry below `backup/` of another.
fn sync(machine: &Machine, from: &Registry, to: &Registry, options: &str) -> Outcome {
    let line =
        format!("sync docker://{}/team/app docker://{}/backup --quiet {options}", from.address, to.address);
    machine.ecr(&line.split_whitespace().collect::<Vec<_>>())
}

/// The last line of stderr, without the addresses of registries.
fn verdict(outcome: &Outcome, from: &Registry, to: &Registry) -> String {
    let last = outcome.stderr.lines().last().unwrap_or_default();
    last.replace(&from.address, "FROM").replace(&to.address, "TO")
}

const WHOLE: &str = r#"{"tags":["1","2"]}"#;
const MOST: &str = "3 of the 5 tags of backup/team/app would be deleted, more than half; --yes deletes them, and \
                --max-deletes says how many may go";
const EMPTY: &str =
    "the source has no such tags, and 5 of backup/team/app would be deleted; --allow-empty deletes them";
const NULL: &str = "the source answers no list of tags, and 5 of backup/team/app would be deleted; --allow-empty deletes them";
const UNLISTED: &str = "cannot list the tags of FROM/team/app: its";

/// A list of the source's tags, options, and what `sync --delete` makes of a mirror with five tags: deletions, exit code,
/// and words of the error.
struct Deletion(&'static str, &'static str, &'static str, &'static str, usize, i32, &'static str);

/// The source has two of the mirror's tags. The list is whole, so that options decide what may go.
const OF_WHOLE_LISTS: &[Deletion] = &[
    Deletion("200 OK", "", WHOLE, "", 0, 252, MOST),
    Deletion("200 OK", "", WHOLE, "--yes", 3, 0, ""),
    Deletion("200 OK", "", WHOLE, "--max-deletes 3", 3, 0, ""),
    Deletion(
        "200 OK",
        "",
        WHOLE,
        "--max-deletes 2",
        0,
        252,
        "3 tags of backup/team/app would be deleted, and --max-deletes",
    ),
    Deletion("200 OK", "", WHOLE, "--yes --dry-run", 0, 0, ""),
    Deletion("200 OK", "", r#"{"tags":["1","2","3","4"]}"#, "", 1, 0, ""),
];

/// Lists that are empty, cut off, or none at all.
const OF_OTHER_LISTS: &[Deletion] = &[
    Deletion("200 OK", "", r#"{"tags":[]}"#, "--yes", 0, 252, EMPTY),
    Deletion(
        "200 OK",
        "",
        r#"{"tags":[]}"#,
        "--allow-empty",
        0,
        252,
        "5 of the 5 tags of backup/team/app would be deleted",
    ),
    Deletion("200 OK", "", r#"{"tags":[]}"#, "--yes --allow-empty", 5, 0, ""),
    Deletion("200 OK", "", r#"{"tags":null}"#, "--yes", 0, 252, NULL),
    Deletion("200 OK", "", "{}", "--yes --allow-empty", 0, 255, UNLISTED),
    Deletion("200 OK", "", "[]", "--yes --allow-empty", 0, 255, UNLISTED),
    Deletion("200 OK", "", "<html>", "--yes --allow-empty", 0, 255, UNLISTED),
    Deletion("200 OK", "", r#"{"tags":["1""#, "--yes --allow-empty", 0, 255, UNLISTED),
    Deletion("200 OK", "", r#"{"tags":["1",2]}"#, "--yes --allow-empty", 0, 255, UNLISTED),
    Deletion("200 OK", "", r#"{"tags":"1"}"#, "--yes --allow-empty", 0, 255, UNLISTED),
    Deletion("200 OK", "", r#"{"errors":[{"code":"UNKNOWN"}]}"#, "--yes --allow-empty", 0, 255, UNLISTED),
    Deletion("200 OK", "Link: <?last=1>; rel=next\r\n", r#"{"tags":["1"]}"#, "--yes", 0, 255, UNLISTED),
    Deletion(
        "200 OK",
        "Link: <https://evil.example/>; rel=next\r\n",
        WHOLE,
        "--yes",
        0,
        255,
        "cannot list the tags of FROM/team/app: it names a next page",
    ),
    Deletion(
        "204 No Content",
        "",
        "",
        "--yes --allow-empty",
        0,
        255,
        "FROM/team/app refused to let us list the tags of",
    ),
    Deletion(
        "403 Forbidden",
        "",
        "",
        "--yes --allow-empty",
        0,
        255,
        "FROM/team/app refused to let us list the tags of",
    ),
    Deletion("404 Not Found", "", "", "--yes --allow-empty", 0, 255, "has no repository team/app"),
];

#[tokio::test(flavor = "multi_thread")]
async fn deleting_many_tags_needs_a_yes() {
    check_deletions(OF_WHOLE_LISTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_needs_a_whole_list() {
    check_deletions(OF_OTHER_LISTS).await;
}

async fn check_deletions(deletions: &[Deletion]) {
    let machine = Machine::new();
    for &Deletion(status, headers, body, options, deleted, code, words) in deletions {
        let (from, to) = (filled(&["1", "2", "3", "4"]).await, filled(&["1", "2", "3", "4", "5"]).await);
        lists(&from, status, headers, body);
        let outcome = sync(&machine, &from, &to, &format!("--delete {options}"));
        let what = format!("{status} {headers} {body} {options}\n{}", outcome.transcript());
        assert_eq!((to.count("DELETE"), outcome.code), (deleted, code), "{what}");
        assert!(verdict(&outcome, &from, &to).contains(words), "{what}");
    }
}

/// The mirror's own list must be whole too.
#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_without_a_list_loses_nothing() {
    let machine = Machine::new();
    for (status, body) in
        [("200 OK", "{}"), ("200 OK", "<html>"), ("403 Forbidden", ""), ("405 Method Not Allowed", "")]
    {
        let (from, to) = (filled(&["1"]).await, filled(&["1", "2"]).await);
        lists(&to, status, "", body);
        let outcome = sync(&machine, &from, &to, "--delete --yes");
        assert_eq!((to.count("DELETE"), outcome.code), (0, 255), "{}", outcome.transcript());
    }
}

/// A tag that is listed and leads to nothing: its namesake stays, and the exit code tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_with_a_tag_that_cannot_be_read_deletes_nothing() {
    let machine = Machine::new();
    let (from, to) = (filled(&["1", "2"]).await, filled(&["1", "2", "gone", "old"]).await);
    lists(&from, "200 OK", "", r#"{"tags":["1","2","gone"]}"#);
    let outcome = sync(&machine, &from, &to, "--delete");
    assert_eq!((to.count("DELETE"), outcome.code), (0, 255), "{}", outcome.transcript());
    assert_eq!(
        verdict(&outcome, &from, &to),
        "error: cannot mirror team/app: cannot copy team/app:gone: the registry lists it and has no image of it"
    );
    let outcome = sync(&machine, &from, &to, "--delete --keep-going");
    assert_eq!((to.count("DELETE"), outcome.code), (0, 255), "{}", outcome.transcript());
}

/// `sync --delete` asks on a terminal, and takes nothing but yes for one.
#[tokio::test(flavor = "multi_thread")]
async fn most_tags_go_after_a_question() {
    let machine = Machine::new();
    for (answer, deleted) in [("y", 2), ("n", 0), ("", 0)] {
        let (from, to) = (filled(&["1"]).await, filled(&["1", "2", "3"]).await);
        let line = format!(
            "{} sync docker://{}/team/app docker://{}/backup --delete",
            env!("CARGO_BIN_EXE_ecr"),
            from.address,
            to.address
        );
        let feed = format!("echo {answer} | script -qec '{line}' /dev/null");
        let asked = crate::harness::outcome(&mut machine.command("sh", &["-c", &feed]));
        assert!(
            asked.stdout.contains("Delete 2 of the 3 tags of backup/team/app?"),
            "{}",
            asked.transcript()
        );
        assert_eq!(to.count("DELETE"), deleted, "{answer} {}", asked.transcript());
    }
}

/// Names that would lead elsewhere, or that a terminal obeys, are told and neither asked for nor shown as they are.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_none_reach_neither_urls_nor_the_terminal() {
    let machine = Machine::new();
    let bad = [
        "../../victim/manifests/latest",
        "v1/../latest",
        "\u{1b}]0;owned\u{7}",
        "%2e%2e",
        "a\u{202e}b",
        "a b",
        "",
    ];
    let tags: Vec<&str> = ["1"].into_iter().chain(bad).collect();
    let (from, to) = (filled(&["1", "2"]).await, Registry::start());
    lists(&from, "200 OK", "", &json!({ "tags": tags }).to_string());
    let source = format!("docker://{}/team/app", from.address);
    let target = format!("docker://{}/backup/team/app", to.address);
    let mirror = format!("docker://{}/backup", to.address);
    let folder = machine.path().join("layout").display().to_string();
    for arguments in [
        vec!["sync", &source, &mirror, "--keep-going"],
        vec!["sync", &source, &mirror, "--keep-going", "--delete", "--yes"],
        vec!["copy", &source, &target, "--all-tags", "--keep-going"],
        vec!["copy", &source, &target, "--match", "*", "--keep-going"],
        vec!["pull", &source, &folder, "--all-tags", "--keep-going"],
        vec!["sync", &source, &mirror],
        vec!["copy", &source, &target, "--all-tags"],
    ] {
        let outcome = machine.ecr(&arguments);
        let all = format!("{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(outcome.code, 255, "{arguments:?} {}", outcome.transcript());
        assert!(!all.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{arguments:?} {all}");
        if arguments.contains(&"--keep-going") {
            for name in ["../../victim/manifests/latest", "\\u001b]0;owned\\u0007", "a\\u202eb"] {
                assert!(outcome.stderr.contains(name), "{arguments:?} {all}");
            }
            assert!(to.state().manifests.contains_key("1"), "{all}");
        }
    }
    for registry in [&from, &to] {
        let heads = registry.heads().concat();
        assert!(!["victim", "..", "%2e", "%1b", "owned"].iter().any(|text| heads.contains(text)), "{heads}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_repositories_are_reported_and_the_others_mirrored() {
    let machine = Machine::new();
    let (from, to) = (filled(&["1"]).await, Registry::start());
    let catalog =
        json!({"repositories": ["team/app", "../victim", "team/\u{1b}[2Jx", "Team", "a//b", "team/app/"]});
    from.interfere(move |_, request| {
        request.path.contains("/_catalog").then(|| reply("200 OK", "", catalog.to_string().as_bytes()))
    });
    let mirror = |more: &str| {
        let line = format!("sync docker://{}/* docker://{}/backup {more}", from.address, to.address);
        machine.ecr(&line.split_whitespace().collect::<Vec<_>>())
    };
    let stopped = mirror("");
    assert_eq!((stopped.code, to.heads().len()), (255, 0), "{}", stopped.transcript());
    let outcome = mirror("--keep-going");
    assert_eq!(outcome.code, 255, "{}", outcome.transcript());
    assert!(to.state().manifests.contains_key("1"), "{}", outcome.transcript());
    assert!(!outcome.stderr.contains('\u{1b}') && outcome.stderr.contains("../victim"), "{}", outcome.stderr);
    let heads = from.heads().concat() + &to.heads().concat();
    assert!(!["victim", "..", "%1b", "a//b"].iter().any(|text| heads.contains(text)), "{heads}");
}

/// A registry that answers 404 or 405 to every HEAD, as Nexus does (sonatype/nexus-public#106).
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_knows_no_head_is_mirrored_and_kept() {
    let machine = Machine::new();
    for status in ["404 Not Found", "405 Method Not Allowed", "501 Not Implemented"] {
        let (from, to) = (filled(&["1", "2", "3"]).await, Registry::start());
        for registry in [&from, &to] {
            registry.interfere(move |_, request| (request.method == "HEAD").then(|| reply(status, "", b"")));
        }
        let first = sync(&machine, &from, &to, "--delete");
        assert_eq!((first.code, first.stdout.lines().count()), (0, 3), "{status} {}", first.transcript());
        let again = sync(&machine, &from, &to, "--delete --yes");
        assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{status} {}", again.transcript());
        assert_eq!(to.count("DELETE"), 0);
        // One tag more at the mirror goes, and nothing else.
        let (memory, _) = single(&[noise(1000, 2)]).await;
        run(&(memory as Shared), &to.store(), &options(&["old"])).await.unwrap();
        let deleted = sync(&machine, &from, &to, "--delete");
        assert_eq!((deleted.code, to.count("DELETE")), (0, 1), "{status} {}", deleted.transcript());
        assert_eq!(to.count("DELETE /v2/backup/team/app/manifests/old"), 1);
    }
}

/// A mirror that takes pushes and lists nothing goes tag by tag, and without `--delete` only.
#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_denies_its_list_is_filled_tag_by_tag() {
    let machine = Machine::new();
    for status in ["401 Unauthorized", "403 Forbidden", "405 Method Not Allowed", "501 Not Implemented"] {
        let (from, to) = (filled(&["1", "2"]).await, Registry::start());
        to.state().names_digests = true;
        lists(&to, status, "", "");
        let first = sync(&machine, &from, &to, "");
        assert_eq!((first.code, first.stdout.lines().count()), (0, 2), "{status} {}", first.transcript());
        let again = sync(&machine, &from, &to, "");
        assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{status} {}", again.transcript());
        let deleting = sync(&machine, &from, &to, "--delete --yes");
        assert_eq!(deleting.code, 255, "{status} {}", deleting.transcript());
        assert!(verdict(&deleting, &from, &to).contains("list the tags of"), "{}", deleting.stderr);
    }
}

/// Every kind of bad tag: `--keep-going` copies the others and lists the bad ones.
#[tokio::test(flavor = "multi_thread")]
async fn one_bad_tag_ends_nothing_but_itself() {
    let machine = Machine::new();
    let bad = ["broken-layer", "html", "no-image", "not/a/tag", "null", "schema1", "unknown", "wrong-digest"];
    let registry = || async {
        let registry = filled(&["good", "other"]).await;
        let (memory, image) = single(&[noise(1000, 9)]).await;
        run(&(memory as Shared), &registry.store(), &options(&["broken-layer"])).await.unwrap();
        let layer = image.blobs().nth(1).unwrap().digest.to_string();
        let tags: Vec<&str> = ["good", "other"].into_iter().chain(bad).collect();
        let listed = json!({ "tags": tags }).to_string();
        registry.interfere(move |_, request| {
            let path = request.path.split('?').next().unwrap();
            let oci = "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n";
            let schema1 = "Content-Type: application/vnd.docker.distribution.manifest.v1+prettyjws\r\n";
            let wrong = format!("{oci}Docker-Content-Digest: {}\r\n", Digest::of(b"another"));
            let name = path.rsplit('/').next().unwrap();
            Some(match name {
                "list" => reply("200 OK", "", listed.as_bytes()),
                "html" => reply("200 OK", "Content-Type: text/html\r\n", b"<html>no</html>"),
                "no-image" => reply("200 OK", oci, br#"{"schemaVersion":2}"#),
                "null" => reply("200 OK", oci, b"null"),
                "schema1" => reply("200 OK", schema1, br#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#),
                "unknown" => reply("404 Not Found", "", br#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
                "wrong-digest" => reply("200 OK", &wrong, br#"{"schemaVersion":2}"#),
                name if name == layer => reply("404 Not Found", "", b""),
                _ => return None,
            })
        });
        registry
    };
    for verb in ["sync", "copy --all-tags", "copy --match *", "pull --all-tags"] {
        let (from, to) = (registry().await, Registry::start());
        let target = match verb {
            "sync" => format!("docker://{}/backup", to.address),
            verb if verb.starts_with("pull") => machine.path().join("pulled").display().to_string(),
            _ => format!("docker://{}/backup/team/app", to.address),
        };
        let line = format!("{verb} docker://{}/team/app {target}", from.address);
        let stopped = machine.ecr(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(stopped.code, 255, "{verb} {}", stopped.transcript());
        let outcome = machine.ecr(&format!("{line} --keep-going").split(' ').collect::<Vec<_>>());
        assert_eq!(outcome.code, 255, "{verb} {}", outcome.transcript());
        for name in bad {
            assert!(outcome.stderr.contains(name), "{verb}: {name} is not told\n{}", outcome.transcript());
        }
        if verb.starts_with("pull") {
            let index = std::fs::read_to_string(machine.path().join("pulled/index.json")).unwrap();
            assert!(index.contains("good") && index.contains("other"), "{index}");
        } else {
            let state = to.state();
            let mut tags: Vec<&String> = state.manifests.keys().filter(|name| !name.contains(':')).collect();
            tags.sort();
            assert_eq!(tags, ["good", "other"], "{verb} {}", outcome.transcript());
        }
    }
}

/// 200 with `manifests: null` or with a web page is no list of referrers: the tag schema is tried (OCI distribution
/// specification 1.1, "Unavailable Referrers API"), and then there are none.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_list_of_referrers_the_tag_schema_is_used() {
    let machine = Machine::new();
    for (header, body) in [
        (
            "Content-Type: application/vnd.oci.image.index.v1+json\r\n",
            r#"{"schemaVersion":2,"manifests":null}"#,
        ),
        ("Content-Type: text/html\r\n", "<html>Sign in</html>"),
        ("", ""),
        ("", r#"{"errors":[]}"#),
    ] {
        let (from, to) = (Registry::start(), Registry::start());
        let (memory, image) = single(&[noise(1000, 1)]).await;
        let signature = about(&memory, &image, "application/example");
        memory.put_referrer(&signature).await.unwrap();
        // The fake lists no referrers, so that they go under the subject's tag.
        let image_of = Name::Digest(image.digest().clone());
        let wanted = Options { image: image_of, referrers: true, ..options(&["1"]) };
        run(&(memory as Shared), &from.store(), &wanted).await.unwrap();
        let answer = move |_: usize, request: &Request| {
            request.path.contains("/referrers/").then(|| reply("200 OK", header, body.as_bytes()))
        };
        from.interfere(answer);
        let line =
            format!("copy docker://{}/team/app:1 docker://{}/copy:1 --referrers", from.address, to.address);
        let outcome = machine.ecr(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(outcome.code, 0, "{body} {}", outcome.transcript());
        assert!(
            to.state().manifests.contains_key(&signature.digest().to_string()),
            "{body} {}",
            outcome.stderr
        );
        // Without the tag there are none.
        from.state().manifests.remove(image.digest().referrers_tag().as_str());
        let to = Registry::start();
        let line =
            format!("copy docker://{}/team/app:1 docker://{}/copy:1 --referrers", from.address, to.address);
        machine.ok(&line);
        assert!(!to.state().manifests.contains_key(&signature.digest().to_string()), "{body}");
    }
}
