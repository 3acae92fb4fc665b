//! Durability of the embedded ECR: after its process is killed, after a failed write, and with other processes on the
//! folder.

use std::process::Command;
use std::sync::mpsc;

use crate::harness::registry::{Serve, digest};
use crate::harness::{Machine, outcome};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// The bytes of the blob of this number: the same in every run.
fn content(number: usize) -> Vec<u8> {
    let seed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    let words = std::iter::successors(Some(seed), |word| {
        let word = word ^ (word << 13);
        let word = word ^ (word >> 7);
        Some(word ^ (word << 17))
    });
    words.take(1 + number % 7 * 2000).flat_map(u64::to_le_bytes).collect()
}

fn manifest(number: usize) -> String {
    let content = content(number);
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"a/b","digest":"{}","size":{}}},"layers":[]}}"#,
        digest(&content),
        content.len()
    )
}

/// Pushes the image of this number; whether it was acknowledged.
fn push(server: &Serve, name: &str, number: usize) -> bool {
    let content = content(number);
    let upload = format!("POST /v2/{name}/blobs/uploads/?digest={}", digest(&content));
    let kind = format!("Content-Type: {IMAGE}");
    let put = format!("PUT /v2/{name}/manifests/{number}");
    let is_stored =
        |answer: Option<crate::harness::registry::Answer>| answer.is_some_and(|answer| answer.status == 201);
    is_stored(server.attempt(&upload, &[], &content))
        && is_stored(server.attempt(&put, &[&kind], manifest(number).as_bytes()))
}

fn client(machine: &mut Machine, server: &Serve) {
    machine.set("AWS_ENDPOINT_URL", format!("http://{}", server.address));
    machine.set("AWS_ACCESS_KEY_ID", "000000000000").set("AWS_SECRET_ACCESS_KEY", "secret");
    machine.set("AWS_REGION", "us-east-1");
}

/// Every image of these numbers is there as it was pushed.
fn assert_held(server: &Serve, name: &str, numbers: &[usize]) {
    for number in numbers {
        let content = content(*number);
        assert!(
            server.get(&format!("/v2/{name}/blobs/{}", digest(&content))).body == content,
            "blob {number}"
        );
        assert_eq!(server.get(&format!("/v2/{name}/manifests/{number}")).text(), manifest(*number));
    }
}

#[test]
fn acknowledged_writes_survive_sigkill() {
    let mut machine = Machine::new();
    let server = Serve::start(&machine, &["--anonymous"]);
    client(&mut machine, &server);
    for worker in 0..3 {
        machine.ok(&format!("create-repository --repository-name worker/{worker}"));
    }
    drop(server);
    let mut held: [Vec<usize>; 3] = Default::default();
    for moment in [1, 5, 12] {
        let mut server = Serve::start(&machine, &["--anonymous"]);
        let (told, acknowledged) = mpsc::channel();
        let address = server.address.clone();
        let mut workers = Vec::new();
        for (worker, numbers) in held.iter().enumerate() {
            let (told, start) = (told.clone(), numbers.last().map_or(0, |last| last + 2));
            let server = Serve::at(&address);
            workers.push(std::thread::spawn(move || {
                for number in start.. {
                    if !push(&server, &format!("worker/{worker}"), number) {
                        return;
                    }
                    let _ = told.send((worker, number));
                }
            }));
        }
        drop(told);
        // Killed in the middle of whatever the others are doing then.
        let mut seen: Vec<(usize, usize)> = acknowledged.iter().take(moment).collect();
        server.kill();
        for worker in workers {
            worker.join().unwrap();
        }
        seen.extend(acknowledged);
        for (worker, number) in seen {
            held[worker].push(number);
        }
        assert_eq!(machine.ok("local check"), "");
        let server = Serve::start(&machine, &["--anonymous"]);
        for (worker, numbers) in held.iter().enumerate() {
            assert_held(&server, &format!("worker/{worker}"), numbers);
        }
    }
}

