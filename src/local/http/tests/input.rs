//! Malformed requests: each is answered as documented, and the next one works.

use std::time::Duration;

use super::*;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CALL: &str = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Amz-Target: \
                    AmazonEC2ContainerRegistry_V20150921.";

/// A server that asks for no credentials and has little timeouts, with the repository `team/app`.
fn server() -> RunningServer {
    let timeouts = Timeouts { head: Duration::from_millis(200), body: Duration::from_millis(200) };
    let options = Options { anonymous: true, timeouts, connections: 4, ..RunningServer::options() };
    let server = RunningServer::with(options);
    let head = "POST / HTTP/1.1\r\nX-Amz-Target: AmazonEC2ContainerRegistry_V20150921.CreateRepository";
    assert_eq!(server.request(head, br#"{"repositoryName":"team/app"}"#).status, 200);
    server
}

/// The next request works.
fn works(server: &RunningServer) {
    let answer = server.get("/v2/team/app/tags/list", "");
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"name":"team/app","tags":[]}"#));
}

fn code(answer: &Answer) -> (u16, String) {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = body["errors"][0]["code"].as_str().or(body["__type"].as_str());
    (answer.status, code.unwrap_or_default().to_owned())
}

fn told(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn bodies_that_are_no_input_are_refused() {
    let server = server();
    let many = format!(r#"{{"repositoryName":"ab","imageIds":[{}{{}}]}}"#, "{},".repeat(200_000));
    for body in [
        b"{\"repositoryName\":\"\xff\"}".as_slice(),
        br#"{"repositoryName":"ab"} x"#,
        br#"{"repositoryName":1e}"#,
        br#"{"repositoryName":"\ud800"}"#,
        format!(r#"{{"imageIds":{}"#, "[".repeat(500_000)).as_bytes(),
        many.as_bytes(),
        b"\0",
    ] {
        assert_eq!(code(&server.post("ListImages", body)), told(400, "SerializationException"));
    }
    let answer = server.post("ListImages", many.as_bytes());
    assert!(answer.text().contains("it has more than 100000 values"), "{}", answer.text());
    for (body, expected) in [
        (r#"{"repositoryName":{"a":1}}"#, "SerializationException"),
        (r#"{"repositoryName":"../../etc"}"#, "InvalidParameterException"),
        (r#"{"repositoryName":"a/../b"}"#, "InvalidParameterException"),
        (r#"{"repositoryName":"team/app","nextToken":"x"}"#, "InvalidParameterException"),
    ] {
        assert_eq!(code(&server.post("ListImages", body.as_bytes())), told(400, expected), "{body}");
    }
    let token = json!({ "repositoryName": "team/app", "nextToken": "W1td".repeat(3_000_000) }).to_string();
    assert_eq!(code(&server.post("ListImages", token.as_bytes())), told(400, "InvalidParameterException"));
    for target in [
        "Ecr.ListImages",
        "AmazonEC2ContainerRegistry_V20150921.",
        "AmazonEC2ContainerRegistry_V20150921.\u{e9}",
    ] {
        let head = format!("POST / HTTP/1.1\r\nX-Amz-Target: {target}");
        assert_eq!(code(&server.request(&head, b"{}")), told(400, "UnknownOperationException"), "{target}");
    }
    works(&server);
}

#[test]
fn malicious_names_and_digests_are_refused() {
    let server = server();
    let hex = "a".repeat(64);
    let long = "a".repeat(600);
    for (path, status) in [
        ("/v2/../../etc/passwd/tags/list".to_owned(), 400),
        ("/v2/team/../app/tags/list".to_owned(), 400),
        ("/v2/team/%2e%2e/app/tags/list".to_owned(), 400),
        ("/v2/team%2Fapp/tags/list".to_owned(), 400),
        ("/v2/team/app%00/tags/list".to_owned(), 400),
        ("/v2//team/app/tags/list".to_owned(), 400),
        ("/v2/Team/app/tags/list".to_owned(), 400),
        (format!("/v2/{long}/tags/list"), 400),
        ("/v2/team/app/blobs/sha256:../../../../ecr.db".to_owned(), 404),
        ("/v2/team/app/blobs/sha256:..%2f..%2fecr.db".to_owned(), 400),
        ("/v2/team/app/blobs/sha256:".to_owned(), 400),
        (format!("/v2/team/app/blobs/sha256:{}", hex.to_uppercase()), 400),
        (format!("/v2/team/app/blobs/sha256:{hex}a"), 400),
        (format!("/v2/team/app/blobs/md5:{hex}"), 400),
        (format!("/v2/team/app/blobs/sha512:{hex}"), 400),
        (format!("/v2/team/app/blobs/sha256:{hex}"), 404),
        (format!("/v2/team/app/manifests/md5:{hex}"), 400),
        ("/v2/team/app/manifests/..".to_owned(), 400),
        (format!("/v2/team/app/manifests/{}", "a".repeat(129)), 400),
        ("/v2/team/app/blobs/uploads/../../ecr.db".to_owned(), 404),
        ("/v2/team/app/blobs/uploads/..%2f..%2fecr.db".to_owned(), 404),
        ("/_blob/..%2f..%2fecr.db?expires=99999999999&signature=0".to_owned(), 403),
    ] {
        let answer = server.get(&path, "");
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    is_unharmed(&server);
}

#[test]
fn malicious_digests_and_mounts_are_refused() {
    let server = server();
    let hex = "a".repeat(64);
    for digest in ["md5:00", "sha256:..", "", "sha256"] {
        let begun =
            server.request(&format!("POST /v2/team/app/blobs/uploads/?digest={digest} HTTP/1.1"), b"x");
        assert_eq!(code(&begun), told(400, "DIGEST_INVALID"), "{digest}");
        let mount = format!("POST /v2/team/app/blobs/uploads/?mount={digest}&from=team/app HTTP/1.1");
        assert_eq!(code(&server.request(&mount, b"")), told(400, "DIGEST_INVALID"), "{digest}");
    }
    let mount = format!("POST /v2/team/app/blobs/uploads/?mount=sha256:{hex}&from=../other HTTP/1.1");
    assert_eq!(code(&server.request(&mount, b"")), told(400, "NAME_INVALID"));
    is_unharmed(&server);
}

/// No database was made beside the folder, and the server still works.
fn is_unharmed(server: &RunningServer) {
    let above = server.folder.path().parent().unwrap();
    assert!(std::fs::read_dir(above).unwrap().all(|entry| entry.unwrap().file_name() != "ecr.db"));
    works(server);
}

#[test]
fn manifests_out_of_all_proportion_are_refused() {
    let server = server();
    let put = |media_type: &str, text: &str| {
        let head = format!("PUT /v2/team/app/manifests/1 HTTP/1.1\r\nContent-Type: {media_type}");
        server.request(&head, text.as_bytes())
    };
    let deep = |depth: usize| format!(r#"{{"config":{{"a":{}1{}}}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(code(&put(IMAGE, &deep(100_000))), told(400, "MANIFEST_INVALID"));
    let entries: Vec<String> = (0..150_000).map(|number| format!(r#"{{"digest":"{number}"}}"#)).collect();
    let index = format!(r#"{{"manifests":[{}]}}"#, entries.join(","));
    let refused = put(INDEX, &index);
    assert_eq!(code(&refused), told(400, "MANIFEST_BLOB_UNKNOWN"));
    assert!(refused.body.len() < 64 * 1024 && refused.text().contains(", …]"), "{}", refused.body.len());
    let entry = r#"{"digest":"sha256:1"},"#.repeat(150_000);
    let layers = format!(r#"{{"config":{{"digest":"a"}},"layers":[{entry}{{"digest":""}}]}}"#);
    assert_eq!(code(&put(IMAGE, &layers)), told(400, "MANIFEST_INVALID"));
    let empty =
        format!(r#"{{"config":{{"digest":"a"}},"layers":[],"annotations":[{}[]]}}"#, "[],".repeat(1_000_000));
    assert_eq!(code(&put(IMAGE, &empty)), told(400, "MANIFEST_BLOB_UNKNOWN"));
    assert_eq!(code(&put(IMAGE, &" ".repeat(4 * 1024 * 1024 + 1))), told(413, "MANIFEST_INVALID"));
    for text in ["", "\0", "null", "[]", "\"x\"", "{"] {
        assert_eq!(code(&put(IMAGE, text)), told(400, "MANIFEST_INVALID"), "{text}");
    }
    works(&server);
}

#[test]
fn ranges_that_do_not_fit_are_refused() {
    let server = server();
    let begin = || {
        let begun = server.request("POST /v2/team/app/blobs/uploads/ HTTP/1.1", b"");
        begun.header("location").unwrap().to_owned()
    };
    let upload = begin();
    for (range, status) in [
        ("x", 400),
        ("-", 400),
        ("5", 400),
        ("-1-2", 400),
        ("2-1", 400),
        ("0-5", 400),
        ("0-9223372036854775807", 400),
        ("0-99999999999999999999", 400),
        ("1-3", 416),
        ("9223372036854775807-9223372036854775807", 416),
        ("0-2", 202),
        ("0-2", 416),
    ] {
        let head = format!("PATCH {upload} HTTP/1.1\r\nContent-Range: {range}");
        let answer = server.request(&head, b"abc");
        assert_eq!(answer.status, status, "{range}: {}", answer.text());
    }
    let digest = digest(b"abc");
    assert_eq!(server.request(&format!("PUT {upload}?digest={digest} HTTP/1.1"), b"").status, 201);
    works(&server);
}

#[test]
fn slow_senders_are_cut_off() {
    let server = server();
    let upload = server.request("POST /v2/team/app/blobs/uploads/ HTTP/1.1", b"");
    let upload = upload.header("location").unwrap().to_owned();
    let manifest = "PUT /v2/team/app/manifests/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{";
    let chunk = format!("PATCH {upload} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc");
    let form = "POST /token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 100\r\n\r\npassword=";
    let call = format!("{CALL}ListImages\r\nContent-Length: 100\r\n\r\n{{");
    let large = format!("{CALL}ListImages\r\nContent-Length: 99999999\r\n\r\n{{");
    for (sent, status) in
        [(call.as_str(), 408), (large.as_str(), 413), (manifest, 408), (chunk.as_str(), 408), (form, 200)]
    {
        let answer = server.send(&[sent.as_bytes()]).unwrap();
        assert_eq!(answer.status, status, "{sent}: {}", answer.text());
    }
    // What an upload received before counts.
    let known = server.get(&upload, "");
    assert_eq!((known.status, known.header("range")), (204, Some("0-2")));
    // The head of a request, and a connection on which none comes.
    for sent in ["", "GET /v2/", "GET /v2/ HTTP/1.1\r\nHost: localhost\r\nX: "] {
        assert!(server.send(&[sent.as_bytes()]).is_none_or(|answer| answer.status == 408), "{sent}");
    }
    works(&server);
}

#[test]
fn endless_and_malformed_heads_are_refused() {
    let server = server();
    let long = format!("GET /v2/ HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(2_000_000));
    let many = format!("GET /v2/ HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(1_000));
    for sent in [long.as_str(), &many, "GET\r\n\r\n", "\0\0\0\0\r\n\r\n", "GET /v2/ HTTP/9.9\r\n\r\n"] {
        let answer = server.send(&[sent.as_bytes()]);
        let status = answer.map_or(0, |answer| answer.status);
        assert!([0, 400, 431].contains(&status), "{status} {}", &sent[..20.min(sent.len())]);
    }
    let both = "PUT /v2/team/app/manifests/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\n\
                Transfer-Encoding: chunked\r\n\r\nzz\r\n";
    let answer = server.send(&[both.as_bytes()]);
    assert!(answer.is_none_or(|answer| answer.status == 400));
    works(&server);
}

#[test]
fn more_connections_than_there_may_be_wait() {
    let server = server();
    let idle: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    // Silent connections are closed, and waiting ones are answered.
    works(&server);
    drop(idle);
}

#[test]
fn a_client_that_reads_nothing_of_an_answer_is_disconnected() {
    let timeouts = Timeouts { head: Duration::from_mins(1), body: Duration::from_millis(200) };
    let server = RunningServer::with(Options {
        anonymous: true,
        timeouts,
        connections: 4,
        ..RunningServer::options()
    });
    let content = vec![7; 16_000_000];
    let request = format!("GET {} HTTP/1.1\r\nHost: registry.test:9\r\n\r\n", server.push(&content));
    let silent: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            // More than the system keeps for a connection.
            stream.write_all(request.repeat(10).as_bytes()).unwrap();
            stream
        })
        .collect();
    // They have all the places there are, until others have them.
    let others: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            let mut status = [0; 12];
            stream.read_exact(&mut status).unwrap();
            assert_eq!(&status, b"HTTP/1.1 200");
            stream
        })
        .collect();
    for mut stream in silent {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        assert!(bytes.starts_with(b"HTTP/1.1 200 ") && bytes.len() < 10 * content.len());
    }
    drop(others);
}
