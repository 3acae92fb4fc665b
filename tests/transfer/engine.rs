//! Docker's engine, scripted, at a socket.

use std::io::{BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc;

use super::commands::rows;
use super::{noise, others::saved};
use crate::harness::Machine;
use crate::harness::http::{CLOSE, Request, response};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample-image");

/// An engine that answers these, one after the other, and hands out what it was asked.
fn engine(socket: &Path, answers: Vec<Vec<u8>>) -> mpsc::Receiver<(String, Vec<u8>)> {
    let listener = UnixListener::bind(socket).unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut connection, _) = listener.accept().unwrap();
            sender.send(request(&connection)).unwrap();
            connection.write_all(&answer).unwrap();
        }
    });
    receiver
}

fn request(connection: &UnixStream) -> (String, Vec<u8>) {
    let request = Request::read(&mut BufReader::new(connection)).unwrap();
    (request.line().to_lowercase(), request.body)
}

fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    response(status, CLOSE, body)
}

fn machine() -> Machine {
    let mut machine = Machine::new();
    let socket = machine.path().join("engine.sock");
    machine.set("DOCKER_HOST", format!("unix://{}", socket.display()));
    let temporary = machine.path().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    machine.set("TMPDIR", temporary);
    machine
}

fn is_clean(machine: &Machine) -> bool {
    std::fs::read_dir(machine.path().join("temporary")).unwrap().count() == 0
}

#[test]
fn an_image_goes_into_an_engine_and_comes_out_of_it() {
    let machine = machine();
    let socket = machine.path().join("engine.sock");
    let loaded = br#"{"stream":"Loaded image: team/hello:1.0\n"}"#;
    let asked = engine(&socket, vec![answer("200 OK", b"OK"), answer("200 OK", loaded)]);
    let copied = machine.ecr(&["copy", SAMPLE, "docker-daemon:team/hello:1.0", "--platform", "linux/amd64"]);
    assert_eq!(copied.code, 0, "{}", copied.transcript());
    let (digest, said) = (copied.stdout, copied.stderr);
    assert_eq!(asked.recv().unwrap().0, "get /_ping http/1.1");
    let (line, archive) = asked.recv().unwrap();
    assert_eq!(line, "post /images/load?quiet=1 http/1.1");
    assert_eq!(digest.get(..19), Some("sha256:1a1cefeeea5d"));
    assert!(is_clean(&machine));
    assert_eq!(rows(&said)[1..], ["docker-daemon:team/hello:1.0 | 3 blobs | 4.4 KiB | 0"]);

    // What went in is what comes out: the engine gives the same archive back.
    std::fs::remove_file(&socket).unwrap();
    let asked = engine(&socket, vec![answer("200 OK", &archive)]);
    let pushed = machine.ok("--local push docker-daemon:team/hello:1.0 hello:1.0 --create");
    assert_eq!(asked.recv().unwrap().0, "get /images/team/hello:1.0/get http/1.1");
    assert_eq!(pushed, digest);
    assert!(is_clean(&machine));
}

#[test]
fn an_engine_s_refusal_is_one_sentence() {
    let machine = machine();
    let socket = machine.path().join("engine.sock");
    let fails = |answers: Vec<Vec<u8>>, line: &str| {
        let _ = std::fs::remove_file(&socket);
        let _asked = engine(&socket, answers);
        let stderr = machine.neutral(&machine.fails(255, line));
        assert!(is_clean(&machine));
        stderr.lines().last().unwrap().strip_prefix("error: ").unwrap().to_owned()
    };
    assert_eq!(
        fails(
            vec![answer("404 Not Found", br#"{"message":"No such image"}"#)],
            "copy docker-daemon:nobody out"
        ),
        "the engine at {DIR}/engine.sock has no image nobody:latest"
    );
    let copy = format!("copy {SAMPLE} docker-daemon:hello --platform linux/amd64");
    assert_eq!(
        fails(
            vec![
                answer("200 OK", b"OK"),
                answer("500 Internal Server Error", br#"{"message":"disk is full"}"#)
            ],
            &copy
        ),
        "the engine at {DIR}/engine.sock cannot load hello:latest: disk is full"
    );
    let late =
        b"{\"stream\":\"Loading\"}\n{\"errorDetail\":{\"message\":\"bad layer\"},\"error\":\"bad layer\"}\n";
    assert_eq!(
        fails(vec![answer("200 OK", b"OK"), answer("200 OK", late)], &copy),
        "the engine at {DIR}/engine.sock cannot load hello:latest: bad layer"
    );
    // An archive that ends early is no image.
    let mut cut = answer("200 OK", &[0; 5000]);
    cut.truncate(1000);
    let error = fails(vec![cut], "copy docker-daemon:nobody out");
    assert!(error.starts_with("cannot reach the engine at {DIR}/engine.sock: "), "{error}");
    assert!(!machine.path().join("out").exists());
}

#[test]
fn a_missing_engine_is_reported_with_the_searched_sockets() {
    let mut machine = Machine::new();
    machine.set("XDG_RUNTIME_DIR", machine.path().join("run").into_os_string());
    machine.set("DOCKER_HOST", format!("unix://{}/none.sock", machine.path().display()));
    let error = machine.neutral(&machine.fails(255, "copy docker-daemon:app out"));
    assert_eq!(
        error.trim(),
        "error: cannot reach the engine at {DIR}/none.sock: No such file or directory (os error 2)"
    );
    machine.set("DOCKER_HOST", "tcp://10.0.0.1:2375");
    let error = machine.fails(255, "copy docker-daemon:app out");
    assert!(error.contains("cannot use the engine at tcp://10.0.0.1:2375: expected unix:///PATH"), "{error}");
}

#[test]
fn an_image_comes_out_by_its_id_and_messages_name_what_was_named() {
    let machine = machine();
    let socket = machine.path().join("engine.sock");
    let id = format!("sha256:{}", "0a".repeat(32));
    let layer = noise(1000, 1);
    let archive = saved(&layer, layer.clone());
    let ok = |body: &[u8]| answer("200 OK", body);
    let asked = engine(&socket, vec![ok(&archive), ok(&archive), ok(b"no tar file"), ok(b"")]);
    machine.ok(&format!("--local push docker-daemon:{id} app:1 --create"));
    assert_eq!(asked.recv().unwrap().0, format!("get /images/{id}/get http/1.1"));
    let said = |arguments: &str| machine.fails(255, &format!("--local push docker-daemon:{arguments} app:1"));
    assert_eq!(said("app:3"), "error: docker-daemon:app:3 has no image 3; it has app:1\n");
    let damaged = said("app:4");
    assert!(damaged.contains("docker-daemon:app:4 is not a tar file, or a damaged one"), "{damaged}");
    assert_eq!(said(&id), format!("error: docker-daemon:{id} is empty; expected an OCI or docker archive\n"));
    let usage = machine.fails(252, &format!("copy {SAMPLE} docker-daemon:{id}"));
    assert!(usage.contains(&format!("'docker-daemon:{id}' is an image's ID")), "{usage}");
    assert!(is_clean(&machine));
}
