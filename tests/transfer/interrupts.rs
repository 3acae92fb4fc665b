//! SIGINT and SIGKILL in the middle of a push and a pull: the same command again ends with the same image, and what had
//! arrived does not travel again. `benches/interrupt.py` does this at a hundred moments.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::harness::Machine;
use crate::harness::http::listen;
use crate::harness::registry::Serve;

const MEBIBYTE: u64 = 1024 * 1024;
/// Three layers of 8 MiB.
const LAYERS: u64 = 24 * MEBIBYTE;
/// Heads, manifests and what the API says around a part.
const TALK: u64 = MEBIBYTE / 4;

/// Stands between a client and a server, counts what goes through, and kills the client at a moment.
#[derive(Clone)]
struct Between(Arc<Inner>);

struct Inner {
    address: String,
    server: String,
    up: AtomicU64,
    down: AtomicU64,
    /// Number of open directions.
    open: AtomicU64,
    /// At so many bytes in both directions this process gets this signal.
    end: Mutex<Option<(u64, u32, &'static str)>>,
}

impl Between {
    fn start(server: &str) -> Self {
        let (listener, address) = listen();
        let between = Self(Arc::new(Inner {
            address,
            server: server.to_owned(),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            open: AtomicU64::new(0),
            end: Mutex::new(None),
        }));
        let inner = Arc::clone(&between.0);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&inner.server).unwrap());
                let (one, two) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (there, back) = (Arc::clone(&inner), Arc::clone(&inner));
                inner.open.fetch_add(2, Ordering::SeqCst);
                std::thread::spawn(move || there.carry(one, two, &there.up));
                std::thread::spawn(move || back.carry(server, client, &back.down));
            }
        });
        between
    }

    /// Both counts, from nought again, once nothing is on its way any more.
    fn counted(&self) -> (u64, u64) {
        while self.0.open.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
        (self.0.up.swap(0, Ordering::SeqCst), self.0.down.swap(0, Ordering::SeqCst))
    }
}

