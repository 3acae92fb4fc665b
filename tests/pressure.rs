//! The server under clients that want its memory, its connections and its patience for themselves.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::Machine;
use crate::harness::registry::Serve;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The most memory that the server may ever have had, in KiB.
const MOST: u64 = 150_000;
/// Long enough for a busy machine; a client that is served does not wait for it.
const PATIENCE: Duration = Duration::from_secs(50);

fn connect(server: &Serve) -> TcpStream {
    let stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A server with the repository `team/app` in it.
fn served(machine: &mut Machine, options: &[&str]) -> Serve {
    let server = Serve::start(machine, options);
    machine.set("AWS_ENDPOINT_URL", format!("http://{}", server.address));
    machine.set("AWS_ACCESS_KEY_ID", "000000000000").set("AWS_SECRET_ACCESS_KEY", "secret");
    machine.set("AWS_REGION", "us-east-1");
    machine.ok("create-repository --repository-name team/app");
    server
}

/// A manifest of nearly four megabytes.
fn large_manifest(server: &Serve) -> String {
    let config = server.blob("team/app", b"{}");
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"a/b","digest":"{config}","size":2}},"layers":[],"annotations":{{"a":"{}"}}}}"#,
        "x".repeat(4_000_000)
    )
}

#[test]
fn silent_clients_do_not_prevent_pushes() {
    let mut machine = Machine::new();
    let server = served(&mut machine, &["--anonymous"]);
    let target = "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.UploadLayerPart";
    let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\n{target}\r\nContent-Length: 28000000\r\n\r\n");
    // Some send nothing, some stop in the middle, with all of the budget in their hands.
    let begin = br#"{"repositoryName":"team/app","layerPartBlob":""#;
    let piece = vec![b'A'; 64 * 1024];
    let _silent: Vec<TcpStream> = (0..12)
        .map(|number| {
            let mut stream = connect(&server);
            stream.write_all(head.as_bytes()).unwrap();
            if number % 2 == 0 {
                stream.write_all(begin).unwrap();
                // As much as the server takes at once.
                stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
                for _ in 0..200 {
                    if stream.write_all(&piece).is_err() {
                        break;
                    }
                }
            }
            stream
        })
        .collect();
    machine.write("part", vec![7; 12 << 20]);
    let upload =
        machine.ok("initiate-layer-upload --repository-name team/app --query uploadId --output text");
    machine.ok(&format!(
        "upload-layer-part --repository-name team/app --upload-id {} --part-first-byte 0 --part-last-byte 12582911 \
         --layer-part-blob fileb://part",
        upload.trim()
    ));
    #[cfg(target_os = "linux")]
    assert!(server.peak_memory() < MOST, "{} KiB", server.peak_memory());
}

#[test]
fn withheld_uploads_and_unread_downloads_of_manifests_take_bounded_memory() {
    let mut machine = Machine::new();
    let server = served(&mut machine, &["--anonymous"]);
    let manifest = large_manifest(&server);
    assert_eq!(server.manifest("team/app", "large", IMAGE, &manifest).status, 201);
    let head = |request: &str, length: usize| {
        format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {IMAGE}\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let withheld: Vec<_> = (0..200)
        .map(|number| {
            let mut stream = connect(&server);
            let head = head(&format!("PUT /v2/team/app/manifests/{number}"), manifest.len());
            let body = manifest.as_bytes()[..manifest.len() - 1].to_vec();
            std::thread::spawn(move || {
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
                stream
            })
        })
        .collect();
    let withheld: Vec<_> = withheld.into_iter().map(|thread| thread.join().unwrap()).collect();
    #[cfg(target_os = "linux")]
    println!("withheld uploads: {} KiB", server.peak_memory());
    drop(withheld);
    let _unread: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = connect(&server);
            stream.write_all(head("GET /v2/team/app/manifests/large", 0).as_bytes()).unwrap();
            stream
        })
        .collect();
    // Who takes what it asks for is served in the end; until then it may be told to come again, as clients do.
    let request = "GET /v2/team/app/manifests/large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let asked = Instant::now();
    let answer = loop {
        let mut stream = connect(&server);
        stream.set_read_timeout(Some(5 * PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let is_busy = answer.starts_with(b"HTTP/1.1 503 ");
        if !is_busy || asked.elapsed() > 5 * PATIENCE {
            break answer;
        }
    };
    assert!(answer.ends_with(manifest.as_bytes()));
    #[cfg(target_os = "linux")]
    {
        println!("unread downloads: {} KiB", server.peak_memory());
        assert!(server.peak_memory() < MOST, "{} KiB", server.peak_memory());
    }
}

#[test]
fn idle_connections_give_way() {
    let machine = Machine::new();
    let limited = ["sh", "-c", "ulimit -n 64; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_ecr")];
    let server = Serve::start_with(&machine, &limited, &["--anonymous"]);
    let _idle: Vec<TcpStream> = (0..100).map(|_| connect(&server)).collect();
    assert_eq!(server.get("/v2/").status, 200);
    let _half: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = connect(&server);
            // One that was closed already may not take it.
            let _ = stream.write_all(b"GET /v2/ HT");
            stream
        })
        .collect();
    assert_eq!(server.get("/v2/").status, 200);
}

#[test]
fn bodies_of_unsigned_requests_are_not_read() {
    let machine = Machine::new();
    machine.write("keys", "[a]\naws_access_key_id = AKIA\naws_secret_access_key = s\n");
    let server = Serve::start(&machine, &["--credentials", "keys"]);
    let target = "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.UploadLayerPart";
    // The body never comes, and the answer does all the same.
    let answer = server.raw(
        format!("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{target}\r\nContent-Length: 28000000\r\n\r\n")
            .as_bytes(),
    );
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("MissingAuthenticationTokenException"), "{}", answer.text());
}

#[test]
fn a_page_under_a_foreign_name_or_origin_is_refused() {
    let mut machine = Machine::new();
    let server = served(&mut machine, &["--anonymous", "--hostname", "registry.test"]);
    let ask = |request: &str, headers: &str| {
        server.raw(
            format!("{request} HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n\r\n")
                .as_bytes(),
        )
    };
    let port = server.address.rsplit(':').next().unwrap();
    for (headers, status) in [
        (format!("Host: localhost:{port}"), 202),
        (format!("Host: registry.test:{port}"), 202),
        (format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}"), 202),
        ("Host: evil.example".to_owned(), 403),
        ("Host: evil.example\r\nHost: localhost".to_owned(), 403),
        (format!("Host: localhost:{port}\r\nOrigin: https://evil.example"), 403),
        (format!("Host: localhost:{port}\r\nOrigin: null"), 403),
        (format!("Host: localhost:{port}\r\nSec-Fetch-Site: cross-site"), 403),
    ] {
        let answer = ask("POST /v2/team/app/blobs/uploads/", &headers);
        assert_eq!(answer.status, status, "{headers}\n{}", answer.text());
    }
    for path in ["/", "/healthz", "/token", "/_blob/x", "/v2/"] {
        assert_eq!(ask(&format!("GET {path}"), "Host: evil.example").status, 403, "{path}");
    }
    let refused = ask("GET /v2/", "Host: evil.example");
    assert_eq!(
        refused.text(),
        r#"{"errors":[{"code":"DENIED","message":"the request is for evil.example, which is not this server: name it with --hostname if it is"}]}"#
    );
    let healthy = ask("GET /healthz", "Host: localhost").text();
    assert!(healthy.starts_with(r#"{"status":"ok","instance":""#) && !healthy.contains('/'), "{healthy}");
}
