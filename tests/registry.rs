//! Docker's registry API of the embedded ECR, request by request: the OCI distribution specification 1.1, then what
//! Amazon ECR makes of it.

use crate::harness::Machine;
use crate::harness::registry::{Serve, digest, hex};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const UNKNOWN: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b854";

/// A server that asks for no credentials, and a repository `team/app` on it.
fn open(machine: &mut Machine, options: &[&str]) -> Serve {
    let server = Serve::start(machine, &[&["--anonymous"], options].concat());
    client(machine, &server);
    machine.ok("create-repository --repository-name team/app");
    server
}

/// Has a machine's commands go to a server.
fn client(machine: &mut Machine, server: &Serve) {
    machine.set("AWS_ENDPOINT_URL", format!("http://{}", server.address));
    machine.set("AWS_ACCESS_KEY_ID", "123456789012").set("AWS_SECRET_ACCESS_KEY", "secret");
    machine.set("AWS_REGION", "eu-west-1");
}

fn image(config: &str, layers: &[&str], more: &str) -> String {
    let descriptor = |digest: &&str| format!(r#"{{"mediaType":"a/layer","digest":"{digest}","size":3}}"#);
    let layers: Vec<String> = layers.iter().map(descriptor).collect();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{{"mediaType":"a/config","digest":"{config}","size":2}},"layers":[{}]{more}}}"#,
        layers.join(",")
    )
}

