//! `ecr prune` while a second process pushes images and indexes and moves tags, with no order between the two but their own.
//!
//! Nothing that the other process was told it has done is lost: an image that had a tag before `prune` looked at it for the
//! last time, and what an index lists. A tag that is set between that look and the deletion cannot be seen; such a one is
//! known by its times. `PROPTEST_CASES=1000 cargo test --test integration changing::second_process` runs longer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::super::valid;
use super::stage::{Registry, Stage, image, index};
use crate::harness::random::Random;

/// Number of random repositories, unless the environment says otherwise.
const CASES: u64 = 4;
const REPOSITORY: &str = "team/app";
/// The variables by which the other process knows its registry and its numbers by chance.
const FOLDER: &str = "ECR_TEST_WRITER_FOLDER";
const SEED: &str = "ECR_TEST_WRITER_SEED";

/// Nanoseconds since 1970, by the clock that all processes share.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

/// Something that the other process did, and was told so.
struct Write {
    at: u128,
    tag: String,
    digest: String,
    children: Vec<String>,
}

/// Puts a manifest with a tag; `None` where the registry refuses.
fn put(registry: &Registry, manifest: &str, tag: Option<&str>) -> Option<()> {
    let value: Value = serde_json::from_str(manifest).unwrap();
    let mut input = json!({
        "repositoryName": REPOSITORY, "imageManifest": manifest, "imageManifestMediaType": value["mediaType"]
    });
    if let Some(tag) = tag {
        input["imageTag"] = json!(tag);
    }
    match registry.call("PutImage", input) {
        Ok(_) => Some(()),
        Err((_, code, _)) => (code == "ImageAlreadyExistsException").then_some(()),
    }
}

/// Makes one change, and returns tag, digest and children if it was made.
fn write_one(registry: &Registry, random: &mut Random) -> Option<(String, String, Vec<String>)> {
    let there: Vec<String> = registry.images(REPOSITORY).into_iter().map(|(digest, _)| digest).collect();
    let digest = |text: &str| crate::harness::registry::digest(text.as_bytes());
    let name = format!("fresh-{}", random.0);
    let fresh = image(&name).to_string();
    let tagged = |text: &str, tag: String, children: Vec<String>| {
        put(registry, text, Some(&tag))?;
        Some((tag, digest(text), children))
    };
    match random.below(4) {
        0 => tagged(&fresh, format!("new-{}", random.below(4)), Vec::new()),
        1 => {
            let input =
                json!({"repositoryName": REPOSITORY, "imageIds": [{"imageDigest": random.pick(&there)}]});
            let got = registry.call("BatchGetImage", input).ok()?;
            let text = got["images"][0]["imageManifest"].as_str()?;
            tagged(text, format!("moving-{}", random.below(4)), Vec::new())
        }
        kind => {
            // An index of what is there, and one of what was pushed just before, as every push does it.
            let mut children = BTreeSet::from([random.pick(&there).clone(), random.pick(&there).clone()]);
            if kind == 3 {
                put(registry, &fresh, None)?;
                children.insert(digest(&fresh));
            }
            let children: Vec<String> = children.into_iter().collect();
            let mut list = index(&children.iter().map(String::as_str).collect::<Vec<_>>());
            list["annotations"] = json!({"name": digest(&fresh)});
            tagged(&list.to_string(), format!("list-{}", random.below(3)), children)
        }
    }
}

/// The other process: writes until its standard input ends, and tells each thing that was done.
#[test]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let registry = Registry::at(folder.as_ref());
    let mut random = Random(std::env::var(SEED).unwrap().parse::<u64>().unwrap() | 1);
    let is_over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_over);
    std::thread::spawn(move || {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        seen.store(true, Ordering::SeqCst);
    });
    while !is_over.load(Ordering::SeqCst) {
        if let Some((tag, digest, children)) = write_one(&registry, &mut random) {
            println!("wrote {} {tag} {digest} {}", now(), children.join(","));
        }
    }
}

/// Starts the other process, and returns once it has written something.
fn start(folder: &std::path::Path, seed: u64) -> (Child, std::sync::mpsc::Receiver<Write>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "everyday::changing::second_process::writer",
        "--nocapture",
        "--test-threads=1",
    ]);
    command.env(FOLDER, folder).env(SEED, seed.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (tell, told) = std::sync::mpsc::channel();
    let (begin, begun) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            // The harness has its own words before the first.
            let Some((_, line)) = line.split_once("wrote ") else { continue };
            let fields: Vec<&str> = line.split(' ').collect();
            let children =
                fields[3].split(',').filter(|child| !child.is_empty()).map(str::to_owned).collect();
            let (tag, digest) = (fields[1].to_owned(), fields[2].to_owned());
            let _ = tell.send(Write { at: fields[0].parse().unwrap(), tag, digest, children });
            let _ = begin.send(());
        }
    });
    begun.recv().unwrap();
    (child, told)
}

