//! Requests to a server, as bytes on a connection of their own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::sync::mpsc::channel;
use std::time::Duration;

use ecr::local::Local;
use ecr::local::http::{Authorization, Options, Server};

/// A server on a thread of its own, for as long as the process lives, with an upload under way in the repository `aa`.
static SERVER: LazyLock<(SocketAddr, String)> = LazyLock::new(|| {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let local = Local::open(folder.path()).expect("a new store");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let options = Options { anonymous: true, ..Options::loopback(0) };
            let server = Server::bind(local, options).await.expect("a free port");
            let address = server.address();
            let ready = || tell.send(address).map_err(std::io::Error::other);
            server.run(ready, std::future::pending()).await.expect("a server");
        });
    });
    let address = told.recv().expect("a server");
    let body = r#"{"repositoryName":"aa"}"#;
    let target = "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.CreateRepository";
    ask(address, &format!("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{target}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let begun = ask(address, "POST /v2/aa/blobs/uploads/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    let location = begun.lines().find_map(|line| line.strip_prefix("location: ")).unwrap_or_default().to_owned();
    assert!(!location.is_empty(), "{begun}");
    (address, location)
});

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let _ = stream.write_all(request.as_bytes());
    // A request that is not whole is waited for by the server; not by us.
    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request of docker's API: the first byte chooses what comes before the bytes, the rest follows as path or header.
pub fn registry(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let data = String::from_utf8_lossy(data);
    let (address, location) = &*SERVER;
    let end = "Host: localhost\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
    let request = match first % 6 {
        0 => format!("GET /v2/{data} HTTP/1.1\r\n{end}"),
        1 => format!("PATCH {location} HTTP/1.1\r\nContent-Range: {data}\r\n{end}"),
        2 => format!("POST /v2/aa/blobs/uploads/?{data} HTTP/1.1\r\n{end}"),
        3 => format!("PUT /v2/aa/manifests/{data} HTTP/1.1\r\n{end}"),
        4 => format!("GET /v2/ HTTP/1.1\r\nAuthorization: {data}\r\n{end}"),
        _ => data.into_owned(),
    };
    let answer = ask(*address, &request);
    assert!(!answer.starts_with("HTTP/1.1 5"), "{request}\n{answer}");
}

/// The Authorization header of the services' API. What is read writes itself as the same header again: nothing was
/// passed over that a second reading could find.
pub fn authorization(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = Authorization::parse(text) else { return };
    let written = format!(
        "AWS4-HMAC-SHA256 Credential={}/{}/{}/{}/aws4_request, SignedHeaders={}, Signature={}",
        read.access_key, read.date, read.region, read.service, read.signed_headers.join(";"), read.signature
    );
    assert_eq!(Authorization::parse(&written).as_ref(), Ok(&read), "{text}");
    let letters = |text: &str| {
        let mut parts: Vec<String> = text["AWS4-HMAC-SHA256 ".len()..].split(',').map(|part| part.trim_matches(' ').to_owned()).collect();
        parts.sort();
        parts
    };
    assert_eq!(letters(text), letters(&written), "{text}");
}
