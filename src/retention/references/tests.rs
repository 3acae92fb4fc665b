use super::*;

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

fn read(text: &str) -> References {
    References::read(text, |host| host == "registry.example.com").unwrap()
}

fn tags(text: &str) -> Vec<String> {
    let found = read(text);
    let mut tags: Vec<String> = found
        .tags
        .iter()
        .flat_map(|(repository, tags)| tags.iter().map(move |tag| format!("{repository}:{tag}")))
        .collect();
    tags.sort();
    tags
}

#[test]
fn forms_of_references_in_real_files() {
    let digest = Digest::of(b"x");
    // kubectl get pods -A -o json; a task definition; ecrm's list; a compose file; a plain list; a helm value.
    assert_eq!(
        tags(&format!(
            "{{\"image\": \"{HOST}/team/app:1.0\",\n \"imageID\": \"docker-pullable://{HOST}/team/app@{digest}\"}}"
        )),
        ["team/app:1.0"]
    );
    assert_eq!(
        tags(&format!(r#"{{"containerDefinitions":[{{"image":"{HOST}/a:1"}},{{"image":"{HOST}/b"}}]}}"#)),
        ["a:1", "b:latest"]
    );
    assert_eq!(tags(&format!("[\"{HOST}/a:1\",\"{HOST}/b:2\"]")), ["a:1", "b:2"]);
    assert_eq!(tags(&format!("[\"{HOST}\\/team\\/app:1\"]")), ["team/app:1"]);
    assert_eq!(
        tags(&format!("services:\n  web:\n    image: {HOST}/web:2 # current\n    ports: ['80:80']\n")),
        ["web:2"]
    );
    assert_eq!(tags(&format!("{HOST}/a:1\r\nhttps://{HOST}/b:2\nIMAGE={HOST}/c:3;")), ["a:1", "b:2", "c:3"]);
    // Both ends of a sentence, and both names of an image.
    assert_eq!(tags(&format!("We run {HOST}/a:1.0.")), ["a:1.0", "a:1.0."]);
    let both = read(&format!("{HOST}/a:1@{digest}"));
    assert_eq!((both.tags["a"].contains("1"), both.digests.contains(&digest)), (true, true));
}

#[test]
fn hosts_that_count() {
    // All forms of hosts, one's own, and none of the others.
    for host in [
        "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com",
        "123456789012.dkr-ecr.eu-west-1.on.aws",
        "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
        "public.ecr.aws",
        "registry.example.com",
    ] {
        assert_eq!(read(&format!("image: {host}/x/a:1")).count, 1, "{host}");
    }
    for other in ["docker.io/library/nginx:1", "team/app:1.0", "ghcr.io/a/b:1", "nothing here", ""] {
        assert_eq!(read(other).count, 0, "{other}");
    }
    // The registry of this machine, the URL of a manifest, and what writers of JSON escape.
    let here = read("localhost:5000/team/app:1 docker://127.0.0.1:4566/b:2");
    assert_eq!(
        (here.count, here.tags["team/app"].contains("1"), here.tags["b"].contains("2")),
        (0, true, true)
    );
    assert!(
        tags(&format!("GET https://{HOST}/v2/team/app/manifests/1.0")).contains(&"team/app:1.0".to_owned())
    );
    assert_eq!(tags(&format!(r#"["{HOST}\u002fa\u003a1", "\u00e9"]"#)), ["a:1"]);
}

#[test]
fn digests_without_a_host() {
    let digest = Digest::of(b"x");
    // A list of digests counts, and one among other words does not: it may be that of a configuration.
    let (one, two) = (&digest, Digest::of(b"y"));
    for list in [format!("{one}\n{two}\n"), format!("[\"{one}\", '{two}']")] {
        assert_eq!((read(&list).count, read(&list).digests.len()), (2, 2), "{list}");
    }
    assert_eq!(read(&format!("{{\"imageID\": \"{one}\"}}")).count, 0);
    // A digest of the runtime protects, though it is no reference to a registry.
    let alone = read(&format!("containerd://{digest}"));
    assert_eq!((alone.count, alone.digests.contains(&digest)), (0, true));
}

/// Texts of a cluster's dump that are no images protect nothing, and stop nothing.
#[test]
fn addresses_of_other_services_are_no_references() {
    for other in [
        "NO_PROXY=127.0.0.0/8",
        "--reload-url=http://127.0.0.1:9090/-/reload",
        "redis://localhost:6379/0",
        "postgres://app:pw@localhost:5432/app",
        "http://localhost:9090/",
        "http://localhost:3000/api/{id}",
        "$GOPATH/pkg/mod/github.com/x/y@v1.2.3/bin",
        "$HOME/node_modules/foo@1.2",
    ] {
        let found = References::read(other, |_| false).unwrap();
        assert_eq!(found.count, 0, "{other}");
    }
}

/// `jq -c` writes the dump of a cluster in one line.
#[test]
fn one_line_is_read_like_many() {
    let pods = 20_000;
    let lines: Vec<String> = (0..pods)
        .map(|number| format!("{{\"image\":\"{HOST}/team/app:{number}\",\"name\":\"a\"}}"))
        .collect();
    let (one, many) = (read(&format!("[{}]", lines.join(","))), read(&lines.join("\n")));
    assert_eq!((one.count, one == many), (pods, true));
}

/// References inside of templates, and placeholders inside of references.
#[test]
fn references_in_templates_protect_or_are_errors() {
    let digest = Digest::of(b"x");
    for text in [
        format!("ID=$(docker run -d {HOST}/app:1.0)"),
        format!("IMG=${{IMG:-{HOST}/app:1.0}}"),
        format!("command: {{{{ \"{HOST}/app:1.0\" }}}}"),
        "f\"{account}.dkr.ecr.eu-west-1.amazonaws.com/app:1.0\"".to_owned(),
        "image: <account>.dkr.ecr.eu-west-1.amazonaws.com/app:1.0".to_owned(),
    ] {
        assert_eq!((tags(&text), read(&text).count), (vec!["app:1.0".to_owned()], 1), "{text}");
    }
    let text = format!("IMG=${{IMG:-{HOST}/app@{digest}}}");
    assert!(read(&text).digests.contains(&digest), "{text}");
    for text in [
        format!("newName: {HOST}/app\nnewTag: v1"),
        format!("- name: {HOST}/app\n  newTag: v1"),
        format!("imageRepository: {HOST}/app\nimageTag: v1"),
        format!("ECR_REPOSITORY={HOST}/app\nTAG=v1"),
        format!("REGISTRY={HOST}"),
        format!("docker run {HOST}/app:\"$TAG\""),
        format!("\"{HOST}/app:\" + tag"),
        "Image: !Sub \"${Registry}/app:${Tag}\"".to_owned(),
    ] {
        assert!(References::read(&text, |_| false).is_err(), "{text}");
    }
}

#[test]
fn json_that_was_cut_off_is_an_error() {
    let whole = format!("{{\"items\": [\n{{\"image\": \"{HOST}/a:1\"}},\n{{\"image\": \"{HOST}/b:2\"}}]}}\n");
    assert_eq!(read(&whole).count, 2);
    for length in 1..whole.trim_end().len() {
        let error = References::read(&whole[..length], |_| false).unwrap_err();
        assert!(error.reason == "the JSON is cut off here", "{length}: {error}");
    }
    // Lines of JSON, one of them cut off; and what only begins like JSON.
    assert!(References::read(&format!("{{\"a\":\"{HOST}/a:1\"}}\n{{\"a\":"), |_| false).is_err());
    for other in ["[INFO] started", "{{ .Values.image }}", "{a: b"] {
        assert!(References::read(other, |_| false).is_ok(), "{other}");
    }
}

#[test]
fn placeholders_are_errors() {
    for (text, unclear) in [
        (format!("image: {HOST}/app:${{TAG}}"), format!("line 1: {HOST}/app:${{TAG}}")),
        (
            format!("image: {HOST}/app:${{TAG:-${{OTHER}}}} #"),
            format!("line 1: {HOST}/app:${{TAG:-${{OTHER}}}}"),
        ),
        (format!("image: {HOST}/app:$TAG"), format!("line 1: {HOST}/app:$TAG")),
        (format!("a\nimage: {HOST}/${{NAME}}:1"), format!("line 2: {HOST}/${{NAME}}:1")),
        (
            format!("image: {HOST}/app:{{{{ .Values.tag }}}}"),
            format!("line 1: {HOST}/app:{{{{ .Values.tag }}}}"),
        ),
        (format!("image: {HOST}/app@sha256:12"), format!("line 1: {HOST}/app@sha256:12")),
        (format!("image: {HOST}/app:<tag>"), format!("line 1: {HOST}/app:")),
        (format!("image: {HOST}/app:%s"), format!("line 1: {HOST}/app:")),
        // Whose registry it is cannot be told, but an image it is.
        ("  image: ${REGISTRY}/app:${TAG}".to_owned(), "line 1: ${REGISTRY}/app:${TAG}".to_owned()),
        ("{\"image\": \"${IMAGE}\"}".to_owned(), "line 1: ${IMAGE}".to_owned()),
        ("image = \"${var.image}\"".to_owned(), "line 1: ${var.image}".to_owned()),
        (
            "${ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/app:$TAG".to_owned(),
            "line 1: ${ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/app:$TAG".to_owned(),
        ),
        // The tag stands on another line.
        (format!("repository: {HOST}/app\ntag: '1.0'"), format!("line 1: {HOST}/app")),
        (format!("registry: \"{HOST}\"\nrepository: app"), format!("line 1: {HOST}")),
    ] {
        let error = References::read(&text, |_| false).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{unclear}: ")), "{text}: {error}");
    }
}

#[test]
fn a_registry_that_is_to_be_filled_in_protects_by_repository_and_tag() {
    for host in [
        "${ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com",
        "$ACCOUNT.dkr.ecr.$REGION.amazonaws.com",
        "${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}",
        "${data.aws_caller_identity.current.account_id}.dkr.ecr.${var.region}.amazonaws.com",
        "{{ .Values.account }}.dkr.ecr.eu-west-1.amazonaws.com",
        "%ACCOUNT%.dkr.ecr.eu-west-1.amazonaws.com",
        "$(ACCOUNT).dkr-ecr.eu-west-1.on.aws",
    ] {
        let found = read(&format!("image: \"{host}/team/app:1.0\""));
        assert_eq!((found.count, found.tags["team/app"].contains("1.0")), (1, true), "{host}");
    }
    // What stands before the path may be more than a host.
    let found = read("image: ${REGISTRY}/app:1.0");
    assert_eq!((found.count, found.tags.len()), (0, 0));
    let graph = {
        let mut graph = Graph::default();
        let digest = Digest::of(b"x");
        let detail = serde_json::json!({"imageDigest": digest, "imageTags": ["1.0"]});
        graph.add(crate::image::graph::Detail::read(&detail).unwrap());
        graph.link();
        graph
    };
    for (repository, is_protected) in
        [("app", true), ("team/app", true), ("team/my-app", false), ("app/x", false)]
    {
        assert_eq!(found.positions(repository, &graph).len(), usize::from(is_protected), "{repository}");
    }
    // Shell scripts and paths refer to nothing.
    for other in ["cp ${SRC}/${FILE} /x", "IMAGE=$1", "PATH=$HOME/bin:$PATH", "100% of it/all", "{{", "${"] {
        assert_eq!(read(other).count, 0, "{other}");
    }
}