/// Untagged and tagged images, and indexes of them, of which most may go.
fn fill(registry: &Registry, random: &mut Random) {
    registry.repository(REPOSITORY);
    let mut known: Vec<String> = Vec::new();
    for number in 0..40 + random.below(40) {
        let name = format!("old-{number}-{}", random.0);
        let tag = random.chance(20).then(|| format!("v{number}"));
        let digest = if known.len() > 2 && random.chance(30) {
            let children = BTreeSet::from([random.pick(&known).clone(), random.pick(&known).clone()]);
            let mut list = index(&children.iter().map(String::as_str).collect::<Vec<_>>());
            list["annotations"] = json!({"name": name});
            registry.put(REPOSITORY, &list, tag.as_deref())
        } else {
            registry.image(REPOSITORY, &name, tag.as_deref())
        };
        known.push(digest);
    }
}

fn run(seed: u64) -> Result<(u64, usize), String> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let stage = Stage::new();
    fill(&stage.registry, &mut random);
    let before = stage.registry.tags(REPOSITORY);
    // The last look at each image before it was deleted.
    let looks: Arc<Mutex<BTreeMap<String, u128>>> = Arc::default();
    let noted = Arc::clone(&looks);
    stage.before_each_call(move |_, operation, input, _| {
        let ids = input["imageIds"].as_array().filter(|_| operation == "DescribeImages");
        let at = now();
        let digests = ids.into_iter().flatten().filter_map(|id| id["imageDigest"].as_str());
        noted.lock().unwrap().extend(digests.map(|digest| (digest.to_owned(), at)));
        None
    });
    let (mut writer, told) = start(stage.registry.folder(), random.0);
    let mut deleted = 0;
    for _ in 0..3 {
        let words = ["prune", REPOSITORY, "--untagged", "--grace", "0s", "--yes", "--output", "json"];
        let outcome = stage.machine.ecr(&words);
        if outcome.code != 0 {
            return Err(outcome.transcript());
        }
        // Where there is nothing to do, the summary says nothing of it.
        deleted += valid("prune", &outcome.stdout)["summary"]["deleted"].as_u64().unwrap_or(0);
    }
    drop(writer.stdin.take());
    assert!(writer.wait().unwrap().success());
    let writes: Vec<Write> = told.iter().collect();
    verdict(&stage.registry, &before, &writes, &looks.lock().unwrap()).map(|()| (deleted, writes.len()))
}

fn verdict(
    registry: &Registry,
    before: &[String],
    writes: &[Write],
    looks: &BTreeMap<String, u128>,
) -> Result<(), String> {
    let there: BTreeMap<String, Vec<String>> = registry.images(REPOSITORY).into_iter().collect();
    // The last write of each tag holds, unless its image was tagged after the last look at it, and went.
    let last: BTreeMap<&str, &Write> = writes.iter().map(|write| (write.tag.as_str(), write)).collect();
    for Write { at, tag, digest, .. } in last.values() {
        let is_there = there.get(digest).is_some_and(|tags| tags.contains(tag));
        let was_seen = looks.get(digest).is_none_or(|look| at < look);
        if !is_there && was_seen {
            return Err(format!("{tag} was set to {digest} before the last look at it, and is lost"));
        }
    }
    // The images that were there from the start were not touched.
    if let Some(tag) = before.iter().find(|tag| !there.values().flatten().any(|other| other == *tag)) {
        return Err(format!("{tag} is lost"));
    }
    for write in writes.iter().filter(|write| there.contains_key(&write.digest)) {
        if let Some(child) = write.children.iter().find(|child| !there.contains_key(*child)) {
            return Err(format!("{} is there and has lost {child}", write.digest));
        }
    }
    Ok(())
}

#[test]
fn writes_of_another_process_are_not_lost() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = variable("RACE_FIRST").unwrap_or(1);
    let (mut deleted, mut written) = (0, 0);
    for seed in first..first + variable("PROPTEST_CASES").unwrap_or(CASES) {
        match run(seed) {
            Ok((gone, writes)) => (deleted, written) = (deleted + gone, written + writes),
            Err(problem) => panic!("RACE_FIRST={seed}: {problem}"),
        }
    }
    assert!(deleted > 0 && written > 0, "{deleted} images went, and {written} writes were made");
}
