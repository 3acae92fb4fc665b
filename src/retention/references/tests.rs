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
fn what_people_have() {
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
    assert_eq!(
        tags(&format!("services:\n  web:\n    image: {HOST}/web:2 # current\n    ports: ['80:80']\n")),
        ["web:2"]
    );
    assert_eq!(tags(&format!("{HOST}/a:1\r\nhttps://{HOST}/b:2\nIMAGE={HOST}/c:3;")), ["a:1", "b:2", "c:3"]);
    // Both ends of a sentence, and both names of an image.
    assert_eq!(tags(&format!("We run {HOST}/a:1.0.")), ["a:1.0", "a:1.0."]);
    let both = read(&format!("{HOST}/a:1@{digest}"));
    assert_eq!((both.tags["a"].contains("1"), both.digests.contains(&digest)), (true, true));
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
    // A digest alone protects, though it is no reference to a registry.
    let alone = read(&format!("containerd://{digest}"));
    assert_eq!((alone.count, alone.digests.contains(&digest)), (0, true));
}

#[test]
fn what_is_to_be_filled_in_is_an_error() {
    for (text, unclear) in [
        (format!("image: {HOST}/app:${{TAG}}"), format!("line 1: {HOST}/app:")),
        (format!("a\nimage: {HOST}/${{NAME}}:1"), format!("line 2: {HOST}/")),
        (format!("image: {HOST}/app:{{{{ .Values.tag }}}}"), format!("line 1: {HOST}/app:")),
        (format!("image: {HOST}/app@sha256:12"), format!("line 1: {HOST}/app@sha256:12")),
        (format!("image: {HOST}/app:<tag>"), format!("line 1: {HOST}/app:")),
    ] {
        let error = References::read(&text, |_| false).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{unclear}: ")), "{text}: {error}");
    }
}
