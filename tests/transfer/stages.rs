//! Faults at every stage of a push and a pull through Amazon ECR's API, as processes against `ecr local serve --fault`.

use std::path::Path;

use super::commands::remote;
use super::*;
use crate::harness::Machine;
use crate::harness::registry::Serve;

const MEBIBYTE: usize = 1024 * 1024;

/// A layout with an image of two layers of 6 MiB, and its digest.
fn layout(machine: &Machine) -> String {
    let layers = [noise(6 * MEBIBYTE, 1), noise(6 * MEBIBYTE, 2)];
    let path = machine.path().join("image");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (memory, image) = single(&layers).await;
        let layout: Shared = Arc::new(ecr::store::Layout::new(path));
        run(&(memory as Shared), &layout, &options(&["1"])).await.unwrap();
        image.digest().to_string()
    })
}

fn blobs(layout: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(layout.join("blobs/sha256"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let digits = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert_eq!(Digest::of(&std::fs::read(&path).unwrap()).hexadecimal(), digits);
            digits
        })
        .collect();
    names.sort();
    names
}

/// Pushes and pulls with these faults in the server; both must end well.
fn survives(faults: &[&str], registry: bool) {
    let mut machine = Machine::new();
    let digest = layout(&machine);
    let mut options = if registry { vec!["--anonymous"] } else { Vec::new() };
    options.extend(faults.iter().flat_map(|fault| ["--fault", fault]));
    let server = Serve::start(&machine, &options);
    remote(&mut machine, &server);
    machine.ok("create-repository --repository-name app");
    let address = &server.address;
    let place = if registry { format!("docker://{address}/app:1") } else { "app:1".to_owned() };
    let pushed = machine.ecr(&["push", "./image", &place]);
    assert_eq!(
        (pushed.code, pushed.stdout.trim()),
        (0, digest.as_str()),
        "{faults:?}\n{}",
        pushed.transcript()
    );
    let pulled = machine.ecr(&["pull", &place, "back"]);
    assert_eq!(
        (pulled.code, pulled.stdout.trim()),
        (0, digest.as_str()),
        "{faults:?}\n{}",
        pulled.transcript()
    );
    assert_eq!(blobs(&machine.path().join("back")), blobs(&machine.path().join("image")), "{faults:?}");
}

const STAGES: [&str; 8] = [
    "DescribeImages",
    "BatchCheckLayerAvailability",
    "InitiateLayerUpload",
    "UploadLayerPart",
    "CompleteLayerUpload",
    "PutImage",
    "BatchGetImage",
    "GetDownloadUrlForLayer",
];

#[test]
fn whatever_the_api_fails_at_passes() {
    for (action, times) in [("drop=0", 2), ("error=500", 3), ("error=503", 3), ("throttle", 12)] {
        let faults: Vec<String> =
            STAGES.iter().map(|stage| format!("{stage},{action},probability=0.5,count={times}")).collect();
        survives(&faults.iter().map(String::as_str).collect::<Vec<_>>(), false);
    }
}

#[test]
fn uploads_that_are_forgotten_begin_again() {
    for stage in ["UploadLayerPart", "CompleteLayerUpload"] {
        survives(&[&format!("{stage},expire-uploads,count=1,after=1")], false);
    }
}

#[test]
fn whatever_a_registry_fails_at_passes() {
    for action in ["drop=0", "error=500", "error=503", "throttle"] {
        survives(&[&format!("/v2/,{action},probability=0.2,count=12,seed=3")], true);
    }
    for (path, action) in [
        ("/v2/app/blobs/uploads/", "expire-uploads,count=1,after=3"),
        ("/v2/app/blobs/sha256", "drop=3000000,count=2"),
        ("/v2/app/blobs/sha256", "truncate=3000000"),
        ("/v2/app/blobs/sha256", "drop=1,count=2"),
    ] {
        survives(&[&format!("{path},{action}")], true);
    }
}