impl Inner {
    fn carry(&self, mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            count.fetch_add(length as u64, Ordering::SeqCst);
            let all = self.up.load(Ordering::SeqCst) + self.down.load(Ordering::SeqCst);
            let due = self.end.lock().unwrap().take_if(|(at, _, _)| all >= *at);
            if let Some((_, process, signal)) = due {
                let kill = Command::new("kill").args([signal, &process.to_string()]).status();
                assert!(kill.unwrap().success());
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs a command that is ended after so many bytes have gone either way.
fn cut(machine: &Machine, between: &Between, arguments: &[&str], at: u64, signal: &'static str) {
    let mut command = machine.command(env!("CARGO_BIN_EXE_ecr"), arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut end = between.0.end.lock().unwrap();
    let mut process = command.spawn().unwrap();
    *end = Some((at, process.id(), signal));
    drop(end);
    let code = process.wait().unwrap().code();
    assert_eq!(code, if signal == "-INT" { Some(130) } else { None }, "{signal} at {at}");
    assert!(between.0.end.lock().unwrap().is_none());
    between.counted();
}

fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(facts) if facts.is_dir() => size(&entry.path()),
            Ok(facts) => facts.len(),
            Err(_) => 0,
        })
        .sum()
}

#[test]
fn a_command_that_was_ended_goes_on_where_it_was() {
    let source = Machine::new();
    let layout = source.path().join("image");
    let layers: Vec<Vec<u8>> = (1..4).map(|seed| noise(8 * 1024 * 1024, seed)).collect();
    let digest = lay_out(&layout, "1", &layers);
    for signal in ["-INT", "-KILL"] {
        for share in [15, 50, 85] {
            let mut machine = Machine::new();
            let server = Serve::start(&machine, &[]);
            let between = Between::start(&server.address);
            machine.set("AWS_ENDPOINT_URL", format!("http://{}", between.0.address));
            machine.set("AWS_ACCESS_KEY_ID", "123456789012").set("AWS_SECRET_ACCESS_KEY", "secret");
            machine.set("AWS_REGION", "eu-west-1");
            machine.ok("create-repository --repository-name app");
            between.counted();
            let at = LAYERS * share / 100;

            // Parts go up in base64.
            let push = ["push", layout.to_str().unwrap(), "app:1", "--quiet"];
            cut(&machine, &between, &push, at * 4 / 3, signal);
            let kept =
                size(&machine.path().join("home/ecr/uploads")) + size(&machine.path().join("home/ecr/blobs"));
            let pushed = machine.ecr(&push);
            assert_eq!((pushed.code, pushed.stdout.trim()), (0, digest.as_str()), "{}", pushed.transcript());
            let (up, _) = between.counted();
            let rest = (LAYERS - kept.min(LAYERS)) * 4 / 3;
            assert!(up <= rest + TALK, "{signal} at {share} %: {up} of {rest}");
            assert_eq!(machine.ok("local check"), "");

            let pull = ["pull", "app:1", "back", "--quiet"];
            cut(&machine, &between, &pull, at, signal);
            let back = machine.path().join("back");
            assert!(!std::fs::read_to_string(back.join("index.json")).unwrap_or_default().contains(&digest));
            let kept = size(&back);
            let pulled = machine.ecr(&pull);
            assert_eq!((pulled.code, pulled.stdout.trim()), (0, digest.as_str()), "{}", pulled.transcript());
            let (_, down) = between.counted();
            let rest = LAYERS - kept.min(LAYERS);
            assert!(kept > 0 && down <= rest + TALK, "{signal} at {share} %: {down} of {rest}");
            for entry in std::fs::read_dir(layout.join("blobs/sha256")).unwrap() {
                let path = entry.unwrap().path();
                let same = std::fs::read(back.join("blobs/sha256").join(path.file_name().unwrap())).unwrap();
                assert!(same == std::fs::read(&path).unwrap());
            }
            assert_eq!(size(&back), size(&layout));
        }
    }
}

#[test]
fn so_does_one_over_the_registry_protocol() {
    let source = Machine::new();
    let layout = source.path().join("image");
    let digest = lay_out(&layout, "1", &[noise(24 * 1024 * 1024, 4)]);
    for signal in ["-INT", "-KILL"] {
        let machine = Machine::new();
        let server = Serve::start(&machine, &["--anonymous"]);
        let between = Between::start(&server.address);
        machine.ok("create-repository --repository-name app --local");
        let image = format!("oci:{}", layout.display());
        let push = ["copy", &image, &format!("docker://{}/app:1", between.0.address), "--quiet"];
        cut(&machine, &between, &push, LAYERS / 2, signal);
        let kept = size(&machine.path().join("home/ecr/uploads"));
        assert!(kept > 0);
        let pushed = machine.ecr(&push);
        assert_eq!((pushed.code, pushed.stdout.trim()), (0, digest.as_str()), "{}", pushed.transcript());
        let (up, _) = between.counted();
        assert!(up <= LAYERS - kept + TALK, "{signal}: {up} bytes behind {kept}");
        assert_eq!(machine.ok("local check"), "");
    }
}

#[test]
fn whatever_asks_it_to_stop_ends_a_command_alike() {
    let source = Machine::new();
    let layout = source.path().join("image");
    lay_out(&layout, "1", &[noise(32 * 1024 * 1024, 5)]);
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let mut machine = Machine::new();
        let server = Serve::start(&machine, &[]);
        let between = Between::start(&server.address);
        machine.set("AWS_ENDPOINT_URL", format!("http://{}", between.0.address));
        machine.set("AWS_ACCESS_KEY_ID", "123456789012").set("AWS_SECRET_ACCESS_KEY", "secret");
        machine.set("AWS_REGION", "eu-west-1");
        machine.ok("create-repository --repository-name app");
        assert_eq!(machine.ecr(&["push", layout.to_str().unwrap(), "app:1", "--quiet"]).code, 0);
        between.counted();
        std::fs::create_dir(machine.path().join("out")).unwrap();
        let mut command =
            machine.command(env!("CARGO_BIN_EXE_ecr"), &["pull", "app:1", "out/image.tar", "--quiet"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut end = between.0.end.lock().unwrap();
        let mut process = command.spawn().unwrap();
        *end = Some((4 * MEBIBYTE, process.id(), signal));
        drop(end);
        assert_eq!(process.wait().unwrap().code(), Some(code), "{signal}");
        assert_eq!(std::fs::read_dir(machine.path().join("out")).unwrap().count(), 0, "{signal}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn waiting_for_a_pipe_can_be_interrupted() {
    let machine = Machine::new();
    let pipe = machine.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (arguments, signal, code) in [
        (["copy", "oci-archive:pipe", "oci:out"], "-INT", 130),
        (["copy", "docker-archive:pipe", "oci:out"], "-TERM", 143),
        (["copy", "-", "oci:out"], "-INT", 130),
        (["copy", "-", "oci:out"], "-HUP", 129),
    ] {
        let mut command = machine.command(env!("CARGO_BIN_EXE_ecr"), &arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        // Waiting for the process would close it.
        let _stdin = process.stdin.take();
        // It listens for signals before it opens anything.
        let status = format!("/proc/{}/status", process.id());
        let listens = || {
            let status = std::fs::read_to_string(&status).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << 14) != 0
        };
        while !listens() {
            std::thread::yield_now();
        }
        let kill = Command::new("kill").args([signal, &process.id().to_string()]).status();
        assert!(kill.unwrap().success());
        assert_eq!(process.wait().unwrap().code(), Some(code), "{arguments:?} {signal}");
    }
}

#[test]
fn an_archive_comes_through_a_pipe_and_goes_into_one() {
    let machine = Machine::new();
    let digest = lay_out(&machine.path().join("image"), "1", &[noise(3_000_000, 6)]);
    let program = env!("CARGO_BIN_EXE_ecr");
    let script = format!(
        "mkfifo in out && ('{program}' copy oci:image:1 oci-archive:in & '{program}' copy oci-archive:in oci:back:1 && wait) \
         && ('{program}' copy oci:back:1 oci-archive:out & cat out > out.tar && wait) && '{program}' copy - oci:again:1 < out.tar"
    );
    let output = machine.command("/bin/sh", &["-ec", &script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().ends_with(&format!("{digest}\n")));
}