fn error(status: u16, code: &str, message: &str) -> (u16, String) {
    (status, format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#))
}

#[test]
fn an_image_is_pushed_and_pulled() {
    let mut machine = Machine::new();
    let server = open(&mut machine, &[]);
    assert_eq!(
        server.get("/v2/").whole(),
        "200\ncontent-length: 2\ncontent-type: application/json\ndocker-distribution-api-version: registry/2.0\n\n{}"
    );
    let (config, layer) = (server.blob("team/app", b"{}"), server.blob("team/app", b"abc"));
    let manifest = image(&config, &[&layer], "");
    let (name, length) = (digest(manifest.as_bytes()), manifest.len());
    assert_eq!(
        server.manifest("team/app", "1.0", IMAGE, &manifest).whole(),
        format!(
            "201\ncontent-length: 0\ndocker-content-digest: {name}\ndocker-distribution-api-version: registry/2.0\n\
             location: /v2/team/app/manifests/{name}\n\n"
        )
    );
    let head = format!(
        "200\ncontent-length: {length}\ncontent-type: {IMAGE}\ndocker-content-digest: {name}\n\
         docker-distribution-api-version: registry/2.0\netag: \"{name}\"\n\n"
    );
    for reference in ["1.0", &name] {
        let path = format!("/v2/team/app/manifests/{reference}");
        assert_eq!(server.get(&path).whole(), format!("{head}{manifest}"));
        assert_eq!(server.send(&format!("HEAD {path}"), &[], b"").whole(), head);
    }
    // Once more is no error, and the control plane sees what was pushed.
    assert_eq!(server.manifest("team/app", "1.0", IMAGE, &manifest).status, 201);
    let seen = machine
        .ok("list-images --repository-name team/app --query imageIds[].[imageDigest,imageTag] --output text");
    assert_eq!(seen, format!("{name}\t1.0\n"));
    // And the other way round.
    machine.ok(&format!(
        "batch-delete-image --repository-name team/app --image-ids imageDigest={name} --query failures"
    ));
    let gone = server.get("/v2/team/app/manifests/1.0");
    assert_eq!((gone.status, gone.text()), error(404, "MANIFEST_UNKNOWN", "Requested image not found"));
}

#[test]
fn a_blob_is_read_whole_and_in_ranges() {
    let mut machine = Machine::new();
    let server = open(&mut machine, &[]);
    let content: Vec<u8> = (0..2000_u32).map(|number| (number % 251) as u8).collect();
    let name = server.blob("team/app", &content);
    let path = format!("/v2/team/app/blobs/{name}");
    let head = server.send(&format!("HEAD {path}"), &[], b"");
    assert_eq!(
        head.whole(),
        format!(
            "200\naccept-ranges: bytes\ncontent-length: 2000\ncontent-type: application/octet-stream\n\
             docker-content-digest: {name}\ndocker-distribution-api-version: registry/2.0\netag: \"{name}\"\n\n"
        )
    );
    assert!(server.get(&path).body == content);
    for (asked, from, to) in
        [("500-1499", 500, 1500), ("500-", 500, 2000), ("-500", 1500, 2000), ("1900-9999", 1900, 2000)]
    {
        let part = server.send(&format!("GET {path}"), &[&format!("Range: bytes={asked}")], b"");
        let told = format!("bytes {from}-{}/2000", to - 1);
        assert_eq!((part.status, part.header("content-range")), (206, Some(told.as_str())), "{asked}");
        assert!(part.body == content[from..to], "{asked}");
    }
    for asked in ["500-0", "5000-10000"] {
        let refused = server.send(&format!("GET {path}"), &[&format!("Range: bytes={asked}")], b"");
        assert_eq!((refused.status, refused.header("content-range")), (416, Some("bytes */2000")), "{asked}");
    }
    let missing = server.get(&format!("/v2/team/app/blobs/{UNKNOWN}"));
    let words = format!("blob {UNKNOWN} is not in the repository");
    assert_eq!((missing.status, missing.text()), error(404, "BLOB_UNKNOWN", &words));
    let delete = |digest: &str| server.send(&format!("DELETE /v2/team/app/blobs/{digest}"), &[], b"").status;
    assert_eq!((delete(&name), delete(&name), server.get(&path).status), (202, 404, 404));
    // Nothing at all is a blob too.
    let nothing = server.blob("team/app", b"");
    let whole = server.get(&format!("/v2/team/app/blobs/{nothing}"));
    assert_eq!((whole.status, whole.header("content-length")), (200, Some("0")));
}

#[test]
fn a_blob_is_uploaded_in_chunks() {
    let mut machine = Machine::new();
    let server = open(&mut machine, &[]);
    let begin = || {
        let begun = server.send("POST /v2/team/app/blobs/uploads/", &[], b"");
        assert_eq!((begun.status, begun.header("range")), (202, Some("0-0")));
        begun.header("location").unwrap().to_owned()
    };
    let place = begin();
    let patch = |range: &str, body: &[u8]| {
        server.send(&format!("PATCH {place}"), &[&format!("Content-Range: {range}")], body)
    };
    let first = patch("0-2", b"abc");
    assert_eq!(
        (first.status, first.header("range"), first.header("location")),
        (202, Some("0-2"), Some(place.as_str()))
    );
    let words = "First byte of the layer part is 5 instead of 3";
    let refused = patch("5-6", b"fg");
    assert_eq!((refused.status, refused.text()), error(416, "BLOB_UPLOAD_INVALID", words));
    assert_eq!((refused.header("range"), refused.header("location")), (Some("0-2"), Some(place.as_str())));
    for (range, body) in [("3-9", b"de"), ("x", b"de"), ("4-3", b"de")] {
        assert_eq!(patch(range, body).status, 400, "{range}");
    }
    let status = server.get(&place);
    assert_eq!(
        (status.status, status.header("range"), status.header("location")),
        (204, Some("0-2"), Some(place.as_str()))
    );
    // The same without telling the range or the length.
    let streamed = server.send(
        &format!("PATCH {place}"),
        &["Transfer-Encoding: chunked"],
        b"2\r\nde\r\n1\r\nf\r\n0\r\n\r\n",
    );
    assert_eq!((streamed.status, streamed.header("range")), (202, Some("0-5")));
    let wrong = server.send(&format!("PUT {place}?digest={UNKNOWN}"), &[], b"");
    let words = "None of the provided layer digests match the calculated layer digest";
    assert_eq!((wrong.status, wrong.text()), error(400, "DIGEST_INVALID", words));
    let name = digest(b"abcdefgh");
    let put = server.send(&format!("PUT {place}?digest={name}"), &["Content-Range: 6-7"], b"gh");
    assert_eq!(
        put.whole(),
        format!(
            "201\ncontent-length: 0\ndocker-content-digest: {name}\ndocker-distribution-api-version: registry/2.0\n\
             location: /v2/team/app/blobs/{name}\n\n"
        )
    );
    assert_eq!(server.get(&format!("/v2/team/app/blobs/{name}")).text(), "abcdefgh");
    assert_eq!(server.get(&place).status, 404);
    let cancelled = begin();
    let cancel = || server.send(&format!("DELETE {cancelled}"), &[], b"").status;
    assert_eq!((cancel(), cancel()), (204, 404));
    for wrong in ["sha256:baddigest", "md5:00", "..%2f..%2fecr.db", ""] {
        let place = begin();
        assert_eq!(server.send(&format!("PUT {place}?digest={wrong}"), &[], b"x").status, 400, "{wrong}");
    }
    assert_eq!(server.send(&format!("PUT {}", begin()), &[], b"x").status, 400);
}

#[test]
fn a_body_that_breaks_off_can_be_continued() {
    let mut machine = Machine::new();
    let server = open(&mut machine, &[]);
    let begun = server.send("POST /v2/team/app/blobs/uploads/", &[], b"");
    let place = begun.header("location").unwrap();
    {
        use std::io::Write as _;
        let mut stream = std::net::TcpStream::connect(&server.address).unwrap();
        write!(stream, "PATCH {place} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc").unwrap();
    }
    let arrived = (0..10_000).any(|_| server.get(place).header("range") == Some("0-2"));
    assert!(arrived, "what came before the connection broke is lost");
    let rest = server.send(&format!("PATCH {place}"), &["Content-Range: 3-5"], b"def");
    assert_eq!((rest.status, rest.header("range")), (202, Some("0-5")), "{}", rest.text());
    let put = server.send(&format!("PUT {place}?digest={}", digest(b"abcdef")), &[], b"");
    assert_eq!(put.status, 201, "{}", put.text());
}

#[test]
fn a_blob_is_mounted_from_another_repository() {
    let mut machine = Machine::new();
    let server = open(&mut machine, &[]);
    machine.ok("create-repository --repository-name team/other");
    let name = server.blob("team/app", b"abc");
    let mount = |query: &str| server.send(&format!("POST /v2/team/other/blobs/uploads/?{query}"), &[], b"");
    for query in [format!("mount={UNKNOWN}&from=team/app"), format!("mount={name}&from=no/where")] {
        let begun = mount(&query);
        assert_eq!(begun.status, 202, "{query}");
        assert!(begun.header("location").unwrap().starts_with("/v2/team/other/blobs/uploads/"));
    }
    assert_eq!(mount(&format!("mount={name}&from=a")).status, 202);
    let mounted = mount(&format!("mount={name}&from=team/app"));
    let location = format!("/v2/team/other/blobs/{name}");
    assert_eq!((mounted.status, mounted.header("location")), (201, Some(location.as_str())));
    assert_eq!(server.get(&location).text(), "abc");
    machine.ok("create-repository --repository-name team/third");
    let anywhere = server.send(&format!("POST /v2/team/third/blobs/uploads/?mount={name}"), &[], b"");
    assert_eq!(anywhere.status, 201);
}

#[test]
fn manifests_are_checked() {
    let mut machine = Machine::new();
    let server = open(&mut machine, &[]);
    let config = server.blob("team/app", b"{}");
    let put = |reference: &str, content: &str| {
        let answer = server.manifest("team/app", reference, IMAGE, content);
        (answer.status, answer.text())
    };
    let place = "required for pushing image into repository with name 'team/app' in the registry with id '123456789012'";
    let words = format!("Layers with digests '[{UNKNOWN}]' {place} do not exist");
    assert_eq!(put("1", &image(&config, &[UNKNOWN], "")), error(400, "MANIFEST_BLOB_UNKNOWN", &words));
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{{"mediaType":"{IMAGE}","digest":"{UNKNOWN}","size":1}}]}}"#
    );
    let answer = server.manifest("team/app", "1", INDEX, &index);
    let words = format!("Images with digests '[{UNKNOWN}]' {place} do not exist");
    assert_eq!((answer.status, answer.text()), error(400, "MANIFEST_BLOB_UNKNOWN", &words));
    let words = "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'";
    assert_eq!(put("1", "{"), error(400, "MANIFEST_INVALID", words));
    assert_eq!(put("1", &"[".repeat(100_000)), error(400, "MANIFEST_INVALID", words));
    let whole = image(&config, &[], "");
    assert_eq!(
        put("sha256:baddigeststring", &whole),
        error(400, "DIGEST_INVALID", "sha256:baddigeststring is not a digest")
    );
    let words = format!("the manifest's digest is {}, not {UNKNOWN}", digest(whole.as_bytes()));
    assert_eq!(put(UNKNOWN, &whole), error(400, "DIGEST_INVALID", &words));
    assert_eq!(put("-x", &whole), error(400, "TAG_INVALID", "-x is not a tag"));
    assert_eq!(put("1", &" ".repeat(4 * 1024 * 1024 + 1)).0, 413);
    // Layers that may not be distributed need not be there; a large manifest is one all the same.
    let foreign = image(&config, &[UNKNOWN], "").replace("a/layer", "a/nondistributable.layer");
    assert_eq!(put("foreign", &foreign).0, 201);
    let large = image(&config, &[], &format!(r#","annotations":{{"a":"{}"}}"#, "x".repeat(3_900_000)));
    assert_eq!(put("large", &large).0, 201);
    assert!(server.get("/v2/team/app/manifests/large").body == large.as_bytes());
    machine.ok("put-image-tag-mutability --repository-name team/app --image-tag-mutability IMMUTABLE --query registryId");
    let words = "The image tag 'large' already exists in the 'team/app' repository and cannot be overwritten because the \
                 tag is immutable.";
    assert_eq!(put("large", &whole), error(400, "TAG_INVALID", words));
}

#[test]
fn digests_may_be_sha_512() {
    let mut machine = Machine::new();
    let server = open(&mut machine, &[]);
    let sha_512 = |content: &[u8]| {
        use sha2::{Digest as _, Sha512};
        format!("sha512:{}", hex(&Sha512::digest(content)))
    };
    let config = sha_512(b"{}");
    let answer = server.send(&format!("POST /v2/team/app/blobs/uploads/?digest={config}"), &[], b"{}");
    assert_eq!((answer.status, answer.header("docker-content-digest")), (201, Some(config.as_str())));
    assert_eq!(server.get(&format!("/v2/team/app/blobs/{config}")).text(), "{}");
    let manifest = image(&config, &[], "");
    let name = sha_512(manifest.as_bytes());
    let put = server.send(
        &format!("PUT /v2/team/app/manifests/{name}?tag=a&tag=b"),
        &[&format!("Content-Type: {IMAGE}")],
        manifest.as_bytes(),
    );
    assert_eq!(
        (put.status, put.header("docker-content-digest"), put.header("oci-tag")),
        (201, Some(name.as_str()), Some("a, b"))
    );
    for reference in [&name, "a", "b"] {
        assert_eq!(server.get(&format!("/v2/team/app/manifests/{reference}")).text(), manifest);
    }
}

#[test]
fn tags_are_listed_in_pages_and_deleted() {
    let mut machine = Machine::new();
    let server = open(&mut machine, &[]);
    let manifest = image(&server.blob("team/app", b"{}"), &[], "");
    for tag in ["b", "a", "c", "B"] {
        assert_eq!(server.manifest("team/app", tag, IMAGE, &manifest).status, 201);
    }
    let list = |query: &str| {
        let answer = server.get(&format!("/v2/team/app/tags/list{query}"));
        (answer.text(), answer.header("link").map(str::to_owned))
    };
    let tags = |tags: &str| format!(r#"{{"name":"team/app","tags":[{tags}]}}"#);
    assert_eq!(list(""), (tags(r#""B","a","b","c""#), None));
    let next = "</v2/team/app/tags/list?n=2&last=a>; rel=\"next\"".to_owned();
    assert_eq!(list("?n=2"), (tags(r#""B","a""#), Some(next)));
    assert_eq!(list("?n=2&last=a"), (tags(r#""b","c""#), None));
    assert_eq!(list("?n=0"), (tags(""), None));
    assert_eq!(server.get("/v2/team/app/tags/list?n=x").status, 400);
    let delete =
        |reference: &str| server.send(&format!("DELETE /v2/team/app/manifests/{reference}"), &[], b"").status;
    let name = digest(manifest.as_bytes());
    // A tag goes alone, also the last one; a digest takes everything.
    assert_eq!(["a", "b", "B", "a"].map(delete), [202, 202, 202, 404]);
    assert_eq!(list(""), (tags(r#""c""#), None));
    assert_eq!((delete("c"), server.get(&format!("/v2/team/app/manifests/{name}")).status), (202, 200));
    assert_eq!((delete(&name), delete(&name)), (202, 404));
    assert_eq!(list(""), (tags(""), None));
    let unknown = server.get("/v2/no/where/tags/list");
    let words = "The repository with name 'no/where' does not exist in the registry with id '000000000000'";
    assert_eq!((unknown.status, unknown.text()), error(404, "NAME_UNKNOWN", words));
}

#[test]
fn referrers_are_listed() {
    let mut machine = Machine::new();
    let server = open(&mut machine, &[]);
    let config = server.blob("team/app", b"{}");
    let none = server.get(&format!("/v2/team/app/referrers/{UNKNOWN}"));
    let index =
        |manifests: &str| format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{manifests}]}}"#);
    assert_eq!((none.status, none.header("content-type"), none.text()), (200, Some(INDEX), index("")));
    // The subject need not be there.
    let subject = format!(r#","subject":{{"mediaType":"{IMAGE}","digest":"{UNKNOWN}","size":1}}"#);
    let one = image(&config, &[], &format!(r#"{subject},"artifactType":"a/sbom","annotations":{{"k":"v"}}"#));
    let two = image(&config, &[], &subject);
    for (tag, manifest) in [("one", &one), ("two", &two)] {
        let put = server.manifest("team/app", tag, IMAGE, manifest);
        assert_eq!((put.status, put.header("oci-subject")), (201, Some(UNKNOWN)));
    }
    let described = |manifest: &str, artifact_type: &str, more: &str| {
        let (name, size) = (digest(manifest.as_bytes()), manifest.len());
        format!(
            r#"{{"mediaType":"{IMAGE}","digest":"{name}","size":{size},"artifactType":"{artifact_type}"{more}}}"#
        )
    };
    let one = described(&one, "a/sbom", r#","annotations":{"k":"v"}"#);
    let two = described(&two, "a/config", "");
    assert_eq!(
        server.get(&format!("/v2/team/app/referrers/{UNKNOWN}")).text(),
        index(&format!("{one},{two}"))
    );
    let filtered = server.get(&format!("/v2/team/app/referrers/{UNKNOWN}?artifactType=a%2Fsbom"));
    assert_eq!(
        (filtered.header("oci-filters-applied"), filtered.text()),
        (Some("artifactType"), index(&one))
    );
    assert_eq!(server.get("/v2/team/app/referrers/x").status, 400);
    // Nor is what may yet be pushed.
    let nowhere = server.get(&format!("/v2/team/none/referrers/{UNKNOWN}"));
    assert_eq!((nowhere.status, nowhere.text()), (200, index("")));
}

#[test]
fn a_template_says_whose_repository_comes_to_be() {
    let mut machine = Machine::new();
    let server = open(&mut machine, &[]);
    machine.set("AWS_ACCESS_KEY_ID", "222233334444");
    machine.ok("create-repository-creation-template --prefix made --applied-for CREATE_ON_PUSH");
    let begun = server.send("POST /v2/made/app/blobs/uploads/", &[], b"");
    assert_eq!(begun.status, 202, "{}", begun.text());
    let made = machine.ok("describe-repositories --query repositories[].repositoryName --output text");
    assert_eq!(made, "made/app\n");
    // If two would create it, the client has to say which one it means.
    machine.set("AWS_ACCESS_KEY_ID", "333344445555");
    machine.ok("create-repository-creation-template --prefix made --applied-for CREATE_ON_PUSH");
    assert_eq!(server.send("POST /v2/made/other/blobs/uploads/", &[], b"").status, 404);
}

#[test]
fn names_of_repositories_have_the_length_of_amazon_ecr() {
    let mut machine = Machine::new();
    let server = open(&mut machine, &[]);
    machine.ok("create-repository-creation-template --prefix ROOT --applied-for CREATE_ON_PUSH");
    let text = |name: &str, longest: usize| {
        let length = name.len();
        format!("the name of a repository has 2 to {longest} characters; {name} has {length}")
    };
    for name in ["a".to_owned(), "a".repeat(257), "a".repeat(512)] {
        let refused = error(400, "NAME_INVALID", &text(&name, 256));
        for request in [
            format!("POST /v2/{name}/blobs/uploads/"),
            format!("PUT /v2/{name}/manifests/1"),
            format!("GET /v2/{name}/manifests/1"),
            format!("GET /v2/{name}/blobs/{UNKNOWN}"),
            format!("GET /v2/{name}/tags/list"),
            format!("GET /v2/{name}/referrers/{UNKNOWN}"),
        ] {
            let answer = server.send(&request, &[], b"{}");
            assert_eq!((answer.status, answer.text()), refused, "{request}");
        }
    }
    let public = "a".repeat(206);
    let answer = server.send(&format!("POST /v2/public.ecr.aws/alias/{public}/blobs/uploads/"), &[], b"");
    assert_eq!((answer.status, answer.text()), error(400, "NAME_INVALID", &text(&public, 205)));
    let names = "describe-repositories --query repositories[].repositoryName --output text";
    assert_eq!(machine.ok(names), "team/app\n");
    for name in ["ab".to_owned(), "a".repeat(256)] {
        assert_eq!(server.send(&format!("POST /v2/{name}/blobs/uploads/"), &[], b"").status, 202, "{name}");
    }
}

#[test]
fn a_template_does_not_lock_out_who_pushes() {
    let mut machine = Machine::new();
    let server = open(&mut machine, &[]);
    let policy = |action: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Deny","Principal":"*","Action":"ecr:{action}"}}}}"#
        )
    };
    machine.write("policy.json", policy("SetRepositoryPolicy"));
    machine.ok("create-repository-creation-template --prefix made --applied-for CREATE_ON_PUSH \
                --repository-policy file://policy.json");
    let begin = || server.send("POST /v2/made/app/blobs/uploads/", &[], b"");
    let refused = begin();
    let text = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided': \
                it comes from a repository creation template and would keep you from setting another one; change the \
                template, or create the repository yourself";
    assert_eq!((refused.status, refused.text()), error(400, "MANIFEST_INVALID", text));
    let names = "describe-repositories --query repositories[].repositoryName --output text";
    assert_eq!(machine.ok(names), "team/app\n");
    machine.write("policy.json", policy("DeleteRepository"));
    machine.ok("update-repository-creation-template --prefix made --repository-policy file://policy.json");
    assert_eq!(begin().status, 202);
}

#[test]
fn a_client_is_who_its_token_says() {
    let mut machine = Machine::new();
    let server = Serve::start(&machine, &[]);
    client(&mut machine, &server);
    machine.ok("create-repository --repository-name team/app");
    let challenge = format!("Basic realm=\"http://{}/\",service=\"ecr.amazonaws.com\"", server.address);
    let refused = server.get("/v2/");
    assert_eq!((refused.status, refused.text()), error(401, "UNAUTHORIZED", "Not Authorized"));
    assert_eq!(refused.header("www-authenticate"), Some(challenge.as_str()));
    let query = "get-authorization-token --query authorizationData[0].authorizationToken --output text";
    let token = machine.ok(query).trim().to_owned();
    let tags = |header: &str| {
        let answer = server.send("GET /v2/team/app/tags/list", &[&format!("Authorization: {header}")], b"");
        (answer.status, answer.text())
    };
    let empty = (200, r#"{"name":"team/app","tags":[]}"#.to_owned());
    assert_eq!(tags(&format!("Basic {token}")), empty);
    assert_eq!(tags(&format!("Bearer {token}")), empty);
    for wrong in ["Basic QVdTOng=", "Basic x", "Bearer x", "Bearer anonymous", "Digest x", ""] {
        assert_eq!(tags(wrong).0, 401, "{wrong}");
    }
    let handed =
        server.send("GET /token?service=a&scope=b", &[&format!("Authorization: Basic {token}")], b"");
    let handed: serde_json::Value = serde_json::from_slice(&handed.body).unwrap();
    assert_eq!(tags(&format!("Bearer {}", handed["token"].as_str().unwrap())), empty);
    // Another account has a registry of its own.
    machine.set("AWS_ACCESS_KEY_ID", "999999999999");
    let other = machine.ok(query).trim().to_owned();
    let words = "The repository with name 'team/app' does not exist in the registry with id '999999999999'";
    assert_eq!(tags(&format!("Basic {other}")), error(404, "NAME_UNKNOWN", words));
}

#[test]
fn paths_beside_the_api_are_refused() {
    let mut machine = Machine::new();
    let server = open(&mut machine, &[]);
    let status = |request: &str| server.send(request, &[], b"").status;
    assert_eq!(status("GET /v2/team/app"), 404);
    assert_eq!(status("GET /v2/Team/manifests/1"), 400);
    assert_eq!(status("GET /v2/a/../../etc/manifests/1"), 400);
    assert_eq!(status("GET /v2/team/app/blobs/..%2f..%2fecr.db"), 400);
    let refused = server.send("PUT /v2/team/app/tags/list", &[], b"");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(status("POST /v2/no/where/blobs/uploads/"), 404);
    assert_eq!(status("GET /v2/team/app/blobs/uploads/7"), 404);
    assert_eq!(server.get("/v2/").status, 200);
}

#[test]
fn quirks_are_those_of_amazon_ecr() {
    let mut machine = Machine::new();
    let server = open(&mut machine, &["--quirks", "ecr"]);
    let begin =
        || server.send("POST /v2/team/app/blobs/uploads/", &[], b"").header("location").unwrap().to_owned();
    let mut place = begin();
    for (range, body) in [("0-2", b"abc"), ("3-5", b"def")] {
        let patch = server.send(&format!("PATCH {place}"), &[&format!("Content-Range: {range}")], body);
        assert_eq!((patch.status, patch.header("range")), (201, Some("0-2")));
        place = patch.header("location").unwrap().to_owned();
    }
    let put = server.send(&format!("PUT {place}&digest={}", digest(b"abcdef")), &[], b"");
    let words = "All layer parts except the last part should be at least 5MB";
    assert_eq!((put.status, put.text()), error(400, "BLOB_UPLOAD_INVALID", words));
    let empty = server.send(&format!("PUT {}?digest={}", begin(), digest(b"")), &[], b"");
    assert_eq!(empty.status, 400);
    assert!(
        empty.text().contains("cannot be completed because it does not have any parts"),
        "{}",
        empty.text()
    );
    let config = server.blob("team/app", b"{}");
    let words = "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'";
    let bad = server.manifest("team/app", "1", IMAGE, "{");
    assert_eq!((bad.status, bad.text()), error(405, "UNSUPPORTED", words));
    let missing = server.manifest("team/app", "1", IMAGE, &image(&config, &[UNKNOWN], "")).text();
    assert!(missing.contains("BLOB_UPLOAD_UNKNOWN"), "{missing}");
    let manifest = image(&config, &[], "");
    assert_eq!(server.manifest("team/app", "1", IMAGE, &manifest).status, 201);
    // The image goes with its last tag.
    assert_eq!(server.send("DELETE /v2/team/app/manifests/1", &[], b"").status, 202);
    assert_eq!(server.get(&format!("/v2/team/app/manifests/{}", digest(manifest.as_bytes()))).status, 404);
    assert_eq!(server.send(&format!("DELETE /v2/team/app/blobs/{config}"), &[], b"").status, 405);
}

/// Amazon ECR Public has no BatchGetImage, which is how the private API reads an image.
#[test]
fn a_public_repository_is_pushed_to_and_pulled_from() {
    let mut machine = Machine::new();
    let server = open(&mut machine, &[]);
    let uri = machine.ok(
        "public create-repository --repository-name tools --region us-east-1 --query repository.repositoryUri \
         --output text",
    );
    let name = uri.trim().split_once('/').unwrap().1;
    assert!(name.starts_with("public.ecr.aws/"), "{name}");
    let (config, layer) = (server.blob(name, b"{}"), server.blob(name, b"abc"));
    let manifest = image(&config, &[&layer], "");
    let digest = digest(manifest.as_bytes());
    assert_eq!(server.manifest(name, "1.0", IMAGE, &manifest).status, 201);
    for reference in ["1.0", &digest] {
        let path = format!("/v2/{name}/manifests/{reference}");
        let found = server.get(&path);
        assert_eq!((found.status, found.text()), (200, manifest.clone()));
        assert_eq!(found.header("docker-content-digest"), Some(digest.as_str()));
        assert_eq!(found.header("content-type"), Some(IMAGE));
        let head = server.send(&format!("HEAD {path}"), &[], b"");
        assert_eq!((head.status, head.header("docker-content-digest")), (200, Some(digest.as_str())));
    }
    assert_eq!(server.get(&format!("/v2/{name}/blobs/{layer}")).text(), "abc");
    assert_eq!(server.get(&format!("/v2/{name}/tags/list")).status, 200);
    for reference in ["2.0", UNKNOWN] {
        let missing = server.get(&format!("/v2/{name}/manifests/{reference}"));
        let words = "Requested image not found";
        assert_eq!((missing.status, missing.text()), error(404, "MANIFEST_UNKNOWN", words));
    }
    let nowhere = server.get(&format!("/v2/{name}-2/manifests/1.0"));
    assert_eq!(nowhere.status, 404);
    assert!(nowhere.text().contains("NAME_UNKNOWN"), "{}", nowhere.text());
    // And so does the program itself, both ways.
    let place = format!("docker://{}", uri.trim());
    let copied = machine.ok(&format!("copy {place}:1.0 ./there --quiet"));
    assert_eq!(copied.trim(), digest);
    assert_eq!(machine.ok(&format!("copy ./there {place}:2.0 --quiet")).trim(), digest);
    assert_eq!(server.get(&format!("/v2/{name}/manifests/2.0")).text(), manifest);
}