#[test]
fn a_write_that_fails_changes_nothing() {
    let mut machine = Machine::new();
    // Files of the server may have a MiB; what goes beyond fails as on a full disk.
    let ecr = env!("CARGO_BIN_EXE_ecr");
    let script = machine.write("serve", format!("trap '' XFSZ; ulimit -f 2048; exec {ecr} \"$@\" 2>log"));
    let mut server = Serve::start_with(&machine, &["sh", script.to_str().unwrap()], &["--anonymous"]);
    client(&mut machine, &server);
    machine.ok("create-repository --repository-name a/b");
    let begun = server.send("POST /v2/a/b/blobs/uploads/", &[], b"");
    let location = begun.header("location").unwrap().to_owned();
    let large = vec![7; 4 << 20];
    let refused = server.send(&format!("PATCH {location}"), &[], &large);
    assert_eq!(refused.status, 500);
    assert!(refused.text().contains("File too large"), "{}", refused.text());
    assert_eq!(server.get(&location).header("range"), Some("0-0"));
    // The session goes on with what fits, and nothing of the failed write is in it.
    let small = vec![8; 700_000];
    assert_eq!(server.send(&format!("PATCH {location}"), &[], &small).status, 202);
    let done = server.send(&format!("PUT {location}?digest={}", digest(&small)), &[], b"");
    assert_eq!(done.status, 201, "{}", done.text());
    assert!(server.get(&format!("/v2/a/b/blobs/{}", digest(&small))).body == small);
    // So does the services' API.
    let begun = machine.ok("initiate-layer-upload --repository-name a/b --query uploadId --output text");
    let part = machine.write("part", &large);
    let upload = format!("--repository-name a/b --upload-id {} --part-first-byte 0", begun.trim());
    let said = machine.fails(
        254,
        &format!(
            "upload-layer-part {upload} --part-last-byte 4194303 --layer-part-blob fileb://{}",
            part.display()
        ),
    );
    assert!(said.contains("ServerException") && said.contains("File too large"), "{said}");
    machine.write("part", b"0123456789");
    machine.ok(&format!(
        "upload-layer-part {upload} --part-last-byte 9 --layer-part-blob fileb://{}",
        part.display()
    ));
    let completed = format!(
        "complete-layer-upload --repository-name a/b --upload-id {} --layer-digests {}",
        begun.trim(),
        digest(b"0123456789")
    );
    machine.ok(&completed);
    server.kill();
    assert_eq!(machine.ok("local check"), "");
    let log = std::fs::read_to_string(machine.path().join("log")).unwrap();
    assert!(log.contains(&format!("PATCH {location} 500")) && log.contains("File too large"), "{log}");
}

#[test]
fn servers_and_commands_share_a_folder() {
    let mut machine = Machine::new();
    let servers = [Serve::start(&machine, &["--anonymous"]), Serve::start(&machine, &["--anonymous"])];
    client(&mut machine, &servers[0]);
    machine.ok("create-repository --repository-name a/b");
    machine.unset("AWS_ENDPOINT_URL");
    std::thread::scope(|scope| {
        for (place, server) in servers.iter().enumerate() {
            scope.spawn(move || (0..15).for_each(|number| assert!(push(server, "a/b", 2 * number + place))));
        }
        for place in 0..2 {
            let machine = &machine;
            scope.spawn(move || {
                for number in 0..4 {
                    machine.ok(&format!("create-repository --local --repository-name c/{place}-{number}"));
                }
            });
        }
        scope.spawn(|| machine.ok("local gc --grace 60"));
    });
    let numbers: Vec<usize> = (0..30).collect();
    for server in &servers {
        assert_held(server, "a/b", &numbers);
    }
    let names =
        machine.ok("describe-repositories --local --query repositories[].repositoryName --output json");
    assert_eq!(names.matches("c/").count(), 8, "{names}");
    assert_eq!(machine.ok("local check"), "");
    let mut size = Command::new("sh");
    size.args(["-c", "ls home/ecr/uploads"]).current_dir(machine.path());
    assert_eq!(outcome(&mut size).stdout, "");
}
