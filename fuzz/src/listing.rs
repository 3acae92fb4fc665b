//! A registry that lists what the bytes say: names of tags and repositories, referrers, and `Link` headers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use ecr::escape::escape;
use ecr::image::{Digest, Name, RepositoryName, Tag};
use ecr::store::Store as _;
use ecr::store::ecr::Network;
use ecr::store::registry::{Login, Remote};
use tokio::runtime::Runtime;

/// What every request is answered with, and the requests since that was set.
#[derive(Default)]
struct Script {
    link: Vec<u8>,
    body: Vec<u8>,
    asked: Vec<String>,
}

static SCRIPT: Mutex<Script> = Mutex::new(Script { link: Vec::new(), body: Vec::new(), asked: Vec::new() });

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime")
});

/// A server on a thread of its own, for as long as the process lives.
static ADDRESS: LazyLock<SocketAddr> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || answer(connection));
        }
    });
    address
});

fn script() -> std::sync::MutexGuard<'static, Script> {
    SCRIPT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(mut connection: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(connection.try_clone().ok()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let (mut answer, is_head) = (Vec::new(), head.starts_with("HEAD "));
        {
            let mut script = script();
            script.asked.push(head.lines().next()?.to_owned());
            let link = if script.link.is_empty() { &b""[..] } else { b"Link: " };
            let length = format!("{}Content-Length: {}\r\n\r\n", if link.is_empty() { "" } else { "\r\n" }, script.body.len());
            let body = if is_head { &[][..] } else { &script.body };
            answer.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
            for piece in [link, &script.link, length.as_bytes(), body] {
                answer.extend_from_slice(piece);
            }
        }
        connection.write_all(&answer).ok()?;
    }
}

/// Reads such listings: what is no tag and no repository is told apart, is not asked for, and can be printed.
pub fn listing(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (link, body) = (data[..end].to_vec(), data.get(end + 1..).unwrap_or_default().to_vec());
    *script() = Script { link, body, asked: Vec::new() };
    let network = Network { first_wait: Duration::ZERO, ..Network::default() };
    let repository: RepositoryName = "team/app".parse().expect("a repository's name");
    let remote = Remote::new(&ADDRESS.to_string(), &repository, true, Login::Anonymous, network);
    RUNTIME.block_on(read(&remote, kind % 4));
    for line in &script().asked {
        let tag =
            line.strip_prefix("HEAD /v2/team/app/manifests/").and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
        if line.starts_with("HEAD ") {
            let tag = tag.unwrap_or_else(|| panic!("asked for {line}"));
            assert!(tag.parse::<Tag>().is_ok(), "asked for {line}");
        }
    }
}

async fn read(remote: &Remote, kind: u8) {
    let mut shown: Vec<String> = Vec::new();
    let failed = match kind {
        0 => remote
            .tags()
            .await
            .map(|listing| shown.extend(listing.invalid))
            .err()
            .map(|error| error.to_string()),
        1 => match remote.tags_with_digests(&|_| true).await {
            Ok(listing) => {
                let listing = listing.unwrap_or_default();
                shown.extend(listing.unreadable.iter().map(ToString::to_string));
                assert!(listing.images.iter().all(|(tag, _)| Name::tag(tag).is_ok()));
                None
            }
            Err(error) => Some(error.to_string()),
        },
        2 => remote.catalog().await.map(|names| shown.extend(names)).err().map(|error| error.to_string()),
        _ => remote.referrers(&Digest::of(b"subject")).await.err().map(|error| error.to_string()),
    };
    shown.extend(failed);
    for text in shown {
        assert!(!escape(&text).chars().any(char::is_control), "{text:?}");
    }
}