/// Wrong content never gets a name: neither a blob nor the image.
#[test]
fn answers_that_are_wrong_leave_nothing_behind() {
    let mut machine = Machine::new();
    let digest = layout(&machine);
    for action in ["corrupt", "truncate=0"] {
        let server =
            Serve::start(&machine, &["--anonymous", "--fault", &format!("/v2/app/blobs/sha256,{action}")]);
        remote(&mut machine, &server);
        let place = format!("docker://{}/app:1", server.address);
        machine.ok("push ./image app:1 --create --quiet");
        let pulled = machine.ecr(&["pull", &place, "back"]);
        assert_eq!((pulled.code, pulled.stdout.as_str()), (255, ""), "{action}\n{}", pulled.transcript());
        let back = machine.path().join("back");
        for name in blobs(&back) {
            assert!(machine.path().join("image/blobs/sha256").join(&name).exists());
            assert!(!digest.ends_with(&name), "the manifest is there");
        }
        let index = std::fs::read_to_string(back.join("index.json")).unwrap_or_default();
        assert!(!index.contains(&digest), "{index}");
        drop(server);
        let server = Serve::start(&machine, &["--anonymous"]);
        remote(&mut machine, &server);
        let place = format!("docker://{}/app:1", server.address);
        assert_eq!(machine.ok(&format!("pull {place} back --quiet")).trim(), digest);
        assert_eq!(blobs(&back), blobs(&machine.path().join("image")));
        std::fs::remove_dir_all(back).unwrap();
    }
}

/// A destination that is full, and one that may not be written to: nothing half written has a name.
#[test]
fn a_destination_that_takes_no_more_keeps_nothing_by_halves() {
    let mut machine = Machine::new();
    let digest = layout(&machine);
    let server = Serve::start(&machine, &[]);
    remote(&mut machine, &server);
    machine.ok("push ./image app:1 --create --quiet");
    let ecr = env!("CARGO_BIN_EXE_ecr");
    // Files may have 2 MiB; what goes beyond fails as on a full disk.
    let script = machine.write("small", format!("trap '' XFSZ; ulimit -f 4096; exec {ecr} \"$@\""));
    for place in ["full", "full.tar"] {
        let mut command = machine.command("sh", &[script.to_str().unwrap(), "pull", "app:1", place]);
        let failed = crate::harness::outcome(&mut command);
        assert_eq!((failed.code, failed.stdout.as_str()), (255, ""), "{}", failed.transcript());
        assert!(failed.stderr.contains("File too large"), "{}", failed.transcript());
    }
    assert!(!machine.path().join("full.tar").exists());
    let full = machine.path().join("full");
    assert!(blobs(&full).iter().all(|name| !digest.ends_with(name)));
    assert!(!std::fs::read_to_string(full.join("index.json")).unwrap_or_default().contains(&digest));
    assert_eq!(machine.ok("pull app:1 full --quiet").trim(), digest);
    assert_eq!(blobs(&full), blobs(&machine.path().join("image")));

    // Where there is a file no folder can be; that holds for root too.
    machine.write("taken", "mine");
    let said = machine.fails(255, "pull app:1 ./taken/layout");
    assert!(said.contains("taken"), "{said}");
    assert_eq!(std::fs::read_to_string(machine.path().join("taken")).unwrap(), "mine");
    let said = machine.fails(255, "pull app:1 /proc/layout");
    assert!(said.contains("/proc/layout"), "{said}");
}

/// The API's `Retry-After`, which the AWS retry modes leave to their own waits of a second at most at first.
#[test]
fn the_api_is_left_alone_as_long_as_it_asks() {
    let registry = super::registry::Registry::start();
    let told = std::sync::Mutex::new(None);
    let waited = Arc::new(std::sync::Mutex::new(std::time::Duration::ZERO));
    let kept = Arc::clone(&waited);
    registry.interfere(move |number, _| {
        let mut told: std::sync::MutexGuard<'_, Option<std::time::Instant>> = told.lock().unwrap();
        if number == 1 {
            *told = Some(std::time::Instant::now());
            let busy = br#"{"__type":"ServerException","message":"busy"}"#;
            return Some(super::registry::reply("503 Service Unavailable", "Retry-After: 2\r\n", busy));
        }
        *kept.lock().unwrap() = told.unwrap().elapsed();
        Some(super::registry::reply("200 OK", "", br#"{"repositories":[]}"#))
    });
    let mut machine = Machine::new();
    machine.set("AWS_ENDPOINT_URL", format!("http://{}", registry.address));
    machine.set("AWS_ACCESS_KEY_ID", "123456789012").set("AWS_SECRET_ACCESS_KEY", "secret");
    machine.set("AWS_REGION", "eu-west-1");
    machine.ok("describe-repositories");
    let waited = *waited.lock().unwrap();
    assert!(waited >= std::time::Duration::from_secs(2), "{waited:?}");
    assert_eq!(registry.count(""), 2);
}
